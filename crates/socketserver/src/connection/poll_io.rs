use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// All that an engine supplies of a connection. The blocking one always answers `Ready`.
///
/// Not part of the public interface: engines are two, and both are here.
pub trait PollIo {
    /// A wait happens inside `poll_read`, on this thread. Otherwise it answers `Pending` and the task is woken.
    const WAITS_INSIDE: bool;

    /// Reads what there is, and waits for it as `wait` says; `TimedOut` when that time is up.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8], wait: Wait) -> Poll<io::Result<usize>>;

    /// What is read next is a packet: one a read, and of a longer one than there is room for the beginning.
    fn expect_packet(&mut self) {}

    /// How long the packet was that was read since then. `None`: none was; a read of nothing was the end of input.
    fn packet(&self) -> Option<usize> {
        None
    }

    /// Writes as much as goes, of packets all or nothing, and waits until some of it goes; `TimedOut` when for `stall` none did.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8], stall: Option<Duration>) -> Poll<io::Result<usize>>;

    /// How much of what was written the peer's side has not taken yet; over TCP its end counts as a byte.
    fn untaken(&self) -> io::Result<usize>;

    /// How much of that has not even left; an error where nobody knows.
    fn unsent(&self) -> io::Result<usize>;

    /// Waits for so long.
    fn poll_rest(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()>;

    /// What wakes a read that waits on this thread, which then fails with `Interrupted`. `None`: waking the task does.
    ///
    /// # Errors
    /// No descriptor is left for it.
    fn waker(&mut self) -> io::Result<Option<Waker>> {
        Ok(None)
    }

    /// Whoever waited has given up: a wait with an end of its own that comes next is a new one.
    fn forget_waits(&mut self) {}

    /// No wait with an end of its own goes on, and none is about to begin: what kept the time is let go.
    fn forget_deadline(&mut self) {}

    /// Whether what was written may wait in it for a flush, and it has to be told of the end.
    fn gathers(&self) -> bool {
        false
    }

    /// Sends what waits in it; `TimedOut` when that takes longer than `stall`.
    fn poll_flush(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        let _ = (cx, stall);
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing more comes; `TimedOut` when that takes longer than `stall`.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>>;
}

/// How long a read waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: `WouldBlock` when there is nothing.
    Not,
    /// For as long as this from now; for ever if `None`.
    For(Option<Duration>),
    /// To this point in time.
    Until(Instant),
}

/// Runs a future of the blocking engine: it never pends.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a blocking transport never pends"),
    }
}

/// As [`now`], for a single poll: on the path of every read and write no future is made and moved about.
#[inline]
pub(crate) fn now_poll<R>(poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> R {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a blocking transport never pends"),
    }
}
