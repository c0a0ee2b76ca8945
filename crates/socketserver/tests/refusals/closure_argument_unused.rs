//! The type of a closure's argument must be written out, also where nothing is done with it.

use socketserver::{Server, Threads};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), |_| Ok(()))?;
    Ok(())
}
