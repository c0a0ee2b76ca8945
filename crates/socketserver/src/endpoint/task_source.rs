use crate::Peer;
use crate::connection::AsyncTransport;
use socketserver_proto::{Endpoint, UnixName};
use std::io;
use std::task::{Context, Poll};

/// A source of async connections of your own: in memory, a tunnel, a protocol that multiplexes. Hand it to
/// [`Server::accept_from`](crate::Server::accept_from); [`Tasks`](crate::Tasks) and [`Server::run`](crate::Server::run)
/// serve what it gives.
///
/// Connections need no socket, so a handler can be tested without a network and, with the runtime's clock paused,
/// without waiting:
///
/// ```
/// use socketserver::{Accept, AsyncTransport, Peer, Server, Stream};
/// use std::{io, task::{Context, Poll}, time::Duration};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
/// use tokio::sync::mpsc;
///
/// struct Memory(mpsc::Receiver<DuplexStream>);
/// impl Accept for Memory {
///     fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
///         match self.0.poll_recv(cx) {
///             Poll::Ready(Some(end)) => Poll::Ready(Ok((Box::new(end), Peer::unnamed()))),
///             // Whoever could connect is gone.
///             _ => Poll::Pending,
///         }
///     }
/// }
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
/// runtime.block_on(async {
///     let (connect, source) = mpsc::channel(8);
///     let mut server = Server::bind([])?.accept_from(Memory(source))?.idle(Duration::from_secs(3600));
///     let handle = server.handle();
///     let client = async {
///         let (mut near, far) = duplex(1024);
///         connect.send(far).await?;
///         // An hour passes.
///         assert_eq!(near.read(&mut [0; 10]).await?, 0);
///         handle.shutdown();
///         Ok::<_, socketserver::Failure>(())
///     };
///     let served = server.run(async |c: &mut Stream| { c.read_line(100).await?; Ok(()) });
///     let (report, client) = tokio::join!(served, client);
///     assert_eq!(report?.served, 1);
///     client
/// })?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
pub trait Accept: Send {
    /// The next connection. It is polled on one task; one that came before and was dropped is not asked for again.
    ///
    /// # Errors
    /// As [`blocking::Accept::accept`](crate::blocking::Accept::accept): told apart by their number.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>>;

    /// What events and [`Handle::endpoints`](crate::Handle::endpoints) call it: `unix:@in-memory` unless you say otherwise.
    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix { name: UnixName::Abstract("in-memory".into()), mode: None }
    }
}
