//! Which scheme a text has, and what that makes of the rest.

use super::error::{Fault, Quoted};
use super::{Endpoint, host, unix, ws};

/// The schemes that the project will have, but does not have yet.
const LATER: [&str; 2] = ["systemd", "raw"];

/// Those that it has, as they are told to people.
const KNOWN: &str = "`tcp`, `tls`, `udp`, `unix`, `unixgram`, `seqpacket`, `ws`, `wss` and `fd`";

const FD_EXAMPLE: &str = "fd:3";

/// What a text means.
pub(super) fn parse(text: &str) -> Result<Endpoint, Fault<'_>> {
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
    use super::super::error::{example_of, refused};
    use super::super::{Host, UnixName};
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

    fn request_path() -> impl Strategy<Value = String> {
        "/([a-zA-Z0-9/._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2}){0,40}"
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
            (host(), any::<u16>()).prop_map(|(host, port)| Endpoint::Tls { host, port }),
            (host(), any::<u16>(), request_path()).prop_map(|(host, port, path)| Endpoint::Ws { host, port, path }),
            (host(), any::<u16>(), request_path()).prop_map(|(host, port, path)| Endpoint::Wss { host, port, path }),
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
            text in "((tcp|tls|unix|unixgram|seqpacket|fd|udp|ws|wss|x)?:(//)?)?[ \n@/%?#&=.:*`\\[\\]\u{e9}0-9a-f]{0,12}(\\?mode=|:80|)[0-9]{0,4}"
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
