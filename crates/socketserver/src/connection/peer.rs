#[cfg(feature = "tls")]
use crate::tls::Identity;
use socketserver_sys::Credentials;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(feature = "tls")]
use std::sync::Arc;

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
pub struct Peer(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Unnamed,
    V4(SocketAddrV4),
    // In boxes: then it is small for most of the many connections that a server may have.
    V6(Box<SocketAddrV6>),
    Unix(Box<Credentials>),
    #[cfg(feature = "tls")]
    Known(Box<Known>),
}

/// A peer of which more is known than where it is.
#[cfg(feature = "tls")]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    at: Kind,
    identity: Arc<Identity>,
}

impl Kind {
    /// Where it is.
    fn at(&self) -> &Self {
        match self {
            #[cfg(feature = "tls")]
            Self::Known(known) => &known.at,
            other => other,
        }
    }
}

impl Peer {
    /// A peer without an address, as in-memory transports have them.
    #[must_use]
    pub fn unnamed() -> Self {
        Self::default()
    }

    pub(crate) fn unix(credentials: Option<Credentials>) -> Self {
        Self(credentials.map_or(Kind::Unnamed, |credentials| Kind::Unix(Box::new(credentials))))
    }

    /// Its address; `None` over Unix sockets.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        match self.0.at() {
            Kind::V4(addr) => Some((*addr).into()),
            Kind::V6(addr) => Some((**addr).into()),
            _ => None,
        }
    }

    /// The process at the other end of a Unix socket, as the kernel noted it when it connected.
    ///
    /// ```
    /// use socketserver::{Peer, Result, Serial, Server, blocking, client};
    ///
    /// struct OwnUser(u32);
    /// impl blocking::Handler for OwnUser {
    ///     fn verify(&self, peer: &Peer) -> bool {
    ///         peer.credentials().is_some_and(|process| process.uid == self.0)
    ///     }
    ///     fn handle(&self, c: &mut blocking::Stream) -> Result {
    ///         Ok(c.write_all(b"hello")?)
    ///     }
    /// }
    /// # use std::os::unix::fs::MetadataExt;
    /// # let own = OwnUser(std::fs::metadata("/proc/self")?.uid());
    /// # let server = Server::bind("unix:@doc-credentials")?.spawn(Serial::default(), own)?;
    /// # assert_eq!(client::connect("unix:@doc-credentials")?.read_to_end(100)?, b"hello");
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        if let Kind::Unix(credentials) = self.0.at() { Some(**credentials) } else { None }
    }
}

#[cfg(feature = "tls")]
impl Peer {
    /// Who it is, as the certificate says that it has shown and that was verified. `None`: it has shown none, or the
    /// connection is plain. Known once hands are shaken: `verify` comes before that.
    ///
    /// ```
    /// use socketserver::{AltName, Result, Stream};
    ///
    /// async fn handle(c: &mut Stream) -> Result {
    ///     let staff = AltName::Dns("staff.example.org".into());
    ///     if !c.peer().identity().is_some_and(|identity| identity.sans().contains(&staff)) {
    ///         return Err("not one of us".into());
    ///     }
    ///     Ok(c.write_all(b"hello\n").await?)
    /// }
    /// ```
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        if let Kind::Known(known) = &self.0 { Some(&known.identity) } else { None }
    }

    pub(crate) fn with_identity(&self, identity: Identity) -> Self {
        Self(Kind::Known(Box::new(Known { at: self.0.at().clone(), identity: Arc::new(identity) })))
    }
}

impl From<SocketAddr> for Peer {
    fn from(addr: SocketAddr) -> Self {
        Self(match addr {
            SocketAddr::V4(v4) => Kind::V4(v4),
            SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => Kind::V4(SocketAddrV4::new(v4, v6.port())),
                // As it is: the scope of a link-local one must stay.
                None => Kind::V6(Box::new(v6)),
            },
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.at() {
            Kind::V4(addr) => addr.fmt(f),
            Kind::V6(addr) => addr.fmt(f),
            Kind::Unix(c) => write!(f, "unix:pid={},uid={},gid={}", c.pid, c.uid, c.gid),
            _ => f.write_str("unnamed"),
        }
    }
}
