//! Buffers, deadlines, counters, the end of a connection: once, for every engine.

use super::input::Input;
use super::{Connection, PollIo, Reason, Wait};
use crate::lifecycle::Handle;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Beyond this much gathered output a write waits for the peer to take it.
const GATHER: usize = 64 * 1024;
/// A read into a buffer at least this long goes straight into it.
const DIRECT: usize = 4 * 1024;
/// At close the peer's last words are read and dropped, so that they do not reset the connection and take our last
/// reply with them: for this long and this much at most.
const READ_OUT_TIME: Duration = Duration::from_secs(1);
const READ_OUT_BYTES: usize = 256 * 1024;

/// The deadlines of a connection. `None` is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// While the handler waits for the peer.
    pub(crate) idle: Option<Duration>,
    /// While a write makes no progress.
    pub(crate) write: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle: Some(Duration::from_secs(60)), write: Some(Duration::from_secs(30)) }
    }
}

/// What is inside a `Stream`. Not part of the public interface.
#[derive(Debug)]
pub struct Core<T> {
    io: T,
    input: Input,
    output: Vec<u8>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) handle: Handle,
    pub(crate) limits: Limits,
    /// No more input comes: from the peer, or because the server drains.
    ended: bool,
    /// We told the peer that nothing more comes.
    closed_write: bool,
    /// Why it will have ended, as seen by the calls that saw it.
    pub(crate) reason: Option<Reason>,
}

impl<T: PollIo> Core<T> {
    pub(crate) fn new(io: T, connection: Arc<Connection>, handle: Handle, limits: Limits) -> Self {
        Self {
            io,
            input: Input::default(),
            output: Vec::new(),
            connection,
            handle,
            limits,
            ended: false,
            closed_write: false,
            reason: None,
        }
    }

    pub(crate) fn buffered(&self) -> &[u8] {
        self.input.bytes()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Some bytes as they come; 0 is the end of input.
    #[inline]
    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.input.is_empty() {
            if buf.len() >= DIRECT {
                return poll_fn(|cx| self.poll_receive(cx, Some(&mut *buf))).await;
            }
            self.fill().await?;
        }
        let count = buf.len().min(self.buffered().len());
        buf[..count].copy_from_slice(&self.buffered()[..count]);
        self.consume(count);
        Ok(count)
    }

    /// Reads more into the buffer; 0 is the end of input.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_receive(cx, None)).await
    }

    pub(crate) async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let count = self.read(&mut buf[done..]).await?;
            if count == 0 {
                return Err(self.cut_short(format!("the input ended after {done} of {} bytes", buf.len())));
            }
            done += count;
        }
        Ok(())
    }

    /// All up to and with `delimiter`; `None` at a clean end of input.
    pub(crate) async fn read_until(&mut self, delimiter: u8, max: usize) -> io::Result<Option<Vec<u8>>> {
        let mut looked = 0;
        loop {
            let bytes = self.buffered();
            if let Some(at) = memchr::memchr(delimiter, &bytes[looked..]) {
                let end = looked + at + 1;
                if end > max {
                    return Err(too_long(max));
                }
                let line = bytes[..end].to_vec();
                self.consume(end);
                return Ok(Some(line));
            }
            looked = bytes.len();
            if looked >= max {
                return Err(too_long(max));
            }
            if self.fill().await? == 0 {
                if looked == 0 {
                    return Ok(None);
                }
                return Err(self.cut_short(format!("the input ended {looked} bytes into a line")));
            }
        }
    }

    /// All to the end of input.
    pub(crate) async fn read_to_end(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            if self.input.is_empty() && self.fill().await? == 0 {
                return Ok(all);
            }
            if self.buffered().len() > max - all.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {max} bytes of input")));
            }
            all.extend_from_slice(self.input.bytes());
            self.input.consume(usize::MAX / 2);
        }
    }

    /// Takes all of it: sends at once, or gathers while more input waits to be answered.
    #[inline]
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed_write {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "this side has said that nothing more comes"));
        }
        // On the client's side nobody is sure to come back for what was gathered.
        let gathers = !self.input.is_empty() && self.connection.is_served();
        if self.output.is_empty() && (!gathers || bytes.len() >= GATHER) {
            return self.send(bytes).await;
        }
        self.output.extend_from_slice(bytes);
        if !gathers || self.output.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    /// Sends what was gathered.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        // After an error nothing is sent a second time: what reached the peer is not known.
        let result = self.send(&output).await;
        output.clear();
        if output.capacity() <= 2 * GATHER {
            self.output = output;
        }
        result
    }

    #[inline]
    async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = poll_fn(|cx| self.poll_send(cx, bytes)).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Half-close: the peer sees the end of our output, and may go on sending.
    pub(crate) async fn close_write(&mut self) -> io::Result<()> {
        let flushed = self.flush().await;
        if !self.closed_write {
            self.closed_write = true;
            poll_fn(|cx| self.io.poll_shutdown(cx)).await?;
        }
        flushed
    }

    /// The end of a connection that the handler is through with: flush, half-close, read out what remains.
    ///
    /// Nothing in it is an error any more; a reply that could not be sent is recorded as the reason.
    pub(crate) async fn close(&mut self) {
        let lost = matches!(self.reason, Some(Reason::Disconnected | Reason::WriteTimeout | Reason::Aborted));
        if lost || self.connection.slot.is_cut() || self.flush().await.is_err() {
            return;
        }
        let no_more = self.ended || self.reason == Some(Reason::Idle);
        if no_more {
            // Closing the socket says all that a half-close would.
            return;
        }
        if self.close_write().await.is_err() {
            return;
        }
        let before = self.reason;
        let until = Instant::now() + READ_OUT_TIME;
        let mut left = READ_OUT_BYTES;
        while left > 0 {
            self.input.consume(usize::MAX / 2);
            match poll_fn(|cx| self.poll_receive_within(cx, Wait::Until(until), false, None)).await {
                Ok(1..) => left = left.saturating_sub(self.buffered().len()),
                Ok(0) | Err(_) => break,
            }
        }
        // The conversation was over: what happened to the rest of its input says nothing about it.
        self.reason = before;
    }

    #[inline]
    fn poll_receive(&mut self, cx: &mut Context<'_>, into: Option<&mut [u8]>) -> Poll<io::Result<usize>> {
        // A connection is idle when its handler waits with nothing left over. In the middle of a line it is busy.
        let idle = self.input.is_empty();
        self.poll_receive_within(cx, Wait::For(self.limits.idle), idle, into)
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
        // Whoever waits for an answer must have seen the question.
        ready!(self.poll_flush(cx))?;
        if self.connection.slot.is_cut() {
            return Poll::Ready(Err(self.aborted()));
        }
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let slot = &self.connection.slot;
        let wait = if idle {
            slot.begin_wait();
            // What came in before the drain reached us is still answered.
            if self.handle.is_stopping() { Wait::Not } else { wait }
        } else {
            wait
        };
        let buffer = into.is_none();
        let buf = match into {
            Some(buf) => buf,
            None => self.input.room(),
        };
        let result = ready!(self.io.poll_read(cx, buf, wait));
        if let (true, Ok(count)) = (buffer, &result) {
            self.input.fill(*count);
        }
        let woken = idle && self.connection.slot.end_wait();
        Poll::Ready(self.received(result, woken, wait))
    }

    #[inline]
    fn received(&mut self, result: io::Result<usize>, woken: bool, wait: Wait) -> io::Result<usize> {
        if self.connection.slot.is_cut() {
            return Err(self.aborted());
        }
        match result {
            Ok(0) => {
                self.ended = true;
                if woken {
                    self.reason = Some(Reason::Drained);
                }
                Ok(0)
            }
            Ok(count) => {
                self.connection.slot.add_read(count);
                self.recover(Reason::Idle);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && wait == Wait::Not => {
                self.ended = true;
                self.reason = Some(Reason::Drained);
                Ok(0)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // ETIMEDOUT of the transport has a number, and is a peer that is gone.
                if error.raw_os_error().is_some() {
                    return Err(self.disconnected(error));
                }
                self.reason = Some(Reason::Idle);
                Err(io::Error::new(io::ErrorKind::TimedOut, "the idle deadline passed: the peer sent nothing"))
            }
            Err(error) => Err(self.disconnected(error)),
        }
    }

    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.connection.slot.is_cut() {
            return Poll::Ready(Err(self.aborted()));
        }
        let result = ready!(self.io.poll_write(cx, bytes, self.limits.write));
        Poll::Ready(match result {
            Ok(0) => Err(self.disconnected(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                self.connection.slot.add_written(count);
                self.recover(Reason::WriteTimeout);
                Ok(count)
            }
            Err(_) if self.connection.slot.is_cut() => Err(self.aborted()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() => {
                self.reason = Some(Reason::WriteTimeout);
                Err(io::Error::new(io::ErrorKind::TimedOut, "the write deadline passed: the peer takes nothing"))
            }
            Err(error) => Err(self.disconnected(error)),
        })
    }

    /// As [`flush`](Self::flush), inside a read.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let output = std::mem::take(&mut self.output);
            let sent = self.poll_send(cx, &output);
            self.output = output;
            match ready!(sent) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) => {
                    self.output.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A deadline passed and the handler went on all the same: it is no longer why the connection ends.
    fn recover(&mut self, from: Reason) {
        if self.reason == Some(from) {
            self.reason = None;
        }
    }

    fn aborted(&mut self) -> io::Error {
        self.reason = Some(Reason::Aborted);
        io::Error::new(io::ErrorKind::ConnectionAborted, "the server cut this connection: the drain's deadline passed")
    }

    fn disconnected(&mut self, error: io::Error) -> io::Error {
        self.reason = Some(Reason::Disconnected);
        error
    }

    fn cut_short(&mut self, text: String) -> io::Error {
        // A drain that met the middle of a message stays the reason.
        self.reason.get_or_insert(Reason::Disconnected);
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }
}

fn too_long(max: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a line longer than the limit of {max} bytes"))
}
