//! Who is connected to whom, as a header of version 2 has it.

use super::ProxyError;
use crate::endpoint::UnixName;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// As many bytes as `sun_path` has, `unix(7)`.
const UNIX_BYTES: usize = 108;

/// The two ends of a proxied connection: its transport, where it came from and where it was made to.
///
/// Nothing is done to an address: `::ffff:192.0.2.1` in a `Tcp6` stays as it is. Whoever compares the source with a list,
/// counts by it or logs it makes an IPv4 address of it first, by [`IpAddr::to_canonical`](std::net::IpAddr::to_canonical);
/// [`Cidr`](crate::Cidr) and [`peer_key`](crate::peer_key) do so themselves.
///
/// Scope and flow information of an IPv6 address are not sent, and are 0 in one that came. A Unix socket without a name has
/// `None`. The path of one can have 108 bytes here, one more than elsewhere: it needs no NUL behind it.
///
/// ```
/// use socketserver_proto::proxy::Addresses;
///
/// let addresses = Addresses::udp("192.0.2.7:5353".parse()?, "192.0.2.1:53".parse()?)?;
/// assert!(matches!(addresses, Addresses::Udp4 { .. }));
/// assert_eq!(addresses.source(), Some("192.0.2.7:5353".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// TCP over IPv4.
    Tcp4 {
        /// Where the client is.
        source: SocketAddrV4,
        /// Where the client connected to.
        destination: SocketAddrV4,
    },
    /// TCP over IPv6.
    Tcp6 {
        /// Where the client is.
        source: SocketAddrV6,
        /// Where the client connected to.
        destination: SocketAddrV6,
    },
    /// UDP over IPv4.
    Udp4 {
        /// Where the client is.
        source: SocketAddrV4,
        /// Where the client sent to.
        destination: SocketAddrV4,
    },
    /// UDP over IPv6.
    Udp6 {
        /// Where the client is.
        source: SocketAddrV6,
        /// Where the client sent to.
        destination: SocketAddrV6,
    },
    /// A Unix stream socket.
    UnixStream {
        /// The name of the client's socket; it seldom has one.
        source: Option<UnixName>,
        /// The name of the socket that the client connected to.
        destination: Option<UnixName>,
    },
    /// A Unix datagram socket.
    UnixDgram {
        /// The name of the client's socket.
        source: Option<UnixName>,
        /// The name of the socket that the client sent to.
        destination: Option<UnixName>,
    },
    /// Nothing is told: `UNKNOWN` in version 1, `UNSPEC` in version 2, and whatever family or transport is not one of the
    /// above. The addresses of the connection that the header came on are the only ones there are.
    Unspec,
}

impl Addresses {
    /// A TCP connection.
    ///
    /// # Errors
    ///
    /// One address is IPv4 and the other IPv6, which no header can say: make both the same, as by
    /// [`Ipv4Addr::to_ipv6_mapped`].
    pub fn tcp(source: SocketAddr, destination: SocketAddr) -> Result<Self, ProxyError> {
        match (source, destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => Ok(Self::Tcp4 { source, destination }),
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                Ok(Self::Tcp6 { source: plain(source), destination: plain(destination) })
            }
            _ => Err(TWO_FAMILIES),
        }
    }

    /// UDP packets.
    ///
    /// # Errors
    ///
    /// As [`tcp`](Self::tcp).
    pub fn udp(source: SocketAddr, destination: SocketAddr) -> Result<Self, ProxyError> {
        match (source, destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => Ok(Self::Udp4 { source, destination }),
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                Ok(Self::Udp6 { source: plain(source), destination: plain(destination) })
            }
            _ => Err(TWO_FAMILIES),
        }
    }

    /// Where the client is, if it has an IP address.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        match *self {
            Self::Tcp4 { source, .. } | Self::Udp4 { source, .. } => Some(source.into()),
            Self::Tcp6 { source, .. } | Self::Udp6 { source, .. } => Some(source.into()),
            Self::UnixStream { .. } | Self::UnixDgram { .. } | Self::Unspec => None,
        }
    }

    /// Where the client connected or sent to, if that is an IP address.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        match *self {
            Self::Tcp4 { destination, .. } | Self::Udp4 { destination, .. } => Some(destination.into()),
            Self::Tcp6 { destination, .. } | Self::Udp6 { destination, .. } => Some(destination.into()),
            Self::UnixStream { .. } | Self::UnixDgram { .. } | Self::Unspec => None,
        }
    }

    /// The byte that names family and transport.
    pub(super) fn family(&self) -> u8 {
        match self {
            Self::Unspec => 0x00,
            Self::Tcp4 { .. } => 0x11,
            Self::Udp4 { .. } => 0x12,
            Self::Tcp6 { .. } => 0x21,
            Self::Udp6 { .. } => 0x22,
            Self::UnixStream { .. } => 0x31,
            Self::UnixDgram { .. } => 0x32,
        }
    }

    /// How many bytes the addresses of such a family take.
    pub(super) fn len_of(family: u8) -> usize {
        match family {
            0x11 | 0x12 => 2 * (4 + 2),
            0x21 | 0x22 => 2 * (16 + 2),
            0x31 | 0x32 => 2 * UNIX_BYTES,
            _ => 0,
        }
    }

    /// Reads `block`, which has as many bytes as the family takes, or more.
    pub(super) fn read(family: u8, block: &[u8]) -> Self {
        let read = || match family {
            0x11 => ipv4(block).map(|(source, destination)| Self::Tcp4 { source, destination }),
            0x12 => ipv4(block).map(|(source, destination)| Self::Udp4 { source, destination }),
            0x21 => ipv6(block).map(|(source, destination)| Self::Tcp6 { source, destination }),
            0x22 => ipv6(block).map(|(source, destination)| Self::Udp6 { source, destination }),
            0x31 => unix(block).map(|(source, destination)| Self::UnixStream { source, destination }),
            0x32 => unix(block).map(|(source, destination)| Self::UnixDgram { source, destination }),
            _ => None,
        };
        read().unwrap_or(Self::Unspec)
    }

    /// Appends what [`read`](Self::read) reads.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Tcp4 { source, destination } | Self::Udp4 { source, destination } => {
                out.extend(source.ip().octets());
                out.extend(destination.ip().octets());
                out.extend(source.port().to_be_bytes());
                out.extend(destination.port().to_be_bytes());
            }
            Self::Tcp6 { source, destination } | Self::Udp6 { source, destination } => {
                out.extend(source.ip().octets());
                out.extend(destination.ip().octets());
                out.extend(source.port().to_be_bytes());
                out.extend(destination.port().to_be_bytes());
            }
            Self::UnixStream { source, destination } | Self::UnixDgram { source, destination } => {
                for name in [source, destination] {
                    let end = out.len() + UNIX_BYTES;
                    match name {
                        None => {}
                        Some(UnixName::Path(path)) => out.extend(path.as_os_str().as_bytes()),
                        Some(UnixName::Abstract(name)) => {
                            out.push(0);
                            out.extend(name);
                        }
                    }
                    out.resize(end, 0);
                }
            }
            Self::Unspec => {}
        }
    }

    /// As they come back out of a header, or why they would not.
    pub(super) fn checked(self) -> Result<Self, ProxyError> {
        match self {
            Self::Tcp6 { source, destination } => {
                Ok(Self::Tcp6 { source: plain(source), destination: plain(destination) })
            }
            Self::Udp6 { source, destination } => {
                Ok(Self::Udp6 { source: plain(source), destination: plain(destination) })
            }
            Self::UnixStream { ref source, ref destination } | Self::UnixDgram { ref source, ref destination } => {
                check(source)?;
                check(destination)?;
                Ok(self)
            }
            Self::Tcp4 { .. } | Self::Udp4 { .. } | Self::Unspec => Ok(self),
        }
    }
}

const TWO_FAMILIES: ProxyError =
    ProxyError::unencodable("a PROXY header has no room for one IPv4 and one IPv6 address");

/// Without what a header has no room for.
fn plain(addr: SocketAddrV6) -> SocketAddrV6 {
    SocketAddrV6::new(*addr.ip(), addr.port(), 0, 0)
}

fn check(name: &Option<UnixName>) -> Result<(), ProxyError> {
    let what = match name {
        None => return Ok(()),
        Some(UnixName::Path(path)) => match path.as_os_str().as_bytes() {
            [] => "a PROXY header cannot have an empty path",
            path if path.len() > UNIX_BYTES => "a PROXY header has no room for a path of more than 108 bytes",
            path if path.contains(&0) => "a PROXY header cannot have a path with a NUL in it",
            _ => return Ok(()),
        },
        Some(UnixName::Abstract(name)) => match name.as_slice() {
            // Behind a name is nothing but NULs, and nobody could tell which of them is its own.
            [] | [.., 0] => "a PROXY header cannot have an abstract name that is empty or ends with a NUL",
            name if name.len() >= UNIX_BYTES => {
                "a PROXY header has no room for an abstract name of more than 107 bytes"
            }
            _ => return Ok(()),
        },
    };
    Err(ProxyError::unencodable(what))
}

/// The next so many bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn ipv4(mut block: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let addresses: [[u8; 4]; 2] = [take(&mut block)?, take(&mut block)?];
    let [source, destination] = addresses.map(Ipv4Addr::from);
    let ports = [take(&mut block)?, take(&mut block)?];
    let [from, to] = ports.map(u16::from_be_bytes);
    Some((SocketAddrV4::new(source, from), SocketAddrV4::new(destination, to)))
}

fn ipv6(mut block: &[u8]) -> Option<(SocketAddrV6, SocketAddrV6)> {
    let addresses: [[u8; 16]; 2] = [take(&mut block)?, take(&mut block)?];
    let [source, destination] = addresses.map(Ipv6Addr::from);
    let ports = [take(&mut block)?, take(&mut block)?];
    let [from, to] = ports.map(u16::from_be_bytes);
    Some((SocketAddrV6::new(source, from, 0, 0), SocketAddrV6::new(destination, to, 0, 0)))
}

type Names = (Option<UnixName>, Option<UnixName>);

fn unix(mut block: &[u8]) -> Option<Names> {
    let names: [[u8; UNIX_BYTES]; 2] = [take(&mut block)?, take(&mut block)?];
    Some(names.map(|name| unix_name(&name)).into())
}

/// A path ends before the first NUL. How long an abstract name is, the block does not say: what is behind it is taken for
/// NULs that fill it up.
fn unix_name(block: &[u8]) -> Option<UnixName> {
    match block {
        [0, name @ ..] => {
            let len = name.iter().rposition(|byte| *byte != 0)? + 1;
            Some(UnixName::Abstract(name[..len].to_vec()))
        }
        path => {
            let path = path.split(|byte| *byte == 0).next()?;
            Some(UnixName::Path(OsString::from_vec(path.to_vec()).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &[u8]) -> [u8; UNIX_BYTES] {
        let mut block = [0; UNIX_BYTES];
        block[..name.len()].copy_from_slice(name);
        block
    }

    #[test]
    fn where_both_ends_are() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (source, destination) in [("192.0.2.1:1", "192.0.2.2:2"), ("[2001:db8::1]:1", "[2001:db8::2]:2")] {
            let (source, destination) = (at(source), at(destination));
            for addresses in [Addresses::tcp(source, destination), Addresses::udp(source, destination)] {
                let addresses = addresses.unwrap();
                assert_eq!((addresses.source(), addresses.destination()), (Some(source), Some(destination)));
                let header = crate::proxy::Header::between(addresses).unwrap();
                assert_eq!((header.source(), header.destination()), (Some(source), Some(destination)));
            }
        }
        let unix = || (None, Some(UnixName::Path("/run/x".into())));
        let ((source, destination), other) = (unix(), unix());
        let stream = Addresses::UnixStream { source, destination };
        let packets = Addresses::UnixDgram { source: other.0, destination: other.1 };
        for addresses in [stream, packets, Addresses::Unspec] {
            assert_eq!((addresses.source(), addresses.destination()), (None, None), "{addresses:?}");
        }
    }

    #[test]
    fn unix_names() {
        let path = |path: &str| Some(UnixName::Path(path.into()));
        let longest = "x".repeat(UNIX_BYTES);
        let cases = [
            (&b""[..], None),
            (b"/run/app.sock", path("/run/app.sock")),
            // As a kernel hands out what a program has left in a larger buffer.
            (b"/a\0junk", path("/a")),
            (longest.as_bytes(), path(&longest)),
            (b"\0app", Some(UnixName::Abstract(b"app".to_vec()))),
            (b"\0a\0b", Some(UnixName::Abstract(b"a\0b".to_vec()))),
            (b"\0\0b", Some(UnixName::Abstract(b"\0b".to_vec()))),
        ];
        for (bytes, name) in cases {
            assert_eq!(unix_name(&block(bytes)), name, "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let (v4, v6) = ("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap());
        assert!(Addresses::tcp(v4, v6).unwrap_err().is_unencodable());
        assert!(Addresses::udp(v6, v4).unwrap_err().is_unencodable());
        let path = |path: &str| UnixName::Path(path.into());
        let names = [
            (path(""), "empty path"),
            (path("/a\0b"), "NUL"),
            (path(&"x".repeat(109)), "108 bytes"),
            (UnixName::Abstract(vec![]), "empty"),
            (UnixName::Abstract(b"a\0".to_vec()), "ends with a NUL"),
            (UnixName::Abstract(vec![b'x'; 108]), "107 bytes"),
        ];
        for (name, words) in names {
            let addresses = Addresses::UnixDgram { source: None, destination: Some(name) };
            let error = addresses.checked().unwrap_err();
            assert!(error.is_unencodable() && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn scope_and_flow_information_are_not_sent() {
        let addr = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 7, 1, 2);
        let plain = Addresses::tcp("[::1]:7".parse().unwrap(), "[::1]:7".parse().unwrap()).unwrap();
        assert_eq!(Addresses::tcp(addr.into(), addr.into()), Ok(plain.clone()));
        assert_eq!(Addresses::Tcp6 { source: addr, destination: addr }.checked(), Ok(plain));
    }
}
