//! Where the server under load listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::SockAddr;

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
