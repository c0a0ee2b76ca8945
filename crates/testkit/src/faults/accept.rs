use super::{Faults, Faulty};
use socketserver::{Accept, AsyncTransport, Endpoint, Peer, blocking};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

/// What a call of `accept` comes to.
#[derive(Debug)]
pub enum Turn {
    /// What the source gives.
    Accept,
    /// It fails so. A server tells errors apart by their number (`accept(2)`): those of the peer are passed over, without
    /// descriptors or memory it rests, and one without a number ends it.
    Fail(io::Error),
}

/// A source of connections whose `accept` fails, in the order that a script says; when that is at its end all go through.
///
/// On the async engine a connection can also be given faults of its own: see [`transports`](Self::transports).
///
/// ```
/// use rustix::io::Errno;
/// use socketserver::{Serial, Server, blocking};
/// use socketserver_testkit::PairListener;
/// use socketserver_testkit::faults::FaultyAccept;
/// use std::io::Read;
///
/// let (listener, connector) = PairListener::new()?;
/// let source = FaultyAccept::failing(listener, [Errno::CONNABORTED, Errno::INTR, Errno::PROTO]);
/// let server = Server::bind([])?.accept_from_blocking(source)?;
/// let server = server.spawn(Serial::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
/// // All of that is passed over.
/// let mut heard = [0; 5];
/// connector.connect()?.read_exact(&mut heard)?;
/// assert_eq!(&heard, b"hello");
/// assert_eq!(server.stop()?.totals.lost, 3);
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct FaultyAccept<A> {
    source: A,
    script: VecDeque<Turn>,
    transports: Option<Box<dyn FnMut(usize) -> Faults + Send>>,
    accepted: usize,
}

impl<A> FaultyAccept<A> {
    /// That source, which has these turns first.
    #[must_use]
    pub fn new(source: A, script: impl IntoIterator<Item = Turn>) -> Self {
        Self { source, script: script.into_iter().collect(), transports: None, accepted: 0 }
    }

    /// That source, which fails in these ways first, one after the other.
    #[must_use]
    pub fn failing(source: A, errors: impl IntoIterator<Item = impl Into<io::Error>>) -> Self {
        Self::new(source, errors.into_iter().map(|error| Turn::Fail(error.into())))
    }

    /// Each connection meets the faults that this gives for it; the first is number 0. Of the async engine alone: the
    /// blocking one is given sockets, which fail as the kernel lets them.
    #[must_use]
    pub fn transports(mut self, faults: impl FnMut(usize) -> Faults + Send + 'static) -> Self {
        self.transports = Some(Box::new(faults));
        self
    }

    /// The failure whose turn it is.
    fn failure(&mut self) -> io::Result<()> {
        match self.script.pop_front() {
            Some(Turn::Fail(error)) => Err(error),
            Some(Turn::Accept) | None => Ok(()),
        }
    }
}

impl<A: AsFd> AsFd for FaultyAccept<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// It fails while a connection waits, which waits on.
impl<A: blocking::Accept> blocking::Accept for FaultyAccept<A> {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        self.failure()?;
        self.source.accept()
    }
}

/// It fails at once, whether or not a connection waits.
impl<A: Accept> Accept for FaultyAccept<A> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        if let Some(Turn::Fail(_)) = self.script.front() {
            self.failure()?;
        }
        let (transport, peer) = ready!(self.source.poll_accept(cx))?;
        // Its turn is over.
        self.script.pop_front();
        let nth = self.accepted;
        self.accepted += 1;
        let Some(faults) = &mut self.transports else { return Poll::Ready(Ok((transport, peer))) };
        Poll::Ready(Ok((Box::new(Faulty::new(transport, faults(nth))), peer)))
    }

    fn endpoint(&self) -> Endpoint {
        self.source.endpoint()
    }
}

impl<A: fmt::Debug> fmt::Debug for FaultyAccept<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, script, accepted, .. } = self;
        let mut shown = f.debug_struct("FaultyAccept");
        shown.field("source", source).field("script", script).field("accepted", accepted).finish_non_exhaustive()
    }
}
