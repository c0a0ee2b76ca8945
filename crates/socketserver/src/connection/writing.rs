//! What leaves a connection: at once, or gathered while more input waits to be answered.

use super::core::is_deadline;
use super::{Core, Idle, PollIo, pool};
use std::io;
use std::iter::Peekable;
use std::task::{Context, Poll, ready};

/// Beyond this much gathered output a write waits for the peer to take it.
const GATHER: usize = 64 * 1024;

impl<T: PollIo> Core<T> {
    /// Takes some of it, at least a byte: sends at once, or gathers while more input waits to be answered.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathers() || self.output.is_some() {
            let mut some = &bytes[..bytes.len().min(GATHER)];
            let count = some.len();
            // What was gathered goes with it; if that has to wait, nothing of this was taken.
            if self.gathered() + count > GATHER {
                ready!(self.poll_flush(cx))?;
            }
            self.may_write()?;
            // Nobody need come back for it, so it does not wait for its turn.
            self.has_turn = true;
            return match self.poll_write_all(cx, &mut some) {
                // What has left, or is gathered, is not to be given a second time.
                Poll::Pending if some.len() < count || count == 0 => Poll::Ready(Ok(count - some.len())),
                polled => polled.map_ok(|()| count),
            };
        }
        self.may_write()?;
        if bytes.is_empty() { Poll::Ready(Ok(0)) } else { self.poll_send(cx, bytes) }
    }

    /// Whether a write is kept until the input that was read is used up.
    #[inline]
    fn gathers(&self) -> bool {
        // On the client's side nobody is sure to come back for what was gathered.
        !self.input.is_empty() && self.connection.is_served()
    }

    #[inline]
    fn may_write(&self) -> io::Result<()> {
        if self.closed_write {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "this side has said that nothing more comes"));
        }
        Ok(())
    }

    /// Whether a message can be sent whole. After a write that failed the peer may have the beginning of another, or none.
    #[inline]
    fn may_send(&self) -> io::Result<()> {
        if self.fate.is_peer_gone() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the peer is gone, or has taken part of a message"));
        }
        self.may_write()
    }

    /// Takes all of it: sends at once, or gathers while more input waits to be answered. What is taken is cut off `bytes`.
    #[inline]
    pub(crate) fn poll_write_all(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<io::Result<()>> {
        self.may_write()?;
        let gathers = self.gathers();
        if gathers || self.output.is_some() {
            if self.gathered() + bytes.len() <= GATHER {
                self.output.get_or_insert_with(pool::take_output).extend_from_slice(bytes);
                *bytes = &[];
                return if gathers { Poll::Ready(Ok(())) } else { self.poll_flush_in_turn(cx) };
            }
            ready!(self.poll_flush(cx))?;
        }
        self.poll_write_out(cx, bytes)
    }

    /// Sends all of it, behind what was gathered. What is taken is cut off `bytes`.
    #[inline]
    pub(crate) fn poll_send_all(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<io::Result<()>> {
        self.may_send()?;
        if self.output.is_some() {
            ready!(self.poll_flush(cx))?;
        }
        self.poll_write_out(cx, bytes)
    }

    /// Sends packets, each whole and by itself. Those that have left are taken off.
    pub(crate) fn poll_send_packets<'a>(
        &mut self,
        cx: &mut Context<'_>,
        packets: &mut Peekable<impl Iterator<Item = &'a [u8]>>,
    ) -> Poll<io::Result<()>> {
        self.may_send()?;
        ready!(self.poll_turn(cx));
        while let Some(packet) = packets.peek() {
            ready!(self.poll_send(cx, packet))?;
            packets.next();
        }
        self.has_turn = false;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn poll_write_out(&mut self, cx: &mut Context<'_>, bytes: &mut &[u8]) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        while !bytes.is_empty() {
            let count = ready!(self.poll_send(cx, bytes))?;
            *bytes = &bytes[count..];
        }
        self.has_turn = false;
        self.poll_flush(cx)
    }

    #[inline(never)]
    fn poll_flush_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        let flushed = ready!(self.poll_flush(cx));
        self.has_turn = false;
        Poll::Ready(flushed)
    }

    /// Lets the tasks that are ready go before a write. So replies to several peers leave in a burst: whoever sleeps at the
    /// other end is woken once for many of them, where one by one it might be each time.
    #[inline]
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if T::WAITS_INSIDE || std::mem::replace(&mut self.has_turn, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What is written next is one of many that leave in a burst anyway.
    #[inline]
    pub(crate) fn skip_turn(&mut self) {
        self.has_turn = true;
    }

    /// Sends what was gathered, here or in the transport.
    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_none() && !self.io.gathers() { Poll::Ready(Ok(())) } else { self.poll_flush_all(cx) }
    }

    #[inline(never)]
    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_gathered(cx))?;
        if !self.io.gathers() {
            return Poll::Ready(Ok(()));
        }
        if self.slot.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        let flushed = ready!(self.io.poll_flush(cx, self.terms.write));
        Poll::Ready(flushed.map_err(|error| self.cannot_write(error)))
    }

    fn poll_send_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut output) = self.output.take() {
            match self.poll_send(cx, &output) {
                Poll::Ready(Ok(count)) if count < output.len() => {
                    output.drain(..count);
                    self.output = Some(output);
                }
                Poll::Ready(sent) => {
                    // After an error nothing is sent a second time: what reached the peer is not known.
                    pool::give_output(output);
                    sent?;
                }
                Poll::Pending => {
                    self.output = Some(output);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn gathered(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// Half-close: the peer sees the end of our output, and may go on sending.
    pub(crate) fn poll_close_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.poll_flush(cx));
        if !self.closed_write {
            if self.slot.is_cut() {
                return Poll::Ready(Err(self.cut_off()));
            }
            match ready!(self.io.poll_shutdown(cx, self.terms.write)) {
                Err(error) if is_deadline(&error) => return Poll::Ready(Err(self.fate.write_too_late())),
                // That there is nobody any more to tell that nothing comes is no reason to end.
                shut => shut?,
            }
            self.closed_write = true;
        }
        Poll::Ready(flushed)
    }

    #[inline]
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.waits && matches!(self.terms.idle, Idle::Watched) {
            // A read and a write at a time, in one task: as long as something moves neither is idle.
            self.slot.touch(self.terms.handle.epoch());
        }
        if self.slot.is_cut() {
            return Poll::Ready(Err(self.cut_off()));
        }
        let result = ready!(self.io.poll_write(cx, bytes, self.terms.write));
        Poll::Ready(match result {
            Ok(0) if !bytes.is_empty() => Err(self.fate.disconnected(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                self.slot.add_written(count);
                Ok(count)
            }
            Err(error) => Err(self.cannot_write(error)),
        })
    }

    #[cold]
    fn cannot_write(&mut self, error: io::Error) -> io::Error {
        if self.slot.is_cut() {
            return self.cut_off();
        }
        if is_deadline(&error) { self.fate.write_too_late() } else { self.fate.disconnected(error) }
    }
}
