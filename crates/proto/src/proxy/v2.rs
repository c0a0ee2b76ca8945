//! Version 2: binary.

use super::crc32c::crc32c;
use super::parse::{Parsed, agree};
use super::{Addresses, Command, Header, ProxyError, Version, tlv};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
pub(super) const HEAD: usize = 16;

const LOCAL: u8 = 0x0;
const PROXY: u8 = 0x1;

pub(super) fn parse(input: &[u8], max: usize) -> Result<Parsed, ProxyError> {
    if !agree(input, SIGNATURE) {
        return Err(ProxyError::not_proxy());
    }
    let command = match input.get(SIGNATURE.len()) {
        None => None,
        Some(byte) if byte >> 4 != 2 => return Err(ProxyError::version(byte >> 4)),
        Some(byte) => match byte & 0xF {
            LOCAL => Some(Command::Local),
            PROXY => Some(Command::Proxy),
            command => return Err(ProxyError::command(command)),
        },
    };
    let (Some(command), Some(&[family, high, low])) = (command, input[..].get(13..16).and_then(|b| b.first_chunk()))
    else {
        return Ok(Parsed::Incomplete { more: HEAD - input.len() });
    };
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let len = HEAD + announced;
    if len > max {
        return Err(ProxyError::too_long(len, max));
    }
    // The family of LOCAL means nothing, as its addresses.
    let least = if command == Command::Proxy { Addresses::len_of(family) } else { 0 };
    if announced < least {
        return Err(ProxyError::short_addresses(announced, least));
    }
    let Some(whole) = input.get(..len) else {
        return Ok(Parsed::Incomplete { more: len - input.len() });
    };
    // Of addresses that nobody knows it is not known where they end either.
    let tlvs = if least == 0 { Vec::new() } else { checked(whole, HEAD + least)? };
    let addresses = if least == 0 { Addresses::Unspec } else { Addresses::read(family, &whole[HEAD..]) };
    Ok(Parsed::Whole { header: Header::new(Version::V2, command, addresses, tlvs), len })
}

/// The TLVs of a header, which begin at this byte; the checksum, which is right, as zeros.
fn checked(whole: &[u8], from: usize) -> Result<Vec<u8>, ProxyError> {
    let mut tlvs = whole[from..].to_vec();
    if let Some(at) = tlv::check(&tlvs)? {
        let field = &mut tlvs[at..at + 4];
        let (before, after) = (&whole[..from + at], &whole[from + at + 4..]);
        if field != crc32c([before, &[0; 4], after]).to_be_bytes() {
            return Err(ProxyError::checksum());
        }
        field.fill(0);
    }
    Ok(tlvs)
}

/// The header as it is sent. The addresses are such as a header can have, and all fits in.
pub(super) fn encode(command: Command, addresses: &Addresses, tlvs: &[u8]) -> Vec<u8> {
    let announced = Addresses::len_of(addresses.family()) + tlvs.len();
    let mut out = Vec::with_capacity(HEAD + announced);
    out.extend(SIGNATURE);
    out.push(0x20 | if command == Command::Local { LOCAL } else { PROXY });
    out.push(addresses.family());
    out.extend((announced as u16).to_be_bytes());
    addresses.write(&mut out);
    let from = out.len();
    out.extend(tlvs);
    if let Ok(Some(at)) = tlv::check(tlvs) {
        let crc = crc32c([&out, &[], &[]]);
        out[from + at..][..4].copy_from_slice(&crc.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_MAX, Tlv};
    use super::*;

    /// A header with this version and command, family and rest.
    fn header(ver_cmd: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[ver_cmd, family][..], &len, rest].concat()
    }

    fn parsed(input: &[u8]) -> Result<Parsed, ProxyError> {
        parse(input, DEFAULT_MAX)
    }

    /// The header, which is all of the input.
    #[track_caller]
    fn whole(input: &[u8]) -> Header {
        match parsed(&[input, b"\r\n\r\n\0rest"].concat()) {
            Ok(Parsed::Whole { header, len }) if len == input.len() => header,
            other => panic!("{other:?}"),
        }
    }

    const V4: &[u8] = &[192, 0, 2, 7, 192, 0, 2, 1, 0xDC, 0x04, 0x01, 0xBB];

    #[test]
    fn all_families() {
        let v4 = ("192.0.2.7:56324".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        let v6 = ("[2001:db8::7]:56324".parse().unwrap(), "[::ffff:192.0.2.1]:443".parse().unwrap());
        let v6_block = [
            b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07".as_slice(),
            b"\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\x02\x01",
            b"\xDC\x04\x01\xBB",
        ]
        .concat();
        let mut unix_block = [0; 216];
        unix_block[1..4].copy_from_slice(b"app");
        unix_block[108..112].copy_from_slice(b"/a/b");
        let source = Some(crate::UnixName::Abstract(b"app".to_vec()));
        let destination = Some(crate::UnixName::Path("/a/b".into()));
        let cases = [
            (0x11, V4, Addresses::tcp(v4.0, v4.1).unwrap()),
            (0x12, V4, Addresses::udp(v4.0, v4.1).unwrap()),
            (0x21, &v6_block, Addresses::tcp(v6.0, v6.1).unwrap()),
            (0x22, &v6_block, Addresses::udp(v6.0, v6.1).unwrap()),
            (0x31, &unix_block, Addresses::UnixStream { source: source.clone(), destination: destination.clone() }),
            (0x32, &unix_block, Addresses::UnixDgram { source, destination }),
            (0x00, b"", Addresses::Unspec),
        ];
        for (family, block, addresses) in cases {
            let bytes = header(0x21, family, block);
            let read = whole(&bytes);
            assert_eq!(*read.addresses(), addresses);
            assert_eq!((read.version(), read.command()), (Version::V2, Command::Proxy));
            assert_eq!(read.encode_v2(), bytes);
        }
    }

    #[test]
    fn what_has_no_addresses_is_passed_over() {
        let tlvs_or_not: [&[u8]; 4] = [b"", b"\x01\0\x02h2", b"\x01", &[0xFF; 300]];
        for rest in tlvs_or_not {
            // LOCAL, whatever the family is.
            for family in [0x00, 0x11, 0x21, 0x32, 0x47, 0xFF] {
                let read = whole(&header(0x20, family, rest));
                assert_eq!((read.command(), read.addresses()), (Command::Local, &Addresses::Unspec));
                assert_eq!(read.tlvs().count(), 0);
            }
            // Families and transports that are told not to be told, and those that nobody has assigned.
            for family in [0x00, 0x01, 0x02, 0x10, 0x20, 0x30, 0x13, 0x1F, 0x40, 0x41, 0xFF] {
                let read = whole(&header(0x21, family, rest));
                assert_eq!((read.command(), read.addresses()), (Command::Proxy, &Addresses::Unspec));
                assert_eq!(read.tlvs().count(), 0);
            }
        }
        assert_eq!(Header::local().encode_v2(), header(0x20, 0x00, b""));
        assert_eq!(whole(&Header::local().encode_v2()), Header::local());
    }

    #[test]
    fn it_is_refused_at_the_byte_that_is_wrong() {
        let right = header(0x21, 0x11, V4);
        for at in 1..12 {
            let mut wrong = right[..=at].to_vec();
            wrong[at] ^= 0x20;
            assert_eq!(parsed(&wrong), Err(ProxyError::not_proxy()));
            assert_eq!(parsed(&wrong[..at]), Ok(Parsed::Incomplete { more: 16 - at }));
        }
        for version in [0x0, 0x1, 0x3, 0xF] {
            let mut wrong = right[..13].to_vec();
            wrong[12] = version << 4 | 1;
            assert_eq!(parsed(&wrong), Err(ProxyError::version(version)));
        }
        for command in 2..16 {
            let mut wrong = right[..13].to_vec();
            wrong[12] = 0x20 | command;
            assert_eq!(parsed(&wrong), Err(ProxyError::command(command)));
        }
        for len in 13..16 {
            assert_eq!(parsed(&right[..len]), Ok(Parsed::Incomplete { more: 16 - len }));
        }
        for (family, least) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)] {
            let mut short = header(0x21, family, &vec![0; least - 1]);
            short.truncate(16);
            assert_eq!(parsed(&short), Err(ProxyError::short_addresses(least - 1, least)));
        }
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let announces = |len: u16| [&SIGNATURE[..], &[0x21, 0x00], &len.to_be_bytes()].concat();
        assert_eq!(parsed(&announces(4096)), Ok(Parsed::Incomplete { more: 4096 }));
        assert_eq!(parsed(&announces(4097)), Err(ProxyError::too_long(4113, 4112)));
        assert_eq!(parse(&announces(u16::MAX), usize::MAX), Ok(Parsed::Incomplete { more: 65535 }));
        assert_eq!(parse(&announces(0), 16), Ok(whole_of(&announces(0))));
        assert_eq!(parse(&announces(0), 15), Err(ProxyError::too_long(16, 15)));
        let error = parsed(&announces(5000)).unwrap_err();
        assert!(error.is_too_long());
        assert_eq!(error.to_string(), "a PROXY header of 5016 bytes is longer than the limit of 4112");
    }

    fn whole_of(input: &[u8]) -> Parsed {
        Parsed::Whole { header: whole(input), len: input.len() }
    }

    #[test]
    fn a_checksum_has_to_be_right() {
        // Reckoned by another program.
        let tlvs = b"\x04\0\x01\xAA\x03\0\x04\0\0\0\0\x01\0\x02h2";
        let mut bytes = header(0x21, 0x11, &[V4, tlvs].concat());
        assert_eq!(parsed(&bytes), Err(ProxyError::checksum()));
        bytes[35..39].copy_from_slice(&CRC.to_be_bytes());
        let read = whole(&bytes);
        assert_eq!(read.tlvs().collect::<Vec<_>>(), [Tlv::Noop(b"\xAA"), Tlv::Crc32c, Tlv::Alpn(b"h2")]);
        assert_eq!(read.encode_v2(), bytes);
        // Only what says that it is one is not covered.
        for bit in (16 * 8..bytes.len() * 8).filter(|bit| bit / 8 != 32) {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let error = parsed(&wrong).unwrap_err();
            assert!(error.is_bad_checksum() || error.is_malformed(), "bit {bit}: {error}");
        }
        // It is another one when there is more.
        let more = read.with(Tlv::UniqueId(b"7")).unwrap();
        assert_eq!(whole(&more.encode_v2()), more);
    }

    const CRC: u32 = 0xB55A_E76F;

    #[test]
    fn a_tlv_has_to_be_right() {
        let cases: [&[u8]; 4] = [b"\x01", b"\x01\0\x01", b"\x05\0\x81", b"\x03\0\x04abcd\x03\0\x04abcd"];
        for tlvs in cases {
            let bytes = header(0x21, 0x11, &[V4, tlvs].concat());
            assert!(parsed(&bytes).unwrap_err().is_malformed(), "{tlvs:?}");
        }
    }
}
