//! Netstrings: <https://cr.yp.to/proto/netstrings.txt>.

use super::{DEFAULT_MAX, FrameError, Framing, Scan, Step};

/// The most digits of a length: as many as 64 bits have.
const MAX_DIGITS: usize = 20;

/// The length in decimal digits, a colon, the message, a comma: `12:hello world!,`.
///
/// It is [D. J. Bernstein's netstring](https://cr.yp.to/proto/netstrings.txt), and read strictly: a zero before other
/// digits, an empty length, a sign, white space, or anything else than the comma is an error.
///
/// ```
/// use socketserver_proto::framing::{Framing, Netstring, Scan, Step};
///
/// let mut out = Vec::new();
/// Netstring::new().encode(b"hello world!", &mut out)?;
/// assert_eq!(out, b"12:hello world!,");
/// assert_eq!(Netstring::new().decode(&out, &mut Scan::default())?, Step::Message { body: 3..15, len: 16 });
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netstring {
    pub(super) max: usize,
    pub(super) skip_oversized: bool,
}

impl Netstring {
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

    /// A message of `length` bytes; the colon is the last of the `header` bytes before it.
    #[inline]
    fn announced(self, header: usize, length: u64, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        let end = usize::try_from(length).ok().and_then(|length| header.checked_add(length));
        match end.filter(|end| *end < usize::MAX) {
            Some(end) if length <= self.max as u64 => match input.get(end) {
                None => Ok(Step::More(end + 1)),
                Some(b',') => Ok(Step::Message { body: header..end, len: end + 1 }),
                Some(_) => Err(NO_COMMA),
            },
            Some(end) if self.skip_oversized => {
                // Its comma is looked at when it comes.
                scan.set_skipping(true);
                Ok(Step::Skip(end))
            }
            _ => Err(FrameError::too_long(length, self.max)),
        }
    }
}

const NO_COMMA: FrameError = FrameError::malformed("a netstring that does not end with a comma");

impl Default for Netstring {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing for Netstring {
    #[inline]
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        if scan.is_skipping() {
            return match input.first() {
                None => Ok(Step::More(1)),
                Some(b',') => {
                    *scan = Scan::default();
                    Ok(Step::Skip(1))
                }
                Some(_) => Err(NO_COMMA),
            };
        }
        let mut length = 0_u64;
        for (at, byte) in input.iter().copied().enumerate() {
            match byte {
                b'0'..=b'9' if at == 1 && length == 0 => {
                    return Err(FrameError::malformed("a netstring whose length begins with a zero"));
                }
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let longer = length.checked_mul(10).and_then(|length| length.checked_add(digit));
                    length = longer.ok_or(FrameError::longer_than(self.max))?;
                }
                b':' if at > 0 => return self.announced(at + 1, length, input, scan),
                _ if at > 0 => return Err(FrameError::malformed("a netstring without a colon after its length")),
                _ => return Err(FrameError::malformed("a netstring that does not begin with a digit")),
            }
        }
        Ok(Step::More(input.len() + 1))
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > self.max {
            return Err(FrameError::too_long(message.len() as u64, self.max));
        }
        let mut header = [b':'; MAX_DIGITS + 1];
        let (mut from, mut length) = (MAX_DIGITS, message.len());
        loop {
            from -= 1;
            header[from] = b'0' + (length % 10) as u8;
            length /= 10;
            if length == 0 {
                break;
            }
        }
        out.reserve(header.len() + message.len() + 1);
        out.extend_from_slice(&header[from..]);
        out.extend_from_slice(message);
        out.push(b',');
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

    fn decode(input: &str) -> Result<Step, FrameError> {
        Netstring::new().decode(input.as_bytes(), &mut Scan::default())
    }

    #[test]
    fn right_ones() {
        // (input, where the message is)
        let cases =
            [("0:,", 2..2), ("12:hello world!,", 3..15), ("1:,,", 2..3), ("1:a,1:b,", 2..3), ("10:0123456789,", 3..13)];
        for (input, body) in cases {
            assert_eq!(decode(input), Ok(Step::Message { body: body.clone(), len: body.end + 1 }), "{input}");
        }
        for (input, needed) in [("", 1), ("1", 2), ("0", 2), ("12", 3), ("12:", 16), ("12:hello world!", 16), ("0:", 3)]
        {
            assert_eq!(decode(input), Ok(Step::More(needed)), "{input}");
        }
        let mut out = Vec::new();
        for len in [0, 9, 10, 99, 100, 12_345] {
            out.clear();
            Netstring::new().encode(&vec![b'x'; len], &mut out).unwrap();
            assert_eq!(out, format!("{len}:{},", "x".repeat(len)).as_bytes());
        }
    }

    #[test]
    fn wrong_ones() {
        let cases = [
            (":,", "begin with a digit"),
            ("-1:", "begin with a digit"),
            (" 1:a,", "begin with a digit"),
            (",", "begin with a digit"),
            ("00:,", "begins with a zero"),
            ("01:a,", "begins with a zero"),
            ("1 :a,", "without a colon"),
            ("1a", "without a colon"),
            ("1,", "without a colon"),
            ("1:ab", "end with a comma"),
            ("0:x", "end with a comma"),
        ];
        for (input, words) in cases {
            let error = decode(input).unwrap_err();
            assert!(error.is_malformed() && error.to_string().contains(words), "{input}: {error}");
        }
    }

    #[test]
    fn too_long_ones() {
        assert_eq!(decode("1048576:"), Ok(Step::More(8 + 1_048_576 + 1)));
        // Until the colon nobody knows whether it has more digits.
        assert_eq!(decode("1048577"), Ok(Step::More(8)));
        assert_eq!(decode("1048577:"), Err(FrameError::too_long(1_048_577, DEFAULT_MAX)));
        assert_eq!(decode("18446744073709551615:"), Err(FrameError::too_long(u64::MAX, DEFAULT_MAX)));
        assert_eq!(decode("18446744073709551616"), Err(FrameError::longer_than(DEFAULT_MAX)));
        assert_eq!(decode("999999999999999999999"), Err(FrameError::longer_than(DEFAULT_MAX)));
        let unlimited = Netstring::new().max(usize::MAX);
        for framing in [unlimited, unlimited.skip_oversized()] {
            let error = framing.decode(b"18446744073709551615:", &mut Scan::default());
            assert_eq!(error, Err(FrameError::too_long(u64::MAX, usize::MAX)));
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_its_comma_is_needed() {
        let framing = Netstring::new().max(2).skip_oversized();
        let mut scan = Scan::default();
        assert_eq!(framing.decode(b"3:abc,", &mut scan), Ok(Step::Skip(5)));
        assert_eq!(framing.decode(b"", &mut scan), Ok(Step::More(1)));
        assert_eq!(framing.decode(b"x", &mut scan.clone()), Err(NO_COMMA));
        assert_eq!(framing.decode(b",2:ab,", &mut scan), Ok(Step::Skip(1)));
        assert_eq!(framing.decode(b"2:ab,", &mut scan), Ok(Step::Message { body: 2..4, len: 5 }));
    }
}
