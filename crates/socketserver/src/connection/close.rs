//! The end of a connection.

use super::{Core, PollIo, Reason, Wait};
use crate::clock;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// At close the peer's last words are read and dropped, so that they do not reset the connection and take our last
/// reply with them: for this long and this much at most.
const READ_OUT_TIME: Duration = Duration::from_secs(1);
const READ_OUT_BYTES: usize = 256 * 1024;

impl<T: PollIo> Core<T> {
    /// The end of a connection that the handler is through with: flush, half-close, read out what remains.
    ///
    /// Nothing in it is an error any more; a reply that could not be sent is recorded as the reason.
    pub(crate) async fn close(&mut self) {
        self.slot.begin_close();
        // Whatever wait the handler gave up is none of this one's.
        self.io.forget_waits();
        if self.fate.is_peer_gone() || self.slot.is_cut() || poll_fn(|cx| self.poll_flush(cx)).await.is_err() {
            return;
        }
        let goodbye = poll_fn(|cx| {
            if self.slot.is_cut() {
                return Poll::Ready(Err(self.cut_off()));
            }
            self.io.poll_goodbye(cx, self.terms.write)
        });
        if goodbye.await.is_err() {
            return;
        }
        let by_drain = self.ended && self.fate.reason() == Some(Reason::Drained);
        if (self.ended || self.expired.is_some()) && self.io.ends_itself() {
            // It may have a goodbye of its own to say. There is nothing to read out.
            let _ = poll_fn(|cx| self.poll_close_write(cx)).await;
            return;
        }
        if (self.ended && !by_drain) || self.expired.is_some() {
            // Closing the socket says all that a half-close would.
            return;
        }
        let until = clock::now() + READ_OUT_TIME;
        let wait = if by_drain {
            // The socket is shut for reading. If it were for writing as well, the peer's next request, which nobody will
            // answer, would reset it at once (RFC 1122, 4.2.2.13) and take with it what is still on its way.
            let _ = poll_fn(|cx| self.io.poll_taken(cx, until)).await;
            self.ended = false;
            Wait::Not
        } else if poll_fn(|cx| self.poll_close_write(cx)).await.is_ok() {
            Wait::Until(until)
        } else {
            return;
        };
        let mut left = READ_OUT_BYTES;
        while left > 0 {
            self.input.clear();
            let room = self.input.room();
            match poll_fn(|cx| self.io.poll_read_out(cx, room, wait)).await {
                Ok(count) if !self.slot.is_cut() && (count > 0 || self.io.packet().is_some()) => {
                    // How much it says in TLS is not known.
                    if !self.io.is_secure() {
                        self.slot.add_read(count);
                    }
                    left = left.saturating_sub(count.max(1));
                }
                _ => break,
            }
        }
        // The conversation was over: what happened to the rest of its input says nothing about why it ended.
    }
}
