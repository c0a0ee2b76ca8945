use super::target::{Target, reach, unix_addr};
use crate::connection::sync_stream::Stream;
use crate::connection::{
    CLIENT, Connection, Core, HANDSHAKE, IDLE, Idle, Peer, PollIo, Record, Slot, SyncIo, Terms, WRITE,
};
use crate::engine::Conn;
use crate::lifecycle::Handle;
use crate::{Error, ErrorKind};
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver_proto::proxy::{Header, Version};
use socketserver_proto::{Endpoint, UnixName};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "tls")]
use {super::ClientTls, crate::connection::now, std::time::Instant};

/// How long to wait for a server unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to an address as [`Server::bind`](crate::Server::bind) takes them (not `fd:`, `seqpacket:` or `ws://`; `*` is this machine;
/// packets go through [`datagram`](super::datagram)), and gives the same [`Stream`] that handlers have, idle and write
/// deadlines included. It waits 10 s at most for an answer; finding the address of a name takes what the system lets
/// it. Of `tls://` the handshake is over then, with an authority of the system's for the server's certificate; a
/// [`Connector`] can be told otherwise.
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// let server = Server::bind("unix:@doc-connect")?
///     .spawn(Serial::default(), |c: &mut blocking::Stream| { c.write_all(b"hello")?; Ok(()) })?;
/// let mut c = client::connect("unix:@doc-connect")?;
/// assert_eq!(c.read_to_end(100)?, b"hello");
/// server.handle().shutdown();
/// server.join()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
///
/// # Errors
/// An address that is not understood, a name without an address, nobody there, a handshake that came to nothing.
pub fn connect(endpoint: impl Target) -> Result<Stream, Error> {
    Connector::new().connect(endpoint)
}

/// As [`connect`], with a time limit of your own.
///
/// # Errors
/// As [`connect`].
pub fn connect_within(endpoint: impl Target, time: Duration) -> Result<Stream, Error> {
    Connector::new().within(time).connect(endpoint)
}

/// Connects on terms of your own: in what time, and in TLS with whom.
///
/// | option | default |
/// |---|---|
/// | [`within`](Self::within) | 10 s |
/// | [`proxy_header`](Self::proxy_header) | none |
#[cfg_attr(feature = "tls", doc = "| [`tls`](Self::tls) | the system's authorities, no certificate of our own |")]
///
/// ```
/// use socketserver::{Serial, Server, blocking, client};
/// use std::time::Duration;
/// let server = Server::bind("tcp://127.0.0.1:0")?
///     .spawn(Serial::default(), |c: &mut blocking::Stream| { c.write_all(b"hello")?; Ok(()) })?;
/// let connector = client::Connector::new().within(Duration::from_secs(1));
/// for _ in 0..2 {
///     assert_eq!(connector.connect(&server.handle().endpoints()[0])?.read_to_end(100)?, b"hello");
/// }
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    pub(super) within: Duration,
    header: Option<Header>,
    #[cfg(feature = "tls")]
    tls: ClientTls,
}

impl Connector {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            within: PATIENCE,
            header: None,
            #[cfg(feature = "tls")]
            tls: ClientTls::new(),
        }
    }

    /// How long to wait for the server: until it has accepted, and over `tls://` until hands are shaken. At least 1 ms.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time.max(Duration::from_millis(1));
        self
    }

    /// Speaks for somebody else: this header of the PROXY protocol is sent before anything else, in its own version.
    #[must_use]
    pub fn proxy_header(mut self, header: Header) -> Self {
        self.header = Some(header);
        self
    }

    /// Whom to trust over `tls://`, and as whom to come.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// As [`client::connect`](super::connect), on these terms.
    ///
    /// # Errors
    /// As there.
    pub fn connect(&self, endpoint: impl Target) -> Result<Stream, Error> {
        let endpoint = endpoint.endpoint()?;
        check(&endpoint)?;
        let failed = |error| Error::io(format!("cannot connect to `{endpoint}`"), error);
        let header = self.encoded_header()?;
        #[cfg(feature = "tls")]
        let session = self.session(&endpoint)?;
        #[cfg(feature = "tls")]
        let until = Instant::now().checked_add(self.within);
        let (socket, peer) = match &endpoint {
            Endpoint::Unix { name, .. } => {
                let socket = connect_unix(name, self.within).map_err(failed)?;
                let peer = Peer::unix(socketserver_sys::peer_credentials(&socket).ok());
                (socket, peer)
            }
            over_tcp => {
                let Some((host, port)) = over_tcp.tcp() else { return Err(not_for_streams(over_tcp)) };
                let addr = reach(host, port).map_err(failed)?;
                let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).map_err(failed)?;
                socket.connect_timeout(&SockAddr::from(addr), self.within).map_err(failed)?;
                socket.set_tcp_nodelay(true).map_err(failed)?;
                (socket, Peer::from(addr))
            }
        };
        let connection = connection(socket.into(), peer);
        let mut stream = Stream::new(core(SyncIo::new(&connection), connection));
        if let Some(header) = header {
            stream.write_all(&header).map_err(failed)?;
        }
        #[cfg(feature = "tls")]
        if let Some(session) = session {
            now(stream.core().upgrade_to(session, until)).map_err(failed)?;
        }
        Ok(stream)
    }

    /// What is to be sent first.
    pub(super) fn encoded_header(&self) -> Result<Option<Vec<u8>>, Error> {
        let encoded = self.header.as_ref().map(|header| match header.version() {
            Version::V1 => header.encode_v1(),
            Version::V2 => Ok(header.encode_v2()),
        });
        encoded.transpose().map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))
    }

    /// Our end of a TLS connection to there, if it is to be one.
    #[cfg(feature = "tls")]
    pub(super) fn session(&self, endpoint: &Endpoint) -> Result<Option<rustls::ClientConnection>, Error> {
        match endpoint.tcp() {
            Some((host, _)) if endpoint.is_tls() => self.tls.session(host).map(Some),
            _ => Ok(None),
        }
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn connect_unix(name: &UnixName, within: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full backlog is no event to wait for: only a blocking call waits for room (connect(2), EAGAIN).
    socket.set_write_timeout(Some(within))?;
    socket.connect(&unix_addr(name)?)?;
    socket.set_write_timeout(None)?;
    Ok(socket)
}

/// A connection of the client's side.
pub(super) fn connection(socket: OwnedFd, peer: Peer) -> Arc<Connection> {
    Arc::new(Record::new(0, peer, CLIENT, Slot::own()).with(Some(socket)))
}

/// Its core, on the terms that clients begin with.
pub(super) fn core<T: PollIo>(io: T, connection: Arc<Connection>) -> Core<T> {
    let terms = Terms { handle: Handle::nobodys(), idle: Idle::Own(IDLE), write: WRITE, handshake: HANDSHAKE };
    Core::new(io, connection, Arc::new(terms))
}

/// Whether bytes can be exchanged with who listens there.
pub(super) fn check(endpoint: &Endpoint) -> Result<(), Error> {
    match endpoint {
        Endpoint::Tcp { .. } | Endpoint::Unix { .. } => Ok(()),
        Endpoint::Tls { .. } if cfg!(feature = "tls") => Ok(()),
        other => Err(not_for_streams(other)),
    }
}

fn not_for_streams(endpoint: &Endpoint) -> Error {
    let words = match endpoint {
        other if other.is_datagram() => {
            format!("`{other}` takes packets, and no connections: `client::datagram` sends it some")
        }
        Endpoint::Seqpacket { .. } => format!(
            "`{endpoint}` takes whole messages, and a stream has none: a socket of the kind `SOCK_SEQPACKET` (`unix(7)`) \
             talks to it"
        ),
        Endpoint::Tls { .. } => {
            format!("`{endpoint}` needs the feature `tls` of `socketserver`, which this program was built without")
        }
        Endpoint::Ws { .. } | Endpoint::Wss { .. } => {
            format!("`{endpoint}` takes WebSocket messages, and there is no client for them here yet: a browser is one")
        }
        other => format!("`{other}` cannot be connected to"),
    };
    Error::new(ErrorKind::Unsupported, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn deadlines_are_on_unless_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut c = connect(format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        let terms = c.core().terms();
        assert!(matches!(terms.idle, Idle::Own(Some(time)) if time == Duration::from_secs(60)), "{terms:?}");
        assert_eq!(terms.write, Some(Duration::from_secs(30)));
    }

    #[cfg(all(feature = "tls", feature = "tokio"))]
    #[test]
    fn nobody_is_connected_to_on_terms_that_are_of_no_use() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = format!("tls://{}", listener.local_addr().unwrap());
        let connector = Connector::new().tls(ClientTls::new().ca("/dev/null"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let errors =
            [connector.connect(&*at).unwrap_err(), runtime.block_on(connector.connect_async(&*at)).unwrap_err()];
        for error in errors {
            assert!(error.to_string().contains("/dev/null"), "{error}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
