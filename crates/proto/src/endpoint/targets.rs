//! Whom to probe: one host, and one or several of its ports.

use super::error::{Fault, Quoted};
use super::{Endpoint, EndpointError, Host, host};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How many targets one run may have: as many as a host has ports.
pub const MAX_TARGETS: usize = 65_535;

const LIST_EXAMPLE: &str = "tcp://127.0.0.1:22,80,8000-8010";

/// One or several ports of one host, over TCP or UDP, as a person types them: an [`Endpoint`] with a list of ports and
/// ranges of ports in the place of its port.
///
/// | text | meaning |
/// |---|---|
/// | `tcp://host:80`, `host:80`, `:80` | one port, as an endpoint has it |
/// | `udp://host:53,123` | two |
/// | `host:22,8000-8010` | one, and eleven, both ends among them |
///
/// A port is 1 to 65535: nothing is ever sent to port 0. None may be there twice, so there are never more than
/// [`MAX_TARGETS`]. What is printed gives the same value when it is parsed again.
///
/// ```
/// use socketserver_proto::Targets;
///
/// let targets: Targets = "udp://:53,8000-8001".parse()?;
/// assert_eq!(targets.len(), 3);
/// let all: Vec<_> = targets.iter().map(|target| target.to_string()).collect();
/// assert_eq!(all, ["udp://127.0.0.1:53", "udp://127.0.0.1:8000", "udp://127.0.0.1:8001"]);
///
/// let error = ":90-80".parse::<Targets>().unwrap_err();
/// assert_eq!(error.to_string(), "`:90-80`: range `90-80` ends before it begins; for example `:80-90`");
/// # Ok::<(), socketserver_proto::EndpointError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Targets {
    datagram: bool,
    host: Host,
    /// At least one; none empty, no port in two of them, none 0.
    ports: Vec<RangeInclusive<u16>>,
}

impl Targets {
    /// Each as an endpoint, in the order in which they were typed.
    pub fn iter(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.ports.iter().cloned().flatten().map(|port| {
            let host = self.host.clone();
            if self.datagram { Endpoint::Udp { host, port } } else { Endpoint::Tcp { host, port } }
        })
    }

    /// How many there are: 1 to [`MAX_TARGETS`].
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.iter().map(ExactSizeIterator::len).sum()
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.datagram { "udp" } else { "tcp" }, self.host)?;
        let mut before = ':';
        for ports in &self.ports {
            match (ports.start(), ports.end()) {
                (first, last) if first == last => write!(f, "{before}{first}")?,
                (first, last) => write!(f, "{before}{first}-{last}")?,
            }
            before = ',';
        }
        Ok(())
    }
}

impl FromStr for Targets {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
    }
}

/// The words for an endpoint of another kind.
const ONLY: &str = "cannot be probed, only `tcp` and `udp` can";

fn parse(text: &str) -> Result<Targets, EndpointError> {
    let wrong = |fault: Fault<'_>| EndpointError::new(text, fault, |example| parse(example).is_ok());
    let (head, list) = split(text);
    let ports = list.map(|list| parse_list(head, list)).transpose().map_err(wrong)?;
    // The rest is an endpoint with the first port in the place of them all.
    let first = ports.as_deref().and_then(|ports: &[RangeInclusive<u16>]| ports.first());
    let endpoint = match first {
        Some(first) => format!("{head}:{}", first.start()).parse::<Endpoint>(),
        None => text.parse::<Endpoint>(),
    };
    let (datagram, host, port) = match endpoint {
        Ok(Endpoint::Tcp { host, port }) => (false, host, port),
        Ok(Endpoint::Udp { host, port }) => (true, host, port),
        Ok(other) => {
            let scheme = other.scheme();
            return Err(wrong(Fault::new(scheme, format!("{} {ONLY}", Quoted(scheme)), LIST_EXAMPLE)));
        }
        Err(error) => return Err(error.of_list(text, LIST_EXAMPLE, |example| parse(example).is_ok())),
    };
    if port == 0 {
        return Err(wrong(no_port("0")));
    }
    Ok(Targets { datagram, host, ports: ports.unwrap_or_else(|| vec![port..=port]) })
}

/// What stands before the ports, and these, if there may be several: with a comma or a dash. White space is left to who
/// reads endpoints: it has words for it.
fn split(text: &str) -> (&str, Option<&str>) {
    let other = |name| text.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(name));
    let has_scheme_of_one = ["unix", "unixgram", "seqpacket", "fd"].into_iter().any(other);
    match text.rsplit_once(':') {
        Some((head, list))
            if !has_scheme_of_one
                && list.contains([',', '-'])
                && !list.contains(|c: char| "/]?#@".contains(c) || c.is_whitespace()) =>
        {
            (head, Some(list))
        }
        _ => (text, None),
    }
}

/// `22,80,8000-8010`, which stands after `head` and a colon.
fn parse_list<'a>(head: &str, list: &'a str) -> Result<Vec<RangeInclusive<u16>>, Fault<'a>> {
    let mut seen = vec![false; 1 << 16];
    let mut ports = Vec::new();
    // No port is there twice: however long the text is, this ends after 65,535 of them.
    for part in list.split(',') {
        if part.is_empty() {
            let reason = format!("{} has nothing before or after a comma", Quoted(list));
            let rest: Vec<_> = list.split(',').filter(|part| !part.is_empty()).take(8).collect();
            return Err(Fault::new(list, reason, LIST_EXAMPLE).suggest(&[head, ":", &rest.join(",")]));
        }
        let range = match part.split_once('-') {
            None => {
                let port = parse_port(part)?;
                port..=port
            }
            Some((first, last)) if first.is_empty() || last.is_empty() => {
                let reason =
                    format!("{} is not a range, which has a port before its `-` and one after it", Quoted(part));
                return Err(Fault::new(part, reason, LIST_EXAMPLE));
            }
            Some((first, last)) => parse_port(first)?..=parse_port(last)?,
        };
        if range.is_empty() {
            let reason = format!("range {} ends before it begins", Quoted(part));
            let turned = format!("{}-{}", range.end(), range.start());
            return Err(Fault::new(part, reason, LIST_EXAMPLE).suggest(&[head, ":", &turned]));
        }
        for port in range.clone() {
            if std::mem::replace(&mut seen[usize::from(port)], true) {
                let reason = match range.len() {
                    1 => format!("port {} is there twice", Quoted(part)),
                    _ => format!("port {port} of {} is there twice", Quoted(part)),
                };
                return Err(Fault::new(part, reason, LIST_EXAMPLE));
            }
        }
        ports.push(range);
    }
    Ok(ports)
}

fn parse_port(text: &str) -> Result<u16, Fault<'_>> {
    Some(text)
        .filter(|text| host::is_number(text))
        .and_then(|text| text.parse().ok())
        .filter(|port| *port > 0)
        .ok_or_else(|| no_port(text))
}

fn no_port(text: &str) -> Fault<'_> {
    Fault::new(text, format!("{} is not a port that can be probed, 1 to 65535", Quoted(text)), LIST_EXAMPLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ports(text: &str) -> Vec<u16> {
        let targets: Targets = text.parse().unwrap();
        targets
            .iter()
            .map(|target| match target {
                Endpoint::Tcp { port, .. } | Endpoint::Udp { port, .. } => port,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn well_formed() {
        let cases: &[(&str, &str, &[u16])] = &[
            (":80", "tcp://127.0.0.1:80", &[80]),
            ("host:80", "tcp://host:80", &[80]),
            ("UDP://:53,123", "udp://127.0.0.1:53,123", &[53, 123]),
            ("my-host:22,8000-8002", "tcp://my-host:22,8000-8002", &[22, 8000, 8001, 8002]),
            ("[::1]:7-9,3", "tcp://[::1]:7-9,3", &[7, 8, 9, 3]),
            ("tcp://[fe80::1%eth-0]:5-5", "tcp://[fe80::1%eth-0]:5", &[5]),
            ("*:65535,1", "tcp://*:65535,1", &[65535, 1]),
        ];
        for &(text, printed, expected) in cases {
            assert_eq!(text.parse::<Targets>().unwrap().to_string(), printed, "{text}");
            assert_eq!(ports(text), expected, "{text}");
        }
        let all: Targets = "udp://h:1-65535".parse().unwrap();
        assert_eq!((all.len(), all.iter().count()), (MAX_TARGETS, MAX_TARGETS));
    }

    #[test]
    fn malformed() {
        // (input, the offending part, words of the reason, the example)
        let cases = [
            (":0", "0", "1 to 65535", LIST_EXAMPLE),
            ("udp://:0", "0", "1 to 65535", LIST_EXAMPLE),
            (":80,0", "0", "1 to 65535", LIST_EXAMPLE),
            (":0-5", "0", "1 to 65535", LIST_EXAMPLE),
            (":1-65536", "65536", "1 to 65535", LIST_EXAMPLE),
            (":80,http", "http", "1 to 65535", LIST_EXAMPLE),
            (":+80,1", "+80", "1 to 65535", LIST_EXAMPLE),
            (":5-3", "5-3", "ends before", ":3-5"),
            ("udp://h:80,5-3", "5-3", "ends before", "udp://h:3-5"),
            (":5-", "5-", "not a range", LIST_EXAMPLE),
            (":-5", "-5", "not a range", LIST_EXAMPLE),
            (":-", "-", "not a range", LIST_EXAMPLE),
            (":1-2-3", "2-3", "1 to 65535", LIST_EXAMPLE),
            ("h:1,,2", "1,,2", "comma", "h:1,2"),
            ("h:80,", "80,", "comma", "h:80"),
            ("h:,", ",", "comma", LIST_EXAMPLE),
            (":80,443,80", "80", "`80` is there twice", LIST_EXAMPLE),
            (":80,70-90", "70-90", "port 80 of `70-90`", LIST_EXAMPLE),
            ("::1:80-90", "::1", "brackets", "[::1]:80"),
            ("tcp://my-host", "my-host", "no port", "tcp://my-host:8080"),
            ("h:80, 81", "80, 81", "not a number", "tcp://127.0.0.1:8080"),
            ("a b:80,81", "a b", "not a host name", "tcp://127.0.0.1:8080"),
            ("http://h:80,81", "http", "unknown scheme", "tcp://127.0.0.1:8080"),
            ("unix:/x-1", "unix", "only `tcp` and `udp`", LIST_EXAMPLE),
            ("unixgram:@a,b", "unixgram", "only `tcp` and `udp`", LIST_EXAMPLE),
            ("seqpacket:/a-b", "seqpacket", "only `tcp` and `udp`", LIST_EXAMPLE),
            ("fd:3", "fd", "only `tcp` and `udp`", LIST_EXAMPLE),
            ("/tmp/x", "/tmp/x", "`unix:`", LIST_EXAMPLE),
            ("", "", "empty", "tcp://127.0.0.1:8080"),
        ];
        for (input, part, words, example) in cases {
            let error = input.parse::<Targets>().expect_err(input);
            let message = error.to_string();
            assert_eq!((error.part(), error.input()), (part, input), "{message}");
            assert!(message.contains(words), "{words:?} is not in {message}");
            assert!(message.ends_with(&format!("; for example `{example}`")), "{message}");
        }
    }

    #[test]
    fn however_long_the_list_is_it_is_refused_soon_and_shortly() {
        for list in ["1,".repeat(1_000_000), "1-65535,".repeat(200_000), "-".repeat(1_000_000)] {
            let error = format!("h:{list}").parse::<Targets>().unwrap_err();
            assert!(error.to_string().len() < 2_000, "{error}");
        }
    }

    fn list() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
        proptest::collection::btree_set(1..=u16::MAX, 1..40).prop_map(|bounds| {
            let bounds: Vec<_> = bounds.into_iter().collect();
            let mut ranges: Vec<_> = bounds.chunks(2).map(|pair| pair[0]..=*pair.last().unwrap()).collect();
            ranges.reverse();
            ranges
        })
    }

    proptest! {
        #[test]
        fn printing_then_parsing_gives_the_same(datagram: bool, ip: std::net::IpAddr, ports in list()) {
            let targets = Targets { datagram, host: Host::Ip(ip), ports };
            prop_assert_eq!(targets.to_string().parse::<Targets>(), Ok(targets.clone()));
            prop_assert_eq!(targets.iter().count(), targets.len());
            prop_assert!(targets.iter().all(|target| target.is_datagram() == datagram));
        }

        #[test]
        fn any_string_is_targets_or_an_error(text in any::<String>()) {
            holds_for(&text)?;
        }

        #[test]
        fn nearly_targets_too(text in "((tcp|unix|fd|udp|x)?:(//)?)?[h:.@*/\\[\\]%]{0,6}:[-0-9, ]{0,12}[a-z`]?") {
            holds_for(&text)?;
        }

        /// One port is what an endpoint says it is.
        #[test]
        fn one_port_is_an_endpoint(text in "((tcp|udp)://)?(h|[0-9.]{7}|\\[::1\\])?:[0-9]{1,5}") {
            let alone = text.parse::<Endpoint>().ok().filter(|_| !text.trim_end_matches('0').ends_with(':'));
            prop_assert_eq!(text.parse::<Targets>().ok().and_then(|targets| targets.iter().next()), alone);
        }
    }

    /// What parses prints so that it parses to the same; what does not has a right example.
    fn holds_for(text: &str) -> Result<(), TestCaseError> {
        match text.parse::<Targets>() {
            Ok(targets) => {
                prop_assert!((1..=MAX_TARGETS).contains(&targets.len()));
                prop_assert_eq!(targets.to_string().parse::<Targets>(), Ok(targets));
            }
            Err(error) => {
                let message = error.to_string();
                let example = message.rsplit('`').nth(1).unwrap();
                prop_assert!(example.parse::<Targets>().is_ok(), "{}", message);
                prop_assert!(message.contains(error.part()));
            }
        }
        Ok(())
    }
}
