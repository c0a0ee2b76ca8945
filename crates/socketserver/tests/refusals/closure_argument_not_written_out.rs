//! The type of a closure's argument must be written out.

use socketserver::{Server, Threads};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), |c| {
        c.write_all(b"hello")?;
        Ok(())
    })?;
    Ok(())
}
