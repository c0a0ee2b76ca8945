use super::framed::Terms;
use super::out::{Form, Out};
use super::outbox::{self, End, Outbox};
#[cfg(feature = "websocket")]
use super::websocket::Speech;
use crate::Peer;
use crate::connection::Connection;
use crate::datagram::session::Mailbox;
use crate::lifecycle::Handle;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What carries the messages of a [`Channel`].
///
/// ```
/// assert_eq!(socketserver::Carrier::Stream.to_string(), "stream");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// Bytes of a TCP or a Unix socket, or of a transport of your own, in frames.
    Stream,
    /// A connection that keeps messages apart by itself: `seqpacket:`, where each is a packet (`SOCK_SEQPACKET`, `unix(7)`).
    ///
    /// An empty message and the end of input are told apart here; a client that calls `recv(2)` is given 0 for both, and has to
    /// know from the protocol which it is, or to ask for credentials (`SO_PASSCRED`), which come with messages alone.
    /// Descriptors that come along with a message are not taken.
    Records,
    /// UDP or Unix datagrams, a session a peer.
    Packets,
    /// WebSocket.
    WebSocket,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Records => "records",
            Self::Packets => "packets",
            Self::WebSocket => "websocket",
        })
    }
}

/// A conversation with one peer in whole messages, whatever carries them: what a [`MessageHandler`](crate::MessageHandler)
/// is given.
///
/// What is sent gathers, and leaves when all messages that have come in are handled, or 64 KiB have gathered; so nothing
/// here waits.
///
/// ```
/// use socketserver::framing::LengthPrefix;
/// use socketserver::{Channel, MessageHandler, Server, Threads};
///
/// let greet = |name: &[u8], c: &mut Channel| {
///     c.send(&[b"hello ", name].concat())?;
///     c.send(format!("you come from {}", c.peer()).as_bytes())?;
///     Ok(())
/// };
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), greet.framed(LengthPrefix::u16_be()))?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
pub struct Channel {
    link: Link,
    carrier: Carrier,
    handle: Handle,
    pub(super) out: Out,
    pub(super) outbox: Option<Outbox>,
    terms: Terms,
    pub(super) ends: bool,
    /// How it is spoken, over WebSocket.
    #[cfg(feature = "websocket")]
    speech: Option<Arc<Speech>>,
}

/// Whose conversation it is.
pub(crate) enum Link {
    Connection(Arc<Connection>),
    Session(Arc<Mailbox>),
}

impl Channel {
    pub(crate) fn new(link: Link, carrier: Carrier, handle: Handle, form: Form, terms: Terms) -> Self {
        Self {
            link,
            carrier,
            handle,
            out: Out::new(form),
            outbox: None,
            terms,
            ends: false,
            #[cfg(feature = "websocket")]
            speech: None,
        }
    }

    #[cfg(feature = "websocket")]
    pub(super) fn web_socket(connection: Arc<Connection>, handle: Handle, speech: Arc<Speech>, terms: Terms) -> Self {
        let (link, form) = (Link::Connection(connection), Form::Framed(speech.clone()));
        let mut channel = Self::new(link, Carrier::WebSocket, handle, form, terms);
        channel.speech = Some(speech);
        channel
    }

    /// Sends a message to the peer. It waits for nothing: what is sent leaves when the messages that have come in are
    /// handled. So what a handler sends while it handles one message is held in memory, however much it is.
    ///
    /// # Errors
    /// `InvalidInput` for a message that the framing cannot carry: longer than its limit, or with its delimiter inside; or that
    /// the carrier cannot ([`Framed::max_message`](crate::Framed::max_message)). Nothing of it is sent then.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.out.push(message)
    }

    /// Ends the conversation once the handler has returned and what was sent has left. Messages that have come in and are
    /// not handled yet are dropped.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// A way to send messages to this peer from anywhere, now and later.
    pub fn outbox(&mut self) -> Outbox {
        let (link, terms) = (&self.link, self.terms);
        let outbox = self.outbox.get_or_insert_with(|| {
            let end = match link {
                Link::Connection(connection) => End::Connection(Arc::downgrade(connection)),
                Link::Session(mailbox) => End::Session(Arc::downgrade(mailbox)),
            };
            Outbox::new(terms.messages, terms.bytes, terms.overflow, end)
        });
        outbox.clone()
    }

    /// Has what was pushed follow what was sent: what was taken already, and more if that is nothing or it ends.
    pub(super) fn forward(&mut self, taken: &mut Vec<Arc<[u8]>>, enough: usize) {
        let Some(outbox) = &self.outbox else { return };
        if taken.is_empty() || self.ends {
            self.ends |= outbox.take(enough, taken);
        }
        for message in taken.drain(..) {
            if self.out.push(&message).is_err() {
                // Whoever pushed it to many cannot know what each carrier bears.
                outbox.count_dropped();
            }
        }
        outbox::spare(taken);
    }

    /// From now on every push fails.
    pub(super) fn close_outbox(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.close();
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match &self.link {
            Link::Connection(connection) => connection.peer(),
            Link::Session(mailbox) => mailbox.peer(),
        }
    }

    /// Its number, unique in its server.
    #[must_use]
    pub fn id(&self) -> u64 {
        match &self.link {
            Link::Connection(connection) => connection.id,
            Link::Session(mailbox) => mailbox.id(),
        }
    }

    /// What carries the messages.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Whether the last message of the peer was text, as WebSocket tells it from binary; then it is UTF-8. Other carriers know
    /// no such thing.
    #[must_use]
    pub fn is_text(&self) -> bool {
        #[cfg(feature = "websocket")]
        if let Some(speech) = &self.speech {
            return speech.has_heard_text();
        }
        false
    }

    /// The server, to stop it or to ask it things.
    #[must_use]
    pub fn server(&self) -> &Handle {
        &self.handle
    }

    /// Whether the server drains: a handler with much to do may want to come to an end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.handle.is_stopping()
    }

    /// Names the connection, for [`Handle::connections`](crate::Handle::connections). The first 64 bytes are kept; an empty
    /// name is none. Sessions are not listed there and have none.
    pub fn set_label(&self, label: &str) {
        if let Link::Connection(connection) = &self.link {
            connection.slot.set_label(label);
        }
    }
}

/// Whoever pushes, or waits for room, is told: also where `open` failed, or the conversation was dropped.
impl Drop for Channel {
    fn drop(&mut self) {
        self.close_outbox();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("id", &self.id()).field("peer", self.peer()).finish_non_exhaustive()
    }
}
