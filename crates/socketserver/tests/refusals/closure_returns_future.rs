//! Nobody waits for a future that a blocking handler returns.

use socketserver::{Server, Threads, blocking};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), |_: &mut blocking::Stream| async { Ok(()) })?;
    Ok(())
}
