//! Any of the framings, chosen while the program runs.

use super::{Delimiter, Fixed, FrameError, Framing, LengthPrefix, Line, Netstring, Scan, Step, Varint};
use std::ops::Range;

/// Any of the framings, as a string that a person can type.
///
/// | text | framing |
/// |---|---|
/// | `line`, `crlf` | [`Line`]; LF is written, or CRLF |
/// | `u8`, `u16be`, `u16le`, `u16ne`, and so `u24…`, `u32…`, `u64…`, `i32…` | [`LengthPrefix`] |
/// | `delimiter=\r\n\r\n` | [`Delimiter`] |
/// | `fixed=16` | [`Fixed`] |
/// | `netstring` | [`Netstring`] |
/// | `varint` | [`Varint`] |
///
/// Options follow, with commas between them, as in `u32be,max=10k,inclusive`:
///
/// | option | of | meaning |
/// |---|---|---|
/// | `max=10k` | all but `fixed` | the longest message, in bytes; a `k` is for thousands |
/// | `skip-oversized` | all but `fixed` | what is longer is passed over, in place of an error |
/// | `offset=2`, `header=\xca\xfe`, `adjustment=-2`, `strip=0`, `inclusive` | lengths | those of [`LengthPrefix`] |
/// | `or=\n` | `delimiter` | another delimiter, as often as needed |
///
/// Bytes are typed as they are, with `\r`, `\n`, `\t`, `\0`, `\\` and `\x1f` for those that cannot be; a comma is `\x2c`.
///
/// It is parsed by [`str::parse`] and printed by [`Display`](std::fmt::Display). What is printed gives the same framing when
/// it is parsed again, without what is so anyway; `u32ne` prints as `u32le` or `u32be`, which it is.
///
/// ```
/// use socketserver_proto::framing::{AnyFraming, Framing, LengthPrefix};
///
/// let framing: AnyFraming = "u32be,max=10k,inclusive".parse()?;
/// assert_eq!(framing, LengthPrefix::u32_be().max(10_000).inclusive().into());
/// assert_eq!(framing.to_string(), "u32be,inclusive,max=10k");
/// let mut out = Vec::new();
/// framing.encode(b"hello", &mut out)?;
/// assert_eq!(out, b"\0\0\0\x09hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyFraming {
    /// A length, then the message.
    LengthPrefix(LengthPrefix),
    /// A line a message.
    Line(Line),
    /// The message, then a delimiter.
    Delimiter(Delimiter),
    /// Messages of one length.
    Fixed(Fixed),
    /// Netstrings.
    Netstring(Netstring),
    /// A varint, then the message.
    Varint(Varint),
}

macro_rules! each {
    ($self:expr, $framing:ident => $then:expr) => {
        match $self {
            AnyFraming::LengthPrefix($framing) => $then,
            AnyFraming::Line($framing) => $then,
            AnyFraming::Delimiter($framing) => $then,
            AnyFraming::Fixed($framing) => $then,
            AnyFraming::Netstring($framing) => $then,
            AnyFraming::Varint($framing) => $then,
        }
    };
}

impl Framing for AnyFraming {
    #[inline]
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        each!(self, framing => framing.decode(input, scan))
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        each!(self, framing => framing.encode(message, out))
    }

    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        each!(self, framing => framing.finish(rest, scan))
    }

    fn max_message(&self) -> usize {
        each!(self, framing => framing.max_message())
    }
}

macro_rules! from {
    ($($framing:ident)*) => {$(
        impl From<$framing> for AnyFraming {
            fn from(framing: $framing) -> Self {
                Self::$framing(framing)
            }
        }
    )*};
}

from!(LengthPrefix Line Delimiter Fixed Netstring Varint);
