use super::Overflow;
#[cfg(feature = "websocket")]
use super::WebSocket;
use crate::datagram::session::{Budget, Sessions, sessions};
use crate::framing::{FrameError, Framing, Scan, Step};
use std::fmt;
use std::sync::Arc;

/// A message handler, how messages are told apart on carriers that do not do that by themselves, and what the server holds
/// for a peer; [`MessageHandler::framed`](crate::MessageHandler::framed) makes it.
///
/// | option | default |
/// |---|---|
/// | [`outbox`](Self::outbox) | 1,024 messages and 1 MiB a connection |
/// | [`overflow`](Self::overflow) | the connection is cut |
/// | [`max_message`](Self::max_message) | 64 KiB, on carriers that have no framing |
/// | [`sessions`](Self::sessions) | as [`sessions`](crate::sessions) has them |
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Channel, MessageHandler, Overflow, Server, Threads};
///
/// let echo = |line: &[u8], c: &mut Channel| Ok(c.send(line)?);
/// let echo = echo.framed(Line::new()).outbox(100, 64 * 1024).overflow(Overflow::DropOldest);
/// let server = Server::bind(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"])?.spawn(Threads::default(), echo)?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
pub struct Framed<H, C> {
    pub(crate) handler: H,
    pub(crate) framing: Arc<C>,
    pub(crate) terms: Terms,
    pub(crate) budget: Arc<Budget>,
    #[cfg(feature = "websocket")]
    pub(crate) web_socket: WebSocket,
}

/// What is held for a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
    /// Without a framing.
    pub(crate) max_message: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self { messages: 1024, bytes: 1024 * 1024, overflow: Overflow::default(), max_message: 64 * 1024 }
    }
}

impl<H, C> Framed<H, C> {
    pub(crate) fn new(handler: H, framing: C) -> Self {
        let budget = Arc::new(Budget::new(sessions(()).options));
        Self {
            handler,
            framing: Arc::new(framing),
            terms: Terms::default(),
            budget,
            #[cfg(feature = "websocket")]
            web_socket: WebSocket::new(),
        }
    }

    /// How much may wait in an [`Outbox`](crate::Outbox): so many messages, and so many bytes in them; at least 1 of each.
    #[must_use]
    pub fn outbox(mut self, messages: usize, bytes: usize) -> Self {
        (self.terms.messages, self.terms.bytes) = (messages.max(1), bytes.max(1));
        self
    }

    /// What becomes of a message that is pushed and finds no room.
    #[must_use]
    pub fn overflow(mut self, policy: Overflow) -> Self {
        self.terms.overflow = policy;
        self
    }

    /// The longest message, either way, in bytes, on carriers that keep messages apart by themselves. A framing has a limit of
    /// its own.
    ///
    /// A packet has 65,535 at most, whatever is said here; one that is longer than the limit is passed over, for anybody might
    /// have forged it. On a connection (`seqpacket:`) it is no message, and ends that for
    /// [`Reason::BadMessage`](crate::Reason::BadMessage). To send, a connection takes no longer message than its send buffer
    /// has room for either, which is made as large as this if the system lets it: 416 KiB where
    /// `/proc/sys/net/core/wmem_max` is what it is by default, and never more than 4 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.terms.max_message = bytes;
        self
    }

    /// The options of the sessions that packets make: how many there may be, for how long they may be silent.
    ///
    /// ```
    /// use socketserver::framing::Line;
    /// use socketserver::{Channel, MessageHandler};
    /// let echo = |line: &[u8], c: &mut Channel| Ok(c.send(line)?);
    /// let echo = echo.framed(Line::new()).sessions(|sessions| sessions.max(100).idle(None));
    /// # let _ = echo;
    /// ```
    #[must_use]
    pub fn sessions(mut self, set: impl FnOnce(Sessions<()>) -> Sessions<()>) -> Self {
        let sessions = set(Sessions { handler: (), options: self.budget.options });
        self.budget = Arc::new(Budget::new(sessions.options));
        self
    }

    /// How it is spoken on `ws://` endpoints.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn web_socket(mut self, options: WebSocket) -> Self {
        self.web_socket = options;
        self
    }
}

impl<H> Framed<H, ()> {
    /// Framings are asked for by code that has one.
    pub(crate) fn with_none(self) -> Framed<H, Unframed> {
        Framed {
            handler: self.handler,
            framing: Arc::new(Unframed),
            terms: self.terms,
            budget: self.budget,
            #[cfg(feature = "websocket")]
            web_socket: self.web_socket,
        }
    }
}

impl<H, C: fmt::Debug> fmt::Debug for Framed<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framed").field("framing", &self.framing).field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// Of a handler that was given no framing: only carriers that keep messages apart by themselves are let near it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Unframed;

impl Framing for Unframed {
    fn decode(&self, _: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        Err(FrameError::malformed("nobody said how messages are told apart in a stream of bytes"))
    }

    fn encode(&self, _: &[u8], _: &mut Vec<u8>) -> Result<(), FrameError> {
        Err(FrameError::unencodable("nobody said how messages are told apart in a stream of bytes"))
    }

    fn max_message(&self) -> usize {
        0
    }
}
