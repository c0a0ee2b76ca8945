use super::{Peer, Slot};
use socketserver_sys::SharedFd;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Instead of an endpoint, on the client's side.
pub(crate) const CLIENT: usize = usize::MAX;

/// A connection, as everybody who deals with it sees it: the pipeline that serves it, the drain that may have to end
/// it, the events that tell of it. The socket closes when the last of them lets go.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: SharedFd,
    pub(crate) slot: Slot,
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    /// Which of the server's endpoints it came in by, or [`CLIENT`].
    pub(crate) endpoint: usize,
    pub(crate) since: Instant,
    /// Which run of the server let it in.
    pub(crate) run: u64,
}

impl Connection {
    pub(crate) fn new(id: u64, socket: OwnedFd, peer: Peer, endpoint: usize, slot: Slot) -> Self {
        Self { id, peer, endpoint, since: Instant::now(), run: 0, slot, socket: SharedFd::new(socket) }
    }

    pub(crate) fn of_run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    /// On the server's side.
    pub(crate) fn is_served(&self) -> bool {
        self.endpoint != CLIENT
    }

    /// If the handler waits for the next request, or once it does, gives it the end of input.
    pub(crate) fn drain(&self) {
        if self.slot.drain() {
            let _ = self.shutdown(Shutdown::Read);
        }
    }

    /// If the handler has waited for its peer since before `epoch`, ends that.
    pub(crate) fn expire(&self, before: u64) {
        if self.slot.expire(before) {
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
