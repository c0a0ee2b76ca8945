//! Which names a server goes by. A page of somebody else's whose name is made to lead here (DNS rebinding) has the browser
//! say that name in `Host`; a page that merely connects here says its own in `Origin`.

use rustix::net::SocketAddrAny;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

/// The server's own end of a connection.
pub(super) fn local(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let addr: SocketAddrAny = rustix::net::getsockname(socket).ok()?;
    SocketAddr::try_from(addr).ok()
}

/// Whether `host`, of a `Host` field, is the server: `localhost` with any port (it may have been forwarded), the address that
/// was connected to with its port, or one of those `listed`, which mean any port unless they have one.
pub(super) fn is_ours(host: &str, local: Option<SocketAddr>, listed: &[String]) -> bool {
    let (name, port) = split(host);
    let Some(port) = port else { return false };
    let is_literal = |local: SocketAddr| {
        let ip = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse::<IpAddr>();
        ip.is_ok_and(|ip| ip.to_canonical() == local.ip().to_canonical()) && port.unwrap_or(80) == local.port()
    };
    name.eq_ignore_ascii_case("localhost")
        || local.is_some_and(is_literal)
        || listed.iter().any(|listed| listed.eq_ignore_ascii_case(name) || listed.eq_ignore_ascii_case(host))
}

/// Whether a page of `origin` (RFC 6454) may talk to the server that it calls `host`: it is the server's own, or listed.
pub(super) fn may_talk(origin: &str, host: &str, listed: &[String]) -> bool {
    // Which of the two it is depends on what stands before the server.
    let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    own.is_some_and(|own| own.eq_ignore_ascii_case(host))
        || listed.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
}

/// A host and its port: `Some(None)` where it has none, `None` where it is no number.
fn split(host: &str) -> (&str, Option<Option<u16>>) {
    // The colons of an IPv6 address stand in brackets.
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (name, port.parse().ok().filter(|_| is_number).map(Some))
        }
        _ => (host, Some(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ours() {
        let listed = ["chat.example".to_owned(), "other.example:8443".to_owned()];
        let v4 = "127.0.0.1:9001".parse().ok();
        let v6 = "[::1]:80".parse().ok();
        let mapped = "[::ffff:127.0.0.1]:9001".parse().ok();
        let cases = [
            ("localhost", v4, true),
            ("LOCALHOST:9001", v4, true),
            ("localhost:1", None, true),
            ("localhost:x", v4, false),
            ("localhost:", v4, false),
            ("localhost:+80", v4, false),
            ("localhost.evil.example:9001", v4, false),
            ("127.0.0.1:9001", v4, true),
            ("127.0.0.1:9001", mapped, true),
            ("127.0.0.1", v4, false),
            ("127.0.0.1:80", v4, false),
            ("127.0.0.2:9001", v4, false),
            ("127.0.0.1:9001", None, false),
            ("[::1]", v6, true),
            ("[::1]:80", v6, true),
            ("[0::1]:80", v6, true),
            ("::1", v6, false),
            ("chat.example", v4, true),
            ("Chat.Example:1234", v4, true),
            ("evil.example", v4, false),
            ("other.example:8443", v4, true),
            ("other.example", v4, false),
            ("other.example:1", v4, false),
            ("", v4, false),
        ];
        for (host, local, ours) in cases {
            assert_eq!(is_ours(host, local, &listed), ours, "{host:?} {local:?}");
        }
    }

    #[test]
    fn who_may_talk() {
        let listed = ["https://app.example".to_owned()];
        let cases = [
            ("http://localhost:9001", true),
            ("https://LOCALHOST:9001", true),
            ("http://localhost", false),
            ("http://localhost:9002", false),
            ("https://app.example", true),
            ("http://app.example", false),
            ("null", false),
            ("", false),
            ("localhost:9001", false),
        ];
        for (origin, may) in cases {
            assert_eq!(may_talk(origin, "localhost:9001", &listed), may, "{origin:?}");
        }
    }
}
