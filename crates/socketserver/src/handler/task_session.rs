use crate::{Failure, Peer, Result, Session};

/// What is done with each session of a peer that sends packets, in async code: given to [`sessions`](crate::sessions).
///
/// A closure `async |s: &mut Session| { … Ok(()) }` is one. A type implements it when it wants the hooks as well. One value
/// serves all sessions, many at a time; a session stays on its shard, so its future need not be `Send`.
///
/// At the drain's deadline the future of a session that still goes on is dropped.
///
/// ```
/// use socketserver::{Peer, Result, Server, Session, SessionHandler, Tasks, sessions};
///
/// struct Adder;
/// impl SessionHandler for Adder {
///     async fn handle(&self, s: &mut Session) -> Result {
///         let mut sum = 0;
///         while let Some(packet) = s.recv().await? {
///             sum += String::from_utf8_lossy(&packet).trim().parse::<i64>()?;
///             s.send(sum.to_string().as_bytes()).await?;
///         }
///         Ok(())
///     }
///     fn verify(&self, peer: &Peer) -> bool {
///         peer.addr().is_some_and(|addr| addr.ip().is_loopback())
///     }
/// }
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Tasks::default(), sessions(Adder))?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they are deliberately not `Send`")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async session handler",
    label = "wants `async |s: &mut Session| -> socketserver::Result`"
)]
pub trait Handler {
    /// The conversation. When it returns the session is over.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error) and the close event.
    async fn handle(&self, session: &mut Session) -> Result;

    /// Whether a peer may begin a session. It must not wait for anything. A panic counts as `false`.
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// [`handle`](Self::handle) failed ([`Panic`](crate::Panic): it panicked). Nothing is printed unless you print it.
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
}

impl<F: AsyncFn(&mut Session) -> Result> Handler for F {
    // What is made twice is there twice, and there are many of it.
    fn handle(&self, session: &mut Session) -> impl Future<Output = Result> {
        self(session)
    }
}
