use crate::PATIENCE;
use socketserver::{Peer, blocking};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Connections without a network for the blocking engine: pairs of sockets that nobody else can connect to
/// (`socketpair(2)`), and no file or port. For the async engine there is [`MemoryListener`](crate::MemoryListener).
///
/// ```
/// use socketserver::{Server, Threads, blocking};
/// use socketserver_testkit::PairListener;
/// use std::io::{Read, Write};
///
/// let (listener, connector) = PairListener::new()?;
/// let server = Server::bind([])?.accept_from_blocking(listener)?;
/// let server = server.spawn(Threads::default(), |c: &mut blocking::Stream| {
///     while let Some(line) = c.read_until(b'\n', 100)? {
///         c.write_all(&line)?;
///     }
///     Ok(())
/// })?;
/// let mut client = connector.connect()?;
/// client.write_all(b"hello\n")?;
/// let mut heard = [0; 6];
/// client.read_exact(&mut heard)?;
/// assert_eq!(&heard, b"hello\n");
/// drop(client);
/// assert_eq!(server.stop()?.served, 1);
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct PairListener {
    /// A byte for each connection that waits: what can be polled for.
    bell: UnixDatagram,
    backlog: Receiver<OwnedFd>,
}

/// Connects to a [`PairListener`].
#[derive(Debug)]
pub struct PairConnector {
    bell: UnixDatagram,
    backlog: Sender<OwnedFd>,
}

impl PairListener {
    /// Where connections come in, and what makes them. Hand the first to
    /// [`Server::accept_from_blocking`](socketserver::Server::accept_from_blocking).
    ///
    /// # Errors
    /// What `socketpair(2)` says.
    pub fn new() -> io::Result<(Self, PairConnector)> {
        let (theirs, ours) = UnixDatagram::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_write_timeout(Some(PATIENCE))?;
        let (send, receive) = channel();
        Ok((Self { bell: ours, backlog: receive }, PairConnector { bell: theirs, backlog: send }))
    }
}

impl AsFd for PairListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl blocking::Accept for PairListener {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        self.bell.recv(&mut [0])?;
        // It was sent before the byte was.
        Ok((self.backlog.recv().map_err(io::Error::other)?, Peer::unnamed()))
    }
}

impl PairConnector {
    /// A connection; its reads and writes wait [`PATIENCE`] at most.
    ///
    /// # Errors
    /// What `socketpair(2)` says; `WouldBlock` when for that long too many waited that were not accepted.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (near, far) = UnixStream::pair()?;
        near.set_read_timeout(Some(PATIENCE))?;
        near.set_write_timeout(Some(PATIENCE))?;
        self.hand_over(far.into())?;
        Ok(near)
    }

    /// Has this connected stream socket accepted, whatever it is.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn hand_over(&self, socket: OwnedFd) -> io::Result<()> {
        self.backlog.send(socket).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        self.bell.send(&[0])?;
        Ok(())
    }
}
