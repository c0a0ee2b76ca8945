//! Messages with their length before them.

use super::length_field::Field;
use super::length_parameters::{Bounds, Parameters};
use super::{FrameError, Framing, Scan, Step};

/// The length, then the message.
///
/// The length is an integer of 1, 2, 3, 4 or 8 bytes, in network byte order (`_be`), in the other one (`_le`) or in that of
/// this machine (`_ne`); `i32_*` is the `int` of a program in C, of which a negative one is an error. What it counts and
/// what stands around it is told by parameters, those of Netty's `LengthFieldBasedFrameDecoder`:
///
/// - [`offset`](Self::offset): how many bytes stand before the length field (none);
/// - [`adjustment`](Self::adjustment): what is to be added to the length to get the number of bytes after its field (0);
///   [`inclusive`](Self::inclusive) is that of a length that counts the whole frame;
/// - [`strip`](Self::strip): how many bytes at the front of the frame are not part of the message (all up to the end of the
///   length field; in Netty none).
///
/// A message has at most [`max`](Self::max) bytes, 1 MiB unless told otherwise, and no more than the length field can tell.
/// A length that cannot be, since the frame would be shorter than what stands before its message, is an error.
///
/// Sending is the same backwards: see [`strip`](Self::strip) for messages that hold their own header.
///
/// ```
/// use socketserver_proto::framing::{Framing, LengthPrefix, Scan, Step};
///
/// let framing = LengthPrefix::u16_be();
/// let mut out = Vec::new();
/// framing.encode(b"HELLO, WORLD", &mut out)?;
/// assert_eq!(out, b"\x00\x0cHELLO, WORLD");
/// assert_eq!(framing.decode(&out, &mut Scan::default())?, Step::Message { body: 2..14, len: 14 });
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
///
/// # Frames and their messages
///
/// The left side is what is on the wire, the right side what a handler is given; `12` and its like stand for a number.
/// Each goes the other way as well.
///
/// ```
/// use socketserver_proto::framing::{Framing, LengthPrefix, Scan, Step};
///
/// fn same(framing: LengthPrefix, frame: &[u8], message: &[u8]) {
///     let Ok(Step::Message { body, len }) = framing.decode(frame, &mut Scan::default()) else { panic!("no message") };
///     assert_eq!((&frame[body], len), (message, frame.len()));
///     let mut out = Vec::new();
///     framing.encode(message, &mut out).unwrap();
///     assert_eq!(out, frame);
/// }
///
/// //  2 bytes  12 bytes             12 bytes
/// // +--------+--------------+     +--------------+
/// // |   12   | HELLO, WORLD | --> | HELLO, WORLD |
/// // +--------+--------------+     +--------------+
/// same(LengthPrefix::u16_be(), b"\x00\x0cHELLO, WORLD", b"HELLO, WORLD");
///
/// // The message is the whole frame.
/// //  2 bytes  12 bytes             2 bytes  12 bytes
/// // +--------+--------------+     +--------+--------------+
/// // |   12   | HELLO, WORLD | --> |   12   | HELLO, WORLD |
/// // +--------+--------------+     +--------+--------------+
/// same(LengthPrefix::u16_be().strip(0), b"\x00\x0cHELLO, WORLD", b"\x00\x0cHELLO, WORLD");
///
/// // The length counts itself: 14 = 2 + 12. It is the same as `adjustment(-2)`.
/// //  2 bytes  12 bytes             12 bytes
/// // +--------+--------------+     +--------------+
/// // |   14   | HELLO, WORLD | --> | HELLO, WORLD |
/// // +--------+--------------+     +--------------+
/// same(LengthPrefix::u16_be().inclusive(), b"\x00\x0eHELLO, WORLD", b"HELLO, WORLD");
/// same(LengthPrefix::u16_be().adjustment(-2), b"\x00\x0eHELLO, WORLD", b"HELLO, WORLD");
///
/// // Something stands before the length and belongs to the message.
/// //  2 bytes  3 bytes   12 bytes             2 bytes  3 bytes   12 bytes
/// // +--------+---------+--------------+     +--------+---------+--------------+
/// // | 0xCAFE |   12    | HELLO, WORLD | --> | 0xCAFE |   12    | HELLO, WORLD |
/// // +--------+---------+--------------+     +--------+---------+--------------+
/// let framing = LengthPrefix::u24_be().offset(2).strip(0);
/// same(framing, b"\xca\xfe\x00\x00\x0cHELLO, WORLD", b"\xca\xfe\x00\x00\x0cHELLO, WORLD");
///
/// // Something stands behind the length that it does not count.
/// //  3 bytes   2 bytes  12 bytes             2 bytes  12 bytes
/// // +---------+--------+--------------+     +--------+--------------+
/// // |   12    | 0xCAFE | HELLO, WORLD | --> | 0xCAFE | HELLO, WORLD |
/// // +---------+--------+--------------+     +--------+--------------+
/// let framing = LengthPrefix::u24_be().adjustment(2);
/// same(framing, b"\x00\x00\x0c\xca\xfeHELLO, WORLD", b"\xca\xfeHELLO, WORLD");
///
/// // Both; what stands before the length is stripped with it, and written as it is given here.
/// //  1 byte  2 bytes  1 byte  12 bytes             1 byte  12 bytes
/// // +-------+--------+-------+--------------+     +-------+--------------+
/// // | 0xCA  |   12   | 0xFE  | HELLO, WORLD | --> | 0xFE  | HELLO, WORLD |
/// // +-------+--------+-------+--------------+     +-------+--------------+
/// let framing = LengthPrefix::u16_be().header(b"\xca").adjustment(1);
/// same(framing, b"\xca\x00\x0c\xfeHELLO, WORLD", b"\xfeHELLO, WORLD");
///
/// // The same with a length that counts the whole frame: 16 = 1 + 2 + 1 + 12.
/// // +-------+--------+-------+--------------+     +-------+--------------+
/// // | 0xCA  |   16   | 0xFE  | HELLO, WORLD | --> | 0xFE  | HELLO, WORLD |
/// // +-------+--------+-------+--------------+     +-------+--------------+
/// let framing = LengthPrefix::u16_be().header(b"\xca").inclusive();
/// same(framing, b"\xca\x00\x10\xfeHELLO, WORLD", b"\xfeHELLO, WORLD");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthPrefix {
    pub(super) field: Field,
    pub(super) parameters: Parameters,
    /// What follows from the others.
    bounds: Bounds,
}

macro_rules! fields {
    ($($name:ident $width:literal $big_endian:expr, $what:literal;)*) => {$(
        #[doc = concat!("A length of ", $what, ".")]
        #[must_use]
        pub const fn $name() -> Self {
            Self::of(Field::new($width, $big_endian))
        }
    )*};
}

impl LengthPrefix {
    fields! {
        u8 1 true, "one byte: messages of at most 255";
        u16_be 2 true, "2 bytes, the high one first: messages of at most 65535 bytes";
        u16_le 2 false, "2 bytes, the low one first: messages of at most 65535 bytes";
        u16_ne 2 cfg!(target_endian = "big"), "2 bytes in this machine's order: messages of at most 65535 bytes";
        u24_be 3 true, "3 bytes, the high one first";
        u24_le 3 false, "3 bytes, the low one first";
        u24_ne 3 cfg!(target_endian = "big"), "3 bytes in this machine's order";
        u32_be 4 true, "4 bytes, the high one first: what `struct.pack(\"!I\", …)` of Python writes";
        u32_le 4 false, "4 bytes, the low one first";
        u32_ne 4 cfg!(target_endian = "big"), "4 bytes in this machine's order";
        u64_be 8 true, "8 bytes, the high one first";
        u64_le 8 false, "8 bytes, the low one first";
        u64_ne 8 cfg!(target_endian = "big"), "8 bytes in this machine's order";
    }

    /// A length of 4 bytes with a sign, the high one first: Java's `writeInt`. A negative one is an error.
    #[must_use]
    pub const fn i32_be() -> Self {
        Self::of(Field { width: 4, big_endian: true, signed: true })
    }

    /// A length of 4 bytes with a sign, the low one first. A negative one is an error.
    #[must_use]
    pub const fn i32_le() -> Self {
        Self::of(Field { width: 4, big_endian: false, signed: true })
    }

    /// A length of 4 bytes with a sign, in this machine's order: C's `int`. A negative one is an error.
    #[must_use]
    pub const fn i32_ne() -> Self {
        Self::of(Field { width: 4, big_endian: cfg!(target_endian = "big"), signed: true })
    }

    const fn of(field: Field) -> Self {
        Self::with(field, Parameters::DEFAULT)
    }

    #[track_caller]
    const fn with(field: Field, parameters: Parameters) -> Self {
        match Self::checked(field, parameters) {
            Ok(this) => this,
            Err(reason) => panic!("{}", reason),
        }
    }

    pub(super) const fn checked(field: Field, parameters: Parameters) -> Result<Self, &'static str> {
        match Bounds::new(field, parameters) {
            Ok(bounds) => Ok(Self { field, parameters, bounds }),
            Err(reason) => Err(reason),
        }
    }

    /// So many bytes stand before the length field; none by default. They are written as zeros: see
    /// [`header`](Self::header) for others.
    ///
    /// # Panics
    ///
    /// There are more than 65535.
    #[track_caller]
    #[must_use]
    pub const fn offset(mut self, bytes: usize) -> Self {
        self.parameters.set_header(&[]);
        self.parameters.offset = bytes;
        Self::with(self.field, self.parameters)
    }

    /// These bytes stand before the length field: an [`offset`](Self::offset) of as many. They are what is written, where
    /// they are [stripped](Self::strip); decoding does not compare them.
    ///
    /// # Panics
    ///
    /// There are more than 16.
    #[track_caller]
    #[must_use]
    pub const fn header(mut self, bytes: &[u8]) -> Self {
        assert!(self.parameters.set_header(bytes), "a header has at most 16 bytes");
        Self::with(self.field, self.parameters)
    }

    /// After the length field come as many bytes as it says and so many more, or fewer; 0 by default.
    ///
    /// # Panics
    ///
    /// There would be no message that could come: see [`max`](Self::max).
    #[track_caller]
    #[must_use]
    pub const fn adjustment(mut self, bytes: i32) -> Self {
        self.parameters.adjustment = bytes;
        Self::with(self.field, self.parameters)
    }

    /// The length counts the whole frame, its own field and what stands before it too: an
    /// [`adjustment`](Self::adjustment) of minus as many bytes, to which one that is given is added.
    #[must_use]
    pub const fn inclusive(mut self) -> Self {
        self.parameters.inclusive = true;
        Self::with(self.field, self.parameters)
    }

    /// So many bytes at the front of a frame are not part of its message. By default these are all up to the end of the
    /// length field.
    ///
    /// With fewer the message begins with what is left of the header, or is the whole frame with 0. A message that is sent
    /// begins so too, and the right length is put into it: what was there does not matter. With more, what was stripped
    /// behind the length field is written as zeros.
    ///
    /// # Panics
    ///
    /// There are more than 65535.
    #[track_caller]
    #[must_use]
    pub const fn strip(mut self, bytes: usize) -> Self {
        self.parameters.strip = Some(bytes);
        Self::with(self.field, self.parameters)
    }

    /// The longest message, in bytes without what is stripped; 1 MiB by default.
    ///
    /// # Panics
    ///
    /// There would be no message that could come: the shortest frame is longer, by its adjustment or by its header where
    /// that is not stripped.
    #[track_caller]
    #[must_use]
    pub const fn max(mut self, bytes: usize) -> Self {
        self.parameters.max = bytes;
        Self::with(self.field, self.parameters)
    }

    /// Passes over frames that are too long, in place of an error. Nothing is kept of them.
    #[must_use]
    pub const fn skip_oversized(mut self) -> Self {
        self.parameters.skip_oversized = true;
        Self::with(self.field, self.parameters)
    }

    /// A length that is not within the bounds.
    #[cold]
    fn refused(&self, length: u64) -> Result<Step, FrameError> {
        if length > self.field.greatest() {
            // Only one with a sign can be greater, and it has 32 bits.
            return Err(FrameError::negative_length(length as u32 as i32));
        }
        if length < self.bounds.least {
            return Err(FrameError::short_length(length, self.bounds.least));
        }
        let total = length.checked_add_signed(self.bounds.base);
        match total.and_then(|total| usize::try_from(total).ok()) {
            Some(total) if self.parameters.skip_oversized => Ok(Step::Skip(total)),
            _ => {
                let message = total.unwrap_or(u64::MAX) - self.bounds.strip as u64;
                Err(FrameError::too_long(message, self.bounds.max_message))
            }
        }
    }

    /// Where the header is not the length alone, or belongs to the message.
    fn encode_with_header(&self, length: u64, message: &[u8], out: &mut Vec<u8>) {
        let (start, strip, offset) = (out.len(), self.bounds.strip, self.parameters.offset);
        out.reserve(strip + message.len());
        out.resize(start + strip, 0);
        out.extend_from_slice(message);
        let frame = &mut out[start..];
        let header = self.parameters.header();
        let own = strip.min(header.len());
        frame[..own].copy_from_slice(&header[..own]);
        let width = usize::from(self.field.width);
        frame[offset..offset + width].copy_from_slice(&self.field.write(length)[..width]);
    }
}

impl Framing for LengthPrefix {
    #[inline]
    fn decode(&self, input: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        let Bounds { header, strip, base, least, span, .. } = self.bounds;
        if input.len() < header {
            return Ok(Step::More(header));
        }
        let length = self.field.read(&input[self.parameters.offset..]);
        if length.wrapping_sub(least) > span {
            return self.refused(length);
        }
        // Within the bounds it is at most `isize::MAX`.
        let total = length.wrapping_add_signed(base) as usize;
        if input.len() < total {
            return Ok(Step::More(total));
        }
        Ok(Step::Message { body: strip..total, len: total })
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let Bounds { strip, base, least, max_message, .. } = self.bounds;
        if message.len() > max_message {
            return Err(FrameError::too_long(message.len() as u64, max_message));
        }
        let length = (strip + message.len()) as i64 - base;
        if length < least as i64 {
            return Err(FrameError::too_short(message.len(), least.wrapping_add_signed(base) - strip as u64));
        }
        let (length, width) = (length as u64, usize::from(self.field.width));
        if self.parameters.offset == 0 && strip == width {
            let start = out.len();
            out.reserve(8 + message.len());
            out.extend_from_slice(&self.field.write(length));
            out.truncate(start + width);
            out.extend_from_slice(message);
        } else {
            self.encode_with_header(length, message, out);
        }
        Ok(())
    }

    #[inline]
    fn max_message(&self) -> usize {
        self.bounds.max_message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::DEFAULT_MAX;

    fn decode(framing: LengthPrefix, input: &[u8]) -> Result<Step, FrameError> {
        framing.decode(input, &mut Scan::default())
    }

    #[test]
    fn every_width_and_order() {
        // (framing, the field of a message of 0x010203, or of what fits)
        let cases: [(LengthPrefix, &[u8]); 16] = [
            (LengthPrefix::u8(), &[3]),
            (LengthPrefix::u16_be(), &[2, 3]),
            (LengthPrefix::u16_le(), &[3, 2]),
            (LengthPrefix::u16_ne(), &0x0203_u16.to_ne_bytes()),
            (LengthPrefix::u24_be(), &[1, 2, 3]),
            (LengthPrefix::u24_le(), &[3, 2, 1]),
            (LengthPrefix::u24_ne(), if cfg!(target_endian = "big") { &[1, 2, 3] } else { &[3, 2, 1] }),
            (LengthPrefix::u32_be(), &[0, 1, 2, 3]),
            (LengthPrefix::u32_le(), &[3, 2, 1, 0]),
            (LengthPrefix::u32_ne(), &0x0001_0203_u32.to_ne_bytes()),
            (LengthPrefix::u64_be(), &[0, 0, 0, 0, 0, 1, 2, 3]),
            (LengthPrefix::u64_le(), &[3, 2, 1, 0, 0, 0, 0, 0]),
            (LengthPrefix::u64_ne(), &0x0001_0203_u64.to_ne_bytes()),
            (LengthPrefix::i32_be(), &[0, 1, 2, 3]),
            (LengthPrefix::i32_le(), &[3, 2, 1, 0]),
            (LengthPrefix::i32_ne(), &0x0001_0203_i32.to_ne_bytes()),
        ];
        for (framing, field) in cases {
            let len = 0x0001_0203 & (usize::MAX >> (64 - 8 * field.len()));
            let mut out = Vec::new();
            framing.encode(&vec![b'x'; len], &mut out).unwrap();
            assert_eq!(&out[..field.len()], field);
            assert_eq!(decode(framing, field), Ok(Step::More(out.len())));
            assert_eq!(decode(framing, &out), Ok(Step::Message { body: field.len()..out.len(), len: out.len() }));
            assert_eq!(decode(framing, &field[1..]), Ok(Step::More(field.len())));
        }
    }

    #[test]
    fn what_the_field_cannot_tell_is_too_long() {
        assert_eq!(LengthPrefix::u8().max_message(), 255);
        assert_eq!(LengthPrefix::u8().adjustment(-1).max_message(), 254);
        assert_eq!(LengthPrefix::u16_be().inclusive().max_message(), 65_533);
        assert_eq!(LengthPrefix::u24_be().max_message(), DEFAULT_MAX);
        assert_eq!(LengthPrefix::u32_be().max(usize::MAX).max_message(), u32::MAX as usize);
        assert_eq!(LengthPrefix::i32_be().max(usize::MAX).max_message(), i32::MAX as usize);
        assert_eq!(LengthPrefix::u64_be().max(usize::MAX).max_message(), isize::MAX as usize - 8);
        let mut out = b"before".to_vec();
        let error = LengthPrefix::u8().encode(&[0; 256], &mut out).unwrap_err();
        assert_eq!(error.to_string(), "a frame of 256 bytes is longer than the limit of 255");
        assert_eq!(out, b"before");
    }

    #[test]
    fn lengths_that_cannot_be() {
        let text = |framing: LengthPrefix, input: &[u8]| match decode(framing, input) {
            Err(error) => format!("{} {error}", if error.is_malformed() { "malformed:" } else { "too long:" }),
            Ok(step) => format!("{step:?}"),
        };
        let minus_5 = (-5_i32).to_be_bytes();
        assert_eq!(text(LengthPrefix::i32_be(), &minus_5), "malformed: a frame with a length of -5, which is negative");
        let skipping = LengthPrefix::i32_be().skip_oversized();
        assert_eq!(text(skipping, &minus_5), "malformed: a frame with a length of -5, which is negative");
        let text_of_3 = text(LengthPrefix::u32_be().inclusive(), &[0, 0, 0, 3]);
        assert_eq!(text_of_3, "malformed: a frame with a length of 3, where the shortest has 4");
        let limited = LengthPrefix::u32_be().max(10);
        assert_eq!(text(limited, &[0, 0, 0, 11]), "too long: a frame of 11 bytes is longer than the limit of 10");
        assert_eq!(text(limited, &[0, 0, 0, 10]), "More(14)");
        assert_eq!(text(limited.skip_oversized(), &[0, 0, 0, 11]), "Skip(15)");
        // The greatest length, and one that is more than any when its adjustment is added.
        let greatest = "a frame of 18446744073709551615 bytes is longer than the limit of 1048576";
        assert_eq!(text(LengthPrefix::u64_be().strip(0), &[0xff; 8]), format!("too long: {greatest}"));
        assert_eq!(text(LengthPrefix::u64_be().strip(0).skip_oversized(), &[0xff; 8]), format!("too long: {greatest}"));
        let exact = LengthPrefix::u64_be().inclusive().skip_oversized();
        assert_eq!(decode(exact, &[0xff; 8]), Ok(Step::Skip(usize::MAX)));
    }

    #[test]
    fn messages_that_are_too_short() {
        let mut out = Vec::new();
        let error = LengthPrefix::u8().adjustment(10).encode(b"abc", &mut out).unwrap_err();
        assert_eq!(error.to_string(), "a message of 3 bytes, where the shortest of this framing has 10");
        assert!(error.is_unencodable());
        let error = LengthPrefix::u32_be().strip(0).encode(b"abc", &mut out).unwrap_err();
        assert_eq!(error.to_string(), "a message of 3 bytes, where the shortest of this framing has 4");
        assert!(out.is_empty());
    }

    #[test]
    fn headers_are_written() {
        let encode = |framing: LengthPrefix, message: &[u8]| {
            let mut out = Vec::new();
            framing.encode(message, &mut out).unwrap();
            out
        };
        let framing = LengthPrefix::u8().header(b"HI");
        assert_eq!(encode(framing, b"abc"), b"HI\x03abc");
        assert_eq!(encode(framing.offset(2), b"abc"), b"\0\0\x03abc");
        // More is stripped than the header, less, and nothing: the length is put right.
        assert_eq!(encode(framing.strip(5), b"abc"), b"HI\x05\0\0abc");
        assert_eq!(encode(framing.strip(1), b"iXabc"), b"Hi\x03abc");
        assert_eq!(encode(framing.strip(0), b"hiXabc"), b"hi\x03abc");
    }

    #[test]
    fn parameters_that_let_nothing_through() {
        let parameters = |set: fn(&mut Parameters)| {
            let mut parameters = Parameters::DEFAULT;
            set(&mut parameters);
            LengthPrefix::checked(Field::new(1, true), parameters).map(|framing| framing.max_message())
        };
        assert_eq!(parameters(|p| p.adjustment = -255), Ok(0));
        assert!(parameters(|p| p.adjustment = -256).is_err());
        assert_eq!(parameters(|p| (p.adjustment, p.max) = (10, 10)), Ok(10));
        assert!(parameters(|p| (p.adjustment, p.max) = (10, 9)).is_err());
        assert_eq!(parameters(|p| (p.strip, p.max) = (Some(0), 1)), Ok(1));
        assert!(parameters(|p| (p.strip, p.max) = (Some(0), 0)).is_err());
        assert_eq!(parameters(|p| p.strip = Some(256)), Ok(0));
        assert!(parameters(|p| p.strip = Some(257)).is_err());
        assert!(parameters(|p| p.offset = 65_535).is_ok());
        assert!(parameters(|p| p.offset = 65_536).is_err());
        // As much as is documented, and not as much as may stand up to the end of the field.
        let strip = |bytes| {
            let mut parameters = Parameters::DEFAULT;
            parameters.strip = Some(bytes);
            LengthPrefix::checked(Field::new(4, true), parameters)
        };
        assert!(strip(65_535).is_ok());
        assert!(strip(65_536).is_err());
        assert!(parameters(|p| p.adjustment = i32::MAX).is_err());
        assert!(parameters(|p| p.adjustment = i32::MIN).is_err());
    }
}
