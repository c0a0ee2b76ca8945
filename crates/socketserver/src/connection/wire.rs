//! What lies between a connection's core and its transport: nothing, or TLS.

#[cfg(feature = "tls")]
use super::secure::Secure;
use super::{PollIo, Wait};
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
#[cfg(feature = "tls")]
use std::time::Instant;

/// A transport, and the layer above it. Plain connections pay one match a call.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    raw: T,
    #[cfg(feature = "tls")]
    tls: Option<Box<Secure>>,
}

impl<T: PollIo> Wire<T> {
    pub(super) fn plain(raw: T) -> Self {
        Self {
            raw,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The transport underneath.
    pub(super) fn raw(&self) -> &T {
        &self.raw
    }

    /// Whether it is TLS.
    #[inline]
    pub(super) fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// As [`PollIo::poll_read`], at the end of a connection, when nobody looks any more at what is read.
    pub(super) fn poll_read_out(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        // No need to decrypt it.
        self.raw.poll_read(cx, buf, wait)
    }

    /// Says what the layer has to say at the end of our output. The transport's own end is another matter.
    pub(super) fn poll_goodbye(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return tls.poll_goodbye(&mut self.raw, cx, stall);
        }
        let _ = (cx, stall);
        Poll::Ready(Ok(()))
    }

    /// Whether the transport ends in a way of its own, and is none of the system's sockets.
    pub(super) fn ends_itself(&self) -> bool {
        self.raw.gathers()
    }
}

#[cfg(feature = "tls")]
impl<T: PollIo> Wire<T> {
    /// From now on it is TLS, whose beginning may be among what was read already.
    pub(super) fn put_on(&mut self, tls: Secure) {
        self.tls = Some(Box::new(tls));
    }

    pub(super) fn tls(&self) -> Option<&Secure> {
        self.tls.as_deref()
    }

    /// Shakes hands, to this point in time at most.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(tls) => tls.poll_handshake(&mut self.raw, cx, until),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The other half of a connection that two threads share, over a transport of its own.
    pub(super) fn other_half(&self, raw: T) -> Self {
        Self { raw, tls: self.tls.as_ref().map(|tls| Box::new(tls.other_half())) }
    }
}

#[cfg(not(feature = "tls"))]
impl<T: PollIo> Wire<T> {
    /// The other half of a connection that two threads share, over a transport of its own.
    #[expect(clippy::unused_self, reason = "there is nothing to share")]
    pub(super) fn other_half(&self, raw: T) -> Self {
        Self::plain(raw)
    }
}

/// `$tls` does it, if there is TLS; else the transport alone.
macro_rules! through {
    ($self:ident, $tls:ident => $secure:expr, $plain:expr) => {{
        #[cfg(feature = "tls")]
        if let Some($tls) = &mut $self.tls {
            return $secure;
        }
        $plain
    }};
}

impl<T: PollIo> PollIo for Wire<T> {
    const WAITS_INSIDE: bool = T::WAITS_INSIDE;

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8], wait: Wait) -> Poll<io::Result<usize>> {
        through!(self, tls => tls.poll_read(&mut self.raw, cx, buf, wait), self.raw.poll_read(cx, buf, wait))
    }

    fn expect_packet(&mut self) {
        self.raw.expect_packet();
    }

    fn packet(&self) -> Option<usize> {
        self.raw.packet()
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8], stall: Option<Duration>) -> Poll<io::Result<usize>> {
        through!(self, tls => tls.poll_write(&mut self.raw, cx, buf, stall), self.raw.poll_write(cx, buf, stall))
    }

    fn untaken(&self) -> io::Result<usize> {
        self.raw.untaken()
    }

    fn unsent(&self) -> io::Result<usize> {
        self.raw.unsent()
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        self.raw.poll_rest(cx, time)
    }

    fn waker(&mut self) -> io::Result<Option<Waker>> {
        self.raw.waker()
    }

    fn forget_waits(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.forget_waits();
        }
        self.raw.forget_waits();
    }

    fn forget_deadline(&mut self) {
        self.raw.forget_deadline();
    }

    #[inline]
    fn gathers(&self) -> bool {
        self.is_secure() || self.raw.gathers()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        through!(self, tls => tls.poll_flush(&mut self.raw, cx, stall), self.raw.poll_flush(cx, stall))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>, stall: Option<Duration>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_goodbye(cx, stall))?;
        self.raw.poll_shutdown(cx, stall)
    }
}
