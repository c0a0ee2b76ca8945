//! What a header of version 2 has behind its addresses: a type, a length, a value, again and again.

use super::{ProxyError, Ssl};
use std::borrow::Cow;
use std::iter::FusedIterator;

/// Type and length.
pub(super) const HEAD: usize = 3;

pub(super) const CRC32C: u8 = 0x03;

/// The longest value of `PP2_TYPE_UNIQUE_ID`, in bytes.
const MAX_UNIQUE_ID: usize = 128;

/// Something that a proxy tells about a connection beside its addresses; the [module](super) has the table.
///
/// Those that came are in [`Header::tlvs`](super::Header::tlvs), those to be sent go into
/// [`Header::with`](super::Header::with).
///
/// ```
/// use socketserver_proto::proxy::{Header, Tlv};
///
/// let header = Header::proxied("192.0.2.7:56324".parse()?, "192.0.2.1:443".parse()?)?
///     .with(Tlv::Authority("example.org"))?
///     .with(Tlv::Other { kind: Tlv::AWS, value: b"\x01vpce-0123" })?;
/// let kinds: Vec<u8> = header.tlvs().map(|tlv| tlv.kind()).collect();
/// assert_eq!(kinds, [0x02, 0xEA]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tlv<'a> {
    /// The protocol on the connection, as ALPN (RFC 7301) names it: `h2`.
    Alpn(&'a [u8]),
    /// The name of the host that the client asked for, as TLS' SNI (RFC 6066, section 3) has it.
    Authority(&'a str),
    /// The header has a checksum, and it was right. To send one, put this in: what it has to be is reckoned when the header
    /// is written.
    Crc32c,
    /// Padding. It says nothing.
    Noop(&'a [u8]),
    /// What the proxy calls this connection: at most 128 bytes.
    UniqueId(&'a [u8]),
    /// TLS between the client and the proxy.
    Ssl(Ssl<'a>),
    /// The name of the network namespace that the proxy took the connection in.
    Netns(&'a str),
    /// Any other.
    Other {
        /// Its type: 0xE0 to 0xEF are free for applications, 0xF0 to 0xF7 for experiments, the rest is reserved.
        kind: u8,
        /// Its value, as it came.
        value: &'a [u8],
    },
}

impl<'a> Tlv<'a> {
    /// The type that Google Cloud puts its own into.
    pub const GCP: u8 = 0xE0;
    /// The type that Amazon Web Services put theirs into: a subtype of one byte, 1 for the ID of the VPC endpoint, and text.
    pub const AWS: u8 = 0xEA;
    /// The type that Azure puts its own into: a subtype of one byte, 1 for the LINKID of the private endpoint, and 4 bytes,
    /// the least significant first.
    pub const AZURE: u8 = 0xEE;

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Alpn(_) => 0x01,
            Self::Authority(_) => 0x02,
            Self::Crc32c => CRC32C,
            Self::Noop(_) => 0x04,
            Self::UniqueId(_) => 0x05,
            Self::Ssl(_) => 0x20,
            Self::Netns(_) => 0x30,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// What its value says. Of a checksum it says nothing but that it has its length.
    pub(super) fn read(kind: u8, value: &'a [u8]) -> Result<Self, ProxyError> {
        Ok(match kind {
            0x01 => Self::Alpn(value),
            0x02 => Self::Authority(utf8(kind, value)?),
            CRC32C if value.len() == 4 => Self::Crc32c,
            CRC32C => return Err(ProxyError::tlv(kind, "is a checksum of other than 4 bytes")),
            0x04 => Self::Noop(value),
            0x05 if value.len() > MAX_UNIQUE_ID => return Err(ProxyError::tlv(kind, "is longer than 128 bytes")),
            0x05 => Self::UniqueId(value),
            0x20 => Self::Ssl(Ssl::read(value)?),
            0x30 => Self::Netns(ascii(kind, value)?),
            _ => Self::Other { kind, value },
        })
    }

    /// Its value as it is kept, a checksum as zeros.
    pub(super) fn value(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Crc32c => Cow::Borrowed(&[0; 4]),
            Self::Authority(text) | Self::Netns(text) => Cow::Borrowed(text.as_bytes()),
            // Whatever it says, it is reckoned when it is written.
            Self::Other { kind: CRC32C, value } if value.len() == 4 => Cow::Borrowed(&[0; 4]),
            Self::Alpn(value) | Self::Noop(value) | Self::UniqueId(value) | Self::Other { value, .. } => {
                Cow::Borrowed(value)
            }
            Self::Ssl(ssl) => Cow::Owned(ssl.value()),
        }
    }
}

/// The TLVs of a header, in their order; [`Header::tlvs`](super::Header::tlvs).
///
/// ```
/// use socketserver_proto::proxy::{Header, Tlv};
///
/// let header = Header::proxied("192.0.2.7:1".parse()?, "192.0.2.1:2".parse()?)?.with(Tlv::Alpn(b"h2"))?;
/// assert_eq!(header.tlvs().next(), Some(Tlv::Alpn(b"h2")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tlvs<'a>(Pieces<'a>);

impl<'a> Tlvs<'a> {
    /// Of bytes that were checked.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(Pieces(bytes))
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value) = self.0.next()?.ok()?;
        Tlv::read(kind, value).ok()
    }
}

impl FusedIterator for Tlvs<'_> {}

/// Type and value of each, until the bytes are at an end or are none.
#[derive(Debug, Clone)]
pub(super) struct Pieces<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<(u8, &'a [u8]), ProxyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, high, low, rest) = match *std::mem::take(&mut self.0) {
            [] => return None,
            [kind, high, low, ref rest @ ..] => (kind, high, low, rest),
            [kind, ..] => return Some(Err(ProxyError::tlv(kind, "has no length"))),
        };
        let Some((value, rest)) = rest.split_at_checked(u16::from_be_bytes([high, low]).into()) else {
            return Some(Err(ProxyError::tlv(kind, "is longer than what is left of it")));
        };
        self.0 = rest;
        Some(Ok((kind, value)))
    }
}

/// Checks them all, and tells where the value of the checksum begins if there is one.
pub(super) fn check(bytes: &[u8]) -> Result<Option<usize>, ProxyError> {
    let (mut at, mut checksum) = (0, None);
    for piece in Pieces(bytes) {
        let (kind, value) = piece?;
        // Of two, neither could be reckoned without the other.
        if Tlv::read(kind, value)? == Tlv::Crc32c && checksum.replace(at + HEAD).is_some() {
            return Err(ProxyError::tlv(kind, "is there twice"));
        }
        at += HEAD + value.len();
    }
    Ok(checksum)
}

/// Appends one.
///
/// # Errors
///
/// Its length cannot be said in two bytes.
pub(super) fn write(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), ProxyError> {
    let Ok(len) = u16::try_from(value.len()) else {
        return Err(ProxyError::tlv(kind, "is longer than 65535 bytes"));
    };
    out.push(kind);
    out.extend(len.to_be_bytes());
    out.extend(value);
    Ok(())
}

pub(super) fn utf8(kind: u8, value: &[u8]) -> Result<&str, ProxyError> {
    std::str::from_utf8(value).map_err(|_| ProxyError::tlv(kind, "is not UTF-8"))
}

pub(super) fn ascii(kind: u8, value: &[u8]) -> Result<&str, ProxyError> {
    if !value.is_ascii() {
        return Err(ProxyError::tlv(kind, "is not ASCII"));
    }
    utf8(kind, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(bytes: &[u8]) -> Result<Vec<u8>, String> {
        check(bytes).map_err(|error| error.to_string())?;
        Ok(Tlvs::of(bytes).map(|tlv| tlv.kind()).collect())
    }

    #[test]
    fn right_ones() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"", &[]),
            (b"\x01\0\x02h2\x02\0\x01x\x03\0\x04abcd\x04\0\0", &[1, 2, 3, 4]),
            (b"\x05\0\0\x30\0\x03a/b", &[0x05, 0x30]),
            (b"\x20\0\x05\x01\0\0\0\0", &[0x20]),
            (b"\xE0\0\0\xEA\0\0\xEE\0\0\xF0\0\0\xFF\0\0\0\0\0\x21\0\x01\xFF", &[0xE0, 0xEA, 0xEE, 0xF0, 0xFF, 0, 0x21]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(kinds(bytes), Ok(expected.to_vec()), "{bytes:?}");
        }
        assert_eq!(kinds(&[&b"\x05\0\x80"[..], &[7; 128]].concat()), Ok(vec![5]));
    }

    #[test]
    fn wrong_ones() {
        let too_long = [&b"\x05\0\x81"[..], &[7; 129]].concat();
        let cases: [(&[u8], &str); 13] = [
            (b"\x01", "TLV 0x01 of a PROXY header has no length"),
            (b"\x01\0", "has no length"),
            (b"\xE0\0\0\x01\0", "TLV 0x01 of a PROXY header has no length"),
            (b"\xE0\0\x01", "TLV 0xe0 of a PROXY header is longer than what is left"),
            (b"\xE0\xFF\xFFxyz", "longer than what is left"),
            (b"\x02\0\x01\xFF", "UTF-8"),
            (b"\x03\0\x03abc", "other than 4 bytes"),
            (b"\x03\0\x05abcde", "other than 4 bytes"),
            (b"\x03\0\x04abcd\x03\0\x04abcd", "TLV 0x03 of a PROXY header is there twice"),
            (&too_long, "128 bytes"),
            (b"\x20\0\x04\x01\0\0\0", "TLV 0x20"),
            (b"\x20\0\x06\x01\0\0\0\0\x21", "TLV 0x21 of a PROXY header has no length"),
            (b"\x30\0\x02\xC3\xA9", "ASCII"),
        ];
        for (bytes, words) in cases {
            let error = kinds(bytes).unwrap_err();
            assert!(error.contains(words), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let bytes = b"\x01\0\x02h2\x02\0\x01x\x03\0\x04\0\0\0\0\x04\0\x01\0\x05\0\x01\xFF\
            \x20\0\x0C\x01\0\0\0\0\x21\0\x04TLSv\x30\0\x01n\xE0\0\x01\xFF";
        let mut written = Vec::new();
        for tlv in Tlvs::of(bytes) {
            write(tlv.kind(), &tlv.value(), &mut written).unwrap();
        }
        assert_eq!(written, bytes);
        assert!(write(0xE0, &vec![0; 65_536], &mut written).unwrap_err().is_malformed());
        assert_eq!(written, bytes);
    }
}
