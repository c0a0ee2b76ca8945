//! Lines of text, or of anything else without an LF in it.

use super::{FrameError, Framing, Scan, Step};
use memchr::memchr;
use std::ops::Range;

/// A line a message: it ends with LF or with CRLF, whichever the peer sends.
///
/// The message is the line without its end. One CR before the LF belongs to the end, any more to the message. A last line
/// without an end is a message too; a CR at its end is taken for the half of a CRLF.
///
/// What is sent ends with LF, or with CRLF after [`crlf`](Self::crlf). A message with an LF in it is refused, and, where
/// lines end with LF, one that ends in CR, which would not come back.
///
/// It is bytes: whether they are UTF-8 is the handler's affair. For other ends see [`Delimiter`](super::Delimiter).
///
/// ```
/// use socketserver_proto::framing::{Framing, Line, Scan, Step};
///
/// let line = Line::new();
/// let step = line.decode(b"hello\r\nwor", &mut Scan::default())?;
/// assert_eq!(step, Step::Message { body: 0..5, len: 7 });
///
/// let mut out = Vec::new();
/// line.encode(b"hello", &mut out)?;
/// line.crlf().encode(b"world", &mut out)?;
/// assert_eq!(out, b"hello\nworld\r\n");
/// assert!(line.encode(b"two\nlines", &mut out).unwrap_err().is_unencodable());
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub(super) crlf: bool,
    pub(super) max: usize,
    pub(super) skip_oversized: bool,
}

impl Line {
    /// The longest line unless told otherwise: 64 KiB without its end.
    pub const DEFAULT_MAX: usize = 64 << 10;

    /// Lines that end with LF or CRLF, of at most 64 KiB; LF is written.
    #[must_use]
    pub const fn new() -> Self {
        Self { crlf: false, max: Self::DEFAULT_MAX, skip_oversized: false }
    }

    /// Writes CRLF, as most protocols of the Internet want it (RFC 5198, section 2). Either is read all the same.
    #[must_use]
    pub const fn crlf(mut self) -> Self {
        self.crlf = true;
        self
    }

    /// The longest message, in bytes without the line's end; 64 KiB by default.
    #[must_use]
    pub const fn max(mut self, bytes: usize) -> Self {
        self.max = bytes;
        self
    }

    /// Passes over lines that are too long, in place of an error. Nothing is kept of them.
    #[must_use]
    pub const fn skip_oversized(mut self) -> Self {
        self.skip_oversized = true;
        self
    }

    /// Whether a line without an end in `bytes`, of which one more would be too many, is too long already.
    fn is_oversized(&self, bytes: &[u8]) -> bool {
        match bytes.len().checked_sub(self.max) {
            None | Some(0) => false,
            // It may be the CR of the end.
            Some(1) => bytes[self.max] != b'\r',
            Some(_) => true,
        }
    }

    #[cold]
    fn oversized(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        if !self.skip_oversized {
            return Err(FrameError::longer_than(self.max));
        }
        *scan = Scan::default();
        match memchr(b'\n', input) {
            Some(end) => Ok(Step::Skip(end + 1)),
            None => {
                scan.set_skipping(true);
                Ok(if input.is_empty() { Step::More(1) } else { Step::Skip(input.len()) })
            }
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing for Line {
    #[inline]
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        if scan.is_skipping() {
            return self.oversized(input, scan);
        }
        // No line that is not too long has its end beyond: after the message there may be CR and LF.
        let window = &input[..input.len().min(self.max.saturating_add(2))];
        let from = scan.searched().min(window.len());
        let Some(found) = memchr(b'\n', &window[from..]) else {
            if self.is_oversized(window) {
                return self.oversized(input, scan);
            }
            scan.set_searched(window.len());
            return Ok(Step::More(input.len() + 1));
        };
        let end = from + found;
        let body = without_cr(&window[..end]);
        if body.len() > self.max {
            return self.oversized(input, scan);
        }
        *scan = Scan::default();
        Ok(Step::Message { body: 0..body.len(), len: end + 1 })
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > self.max {
            return Err(FrameError::too_long(message.len() as u64, self.max));
        }
        if let Some(at) = memchr(b'\n', message) {
            return Err(FrameError::delimiter_at(at));
        }
        if !self.crlf && message.last() == Some(&b'\r') {
            return Err(FrameError::unencodable(
                "a message that ends in CR, which would be taken for that of a line's end",
            ));
        }
        let end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        out.reserve(message.len() + end.len());
        out.extend_from_slice(message);
        out.extend_from_slice(end);
        Ok(())
    }

    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        let body = without_cr(rest);
        if scan.is_skipping() || (self.skip_oversized && body.len() > self.max) {
            return Ok(None);
        }
        if body.len() > self.max {
            return Err(FrameError::longer_than(self.max));
        }
        Ok(Some(0..body.len()))
    }

    #[inline]
    fn max_message(&self) -> usize {
        self.max
    }
}

#[inline]
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_is_too_long_is_told_so() {
        let line = Line::new().max(3);
        assert_eq!(line.finish(b"one\r", &Scan::default()), Ok(Some(0..3)));
        assert!(line.finish(b"four", &Scan::default()).unwrap_err().is_too_long());
        assert_eq!(line.skip_oversized().finish(b"four", &Scan::default()), Ok(None));
    }

    #[test]
    fn a_line_that_comes_byte_by_byte_is_searched_once() {
        let line = Line::new().max(100);
        let mut scan = Scan::default();
        for have in 0..=100 {
            assert_eq!(line.decode(&[b'x'; 100][..have], &mut scan), Ok(Step::More(have + 1)));
            assert_eq!(scan.searched(), have);
        }
    }

    #[test]
    fn the_limit_is_without_the_end() {
        let line = Line::new().max(3);
        let look = |input: &[u8]| line.decode(input, &mut Scan::default());
        let whole = |len| Ok(Step::Message { body: 0..3, len });
        assert_eq!(look(b"abc\n"), whole(4));
        assert_eq!(look(b"abc\r\n"), whole(5));
        assert_eq!(look(b"abc"), Ok(Step::More(4)));
        assert_eq!(look(b"abc\r"), Ok(Step::More(5)));
        for long in [&b"abcd"[..], b"abcd\n", b"abc\rd", b"abc\r\r", b"abc\r\r\n", b"abcd\r\n"] {
            let error = look(long).unwrap_err();
            assert_eq!(error.to_string(), "a frame of more than 3 bytes is longer than the limit of 3", "{long:?}");
        }
        assert_eq!(line.finish(b"abc\r", &Scan::default()), Ok(Some(0..3)));
    }

    #[test]
    fn carriage_returns() {
        let decode = |input: &[u8]| Line::new().decode(input, &mut Scan::default());
        assert_eq!(decode(b"\n"), Ok(Step::Message { body: 0..0, len: 1 }));
        assert_eq!(decode(b"\r\n"), Ok(Step::Message { body: 0..0, len: 2 }));
        assert_eq!(decode(b"a\r\r\n"), Ok(Step::Message { body: 0..2, len: 4 }));
        assert_eq!(decode(b"a\rb\n"), Ok(Step::Message { body: 0..3, len: 4 }));
        let mut out = Vec::new();
        assert!(Line::new().encode(b"a\r", &mut out).unwrap_err().is_unencodable());
        assert_eq!(Line::new().crlf().encode(b"a\r", &mut out), Ok(()));
        assert_eq!(out, b"a\r\r\n");
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let line = Line::new().max(3).skip_oversized();
        let mut scan = Scan::default();
        assert_eq!(line.decode(b"abcd", &mut scan), Ok(Step::Skip(4)));
        assert_eq!(line.finish(b"x", &scan), Ok(None));
        assert_eq!(line.decode(b"", &mut scan), Ok(Step::More(1)));
        assert_eq!(line.decode(b"ef\nabc\n", &mut scan), Ok(Step::Skip(3)));
        assert_eq!(line.decode(b"abc\n", &mut scan), Ok(Step::Message { body: 0..3, len: 4 }));
        assert_eq!(line.decode(b"abcd\n", &mut scan), Ok(Step::Skip(5)));
        assert_eq!(scan, Scan::default());
    }
}
