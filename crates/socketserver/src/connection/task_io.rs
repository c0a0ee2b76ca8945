use super::unit::Unit;
use super::{Connection, PollIo, Record, Wait};
use crate::clock;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use socketserver_sys::{SharedFd, Watched};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

/// The async engine's end of a connection: a socket that the shard's reactor watches, or a transport of a user's own.
pub struct TaskIo {
    kind: Kind,
    /// For the few waits that have an end of their own. Made when the first of them really waits.
    timers: Option<Box<Timers>>,
}

#[derive(Default)]
struct Timers {
    read: Timer,
    write: Timer,
}

#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// A wait goes on: asked again, it ends when it was to end.
    set: bool,
}

impl Timer {
    /// A wait has begun or goes on: `Ready` when its time is up.
    fn poll(&mut self, cx: &mut Context<'_>, until: impl FnOnce() -> Option<Instant>) -> Poll<()> {
        if !self.set {
            let Some(until) = until() else { return Poll::Pending };
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(until.into()),
                None => self.sleep = Some(Box::pin(sleep_until(until.into()))),
            }
            self.set = true;
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.set = false;
        Poll::Ready(())
    }
}

enum Kind {
    Socket(Watched<Record>, Unit),
    Own {
        transport: Box<dyn AsyncTransport>,
        /// Something was written since it was last flushed.
        unflushed: bool,
    },
}

/// A transport of your own that the async engine can serve: anything that reads and writes bytes. An
/// [`Accept`](crate::Accept) hands them to the server.
///
/// ```
/// use socketserver::{Accept, AsyncTransport, Peer};
/// # use std::{io, task::{Context, Poll}};
///
/// /// A source of one transport.
/// struct One(Option<Box<dyn AsyncTransport>>);
/// impl Accept for One {
///     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
///         self.0.take().map_or(Poll::Pending, |transport| Poll::Ready(Ok((transport, Peer::unnamed()))))
///     }
/// }
/// // A request from memory, and an answer that nobody reads.
/// let transport = tokio::io::join(&b"hello\n"[..], tokio::io::sink());
/// let source = One(Some(Box::new(transport)));
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let mut server = socketserver::Server::bind([])?.accept_from(source)?;
/// # let served = server.run(async |c: &mut socketserver::Stream| {
/// #     assert_eq!(c.read_line(100).await?.as_deref(), Some("hello"));
/// #     c.write_all(b"hello\n").await?;
/// #     c.server().shutdown();
/// #     Ok(())
/// # });
/// # assert_eq!(runtime.block_on(served)?.totals.failed, 0);
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub trait AsyncTransport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncTransport for T {}

impl TaskIo {
    /// The socket of a connection, non-blocking, watched by the runtime that this is called in.
    pub(crate) fn socket(connection: &Arc<Connection>) -> io::Result<Self> {
        let socket = SharedFd::of(connection).ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { kind: Kind::Socket(Watched::new(socket)?, Unit::Bytes), timers: None })
    }

    /// What came of trying to write; `TimedOut` when for `stall` nothing did.
    #[inline]
    fn within<R>(
        &mut self,
        cx: &mut Context<'_>,
        stall: Option<Duration>,
        tried: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if tried.is_pending() {
            let until = || stall.and_then(|time| clock::now().checked_add(time));
            return self.timers().write.poll(cx, until).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some(timers) = &mut self.timers {
            timers.write.set = false;
        }
        tried
    }

    fn timers(&mut self) -> &mut Timers {
        self.timers.get_or_insert_default()
    }

    pub(crate) fn own(transport: Box<dyn AsyncTransport>) -> Self {
        Self { kind: Kind::Own { transport, unflushed: false }, timers: None }
    }
}

impl Kind {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket, unit) => loop {
                let mut ready = ready!(socket.poll_read_ready(cx))?;
                match unit.recv(ready.get_inner(), buf, RecvFlags::DONTWAIT) {
                    Ok(count) => {
                        // Less than there was room for: nothing is left, and asking again would find that out at the
                        // price of a system call. What comes later is a new event.
                        if unit.is_drained_by(count, buf.len()) {
                            ready.clear_ready();
                        }
                        return Poll::Ready(Ok(count));
                    }
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Err(Errno::INTR) => {}
                    Err(error) => return Poll::Ready(Err(error.into())),
                }
            },
            Self::Own { transport, .. } => {
                let mut buf = ReadBuf::new(buf);
                ready!(Pin::new(transport).poll_read(cx, &mut buf))?;
                Poll::Ready(Ok(buf.filled().len()))
            }
        }
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket, _) => loop {
                let mut ready = ready!(socket.poll_write_ready(cx))?;
                match rustix::net::send(ready.get_inner(), buf, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                    Ok(count) => {
                        if 0 < count && count < buf.len() {
                            ready.clear_ready();
                        }
                        return Poll::Ready(Ok(count));
                    }
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Err(Errno::INTR) => {}
                    Err(error) => return Poll::Ready(Err(error.into())),
                }
            },
            Self::Own { transport, unflushed } => {
                *unflushed = true;
                Pin::new(transport).poll_write(cx, buf)
            }
        }
    }
}

impl PollIo for TaskIo {
    const WAITS_INSIDE: bool = false;

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8], wait: Wait) -> Poll<io::Result<usize>> {
        if let (Wait::Not, Kind::Socket(socket, unit)) = (wait, &mut self.kind) {
            // What the reactor has not told of yet may be there all the same.
            let received = unit.recv(socket.descriptor(), buf, RecvFlags::DONTWAIT);
            return Poll::Ready(received.map_err(Into::into));
        }
        let result = self.kind.poll_read(cx, buf);
        if wait == Wait::For(None) {
            return result;
        }
        match (result, wait) {
            (Poll::Pending, Wait::Not) => Poll::Ready(Err(io::ErrorKind::WouldBlock.into())),
            (Poll::Pending, wait) => self
                .timers()
                .read
                .poll(cx, || match wait {
                    Wait::Until(until) => Some(until),
                    Wait::For(time) => time.and_then(|time| clock::now().checked_add(time)),
                    Wait::Not => None,
                })
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
            (done, _) => {
                if let Some(timers) = &mut self.timers {
                    timers.read.set = false;
                }
                done
            }
        }
    }

    fn expect_packet(&mut self) {
        if let Kind::Socket(_, unit) = &mut self.kind {
            unit.expect_packet();
        }
    }

    fn packet(&self) -> Option<usize> {
        if let Kind::Socket(_, unit) = &self.kind { unit.packet() } else { None }
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8], stall: Option<Duration>) -> Poll<io::Result<usize>> {
        let written = self.kind.poll_write(cx, buf);
        self.within(cx, stall, written)
    }

    #[inline]
    fn gathers(&self) -> bool {
        matches!(self.kind, Kind::Own { .. })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        let Kind::Own { transport, unflushed: unflushed @ true } = &mut self.kind else { return Poll::Ready(Ok(())) };
        let flushed = Pin::new(transport).poll_flush(cx);
        *unflushed = flushed.is_pending();
        self.within(cx, stall, flushed)
    }

    fn untaken(&self) -> io::Result<usize> {
        match &self.kind {
            Kind::Socket(socket, _) => socketserver_sys::untaken(socket.descriptor()),
            Kind::Own { .. } => Ok(0),
        }
    }

    fn unsent(&self) -> io::Result<usize> {
        match &self.kind {
            Kind::Socket(socket, _) => socketserver_sys::unsent(socket.descriptor()),
            Kind::Own { .. } => Ok(0),
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        self.timers().write.poll(cx, || clock::now().checked_add(time))
    }

    fn forget_waits(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.read.set = false;
            timers.write.set = false;
        }
    }

    fn forget_deadline(&mut self) {
        self.timers = None;
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        let shut = match &mut self.kind {
            Kind::Socket(socket, _) => {
                return Poll::Ready(rustix::net::shutdown(socket.descriptor(), Shutdown::Write).map_err(Into::into));
            }
            Kind::Own { transport, .. } => Pin::new(transport).poll_shutdown(cx),
        };
        self.within(cx, stall, shut)
    }
}

impl fmt::Debug for TaskIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskIo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;
    use crate::connection::{CLIENT, Core, HANDSHAKE, Idle, Slot, Terms};
    use crate::lifecycle::Handle;
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::pin::pin;

    #[test]
    fn what_kept_the_deadline_of_a_handshake_is_let_go() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let record = Record::new(0, Peer::unnamed(), CLIENT, Slot::own());
            let connection = Arc::new(record.with(Some(ours.into())));
            let terms = Terms { handle: Handle::nobodys(), idle: Idle::Own(None), write: None, handshake: HANDSHAKE };
            let mut core = Core::new(TaskIo::socket(&connection).unwrap(), connection, Arc::new(terms));
            {
                let mut header = pin!(core.proxy_header(clock::now().checked_add(Duration::from_secs(60))));
                assert!(poll_fn(|cx| Poll::Ready(header.as_mut().poll(cx).is_pending())).await);
                theirs.write_all(b"PROXY UNKNOWN\r\n").unwrap();
                header.await.unwrap();
            }
            assert!(core.io().timers.is_none());
        });
    }
}
