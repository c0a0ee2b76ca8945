use super::{Peer, Slot};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Instead of an endpoint, on the client's side.
pub(crate) const CLIENT: usize = usize::MAX;

/// A connection, as everybody who deals with it sees it: the pipeline that serves it, the drain that may have to end
/// it, the events that tell of it. The socket closes when the last of them lets go.
#[derive(Debug)]
// In this order what every read and write touches lies side by side: with many connections each line of it comes from far.
#[repr(C)]
pub(crate) struct Connection {
    socket: OwnedFd,
    pub(crate) slot: Slot,
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    /// Which of the server's endpoints it came in by, or [`CLIENT`].
    pub(crate) endpoint: usize,
    pub(crate) since: Instant,
    /// What `SO_RCVTIMEO` was when it came; `None` is the system's own, for ever.
    pub(crate) receive_timeout: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(id: u64, socket: OwnedFd, peer: Peer, endpoint: usize, slot: Slot) -> Self {
        Self { id, peer, endpoint, since: Instant::now(), slot, receive_timeout: None, socket }
    }

    pub(crate) fn with_receive_timeout(mut self, time: Option<Duration>) -> Self {
        self.receive_timeout = time;
        self
    }

    /// On the server's side.
    pub(crate) fn is_served(&self) -> bool {
        self.endpoint != CLIENT
    }

    /// If the handler waits for the next request, gives it the end of input.
    pub(crate) fn wake_if_waiting(&self) {
        if self.slot.wake() {
            let _ = self.shutdown(Shutdown::Read);
        }
    }

    /// Ends every wait on the socket, now and from now on.
    pub(crate) fn cut(&self) {
        self.slot.cut();
        let _ = self.shutdown(Shutdown::Both);
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        use rustix::net::Shutdown as How;
        let how = match how {
            Shutdown::Read => How::Read,
            Shutdown::Write => How::Write,
            Shutdown::Both => How::Both,
        };
        Ok(rustix::net::shutdown(&self.socket, how)?)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
