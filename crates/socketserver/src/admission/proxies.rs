use crate::Peer;
use socketserver_proto::{Cidr, CidrError};
use std::fmt;
use std::str::FromStr;

/// Who is believed when it says for whom it connects: for [`Server::proxy_protocol`](crate::Server::proxy_protocol).
///
/// ```
/// use socketserver::ProxySource;
/// assert_eq!("10.0.0.0/8".parse(), Ok(ProxySource::Net("10.0.0.0/8".parse()?)));
/// assert_eq!("unix".parse(), Ok(ProxySource::Unix));
/// assert!("everybody".parse::<ProxySource>().is_err());
/// # Ok::<_, socketserver::CidrError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxySource {
    /// Proxies with an address in this block.
    Net(Cidr),
    /// Whoever connects to one of the server's Unix sockets: who that may be is said by the socket's mode.
    Unix,
}

impl ProxySource {
    /// Whether this one is meant.
    pub(crate) fn is(&self, peer: &Peer) -> bool {
        match self {
            Self::Net(block) => peer.addr().is_some_and(|addr| block.contains(addr.ip())),
            Self::Unix => peer.credentials().is_some(),
        }
    }
}

impl From<Cidr> for ProxySource {
    fn from(block: Cidr) -> Self {
        Self::Net(block)
    }
}

impl FromStr for ProxySource {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        if text.eq_ignore_ascii_case("unix") { Ok(Self::Unix) } else { text.parse().map(Self::Net) }
    }
}

impl fmt::Display for ProxySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(block) => block.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
