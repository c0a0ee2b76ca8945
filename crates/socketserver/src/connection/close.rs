//! The end of a connection.

use super::{Core, PollIo, Reason, Wait};
use crate::clock;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// At close the peer's last words are read and dropped, so that they do not reset the connection and take our last
/// reply with them: for this long and this much at most.
const READ_OUT_TIME: Duration = Duration::from_secs(1);
const READ_OUT_BYTES: usize = 256 * 1024;

/// Between two looks at whether the peer has taken all.
const LOOK: Duration = Duration::from_millis(1);

impl<T: PollIo> Core<T> {
    /// The end of a connection that the handler is through with: flush, half-close, read out what remains.
    ///
    /// Nothing in it is an error any more; a reply that could not be sent is recorded as the reason.
    pub(crate) async fn close(&mut self) {
        self.slot.begin_close();
        // Whatever wait the handler gave up is none of this one's.
        self.io.forget_waits();
        if self.fate.is_peer_gone() || poll_fn(|cx| self.poll_flush(cx)).await.is_err() {
            return;
        }
        let goodbye = poll_fn(|cx| match self.slot.is_cut() {
            true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            false => self.io.poll_goodbye(cx, self.terms.write),
        });
        if goodbye.await.is_err() {
            if self.slot.is_cut() {
                // The handler was through with it, but its peer may not have had all: that is why it ends.
                self.cut_off();
            }
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
            // In a box: it is seldom needed, and each connection has room for this future.
            Box::pin(self.take_leave(until)).await;
            Wait::Not
        } else if poll_fn(|cx| self.poll_close_write(cx)).await.is_ok() {
            Wait::Until(until)
        } else {
            return;
        };
        let mut left = READ_OUT_BYTES;
        poll_fn(|cx| self.poll_read_out(cx, wait, &mut left)).await;
        // The conversation was over: what happened to the rest of its input says nothing about why it ended.
    }

    /// The peer of a connection that the drain has ended gets what was written for it, and learns that nothing more comes.
    ///
    /// The socket is shut for reading, for that is what ended the wait. Once it is shut for writing as well, whatever the peer
    /// says resets it (RFC 1122, 4.2.2.13) and takes with it what has not left yet, or was lost on the way. So a peer that is
    /// saying something, or for which something waits here, is let take everything first. One that is silent and was sent all is
    /// told at once: it most likely has the reply, keeps its acknowledgement back (4.2.3.2), and would use that time to ask in
    /// vain.
    async fn take_leave(&mut self, until: Instant) {
        // In TLS it has been told already, and is about to say goodbye, too.
        let is_secure = self.io.is_secure();
        let mut left = READ_OUT_BYTES;
        // No event tells when it has taken all.
        while self.is_untaken() && clock::now() < until && !self.slot.is_cut() {
            // Each time, for it may take nothing before all that it says has gone.
            poll_fn(|cx| self.poll_read_out(cx, Wait::Not, &mut left)).await;
            let speaks = is_secure || left < READ_OUT_BYTES;
            if !speaks
                && !self.closed_write
                && matches!(self.io.unsent(), Ok(0))
                && poll_fn(|cx| self.poll_close_write(cx)).await.is_err()
            {
                return;
            }
            poll_fn(|cx| self.io.poll_rest(cx, LOOK)).await;
        }
    }

    /// The peer's side has not taken all that was written.
    fn is_untaken(&self) -> bool {
        self.io.untaken().is_ok_and(|bytes| bytes > 0)
    }

    /// Reads what the peer says and drops it, `left` bytes at most, to its end if `wait` lets that come.
    fn poll_read_out(&mut self, cx: &mut Context<'_>, wait: Wait, left: &mut usize) -> Poll<()> {
        while *left > 0 {
            self.input.clear();
            match ready!(self.io.poll_read_out(cx, self.input.room(), wait)) {
                Ok(count) if !self.slot.is_cut() && (count > 0 || self.io.packet().is_some()) => {
                    // How much it says in TLS is not known.
                    if !self.io.is_secure() {
                        self.slot.add_read(count);
                    }
                    *left = left.saturating_sub(count.max(1));
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;
    use crate::connection::{CLIENT, Connection, HANDSHAKE, Idle, Record, Slot, Steer, Terms};
    use crate::lifecycle::Handle;
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::task::Waker;

    /// The socket of a peer that has been answered and keeps its acknowledgement back until it learns of the end.
    #[derive(Default)]
    struct Reserved {
        /// What it has said meanwhile.
        said: Rc<Cell<usize>>,
        /// So often it says more once it was heard, and takes all after that.
        goes_on: Option<usize>,
        /// What does not leave.
        unsent: usize,
        told: bool,
        rests: usize,
    }

    impl PollIo for Reserved {
        const WAITS_INSIDE: bool = false;

        fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8], wait: Wait) -> Poll<io::Result<usize>> {
            match (self.said.take(), wait) {
                (0, Wait::Not) => Poll::Ready(Ok(0)),
                (0, _) => Poll::Pending,
                (said, _) => {
                    buf[..said].fill(b'x');
                    Poll::Ready(Ok(said))
                }
            }
        }

        fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8], _: Option<Duration>) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn untaken(&self) -> io::Result<usize> {
            Ok(usize::from(!self.told && self.rests < 40 && self.goes_on != Some(0)))
        }

        fn unsent(&self) -> io::Result<usize> {
            Ok(self.unsent)
        }

        fn poll_rest(&mut self, _: &mut Context<'_>, _: Duration) -> Poll<()> {
            self.rests += 1;
            if let (Some(times @ 1..), 0) = (&mut self.goes_on, self.said.get()) {
                *times -= 1;
                self.said.set(10);
            }
            Poll::Ready(())
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>, _: Option<Duration>) -> Poll<io::Result<()>> {
            self.told = true;
            Poll::Ready(Ok(()))
        }
    }

    fn reserved(io: Reserved) -> (Arc<Connection>, Core<Reserved>) {
        let record = Record::new(0, Peer::unnamed(), CLIENT, Slot::own());
        let connection = Arc::new(record.with(None));
        let terms = Terms { handle: Handle::nobodys(), idle: Idle::Own(None), write: None, handshake: HANDSHAKE };
        (connection.clone(), Core::new(io, connection, Arc::new(terms)))
    }

    /// Drains a connection whose handler waits for the next request, and tells whether the peer was told, and after how many
    /// rests the connection was over. In the meantime the peer says so many bytes.
    fn drained(said: usize, io: Reserved) -> (bool, usize) {
        let says = io.said.clone();
        let (connection, mut core) = reserved(io);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(core.poll_fill(cx).is_pending());
        connection.drain();
        assert!(matches!(core.poll_fill(cx), Poll::Ready(Ok(0))));
        says.set(said);
        assert!(pin!(core.close()).poll(cx).is_ready());
        (core.io().told, core.io().rests)
    }

    #[test]
    fn a_drain_tells_a_silent_peer_at_once() {
        assert_eq!(drained(0, Reserved::default()), (true, 1));
    }

    #[test]
    fn a_drain_lets_a_peer_that_speaks_take_its_replies_first() {
        assert_eq!(drained(10, Reserved::default()), (false, 40));
    }

    #[test]
    fn a_drain_hears_a_peer_to_its_end_that_takes_nothing_before() {
        assert_eq!(drained(10, Reserved { goes_on: Some(5), ..Reserved::default() }), (false, 5));
    }

    #[test]
    fn a_drain_tells_nobody_before_all_has_left() {
        assert_eq!(drained(0, Reserved { unsent: 1, ..Reserved::default() }), (false, 40));
    }

    #[test]
    fn a_cut_behind_the_handler_is_why_it_ends() {
        let (connection, mut core) = reserved(Reserved::default());
        connection.cut(Reason::Kicked);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(pin!(core.close()).poll(cx).is_ready());
        assert_eq!(core.fate.reason(), Some(Reason::Kicked));
        assert!(!core.io().told);
    }

    /// How much room the future has that `make` makes.
    fn room<'a, R>(_make: impl FnOnce(&'a mut Core<Reserved>) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn each_connection_has_room_for_its_end_and_no_more() {
        // Beyond this the task of an idle connection takes the allocator's next size.
        let needed = room(|core| core.close());
        assert!(needed <= 104, "{needed} bytes");
    }
}
