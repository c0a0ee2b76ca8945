use crate::framing::Framing;
use crate::message::Framed;
use crate::{Channel, Failure, Hub, Peer, Result};
use std::sync::Arc;

/// What is done with each message of a peer, whatever carries it. Every model runs it.
///
/// A closure `|message: &[u8], c: &mut Channel| { … Ok(()) }` is one, for peers of which nothing is remembered. A type
/// implements it when it wants state for each peer, or the hooks. [`framed`](Self::framed) says how messages are told apart
/// where the carrier does not do that by itself.
///
/// One value serves all peers, many at a time; what belongs to one of them is its [`State`](Self::State). It never waits:
/// what it sends gathers, and leaves in one write when all messages that have come in are handled. To send something later,
/// or to somebody else, use the [`Outbox`](crate::Outbox) of that peer.
///
/// A message is never part of one, nor more than one, however the peer's bytes were cut up on the way. A peer whose bytes
/// are no message, or one longer than the limit, is told nothing; its connection ends with that error, for
/// [`Reason::BadMessage`](crate::Reason::BadMessage), once the replies to what came before have left.
///
/// ```
/// use socketserver::framing::LengthPrefix;
/// use socketserver::{Channel, MessageHandler, Result, Server, Threads, client};
///
/// /// Adds up what a peer sends.
/// struct Sum;
/// impl MessageHandler for Sum {
///     type State = i64;
///     fn open(&self, _: &mut Channel) -> Result<i64> {
///         Ok(0)
///     }
///     fn message(&self, sum: &mut i64, message: &[u8], c: &mut Channel) -> Result {
///         *sum += std::str::from_utf8(message)?.parse::<i64>()?;
///         Ok(c.send(sum.to_string().as_bytes())?)
///     }
/// }
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), Sum.framed(LengthPrefix::u16_be()))?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"\0\x013\0\x0240")?;
/// let mut replies = [0; 7];
/// c.read_exact(&mut replies)?;
/// assert_eq!(&replies, b"\0\x013\0\x0243");
/// # drop(c);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message handler",
    label = "wants `|message: &[u8], c: &mut Channel| -> socketserver::Result`"
)]
pub trait MessageHandler {
    /// What is remembered of a peer for as long as it is there.
    type State;

    /// A peer is there. What is sent here leaves before its first message is handled.
    ///
    /// # Errors
    /// Whatever `?` gives: it ends the connection, and [`close`](Self::close) is not called. What was sent before it leaves.
    fn open(&self, channel: &mut Channel) -> Result<Self::State>;

    /// A message has come.
    ///
    /// # Errors
    /// Whatever `?` gives: it ends the connection. What was sent before it leaves.
    fn message(&self, state: &mut Self::State, message: &[u8], channel: &mut Channel) -> Result;

    /// It is over, for whatever reason; called once for each [`open`](Self::open) that succeeded, after a failure or a panic
    /// too. What is sent here leaves, if the peer is still there.
    fn close(&self, state: Self::State, channel: &mut Channel) {
        let _ = (state, channel);
    }

    /// Whether a peer may come in. It must not wait for anything. A panic counts as `false`.
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// A hook failed ([`Panic`](crate::Panic): it panicked), or the peer sent what is no message. Nothing is printed unless
    /// you print it.
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }

    /// The hub that it uses, if it uses one, so that `serve` refuses a model that has none. It is asked once, before anybody
    /// is served.
    fn hub(&self) -> Option<&Hub> {
        None
    }

    /// Says how messages are told apart in a stream of bytes: see [`framing`](crate::framing). Carriers that keep messages
    /// apart by themselves do not use it.
    fn framed<C: Framing>(self, framing: C) -> Framed<Self, C>
    where
        Self: Sized,
    {
        Framed::new(self, framing)
    }

    /// Without a framing: only carriers that keep messages apart by themselves are served. It is there for the options that
    /// handlers have beside it.
    fn unframed(self) -> Framed<Self, ()>
    where
        Self: Sized,
    {
        Framed::new(self, ())
    }
}

impl<F: Fn(&[u8], &mut Channel) -> Result> MessageHandler for F {
    type State = ();

    fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    #[inline]
    fn message(&self, (): &mut (), message: &[u8], channel: &mut Channel) -> Result {
        self(message, channel)
    }
}

impl<H: MessageHandler> MessageHandler for Arc<H> {
    type State = H::State;

    fn open(&self, channel: &mut Channel) -> Result<H::State> {
        (**self).open(channel)
    }
    #[inline]
    fn message(&self, state: &mut H::State, message: &[u8], channel: &mut Channel) -> Result {
        (**self).message(state, message, channel)
    }
    fn close(&self, state: H::State, channel: &mut Channel) {
        (**self).close(state, channel);
    }
    fn verify(&self, peer: &Peer) -> bool {
        (**self).verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        (**self).on_error(error, peer);
    }
    fn hub(&self) -> Option<&Hub> {
        (**self).hub()
    }
}
