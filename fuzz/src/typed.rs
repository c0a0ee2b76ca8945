//! What people type: on a command line, in a file of settings.

use socketserver::{Fingerprint, ProxySource};
use socketserver_exec::{Encoding, Size, Wire};
use socketserver_proto::{Cidr, Endpoint, MAX_TARGETS, Rate, Targets, peer_key};
use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where to listen, or to connect to.
pub fn endpoint(data: &[u8]) {
    if let Some(endpoint) = read::<Endpoint>(data) {
        // Paths that differ by a slash alone are equal; their `Debug` texts are not.
        let again: Endpoint = endpoint.to_string().parse().expect("what was printed is read");
        assert_eq!(format!("{again:?}"), format!("{endpoint:?}"));
        assert!(!endpoint.to_string().contains(|c: char| c.is_whitespace() || c.is_control()), "{endpoint:?}");
    }
}

/// Whom to probe.
pub fn targets(data: &[u8]) {
    if let Some(targets) = read::<Targets>(data) {
        assert!((1..=MAX_TARGETS).contains(&targets.len()));
        let ports = targets.iter().map(|target| match target {
            Endpoint::Tcp { port, .. } | Endpoint::Udp { port, .. } => port,
            other => panic!("{other} cannot be probed"),
        });
        let mut ports: Vec<u16> = ports.collect();
        assert_eq!(ports.len(), targets.len());
        ports.sort_unstable();
        ports.dedup();
        assert!(ports.len() == targets.len() && ports[0] != 0, "each port once, and none is 0");
    }
}

/// A block of addresses, and who is believed to be a proxy.
pub fn block(data: &[u8]) {
    let block = read::<Cidr>(data);
    let source = read::<ProxySource>(data);
    assert_eq!(block.map(ProxySource::Net), source.filter(|source| *source != ProxySource::Unix));
    let Some(block) = block else { return };
    // The first address of it is in it, and with another bit if that is one behind the prefix.
    let (first, prefix) = (block.network(), block.prefix_len());
    assert!(block.contains(first) && peer_key(first, prefix) == first);
    for bit in 0..if first.is_ipv4() { 32 } else { 128 } {
        let (addr, is_behind) = (other(first, bit), bit >= prefix);
        assert_eq!(block.contains(addr), is_behind, "{addr} in {block}");
        // Whoever is counted by so many bits of IPv6 is counted as one.
        let is_same = peer_key(addr, prefix) == first;
        assert_eq!(is_same, is_behind && first.is_ipv6(), "{addr} by {prefix} bits");
    }
}

/// The address with another bit at this place.
fn other(addr: IpAddr, bit: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() ^ 1 << (31 - bit)).to_ipv6_mapped().into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() ^ 1 << (127 - bit)).into(),
    }
}

/// How often something may happen.
pub fn rate(data: &[u8]) {
    if let Some(rate) = read::<Rate>(data) {
        assert!(rate.period().as_nanos() >= rate.count().get().into() && rate.burst() >= 1);
    }
}

/// What tells one certificate from all others.
pub fn fingerprint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(fingerprint.to_string().replace(':', ""), text.replace(':', "").to_ascii_uppercase());
    }
}

/// Settings of remote execution: a size, an encoding, a wire. What stands behind the first line is to be encoded.
pub fn settings(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..end]) else { return };
    let printed = data.get(end + 1..).unwrap_or_default();
    if let Ok(size) = text.parse::<Size>() {
        assert!((1..=256 << 20).contains(&size.bytes()));
    }
    if let Ok(wire) = text.parse::<Wire>() {
        assert_eq!(wire.to_string(), text);
    }
    if let Ok(encoding) = text.parse::<Encoding>() {
        assert_eq!(encoding.to_string().parse(), Ok(encoding));
        assert!(encoding.encode(printed.to_vec()).len() <= 4 * printed.len(), "a result has a length of 32 bits");
        // What was understood can be said, and is understood again.
        if let Some(text) = encoding.decode(printed) {
            assert!(encoding.decode(&encoding.encode(text.into_owned().into_bytes())).is_some(), "{encoding}");
        }
    }
}

/// What is understood is printed so that it is understood again; what is not is refused with a right example.
fn read<T: FromStr<Err: Display> + Display + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(data).ok()?;
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "{text:?}");
            Some(value)
        }
        Err(error) => {
            refused::<T>(text, &error);
            None
        }
    }
}

/// One clear error: it can be shown, and ends with an example that is right.
pub(crate) fn refused<T: FromStr>(text: &str, error: &impl Display) {
    let message = error.to_string();
    let example = message.rsplit('`').nth(1).unwrap_or_default();
    assert!(example.parse::<T>().is_ok(), "{text:?}: {message}");
    // Of what was typed 200 characters are shown, twice at most, and one takes up to ten.
    assert!(message.len() < 5_000 && !message.contains(char::is_control), "{message:?}");
}
