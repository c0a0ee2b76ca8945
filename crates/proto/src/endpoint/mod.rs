//! Where to listen, as a string that a person can type.
//!
//! | text | meaning |
//! |---|---|
//! | `tcp://host:port`, `host:port` | TCP; the port is 0 (the system picks one) to 65535 |
//! | `:port` | TCP on 127.0.0.1 alone |
//! | `*:port` | TCP on every address, IPv6 and IPv4 |
//! | `[::1]:80`, `[fe80::1%eth0]:80` | TCP on an IPv6 address, with its interface where it needs one |
//! | `unix:/run/app.sock`, `unix:app.sock` | a Unix socket; `unix:///run/app.sock` is the same as the first |
//! | `unix:/run/app.sock?mode=660` | the same, and the permissions of its file, in octal |
//! | `unix:@app` | a Unix socket in Linux's abstract namespace |
//! | `udp://host:port`, `udp://:port`, `udp://*:port` | UDP, with the same hosts |
//! | `unixgram:/run/app.sock`, `unixgram:@app` | a Unix datagram socket, with the same names and modes |
//! | `seqpacket:/run/app.sock`, `seqpacket:@app` | a Unix socket whose connections keep messages apart, with the same names and modes |
//! | `ws://host:port/path`, `ws://:port`, `ws://*:port/path` | WebSocket (RFC 6455) over TCP, with the same hosts; without a path it is `/` |
//! | `tls://host:port`, `tls://:port`, `tls://*:port` | TLS (RFC 8446) over TCP, with the same hosts |
//! | `wss://host:port/path` | WebSocket over TLS, with the same hosts and paths |
//! | `fd:3` | a socket that the process has inherited as this descriptor |
//!
//! A scheme may be written in capitals. In a Unix name `%41` stands for the byte 0x41, so that `%`,
//! `?`, `#` and any other byte can be written. A host that is called as a scheme is (`unix`, `udp`)
//! needs `tcp://` before it.
//!
//! [`Targets`] are several ports of one host: `host:22,8000-8010`.

mod error;
mod host;
mod parse;
mod targets;
mod unix;
mod ws;

pub use error::EndpointError;
pub use host::Host;
pub use targets::{MAX_TARGETS, Targets};
pub use unix::UnixName;

use parse::parse;
use std::fmt;
use std::str::FromStr;

/// Where to listen, or whom to connect to; the [module](self) has the syntax.
///
/// It is parsed from a string by [`str::parse`] and printed by [`Display`](fmt::Display). What is
/// printed has no white space and gives the same value when it is parsed again. (Values that no
/// string gives, such as a host with an empty name, can be made by hand; they print, but need not
/// parse.) Nothing is looked up: a name is resolved, and a path or a descriptor touched, only by
/// whoever binds or connects.
///
/// ```
/// use socketserver_proto::{Endpoint, Host, UnixName};
///
/// let tcp: Endpoint = "localhost:8080".parse()?;
/// assert_eq!(tcp, Endpoint::Tcp { host: Host::Name("localhost".into()), port: 8080 });
/// assert_eq!(tcp.to_string(), "tcp://localhost:8080");
///
/// let unix: Endpoint = "unix:/run/app.sock?mode=660".parse()?;
/// let name = UnixName::Path("/run/app.sock".into());
/// assert_eq!(unix, Endpoint::Unix { name, mode: Some(0o660) });
///
/// assert_eq!("fd:3".parse::<Endpoint>()?, Endpoint::Fd(3));
/// # Ok::<(), socketserver_proto::EndpointError>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// TCP: `tcp://host:port`.
    Tcp {
        /// The address, or the name that has one.
        host: Host,
        /// The port; 0 lets the system pick a free one.
        port: u16,
    },
    /// A stream socket of the Unix family: `unix:/path` or `unix:@abstract`.
    Unix {
        /// The path or the abstract name.
        name: UnixName,
        /// The permission bits of the socket's file, 1 to 0o777. `None`: as the umask leaves them.
        mode: Option<u32>,
    },
    /// UDP: `udp://host:port`.
    Udp {
        /// The address, or the name that has one.
        host: Host,
        /// The port; 0 lets the system pick a free one.
        port: u16,
    },
    /// A datagram socket of the Unix family: `unixgram:/path` or `unixgram:@abstract`.
    Unixgram {
        /// The path or the abstract name.
        name: UnixName,
        /// The permission bits of the socket's file, 1 to 0o777. `None`: as the umask leaves them.
        mode: Option<u32>,
    },
    /// A socket of the Unix family that connects and keeps messages apart (`SOCK_SEQPACKET`): `seqpacket:/path` or
    /// `seqpacket:@abstract`.
    Seqpacket {
        /// The path or the abstract name.
        name: UnixName,
        /// The permission bits of the socket's file, 1 to 0o777. `None`: as the umask leaves them.
        mode: Option<u32>,
    },
    /// WebSocket over TCP: `ws://host:port/path`.
    Ws {
        /// The address, or the name that has one.
        host: Host,
        /// The port; 0 lets the system pick a free one.
        port: u16,
        /// The path of the requests, from its `/` on, as it stands in them: percent-encoded, without a query.
        path: String,
    },
    /// TLS over TCP: `tls://host:port`.
    Tls {
        /// The address, or the name that has one.
        host: Host,
        /// The port; 0 lets the system pick a free one.
        port: u16,
    },
    /// WebSocket over TLS: `wss://host:port/path`.
    Wss {
        /// The address, or the name that has one.
        host: Host,
        /// The port; 0 lets the system pick a free one.
        port: u16,
        /// The path of the requests, as in [`Ws`](Self::Ws).
        path: String,
    },
    /// An inherited descriptor, 0 to `i32::MAX`, that is a socket already: `fd:3`.
    Fd(u32),
}

impl Endpoint {
    /// The scheme with which it prints: `tcp`, `tls`, `udp`, `unix`, `unixgram`, `seqpacket`, `ws`, `wss` or `fd`.
    ///
    /// ```
    /// # use socketserver_proto::Endpoint;
    /// assert_eq!(":80".parse::<Endpoint>()?.scheme(), "tcp");
    /// # Ok::<(), socketserver_proto::EndpointError>(())
    /// ```
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "tcp",
            Self::Unix { .. } => "unix",
            Self::Udp { .. } => "udp",
            Self::Unixgram { .. } => "unixgram",
            Self::Seqpacket { .. } => "seqpacket",
            Self::Ws { .. } => "ws",
            Self::Tls { .. } => "tls",
            Self::Wss { .. } => "wss",
            Self::Fd(_) => "fd",
        }
    }

    /// Whether only this machine can reach it, as far as the text tells: 127.0.0.0/8, `::1`, the
    /// name `localhost`, and every Unix socket. `*` and a descriptor, of which the text tells
    /// nothing, are not.
    ///
    /// ```
    /// # use socketserver_proto::Endpoint;
    /// assert!("localhost:80".parse::<Endpoint>()?.is_loopback());
    /// assert!(!"*:80".parse::<Endpoint>()?.is_loopback());
    /// # Ok::<(), socketserver_proto::EndpointError>(())
    /// ```
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp { host, .. }
            | Self::Tls { host, .. }
            | Self::Udp { host, .. }
            | Self::Ws { host, .. }
            | Self::Wss { host, .. } => host.is_loopback(),
            Self::Unix { .. } | Self::Unixgram { .. } | Self::Seqpacket { .. } => true,
            Self::Fd(_) => false,
        }
    }

    /// The host and the port of one that stands on TCP: `tcp`, `tls`, `ws` or `wss`.
    ///
    /// ```
    /// # use socketserver_proto::{Endpoint, Host};
    /// let wss: Endpoint = "wss://localhost:8443/chat".parse()?;
    /// assert_eq!(wss.tcp(), Some((&Host::Name("localhost".into()), 8443)));
    /// assert_eq!("udp://:53".parse::<Endpoint>()?.tcp(), None);
    /// # Ok::<(), socketserver_proto::EndpointError>(())
    /// ```
    #[must_use]
    pub fn tcp(&self) -> Option<(&Host, u16)> {
        match self {
            Self::Tcp { host, port }
            | Self::Tls { host, port }
            | Self::Ws { host, port, .. }
            | Self::Wss { host, port, .. } => Some((host, *port)),
            _ => None,
        }
    }

    /// The port, of what has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Udp { port, .. } => Some(*port),
            other => other.tcp().map(|(_, port)| port),
        }
    }

    /// The same at another host and port, for what has them.
    ///
    /// ```
    /// # use socketserver_proto::{Endpoint, Host};
    /// let any: Endpoint = "ws://127.0.0.1:80/chat".parse()?;
    /// assert_eq!(any.at(Host::Any, 8080).to_string(), "ws://*:8080/chat");
    /// # Ok::<(), socketserver_proto::EndpointError>(())
    /// ```
    #[must_use]
    pub fn at(&self, host: Host, port: u16) -> Self {
        match self {
            Self::Tcp { .. } => Self::Tcp { host, port },
            Self::Tls { .. } => Self::Tls { host, port },
            Self::Udp { .. } => Self::Udp { host, port },
            Self::Ws { path, .. } => Self::Ws { host, port, path: path.clone() },
            Self::Wss { path, .. } => Self::Wss { host, port, path: path.clone() },
            other => other.clone(),
        }
    }

    /// Whether TLS is spoken there: `tls` and `wss`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Wss { .. })
    }

    /// The path of the requests of `ws` and `wss`, as it stands in them.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        if let Self::Ws { path, .. } | Self::Wss { path, .. } = self { Some(path) } else { None }
    }

    /// Whether packets come to it, and not connections, as far as the text tells.
    ///
    /// ```
    /// # use socketserver_proto::Endpoint;
    /// assert!("udp://:53".parse::<Endpoint>()?.is_datagram());
    /// # Ok::<(), socketserver_proto::EndpointError>(())
    /// ```
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp { .. } | Self::Unixgram { .. })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } | Self::Udp { host, port } => {
                write!(f, "{scheme}://{host}:{port}")
            }
            Self::Unix { name, mode } | Self::Unixgram { name, mode } | Self::Seqpacket { name, mode } => {
                write!(f, "{scheme}:{name}")?;
                mode.map_or(Ok(()), |mode| write!(f, "?mode={mode:o}"))
            }
            Self::Ws { host, port, path } | Self::Wss { host, port, path } => {
                write!(f, "{scheme}://{host}:{port}{path}")
            }
            Self::Fd(fd) => write!(f, "{scheme}:{fd}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|fault| EndpointError::new(text, fault, |s| parse(s).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessors() {
        let cases = [(":80", "tcp", true), ("*:80", "tcp", false), ("unix:/x", "unix", true)];
        let datagrams = [("udp://:80", "udp", true), ("udp://*:80", "udp", false), ("unixgram:@x", "unixgram", true)];
        let others = [("seqpacket:/x", "seqpacket", true), ("ws://:80", "ws", true), ("fd:3", "fd", false)];
        for (text, scheme, loopback) in cases.into_iter().chain(datagrams).chain(others) {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.scheme(), scheme, "{text}");
            assert_eq!(endpoint.is_loopback(), loopback, "{text}");
            assert!(endpoint.to_string().starts_with(scheme), "{text}");
        }
    }
}
