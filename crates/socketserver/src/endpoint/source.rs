use crate::Peer;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A source of blocking connections of your own: a tunnel, a socket passed by another process, an in-memory pair.
///
/// It is waited for with `poll(2)`, so it has a descriptor; what has none in memory can use a socket pair. Hand it to
/// [`Server::accept_from_blocking`](crate::Server::accept_from_blocking).
///
/// ```
/// use socketserver::{Peer, Serial, Server, blocking};
/// use std::io::{self, Read, Write};
/// use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
/// use std::os::unix::net::{UnixDatagram, UnixStream};
/// use std::time::Duration;
///
/// /// Serves the one connection it was made with.
/// struct One(UnixDatagram, Option<UnixStream>);
/// impl AsFd for One {
///     fn as_fd(&self) -> BorrowedFd<'_> { self.0.as_fd() }
/// }
/// impl blocking::Accept for One {
///     fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
///         self.0.recv(&mut [0])?;
///         let connection = self.1.take().ok_or(io::ErrorKind::WouldBlock)?;
///         Ok((connection.into(), Peer::unnamed()))
///     }
/// }
///
/// let (mut client, server) = UnixStream::pair()?;
/// let (ready, bell) = UnixDatagram::pair()?;
/// bell.set_nonblocking(true)?;
/// let mut server = Server::bind([])?.accept_from_blocking(One(bell, Some(server)))?;
/// ready.send(&[1])?;
/// server.serve_one(
///     |c: &mut blocking::Stream| { c.write_all(b"hello")?; c.close_write()?; Ok(()) },
///     Duration::from_secs(5),
/// )?;
/// let mut text = String::new();
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub trait Accept: AsFd + Send {
    /// The next connection, without waiting: called when the descriptor is readable. The descriptor that comes back is
    /// a connected stream socket.
    ///
    /// # Errors
    /// `WouldBlock` when there is none after all. Errors of `accept(2)` are told apart by their number, as those of a
    /// listening socket are; one without a number ends the server.
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)>;
}
