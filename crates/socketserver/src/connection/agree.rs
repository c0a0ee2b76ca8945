//! What comes before the handler: a wait for the peer that has a deadline of its own, and that a drain ends at once, for
//! nothing was asked of the server yet.

use super::slot::Woken;
use super::{Core, PollIo, Wait};
use crate::clock;
use crate::tls::HandshakeFailure;
use socketserver_proto::proxy::{Header, Parsed, ProxyError};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

impl<T: PollIo> Core<T> {
    /// By when all of it is to be over: one deadline, which began at accept.
    pub(super) fn agreed_until(&self) -> Option<Instant> {
        let age = self.connection.age();
        self.terms().handshake.and_then(|time| clock::now().checked_add(time.saturating_sub(age)))
    }

    /// Who a proxy speaks for.
    pub(super) async fn proxy_header(&mut self, until: Option<Instant>) -> io::Result<Header> {
        loop {
            match Header::parse(self.buffered()) {
                Ok(Parsed::Whole { header, len }) => {
                    self.consume(len);
                    return Ok(header);
                }
                Ok(Parsed::Incomplete { .. }) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            let before = self.buffered().len();
            if poll_fn(|cx| self.poll_more(cx, until)).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ProxyError::cut_short(before)));
            }
        }
    }

    /// Reads more into the buffer; 0 is the end of input.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<io::Result<usize>> {
        let wait = until.map_or(Wait::For(None), Wait::Until);
        self.poll_agree(cx, |core, cx| {
            let read = core.poll_transport(cx, None, wait);
            if !matches!(read, Poll::Ready(Ok(_))) {
                core.input.rest();
            }
            read
        })
    }

    /// A wait in the course of it.
    pub(super) fn poll_agree<R>(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.end_wait();
        if self.slot.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        // The keeper's idle deadline is none of its business.
        if self.is_woken() || (T::WAITS_INSIDE && self.begin_wait(true, Wait::Not, None)) {
            self.end_wait();
            return Poll::Ready(Err(self.called_off()));
        }
        let agreed = step(self, cx);
        self.end_wait();
        if agreed.is_ready() {
            // Idle connections have no room for it, and no use for its end.
            self.io.forget_deadline();
        }
        if agreed.is_pending() && !self.is_woken() && !self.begin_wait(true, Wait::Not, None) {
            return Poll::Pending;
        }
        self.end_wait();
        if self.slot.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        match agreed {
            Poll::Ready(result) if !self.is_woken() => {
                Poll::Ready(result.map_err(|error| self.fate.handshake_failed(failure_of(&error), error)))
            }
            _ => Poll::Ready(Err(self.called_off())),
        }
    }

    /// Somebody else than the peer has ended it.
    fn called_off(&mut self) -> io::Error {
        match self.shut {
            Woken::ByDeadline(deadline) => self.fate.too_late(deadline),
            Woken::No | Woken::ByDrain => self.fate.not_begun(),
        }
    }
}

fn failure_of(error: &io::Error) -> HandshakeFailure {
    #[cfg(feature = "tls")]
    if let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref()) {
        return crate::tls::classify(cause);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => HandshakeFailure::Timeout,
        // More than rustls takes of a message that does not end.
        io::ErrorKind::InvalidData => HandshakeFailure::Protocol,
        _ => HandshakeFailure::Disconnected,
    }
}
