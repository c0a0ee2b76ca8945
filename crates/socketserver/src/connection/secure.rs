//! TLS over a transport: rustls does the cryptography and the protocol and knows no sockets; this moves its bytes. Once, for
//! every engine.

use super::input::Input;
use super::{PollIo, Wait, pool};
use crate::clock;
use rustls::{Connection, IoState};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

/// One end of a TLS connection.
pub(crate) struct Secure {
    /// Two threads may share it, a half each. Nobody waits for the peer while it is locked.
    session: Arc<Mutex<Connection>>,
    /// What the peer sent and rustls has not taken yet.
    incoming: Input,
    outgoing: Outgoing,
    /// Where a read of so long a patience is to end that has got something, but not yet a whole record.
    until: Option<Instant>,
    /// What is wrong with what the peer sent, which is told behind what was not.
    broken: Option<io::Error>,
    said_goodbye: bool,
    is_half: bool,
}

/// Records that are ready to leave, and how much of them has left.
#[derive(Debug, Default)]
struct Outgoing {
    #[expect(clippy::box_collection, reason = "it is seldom there, and each connection has room for it")]
    records: Option<Box<Vec<u8>>>,
    sent: usize,
    /// The tasks that wait for them to leave. There may be two, where one writes and another reads, for which they have to
    /// leave as well; and a socket wakes one alone.
    waiting: Vec<Waker>,
}

/// Wakes several tasks.
struct All(Vec<Waker>);

impl Wake for All {
    fn wake(self: Arc<Self>) {
        self.0.iter().for_each(Waker::wake_by_ref);
    }
}

impl Outgoing {
    /// Takes what rustls has for the peer.
    fn take_from(&mut self, session: &mut Connection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut **self.records.get_or_insert_with(pool::take_output))?;
        }
        Ok(())
    }

    /// Sends all of it.
    fn poll_send<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        stall: Option<Duration>,
    ) -> Poll<io::Result<()>> {
        while let Some(records) = &self.records {
            let mut others = self.waiting.iter().filter(|waker| !waker.will_wake(cx.waker())).peekable();
            let written = if others.peek().is_none() {
                raw.poll_write(cx, &records[self.sent..], stall)
            } else {
                let all: Vec<_> = others.cloned().chain([cx.waker().clone()]).collect();
                let all = Waker::from(Arc::new(All(all)));
                raw.poll_write(&mut Context::from_waker(&all), &records[self.sent..], stall)
            };
            let len = records.len();
            if written.is_pending() {
                self.wait(cx.waker());
            }
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.sent += count,
                Err(error) => {
                    // Whoever has waited for long enough may come back, and goes on in the middle of a record.
                    if error.kind() != io::ErrorKind::TimedOut {
                        self.clear();
                    }
                    return Poll::Ready(Err(error));
                }
            }
            if self.sent == len {
                self.clear();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// This task waits, and at most one other. One too many may have given up; if not, it comes back.
    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            if self.waiting.len() == 2 {
                self.waiting.remove(0).wake();
            }
            self.waiting.push(waker.clone());
        }
    }

    fn clear(&mut self) {
        self.sent = 0;
        // One of them has sent it, and knows.
        if self.waiting.len() > 1 {
            self.waiting.iter().for_each(Waker::wake_by_ref);
        }
        self.waiting.clear();
        if let Some(records) = self.records.take() {
            pool::give_output(records);
        }
    }
}

impl Secure {
    /// A handshake that is to begin, with what the peer has sent of it already.
    pub(crate) fn new(session: impl Into<Connection>, incoming: Input) -> Self {
        Self::over(Arc::new(Mutex::new(session.into())), incoming, false)
    }

    /// For the thread that writes.
    pub(super) fn other_half(&self) -> Self {
        Self::over(self.session.clone(), Input::default(), true)
    }

    fn over(session: Arc<Mutex<Connection>>, incoming: Input, is_half: bool) -> Self {
        let outgoing = Outgoing::default();
        Self { session, incoming, outgoing, until: None, broken: None, said_goodbye: false, is_half }
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, Connection> {
        lock(&self.session)
    }

    pub(super) fn poll_handshake<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        until: Option<Instant>,
    ) -> Poll<io::Result<()>> {
        loop {
            let stall = until.map(|until| until.saturating_duration_since(clock::now()));
            ready!(self.poll_flush(raw, cx, stall))?;
            if !self.session().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.incoming.is_empty() {
                let wait = until.map_or(Wait::For(None), Wait::Until);
                if ready!(self.poll_receive(raw, cx, wait))? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            if let Err(error) = self.take_in() {
                return Poll::Ready(Err(self.tell_why(raw, cx, error)));
            }
        }
    }

    pub(super) fn poll_read<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        loop {
            let read = self.session().reader().read(&mut buf[filled..]);
            let is_over = match read {
                Ok(count) => {
                    filled += count;
                    count == 0 || filled == buf.len()
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => {
                    self.until = None;
                    return Poll::Ready(Err(error));
                }
            };
            // All that is there, where there is room for it: of a record alone each write would be a small one.
            if is_over || (filled > 0 && self.incoming.is_empty()) {
                self.until = None;
                return Poll::Ready(Ok(filled));
            }
            if let Some(error) = self.broken.take() {
                return Poll::Ready(Err(self.tell_why(raw, cx, error)));
            }
            if self.outgoing.records.is_some() {
                self.send_aside(raw, cx);
            }
            if self.incoming.is_empty() {
                // However slowly a record comes, it is one wait.
                let wait = if wait == Wait::Not { wait } else { self.until.map_or(wait, Wait::Until) };
                match ready!(self.poll_receive(raw, cx, wait)) {
                    Ok(_) => {}
                    Err(error) => {
                        self.until = None;
                        return Poll::Ready(Err(error));
                    }
                }
                if let (Wait::For(Some(patience)), None) = (wait, self.until) {
                    self.until = clock::now().checked_add(patience);
                }
            }
            match self.take_in() {
                // Nobody need write before the handler has read.
                Ok(state) if state.tls_bytes_to_write() > 0 => self.send_aside(raw, cx),
                Ok(_) => {}
                Err(error) => {
                    // What came before that was whole.
                    self.incoming.clear();
                    self.broken = Some(error);
                }
            }
        }
    }

    /// Whoever waited has given up: what comes next is a wait of its own.
    pub(super) fn forget_waits(&mut self) {
        self.until = None;
    }

    /// Records of these bytes, or some of them, and sends as much as goes.
    pub(super) fn poll_write<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        buf: &[u8],
        stall: Option<Duration>,
    ) -> Poll<io::Result<usize>> {
        if self.said_goodbye {
            let words = "this side has said goodbye, and the peer takes nothing after that";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, words)));
        }
        ready!(self.outgoing.poll_send(raw, cx, stall))?;
        let count = {
            let mut session = lock(&self.session);
            let count = session.writer().write(buf)?;
            self.outgoing.take_from(&mut session)?;
            count
        };
        if count > 0 && self.outgoing.records.is_none() {
            // Of TLS 1.2 there are no new keys: rustls has said goodbye before, and takes what it drops.
            let words = "as much was sent as the keys of this connection are good for";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, words)));
        }
        match self.outgoing.poll_send(raw, cx, stall) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What is left waits for a flush.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    pub(super) fn poll_flush<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        stall: Option<Duration>,
    ) -> Poll<io::Result<()>> {
        if self.outgoing.records.is_none() && !self.is_reading_half() {
            let mut session = lock(&self.session);
            self.outgoing.take_from(&mut session)?;
        }
        self.outgoing.poll_send(raw, cx, stall)
    }

    /// Tells the peer that nothing more comes (`close_notify`, RFC 8446, section 6.1).
    pub(super) fn poll_goodbye<T: PollIo>(
        &mut self,
        raw: &mut T,
        cx: &mut Context<'_>,
        stall: Option<Duration>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.session().send_close_notify();
        }
        ready!(self.outgoing.poll_send(raw, cx, stall))?;
        self.poll_flush(raw, cx, stall)
    }

    fn poll_receive<T: PollIo>(&mut self, raw: &mut T, cx: &mut Context<'_>, wait: Wait) -> Poll<io::Result<usize>> {
        let received = raw.poll_read(cx, self.incoming.room(), wait);
        match received {
            Poll::Ready(Ok(count)) => self.incoming.fill(count),
            // While it waits it holds no buffer.
            _ => self.incoming.rest(),
        }
        received
    }

    /// Gives rustls some of what came in; if nothing did, the end of input.
    fn take_in(&mut self) -> io::Result<IoState> {
        let mut session = lock(&self.session);
        let mut bytes = self.incoming.bytes();
        let count = session.read_tls(&mut bytes)?;
        self.incoming.consume(count);
        session.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Sends as much as goes at once of what rustls itself has to say: an answer to the peer's wish to shake hands again, or an
    /// alert. Where that is not all, the rest leaves before anything else.
    #[cold]
    fn send_aside<T: PollIo>(&mut self, raw: &mut T, cx: &mut Context<'_>) {
        // A wait on this thread would be one for the peer, and a task is woken when more goes.
        let stall = T::WAITS_INSIDE.then_some(Duration::ZERO);
        // Whether there is anybody is found out by whoever reads.
        let _ = self.poll_flush(raw, cx, stall);
    }

    /// Whether another thread writes, which may be in the middle of a record: it takes along what there is to say.
    fn is_reading_half(&self) -> bool {
        !self.is_half && Arc::strong_count(&self.session) > 1
    }

    /// The peer is told by an alert what is wrong, if it takes that at once.
    #[cold]
    fn tell_why<T: PollIo>(&mut self, raw: &mut T, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        self.incoming.clear();
        self.said_goodbye = true;
        self.send_aside(raw, cx);
        error
    }
}

fn lock(session: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A certificate's callbacks are the only code under it that is not rustls' own.
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secure")
    }
}
