use super::facts::{facts, text_of_line};
#[cfg(feature = "tls")]
use super::now;
use super::{Core, SyncIo, now_poll};
use crate::engine::Conn;
use crate::framing::Framing;
use crate::message::SyncMessages as Messages;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A blocking connection, buffered: TCP and Unix sockets alike, on the server's side and on the client's.
///
/// **Reading** waits at most for the idle deadline (60 s by default), then fails with `TimedOut`. Every helper is
/// bounded, so no peer can make memory grow. While the server drains, a read that would wait for the next request gives
/// the end of input instead.
///
/// **Writing** takes everything or fails. Bytes leave at once, unless input that was read waits to be handled: then
/// replies gather (to 64 KiB) and leave in one piece when the input is used up, at [`flush`](Self::flush), at the next
/// wait, or at the end. (On the client's side nothing is gathered.) A write that makes no progress for the write deadline (30 s by default) fails with `TimedOut`.
///
/// It implements [`Read`](io::Read), [`BufRead`](io::BufRead) and [`Write`](io::Write) as well.
///
/// ```
/// use socketserver::{Server, Threads, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), |c: &mut blocking::Stream| {
///     while let Some(line) = c.read_line(1024)? {
///         c.write_all(format!("{} bytes\n", line.len()).as_bytes())?;
///     }
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"hello\n")?;
/// assert_eq!(c.read_line(1024)?.as_deref(), Some("5 bytes"));
/// drop(c);
/// server.handle().shutdown();
/// server.join()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Stream {
    core: Core<SyncIo>,
}

impl Stream {
    /// Some bytes as they come, at least one; 0 is the end of input.
    ///
    /// # Errors
    /// `TimedOut` at the idle deadline, `ConnectionReset` and its like when the peer is gone, `ConnectionAborted` when
    /// the server has cut the connection. So for all reads.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        now_poll(|cx| self.core.poll_read(cx, buf))
    }

    /// Fills all of `buf`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the input ends before.
    pub fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        now_poll(|cx| self.core.poll_read_exact(cx, buf, &mut 0, false))
    }

    /// As [`read_exact`](Self::read_exact), for an answer that the peer was asked for: in the middle of an exchange, so that a
    /// drain does not end it before that has begun to come in.
    ///
    /// # Errors
    /// As [`read_exact`](Self::read_exact).
    pub fn read_answer(&mut self, buf: &mut [u8]) -> io::Result<()> {
        now_poll(|cx| self.core.poll_read_exact(cx, buf, &mut 0, true))
    }

    /// All bytes up to and with `delimiter`, at most `max`; `None` when the input ends before the first.
    ///
    /// # Errors
    /// `InvalidData` when `max` bytes hold no delimiter (they stay unread), `UnexpectedEof` when the input ends before
    /// it.
    pub fn read_until(&mut self, delimiter: u8, max: usize) -> io::Result<Option<Vec<u8>>> {
        now_poll(|cx| self.core.poll_read_until(cx, delimiter, max, &mut 0))
    }

    /// As [`read_until`](Self::read_until), in place of what is in `line`: for one buffer that serves many lines.
    /// `false` when the input ends before the first byte.
    ///
    /// # Errors
    /// As [`read_until`](Self::read_until); `line` is then empty.
    pub fn read_until_into(&mut self, delimiter: u8, max: usize, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        now_poll(|cx| self.core.poll_read_until_into(cx, delimiter, max, &mut 0, line))
    }

    /// A line of UTF-8 text without its line end (LF or CRLF), which counts toward `max`; `None` at the end of input.
    ///
    /// # Errors
    /// As [`read_until`](Self::read_until), and `InvalidData` for bytes that are not UTF-8.
    pub fn read_line(&mut self, max: usize) -> io::Result<Option<String>> {
        self.read_until(b'\n', max)?.map(text_of_line).transpose()
    }

    /// As [`read_line`](Self::read_line), in place of what is in `line`. `false` at the end of input.
    ///
    /// # Errors
    /// As [`read_line`](Self::read_line); `line` is then empty.
    pub fn read_line_into(&mut self, max: usize, line: &mut String) -> io::Result<bool> {
        let mut bytes = std::mem::take(line).into_bytes();
        let found = self.read_until_into(b'\n', max, &mut bytes)?;
        *line = text_of_line(bytes)?;
        Ok(found)
    }

    /// All bytes to the end of input, at most `max`.
    ///
    /// # Errors
    /// `InvalidData` when there are more.
    pub fn read_to_end(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        now_poll(|cx| self.core.poll_read_to_end(cx, max, &mut all))?;
        Ok(all)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// `TimedOut` at the write deadline, `BrokenPipe` and its like when the peer is gone, `ConnectionAborted` when the
    /// server has cut the connection. After an error it is not known how much the peer got.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        now_poll(|cx| self.core.poll_write_all(cx, &mut bytes))
    }

    /// Sends what was gathered, now. Needed only before work of your own that takes a while.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn flush(&mut self) -> io::Result<()> {
        now_poll(|cx| self.core.poll_flush(cx))
    }

    /// Half-close: the peer sees the end of our output and may go on sending. Writing after it fails.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all), and `NotConnected` when the peer is gone.
    pub fn close_write(&mut self) -> io::Result<()> {
        now_poll(|cx| self.core.poll_close_write(cx))
    }

    /// Whole messages in place of bytes, for a stream of one's own: that of a client.
    #[must_use]
    pub fn into_framed<C: Framing>(self, framing: C) -> Messages<C> {
        Messages::new(self, framing)
    }

    /// Whole messages in place of bytes. What is to be known of the stream between two of them is in it: one serves the
    /// conversation, to its end or to where messages end.
    ///
    /// ```
    /// use socketserver::framing::LengthPrefix;
    /// use socketserver::{Serial, Server, blocking, client};
    ///
    /// // A word, then messages.
    /// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
    ///     c.read_line(100)?;
    ///     let mut c = c.framed(LengthPrefix::u16_be());
    ///     while let Some(message) = c.recv()? {
    ///         c.send(&message.to_ascii_uppercase())?;
    ///     }
    ///     Ok(())
    /// })?;
    /// let mut c = client::connect(&server.handle().endpoints()[0])?;
    /// c.write_all(b"messages, please\n")?;
    /// let mut c = c.into_framed(LengthPrefix::u16_be());
    /// c.send(b"hello")?;
    /// assert_eq!(c.recv()?.as_deref(), Some(&b"HELLO"[..]));
    /// # drop(c);
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn framed<C: Framing>(&mut self, framing: C) -> Messages<C, &mut Self> {
        Messages::new(self, framing)
    }

    facts!();

    /// Two halves, so that one thread reads while another writes. What was read already goes with the reading half,
    /// what was gathered is sent.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn split(self) -> io::Result<(ReadHalf, WriteHalf)> {
        let (read, write) = self.into_two()?;
        Ok((ReadHalf(read), WriteHalf(write)))
    }

    /// STARTTLS: from now on the connection is TLS, of which this is the server's end, with the certificates of
    /// [`Server::tls`](crate::Server::tls). Call it once the peer has been told to begin. It waits as long as
    /// [`Server::handshake`](crate::Server::handshake) says; then [`tls`](Self::tls) and
    /// [`Peer::identity`](crate::Peer::identity) tell what was agreed.
    ///
    /// # Errors
    /// `Unsupported` without certificates, `InvalidInput` on a connection that is TLS already, `InvalidData` when the
    /// peer went on in plain words behind its wish for TLS (RFC 3207, section 6) or shakes hands wrongly, `TimedOut` at the
    /// deadline. The connection is of no use then.
    #[cfg(feature = "tls")]
    pub fn start_tls(&mut self) -> io::Result<()> {
        self.flush()?;
        now(self.core.upgrade())
    }

    /// STARTTLS at the client's end: from now on the connection is TLS with the server of this name, or of this address. Call it
    /// once the server has said that it begins.
    ///
    /// # Errors
    /// As [`start_tls`](Self::start_tls), and what is wrong with the name or the files of `tls`.
    #[cfg(feature = "tls")]
    pub fn start_tls_as_client(&mut self, tls: &crate::client::ClientTls, server_name: &str) -> io::Result<()> {
        self.flush()?;
        now(self.core.upgrade_as_client(tls, server_name))
    }

    /// One to read, with what was read already, and one to write.
    pub(crate) fn into_two(mut self) -> io::Result<(Self, Self)> {
        self.flush()?;
        let write = self.core.other_half(SyncIo::new(&self.core.connection));
        Ok((self, Self { core: write }))
    }
}

impl Conn for Stream {
    type Io = SyncIo;

    fn new(core: Core<SyncIo>) -> Self {
        Self { core }
    }

    fn core(&mut self) -> &mut Core<SyncIo> {
        &mut self.core
    }
}

impl io::Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buf)
    }
}

impl io::BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.core.buffered().is_empty() {
            now_poll(|cx| self.core.poll_fill(cx))?;
        }
        Ok(self.core.buffered())
    }

    fn consume(&mut self, count: usize) {
        self.core.consume(count);
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write_all(self, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

/// The socket, for options and for `poll(2)`. Reading or writing it directly loses what is buffered.
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.io().as_fd()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id()).field("peer", self.peer()).finish_non_exhaustive()
    }
}

/// The half of a [`Stream`] that reads; [`Stream::split`] makes it.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// use std::io::{BufRead, Write};
///
/// # let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
/// #     while let Some(line) = c.read_line(1024)? {
/// #         c.write_all(format!("{}\n", line.to_uppercase()).as_bytes())?;
/// #     }
/// #     Ok(())
/// # })?;
/// // From a server that answers each line in upper case.
/// let (read, mut write) = client::connect(&server.handle().endpoints()[0])?.split()?;
/// let writer = std::thread::spawn(move || {
///     write.write_all(b"one\ntwo\n")?;
///     write.close()
/// });
/// let lines: Vec<String> = read.lines().collect::<Result<_, _>>()?;
/// assert_eq!(lines, ["ONE", "TWO"]);
/// # writer.join().unwrap()?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct ReadHalf(Stream);

impl io::Read for ReadHalf {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl io::BufRead for ReadHalf {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

/// The half of a [`Stream`] that writes.
///
/// Dropping it does not tell the peer: the connection stays open for the other half. [`close`](Self::close) does.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// use std::io::{Read, Write};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
///     let all = c.read_to_end(1024)?;
///     Ok(c.write_all(format!("{} bytes", all.len()).as_bytes())?)
/// })?;
/// let (mut read, mut write) = client::connect(&server.handle().endpoints()[0])?.split()?;
/// write.write_all(b"hello")?;
/// write.close()?;
/// assert_eq!(std::io::read_to_string(&mut read)?, "5 bytes");
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct WriteHalf(Stream);

impl WriteHalf {
    /// Half-close: the peer sees the end of our output.
    ///
    /// # Errors
    /// As [`Stream::close_write`].
    pub fn close(mut self) -> io::Result<()> {
        self.0.close_write()
    }
}

impl io::Write for WriteHalf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
