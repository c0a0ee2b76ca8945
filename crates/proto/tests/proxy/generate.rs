//! Right headers, made by hand: by nothing of what is tested.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A right header of either version, and something that may follow it.
pub(crate) fn header() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => line(), 2 => binary()]
}

/// One of version 1.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let tcp4 = (ipv4(), ipv4(), port(), port())
        .prop_map(|(source, destination, from, to)| format!("PROXY TCP4 {source} {destination} {from} {to}\r\n"));
    let tcp6 = (ipv6_text(), ipv6_text(), port(), port())
        .prop_map(|(source, destination, from, to)| format!("PROXY TCP6 {source} {destination} {from} {to}\r\n"));
    prop_oneof![
        3 => tcp4.prop_map(String::into_bytes),
        3 => tcp6.prop_map(String::into_bytes),
        1 => unknown(),
    ]
}

fn unknown() -> impl Strategy<Value = Vec<u8>> {
    let meant =
        select(vec!["", " ffff:f...f:ffff ffff:f...f:ffff 65535 65535"]).prop_map(|tail| tail.as_bytes().to_vec());
    let byte = prop_oneof![4 => select(b"a 0\r\n:\0\xC3\xA9\xFF".to_vec()), 1 => any::<u8>()];
    let anything = vec(byte, 0..=107 - 16).prop_map(|tail| [b" ", &tail[..]].concat());
    prop_oneof![meant, anything].prop_filter_map("it would end before its end", |tail| {
        let line = [b"PROXY UNKNOWN", &tail[..], b"\r\n"].concat();
        let end = line.windows(2).position(|two| two == b"\r\n");
        (end == Some(line.len() - 2)).then_some(line)
    })
}

/// One of version 2.
fn binary() -> impl Strategy<Value = Vec<u8>> {
    let tcp_or_udp = select(vec![0x1, 0x2]);
    let ip4 = (tcp_or_udp.clone(), ipv4(), ipv4(), ports()).prop_map(|(kind, source, destination, ports)| {
        (0x10 | kind, [&source.octets()[..], &destination.octets(), &ports].concat())
    });
    let ip6 = (tcp_or_udp.clone(), ipv6(), ipv6(), ports()).prop_map(|(kind, source, destination, ports)| {
        (0x20 | kind, [&source.octets()[..], &destination.octets(), &ports].concat())
    });
    let unix = (tcp_or_udp, unix_name(), unix_name())
        .prop_map(|(kind, source, destination)| (0x30 | kind, [source, destination].concat()));
    let proxied = prop_oneof![4 => ip4, 4 => ip6, 1 => unix];
    let proxied = (proxied, tlvs(), any::<bool>())
        .prop_map(|((family, block), tlvs, sum)| of(0x21, family, &[block, tlvs].concat(), sum));
    // Nobody says what stands in these.
    let command_and_family = prop_oneof![
        3 => Just((0x20, 0x00)),
        1 => any::<u8>().prop_map(|family| (0x20, family)),
        1 => select(vec![0x00, 0x01, 0x02, 0x10, 0x20, 0x30]).prop_map(|family| (0x21, family)),
        1 => (4..=15_u8, 0..=15_u8).prop_map(|(family, transport)| (0x21, family << 4 | transport)),
        1 => (0..=15_u8, 3..=15_u8).prop_map(|(family, transport)| (0x21, family << 4 | transport)),
    ];
    let rest = prop_oneof![2 => Just(vec![]), 1 => tlvs(), 1 => vec(any::<u8>(), 0..300)];
    let unspecified =
        (command_and_family, rest).prop_map(|((command, family), rest)| of(command, family, &rest, false));
    prop_oneof![4 => proxied, 1 => unspecified]
}

/// The header, which with `sum` ends in a checksum.
pub(crate) fn of(command: u8, family: u8, rest: &[u8], sum: bool) -> Vec<u8> {
    let tail: &[u8] = if sum { b"\x03\0\x04\0\0\0\0" } else { b"" };
    let len = ((rest.len() + tail.len()) as u16).to_be_bytes();
    let mut header = [SIGNATURE, &[command, family][..], &len, rest, tail].concat();
    if sum {
        let (crc, at) = (crc32c(&header), header.len() - 4);
        header[at..].copy_from_slice(&crc.to_be_bytes());
    }
    header
}

/// Bit by bit, as RFC 4960 defines it.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![any::<u16>(), select(vec![0, 1, 9, 10, 80, 443, 65_535])]
}

fn ports() -> impl Strategy<Value = [u8; 4]> {
    any::<[u8; 4]>()
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    let part = prop_oneof![select(vec![0, 1, 9, 10, 99, 100, 255]), any::<u8>()];
    [part.clone(), part.clone(), part.clone(), part].prop_map(|octets: [u8; 4]| octets.into())
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    let part = || prop_oneof![3 => Just(0), 1 => select(vec![1, 0x10, 0xABC, 0xFFFF]), 1 => any::<u16>()];
    let anywhere = vec(part(), 8).prop_map(|parts| {
        let parts: [u16; 8] = parts.try_into().unwrap();
        parts.into()
    });
    prop_oneof![4 => anywhere, 1 => ipv4().prop_map(|v4| v4.to_ipv6_mapped())]
}

/// In each way that one can write it in 39 characters.
fn ipv6_text() -> impl Strategy<Value = String> {
    (ipv6(), 0..4, any::<bool>()).prop_map(|(addr, how, upper)| {
        let parts = addr.segments();
        let text = match how {
            0 => parts.map(|part| format!("{part:04x}")).join(":"),
            1 => parts.map(|part| format!("{part:x}")).join(":"),
            _ => addr.to_string(),
        };
        if upper { text.to_uppercase() } else { text }
    })
}

/// 108 bytes with a path, an abstract name or nothing.
fn unix_name() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        1 => Just(vec![]),
        2 => vec(1..=255_u8, 1..=108),
        1 => vec(any::<u8>(), 1..=107).prop_map(|name| [&b"\0"[..], &name].concat()),
        // With something left behind its end.
        1 => (vec(1..=255_u8, 1..50), vec(any::<u8>(), 0..50)).prop_map(|(path, junk)| [&path[..], b"\0", &junk].concat()),
    ];
    name.prop_map(|mut name| {
        name.resize(108, 0);
        name
    })
}

fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    vec(tlv(), 0..5).prop_map(|tlvs| tlvs.concat())
}

fn tlv() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |most: usize| vec(any::<u8>(), 0..=most);
    let kinds = |kinds: &[u8]| select(kinds.to_vec());
    prop_oneof![
        (kinds(&[0x01, 0x04, 0x05]), bytes(128)),
        (kinds(&[0x02]), text()),
        (kinds(&[0x30]), ascii()),
        (kinds(&[0x20]), ssl()),
        (0xE0..=0xFF_u8, bytes(40)),
        (kinds(&[0x00, 0x06, 0x21, 0x29, 0x31, 0xDF]), bytes(10)),
    ]
    .prop_map(|(kind, value)| piece(kind, &value))
}

fn ssl() -> impl Strategy<Value = Vec<u8>> {
    let kinds = |kinds: &[u8]| select(kinds.to_vec());
    let inner = prop_oneof![
        3 => (kinds(&[0x21, 0x23, 0x24, 0x25, 0x26, 0x27]), ascii()),
        1 => (kinds(&[0x22]), text()),
        1 => (kinds(&[0x28, 0x29, 0x00, 0x01]), vec(any::<u8>(), 0..30)),
    ];
    let inner = vec(inner.prop_map(|(kind, value)| piece(kind, &value)), 0..5);
    (0..8_u8, prop_oneof![Just(0), any::<u32>()], inner)
        .prop_map(|(bits, result, inner)| [&[bits], &result.to_be_bytes()[..], &inner.concat()].concat())
}

pub(crate) fn piece(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(select(vec!['a', '.', '-', 'é', '你', '\0']), 0..20)
        .prop_map(|chars| chars.into_iter().collect::<String>().into())
}

fn ascii() -> impl Strategy<Value = Vec<u8>> {
    vec(0..128_u8, 0..20)
}
