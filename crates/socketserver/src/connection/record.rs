use super::{Peer, Reason, Slot};
use crate::clock;
use rustix::net::Shutdown;
use socketserver_sys::SharedFd;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Instead of an endpoint, on the client's side.
pub(crate) const CLIENT: usize = usize::MAX;

/// A connection, as everybody who deals with it sees it: the pipeline that serves it, the drain that may have to end
/// it, the events that tell of it. The socket closes when the last of them lets go.
#[derive(Debug)]
pub(crate) struct Connection {
    /// `None`: a transport of a user's own, that its task alone can deal with.
    socket: Option<SharedFd>,
    pub(crate) slot: Slot,
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    /// Which of the server's endpoints it came in by, or [`CLIENT`].
    pub(crate) endpoint: usize,
    pub(crate) since: Instant,
    /// Which run of the server let it in.
    pub(crate) run: u64,
    /// The task that serves it, on the async engine.
    task: OnceLock<Waker>,
}

impl Connection {
    pub(crate) fn new(id: u64, socket: Option<OwnedFd>, peer: Peer, endpoint: usize, slot: Slot) -> Self {
        let socket = socket.map(SharedFd::new);
        Self { id, peer, endpoint, since: clock::now(), run: 0, slot, socket, task: OnceLock::new() }
    }

    pub(crate) fn of_run(mut self, run: u64) -> Self {
        self.run = run;
        self
    }

    /// On the server's side.
    pub(crate) fn is_served(&self) -> bool {
        self.endpoint != CLIENT
    }

    /// Its socket, if it has one.
    pub(crate) fn socket(&self) -> Option<&SharedFd> {
        self.socket.as_ref()
    }

    /// How long it has been open.
    pub(crate) fn age(&self) -> Duration {
        clock::now().saturating_duration_since(self.since)
    }

    /// From now on this task is woken when something happens to the connection.
    pub(crate) fn serve_in(&self, task: &Waker) {
        let _ = self.task.set(task.clone());
    }

    /// If the handler waits for the next request, or once it does, gives it the end of input.
    pub(crate) fn drain(&self) {
        if self.slot.drain() {
            self.wake(Shutdown::Read);
        }
    }

    /// If the handler has waited for its peer since before `epoch`, ends that.
    pub(crate) fn expire(&self, before: u64) {
        if self.slot.expire(before) {
            self.wake(Shutdown::Read);
        }
    }

    /// If the handler waits for the first byte, ends that.
    pub(crate) fn expire_first_byte(&self) {
        if self.slot.expire_first_byte() {
            self.wake(Shutdown::Read);
        }
    }

    /// If a request comes too slowly, ends the wait for it; see [`Slot::expire_slow`].
    pub(crate) fn expire_slow(&self, epoch: u64, epochs: u64, least: u64) {
        if self.slot.expire_slow(epoch, epochs, least) {
            self.wake(Shutdown::Read);
        }
    }

    /// Ends every wait on the socket, now and from now on. `false`: somebody did before.
    pub(crate) fn cut(&self, why: Reason) -> bool {
        let first = self.slot.cut(why);
        if first {
            self.wake(Shutdown::Both);
        }
        first
    }

    /// Lets the side that serves it see what has happened.
    fn wake(&self, how: Shutdown) {
        if let Some(socket) = &self.socket {
            let _ = rustix::net::shutdown(socket, how);
        }
        // It may wait for something else than its peer.
        if let (Some(task), true) = (self.task.get(), how == Shutdown::Both || self.socket.is_none()) {
            task.wake_by_ref();
        }
    }
}
