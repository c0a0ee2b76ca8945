//! A handler returns `socketserver::Result`, which takes every error, and not `io::Result`.

use socketserver::{Server, Threads, blocking};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), |c: &mut blocking::Stream| c.write_all(b"hello"))?;
    Ok(())
}
