//! `serve_one` runs the handler on the calling thread, so it runs blocking handlers.

use socketserver::{Server, blocking};
use std::time::Duration;

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve_one(async |_: &mut blocking::Stream| Ok(()), Duration::ZERO)?;
    Ok(())
}
