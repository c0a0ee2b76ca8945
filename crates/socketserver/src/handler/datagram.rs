use crate::{Datagram, Failure, Peer, Result};
use std::sync::Arc;

/// What is done with each packet: one in, nothing, one or several out. Every model runs it.
///
/// A closure `|d: &mut Datagram| { … Ok(()) }` is one. A type implements it when it wants the hooks as well.
///
/// One value handles all packets; under [`Threads`](crate::Threads) several at a time, under [`Forks`](crate::Forks) in
/// a child a batch. It must not wait: packets that come meanwhile wait in the system, and are dropped when there are too
/// many.
///
/// ```
/// use socketserver::{Datagram, DatagramHandler, Failure, Peer, Result};
///
/// struct Quote;
/// impl DatagramHandler for Quote {
///     fn handle(&self, d: &mut Datagram) -> Result {
///         d.reply(b"less is more\n")?;
///         Ok(())
///     }
///     fn verify(&self, peer: &Peer) -> bool {
///         peer.addr().is_some_and(|addr| addr.ip().is_loopback())
///     }
///     fn on_error(&self, error: &Failure, peer: &Peer) {
///         eprintln!("{peer}: {error}");
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a datagram handler",
    label = "wants `|d: &mut Datagram| -> socketserver::Result`"
)]
pub trait DatagramHandler {
    /// Does something with a packet.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error). Replies made before it are sent.
    fn handle(&self, packet: &mut Datagram) -> Result;

    /// Whether packets of this peer are handled. It must not wait for anything. A panic counts as `false`. Under
    /// [`Forks`](crate::Forks) it runs in the parent, so what it counts stays counted.
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// [`handle`](Self::handle) failed ([`Panic`](crate::Panic): it panicked). Nothing is printed unless you print it.
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
}

impl<F: Fn(&mut Datagram) -> Result> DatagramHandler for F {
    fn handle(&self, packet: &mut Datagram) -> Result {
        self(packet)
    }
}

impl<H: DatagramHandler> DatagramHandler for Arc<H> {
    fn handle(&self, packet: &mut Datagram) -> Result {
        (**self).handle(packet)
    }
    fn verify(&self, peer: &Peer) -> bool {
        (**self).verify(peer)
    }
    fn on_error(&self, error: &Failure, peer: &Peer) {
        (**self).on_error(error, peer);
    }
}
