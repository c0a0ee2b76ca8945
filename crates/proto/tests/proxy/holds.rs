//! What has to hold of whatever stands at the front of a stream. The fuzz target uses it too.

use socketserver_proto::proxy::{DEFAULT_MAX, Header, Parsed, ProxyError, Tlv};

/// The longest line of version 1.
const LONGEST_LINE: usize = 107;

/// The header at the front of `input` and its length, `None` if it is not whole. However the input comes in pieces, it is the
/// same; nothing is asked for that is not the header's; and what was read can be sent.
pub(crate) fn holds(input: &[u8]) -> Result<Option<(Header, usize)>, ProxyError> {
    let outcome = Header::parse(input);
    match &outcome {
        Ok(Parsed::Whole { header, len }) => {
            assert!(*len <= input.len(), "{len} of {} bytes", input.len());
            for cut in 0..*len {
                match Header::parse(&input[..cut]) {
                    Ok(Parsed::Incomplete { more }) => {
                        assert!(more >= 1 && cut + more <= *len, "{more} more bytes after {cut} of {len}");
                    }
                    other => panic!("{other:?} after {cut} of {len} bytes"),
                }
            }
            for cut in *len..input.len() {
                assert_eq!(Header::parse(&input[..cut]), outcome, "with {} bytes behind it", cut - len);
            }
            assert_eq!(read_exactly(input), *len);
            sent_comes_back(header);
            // A second one, or one where there is nothing to put it behind, is refused.
            if let Ok(summed) = header.clone().with(Tlv::Crc32c) {
                sent_comes_back(&summed);
            }
        }
        Ok(Parsed::Incomplete { more }) => {
            assert!(input.len() < bound(input) && (1..=bound(input) - input.len()).contains(more));
            for cut in 0..input.len() {
                match Header::parse(&input[..cut]) {
                    Ok(Parsed::Incomplete { more }) => assert!(more >= 1 && cut + more <= bound(input)),
                    other => panic!("{other:?} after {cut} bytes, and then it was not whole"),
                }
            }
        }
        Err(error) => {
            let kinds = [
                error.is_not_proxy(),
                error.is_malformed(),
                error.is_bad_checksum(),
                error.is_too_long(),
                error.is_cut_short(),
                error.is_unencodable(),
            ];
            assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{error}");
            assert!(!error.is_cut_short() && !error.is_unencodable(), "{error}");
            let text = error.to_string();
            assert!(text.len() < 120 && !text.contains(|c: char| c.is_control()), "{text}");
            // It is told once, and stays so.
            let mut refused = false;
            for cut in 0..input.len() {
                match Header::parse(&input[..cut]) {
                    Ok(Parsed::Incomplete { more }) => assert!(!refused && more >= 1 && cut + more <= bound(input)),
                    Err(early) => {
                        assert_eq!(early, *error, "after {cut} bytes");
                        refused = true;
                    }
                    whole => panic!("{whole:?} after {cut} bytes, and then {error}"),
                }
            }
        }
    }
    outcome.map(|parsed| match parsed {
        Parsed::Whole { header, len } => Some((header, len)),
        Parsed::Incomplete { .. } => None,
    })
}

/// How long a header that begins so can be.
fn bound(input: &[u8]) -> usize {
    if input.first() == Some(&b'P') { LONGEST_LINE } else { DEFAULT_MAX }
}

/// Reads what is asked for and no more, and returns how much that was.
fn read_exactly(input: &[u8]) -> usize {
    let mut read = 0;
    loop {
        match Header::parse(&input[..read]) {
            Ok(Parsed::Incomplete { more }) => read += more,
            Ok(Parsed::Whole { len, .. }) => break assert_eq!(read, len),
            Err(error) => panic!("{error} after {read} bytes"),
        }
    }
    read
}

/// What is sent is what is read, in each version that can say it.
pub(crate) fn sent_comes_back(header: &Header) {
    let says = |bytes: &[u8]| match Header::parse_within(bytes, usize::MAX) {
        Ok(Parsed::Whole { header: read, len }) => {
            assert_eq!(len, bytes.len());
            assert_eq!((read.command(), read.addresses()), (header.command(), header.addresses()));
            assert!(read.tlvs().eq(header.tlvs()), "{read:?} and {header:?}");
            read
        }
        other => panic!("{other:?}, and sent was {header:?}"),
    };
    let bytes = header.encode_v2();
    assert_eq!(says(&bytes).encode_v2(), bytes);
    if let Ok(line) = header.encode_v1() {
        assert_eq!(says(&line).encode_v1().as_deref(), Ok(&line[..]));
    }
}
