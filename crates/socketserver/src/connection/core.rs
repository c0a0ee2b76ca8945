//! Buffers, reading, waits, counters: once, for every engine. Writing and the end have files of their own.

use super::fate::Fate;
use super::input::Input;
use super::slot::{Deadline, NEVER, Woken};
use super::wire::Wire;
use super::{Connection, Idle, PollIo, Reason, Slot, Terms, Wait};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// A read into a buffer at least this long goes straight into it.
const DIRECT: usize = 4 * 1024;

/// What is inside a `Stream`. Not part of the public interface.
#[derive(Debug)]
pub struct Core<T> {
    pub(super) io: Wire<T>,
    pub(super) input: Input,
    /// What was gathered; empty more often than not.
    #[expect(clippy::box_collection, reason = "it is seldom there, and each connection has room for it")]
    pub(super) output: Option<Box<Vec<u8>>>,
    pub(crate) connection: Arc<Connection>,
    /// The connection's own, at hand.
    pub(super) slot: Slot,
    /// Shared by all connections of a run until one has its own.
    pub(super) terms: Arc<Terms>,
    /// No more input comes: from the peer, or because the server drains.
    pub(super) ended: bool,
    /// Why this side has ended the input, if it has: then an end of input is not the peer's.
    pub(super) shut: Woken,
    /// A wait goes on that answered `Pending`.
    pub(super) waits: bool,
    /// It has let others go before it, and may write.
    pub(super) has_turn: bool,
    /// The number of the request that has begun to come in, if one has; else of the last one.
    request: u32,
    has_begun: bool,
    /// This deadline ended the input.
    pub(super) expired: Option<Deadline>,
    /// We told the peer that nothing more comes.
    pub(super) closed_write: bool,
    pub(crate) fate: Fate,
}

impl<T: PollIo> Core<T> {
    pub(crate) fn new(io: T, connection: Arc<Connection>, terms: Arc<Terms>) -> Self {
        Self::over(Wire::plain(io), connection, terms)
    }

    fn over(io: Wire<T>, connection: Arc<Connection>, terms: Arc<Terms>) -> Self {
        Self {
            io,
            input: Input::default(),
            output: None,
            slot: connection.slot.clone(),
            connection,
            terms,
            ended: false,
            shut: Woken::No,
            waits: false,
            has_turn: false,
            request: 0,
            has_begun: false,
            expired: None,
            closed_write: false,
            fate: Fate::default(),
        }
    }

    /// The terms of this connection alone.
    pub(crate) fn own_terms(&mut self) -> &mut Terms {
        Arc::make_mut(&mut self.terms)
    }

    /// The terms it is served on.
    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The transport underneath.
    pub(crate) fn io(&self) -> &T {
        self.io.raw()
    }

    /// The half that writes, for another thread; `io` is the same transport.
    pub(super) fn other_half(&self, io: T) -> Self {
        Self::over(self.io.other_half(io), self.connection.clone(), self.terms.clone())
    }

    pub(crate) fn buffered(&self) -> &[u8] {
        self.input.bytes()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Some bytes as they come; 0 is the end of input.
    #[inline]
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_on(cx, buf, false)
    }

    /// As [`poll_read`](Self::poll_read), for what has `begun`: a drain lets it come to its end.
    #[inline]
    fn poll_read_on(&mut self, cx: &mut Context<'_>, buf: &mut [u8], begun: bool) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.input.is_empty() {
            if buf.len() >= DIRECT {
                return self.poll_receive(cx, begun, Some(buf));
            }
            ready!(self.poll_receive(cx, begun, None))?;
        }
        let count = buf.len().min(self.buffered().len());
        buf[..count].copy_from_slice(&self.buffered()[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }

    /// Reads more into the buffer; 0 is the end of input.
    #[inline]
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_receive(cx, false, None)
    }

    /// The next packet, on transports that keep them apart, into `buf`: how long it is, of which `buf` may have the beginning
    /// alone. `None` is the end of input.
    #[inline]
    pub(crate) fn poll_receive_packet(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        self.io.expect_packet();
        self.poll_receive(cx, false, Some(buf)).map_ok(|_| self.io.packet())
    }

    /// From now on [`poll_receive_packet`](Self::poll_receive_packet) alone reads: at the close too a packet is one.
    pub(crate) fn expect_packets(&mut self) {
        self.io.expect_packet();
    }

    /// Reads more into the buffer, and waits for it no longer than `wait` says, beside the connection's own deadlines: `None`
    /// when that time is up. In the middle of what has `begun` a drain does not end it.
    #[cfg(feature = "websocket")]
    pub(crate) fn poll_fill_within(
        &mut self,
        cx: &mut Context<'_>,
        wait: Wait,
        begun: bool,
    ) -> Poll<io::Result<Option<usize>>> {
        let idle = self.input.is_empty() && !begun;
        match ready!(self.poll_receive_within(cx, wait, idle, None)) {
            Err(error) if is_deadline(&error) && self.expired.is_none() && !self.fate.is_peer_gone() => {
                self.fate.recover(Reason::Idle);
                Poll::Ready(Ok(None))
            }
            filled => Poll::Ready(filled.map(Some)),
        }
    }

    /// Fills what is left of `buf` behind the first `done` bytes. A drain lets what has `begun` come to its end.
    pub(crate) fn poll_read_exact(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        done: &mut usize,
        begun: bool,
    ) -> Poll<io::Result<()>> {
        while *done < buf.len() {
            let count = ready!(self.poll_read_on(cx, &mut buf[*done..], begun || *done > 0))?;
            if count == 0 {
                return Poll::Ready(Err(self
                    .fate
                    .cut_short(format!("the input ended after {done} of {} bytes", buf.len()))));
            }
            *done += count;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for `delimiter`, which the first `looked` buffered bytes do not hold. Tells how many bytes there are up to and
    /// with it; 0 at a clean end of input.
    #[inline]
    pub(crate) fn poll_find(
        &mut self,
        cx: &mut Context<'_>,
        delimiter: u8,
        max: usize,
        looked: &mut usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let bytes = self.buffered();
            if let Some(at) = memchr::memchr(delimiter, &bytes[*looked..]) {
                let end = *looked + at + 1;
                return Poll::Ready(if end > max { Err(too_long(max)) } else { Ok(end) });
            }
            *looked = bytes.len();
            if *looked >= max {
                return Poll::Ready(Err(too_long(max)));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                if *looked == 0 {
                    return Poll::Ready(Ok(0));
                }
                return Poll::Ready(Err(self.fate.cut_short(format!("the input ended {looked} bytes into a line"))));
            }
        }
    }

    /// As [`poll_find`](Self::poll_find), and takes them; `None` at a clean end of input.
    #[inline]
    pub(crate) fn poll_read_until(
        &mut self,
        cx: &mut Context<'_>,
        delimiter: u8,
        max: usize,
        looked: &mut usize,
    ) -> Poll<io::Result<Option<Vec<u8>>>> {
        let count = ready!(self.poll_find(cx, delimiter, max, looked))?;
        if count == 0 {
            return Poll::Ready(Ok(None));
        }
        let line = self.buffered()[..count].to_vec();
        self.consume(count);
        Poll::Ready(Ok(Some(line)))
    }

    /// As [`poll_find`](Self::poll_find), and takes them into `line`, which is empty; `false` at a clean end of input.
    #[inline]
    pub(crate) fn poll_read_until_into(
        &mut self,
        cx: &mut Context<'_>,
        delimiter: u8,
        max: usize,
        looked: &mut usize,
        line: &mut Vec<u8>,
    ) -> Poll<io::Result<bool>> {
        let count = ready!(self.poll_find(cx, delimiter, max, looked))?;
        line.extend_from_slice(&self.buffered()[..count]);
        self.consume(count);
        Poll::Ready(Ok(count > 0))
    }

    /// All to the end of input, onto `all`.
    pub(crate) fn poll_read_to_end(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        all: &mut Vec<u8>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.input.is_empty() && ready!(self.poll_receive(cx, !all.is_empty(), None))? == 0 {
                return Poll::Ready(Ok(()));
            }
            if self.buffered().len() > max - all.len() {
                let error = io::Error::new(io::ErrorKind::InvalidData, format!("more than {max} bytes of input"));
                return Poll::Ready(Err(error));
            }
            all.extend_from_slice(self.input.bytes());
            self.input.clear();
        }
    }

    #[inline]
    fn poll_receive(&mut self, cx: &mut Context<'_>, begun: bool, into: Option<&mut [u8]>) -> Poll<io::Result<usize>> {
        // A connection is idle when its handler waits with nothing left over. In the middle of a line it is busy.
        let idle = self.input.is_empty() && !begun;
        let wait = match self.terms.idle {
            Idle::Watched => Wait::For(None),
            Idle::Own(time) => Wait::For(time),
        };
        self.poll_receive_within(cx, wait, idle, into)
    }

    /// One read: into `into`, or into the buffer. A drain gives the end of input to one that is `idle`.
    #[inline]
    fn poll_receive_within(
        &mut self,
        cx: &mut Context<'_>,
        wait: Wait,
        idle: bool,
        into: Option<&mut [u8]>,
    ) -> Poll<io::Result<usize>> {
        // A wait that goes on, and is but looked at again, has gone on since it began.
        let since = self.end_wait();
        // Whoever waits for an answer must have seen the question.
        if self.poll_flush(cx)?.is_pending() {
            return self.poll_meanwhile(cx, into);
        }
        if self.slot.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        if let Some(deadline) = self.expired {
            return Poll::Ready(Err(self.fate.too_late(deadline)));
        }
        // What came in before the drain reached us is still answered.
        let wait = if T::WAITS_INSIDE && self.begin_wait(idle, wait, None) { Wait::Not } else { wait };
        let mut into = into;
        let mut result = self.poll_transport(cx, into.as_deref_mut(), wait);
        self.end_wait();
        if result.is_pending() {
            if self.shut == Woken::No && !self.begin_wait(idle, wait, since) {
                self.input.rest();
                return Poll::Pending;
            }
            // The input is over, but for what the transport has.
            self.end_wait();
            result = self.poll_transport(cx, into, Wait::Not);
        }
        result.map(|result| self.received(result))
    }

    /// The peer takes nothing at the moment. It may be one that does one thing after the other, so what it says is read; but
    /// the wait is one for it to listen.
    #[cold]
    fn poll_meanwhile(&mut self, cx: &mut Context<'_>, into: Option<&mut [u8]>) -> Poll<io::Result<usize>> {
        if self.output.is_some() || self.ended || self.expired.is_some() || self.shut != Woken::No {
            return Poll::Pending;
        }
        let read = self.poll_transport(cx, into, Wait::For(None));
        if read.is_pending() {
            self.input.rest();
        }
        read.map(|result| self.received(result))
    }

    /// Reads into `into`, or into the buffer.
    #[inline]
    pub(super) fn poll_transport(
        &mut self,
        cx: &mut Context<'_>,
        into: Option<&mut [u8]>,
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        if let Some(buf) = into {
            return self.io.poll_read(cx, buf, wait);
        }
        let read = self.io.poll_read(cx, self.input.room(), wait);
        if let Poll::Ready(Ok(count)) = read {
            self.input.fill(count);
        }
        read
    }

    /// The handler is about to wait, or goes on with what it waited for `since` then. Tells whether the server drains, so
    /// that it had better not.
    #[inline]
    pub(super) fn begin_wait(&mut self, idle: bool, wait: Wait, since: Option<u64>) -> bool {
        let epoch = match (wait, self.terms.idle) {
            (Wait::For(_) | Wait::Until(_), Idle::Watched) => since.unwrap_or_else(|| self.terms.handle.epoch()),
            _ => NEVER,
        };
        if idle == self.has_begun {
            self.mark_request(!idle);
        }
        self.waits = true;
        self.slot.begin_wait(!idle, epoch)
    }

    /// The wait is over, or given up. Tells since when it went on, if one did that can expire.
    #[inline]
    pub(super) fn end_wait(&mut self) -> Option<u64> {
        if !std::mem::take(&mut self.waits) {
            return None;
        }
        match self.slot.end_wait() {
            (Woken::No, since) => Some(since).filter(|since| *since != NEVER),
            (woken, _) => {
                self.shut = woken;
                None
            }
        }
    }

    /// Something else than the peer has ended the input.
    pub(super) fn is_woken(&self) -> bool {
        self.shut != Woken::No
    }

    /// Whoever waited, to read or to write, has given up.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn forget_waits(&mut self) {
        self.end_wait();
        self.io.forget_waits();
    }

    /// Whether a request has begun and is not there yet.
    #[cold]
    fn mark_request(&mut self, begun: bool) {
        if begun {
            self.request = self.request.wrapping_add(1).max(1);
            self.has_begun = true;
            // Of all connections none has the number of another.
            self.slot.begin_request(self.connection.id << 24 | u64::from(self.request & 0xff_ffff));
        } else {
            self.has_begun = false;
            self.slot.end_request();
        }
    }

    #[inline]
    fn received(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        if self.slot.is_cut() {
            return Err(self.cut_off());
        }
        match result {
            Ok(0) if self.io.packet().is_some() => {
                self.fate.recover(Reason::Idle);
                Ok(0)
            }
            Ok(0) if self.shut == Woken::No => {
                self.ended = true;
                Ok(0)
            }
            Ok(0) => self.input_is_over(),
            Ok(count) => {
                self.slot.add_read(count);
                self.fate.recover(Reason::Idle);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.input_is_over(),
            #[cfg(feature = "tls")]
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.io.tls().is_some() => {
                if self.shut == Woken::No { Err(self.input_broke_off()) } else { self.input_is_over() }
            }
            Err(error) if is_deadline(&error) => Err(self.fate.too_late(Deadline::Idle)),
            // Somebody has something for the peer.
            Err(error) if T::WAITS_INSIDE && error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.fate.disconnected(error)),
        }
    }

    /// A deadline or the drain has ended the input, and all that had come in is read.
    fn input_is_over(&mut self) -> io::Result<usize> {
        if let Woken::ByDeadline(deadline) = self.shut {
            self.expired = Some(deadline);
            return Err(self.fate.too_late(deadline));
        }
        self.ended = true;
        self.fate.drained();
        Ok(0)
    }

    /// The transport has ended, and the peer had not said that it would (RFC 8446, section 6.1): somebody else may have cut
    /// off what it said last.
    #[cfg(feature = "tls")]
    #[cold]
    fn input_broke_off(&mut self) -> io::Error {
        self.ended = true;
        self.fate.cut_short("the connection ended without a TLS close_notify: what came may not be all".to_owned())
    }

    /// What wakes a wait for input on the blocking engine; see [`PollIo::waker`].
    #[inline]
    pub(crate) fn waker(&mut self) -> io::Result<Option<Waker>> {
        self.io.waker()
    }

    /// The error that every call gives once the connection was cut.
    pub(crate) fn cut_off(&mut self) -> io::Error {
        self.fate.cut_off(self.slot.cut_by())
    }
}

/// Whether the wait took too long. ETIMEDOUT of the transport has a number, and is a peer that is gone.
pub(super) fn is_deadline(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

fn too_long(max: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a line longer than the limit of {max} bytes"))
}
