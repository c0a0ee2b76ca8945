use crate::framing::Framing;
use crate::message::Framed;
use crate::{Channel, Failure, Hub, Peer, Result};

/// What is done with each message of a peer, in async code: as [`MessageHandler`](crate::MessageHandler), for handlers that
/// wait for something. [`Tasks`](crate::Tasks) runs it.
///
/// A closure `async |message: &[u8], c: &mut Channel| { … Ok(()) }` is one. While a message is being handled the next ones of
/// that peer wait, and so do pushes to it; other peers are served meanwhile. A peer stays on its shard, so futures and state
/// need not be `Send`.
///
/// When the connection is cut (the drain's deadline, its lifetime, a kick) while a hook waits, its future is dropped;
/// [`close`](Self::close) is called all the same.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{AsyncMessageHandler, Channel, Server, Tasks, client};
/// use std::time::Duration;
///
/// let slow = async |line: &[u8], c: &mut Channel| {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     Ok(c.send(line)?)
/// };
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Tasks::new(1), slow.framed(Line::new()))?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"patience\n")?;
/// assert_eq!(c.read_line(100)?.as_deref(), Some("patience"));
/// # drop(c);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they are deliberately not `Send`")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async message handler",
    label = "wants `async |message: &[u8], c: &mut Channel| -> socketserver::Result`"
)]
pub trait AsyncMessageHandler {
    /// What is remembered of a peer for as long as it is there.
    type State;

    /// A peer is there. What is sent here leaves before its first message is handled.
    ///
    /// # Errors
    /// Whatever `?` gives: it ends the connection, and [`close`](Self::close) is not called. What was sent before it leaves.
    async fn open(&self, channel: &mut Channel) -> Result<Self::State>;

    /// A message has come. What is sent leaves when this and all other messages that have come in are handled.
    ///
    /// # Errors
    /// Whatever `?` gives: it ends the connection. What was sent before it leaves.
    async fn message(&self, state: &mut Self::State, message: &[u8], channel: &mut Channel) -> Result;

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

impl<F: AsyncFn(&[u8], &mut Channel) -> Result> AsyncMessageHandler for F {
    type State = ();

    async fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    fn message(&self, (): &mut (), message: &[u8], channel: &mut Channel) -> impl Future<Output = Result> {
        self(message, channel)
    }
}
