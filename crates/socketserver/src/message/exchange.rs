use super::reading::{Found, Reading};
use crate::connection::{Core, PollIo};
use crate::framing::Framing;
use std::io;
use std::task::{Context, Poll, ready};

/// Beyond so many bytes what was fed leaves by itself, and a larger buffer is not kept.
const FULL: usize = 64 * 1024;

/// Messages both ways over a stream that somebody holds: once, for both engines.
#[derive(Debug)]
pub(crate) struct Exchange<C> {
    pub(crate) framing: C,
    reading: Reading,
    /// Frames on their way out, and how much of them the stream has taken.
    out: Vec<u8>,
    taken: usize,
}

impl<C: Framing> Exchange<C> {
    pub(crate) fn new(framing: C) -> Self {
        Self { framing, reading: Reading::default(), out: Vec::new(), taken: 0 }
    }

    /// Waits for a message and appends it to `message`; `false` at the end of input. Until it is there nothing is taken.
    pub(crate) fn poll_recv<T: PollIo>(
        &mut self,
        core: &mut Core<T>,
        cx: &mut Context<'_>,
        message: &mut Vec<u8>,
    ) -> Poll<io::Result<bool>> {
        let found = loop {
            if let Some(found) = self.reading.next(core, &self.framing)? {
                break Some(found);
            }
            if ready!(core.poll_fill(cx))? == 0 {
                break self.reading.last(core, &self.framing)?;
            }
        };
        let Some(Found { body, len }) = found else { return Poll::Ready(Ok(false)) };
        message.extend_from_slice(&core.buffered()[body]);
        core.consume(len);
        Poll::Ready(Ok(true))
    }

    /// Puts a message behind what is on its way.
    pub(crate) fn feed(&mut self, message: &[u8]) -> io::Result<()> {
        let fed = self.framing.encode(message, &mut self.out);
        fed.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Gives what was fed to the stream, if it is much.
    pub(crate) fn poll_send_much<T: PollIo>(
        &mut self,
        core: &mut Core<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.out.len() < FULL { Poll::Ready(Ok(())) } else { self.poll_send(core, cx) }
    }

    /// Gives what was fed to the stream.
    pub(crate) fn poll_send<T: PollIo>(&mut self, core: &mut Core<T>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut rest = &self.out[self.taken..];
        let polled = core.poll_write_all(cx, &mut rest);
        self.taken = self.out.len() - rest.len();
        // After an error nothing is sent a second time: what reached the peer is not known.
        let sent = ready!(polled);
        self.taken = 0;
        self.out.clear();
        if self.out.capacity() > 2 * FULL {
            self.out = Vec::new();
        }
        Poll::Ready(sent)
    }

    /// The same, and the stream sends it.
    pub(crate) fn poll_flush<T: PollIo>(&mut self, core: &mut Core<T>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(core, cx))?;
        core.poll_flush(cx)
    }
}
