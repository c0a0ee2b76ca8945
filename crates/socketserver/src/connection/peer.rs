#[cfg(feature = "tls")]
use crate::tls::Identity;
use socketserver_proto::proxy::{Addresses, Header};
use socketserver_sys::Credentials;
use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(feature = "tls")]
use std::sync::{Arc, OnceLock};

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
    Known(Box<Known>),
}

/// A peer of which more is known than where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    at: Kind,
    proxied: Option<Proxied>,
    /// Found out last.
    #[cfg(feature = "tls")]
    identity: OnceLock<Arc<Identity>>,
}

impl Kind {
    /// Where it is.
    fn at(&self) -> &Self {
        match self {
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

impl Peer {
    /// Through which proxy it came, and what that said of it, if a PROXY header did ([`Server::proxy_protocol`](crate::Server::proxy_protocol)).
    #[must_use]
    pub fn proxied(&self) -> Option<&Proxied> {
        self.known()?.proxied.as_ref()
    }

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
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        Some(self.known()?.identity.get()?)
    }

    fn known(&self) -> Option<&Known> {
        if let Kind::Known(known) = &self.0 { Some(known) } else { None }
    }

    /// Where it is, and no more.
    pub(crate) fn bare(self) -> Self {
        match self.0 {
            Kind::Known(known) => Self(known.at),
            at => Self(at),
        }
    }

    /// The peer that this proxy speaks for.
    pub(crate) fn behind(proxy: &Self, header: Header) -> Self {
        let at = match header.source() {
            Some(source) => Self::from(source).0,
            // Its own connection, or one that it knows nothing of.
            None if !matches!(header.addresses(), Addresses::UnixStream { .. } | Addresses::UnixDgram { .. }) => {
                proxy.0.clone()
            }
            None => Kind::Unnamed,
        };
        let proxied = Some(Proxied { header, proxy: Box::new(proxy.clone()), counted_as: None });
        Self(Kind::Known(Box::new(Known {
            at,
            proxied,
            #[cfg(feature = "tls")]
            identity: OnceLock::new(),
        })))
    }

    /// Notes that one that is behind a proxy counts as this peer.
    pub(crate) fn count_as(&mut self, key: IpAddr) {
        if let Kind::Known(known) = &mut self.0
            && let Some(proxied) = &mut known.proxied
        {
            proxied.counted_as = Some(key);
        }
    }

    /// As what it counts, if that was not known at accept.
    pub(crate) fn counted_as(&self) -> Option<IpAddr> {
        self.proxied()?.counted_as
    }

    /// The same, and room for who it is.
    #[cfg(feature = "tls")]
    pub(super) fn identified(&self, identity: Identity) -> Self {
        let known = Known { at: self.0.at().clone(), proxied: None, identity: Arc::new(identity).into() };
        Self(Kind::Known(Box::new(known)))
    }

    /// Who it is, where there is room for that; otherwise it comes back.
    #[cfg(feature = "tls")]
    pub(super) fn identify(&self, identity: Identity) -> Result<(), Identity> {
        match self.known() {
            Some(known) => {
                let _ = known.identity.set(Arc::new(identity));
                Ok(())
            }
            None => Err(identity),
        }
    }
}

/// What a proxy said of a connection that came through it.
///
/// ```
/// use socketserver::{Result, blocking};
///
/// fn handle(c: &mut blocking::Stream) -> Result {
///     if let Some(proxied) = c.peer().proxied() {
///         println!("{} came through {}", c.peer(), proxied.by());
///         println!("and asked for {:?}", proxied.header().authority());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    header: Header,
    proxy: Box<Peer>,
    counted_as: Option<IpAddr>,
}

impl Proxied {
    /// The header: addresses, and for version 2 whatever else the proxy told.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The proxy itself.
    #[must_use]
    pub fn by(&self) -> &Peer {
        &self.proxy
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
