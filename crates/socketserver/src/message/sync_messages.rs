use super::exchange::Exchange;
use crate::connection::now_poll;
use crate::connection::sync_stream::Stream;
use crate::engine::Conn;
use crate::framing::Framing;
use std::borrow::BorrowMut;
use std::fmt;
use std::io;

/// Whole messages over a blocking [`Stream`], on the client's side and in stream handlers. [`Stream::into_framed`] makes it,
/// or [`Stream::framed`] of a stream that somebody else has.
///
/// No message is longer than the framing's limit, so no peer can make memory grow. Waits end at the stream's deadlines.
/// What has come in and is no message yet stays with the stream.
///
/// ```
/// use socketserver::framing::LengthPrefix;
/// use socketserver::{Channel, MessageHandler, Server, Threads, client};
///
/// let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), echo.framed(LengthPrefix::u32_be()))?;
///
/// let mut c = client::connect(&server.handle().endpoints()[0])?.into_framed(LengthPrefix::u32_be());
/// c.send(b"whole")?;
/// c.send_all(["messages", ""])?;
/// assert_eq!(c.recv()?.as_deref(), Some(&b"whole"[..]));
/// assert_eq!(c.recv()?.as_deref(), Some(&b"messages"[..]));
/// assert_eq!(c.recv()?.as_deref(), Some(&b""[..]));
/// c.close()?;
/// assert_eq!(c.recv()?, None);
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
    /// # Errors
    /// `InvalidData` when what came is no message, or one longer than the limit: nobody knows where the next one begins, so
    /// every call fails from then on. `UnexpectedEof` when the input ended in the middle of one; and those of
    /// [`Stream::read`].
    pub fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        Ok(self.recv_into(&mut message)?.then_some(message))
    }

    /// The same, in place of what is in `message`: for one buffer that serves many messages. `false` when the input has
    /// ended after the last.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); `message` is then empty.
    pub fn recv_into(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        message.clear();
        let core = self.stream.borrow_mut().core();
        now_poll(|cx| self.exchange.poll_recv(core, cx, message))
    }

    /// Sends a message, and with it what was [fed](Self::feed). In a handler it gathers as
    /// [`write_all`](Stream::write_all) does.
    ///
    /// # Errors
    /// `InvalidInput` for a message that the framing cannot carry: longer than its limit, or with its delimiter inside;
    /// nothing of it is sent then. Others as [`Stream::write_all`].
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.exchange.feed(message)?;
        let core = self.stream.borrow_mut().core();
        now_poll(|cx| self.exchange.poll_send(core, cx))
    }

    /// Sends several messages in as few writes as may be.
    ///
    /// # Errors
    /// As [`send`](Self::send); those before a message that the framing cannot carry leave with the next one that is sent.
    pub fn send_all<M: AsRef<[u8]>>(&mut self, messages: impl IntoIterator<Item = M>) -> io::Result<()> {
        for message in messages {
            self.feed(message.as_ref())?;
        }
        let core = self.stream.borrow_mut().core();
        now_poll(|cx| self.exchange.poll_send(core, cx))
    }

    /// Puts a message behind those that leave with the next [`send`](Self::send) or at [`flush`](Self::flush); 64 KiB of
    /// them leave by themselves.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: &[u8]) -> io::Result<()> {
        self.exchange.feed(message)?;
        let core = self.stream.borrow_mut().core();
        now_poll(|cx| self.exchange.poll_send_much(core, cx))
    }

    /// Sends what was fed and what the stream has gathered.
    ///
    /// # Errors
    /// As [`Stream::write_all`].
    pub fn flush(&mut self) -> io::Result<()> {
        let core = self.stream.borrow_mut().core();
        now_poll(|cx| self.exchange.poll_flush(core, cx))
    }

    /// Half-close, after what was fed: the peer sees the end of our messages and may go on sending.
    ///
    /// # Errors
    /// As [`Stream::close_write`].
    pub fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.borrow_mut().close_write()
    }

    /// The stream underneath, to set deadlines and to ask it things. Reading or writing it directly breaks messages apart.
    pub fn stream(&mut self) -> &mut Stream {
        self.stream.borrow_mut()
    }
}

impl<C: Framing + Clone> Messages<C> {
    /// Two halves, so that one thread receives while another sends. What was fed is sent.
    ///
    /// ```
    /// use socketserver::framing::Line;
    /// use socketserver::{Channel, MessageHandler, Server, Threads, client};
    ///
    /// let echo = |line: &[u8], c: &mut Channel| Ok(c.send(line)?);
    /// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), echo.framed(Line::new()))?;
    /// let (mut receiver, mut sender) = client::connect(&server.handle().endpoints()[0])?.into_framed(Line::new()).split()?;
    /// let sends = std::thread::spawn(move || {
    ///     sender.send(b"one")?;
    ///     sender.send(b"two")?;
    ///     sender.close()
    /// });
    /// let mut heard = Vec::new();
    /// while let Some(line) = receiver.recv()? {
    ///     heard.push(line);
    /// }
    /// assert_eq!(heard, [b"one", b"two"]);
    /// # sends.join().unwrap()?;
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn split(mut self) -> io::Result<(MessageReceiver<C>, MessageSender<C>)> {
        self.flush()?;
        let (read, write) = self.stream.into_two()?;
        let sender = Self::new(write, self.exchange.framing.clone());
        Ok((MessageReceiver(Self { stream: read, exchange: self.exchange }), MessageSender(sender)))
    }
}

/// The half of [`Messages`] that receives; [`Messages::split`] makes it.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Serial, Server, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?
///     .spawn(Serial::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"one\ntwo\n")?))?;
/// let c = client::connect(&server.handle().endpoints()[0])?.into_framed(Line::new());
/// let (mut receiver, _sender) = c.split()?;
/// let mut line = Vec::new();
/// while receiver.recv_into(&mut line)? {
///     assert_eq!(line.len(), 3);
/// }
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct MessageReceiver<C>(Messages<C>);

impl<C: Framing> MessageReceiver<C> {
    /// As [`Messages::recv`].
    ///
    /// # Errors
    /// As [`Messages::recv`].
    pub fn recv(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.recv()
    }

    /// As [`Messages::recv_into`].
    ///
    /// # Errors
    /// As [`Messages::recv`].
    pub fn recv_into(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        self.0.recv_into(message)
    }
}

/// The half of [`Messages`] that sends; [`Messages::split`] makes it.
///
/// Dropping it does not tell the peer: the connection stays open for the other half. [`close`](Self::close) does.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Serial, Server, blocking, client};
///
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Serial::default(), |c: &mut blocking::Stream| {
///     let all = c.read_to_end(100)?;
///     Ok(c.write_all(&all)?)
/// })?;
/// let c = client::connect(&server.handle().endpoints()[0])?.into_framed(Line::new());
/// let (mut receiver, mut sender) = c.split()?;
/// sender.send_all(["one", "two"])?;
/// sender.close()?;
/// assert_eq!(receiver.recv()?.as_deref(), Some(&b"one"[..]));
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub struct MessageSender<C>(Messages<C>);

impl<C: Framing> MessageSender<C> {
    /// As [`Messages::send`].
    ///
    /// # Errors
    /// As [`Messages::send`].
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.send(message)
    }

    /// As [`Messages::send_all`].
    ///
    /// # Errors
    /// As [`Messages::send`].
    pub fn send_all<M: AsRef<[u8]>>(&mut self, messages: impl IntoIterator<Item = M>) -> io::Result<()> {
        self.0.send_all(messages)
    }

    /// As [`Messages::feed`].
    ///
    /// # Errors
    /// As [`Messages::send`].
    pub fn feed(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.feed(message)
    }

    /// As [`Messages::flush`].
    ///
    /// # Errors
    /// As [`Messages::flush`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Half-close, after what was fed: the peer sees the end of our messages.
    ///
    /// # Errors
    /// As [`Messages::close`].
    pub fn close(mut self) -> io::Result<()> {
        self.0.close()
    }
}

impl<C: fmt::Debug, S: fmt::Debug> fmt::Debug for Messages<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("stream", &self.stream).field("framing", &self.exchange.framing).finish()
    }
}

impl<C: fmt::Debug> fmt::Debug for MessageReceiver<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageReceiver").field(&self.0).finish()
    }
}

impl<C: fmt::Debug> fmt::Debug for MessageSender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageSender").field(&self.0).finish()
    }
}
