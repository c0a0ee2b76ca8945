//! The path of a WebSocket endpoint, plain or over TLS.

use super::error::{Fault, Quoted};
use super::host::{Host, parse_host_port};

const WS_EXAMPLE: &str = "ws://127.0.0.1:8080/chat";

/// Parses `host:port/path`; without a path it is `/`.
pub(super) fn parse<'a>(
    text: &'a str,
    scheme: &'static str,
    prefix: &'static str,
) -> Result<(Host, u16, String), Fault<'a>> {
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let (host, port) = parse_host_port(authority, prefix).map_err(|fault| fault.under(scheme).suggest_before(path))?;
    check_path(authority, path, prefix).map_err(|fault| fault.under(scheme))?;
    Ok((host, port, if path.is_empty() { "/" } else { path }.to_owned()))
}

/// As it stands in a request (RFC 3986, section 3.3).
fn check_path<'a>(authority: &str, path: &'a str, prefix: &str) -> Result<(), Fault<'a>> {
    if let Some(at) = path.find(['?', '#']) {
        let (before, part) = path.split_at(at);
        let reason = format!("{} cannot follow the path: the queries of requests are not looked at", Quoted(part));
        return Err(Fault::new(part, reason, WS_EXAMPLE).suggest(&[prefix, authority, before]));
    }
    for (at, c) in path.char_indices() {
        if c == '%' && !super::unix::starts_with_hex(&path[at + 1..]) {
            let end = path[at..].char_indices().nth(3).map_or(path.len(), |(len, _)| at + len);
            let part = &path[at..end];
            let reason = format!("{} is not a `%` and two hexadecimal digits (a `%` itself is `%25`)", Quoted(part));
            return Err(Fault::new(part, reason, WS_EXAMPLE));
        }
        if !c.is_ascii_alphanumeric() && !"/%-._~!$&'()*+,;=:@".contains(c) {
            let part = &path[at..at + c.len_utf8()];
            let reason = format!("{} must be percent-encoded in a path", Quoted(part));
            let encoded: String = part.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let after = &path[at + c.len_utf8()..];
            return Err(Fault::new(part, reason, WS_EXAMPLE).suggest(&[
                prefix,
                authority,
                &path[..at],
                &encoded,
                after,
            ]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::super::error::refused;
    use super::*;

    #[test]
    fn well_formed() {
        let local = Host::Ip("127.0.0.1".parse().unwrap());
        let name = Host::Name("chat.example".into());
        let cases = [
            ("ws://127.0.0.1:80/chat", local.clone(), "/chat", "ws://127.0.0.1:80/chat"),
            ("WS://:80", local.clone(), "/", "ws://127.0.0.1:80/"),
            ("ws://:80/", local, "/", "ws://127.0.0.1:80/"),
            ("ws://*:80/a/b", Host::Any, "/a/b", "ws://*:80/a/b"),
            ("ws://[::1]:80/a:b@c", Host::Ip("::1".parse().unwrap()), "/a:b@c", "ws://[::1]:80/a:b@c"),
            ("ws://chat.example:80//%41%2f", name, "//%41%2f", "ws://chat.example:80//%41%2f"),
        ];
        for (text, host, path, printed) in cases {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint, Endpoint::Ws { host: host.clone(), port: 80, path: path.into() }, "{text}");
            assert_eq!(endpoint.to_string(), printed);
            let secure: Endpoint = format!("wss{}", &text[2..]).parse().unwrap();
            assert_eq!(secure, Endpoint::Wss { host, port: 80, path: path.into() }, "{text}");
            assert_eq!(secure.to_string(), printed.replacen("ws", "wss", 1));
        }
    }

    #[test]
    fn malformed() {
        // (input, the offending part, words of the reason, the example)
        let cases = [
            ("ws:h:80", "ws:", "no `//`", "ws://h:80"),
            ("ws:/chat", "ws:", "no `//`", "ws://127.0.0.1:8080"),
            ("ws://", "ws://", "neither", "ws://127.0.0.1:8080"),
            ("ws:///chat", "ws://", "neither", "ws://127.0.0.1:8080"),
            ("ws://h", "h", "no port", "ws://h:8080"),
            ("ws://h/chat", "h", "no port", "ws://h:8080/chat"),
            ("ws://80/chat", "80", "no colon", "ws://:80/chat"),
            ("ws://h:99999/chat", "99999", "not between", "ws://127.0.0.1:8080"),
            ("ws://::1:80/chat", "::1", "brackets", "ws://[::1]:80/chat"),
            ("ws://h:80?x", "?x", "cannot follow", "ws://h:80"),
            ("ws://h:80/chat?x=1", "?x=1", "cannot follow the path", "ws://h:80/chat"),
            ("ws://h:80/chat#x", "#x", "cannot follow the path", "ws://h:80/chat"),
            ("ws://h:80/a b", " ", "percent-encoded", "ws://h:80/a%20b"),
            ("ws://h:80/é", "é", "percent-encoded", "ws://h:80/%C3%A9"),
            ("ws://h:80/%4", "%4", "hexadecimal", WS_EXAMPLE),
            ("ws://h:80/%zz", "%zz", "hexadecimal", WS_EXAMPLE),
            ("wss://h/chat", "h", "no port", "wss://h:8080/chat"),
            ("wss://h:80/chat?x=1", "?x=1", "cannot follow the path", "wss://h:80/chat"),
            ("wss://h:80/%zz", "%zz", "hexadecimal", "wss://127.0.0.1:8080/chat"),
        ];
        for (input, part, words, example) in cases {
            assert_eq!(refused(input, part, words), example, "{input}");
        }
    }
}
