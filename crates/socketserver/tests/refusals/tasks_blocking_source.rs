//! Tasks cannot ask a blocking source for connections: that would hold up a shard.

use socketserver::{Peer, Server, Stream, Tasks, blocking};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

struct Nobody(UnixDatagram);

impl AsFd for Nobody {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl blocking::Accept for Nobody {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn main() -> socketserver::Result {
    let source = Nobody(UnixDatagram::unbound()?);
    Server::bind([])?.accept_from_blocking(source)?.serve(Tasks::default(), async |c: &mut Stream| {
        c.write_all(b"hello").await?;
        Ok(())
    })?;
    Ok(())
}
