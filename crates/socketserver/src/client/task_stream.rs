use super::Connector;
use super::connector::{check, connect_unix, connection, core};
use super::target::{self, Target};
use crate::connection::TaskIo;
use crate::connection::task_stream::Stream;
use crate::engine::Conn as _;
use crate::{Error, Peer};
use socketserver_proto::{Endpoint, Host};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// As [`client::connect`](crate::client::connect), for async code. Names are looked up on a thread of the runtime's.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// let server = Server::bind("tcp://127.0.0.1:0")?
///     .spawn(Serial::default(), |c: &mut blocking::Stream| { c.write_all(b"hello")?; Ok(()) })?;
/// # let at = server.handle().endpoints()[0].clone();
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let mut c = client::task::connect(&at).await?;
/// assert_eq!(c.read_to_end(100).await?, b"hello");
/// # Ok::<_, socketserver::Failure>(())
/// # })?;
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
///
/// # Errors
/// As there.
///
/// # Panics
/// Outside a runtime with I/O and time.
pub async fn connect(endpoint: impl Target) -> Result<Stream, Error> {
    Connector::new().connect_async(endpoint).await
}

impl Connector {
    /// As [`client::task::connect`](crate::client::task::connect), on these terms. If its future is dropped, nothing stays
    /// connected.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a runtime with I/O and time.
    pub async fn connect_async(&self, endpoint: impl Target) -> Result<Stream, Error> {
        let endpoint = endpoint.endpoint()?;
        check(&endpoint)?;
        let failed = |error| Error::io(format!("cannot connect to `{endpoint}`"), error);
        let header = self.encoded_header()?;
        #[cfg(feature = "tls")]
        let session = self.session(&endpoint)?;
        // A time beyond the clock's end is no limit.
        #[cfg(feature = "tls")]
        let until = tokio::time::Instant::now().checked_add(self.within);
        let reached = timeout(self.within, reach(&endpoint, self.within)).await;
        let (socket, peer) = reached.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
        let connection = connection(socket, peer);
        let io = TaskIo::socket(&connection).map_err(failed)?;
        let mut stream = Stream::new(core(io, connection));
        if let Some(header) = header {
            stream.write_all(&header).await.map_err(failed)?;
        }
        #[cfg(feature = "tls")]
        if let Some(session) = session {
            stream.core().upgrade_to(session, until.map(tokio::time::Instant::into_std)).await.map_err(failed)?;
        }
        Ok(stream)
    }
}

async fn reach(endpoint: &Endpoint, within: Duration) -> io::Result<(OwnedFd, Peer)> {
    if let Endpoint::Unix { name, .. } = endpoint {
        let name = name.clone();
        let socket = spawn_blocking(move || connect_unix(&name, within)).await??;
        let peer = Peer::unix(socketserver_sys::peer_credentials(&socket).ok());
        return Ok((socket.into(), peer));
    }
    let (host, port) = endpoint.tcp().ok_or(io::ErrorKind::Unsupported)?;
    let addr = match host.clone() {
        // Whoever asks for the address of a name waits for the answer.
        host @ (Host::Name(_) | Host::Scoped(..)) => spawn_blocking(move || target::reach(&host, port)).await??,
        host => target::reach(&host, port)?,
    };
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?.into(), addr.into()))
}
