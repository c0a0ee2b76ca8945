//! The host and the port of a TCP endpoint.

use super::error::{Fault, Quoted};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A right endpoint, where none can be made from what was typed.
pub(super) const TCP_EXAMPLE: &str = "tcp://127.0.0.1:8080";
const V6_EXAMPLE: &str = "tcp://[::1]:8080";

/// The longest host name, in bytes (RFC 1035, section 2.3.4, less the length octets).
const NAME_BYTES: usize = 253;
/// The longest name of a network interface: IFNAMSIZ less its NUL, `netdevice(7)`.
const SCOPE_BYTES: usize = 15;

/// The host of a TCP [`Endpoint`](super::Endpoint): where to listen, or whom to connect to.
///
/// It prints as it stands before the port, an IPv6 address in its brackets.
///
/// ```
/// use socketserver_proto::{Endpoint, Host};
///
/// let Endpoint::Tcp { host, .. } = "[fe80::1%eth0]:80".parse()? else { unreachable!() };
/// assert_eq!(host, Host::Scoped("fe80::1".parse()?, "eth0".to_owned()));
/// assert_eq!(host.to_string(), "[fe80::1%eth0]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// `*`: every address of this machine, IPv6 and IPv4.
    Any,
    /// One address: `127.0.0.1` or `[::1]`.
    Ip(IpAddr),
    /// An IPv6 address and the interface (its name or its index) on which it is meant, as a
    /// link-local one needs: `[fe80::1%eth0]` (RFC 4007, section 11). The `%` is plain, never
    /// `%25`.
    Scoped(Ipv6Addr, String),
    /// A name that is resolved when the endpoint is bound or connected.
    Name(String),
}

impl Host {
    /// 127.0.0.0/8, `::1`, or the name `localhost`.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Any => false,
            // ::ffff:127.0.0.1 is 127.0.0.1.
            Self::Ip(ip) => ip.to_canonical().is_loopback(),
            Self::Scoped(ip, _) => IpAddr::V6(*ip).to_canonical().is_loopback(),
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Scoped(ip, scope) => write!(f, "[{ip}%{scope}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Parses `host:port`. `prefix` is what stood before it, `tcp://` or nothing, and is repeated in
/// the examples.
pub(super) fn parse_host_port<'a>(text: &'a str, prefix: &'static str) -> Result<(Host, u16), Fault<'a>> {
    if let Some(at) = text.find(['/', '?', '#']) {
        let (before, part) = text.split_at(at);
        let reason = format!("{} cannot follow a host and a port", Quoted(part));
        return Err(Fault::new(part, reason, TCP_EXAMPLE).suggest(&[prefix, before]));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        return parse_bracketed(text, bracketed, prefix);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(no_colon(text, prefix));
    };
    if host.contains(':') {
        return Err(too_many_colons(text, host, port, prefix));
    }
    let parsed = match host {
        "" => Host::Ip(Ipv4Addr::LOCALHOST.into()),
        _ => parse_host(host)?,
    };
    if port.is_empty() {
        let reason = format!("{} has no port after the colon", Quoted(text));
        return Err(Fault::new(text, reason, TCP_EXAMPLE).suggest(&[prefix, text, "8080"]));
    }
    Ok((parsed, parse_port(port)?))
}

/// `[::1]:80` or `[fe80::1%eth0]:80`; `bracketed` is `text` without its first bracket.
fn parse_bracketed<'a>(text: &'a str, bracketed: &'a str, prefix: &'static str) -> Result<(Host, u16), Fault<'a>> {
    let Some((inner, after)) = bracketed.split_once(']') else {
        let reason = format!("{} has no closing bracket", Quoted(text));
        // What stands behind the last colon is rather a port than the end of an address.
        let with_port = bracketed.rsplit_once(':').filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
        let (address, port) = with_port.unwrap_or((bracketed, "8080"));
        return Err(Fault::new(text, reason, V6_EXAMPLE).suggest(&[prefix, "[", address, "]:", port]));
    };
    let (address, scope) = match inner.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (inner, None),
    };
    let Ok(ip) = address.parse::<Ipv6Addr>() else {
        let reason = format!("{} is not an IPv6 address, as brackets hold", Quoted(address));
        return Err(Fault::new(address, reason, V6_EXAMPLE).suggest(&[prefix, inner, after]));
    };
    let host = match scope {
        Some(scope) => Host::Scoped(ip, parse_scope(inner, scope)?),
        None => Host::Ip(ip.into()),
    };
    match after.strip_prefix(':') {
        Some(port) if !port.is_empty() => Ok((host, parse_port(port)?)),
        _ if matches!(after, "" | ":") => {
            let port = if after.is_empty() { ":8080" } else { "8080" };
            let reason = format!("{} has no port", Quoted(text));
            Err(Fault::new(text, reason, V6_EXAMPLE).suggest(&[prefix, text, port]))
        }
        _ => {
            let reason = format!("{} after the bracket is not `:` and a port", Quoted(after));
            Err(Fault::new(after, reason, V6_EXAMPLE))
        }
    }
}

fn parse_scope<'a>(inner: &'a str, scope: &'a str) -> Result<String, Fault<'a>> {
    const EXAMPLE: &str = "tcp://[fe80::1%eth0]:8080";
    if scope.is_empty() {
        let reason = format!("{} names no interface after the `%`", Quoted(inner));
        return Err(Fault::new(inner, reason, EXAMPLE));
    }
    let legal = |b: u8| b.is_ascii_graphic() && !b"/:[]%`".contains(&b);
    if scope.len() > SCOPE_BYTES || !scope.bytes().all(legal) {
        let reason = format!("{} is not the name of an interface", Quoted(scope));
        return Err(Fault::new(scope, reason, EXAMPLE));
    }
    Ok(scope.to_owned())
}

fn parse_host(text: &str) -> Result<Host, Fault<'_>> {
    if text == "*" {
        return Ok(Host::Any);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let wrong = |why: &str| Fault::new(text, format!("{} {why}", Quoted(text)), TCP_EXAMPLE);
    if text.len() > NAME_BYTES {
        return Err(wrong("is longer than the 253 bytes of a host name"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(wrong("is not a host name: only letters, digits, `-`, `_` and `.` may stand there"));
    }
    if text.split('.').any(str::is_empty) {
        return Err(wrong("is not a host name: a dot has nothing before or after it"));
    }
    // Resolvers take such a number for an address in an old notation: 1.2.3 would be 1.2.0.3.
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(wrong("is not an IPv4 address, which has four numbers from 0 to 255"));
    }
    Ok(Host::Name(text.to_owned()))
}

fn parse_port(text: &str) -> Result<u16, Fault<'_>> {
    let wrong = |why: &str| Fault::new(text, format!("port {} {why}", Quoted(text)), TCP_EXAMPLE);
    if !is_number(text) {
        return Err(wrong("is not a number between 0 and 65535"));
    }
    text.parse().map_err(|_| wrong("is not between 0 and 65535"))
}

/// Digits alone: `str::parse` would take a sign.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn no_colon<'a>(text: &'a str, prefix: &'static str) -> Fault<'a> {
    if text.is_empty() {
        let reason = format!("{} has neither host nor port", Quoted(prefix));
        return Fault::new(prefix, reason, TCP_EXAMPLE);
    }
    if is_number(text) {
        let reason = format!("{} has no colon before it, as a port has", Quoted(text));
        return Fault::new(text, reason, ":8080").suggest(&[prefix, ":", text]);
    }
    if let Err(fault) = parse_host(text) {
        return fault;
    }
    let reason = format!("{} has no port", Quoted(text));
    Fault::new(text, reason, TCP_EXAMPLE).suggest(&[prefix, text, ":8080"])
}

/// `text`, which is `host:port`, has a colon in `host`, but no brackets.
fn too_many_colons<'a>(text: &'a str, host: &'a str, port: &'a str, prefix: &'static str) -> Fault<'a> {
    let is_v6 = |text: &str| {
        let address = text.split_once('%').map_or(text, |(address, _)| address);
        address.parse::<Ipv6Addr>().is_ok()
    };
    // `::1:80` may be an address alone, but with a port is what people mean.
    let (address, port) = if is_v6(host) {
        (host, if parse_port(port).is_ok() { port } else { "8080" })
    } else if is_v6(text) {
        (text, "8080")
    } else {
        let reason = format!("{} is not a host, and an IPv6 address needs brackets", Quoted(host));
        return Fault::new(host, reason, V6_EXAMPLE);
    };
    let reason = format!("the IPv6 address {} needs brackets", Quoted(address));
    Fault::new(address, reason, V6_EXAMPLE).suggest(&[prefix, "[", address, "]:", port])
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::super::error::refused;
    use super::*;

    fn name(name: &str) -> Host {
        Host::Name(name.to_owned())
    }

    fn ip(ip: &str) -> Host {
        Host::Ip(ip.parse().unwrap())
    }

    #[test]
    fn well_formed() {
        let longest = format!("{}a", "a.".repeat(126));
        let longest_text = format!("{longest}:1");
        let cases = [
            ("tcp://127.0.0.1:8080", ip("127.0.0.1"), 8080),
            ("TCP://127.0.0.1:8080", ip("127.0.0.1"), 8080),
            ("127.0.0.1:0", ip("127.0.0.1"), 0),
            (":65535", ip("127.0.0.1"), 65535),
            ("tcp://:80", ip("127.0.0.1"), 80),
            ("*:80", Host::Any, 80),
            ("tcp://*:80", Host::Any, 80),
            ("0.0.0.0:80", ip("0.0.0.0"), 80),
            ("[::]:80", ip("::"), 80),
            ("[::1]:80", ip("::1"), 80),
            ("tcp://[::ffff:1.2.3.4]:80", ip("::ffff:1.2.3.4"), 80),
            ("[fe80::1%eth0]:80", Host::Scoped("fe80::1".parse().unwrap(), "eth0".into()), 80),
            ("[fe80::1%2]:80", Host::Scoped("fe80::1".parse().unwrap(), "2".into()), 80),
            ("localhost:80", name("localhost"), 80),
            ("my_host-1.example:080", name("my_host-1.example"), 80),
            ("web.1:80", name("web.1"), 80),
            // A host that is called as a scheme is: with the scheme before it.
            ("tcp://udp:80", name("udp"), 80),
            (&longest_text, name(&longest), 1),
        ];
        for (text, host, port) in cases {
            assert_eq!(text.parse(), Ok(Endpoint::Tcp { host, port }), "{text}");
        }
    }

    #[test]
    fn malformed() {
        let too_long = format!("{}aa", "a.".repeat(126));
        let too_long_text = format!("{too_long}:1");
        let too_long_shown = format!("{}…", &too_long[..200]);
        // (input, the offending part, words of the reason, the example)
        let cases = [
            // The port.
            ("tcp://h:99999", "99999", "not between", TCP_EXAMPLE),
            ("h:65536", "65536", "not between", TCP_EXAMPLE),
            ("h:+80", "+80", "not a number", TCP_EXAMPLE),
            ("h:-1", "-1", "not a number", TCP_EXAMPLE),
            ("h:http", "http", "not a number", TCP_EXAMPLE),
            ("h:8 0", "8 0", "not a number", TCP_EXAMPLE),
            ("h:٣", "٣", "not a number", TCP_EXAMPLE),
            ("[::1]:x", "x", "not a number", TCP_EXAMPLE),
            ("8080", "8080", "colon", ":8080"),
            ("tcp://8080", "8080", "colon", "tcp://:8080"),
            ("99999", "99999", "colon", ":8080"),
            ("host", "host", "no port", "host:8080"),
            ("tcp://host", "host", "no port", "tcp://host:8080"),
            ("1.2.3.4", "1.2.3.4", "no port", "1.2.3.4:8080"),
            ("*", "*", "no port", "*:8080"),
            ("host:", "host:", "no port", "host:8080"),
            (":", ":", "no port", ":8080"),
            ("tcp://", "tcp://", "neither", TCP_EXAMPLE),
            ("[::1]", "[::1]", "no port", "[::1]:8080"),
            ("tcp://[::1]:", "[::1]:", "no port", "tcp://[::1]:8080"),
            // What may not follow.
            ("tcp://h:80/x", "/x", "cannot follow", "tcp://h:80"),
            ("h:80/", "/", "cannot follow", "h:80"),
            ("tcp://h/x", "/x", "cannot follow", TCP_EXAMPLE),
            ("tcp://h:80?mode=600", "?mode=600", "cannot follow", "tcp://h:80"),
            ("tcp://h:80#x", "#x", "cannot follow", "tcp://h:80"),
            // The name.
            ("256.1.1.1:80", "256.1.1.1", "not an IPv4", TCP_EXAMPLE),
            ("1.2.3:80", "1.2.3", "not an IPv4", TCP_EXAMPLE),
            ("1.2.3.4.5:80", "1.2.3.4.5", "not an IPv4", TCP_EXAMPLE),
            ("127.0.0.01:80", "127.0.0.01", "not an IPv4", TCP_EXAMPLE),
            ("80:80", "80", "not an IPv4", TCP_EXAMPLE),
            ("1.2.3", "1.2.3", "not an IPv4", TCP_EXAMPLE),
            ("a..b:80", "a..b", "a dot", TCP_EXAMPLE),
            (".a:80", ".a", "a dot", TCP_EXAMPLE),
            ("a.:80", "a.", "a dot", TCP_EXAMPLE),
            ("a b:80", "a b", "not a host name", TCP_EXAMPLE),
            ("tcp:// h:80", " h", "not a host name", TCP_EXAMPLE),
            ("hôte:80", "hôte", "not a host name", TCP_EXAMPLE),
            ("user@h:80", "user@h", "not a host name", TCP_EXAMPLE),
            ("*.a:80", "*.a", "not a host name", TCP_EXAMPLE),
            (&too_long_text, &too_long_shown, "253", TCP_EXAMPLE),
            // IPv6.
            ("::1", "::1", "brackets", "[::1]:8080"),
            ("::", "::", "brackets", "[::]:8080"),
            ("::1:80", "::1", "brackets", "[::1]:80"),
            ("tcp://::1:80", "::1", "brackets", "tcp://[::1]:80"),
            ("::1:99999", "::1", "brackets", "[::1]:8080"),
            ("2001:db8::1", "2001:db8::1", "brackets", "[2001:db8::1]:8080"),
            ("fe80::1%eth0:80", "fe80::1%eth0", "brackets", "[fe80::1%eth0]:80"),
            ("a:b:80", "a:b", "brackets", V6_EXAMPLE),
            ("[::1:80", "[::1:80", "closing", "[::1]:80"),
            ("[2001:db8::1", "[2001:db8::1", "closing", "[2001:db8::1]:8080"),
            ("[", "[", "closing", V6_EXAMPLE),
            ("[::g]:80", "::g", "not an IPv6", V6_EXAMPLE),
            ("[]:80", "", "not an IPv6", ":80"),
            ("[127.0.0.1]:80", "127.0.0.1", "not an IPv6", "127.0.0.1:80"),
            ("tcp://[host]:80", "host", "not an IPv6", "tcp://host:80"),
            ("[::1]80", "80", "after the bracket", V6_EXAMPLE),
            ("[fe80::1%]:80", "fe80::1%", "no interface", "tcp://[fe80::1%eth0]:8080"),
            ("[fe80::1%a b]:80", "a b", "interface", "tcp://[fe80::1%eth0]:8080"),
            ("[fe80::1%a%b]:80", "a%b", "interface", "tcp://[fe80::1%eth0]:8080"),
            ("[::1%abcdefghijklmnop]:80", "abcdefghijklmnop", "interface", "tcp://[fe80::1%eth0]:8080"),
        ];
        for (input, part, words, example) in cases {
            assert_eq!(refused(input, part, words), example, "{input}");
        }
    }

    #[test]
    fn loopback() {
        let cases = [
            ("127.0.0.1:1", true),
            ("127.255.0.3:1", true),
            (":1", true),
            ("[::1]:1", true),
            ("[::1%lo]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("LocalHost:1", true),
            ("*:1", false),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("128.0.0.1:1", false),
            ("[fe80::1%lo]:1", false),
            ("localhost.example:1", false),
        ];
        for (text, loopback) in cases {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
