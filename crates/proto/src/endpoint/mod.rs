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
mod targets;
mod unix;
mod ws;

pub use error::EndpointError;
pub use host::Host;
pub use targets::{MAX_TARGETS, Targets};
pub use unix::UnixName;

use error::{Fault, Quoted};
use std::fmt;
use std::str::FromStr;

/// The schemes that the project will have, but does not have yet.
const LATER: [&str; 2] = ["systemd", "raw"];

/// Those that it has, as they are told to people.
const KNOWN: &str = "`tcp`, `tls`, `udp`, `unix`, `unixgram`, `seqpacket`, `ws`, `wss` and `fd`";

const FD_EXAMPLE: &str = "fd:3";

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

fn parse(text: &str) -> Result<Endpoint, Fault<'_>> {
    check_ends(text)?;
    if let Some(fault) = bare_path(text) {
        return Err(fault);
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return parse_tcp(text, "");
    };
    let is = |name: &&str| scheme.eq_ignore_ascii_case(name);
    if is(&"unix") {
        let (name, mode) = unix::parse_unix(rest, "unix:")?;
        return Ok(Endpoint::Unix { name, mode });
    }
    if is(&"unixgram") {
        let (name, mode) = unix::parse_unix(rest, "unixgram:").map_err(|fault| fault.under("unixgram"))?;
        return Ok(Endpoint::Unixgram { name, mode });
    }
    if is(&"seqpacket") {
        let (name, mode) = unix::parse_unix(rest, "seqpacket:").map_err(|fault| fault.under("seqpacket"))?;
        return Ok(Endpoint::Seqpacket { name, mode });
    }
    if is(&"fd") {
        return parse_fd(rest);
    }
    if LATER.iter().any(is) {
        let reason = format!("scheme {} is not supported yet, only {KNOWN} are", Quoted(scheme));
        return Err(Fault::new(scheme, reason, host::TCP_EXAMPLE));
    }
    let authority = |prefix: &'static str| {
        rest.strip_prefix("//").ok_or_else(|| {
            let part = &text[..=scheme.len()];
            let reason = format!("{} has no `//` after it", Quoted(part));
            Fault::new(part, reason, host::TCP_EXAMPLE).suggest(&[prefix, rest])
        })
    };
    if is(&"tcp") {
        return parse_tcp(authority("tcp://")?, "tcp://");
    }
    if is(&"udp") {
        let parsed = authority("udp://").and_then(|text| host::parse_host_port(text, "udp://"));
        let (host, port) = parsed.map_err(|fault| fault.under("udp"))?;
        return Ok(Endpoint::Udp { host, port });
    }
    if is(&"tls") {
        let parsed = authority("tls://").and_then(|text| host::parse_host_port(text, "tls://"));
        let (host, port) = parsed.map_err(|fault| fault.under("tls"))?;
        return Ok(Endpoint::Tls { host, port });
    }
    if is(&"ws") {
        let parsed = authority("ws://").map_err(|fault| fault.under("ws"));
        let (host, port, path) = parsed.and_then(|text| ws::parse(text, "ws", "ws://"))?;
        return Ok(Endpoint::Ws { host, port, path });
    }
    if is(&"wss") {
        let parsed = authority("wss://").map_err(|fault| fault.under("wss"));
        let (host, port, path) = parsed.and_then(|text| ws::parse(text, "wss", "wss://"))?;
        return Ok(Endpoint::Wss { host, port, path });
    }
    // No port begins with these: what stands before the colon was meant for a scheme.
    if rest.starts_with("//") || (!scheme.is_empty() && rest.starts_with(['/', '@', '.'])) {
        return Err(unknown_scheme(text, scheme));
    }
    parse_tcp(text, "")
}

fn check_ends(text: &str) -> Result<(), Fault<'_>> {
    if text.is_empty() {
        return Err(Fault::new("", "an endpoint cannot be empty", host::TCP_EXAMPLE));
    }
    let start = text.trim_start();
    let end = text.trim_end();
    let (part, place) = if start.len() < text.len() {
        (&text[..text.len() - start.len()], "at the beginning")
    } else if end.len() < text.len() {
        (&text[end.len()..], "at the end")
    } else {
        return Ok(());
    };
    let reason = format!("white space {} {place}", Quoted(part));
    Err(Fault::new(part, reason, host::TCP_EXAMPLE).suggest(&[text.trim()]))
}

/// A path, or an abstract name, with no `unix:` before it.
fn bare_path(text: &str) -> Option<Fault<'_>> {
    let is_path = text.find([':', '/']).is_some_and(|at| text[at..].starts_with('/'));
    if !is_path && !text.starts_with('@') {
        return None;
    }
    let reason = format!("{} has no `unix:` before it", Quoted(text));
    Some(Fault::new(text, reason, unix::UNIX_EXAMPLE).suggest(&["unix:", text]))
}

fn parse_tcp<'a>(text: &'a str, prefix: &'static str) -> Result<Endpoint, Fault<'a>> {
    let (host, port) = host::parse_host_port(text, prefix)?;
    Ok(Endpoint::Tcp { host, port })
}

fn parse_fd(text: &str) -> Result<Endpoint, Fault<'_>> {
    if text.is_empty() {
        let reason = format!("{} has no number after it", Quoted("fd:"));
        return Err(Fault::new("fd:", reason, FD_EXAMPLE));
    }
    let wrong = |why: &str| {
        let digits = text.strip_prefix("//").unwrap_or(text);
        let reason = format!("descriptor {} {why}", Quoted(text));
        Fault::new(text, reason, FD_EXAMPLE).suggest(&["fd:", digits])
    };
    if !host::is_number(text) {
        return Err(wrong("is not a number"));
    }
    // A descriptor is a C int.
    let fd = text.parse::<i32>().ok().and_then(|fd| u32::try_from(fd).ok());
    fd.map(Endpoint::Fd).ok_or_else(|| wrong("is not between 0 and 2147483647"))
}

fn unknown_scheme<'a>(text: &'a str, scheme: &'a str) -> Fault<'a> {
    if scheme.is_empty() {
        let reason = format!("{} has no scheme before its colon", Quoted(text));
        return Fault::new(text, reason, host::TCP_EXAMPLE).suggest(&["tcp", text]);
    }
    let reason = format!("unknown scheme {}, only {KNOWN} are known", Quoted(scheme));
    Fault::new(scheme, reason, host::TCP_EXAMPLE)
}

#[cfg(test)]
mod tests {
    use super::error::{example_of, refused};
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::net::{IpAddr, Ipv6Addr};
    use std::os::unix::ffi::OsStringExt as _;

    const TCP: &str = host::TCP_EXAMPLE;
    const UNIX: &str = unix::UNIX_EXAMPLE;

    #[test]
    fn descriptors() {
        for (text, fd) in [("fd:0", 0), ("fd:3", 3), ("FD:03", 3), ("fd:2147483647", 2147483647)] {
            assert_eq!(text.parse(), Ok(Endpoint::Fd(fd)), "{text}");
        }
    }

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

    #[test]
    fn malformed() {
        // (input, the offending part, words of the reason, the example)
        let cases = [
            ("", "", "empty", TCP),
            (" ", " ", "white space", TCP),
            (" h:80", " ", "white space ` ` at the beginning", "h:80"),
            ("h:80\n", r"\n", r"white space `\n` at the end", "h:80"),
            ("unix:/x \t", r" \t", "at the end", "unix:/x"),
            ("\u{2003}h:80", r"\u{2003}", "at the beginning", "h:80"),
            // No scheme.
            ("/tmp/x.sock", "/tmp/x.sock", "`unix:`", "unix:/tmp/x.sock"),
            ("./x.sock", "./x.sock", "`unix:`", "unix:./x.sock"),
            ("run/x.sock", "run/x.sock", "`unix:`", "unix:run/x.sock"),
            ("/tmp/a:80", "/tmp/a:80", "`unix:`", "unix:/tmp/a:80"),
            ("/tmp/x.sock?mode=600", "/tmp/x.sock?mode=600", "`unix:`", "unix:/tmp/x.sock?mode=600"),
            ("/tmp/50%", "/tmp/50%", "`unix:`", UNIX),
            ("//x", "//x", "`unix:`", UNIX),
            ("@app", "@app", "`unix:`", "unix:@app"),
            ("@a:80", "@a:80", "`unix:`", "unix:@a:80"),
            ("://h:80", "://h:80", "no scheme", "tcp://h:80"),
            // A scheme that is not there yet, or never.
            ("raw://h:80", "raw", "not supported yet", TCP),
            ("tls://h", "h", "no port", "tls://h:8080"),
            ("tls:h:80", "tls:", "no `//`", "tls://h:80"),
            ("tls://h:80/x", "/x", "cannot follow", "tls://h:80"),
            ("RAW://h:80", "RAW", "not supported yet", TCP),
            ("systemd:", "systemd", "not supported yet", TCP),
            ("raw:80", "raw", "only `tcp`, `tls`, `udp`, `unix`, `unixgram`, `seqpacket`, `ws`, `wss` and `fd`", TCP),
            ("http://h:80", "http", "unknown scheme", TCP),
            ("uinx:/x", "uinx", "unknown scheme", TCP),
            ("uinx:@x", "uinx", "unknown scheme", TCP),
            (
                "uinx:./x",
                "uinx",
                "only `tcp`, `tls`, `udp`, `unix`, `unixgram`, `seqpacket`, `ws`, `wss` and `fd`",
                TCP,
            ),
            ("tcp:h:80", "tcp:", "no `//`", "tcp://h:80"),
            ("TCP:80", "TCP:", "no `//`", TCP),
            ("tcp:/h:80", "tcp:", "no `//`", TCP),
            // Datagrams, in words of their own.
            ("udp:h:80", "udp:", "no `//`", "udp://h:80"),
            ("UDP:80", "UDP:", "no `//`", "udp://127.0.0.1:8080"),
            ("udp://", "udp://", "neither", "udp://127.0.0.1:8080"),
            ("udp://80", "80", "no colon", "udp://:80"),
            ("udp://h", "h", "no port", "udp://h:8080"),
            ("udp://h:99999", "99999", "not between", "udp://127.0.0.1:8080"),
            ("udp://::1:53", "::1", "brackets", "udp://[::1]:53"),
            ("udp://:53/x", "/x", "cannot follow", "udp://:53"),
            ("unixgram:", "unixgram:", "no path", "unixgram:/run/app.sock"),
            ("unixgram:@", "@", "no name", "unixgram:@app"),
            ("unixgram://x", "//x", "neither", "unixgram:/x"),
            ("unixgram:/x?mode=9", "9", "not octal", "unixgram:/run/app.sock?mode=600"),
            ("seqpacket:", "seqpacket:", "no path", "seqpacket:/run/app.sock"),
            ("SEQPACKET:@", "@", "no name", "seqpacket:@app"),
            ("seqpacket://x", "//x", "neither", "seqpacket:/x"),
            ("seqpacket:/x?mode=9", "9", "not octal", "seqpacket:/run/app.sock?mode=600"),
            // Descriptors.
            ("fd:", "fd:", "no number", FD_EXAMPLE),
            ("fd:x", "x", "not a number", FD_EXAMPLE),
            ("fd:-1", "-1", "not a number", FD_EXAMPLE),
            ("fd:+4", "+4", "not a number", FD_EXAMPLE),
            ("fd://4", "//4", "not a number", "fd:4"),
            ("fd:2147483648", "2147483648", "not between", FD_EXAMPLE),
            ("fd:99999999999", "99999999999", "not between", FD_EXAMPLE),
        ];
        for (input, part, words, example) in cases {
            assert_eq!(refused(input, part, words), example, "{input:?}");
        }
    }

    fn host() -> impl Strategy<Value = Host> {
        let name = "[a-zA-Z0-9_-]{1,20}(\\.[a-zA-Z0-9_-]{1,20}){0,5}"
            .prop_filter("a number", |name| name.contains(|c: char| c != '.' && !c.is_ascii_digit()));
        prop_oneof![
            Just(Host::Any),
            any::<IpAddr>().prop_map(Host::Ip),
            (any::<Ipv6Addr>(), "[!-~&&[^/:?#%`\\[\\]]]{1,15}").prop_map(|(ip, scope)| Host::Scoped(ip, scope)),
            name.prop_map(Host::Name),
        ]
    }

    /// Bytes of any value, but often such as mean something in an endpoint.
    fn name_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            any::<u8>(),
            proptest::sample::select(b"@/%?#&=.: \n`a\x7f\xc2\x85\xff\xe2\x80\x83".as_slice()),
        ];
        let text = "\\PC{1,26}".prop_map(String::into_bytes);
        prop_oneof![proptest::collection::vec(byte, 1..=107), text]
    }

    /// Each kind that has a name of the Unix family.
    fn of_unix() -> impl Strategy<Value = fn(UnixName, Option<u32>) -> Endpoint> {
        proptest::sample::select(vec![
            (|name, mode| Endpoint::Unix { name, mode }) as fn(_, _) -> _,
            |name, mode| Endpoint::Unixgram { name, mode },
            |name, mode| Endpoint::Seqpacket { name, mode },
        ])
    }

    fn endpoint() -> impl Strategy<Value = Endpoint> {
        let path = name_bytes()
            .prop_filter("NUL", |bytes| !bytes.contains(&0))
            .prop_map(|bytes| UnixName::Path(OsString::from_vec(bytes).into()));
        prop_oneof![
            (host(), any::<u16>()).prop_map(|(host, port)| Endpoint::Tcp { host, port }),
            (host(), any::<u16>()).prop_map(|(host, port)| Endpoint::Udp { host, port }),
            (host(), any::<u16>(), "/([a-zA-Z0-9/._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2}){0,40}")
                .prop_map(|(host, port, path)| Endpoint::Ws { host, port, path }),
            (path, proptest::option::of(1..=0o777_u32), of_unix()).prop_map(|(name, mode, of)| of(name, mode)),
            (name_bytes(), of_unix()).prop_map(|(name, of)| of(UnixName::Abstract(name), None)),
            (0..=i32::MAX.unsigned_abs()).prop_map(Endpoint::Fd),
        ]
    }

    /// `PathBuf`s that differ by a slash or a `.` are equal; their `Debug` texts are not.
    fn exactly(endpoint: &Endpoint) -> String {
        format!("{endpoint:?}")
    }

    proptest! {
        #[test]
        fn printing_then_parsing_gives_the_same(endpoint in endpoint()) {
            let text = endpoint.to_string();
            prop_assert!(!text.contains(|c: char| c.is_whitespace() || c.is_control()), "{text:?}");
            let parsed = text.parse::<Endpoint>();
            prop_assert_eq!(parsed.as_ref(), Ok(&endpoint), "{}", text);
            prop_assert_eq!(parsed.as_ref().map(exactly), Ok(exactly(&endpoint)), "{}", text);
        }

        #[test]
        fn any_string_is_an_endpoint_or_an_error(text in any::<String>()) {
            holds_for(&text)?;
        }

        #[test]
        fn nearly_endpoints_too(
            text in "((tcp|unix|unixgram|seqpacket|fd|udp|ws|x)?:(//)?)?[ \n@/%?#&=.:*`\\[\\]\u{e9}0-9a-f]{0,12}(\\?mode=|:80|)[0-9]{0,4}"
        ) {
            holds_for(&text)?;
        }
    }

    /// What parses prints so that it parses to the same; what does not has a right example.
    fn holds_for(text: &str) -> Result<(), TestCaseError> {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => {
                let again = endpoint.to_string().parse::<Endpoint>();
                prop_assert_eq!(again.as_ref().map(exactly), Ok(exactly(&endpoint)));
            }
            Err(error) => {
                example_of(&error);
                prop_assert!(error.to_string().contains(error.part()));
            }
        }
        Ok(())
    }
}
