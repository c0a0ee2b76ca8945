use crate::connection::{Core, PollIo};
use crate::framing::{Framing, Scan, Step};
use std::io;
use std::ops::Range;

/// How far a stream of frames is read: what is to be known between two looks at its input.
#[derive(Debug)]
pub(crate) struct Reading {
    scan: Scan,
    /// What is passed over of what is to come.
    skipped: usize,
    /// With less than that there is no message.
    needed: usize,
}

/// A message in the input.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) body: Range<usize>,
    /// What its frame takes of the input.
    pub(crate) len: usize,
}

impl Default for Reading {
    fn default() -> Self {
        Self { scan: Scan::default(), skipped: 0, needed: 1 }
    }
}

impl Reading {
    /// The first message of what has come in. `None`: it is not whole.
    ///
    /// # Errors
    /// `InvalidData`: what came in is no message.
    #[inline]
    pub(crate) fn next<T: PollIo>(&mut self, core: &mut Core<T>, framing: &impl Framing) -> io::Result<Option<Found>> {
        loop {
            if self.skipped > 0 {
                let gone = self.skipped.min(core.buffered().len());
                core.consume(gone);
                self.skipped -= gone;
            }
            if self.skipped > 0 || core.buffered().len() < self.needed {
                return Ok(None);
            }
            match framing.decode(core.buffered(), &mut self.scan) {
                Ok(Step::Message { body, len }) => {
                    self.needed = 1;
                    return Ok(Some(Found { body, len }));
                }
                Ok(Step::More(needed)) => {
                    self.needed = needed;
                    return Ok(None);
                }
                Ok(Step::Skip(bytes)) => (self.skipped, self.needed) = (bytes, 1),
                Err(error) => return Err(core.fate.bad_message(error)),
            }
        }
    }

    /// What is left after the end of input, if that is a message.
    ///
    /// # Errors
    /// `UnexpectedEof`: it is part of one; `InvalidData`: it is none.
    pub(crate) fn last<T: PollIo>(&self, core: &mut Core<T>, framing: &impl Framing) -> io::Result<Option<Found>> {
        let rest = core.buffered();
        // Of a frame that is passed over nobody wants to know how it ends.
        if rest.is_empty() || self.skipped > 0 {
            return Ok(None);
        }
        let len = rest.len();
        match framing.finish(rest, &self.scan) {
            Ok(body) => Ok(body.map(|body| Found { body, len })),
            Err(error) if error.is_cut_short() => Err(core.fate.cut_short(error.to_string())),
            Err(error) => Err(core.fate.bad_message(error)),
        }
    }
}
