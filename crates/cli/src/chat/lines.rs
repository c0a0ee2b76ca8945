//! Lines, and what becomes of one that is too long.

use socketserver::framing::{FrameError, Framing, Line, Scan, Step};
use std::ops::Range;

/// Lines, of which one that is too long is given as what has come of it: its sender is told, and the conversation is over.
#[derive(Debug)]
pub(super) struct Lines(Line);

impl Lines {
    /// Of at most so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self(Line::new().max(longest))
    }
}

impl Framing for Lines {
    fn decode(&self, input: &[u8], scan: &mut Scan) -> Result<Step, FrameError> {
        match self.0.decode(input, scan) {
            Err(error) if error.is_too_long() => Ok(Step::Message { body: 0..input.len(), len: input.len() }),
            step => step,
        }
    }

    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.0.encode(message, out)
    }

    fn finish(&self, rest: &[u8], scan: &Scan) -> Result<Option<Range<usize>>, FrameError> {
        self.0.finish(rest, scan)
    }

    fn max_message(&self) -> usize {
        self.0.max_message()
    }
}
