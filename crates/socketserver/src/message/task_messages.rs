use super::exchange::Exchange;
use crate::connection::task_stream::{Call, Stream};
use crate::engine::Conn;
use crate::framing::Framing;
use std::borrow::BorrowMut;
use std::fmt;
use std::future::poll_fn;
use std::io;

/// Whole messages over an async [`Stream`], in a handler that is to wait for them itself, beside other things, and on the
/// client's side. [`Stream::framed`] makes it of a stream that somebody else has, [`Stream::into_framed`] of one's own. Whoever only answers messages has it simpler with a
/// [`MessageHandler`](crate::MessageHandler).
///
/// No message is longer than the framing's limit, so no peer can make memory grow. Waits end at the stream's deadlines.
/// What has come in and is no message yet stays with the stream.
///
/// **Cancelling**: a receive whose future is dropped has taken nothing. A send whose future is dropped has taken its
/// message: what is left of it goes before the next one, so that no frame is torn.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Server, Stream, Tasks, client};
///
/// // Whoever logs in is asked no more.
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), async |c: &mut Stream| {
///     let mut c = c.framed(Line::new());
///     c.send(b"who are you?").await?;
///     let name = c.recv().await?.ok_or("nobody")?;
///     c.send_all([&b"welcome"[..], &name]).await?;
///     Ok(())
/// })?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?.into_framed(Line::new());
/// assert_eq!(c.recv()?.as_deref(), Some(&b"who are you?"[..]));
/// c.send(b"Ada")?;
/// assert_eq!(c.recv()?.as_deref(), Some(&b"welcome"[..]));
/// assert_eq!(c.recv()?.as_deref(), Some(&b"Ada"[..]));
/// assert_eq!(c.recv()?, None);
/// # drop(c);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct Messages<C, S = Stream> {
    stream: S,
    exchange: Exchange<C>,
}

impl<C: Framing, S: BorrowMut<Stream>> Messages<C, S> {
    pub(crate) fn new(stream: S, framing: C) -> Self {
        Self { stream, exchange: Exchange::new(framing) }
    }

    /// The next message; `None` when the input has ended after the last.
    ///
    /// Cancel-safe: dropped before it is ready it has taken nothing.
    ///
    /// # Errors
    /// `InvalidData` when what came is no message, or one longer than the limit: nobody knows where the next one begins, so
    /// every call fails from then on. `UnexpectedEof` when the input ended in the middle of one; and those of
    /// [`Stream::read`].
    pub async fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        Ok(self.recv_into(&mut message).await?.then_some(message))
    }

    /// The same, in place of what is in `message`: for one buffer that serves many messages. `false` when the input has
    /// ended after the last.
    ///
    /// Cancel-safe: dropped before it is ready it has taken nothing; `message` is then empty.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); `message` is then empty.
    pub fn recv_into(&mut self, message: &mut Vec<u8>) -> impl Future<Output = io::Result<bool>> {
        message.clear();
        let (mut call, exchange) = (Call(self.stream.borrow_mut().core()), &mut self.exchange);
        poll_fn(move |cx| exchange.poll_recv(&mut call, cx, message))
    }

    /// Sends a message, and with it what was [fed](Self::feed). Replies gather as
    /// [`write_all`](Stream::write_all) has them.
    ///
    /// Dropped before it is ready the message is taken all the same: what is left of it goes before the next one.
    ///
    /// # Errors
    /// `InvalidInput` for a message that the framing cannot carry: longer than its limit, or with its delimiter inside;
    /// nothing of it is sent then. Others as [`Stream::write_all`].
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.exchange.feed(message)?;
        self.send_fed().await
    }

    /// Sends several messages in as few writes as may be. Dropped before it is ready some of them are taken.
    ///
    /// # Errors
    /// As [`send`](Self::send); those before a message that the framing cannot carry leave with the next one that is sent.
    pub async fn send_all<M: AsRef<[u8]>>(&mut self, messages: impl IntoIterator<Item = M>) -> io::Result<()> {
        for message in messages {
            self.feed(message.as_ref()).await?;
        }
        self.send_fed().await
    }

    /// Puts a message behind those that leave with the next [`send`](Self::send) or at [`flush`](Self::flush); 64 KiB of
    /// them leave by themselves.
    ///
    /// Dropped before it is ready the message is taken all the same.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed(&mut self, message: &[u8]) -> io::Result<()> {
        self.exchange.feed(message)?;
        let (mut call, exchange) = (Call(self.stream.borrow_mut().core()), &mut self.exchange);
        poll_fn(|cx| exchange.poll_send_much(&mut call, cx)).await
    }

    /// Sends what was fed and what the stream has gathered.
    ///
    /// Cancel-safe: what was not sent stays.
    ///
    /// # Errors
    /// As [`Stream::write_all`].
    pub fn flush(&mut self) -> impl Future<Output = io::Result<()>> {
        let (mut call, exchange) = (Call(self.stream.borrow_mut().core()), &mut self.exchange);
        poll_fn(move |cx| exchange.poll_flush(&mut call, cx))
    }

    /// Half-close, after what was fed: the peer sees the end of our messages and may go on sending.
    ///
    /// Cancel-safe, as [`Stream::close_write`].
    ///
    /// # Errors
    /// As [`Stream::close_write`].
    pub async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.borrow_mut().close_write().await
    }

    /// The stream underneath, to set deadlines and to ask it things. Reading or writing it directly breaks messages apart.
    pub fn stream(&mut self) -> &mut Stream {
        self.stream.borrow_mut()
    }

    fn send_fed(&mut self) -> impl Future<Output = io::Result<()>> {
        let (mut call, exchange) = (Call(self.stream.borrow_mut().core()), &mut self.exchange);
        poll_fn(move |cx| exchange.poll_send(&mut call, cx))
    }
}

impl<C: fmt::Debug, S: fmt::Debug> fmt::Debug for Messages<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("stream", &self.stream).field("framing", &self.exchange.framing).finish()
    }
}
