//! What this parser and that of the `ppp` crate make of the same bytes, and each way in which they may differ.

use super::generate::{SIGNATURE, crc32c, of};
use ppp::{HeaderResult, PartialResult, v1, v2};
use socketserver_proto::UnixName;
use socketserver_proto::proxy::{Addresses, Command, Header, Parsed, Tlv};
use std::ffi::OsString;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStringExt as _;

#[derive(Debug, PartialEq)]
enum Verdict {
    Whole(Said),
    Waits,
    Refuses,
}

#[derive(Debug, PartialEq)]
struct Said {
    len: usize,
    local: bool,
    addresses: Addresses,
    /// Types and values; of a checksum, zeros.
    tlvs: Vec<(u8, Vec<u8>)>,
}

struct Case<'a> {
    input: &'a [u8],
    ours: Verdict,
    theirs: Verdict,
}

/// Both say the same, or they differ in ways that are known: their names.
#[track_caller]
pub(crate) fn differences(input: &[u8]) -> Vec<&'static str> {
    let case = Case { input, ours: ours(input), theirs: theirs(input) };
    if case.ours == case.theirs {
        return vec![];
    }
    let known = DIFFERENCES.iter().filter(|difference| (difference.applies)(&case));
    let names: Vec<_> = known.map(|difference| difference.name).collect();
    let Case { ours, theirs, .. } = case;
    assert!(!names.is_empty(), "{}\nours:   {ours:?}\ntheirs: {theirs:?}", input.escape_ascii());
    names
}

fn ours(input: &[u8]) -> Verdict {
    match Header::parse(input) {
        Err(_) => Verdict::Refuses,
        Ok(Parsed::Incomplete { .. }) => Verdict::Waits,
        Ok(Parsed::Whole { header, len }) => {
            let values = header.tlvs().map(|tlv| (tlv.kind(), value(&tlv)));
            let (local, addresses) = (header.command() == Command::Local, header.addresses().clone());
            Verdict::Whole(Said { len, local, addresses, tlvs: values.collect() })
        }
    }
}

fn value(tlv: &Tlv<'_>) -> Vec<u8> {
    match tlv {
        Tlv::Authority(text) | Tlv::Netns(text) => text.as_bytes().to_vec(),
        Tlv::Alpn(value) | Tlv::Noop(value) | Tlv::UniqueId(value) | Tlv::Other { value, .. } => value.to_vec(),
        Tlv::Crc32c => vec![0; 4],
        Tlv::Ssl(ssl) => {
            // What is behind its five bytes is what a header that has only that ends in.
            let unnamed = Addresses::UnixStream { source: None, destination: None };
            let alone = Header::between(unnamed).unwrap().with(Tlv::Ssl(ssl.clone())).unwrap().encode_v2();
            alone[16 + 216 + 3..].to_vec()
        }
        other => panic!("{other:?}"),
    }
}

fn theirs(input: &[u8]) -> Verdict {
    let parsed = HeaderResult::parse(input);
    let waits = parsed.is_incomplete();
    match parsed {
        HeaderResult::V1(Ok(header)) => Verdict::Whole(Said {
            len: header.header.len(),
            local: false,
            addresses: match header.addresses {
                v1::Addresses::Unknown => Addresses::Unspec,
                v1::Addresses::Tcp4(ip) => {
                    let (source, destination) = v4(ip);
                    Addresses::Tcp4 { source, destination }
                }
                v1::Addresses::Tcp6(ip) => {
                    let (source, destination) = v6(ip);
                    Addresses::Tcp6 { source, destination }
                }
            },
            tlvs: vec![],
        }),
        // It looks at the TLVs only when it is asked for them.
        HeaderResult::V2(Ok(header)) if header.tlvs().any(|tlv| tlv.is_err()) => Verdict::Refuses,
        HeaderResult::V2(Ok(header)) => {
            let tlvs = header.tlvs().flatten().map(|tlv| match (tlv.kind, tlv.value.len()) {
                (0x03, 4) => (0x03, vec![0; 4]),
                (kind, _) => (kind, tlv.value.into_owned()),
            });
            Verdict::Whole(Said {
                len: header.len(),
                local: header.command == v2::Command::Local,
                addresses: binary(header.protocol, header.addresses),
                tlvs: tlvs.collect(),
            })
        }
        _ if waits => Verdict::Waits,
        _ => Verdict::Refuses,
    }
}

fn v4(ip: v1::IPv4) -> (SocketAddrV4, SocketAddrV4) {
    (
        SocketAddrV4::new(ip.source_address, ip.source_port),
        SocketAddrV4::new(ip.destination_address, ip.destination_port),
    )
}

fn v6(ip: v1::IPv6) -> (SocketAddrV6, SocketAddrV6) {
    let addr = |ip, port| SocketAddrV6::new(ip, port, 0, 0);
    (addr(ip.source_address, ip.source_port), addr(ip.destination_address, ip.destination_port))
}

fn binary(transport: v2::Protocol, addresses: v2::Addresses) -> Addresses {
    use v2::Protocol::{Datagram, Stream};
    match (transport, addresses) {
        (Stream, v2::Addresses::IPv4(ip)) => {
            let (source, destination) = v4(ip);
            Addresses::Tcp4 { source, destination }
        }
        (Datagram, v2::Addresses::IPv4(ip)) => {
            let (source, destination) = v4(ip);
            Addresses::Udp4 { source, destination }
        }
        (Stream, v2::Addresses::IPv6(ip)) => {
            let (source, destination) = v6(ip);
            Addresses::Tcp6 { source, destination }
        }
        (Datagram, v2::Addresses::IPv6(ip)) => {
            let (source, destination) = v6(ip);
            Addresses::Udp6 { source, destination }
        }
        (Stream, v2::Addresses::Unix(unix)) => {
            Addresses::UnixStream { source: name(&unix.source), destination: name(&unix.destination) }
        }
        (Datagram, v2::Addresses::Unix(unix)) => {
            Addresses::UnixDgram { source: name(&unix.source), destination: name(&unix.destination) }
        }
        _ => Addresses::Unspec,
    }
}

/// The 108 bytes as unix(7) has them.
fn name(block: &[u8; 108]) -> Option<UnixName> {
    if block[0] != 0 {
        let path = block.iter().copied().take_while(|byte| *byte != 0).collect();
        return Some(UnixName::Path(OsString::from_vec(path).into()));
    }
    let mut name = block[1..].to_vec();
    while name.last() == Some(&0) {
        name.pop();
    }
    (!name.is_empty()).then_some(UnixName::Abstract(name))
}

/// A way in which the two differ, and why.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    applies: fn(&Case<'_>) -> bool,
    /// An input in which they do.
    pub(crate) witness: fn() -> Vec<u8>,
}

const V4: &[u8] = &[192, 0, 2, 7, 192, 0, 2, 1, 0xDC, 0x04, 0x01, 0xBB];

/// A proxied TCP connection with these TLVs.
fn with(tlvs: &[u8]) -> Vec<u8> {
    of(0x21, 0x11, &[V4, tlvs].concat(), false)
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    // Version 2.
    Difference {
        // The text says that a receiver that knows of checksums must refuse one that is wrong; ppp hands it out as it is.
        name: "a checksum is verified",
        applies: |case| {
            refused_for(case, |input, kind, value| kind == 0x03 && value.len() == 4 && !checksum_is_right(input))
        },
        witness: || with(b"\x03\0\x04abcd"),
    },
    Difference {
        // It is "a 32-bit number" in the text; to ppp any value is as good as another.
        name: "a checksum has 4 bytes",
        applies: |case| refused_for(case, |_, kind, value| kind == 0x03 && value.len() != 4),
        witness: || with(b"\x03\0\x03abc"),
    },
    Difference {
        // Neither could be reckoned without the other. The text knows of one.
        name: "there is one checksum",
        applies: |case| pieces_of(case).iter().filter(|(kind, _)| *kind == 0x03).count() > 1 && refused(case),
        // The second is right.
        witness: || of(0x21, 0x11, &[V4, b"\x03\0\x04\0\0\0\0"].concat(), true),
    },
    Difference {
        // "An opaque byte sequence of up to 128 bytes"; ppp has no limit.
        name: "a unique ID has at most 128 bytes",
        applies: |case| refused_for(case, |_, kind, value| kind == 0x05 && value.len() > 128),
        witness: || with(&[&b"\x05\0\x81"[..], &[7; 129]].concat()),
    },
    Difference {
        // The text names the encoding; ppp gives bytes.
        name: "a host name is UTF-8",
        applies: |case| refused_for(case, |_, kind, value| kind == 0x02 && std::str::from_utf8(value).is_err()),
        witness: || with(b"\x02\0\x01\xFF"),
    },
    Difference {
        // The text names the encoding; ppp gives bytes.
        name: "a network namespace is ASCII",
        applies: |case| refused_for(case, |_, kind, value| kind == 0x30 && !value.is_ascii()),
        witness: || with(b"\x30\0\x01\xFF"),
    },
    Difference {
        // What is in it is told by the text as what is around it; ppp gives bytes.
        name: "what is told of TLS is looked into",
        applies: |case| refused_for(case, |_, kind, value| kind == 0x20 && !ssl_is_right(value)),
        witness: || with(b"\x20\0\x04\x01\0\0\0"),
    },
    Difference {
        // ppp waits for whatever is announced.
        name: "there is a limit",
        applies: |case| announced(case.input).is_some_and(|len| len > 4096) && case.ours == Verdict::Refuses,
        witness: || [&SIGNATURE[..], b"\x21\x11\x10\x01"].concat(),
    },
    Difference {
        // The text would have these refused, as ppp does; its sample code, and HAProxy, pass over them, and so is done here.
        name: "a family or transport that is not assigned is passed over",
        applies: |case| {
            let is_unassigned = |family: &u8| family >> 4 > 3 || family & 0xF > 2;
            case.input.get(13).is_some_and(is_unassigned) && case.theirs == Verdict::Refuses && passed_over(case)
        },
        witness: || of(0x21, 0x41, b"abc", false),
    },
    Difference {
        // The text: the receiver must "discard the protocol block including the family", and for UNSPEC "should ignore address
        // information". ppp reads the block as that of the family.
        name: "what LOCAL and UNSPEC have is passed over",
        applies: |case| {
            let (local, unspec) =
                (case.input.get(12) == Some(&0x20), case.input.get(13).is_some_and(|it| it & 0xF == 0));
            (local || unspec) && case.theirs != Verdict::Waits && passed_over(case)
        },
        witness: || of(0x20, 0x11, V4, false),
    },
    // Version 1.
    Difference {
        // Rust's integers parse with a plus, which is no decimal digit.
        name: "a port has no plus",
        applies: |case| {
            let plus = |input: &[u8]| input.windows(2).any(|two| two == b" +");
            is_line(case) && plus(case.input) && refused(case)
        },
        witness: || b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 +443\r\n".to_vec(),
    },
    Difference {
        // ppp takes a space for a CR, and so an LF between two spaces for the end of the line.
        name: "a line ends in CRLF",
        applies: |case| match &case.theirs {
            Verdict::Whole(theirs) => is_line(case) && !case.input[..theirs.len].ends_with(b"\r\n"),
            _ => false,
        },
        witness: || b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443 \n".to_vec(),
    },
    Difference {
        // ppp takes a CR for a space, looks no further than one byte behind the first, and then waits for the fields that it
        // has not seen, though they can never come there.
        name: "a CR that is out of place is refused",
        applies: |case| {
            is_line(case) && has_lone_cr(case.input) && case.ours == Verdict::Refuses && case.theirs == Verdict::Waits
        },
        witness: || b"PROXY TCP4 192.0.2.7\r192.0.2.1 56324 443\r\n".to_vec(),
    },
    Difference {
        // At the 106th byte of a line it can be told that there is no CRLF within 107; ppp asks for one more.
        name: "a line that cannot end in time is refused",
        applies: |case| {
            let is_at_its_end = case.input.len() == 106 && !case.input.ends_with(b"\r");
            is_unknown(case) && is_at_its_end && case.ours == Verdict::Refuses && case.theirs == Verdict::Waits
        },
        witness: || [b"PROXY UNKNOWN ", &[b'x'; 106 - 14][..]].concat(),
    },
    Difference {
        // The text: the receiver "must ignore anything presented before the CRLF is found". ppp wants UTF-8, and looks at it
        // until one byte behind the first CR, be that in the middle of a character.
        name: "anything goes behind UNKNOWN, bytes that are no text too",
        applies: |case| {
            is_unknown(case)
                && std::str::from_utf8(until_cr(case.input)).is_err()
                && case.theirs == Verdict::Refuses
                && case.ours != Verdict::Refuses
        },
        witness: || b"PROXY UNKNOWN \xFF\r\n".to_vec(),
    },
    Difference {
        // As before. ppp looks no further than one byte behind the first CR.
        name: "anything goes behind UNKNOWN, a CR too",
        applies: |case| {
            is_unknown(case) && has_lone_cr(case.input) && case.theirs == Verdict::Waits && is_whole_line(case)
        },
        witness: || b"PROXY UNKNOWN a\rb\r\n".to_vec(),
    },
    Difference {
        // As before. ppp splits a line into seven fields and looks for the LF among them.
        name: "anything goes behind UNKNOWN, many words too",
        applies: |case| {
            let words = case.input.iter().filter(|byte| **byte == b' ').count();
            is_unknown(case) && words > 4 && case.theirs == Verdict::Waits && is_whole_line(case)
        },
        witness: || b"PROXY UNKNOWN a b c d e f\r\n".to_vec(),
    },
];

fn is_line(case: &Case<'_>) -> bool {
    case.input.starts_with(b"PROXY")
}

fn is_unknown(case: &Case<'_>) -> bool {
    case.input.starts_with(b"PROXY UNKNOWN ")
}

/// Ours is all of the input, which ends in the first CRLF.
fn is_whole_line(case: &Case<'_>) -> bool {
    let end = case.input.windows(2).position(|two| two == b"\r\n").map(|at| at + 2);
    let Verdict::Whole(ours) = &case.ours else { return false };
    ours.addresses == Addresses::Unspec && ours.tlvs.is_empty() && end == Some(ours.len)
}

fn has_lone_cr(input: &[u8]) -> bool {
    let followed = |at: usize| input.get(at + 1) == Some(&b'\n');
    input.iter().enumerate().any(|(at, byte)| *byte == b'\r' && !followed(at))
}

/// What ppp looks at of a line: the first CR and one byte, all if there is none.
fn until_cr(input: &[u8]) -> &[u8] {
    let end = input.iter().position(|byte| *byte == b'\r').map_or(input.len(), |at| at + 2);
    &input[..end.min(input.len())]
}

/// How many bytes a header of version 2 has behind the first 16.
fn announced(input: &[u8]) -> Option<usize> {
    let len = input.starts_with(SIGNATURE).then(|| input.get(14..16))??;
    Some(usize::from(len[0]) << 8 | usize::from(len[1]))
}

/// Ours takes all that is announced, or waits for it, and makes nothing of it.
fn passed_over(case: &Case<'_>) -> bool {
    let Some(len) = announced(case.input).map(|len| 16 + len) else { return false };
    match &case.ours {
        Verdict::Whole(ours) => {
            let local = case.input[12] == 0x20;
            *ours == Said { len, local, addresses: Addresses::Unspec, tlvs: vec![] } && len <= case.input.len()
        }
        Verdict::Waits => len > case.input.len(),
        Verdict::Refuses => false,
    }
}

fn refused(case: &Case<'_>) -> bool {
    case.ours == Verdict::Refuses && matches!(case.theirs, Verdict::Whole(_))
}

/// The TLVs that ppp finds.
fn pieces_of(case: &Case<'_>) -> Vec<(u8, Vec<u8>)> {
    match HeaderResult::parse(case.input) {
        HeaderResult::V2(Ok(header)) => header.tlvs().flatten().map(|tlv| (tlv.kind, tlv.value.into_owned())).collect(),
        _ => vec![],
    }
}

/// Ours refuses what ppp takes, and one of the TLVs is so.
fn refused_for(case: &Case<'_>, is: impl Fn(&[u8], u8, &[u8]) -> bool) -> bool {
    refused(case) && pieces_of(case).iter().any(|(kind, value)| is(case.input, *kind, value))
}

/// Of the first checksum.
fn checksum_is_right(input: &[u8]) -> bool {
    let HeaderResult::V2(Ok(header)) = HeaderResult::parse(input) else { return false };
    let mut at = header.len() - header.tlv_bytes().len();
    for tlv in header.tlvs().flatten() {
        if tlv.kind == 0x03 && tlv.value.len() == 4 {
            let mut zeroed = header.as_bytes().to_vec();
            zeroed[at + 3..at + 7].fill(0);
            return tlv.value[..] == crc32c(&zeroed).to_be_bytes();
        }
        at += 3 + tlv.value.len();
    }
    false
}

fn ssl_is_right(value: &[u8]) -> bool {
    let Some(inner) = value.get(5..) else { return false };
    v2::TypeLengthValues::from(inner).all(|tlv| {
        tlv.is_ok_and(|tlv| match tlv.kind {
            0x22 => std::str::from_utf8(&tlv.value).is_ok(),
            0x21 | 0x23..=0x27 => tlv.value.is_ascii(),
            _ => true,
        })
    })
}
