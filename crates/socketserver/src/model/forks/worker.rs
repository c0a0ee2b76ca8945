use crate::admission::Admitted;
use crate::connection::Slot;
use crate::connection::pipeline::Ending;
use crate::datagram::Batch;
use socketserver_sys::Child;
use std::os::fd::OwnedFd;

/// A child, and what it does at the moment.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) child: Child,
    /// A pre-forked one is given its connections through this, and answers a byte when it is through with one.
    pub(super) feed: Option<OwnedFd>,
    /// What it serves. The parent keeps the connection open as long: it can end it, and when the child dies it closes.
    pub(super) serving: Option<Admitted>,
    /// Packets that it handles; it ends with them.
    pub(super) batch: Option<Batch>,
    /// It was told to end.
    pub(super) retired: bool,
    /// It did not take a connection: it is ending, though nobody told it to.
    pub(super) dead: bool,
    /// It has what the server shook hands with before.
    pub(super) outdated: bool,
}

impl Worker {
    pub(super) fn new(child: Child) -> Self {
        Self { child, feed: None, serving: None, batch: None, retired: false, dead: false, outdated: false }
    }

    /// It is given connections, now or once it is through with the one that it serves.
    pub(super) fn is_fed(&self) -> bool {
        self.feed.is_some() && !self.retired && !self.dead
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_fed() && self.serving.is_none()
    }

    /// Lets a pre-forked child see that no more connections come.
    pub(super) fn retire(&mut self) {
        if let (Some(feed), false) = (&self.feed, self.retired) {
            let _ = rustix::net::shutdown(feed, rustix::net::Shutdown::Write);
            self.retired = true;
        }
    }
}

/// How a child says that its connection ended.
pub(super) fn ending(slot: &Slot) -> Option<Ending> {
    slot.ended().map(|(reason, failure)| Ending::with(reason, failure))
}
