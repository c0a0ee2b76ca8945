use socketserver_sys::Credentials;
use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of a connection.
///
/// IPv4 addresses that come in over an IPv6 socket (`::ffff:192.0.2.1`) are shown as what they are, IPv4. A Unix peer
/// seldom has a name; it has [`credentials`](Self::credentials).
///
/// ```
/// use socketserver::Peer;
/// let peer = Peer::from("[::ffff:192.0.2.1]:5000".parse::<std::net::SocketAddr>()?);
/// assert_eq!(peer.to_string(), "192.0.2.1:5000");
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    addr: Option<SocketAddr>,
    credentials: Option<Credentials>,
}

impl Peer {
    /// A peer without an address, as in-memory transports have them.
    #[must_use]
    pub fn unnamed() -> Self {
        Self::default()
    }

    pub(crate) fn unix(credentials: Option<Credentials>) -> Self {
        Self { addr: None, credentials }
    }

    /// Its address; `None` over Unix sockets.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// The process at the other end of a Unix socket, as the kernel noted it when it connected.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        let addr = match addr {
            // Only a mapped address is rewritten: the scope of a link-local one must stay.
            SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(addr, |v4| SocketAddr::new(v4.into(), v6.port())),
            SocketAddr::V4(_) => addr,
        };
        Self { addr: Some(addr), credentials: None }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr, self.credentials) {
            (Some(addr), _) => addr.fmt(f),
            (None, Some(c)) => write!(f, "unix:pid={},uid={},gid={}", c.pid, c.uid, c.gid),
            (None, None) => f.write_str("unnamed"),
        }
    }
}
