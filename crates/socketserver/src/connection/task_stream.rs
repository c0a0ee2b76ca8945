use super::facts::{facts, text_of_line};
use super::{Core, TaskIo};
use crate::engine::Conn;
use crate::framing::Framing;
use crate::lifecycle::UntilDraining;
use crate::message::Messages;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// An async connection, buffered: TCP, Unix sockets and transports of your own alike.
///
/// **Reading** waits at most for the idle deadline (60 s by default), then fails with `TimedOut`. Every helper is
/// bounded, so no peer can make memory grow. While the server drains, a read that would wait for the next request gives
/// the end of input instead. While it waits, a connection holds no buffer.
///
/// **Writing** takes everything or fails. Bytes leave at once, unless input that was read waits to be handled: then
/// replies gather (to 64 KiB) and leave in one piece when the input is used up, at [`flush`](Self::flush), at the next
/// wait, or at the end. Before it sends, a write gives way once to the shard's other connections. One that makes no
/// progress for the write deadline (30 s by default) fails with `TimedOut`.
///
/// **Cancelling**: a read whose future is dropped has taken nothing, except [`read_exact`](Self::read_exact),
/// [`read_answer`](Self::read_answer) and [`read_to_end`](Self::read_to_end), which lose what they had. Of a write whose future is
/// dropped it is not known how much the peer gets. [`flush`](Self::flush) and [`close_write`](Self::close_write) lose nothing:
/// begin them again.
///
/// It stays on its shard: it need not be `Send`, and neither need a handler's future. It implements tokio's [`AsyncRead`],
/// [`AsyncBufRead`] and [`AsyncWrite`] as well.
///
/// ```
/// use socketserver::{Server, Stream, Tasks, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), async |c: &mut Stream| {
///     while let Some(line) = c.read_line(1024).await? {
///         c.write_all(format!("{} bytes\n", line.len()).as_bytes()).await?;
///     }
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"hello\n")?;
/// assert_eq!(c.read_line(1024)?.as_deref(), Some("5 bytes"));
/// drop(c);
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Stream {
    core: Core<TaskIo>,
}

/// A call that goes on. When its future is dropped nobody waits any more.
pub(crate) struct Call<'a>(pub(crate) &'a mut Core<TaskIo>);

impl Deref for Call<'_> {
    type Target = Core<TaskIo>;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl DerefMut for Call<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0
    }
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.forget_waits();
    }
}

// Those of the calls that handlers make for each message return the future itself rather than be `async fn`: what those
// are given would lie in the future twice, and be moved each time.
impl Stream {
    /// Some bytes as they come, at least one; 0 is the end of input.
    ///
    /// # Errors
    /// `TimedOut` at the idle deadline, `ConnectionReset` and its like when the peer is gone, `ConnectionAborted` when
    /// the server has cut the connection. So for all reads.
    pub fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        let mut call = Call(&mut self.core);
        poll_fn(move |cx| call.poll_read(cx, buf))
    }

    /// Fills all of `buf`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the input ends before.
    pub fn read_exact(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<()>> {
        let (mut call, mut done) = (Call(&mut self.core), 0);
        poll_fn(move |cx| call.poll_read_exact(cx, buf, &mut done, false))
    }

    /// As [`read_exact`](Self::read_exact), for an answer that the peer was asked for: in the middle of an exchange, so that a
    /// drain does not end it before that has begun to come in.
    ///
    /// # Errors
    /// As [`read_exact`](Self::read_exact).
    pub fn read_answer(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<()>> {
        let (mut call, mut done) = (Call(&mut self.core), 0);
        poll_fn(move |cx| call.poll_read_exact(cx, buf, &mut done, true))
    }

    /// All bytes up to and with `delimiter`, at most `max`; `None` when the input ends before the first.
    ///
    /// # Errors
    /// `InvalidData` when `max` bytes hold no delimiter (they stay unread), `UnexpectedEof` when the input ends before
    /// it.
    pub fn read_until(&mut self, delimiter: u8, max: usize) -> impl Future<Output = io::Result<Option<Vec<u8>>>> {
        let (mut call, mut looked) = (Call(&mut self.core), 0);
        poll_fn(move |cx| call.poll_read_until(cx, delimiter, max, &mut looked))
    }

    /// As [`read_until`](Self::read_until), in place of what is in `line`: for one buffer that serves many lines.
    /// `false` when the input ends before the first byte.
    ///
    /// # Errors
    /// As [`read_until`](Self::read_until); `line` is then empty.
    pub fn read_until_into(
        &mut self,
        delimiter: u8,
        max: usize,
        line: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<bool>> {
        let (mut call, mut looked) = (Call(&mut self.core), 0);
        line.clear();
        poll_fn(move |cx| call.poll_read_until_into(cx, delimiter, max, &mut looked, line))
    }

    /// A line of UTF-8 text without its line end (LF or CRLF), which counts toward `max`; `None` at the end of input.
    ///
    /// # Errors
    /// As [`read_until`](Self::read_until), and `InvalidData` for bytes that are not UTF-8.
    pub async fn read_line(&mut self, max: usize) -> io::Result<Option<String>> {
        self.read_until(b'\n', max).await?.map(text_of_line).transpose()
    }

    /// As [`read_line`](Self::read_line), in place of what is in `line`. `false` at the end of input.
    ///
    /// # Errors
    /// As [`read_line`](Self::read_line); `line` is then empty.
    pub async fn read_line_into(&mut self, max: usize, line: &mut String) -> io::Result<bool> {
        let mut bytes = std::mem::take(line).into_bytes();
        let found = self.read_until_into(b'\n', max, &mut bytes).await?;
        *line = text_of_line(bytes)?;
        Ok(found)
    }

    /// All bytes to the end of input, at most `max`.
    ///
    /// # Errors
    /// `InvalidData` when there are more.
    pub async fn read_to_end(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let (mut call, mut all) = (Call(&mut self.core), Vec::new());
        poll_fn(|cx| call.poll_read_to_end(cx, max, &mut all)).await?;
        Ok(all)
    }

    /// Waits until there is input and shows all of it that was read; nothing is the end of input. What was used is then
    /// taken with [`consume`](Self::consume).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.core.buffered().is_empty() {
            let mut call = Call(&mut self.core);
            poll_fn(|cx| call.poll_fill(cx)).await?;
        }
        Ok(self.core.buffered())
    }

    /// Takes so many of the bytes that [`fill_buf`](Self::fill_buf) showed.
    pub fn consume(&mut self, count: usize) {
        self.core.consume(count);
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// `TimedOut` at the write deadline, `BrokenPipe` and its like when the peer is gone, `ConnectionAborted` when the
    /// server has cut the connection. After an error it is not known how much the peer got.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> impl Future<Output = io::Result<()>> {
        let mut call = Call(&mut self.core);
        poll_fn(move |cx| call.poll_write_all(cx, &mut bytes))
    }

    /// Sends what was gathered, now. Needed only before a wait for something else than this connection.
    ///
    /// Cancel-safe: what was not sent stays gathered.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        let mut call = Call(&mut self.core);
        poll_fn(move |cx| call.poll_flush(cx))
    }

    /// Half-close: the peer sees the end of our output and may go on sending. Writing after it fails.
    ///
    /// Cancel-safe: before its end nothing is closed, unless a transport of your own has begun to, or TLS has said goodbye,
    /// after which writing fails; and what was not sent stays gathered. Begin it again.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all), and `NotConnected` when the peer is gone.
    pub fn close_write(&mut self) -> impl Future<Output = io::Result<()>> {
        let mut call = Call(&mut self.core);
        poll_fn(move |cx| call.poll_close_write(cx))
    }

    /// STARTTLS: from now on the connection is TLS, of which this is the server's end, with the certificates of
    /// [`Server::tls`](crate::Server::tls). Call it once the peer has been told to begin. It waits as long as
    /// [`Server::handshake`](crate::Server::handshake) says; then [`tls`](Self::tls) and
    /// [`Peer::identity`](crate::Peer::identity) tell what was agreed.
    ///
    /// Not cancel-safe: a connection whose handshake was given up is of no use.
    ///
    /// # Errors
    /// `Unsupported` without certificates, `InvalidInput` on a connection that is TLS already, `InvalidData` when the
    /// peer went on in plain words behind its wish for TLS (RFC 3207, section 6) or shakes hands wrongly, `TimedOut` at the
    /// deadline. The connection is of no use then.
    #[cfg(feature = "tls")]
    pub async fn start_tls(&mut self) -> io::Result<()> {
        self.flush().await?;
        // Handlers that never do it have no room for it.
        Box::pin(Call(&mut self.core).upgrade()).await
    }

    /// STARTTLS at the client's end: from now on the connection is TLS with the server of this name, or of this address. Call it
    /// once the server has said that it begins.
    ///
    /// Not cancel-safe: a connection whose handshake was given up is of no use.
    ///
    /// # Errors
    /// As [`start_tls`](Self::start_tls), and what is wrong with the name or the files of `tls`.
    #[cfg(feature = "tls")]
    pub async fn start_tls_as_client(&mut self, tls: &crate::client::ClientTls, server_name: &str) -> io::Result<()> {
        self.flush().await?;
        Box::pin(Call(&mut self.core).upgrade_as_client(tls, server_name)).await
    }

    /// Whole messages in place of bytes, for a stream of one's own: that of a client.
    ///
    /// ```
    /// use socketserver::framing::LengthPrefix;
    /// use socketserver::{Channel, MessageHandler, Server, Tasks, client};
    ///
    /// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
    /// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), echo.framed(LengthPrefix::u16_be()))?;
    /// # let at = server.handle().endpoints()[0].clone();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let mut c = client::task::connect(&at).await?.into_framed(LengthPrefix::u16_be());
    /// c.send(b"hello").await?;
    /// assert_eq!(c.recv().await?.as_deref(), Some(&b"hello"[..]));
    /// # Ok::<_, socketserver::Failure>(())
    /// # })?;
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn into_framed<C: Framing>(self, framing: C) -> Messages<C> {
        Messages::new(self, framing)
    }

    /// Whole messages in place of bytes. What is to be known of the stream between two of them is in it: one serves the
    /// conversation, to its end or to where messages end.
    #[must_use]
    pub fn framed<C: Framing>(&mut self, framing: C) -> Messages<C, &mut Self> {
        Messages::new(self, framing)
    }

    /// Ends when the server begins to drain: for a handler that waits for something else than its peer. It borrows
    /// nothing.
    #[must_use]
    pub fn draining(&self) -> UntilDraining {
        self.core.terms().handle.draining()
    }

    /// Its socket, for options and for `poll(2)`; `None`: a transport of your own. Reading or writing it directly loses
    /// what is buffered.
    #[must_use]
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.core.connection.descriptor()
    }

    facts!();
}

impl Conn for Stream {
    type Io = TaskIo;

    fn new(core: Core<TaskIo>) -> Self {
        Self { core }
    }

    fn core(&mut self) -> &mut Core<TaskIo> {
        &mut self.core
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.core.poll_read(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.core.buffered().is_empty() {
            ready!(this.core.poll_fill(cx))?;
        }
        Poll::Ready(Ok(this.core.buffered()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.core.consume(count);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.core.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core.poll_close_write(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id()).field("peer", self.peer()).finish_non_exhaustive()
    }
}
