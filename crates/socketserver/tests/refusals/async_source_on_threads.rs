//! Threads serve sockets: what an async source gives has none.

use socketserver::{Accept, AsyncTransport, Peer, Server, Threads, blocking};
use std::io;
use std::task::{Context, Poll};

struct Nobody;

impl Accept for Nobody {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        Poll::Pending
    }
}

fn main() -> socketserver::Result {
    Server::bind([])?.accept_from(Nobody)?.serve(Threads::default(), |c: &mut blocking::Stream| {
        c.write_all(b"hello")?;
        Ok(())
    })?;
    Ok(())
}
