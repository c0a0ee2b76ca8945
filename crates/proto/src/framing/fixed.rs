//! Messages that all have the same length.

use super::{FrameError, Framing, Scan, Step};

/// Messages of so many bytes each, and nothing between them: records, samples, ticks.
///
/// A message of any other length is refused.
///
/// ```
/// use socketserver_proto::framing::{Fixed, Framing, Scan, Step};
///
/// let framing = Fixed::new(4);
/// assert_eq!(framing.decode(b"onetwo", &mut Scan::default())?, Step::Message { body: 0..4, len: 4 });
/// let mut out = Vec::new();
/// framing.encode(b"four", &mut out)?;
/// assert!(framing.encode(b"five!", &mut out).is_err());
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    pub(super) len: usize,
}

impl Fixed {
    /// Messages of `len` bytes.
    ///
    /// # Panics
    ///
    /// `len` is zero.
    #[track_caller]
    #[must_use]
    pub const fn new(len: usize) -> Self {
        assert!(len > 0, "messages of a fixed length have at least one byte");
        Self { len }
    }
}

impl Framing for Fixed {
    #[inline]
    fn decode(&self, input: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        if input.len() < self.len {
            return Ok(Step::More(self.len));
        }
        Ok(Step::Message { body: 0..self.len, len: self.len })
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() != self.len {
            return Err(FrameError::not_fixed(message.len(), self.len));
        }
        out.extend_from_slice(message);
        Ok(())
    }

    #[inline]
    fn max_message(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lengths_are_refused() {
        let mut out = b"before".to_vec();
        let short = Fixed::new(4).encode(b"abc", &mut out).unwrap_err();
        assert_eq!(short.to_string(), "a message of 3 bytes, where each has 4");
        assert!(short.is_unencodable() && !short.is_too_long());
        assert!(Fixed::new(4).encode(b"abcde", &mut out).unwrap_err().is_too_long());
        assert_eq!(out, b"before");
        let cut = Fixed::new(4).finish(b"abc", &Scan::default()).unwrap_err();
        assert_eq!(cut.to_string(), "the input ended 3 bytes into a frame");
    }

    #[test]
    #[should_panic(expected = "at least one byte")]
    fn of_no_bytes() {
        let _ = Fixed::new(0);
    }
}
