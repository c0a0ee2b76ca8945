use crate::blocking::Session;
use crate::{Failure, Peer, Result};
use std::sync::Arc;

/// What is done with each session of a peer that sends packets, in blocking code: given to [`sessions`](crate::sessions).
///
/// A closure `|s: &mut blocking::Session| { … Ok(()) }` is one. A type implements it when it wants the hooks as well. One
/// value serves all sessions, many at a time.
///
/// ```
/// use socketserver::{Peer, Result, Server, Threads, blocking, sessions};
///
/// struct Adder;
/// impl blocking::SessionHandler for Adder {
///     fn handle(&self, s: &mut blocking::Session) -> Result {
///         let mut sum = 0;
///         while let Some(packet) = s.recv()? {
///             sum += String::from_utf8_lossy(&packet).trim().parse::<i64>()?;
///             s.send(sum.to_string().as_bytes())?;
///         }
///         Ok(())
///     }
///     fn verify(&self, peer: &Peer) -> bool {
///         peer.addr().is_some_and(|addr| addr.ip().is_loopback())
///     }
/// }
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Threads::default(), sessions(Adder))?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking session handler",
    label = "wants `|s: &mut blocking::Session| -> socketserver::Result`"
)]
pub trait Handler {
    /// The conversation. When it returns the session is over.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error) and the close event.
    fn handle(&self, session: &mut Session) -> Result;

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

impl<F: Fn(&mut Session) -> Result> Handler for F {
    fn handle(&self, session: &mut Session) -> Result {
        self(session)
    }
}

/// A handler that you keep a hand on.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, session: &mut Session) -> Result {
        (**self).handle(session)
    }
    fn verify(&self, peer: &Peer) -> bool {
        (**self).verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        (**self).on_error(error, peer);
    }
}
