//! Where the server under load listens.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use socket2::SockAddr;
use socketserver_proto::{Endpoint, Host, UnixName};

use crate::LoadError;

/// The address of the server under load.
///
/// ```
/// use socketserver_load::Target;
///
/// let tcp = Target::from(std::net::SocketAddr::from(([127, 0, 0, 1], 8080)));
/// assert_eq!(tcp.to_string(), "tcp://127.0.0.1:8080");
/// assert_eq!(Target::Unix("/tmp/x.sock".into()).to_string(), "unix:/tmp/x.sock");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A TCP address; `TCP_NODELAY` is set on every connection.
    Tcp(SocketAddr),
    /// A Unix stream socket by its path; a leading NUL byte makes the name abstract, see `unix(7)`.
    Unix(PathBuf),
    /// A UDP address.
    Udp(SocketAddr),
}

impl Target {
    /// Where such an endpoint listens: one of TCP, TLS, WebSocket, UDP or a Unix stream socket. What is spoken there the
    /// [`Load`](crate::Load) says. A name stands for one address, its first IPv4 one or else its first, and is looked up now,
    /// for as long as the system takes; `*` is this machine.
    ///
    /// ```
    /// use socketserver_load::Target;
    ///
    /// let target = Target::of(&"ws://:8080/chat".parse()?)?;
    /// assert_eq!(target.to_string(), "tcp://127.0.0.1:8080");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An endpoint of another kind, or a name that has no address.
    pub fn of(endpoint: &Endpoint) -> Result<Self, LoadError> {
        match endpoint {
            Endpoint::Unix { name, .. } => Ok(Self::Unix(path(name)?)),
            Endpoint::Udp { host, port, .. } => Ok(Self::Udp(reach(host, *port)?)),
            other => match other.tcp() {
                Some((host, port)) => Ok(Self::Tcp(reach(host, port)?)),
                None => Err(LoadError::invalid(format!(
                    "`{other}` takes no load; one of `tcp://`, `tls://`, `ws://`, `wss://`, `udp://` and `unix:` does"
                ))),
            },
        }
    }

    pub(crate) fn address(&self) -> io::Result<SockAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Ok(SockAddr::from(*address)),
            Self::Unix(path) => SockAddr::unix(path),
        }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

fn path(name: &UnixName) -> Result<PathBuf, LoadError> {
    match name {
        UnixName::Path(path) => Ok(path.clone()),
        UnixName::Abstract(name) => {
            let bytes = [&b"\0"[..], name.as_ref()].concat();
            Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
        }
        _ => Err(LoadError::invalid("that Unix socket has a name of an unknown kind")),
    }
}

fn reach(host: &Host, port: u16) -> Result<SocketAddr, LoadError> {
    let name = match host {
        Host::Any => return Ok((Ipv4Addr::LOCALHOST, port).into()),
        Host::Ip(address) => return Ok((*address, port).into()),
        host => host.to_string(),
    };
    let all: Vec<_> = (name.trim_matches(['[', ']']), port)
        .to_socket_addrs()
        .map_err(LoadError::system("look up the server's name"))?
        .collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| LoadError::invalid(format!("`{name}` has no address")))
}
