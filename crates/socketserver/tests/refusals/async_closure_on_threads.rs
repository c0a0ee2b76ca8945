//! Threads run blocking handlers.

use socketserver::{Server, Threads, blocking};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), async |_: &mut blocking::Stream| Ok(()))?;
    Ok(())
}
