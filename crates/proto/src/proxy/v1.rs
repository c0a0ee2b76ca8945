//! Version 1: a line of text.

use super::parse::{Parsed, agree};
use super::{Addresses, Command, Header, ProxyError, Version};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line, CRLF included.
const MAX: usize = 107;

/// The shortest: `PROXY UNKNOWN` and CRLF.
pub(super) const SHORTEST: usize = 15;

const SIGNATURE: &[u8] = b"PROXY ";

pub(super) fn parse(input: &[u8]) -> Result<Parsed, ProxyError> {
    if !agree(input, SIGNATURE) {
        return Err(ProxyError::not_proxy());
    }
    let rest = input.get(SIGNATURE.len()..).unwrap_or_default();
    let incomplete = |shortest| Ok(Parsed::Incomplete { more: shortest - input.len() });
    if agree(rest, UNKNOWN) {
        return if rest.len() > UNKNOWN.len() { unknown(input) } else { incomplete(SHORTEST) };
    }
    // The one whose lines can be shorter comes first: of `PROXY TCP` nobody knows yet which it is.
    for family in [&TCP6, &TCP4] {
        if agree(rest, family.keyword) {
            return if rest.len() >= family.keyword.len() { tcp(input, family) } else { incomplete(family.shortest()) };
        }
    }
    Err(ProxyError::malformed("a PROXY line for something else than TCP4, TCP6 or UNKNOWN"))
}

const UNKNOWN: &[u8] = b"UNKNOWN";

/// Whatever stands in it means nothing, a single CR or LF neither.
fn unknown(input: &[u8]) -> Result<Parsed, ProxyError> {
    let rest = &input[SIGNATURE.len() + UNKNOWN.len()..];
    if !agree(rest, b"\r\n") && rest[0] != b' ' {
        return Err(ProxyError::malformed("a PROXY line with neither a space nor CRLF after UNKNOWN"));
    }
    let line = &input[..input.len().min(MAX)];
    if let Some(at) = line.windows(2).position(|two| two == b"\r\n") {
        return Ok(whole(Addresses::Unspec, at + 2));
    }
    let more = if line.ends_with(b"\r") { 1 } else { 2 };
    if line.len() + more > MAX {
        return Err(ProxyError::line_too_long());
    }
    Ok(Parsed::Incomplete { more })
}

/// Lines with addresses of one family.
struct Family {
    keyword: &'static [u8],
    read: fn(&str) -> Option<IpAddr>,
    /// Source, destination, port of each.
    fields: [Field; 4],
}

/// What stands between two spaces, or the last of them and CRLF.
struct Field {
    least: usize,
    most: usize,
    allowed: fn(u8) -> bool,
    wrong: ProxyError,
}

impl Family {
    fn shortest(&self) -> usize {
        SIGNATURE.len() + self.keyword.len() + shortest(&self.fields) + 1
    }
}

const TCP4: Family = Family {
    keyword: b"TCP4 ",
    read: |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    fields: [
        v4("the source of a PROXY line for TCP4 is not an IPv4 address and one space"),
        v4("the destination of a PROXY line for TCP4 is not an IPv4 address and one space"),
        port("the source port of a PROXY line is not a number from 0 to 65535 and one space"),
        port("the destination port of a PROXY line is not a number from 0 to 65535 and CRLF"),
    ],
};

/// An address can end in that of an IPv4 one, as inet_ntop(3) writes those that are mapped; the text of the protocol does not
/// speak of it, but proxies send it.
const TCP6: Family = Family {
    keyword: b"TCP6 ",
    read: |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    fields: [
        v6("the source of a PROXY line for TCP6 is not an IPv6 address and one space"),
        v6("the destination of a PROXY line for TCP6 is not an IPv6 address and one space"),
        port("the source port of a PROXY line is not a number from 0 to 65535 and one space"),
        port("the destination port of a PROXY line is not a number from 0 to 65535 and CRLF"),
    ],
};

const fn v4(wrong: &'static str) -> Field {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    Field { least: "0.0.0.0".len(), most: "255.255.255.255".len(), allowed, wrong: ProxyError::malformed(wrong) }
}

const fn v6(wrong: &'static str) -> Field {
    let allowed = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    Field { least: "::".len(), most: 8 * 4 + 7, allowed, wrong: ProxyError::malformed(wrong) }
}

const fn port(wrong: &'static str) -> Field {
    let allowed = |byte: u8| byte.is_ascii_digit();
    Field { least: 1, most: 5, allowed, wrong: ProxyError::malformed(wrong) }
}

/// The shortest of these fields, each with the byte that ends it.
fn shortest(fields: &[Field]) -> usize {
    fields.iter().map(|field| field.least + 1).sum()
}

/// Finds the fields first and reads them once the line is whole, as the text of the protocol wants it.
fn tcp(input: &[u8], family: &Family) -> Result<Parsed, ProxyError> {
    let mut at = SIGNATURE.len() + family.keyword.len();
    let mut found = [""; 4];
    for (i, field) in family.fields.iter().enumerate() {
        let rest = &input[at..];
        let len = rest.iter().take(field.most + 1).take_while(|byte| (field.allowed)(**byte)).count();
        if len > field.most {
            return Err(field.wrong);
        }
        let later = &family.fields[i + 1..];
        match rest.get(len) {
            None => {
                // At least what this field still lacks, the byte that ends it, those behind it, LF.
                let more = field.least.saturating_sub(len) + 1 + shortest(later) + 1;
                return Ok(Parsed::Incomplete { more });
            }
            Some(b' ') if !later.is_empty() => {}
            Some(b'\r') if later.is_empty() => {}
            Some(_) => return Err(field.wrong),
        }
        found[i] = std::str::from_utf8(&rest[..len]).map_err(|_| field.wrong)?;
        at += len + 1;
    }
    match input.get(at) {
        None => return Ok(Parsed::Incomplete { more: 1 }),
        Some(b'\n') => {}
        Some(_) => return Err(family.fields[3].wrong),
    }
    let ip = |i: usize| (family.read)(found[i]).ok_or(family.fields[i].wrong);
    let port = |i: usize| decimal(found[i]).ok_or(family.fields[i].wrong);
    let source = SocketAddr::new(ip(0)?, port(2)?);
    let destination = SocketAddr::new(ip(1)?, port(3)?);
    Ok(whole(Addresses::tcp(source, destination)?, at + 1))
}

/// Digits alone, with no zero before them: there are programs that would read it as octal.
fn decimal(digits: &str) -> Option<u16> {
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    digits.parse().ok()
}

fn whole(addresses: Addresses, len: usize) -> Parsed {
    Parsed::Whole { header: Header::new(Version::V1, Command::Proxy, addresses, Vec::new()), len }
}

/// The line for such addresses, if there is one.
pub(super) fn encode(addresses: &Addresses) -> Option<String> {
    Some(match addresses {
        Addresses::Tcp4 { source, destination } => {
            format!("PROXY TCP4 {} {} {} {}\r\n", source.ip(), destination.ip(), source.port(), destination.port())
        }
        Addresses::Tcp6 { source, destination } => {
            let [from, to] = [source, destination].map(|addr| hexadecimal(addr.ip()));
            format!("PROXY TCP6 {from} {to} {} {}\r\n", source.port(), destination.port())
        }
        Addresses::Unspec => "PROXY UNKNOWN\r\n".into(),
        _ => return None,
    })
}

/// Without the decimal numbers that are usual in an IPv4-mapped one (RFC 5952, section 5): not every receiver has to take
/// them.
fn hexadecimal(addr: &Ipv6Addr) -> String {
    match (addr.to_ipv4_mapped(), addr.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        (None, _) => addr.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, ProxyError> {
        parse(line.as_bytes())
    }

    #[test]
    fn right_ones() {
        let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY TCP6 {full} {full} 65535 65535\r\n");
        let largest = format!("[{full}]:65535");
        // (line, source, destination)
        let cases = [
            ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443"),
            ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0"),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                "255.255.255.255:65535",
                "255.255.255.255:65535",
            ),
            ("PROXY TCP6 :: ::1 0 1\r\n", "[::]:0", "[::1]:1"),
            ("PROXY TCP6 2001:DB8::aB 0:0:0:0:0:0:0:1 1 2\r\n", "[2001:db8::ab]:1", "[::1]:2"),
            ("PROXY TCP6 0001:0:0:0:0:0:0:0 1::8 1 2\r\n", "[1::]:1", "[1::8]:2"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2"),
            (&longest, &largest, &largest),
        ];
        for (line, source, destination) in cases {
            let addresses = Addresses::tcp(source.parse().unwrap(), destination.parse().unwrap()).unwrap();
            let input = format!("{line}\r\nPROXY");
            assert_eq!(parsed(&input), Ok(whole(addresses.clone(), line.len())), "{line}");
            let written = encode(&addresses).unwrap();
            assert!(!written[10..].contains("ffff:192."), "{written}");
            assert_eq!(parsed(&written), Ok(whole(addresses, written.len())), "{line}");
        }
    }

    #[test]
    fn unknown_ones() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX - 16));
        let cases = [
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN \r\n",
            "PROXY UNKNOWN \r\r\n",
            "PROXY UNKNOWN a\rb\nc\0\r\n",
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            "PROXY UNKNOWN TCP4 999.999 é\r\n",
            &longest,
        ];
        for line in cases {
            let input = format!("{line}\r\nPROXY");
            assert_eq!(parsed(&input), Ok(whole(Addresses::Unspec, line.len())), "{line:?}");
        }
        assert_eq!(longest.len(), MAX);
        let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX - 15));
        // The 107th byte is no LF, and so the 106th has to be a CR.
        for len in 106..=too_long.len() {
            assert_eq!(parsed(&too_long[..len]), Err(ProxyError::line_too_long()), "{len}");
        }
        assert_eq!(parsed(&too_long[..105]), Ok(Parsed::Incomplete { more: 2 }));
        assert_eq!(parsed(&format!("{}\r", &too_long[..105])), Ok(Parsed::Incomplete { more: 1 }));
        assert_eq!(encode(&Addresses::Unspec).as_deref(), Some("PROXY UNKNOWN\r\n"));
    }

    #[test]
    fn it_is_refused_at_the_byte_that_is_wrong() {
        // Each is right but for its last byte.
        let cases = [
            ("p", "not a PROXY header"),
            ("PROXX", "not a PROXY header"),
            ("PROXY\t", "not a PROXY header"),
            ("PROXY\r", "not a PROXY header"),
            ("PROXY  ", "something else"),
            ("PROXY t", "something else"),
            ("PROXY UD", "something else"),
            ("PROXY TCP5", "something else"),
            ("PROXY TCP4\r", "something else"),
            ("PROXY UNKNOWNS", "neither a space nor CRLF"),
            ("PROXY UNKNOWN\n", "neither a space nor CRLF"),
            ("PROXY UNKNOWN\rx", "neither a space nor CRLF"),
            ("PROXY TCP4 :", "source of"),
            ("PROXY TCP4 1.2.3.4\r", "source of"),
            ("PROXY TCP4 1.2.3.4\t", "source of"),
            ("PROXY TCP4 255.255.255.2555", "source of"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4\r", "destination of"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 +", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 -", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 123456", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ", "destination port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "destination port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r", "destination port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r1", "destination port"),
            ("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffff", "source of"),
            ("PROXY TCP6 ::1 g", "destination of"),
            ("PROXY TCP6 ::1%", "source of"),
            ("PROXY TCP6 [", "source of"),
        ];
        for (line, words) in cases {
            let error = Header::parse(line.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(words), "{line:?}: {error}");
            assert_eq!(error.is_malformed(), !error.is_not_proxy(), "{line:?}");
            assert!(matches!(parsed(&line[..line.len() - 1]), Ok(Parsed::Incomplete { .. })), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_line_that_is_whole() {
        let cases = [
            ("PROXY TCP4  1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP4 256.2.3.4 1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP4 1.2.3.4 00.2.3.4 1 2\r\n", "destination of"),
            ("PROXY TCP4 1.2.3.4 1..3.4 1 2\r\n", "destination of"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n", "source port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n", "destination port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "destination port"),
            ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "source of"),
            ("PROXY TCP6 1::2::3 ::1 1 2\r\n", "source of"),
            ("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", "source of"),
            ("PROXY TCP6 :: 1:2:3:4:5:6:7:8:9 1 2\r\n", "destination of"),
            ("PROXY TCP6 :: 00001::2 1 2\r\n", "destination of"),
            ("PROXY TCP6 :: ::1.2.3 1 2\r\n", "destination of"),
            ("PROXY TCP6 : ::1 1 2\r\n", "source of"),
        ];
        for (line, words) in cases {
            let error = parsed(line).unwrap_err();
            assert!(error.is_malformed() && error.to_string().contains(words), "{line:?}: {error}");
        }
    }

    #[test]
    fn how_many_bytes_are_sure_to_come() {
        // (input, the shortest line that begins so)
        let cases = [
            ("P", "PROXY UNKNOWN\r\n"),
            ("PROXY ", "PROXY UNKNOWN\r\n"),
            ("PROXY U", "PROXY UNKNOWN\r\n"),
            ("PROXY UNKNOWN", "PROXY UNKNOWN\r\n"),
            ("PROXY UNKNOWN\r", "PROXY UNKNOWN\r\n"),
            ("PROXY UNKNOWN ", "PROXY UNKNOWN \r\n"),
            ("PROXY T", "PROXY TCP6 :: :: 0 0\r\n"),
            ("PROXY TCP", "PROXY TCP6 :: :: 0 0\r\n"),
            ("PROXY TCP6", "PROXY TCP6 :: :: 0 0\r\n"),
            ("PROXY TCP6 ", "PROXY TCP6 :: :: 0 0\r\n"),
            ("PROXY TCP6 :", "PROXY TCP6 :: :: 0 0\r\n"),
            ("PROXY TCP6 1:: ", "PROXY TCP6 1:: :: 0 0\r\n"),
            ("PROXY TCP4", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"),
            ("PROXY TCP4 ", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"),
            ("PROXY TCP4 1.2.3.4", "PROXY TCP4 1.2.3.4 0.0.0.0 0 0\r\n"),
            ("PROXY TCP4 1.2.3.4 ", "PROXY TCP4 1.2.3.4 0.0.0.0 0 0\r\n"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 ", "PROXY TCP4 1.2.3.4 1.2.3.4 0 0\r\n"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 12 ", "PROXY TCP4 1.2.3.4 1.2.3.4 12 0\r\n"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 12 34", "PROXY TCP4 1.2.3.4 1.2.3.4 12 34\r\n"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 12 34\r", "PROXY TCP4 1.2.3.4 1.2.3.4 12 34\r\n"),
        ];
        for (input, shortest) in cases {
            assert_eq!(parsed(input), Ok(Parsed::Incomplete { more: shortest.len() - input.len() }), "{input:?}");
            assert!(matches!(parsed(shortest), Ok(Parsed::Whole { .. })), "{shortest:?}");
        }
    }
}
