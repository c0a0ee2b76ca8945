use crate::clock;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// A peer that was told why it cannot come in, and is given the time to read it: closing at once would reset the
/// connection if it has sent something, and the reset would eat the words (RFC 1122, 4.2.2.13).
#[derive(Debug)]
pub(crate) struct Farewell {
    socket: OwnedFd,
    until: Instant,
    left: usize,
}

/// So many linger at a time.
pub(crate) const AT_A_TIME: usize = 64;
/// For this long and this much at most.
const TIME: Duration = Duration::from_secs(1);
const BYTES: usize = 256 * 1024;

impl Farewell {
    /// Says it. `None`: it could not be said whole.
    pub(crate) fn say(socket: OwnedFd, words: &[u8]) -> Option<Self> {
        let said = rustix::net::send(&socket, words, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        if said != Ok(words.len()) || rustix::net::shutdown(&socket, Shutdown::Write).is_err() {
            return None;
        }
        Some(Self { socket, until: clock::now() + TIME, left: BYTES })
    }

    /// Reads what is there and drops it. `None`: that was all, the socket closes. Otherwise until when to wait for more.
    pub(crate) fn go_on(mut self) -> Option<Self> {
        let mut dropped = [0; 16 * 1024];
        while self.left > 0 && clock::now() < self.until {
            match rustix::net::recv(&self.socket, &mut dropped, RecvFlags::DONTWAIT) {
                Ok((count @ 1.., _)) => self.left = self.left.saturating_sub(count),
                Err(Errno::AGAIN) => return Some(self),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return None,
            }
        }
        None
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }
}

impl AsFd for Farewell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
