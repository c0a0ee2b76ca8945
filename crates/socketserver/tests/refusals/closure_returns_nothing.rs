//! A handler says how it went.

use socketserver::{Server, Threads, blocking};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), |c: &mut blocking::Stream| {
        let _ = c.write_all(b"hello");
    })?;
    Ok(())
}
