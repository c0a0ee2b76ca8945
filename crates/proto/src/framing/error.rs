//! Why bytes are no frame, or a message fits into none.

use std::error::Error;
use std::fmt;

/// Why bytes are no frame, or why a message cannot be put into one.
///
/// What is wrong is told by the methods; the text is for people: match on nothing in it. Lengths in it are of messages,
/// in bytes. It shows nothing of what the peer sent, so it can go to a log as it is.
///
/// ```
/// use socketserver_proto::framing::{Framing, LengthPrefix, Scan};
///
/// let framing = LengthPrefix::u32_be().max(65536);
/// let error = framing.decode(&70000_u32.to_be_bytes(), &mut Scan::default()).unwrap_err();
/// assert!(error.is_too_long());
/// assert_eq!(error.to_string(), "a frame of 70000 bytes is longer than the limit of 65536");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TooLong {
        len: u64,
        limit: usize,
    },
    /// How long is not known: its end has not come.
    LongerThan {
        limit: usize,
    },
    Malformed(&'static str),
    NegativeLength(i32),
    ShortLength {
        length: u64,
        least: u64,
    },
    CutShort {
        after: usize,
    },
    Unencodable(&'static str),
    TooShort {
        len: usize,
        least: u64,
    },
    NotFixed {
        len: usize,
        fixed: usize,
    },
    DelimiterAt(usize),
}

impl FrameError {
    /// A message of `len` bytes where `limit` are the most. The constructors are for framings of one's own.
    #[must_use]
    pub const fn too_long(len: u64, limit: usize) -> Self {
        Self(Kind::TooLong { len, limit })
    }

    /// A message of which `limit` bytes, the most, have come, and no end of it.
    #[must_use]
    pub const fn longer_than(limit: usize) -> Self {
        Self(Kind::LongerThan { limit })
    }

    /// What came is no frame; `what` says why, as `the comma after the message is missing`.
    #[must_use]
    pub const fn malformed(what: &'static str) -> Self {
        Self(Kind::Malformed(what))
    }

    /// The input ended when `after` bytes of a frame had come.
    #[must_use]
    pub const fn cut_short(after: usize) -> Self {
        Self(Kind::CutShort { after })
    }

    /// A message that this framing cannot tell; `what` says why, as `a message that ends in CR would lose it`.
    #[must_use]
    pub const fn unencodable(what: &'static str) -> Self {
        Self(Kind::Unencodable(what))
    }

    pub(super) const fn negative_length(length: i32) -> Self {
        Self(Kind::NegativeLength(length))
    }

    /// A length field with `length`, where the shortest frame has `least` in it.
    pub(super) const fn short_length(length: u64, least: u64) -> Self {
        Self(Kind::ShortLength { length, least })
    }

    /// A message of `len` bytes, where the shortest that can be told has `least`.
    pub(super) const fn too_short(len: usize, least: u64) -> Self {
        Self(Kind::TooShort { len, least })
    }

    /// A message of `len` bytes, where each has `fixed`.
    pub(super) const fn not_fixed(len: usize, fixed: usize) -> Self {
        if len > fixed { Self::too_long(len as u64, fixed) } else { Self(Kind::NotFixed { len, fixed }) }
    }

    /// A message that would end at this byte of it.
    pub(super) const fn delimiter_at(at: usize) -> Self {
        Self(Kind::DelimiterAt(at))
    }

    /// A message is longer than the limit: one that came, or one that was to be sent.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.0, Kind::TooLong { .. } | Kind::LongerThan { .. })
    }

    /// What came is no frame: the peer is in error, or speaks something else.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        matches!(self.0, Kind::Malformed(_) | Kind::NegativeLength(_) | Kind::ShortLength { .. })
    }

    /// The input ended in the middle of a frame.
    #[must_use]
    pub const fn is_cut_short(&self) -> bool {
        matches!(self.0, Kind::CutShort { .. })
    }

    /// A message that was to be sent cannot be told in this framing; it is not too long.
    #[must_use]
    pub const fn is_unencodable(&self) -> bool {
        matches!(self.0, Kind::Unencodable(_) | Kind::TooShort { .. } | Kind::NotFixed { .. } | Kind::DelimiterAt(_))
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::TooLong { len, limit } => write!(f, "a frame of {len} bytes is longer than the limit of {limit}"),
            Kind::LongerThan { limit } => {
                write!(f, "a frame of more than {limit} bytes is longer than the limit of {limit}")
            }
            Kind::Malformed(what) | Kind::Unencodable(what) => f.write_str(what),
            Kind::NegativeLength(length) => write!(f, "a frame with a length of {length}, which is negative"),
            Kind::ShortLength { length, least } => {
                write!(f, "a frame with a length of {length}, where the shortest has {least}")
            }
            Kind::CutShort { after } => write!(f, "the input ended {after} bytes into a frame"),
            Kind::TooShort { len, least } => {
                write!(f, "a message of {len} bytes, where the shortest of this framing has {least}")
            }
            Kind::NotFixed { len, fixed } => write!(f, "a message of {len} bytes, where each has {fixed}"),
            Kind::DelimiterAt(at) => write!(f, "a message that would end after {at} bytes, where a delimiter is"),
        }
    }
}

impl Error for FrameError {}
