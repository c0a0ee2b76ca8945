//! Why bytes are no PROXY header, or a header cannot be written.

use std::error::Error;
use std::fmt;

/// Why bytes are no PROXY header, or why something cannot be said in one.
///
/// What is wrong is told by the methods, of which exactly one is true; the text is for people: match on nothing in it. It
/// names what is wrong and shows nothing of what the peer sent but numbers, so it can go to a log as it is.
///
/// ```
/// use socketserver_proto::proxy::Header;
///
/// let error = Header::parse(b"GET / HTTP/1.1\r\n").unwrap_err();
/// assert!(error.is_not_proxy());
/// assert_eq!(error.to_string(), "not a PROXY header");
///
/// let error = Header::parse(b"PROXY TCP4 192.0.2.07 192.0.2.1 56324 443\r\n").unwrap_err();
/// assert!(error.is_malformed());
/// assert_eq!(error.to_string(), "the source of a PROXY line for TCP4 is not an IPv4 address and one space");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyError(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotProxy,
    /// What is wrong, in words.
    Malformed(&'static str),
    Version(u8),
    Command(u8),
    ShortAddresses {
        len: usize,
        least: usize,
    },
    Tlv {
        kind: u8,
        what: &'static str,
    },
    Checksum,
    LineTooLong,
    TooLong {
        len: usize,
        max: usize,
    },
    CutShort {
        after: usize,
    },
    Unencodable(&'static str),
}

impl ProxyError {
    /// The input ended when `after` bytes of a header had come. Whoever reads knows it, and the parser cannot.
    ///
    /// ```
    /// use socketserver_proto::proxy::ProxyError;
    ///
    /// let error = ProxyError::cut_short(7);
    /// assert!(error.is_cut_short());
    /// assert_eq!(error.to_string(), "the input ended 7 bytes into a PROXY header");
    /// ```
    #[must_use]
    pub const fn cut_short(after: usize) -> Self {
        Self(Kind::CutShort { after })
    }

    pub(super) const fn not_proxy() -> Self {
        Self(Kind::NotProxy)
    }

    pub(super) const fn malformed(what: &'static str) -> Self {
        Self(Kind::Malformed(what))
    }

    pub(super) const fn version(version: u8) -> Self {
        Self(Kind::Version(version))
    }

    pub(super) const fn command(command: u8) -> Self {
        Self(Kind::Command(command))
    }

    /// `len` bytes where the addresses alone take `least`.
    pub(super) const fn short_addresses(len: usize, least: usize) -> Self {
        Self(Kind::ShortAddresses { len, least })
    }

    /// What is wrong with a TLV of this type, as `is longer than 128 bytes`.
    pub(super) const fn tlv(kind: u8, what: &'static str) -> Self {
        Self(Kind::Tlv { kind, what })
    }

    pub(super) const fn checksum() -> Self {
        Self(Kind::Checksum)
    }

    pub(super) const fn line_too_long() -> Self {
        Self(Kind::LineTooLong)
    }

    pub(super) const fn too_long(len: usize, max: usize) -> Self {
        Self(Kind::TooLong { len, max })
    }

    pub(super) const fn unencodable(what: &'static str) -> Self {
        Self(Kind::Unencodable(what))
    }

    /// The bytes begin no PROXY header: the peer speaks something else.
    #[must_use]
    pub const fn is_not_proxy(&self) -> bool {
        matches!(self.0, Kind::NotProxy)
    }

    /// A header, or a TLV that was to be put into one, that is not as the protocol says; also one of an unknown version or
    /// with an unknown command.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        matches!(
            self.0,
            Kind::Malformed(_) | Kind::Version(_) | Kind::Command(_) | Kind::ShortAddresses { .. } | Kind::Tlv { .. }
        )
    }

    /// The header is not the one that its checksum was made for.
    #[must_use]
    pub const fn is_bad_checksum(&self) -> bool {
        matches!(self.0, Kind::Checksum)
    }

    /// A header is longer than the limit: one that came, or one that was to be sent.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.0, Kind::LineTooLong | Kind::TooLong { .. })
    }

    /// The input ended before the header was whole.
    #[must_use]
    pub const fn is_cut_short(&self) -> bool {
        matches!(self.0, Kind::CutShort { .. })
    }

    /// What was to be sent cannot be said in such a header.
    #[must_use]
    pub const fn is_unencodable(&self) -> bool {
        matches!(self.0, Kind::Unencodable(_))
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::NotProxy => f.write_str("not a PROXY header"),
            Kind::Malformed(what) | Kind::Unencodable(what) => f.write_str(what),
            Kind::Version(version) => write!(f, "a binary PROXY header of version {version}, which is not 2"),
            Kind::Command(command) => write!(f, "a PROXY header with command {command}, which is neither 0 nor 1"),
            Kind::ShortAddresses { len, least } => {
                write!(f, "a PROXY header with {len} bytes for its addresses, which take {least}")
            }
            Kind::Tlv { kind, what } => write!(f, "TLV {kind:#04x} of a PROXY header {what}"),
            Kind::Checksum => f.write_str("a PROXY header that does not agree with its checksum"),
            Kind::LineTooLong => f.write_str("a PROXY line that does not end within 107 bytes"),
            Kind::TooLong { len, max } => write!(f, "a PROXY header of {len} bytes is longer than the limit of {max}"),
            Kind::CutShort { after: 0 } => f.write_str("the input ended before a PROXY header"),
            Kind::CutShort { after } => write!(f, "the input ended {after} bytes into a PROXY header"),
        }
    }
}

impl Error for ProxyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Header;

    #[test]
    fn what_is_wrong_is_said_with_its_numbers() {
        let said = |input: &[u8]| Header::parse(input).unwrap_err().to_string();
        let short = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x05";
        assert_eq!(said(short), "a PROXY header with 5 bytes for its addresses, which take 12");
        let long = format!("PROXY UNKNOWN {}", "x".repeat(100));
        assert_eq!(said(long.as_bytes()), "a PROXY line that does not end within 107 bytes");
        assert_eq!(ProxyError::cut_short(0).to_string(), "the input ended before a PROXY header");
        assert_eq!(ProxyError::cut_short(7).to_string(), "the input ended 7 bytes into a PROXY header");
    }
}
