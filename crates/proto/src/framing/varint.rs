//! Messages with a length of variable size before them.

use super::{DEFAULT_MAX, FrameError, Framing, Scan, Step};

/// The most bytes of a length: as many as 64 bits need, 7 in each.
const MAX_HEADER: usize = 10;

/// The length as a varint, then the message: how messages of Protocol Buffers are put one after the other
/// (`writeDelimitedTo` in Java, `encode_length_delimited` in Rust).
///
/// A varint (LEB128) has 7 bits of the length in each byte, the low ones first; the highest bit of a byte says whether
/// another follows. It has at most 10 bytes and 64 bits; more is an error. One that is longer than it had to be is taken,
/// as all readers of Protocol Buffers do; the shortest is written.
///
/// ```
/// use socketserver_proto::framing::{Framing, Scan, Step, Varint};
///
/// let mut out = Vec::new();
/// Varint::new().encode(&[b'x'; 300], &mut out)?;
/// assert_eq!(&out[..3], b"\xac\x02x");
/// assert_eq!(Varint::new().decode(&out, &mut Scan::default())?, Step::Message { body: 2..302, len: 302 });
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Varint {
    pub(super) max: usize,
    pub(super) skip_oversized: bool,
}

impl Varint {
    /// Messages of at most 1 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX, skip_oversized: false }
    }

    /// The longest message, in bytes; 1 MiB by default.
    #[must_use]
    pub const fn max(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Passes over messages that are too long, in place of an error. Nothing is kept of them.
    #[must_use]
    pub const fn skip_oversized(mut self) -> Self {
        self.skip_oversized = true;
        self
    }

    /// A message of `length` bytes, before which are `header` bytes.
    #[inline]
    fn announced(self, header: usize, length: u64, have: usize) -> Result<Step, FrameError> {
        let total = usize::try_from(length).ok().and_then(|length| header.checked_add(length));
        match total {
            Some(total) if length <= self.max as u64 => {
                Ok(if have < total { Step::More(total) } else { Step::Message { body: header..total, len: total } })
            }
            Some(total) if self.skip_oversized => Ok(Step::Skip(total)),
            _ => Err(FrameError::too_long(length, self.max)),
        }
    }
}

impl Default for Varint {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing for Varint {
    #[inline]
    fn decode(&self, input: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        let mut length = 0;
        for (at, byte) in input.iter().copied().enumerate() {
            if at == MAX_HEADER - 1 && byte > 1 {
                return Err(FrameError::malformed("a length of more than 64 bits"));
            }
            length |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return self.announced(at + 1, length, input.len());
            }
        }
        Ok(Step::More(input.len() + 1))
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > self.max {
            return Err(FrameError::too_long(message.len() as u64, self.max));
        }
        out.reserve(MAX_HEADER + message.len());
        let mut length = message.len() as u64;
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(message);
        Ok(())
    }

    #[inline]
    fn max_message(&self) -> usize {
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(framing: Varint, input: &[u8]) -> Result<Step, FrameError> {
        framing.decode(input, &mut Scan::default())
    }

    /// As the specification has it: 7 bits each, put together from the last.
    fn reference(bytes: &[u8]) -> Option<(usize, u128)> {
        let count = bytes.iter().position(|byte| byte >> 7 == 0)? + 1;
        let value = bytes[..count].iter().rev().fold(0, |value, byte| value * 128 + u128::from(byte % 128));
        Some((count, value))
    }

    #[test]
    fn examples_of_the_specification() {
        // Of "Encoding" in the documents of Protocol Buffers: 1, and 150 in two bytes.
        assert_eq!(decode(Varint::new(), b"\x01x"), Ok(Step::Message { body: 1..2, len: 2 }));
        assert_eq!(decode(Varint::new(), b"\x96\x01"), Ok(Step::More(152)));
        assert_eq!(decode(Varint::new(), b"\0"), Ok(Step::Message { body: 1..1, len: 1 }));
        assert_eq!(decode(Varint::new(), b"\x80\0"), Ok(Step::Message { body: 2..2, len: 2 }));
        assert_eq!(decode(Varint::new(), b"\x96"), Ok(Step::More(2)));
    }

    #[test]
    fn the_longest() {
        let most = |last| [&[0xff; 9][..], &[last]].concat();
        let unlimited = Varint::new().max(usize::MAX);
        assert!(decode(unlimited, &most(2)).unwrap_err().is_malformed());
        assert!(decode(unlimited, &most(0x81)).unwrap_err().is_malformed());
        assert!(decode(unlimited, &[0x80; 10]).unwrap_err().is_malformed());
        // The end of it cannot be counted.
        assert_eq!(decode(unlimited, &most(1)), Err(FrameError::too_long(u64::MAX, usize::MAX)));
        assert_eq!(decode(unlimited.skip_oversized(), &most(1)), Err(FrameError::too_long(u64::MAX, usize::MAX)));
        assert_eq!(decode(unlimited, &most(0)), Ok(Step::More((1 << 63) - 1 + 10)));
        assert_eq!(decode(Varint::new().skip_oversized(), &most(0)), Ok(Step::Skip((1 << 63) - 1 + 10)));
        let error = decode(Varint::new().max(100), b"\x65").unwrap_err();
        assert_eq!(error.to_string(), "a frame of 101 bytes is longer than the limit of 100");
    }

    proptest! {
        #[test]
        fn as_the_reference(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xff_u8, Just(0)], 0..12)) {
            let step = decode(Varint::new().max(1 << 40), &bytes);
            match reference(&bytes) {
                Some((count, value)) if count <= 10 && value <= u128::from(u64::MAX) => match step {
                    Ok(Step::More(total)) => prop_assert_eq!(total as u128, count as u128 + value),
                    Ok(Step::Message { body, len }) => prop_assert_eq!((body.start, len as u128), (count, count as u128 + value)),
                    Ok(Step::Skip(_)) => prop_assert!(false),
                    Err(error) => prop_assert!(error.is_too_long() && value > 1 << 40),
                },
                None if bytes.len() < 10 => prop_assert_eq!(step, Ok(Step::More(bytes.len() + 1))),
                _ => prop_assert!(step.unwrap_err().is_malformed()),
            }
        }

        #[test]
        fn what_is_written_is_what_the_reference_reads(len in prop_oneof![0..300_usize, 0..40_000_usize]) {
            let mut out = Vec::new();
            Varint::new().encode(&vec![0; len], &mut out).unwrap();
            let (count, value) = reference(&out).unwrap();
            prop_assert_eq!((count, value), (out.len() - len, len as u128));
            prop_assert!(count == 1 || out[count - 1] != 0);
        }
    }
}
