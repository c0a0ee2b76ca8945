use socketserver::{Accept, AsyncTransport, Peer};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Connections in memory for the async engine: no socket, no port, no kernel. Nothing of them keeps a clock that is
/// [paused](crate::paused) from advancing, so deadlines of hours pass in no time. For the blocking engine, which waits in
/// the system, there is [`PairListener`](crate::PairListener).
///
/// ```
/// use socketserver::{Server, Stream};
/// use socketserver_testkit::{MemoryListener, paused};
/// use std::time::Duration;
/// use tokio::io::AsyncReadExt;
///
/// paused(|| async {
///     let (listener, connector) = MemoryListener::new();
///     let server = Server::bind([])?.accept_from(listener)?;
///     let mut server = server.idle(None).first_byte(Duration::from_secs(3600));
///     let handle = server.handle();
///     let client = async {
///         let mut client = connector.connect();
///         let start = tokio::time::Instant::now();
///         // It says nothing, and is cut: after an hour that takes no time.
///         assert_eq!(client.read(&mut [0; 10]).await?, 0);
///         assert!(start.elapsed() >= Duration::from_secs(3600));
///         handle.shutdown();
///         Ok::<_, socketserver::Failure>(())
///     };
///     let served = server.run(async |c: &mut Stream| {
///         c.read_line(100).await?;
///         Ok(())
///     });
///     let (report, client) = tokio::join!(served, client);
///     assert_eq!(report?.served, 1);
///     client
/// })?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug)]
pub struct MemoryListener(UnboundedReceiver<(DuplexStream, Peer)>);

/// Connects to a [`MemoryListener`]. Connections that were not accepted yet wait, any number of them.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    backlog: UnboundedSender<(DuplexStream, Peer)>,
    buffer: usize,
}

impl MemoryListener {
    /// Where connections come in, and what makes them. Hand the first to
    /// [`Server::accept_from`](socketserver::Server::accept_from).
    #[must_use]
    pub fn new() -> (Self, MemoryConnector) {
        let (backlog, accepted) = unbounded_channel();
        (Self(accepted), MemoryConnector { backlog, buffer: 64 * 1024 })
    }
}

impl Accept for MemoryListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn AsyncTransport>, Peer)>> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some((stream, peer))) => Poll::Ready(Ok((Box::new(stream), peer))),
            // Whoever could connect is gone: nobody comes any more, which is no failure.
            _ => Poll::Pending,
        }
    }
}

impl MemoryConnector {
    /// How many bytes the connections that are made from now on hold in each direction before a write waits; 64 KiB unless
    /// said otherwise, at least 1.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.max(1);
        self
    }

    /// A connection of a peer without an address. Dropped, it is at its end in both directions.
    ///
    /// # Panics
    /// When the listener is gone.
    #[must_use]
    pub fn connect(&self) -> DuplexStream {
        self.connect_as(Peer::unnamed())
    }

    /// As [`connect`](Self::connect), from this address, as far as the server knows.
    ///
    /// # Panics
    /// When the listener is gone.
    #[must_use]
    pub fn connect_from(&self, address: SocketAddr) -> DuplexStream {
        self.connect_as(address.into())
    }

    fn connect_as(&self, peer: Peer) -> DuplexStream {
        let (near, far) = duplex(self.buffer);
        self.backlog.send((far, peer)).expect("the listener is there");
        near
    }
}
