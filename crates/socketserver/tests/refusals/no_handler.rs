//! A type must implement a handler trait.

use socketserver::{Server, Threads};

struct Chat;

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), Chat)?;
    Ok(())
}
