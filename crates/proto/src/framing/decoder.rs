//! Messages out of bytes that somebody else reads.

use super::{FrameError, Framing, Scan, Step};

/// How many bytes are taken at once to complete a frame of which it is not known where it ends.
const AT_ONCE: usize = 1024;

/// A buffer that was larger goes when it is empty.
const KEPT: usize = 16 << 10;

/// Whole messages out of pieces, for programs that do their own I/O. A server of messages does not need it.
///
/// [`next`](Self::next) is given what was read and hands out the messages in it, one a call. What is whole is not copied.
/// The beginning of a frame is kept for the next read, and nothing else, so it never holds more than one frame of the
/// longest and one KiB, however much comes in and whether or not anybody takes the messages.
///
/// ```
/// use socketserver_proto::framing::{Decoder, FrameError, LengthPrefix};
///
/// let mut decoder = Decoder::new(LengthPrefix::u8());
/// let mut messages = Vec::new();
/// for read in [&b"\x03one\x03tw"[..], b"o", b"\x05thr", b"ee"] {
///     let mut rest = read;
///     while let Some(message) = decoder.next(&mut rest)? {
///         messages.push(String::from_utf8_lossy(message).into_owned());
///     }
/// }
/// assert_eq!(messages, ["one", "two", "three"]);
/// assert_eq!(decoder.finish()?, None);
/// # Ok::<(), FrameError>(())
/// ```
///
/// To send, append to a buffer by [`Framing::encode`] and write that.
#[derive(Debug, Clone)]
pub struct Decoder<F> {
    framing: F,
    scan: Scan,
    /// The beginning of a frame, after the one whose message was handed out last.
    buffer: Vec<u8>,
    /// How many bytes at the front of the buffer are those of that one.
    handed_out: usize,
    /// How many bytes of a frame are needed before it is worth a look.
    needed: usize,
    to_skip: usize,
    failed: Option<FrameError>,
}

impl<F: Framing> Decoder<F> {
    /// For a new stream. It holds no memory yet.
    #[must_use]
    pub const fn new(framing: F) -> Self {
        Self { framing, scan: Scan::NEW, buffer: Vec::new(), handed_out: 0, needed: 0, to_skip: 0, failed: None }
    }

    /// The next message. `input` is what was read after what was given before; what is taken of it is taken away from its
    /// front. `None` if no message is whole: `input` is empty then, and more is to be read.
    ///
    /// # Errors
    ///
    /// As [`Framing::decode`]. The stream is lost then, and every further call gives the same error.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<&'a [u8]>, FrameError> {
        self.forget();
        if let Some(error) = self.failed {
            return Err(error);
        }
        loop {
            self.pass_over(input);
            if self.buffer.is_empty() {
                if input.is_empty() {
                    return Ok(None);
                }
                match self.framing.decode(input, &mut self.scan).inspect_err(|error| self.failed = Some(*error))? {
                    Step::Message { body, len } => {
                        let (frame, rest) = input.split_at(len);
                        *input = rest;
                        return Ok(Some(&frame[body]));
                    }
                    Step::Skip(count) => self.to_skip = count,
                    Step::More(needed) => {
                        self.needed = needed;
                        self.buffer.extend_from_slice(std::mem::take(input));
                        return Ok(None);
                    }
                }
            } else {
                let missing = self.needed.saturating_sub(self.buffer.len());
                let taken = if missing == 0 { 0 } else { missing.max(AT_ONCE).min(input.len()) };
                let (piece, rest) = input.split_at(taken);
                self.buffer.extend_from_slice(piece);
                if self.buffer.len() < self.needed {
                    *input = rest;
                    return Ok(None);
                }
                match self
                    .framing
                    .decode(&self.buffer, &mut self.scan)
                    .inspect_err(|error| self.failed = Some(*error))?
                {
                    Step::Message { body, len } => {
                        // What was taken beyond the frame goes back.
                        let back = (self.buffer.len() - len).min(taken);
                        self.buffer.truncate(self.buffer.len() - back);
                        *input = &input[taken - back..];
                        (self.handed_out, self.needed) = (len, 0);
                        return Ok(Some(&self.buffer[body]));
                    }
                    Step::Skip(count) => (self.to_skip, self.needed, *input) = (count, 0, rest),
                    Step::More(needed) => (self.needed, *input) = (needed, rest),
                }
            }
        }
    }

    /// The input has ended, and [`next`](Self::next) has given `None`. What is left may be a message all the same, as an
    /// unterminated last [line](super::Line).
    ///
    /// # Errors
    ///
    /// As [`Framing::finish`]: the input was cut in the middle of a frame.
    pub fn finish(&mut self) -> Result<Option<&[u8]>, FrameError> {
        self.forget();
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.handed_out = self.buffer.len();
        let body = self.framing.finish(&self.buffer, &self.scan)?;
        Ok(body.map(|body| &self.buffer[body]))
    }

    /// How many bytes it holds: those of a frame that has begun.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.handed_out
    }

    /// The framing.
    #[must_use]
    pub const fn framing(&self) -> &F {
        &self.framing
    }

    /// The frame whose message was handed out.
    fn forget(&mut self) {
        if self.handed_out > 0 {
            self.buffer.drain(..std::mem::take(&mut self.handed_out));
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
                self.buffer = Vec::new();
            }
        }
    }

    fn pass_over(&mut self, input: &mut &[u8]) {
        if self.to_skip > 0 {
            let kept = self.to_skip.min(self.buffer.len());
            self.buffer.drain(..kept);
            let new = (self.to_skip - kept).min(input.len());
            *input = &input[new..];
            self.to_skip -= kept + new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delimiter, LengthPrefix, Line};
    use super::*;

    fn all<F: Framing>(decoder: &mut Decoder<F>, mut input: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut all = Vec::new();
        while let Some(message) = decoder.next(&mut input)? {
            all.push(message.to_vec());
        }
        assert!(input.is_empty());
        Ok(all)
    }

    #[test]
    fn it_holds_the_beginning_of_a_frame_and_nothing_else() {
        let mut decoder = Decoder::new(Line::new());
        let mut read = &b"one\ntwo\nthree"[..];
        assert_eq!(decoder.next(&mut read), Ok(Some(&b"one"[..])));
        assert_eq!((read, decoder.buffered()), (&b"two\nthree"[..], 0));
        assert_eq!(all(&mut decoder, read), Ok(vec![b"two".to_vec()]));
        assert_eq!((decoder.buffered(), decoder.buffer.capacity() < 64), (5, true));
        // What is behind a frame that is completed goes back.
        let mut read = &b"\nfour\n"[..];
        assert_eq!(decoder.next(&mut read), Ok(Some(&b"three"[..])));
        assert_eq!((read, decoder.buffered()), (&b"four\n"[..], 0));
        assert_eq!(decoder.next(&mut read), Ok(Some(&b"four"[..])));
        assert_eq!(decoder.next(&mut read), Ok(None));
        assert_eq!(decoder.finish(), Ok(None));
    }

    #[test]
    fn nothing_is_allocated_for_what_is_announced_nor_kept_of_what_was_long() {
        let mut decoder = Decoder::new(LengthPrefix::u32_be());
        assert_eq!(all(&mut decoder, &100_000_u32.to_be_bytes()), Ok(vec![]));
        assert!(decoder.buffer.capacity() < 64);
        assert_eq!(all(&mut decoder, &[b'x'; 100_000]).map(|all| all.len()), Ok(1));
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    #[test]
    fn what_is_oversized_is_not_kept() {
        let mut decoder = Decoder::new(Delimiter::new("--").max(10).skip_oversized());
        for _ in 0..10_000 {
            assert_eq!(all(&mut decoder, &[b'x'; 1_000]), Ok(vec![]));
            assert!(decoder.buffer.capacity() <= 4 * AT_ONCE);
        }
        assert_eq!(all(&mut decoder, b"--ab--c"), Ok(vec![b"ab".to_vec()]));
        assert!(decoder.finish().unwrap_err().is_cut_short());
        assert_eq!(decoder.finish(), Ok(None));
    }

    #[test]
    fn of_a_large_read_no_more_is_copied_than_completes_a_frame() {
        let mut decoder = Decoder::new(Line::new());
        assert_eq!(all(&mut decoder, b"o"), Ok(vec![]));
        assert_eq!(all(&mut decoder, &b"ne\n".repeat(100_000)).map(|all| all.len()), Ok(100_000));
        assert!(decoder.buffer.capacity() <= 4 * AT_ONCE);
    }

    #[test]
    fn an_error_stays() {
        let mut decoder = Decoder::new(LengthPrefix::u8().max(3));
        let error = all(&mut decoder, b"\x04abcd").unwrap_err();
        assert_eq!(decoder.next(&mut &b"\x03abc"[..]), Err(error));
        assert_eq!(decoder.finish(), Err(error));
    }

    #[test]
    fn a_last_line_is_handed_out_once() {
        let mut decoder = Decoder::new(Line::new());
        assert_eq!(all(&mut decoder, b"one\ntwo"), Ok(vec![b"one".to_vec()]));
        assert_eq!(decoder.finish(), Ok(Some(&b"two"[..])));
        assert_eq!(decoder.finish(), Ok(None));
    }
}
