use crate::{Datagram, Failure, Peer, Result};

/// What is done with each packet in async code: for handlers that have to wait for something before they reply.
/// [`Tasks`](crate::Tasks) runs it; one that never waits is better a [`DatagramHandler`](crate::DatagramHandler), which every
/// model runs.
///
/// A closure `async |d: &mut Datagram| { … Ok(()) }` is one. A type implements it when it wants the hooks as well. One value
/// handles all packets. Handlers that wait do so beside each other, 1,024 on a shard at a time; further packets wait in the
/// system meanwhile, and are dropped when there are too many. So replies may leave in another order than their packets came.
///
/// A handler that still waits at the drain's deadline is dropped.
///
/// ```
/// use socketserver::{AsyncDatagramHandler, Datagram, Result, Server, Tasks};
/// use std::time::Duration;
///
/// struct Sleepy;
/// impl AsyncDatagramHandler for Sleepy {
///     async fn handle(&self, d: &mut Datagram) -> Result {
///         tokio::time::sleep(Duration::from_millis(1)).await;
///         d.reply(b"good morning")?;
///         Ok(())
///     }
/// }
/// let server = Server::bind("udp://127.0.0.1:0")?.spawn(Tasks::new(1), Sleepy)?;
/// # let socketserver::Endpoint::Udp { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", ("127.0.0.1", port))?;
/// let mut reply = [0; 100];
/// let count = client.recv(&mut reply)?;
/// assert_eq!(&reply[..count], b"good morning");
/// server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[expect(async_fn_in_trait, reason = "futures stay on their shard: they are deliberately not `Send`")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async datagram handler",
    label = "wants `async |d: &mut Datagram| -> socketserver::Result`"
)]
pub trait AsyncDatagramHandler {
    /// Does something with a packet.
    ///
    /// # Errors
    /// Whatever `?` gives: it reaches [`on_error`](Self::on_error). Replies made before it are sent.
    async fn handle(&self, packet: &mut Datagram) -> Result;

    /// Whether packets of this peer are handled. It must not wait for anything. A panic counts as `false`.
    fn verify(&self, peer: &Peer) -> bool {
        let _ = peer;
        true
    }

    /// [`handle`](Self::handle) failed ([`Panic`](crate::Panic): it panicked). Nothing is printed unless you print it.
    fn on_error(&self, error: &Failure, peer: &Peer) {
        let _ = (error, peer);
    }
}

impl<F: AsyncFn(&mut Datagram) -> Result> AsyncDatagramHandler for F {
    async fn handle(&self, packet: &mut Datagram) -> Result {
        self(packet).await
    }
}
