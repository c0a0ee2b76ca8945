use super::slot::CLIENT;
use super::{Peer, Reason, Slot};
use crate::clock::Moment;
use once_cell::race::OnceBox;
use rustix::net::Shutdown;
use socketserver_sys::WithFd;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

/// A connection, as everybody who deals with it sees it: the pipeline that serves it, the drain that may have to end
/// it, the events that tell of it. The socket closes when the last of them lets go.
///
/// As small as can be, for there is one of it for each idle connection.
pub(crate) type Connection = WithFd<Record>;

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) slot: Slot,
    pub(crate) id: u64,
    /// Who is at the other end of the socket.
    peer: Peer,
    /// Who that is, once more is known of it than its address.
    introduced: OnceBox<Peer>,
    since: Moment,
    /// The task that serves it, on the async engine.
    task: OnceLock<Waker>,
}

// With its socket and the counts of an `Arc` it fills one of the allocator's smaller pieces; a word more, and each idle
// connection costs the next size.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Arc<Connection>>() * 2 + size_of::<Connection>() <= 104);

impl Record {
    pub(crate) fn new(id: u64, peer: Peer, endpoint: usize, slot: Slot) -> Self {
        let slot = slot.of_endpoint(endpoint);
        Self { id, peer, introduced: OnceBox::new(), since: Moment::now(), slot, task: OnceLock::new() }
    }

    /// Who is at the other end, as far as is known.
    pub(crate) fn peer(&self) -> &Peer {
        self.introduced.get().unwrap_or(&self.peer)
    }

    /// Somebody else speaks for this peer. The first introduction stays.
    pub(crate) fn introduce(&self, peer: Peer) {
        let _ = self.introduced.set(Box::new(peer));
    }

    /// The peer has shown who it is.
    #[cfg(feature = "tls")]
    pub(crate) fn identify(&self, identity: crate::Identity) {
        if let Err(identity) = self.peer().identify(identity) {
            self.introduce(self.peer.identified(identity));
        }
    }

    /// With its socket; `None`: a transport of a user's own, that its task alone can deal with.
    pub(crate) fn with(self, socket: Option<OwnedFd>) -> Connection {
        Connection::new(socket, self)
    }

    /// It was opened so long ago.
    pub(crate) fn aged(mut self, age: Duration) -> Self {
        self.since = self.since.before(age);
        self
    }

    pub(crate) fn of_run(mut self, run: u64) -> Self {
        self.slot = self.slot.of_run(run);
        self
    }

    /// Which of the server's endpoints it came in by, or [`CLIENT`].
    pub(crate) fn endpoint(&self) -> usize {
        self.slot.endpoint()
    }

    /// On the server's side.
    pub(crate) fn is_served(&self) -> bool {
        self.endpoint() != CLIENT
    }

    /// How long it has been open.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// From now on this task is woken when something happens to the connection.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn serve_in(&self, task: &Waker) {
        self.task.get_or_init(|| task.clone());
    }
}

/// What can be done to it from outside.
pub(crate) trait Steer {
    /// If the handler waits for the next request, or once it does, gives it the end of input.
    fn drain(&self);
    /// If the handler has waited for its peer since before `epoch`, ends that.
    fn expire(&self, before: u64);
    /// If the handler waits for the first byte, ends that.
    fn expire_first_byte(&self);
    /// If a request comes too slowly, ends the wait for it; see [`Slot::expire_slow`].
    fn expire_slow(&self, epoch: u64, epochs: u64, least: u64);
    /// Ends every wait on the socket, now and from now on. `false`: somebody did before.
    fn cut(&self, why: Reason) -> bool;
}

impl Steer for Connection {
    fn drain(&self) {
        if self.slot.drain() {
            wake(self, Shutdown::Read);
        }
    }

    fn expire(&self, before: u64) {
        if self.slot.expire(before) {
            wake(self, Shutdown::Read);
        }
    }

    fn expire_first_byte(&self) {
        if self.slot.expire_first_byte() {
            wake(self, Shutdown::Read);
        }
    }

    fn expire_slow(&self, epoch: u64, epochs: u64, least: u64) {
        if self.slot.expire_slow(epoch, epochs, least) {
            wake(self, Shutdown::Read);
        }
    }

    fn cut(&self, why: Reason) -> bool {
        let first = self.slot.cut(why);
        if first {
            wake(self, Shutdown::Both);
        }
        first
    }
}

/// Lets the side that serves it see what has happened.
fn wake(connection: &Connection, how: Shutdown) {
    if let Some(socket) = connection.descriptor() {
        let _ = rustix::net::shutdown(socket, how);
    }
    // It may wait for something else than its peer.
    if let (Some(task), true) = (connection.task.get(), how == Shutdown::Both || connection.descriptor().is_none()) {
        task.wake_by_ref();
    }
}
