//! The PROXY protocol: right headers and headers with a byte that is not, in whatever pieces; another crate's opinion of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agreement;
mod generate;
mod holds;

use agreement::{DIFFERENCES, differences};
use holds::{holds, sent_comes_back};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use socketserver_proto::UnixName;
use socketserver_proto::proxy::{Addresses, Command, Header, Parsed, Ssl, SslTlv, Tlv, Version};
use std::net::{SocketAddrV4, SocketAddrV6};

/// Of a right header, another byte in place of one of it.
fn mutated(header: &[u8], at: Index, byte: u8) -> Vec<u8> {
    let at = at.index(header.len());
    let mut mutated = header.to_vec();
    // Some bytes mean more than others.
    let meant = b" \r\n+0:./\0\xFF\x01\x20\x03".get(usize::from(byte % 40)).copied();
    mutated[at] = meant.filter(|byte| *byte != header[at]).unwrap_or(header[at] ^ byte.max(1));
    assert_ne!(mutated, header);
    mutated
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn another_parser_agrees(header in generate::header(), at in any::<Index>(), byte in any::<u8>()) {
        differences(&header);
        differences(&mutated(&header, at, byte));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_right_header_is_read_in_whatever_pieces(header in generate::header(), behind in vec(any::<u8>(), 0..40)) {
        let (_, len) = holds(&[&header[..], &behind].concat()).unwrap().unwrap();
        prop_assert_eq!(len, header.len());
    }

    #[test]
    fn a_wrong_byte_is_told_in_whatever_pieces(
        header in generate::header(),
        at in any::<Index>(),
        byte in any::<u8>(),
        behind in vec(any::<u8>(), 0..40),
    ) {
        let _ = holds(&[&mutated(&header, at, byte)[..], &behind].concat());
    }

    #[test]
    fn what_is_sent_is_what_is_read(header in to_send()) {
        sent_comes_back(&header);
        let sent = header.encode_v2();
        // A header that was made says that it is of version 2, and so equals what is read.
        prop_assert_eq!(Header::parse_within(&sent, usize::MAX), Ok(Parsed::Whole { header: header.clone(), len: sent.len() }));
        prop_assert!(sent.len() > 4112 || differences(&sent).is_empty(), "{:?}", differences(&sent));
        if let Ok(line) = header.encode_v1() {
            prop_assert!(differences(&line).is_empty());
            let Ok(Parsed::Whole { header: read, len }) = Header::parse(&line) else { panic!("{header:?}") };
            prop_assert_eq!((read.version(), read.command(), len), (Version::V1, Command::Proxy, line.len()));
            prop_assert_eq!(read.addresses(), header.addresses());
        }
    }
}

#[test]
fn each_difference_is_one() {
    for difference in DIFFERENCES {
        let names = differences(&(difference.witness)());
        assert!(names.contains(&difference.name), "no difference any more: {}", difference.name);
    }
}

/// A header as whoever connects makes it.
fn to_send() -> impl Strategy<Value = Header> {
    let v4 = any::<SocketAddrV4>();
    let v6 = any::<SocketAddrV6>();
    let name = proptest::option::of(prop_oneof![
        "/[a-z/]{0,40}|[a-z]{1,108}".prop_map(|path| UnixName::Path(path.into())),
        (vec(any::<u8>(), 0..107), 1..=255_u8)
            .prop_map(|(name, last)| UnixName::Abstract([&name[..], &[last]].concat())),
    ]);
    let addresses = prop_oneof![
        2 => (v4.clone(), v4.clone()).prop_map(|(source, destination)| Addresses::Tcp4 { source, destination }),
        2 => (v6.clone(), v6.clone()).prop_map(|(source, destination)| Addresses::Tcp6 { source, destination }),
        1 => (v4.clone(), v4).prop_map(|(source, destination)| Addresses::Udp4 { source, destination }),
        1 => (v6.clone(), v6).prop_map(|(source, destination)| Addresses::Udp6 { source, destination }),
        1 => (name.clone(), name.clone()).prop_map(|(source, destination)| Addresses::UnixStream { source, destination }),
        1 => (name.clone(), name).prop_map(|(source, destination)| Addresses::UnixDgram { source, destination }),
    ];
    let empty = prop_oneof![Just(Header::local()), Just(Header::between(Addresses::Unspec).unwrap())];
    let full =
        (addresses, vec((any::<u8>(), ".{0,20}", vec(any::<u8>(), 0..100)), 0..5)).prop_map(|(addresses, tlvs)| {
            let header = Header::between(addresses).unwrap();
            tlvs.into_iter().fold(header, |header, (kind, text, bytes)| {
                let ascii: String = text.chars().filter(char::is_ascii).collect();
                let tlv = match kind % 8 {
                    0 => Tlv::Alpn(&bytes),
                    1 => Tlv::Authority(&text),
                    2 => Tlv::Crc32c,
                    3 => Tlv::Noop(&bytes),
                    4 => Tlv::UniqueId(&bytes),
                    5 => {
                        let told = [SslTlv::Version(&ascii), SslTlv::CommonName(&text), SslTlv::Certificate(&bytes)];
                        let ssl = Ssl::new().client_bits(kind).verify_result(u32::from(kind) << 20);
                        Tlv::Ssl(told.into_iter().fold(ssl, |ssl, tlv| ssl.with(tlv).unwrap()))
                    }
                    6 => Tlv::Netns(&ascii),
                    _ => Tlv::Other { kind: kind | 0xE0, value: &bytes },
                };
                match (header.clone().with(tlv.clone()), tlv) {
                    (Ok(header), _) => header,
                    // It is the second.
                    (Err(_), Tlv::Crc32c) => header,
                    (Err(error), tlv) => panic!("{error}: {tlv:?}"),
                }
            })
        });
    prop_oneof![1 => empty, 9 => full]
}
