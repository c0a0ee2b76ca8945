use super::Mailbox;
use crate::datagram::DatagramSocket;
use socketserver_sys::Wake;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A session that no thread serves yet.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) socket: Arc<DatagramSocket>,
}

/// Sessions that wait for a thread, and a descriptor that is readable while there are any.
#[derive(Debug)]
pub(crate) struct Newcomers {
    queue: Mutex<VecDeque<Newcomer>>,
    wake: Wake,
}

impl Newcomers {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { queue: Mutex::default(), wake: Wake::new()? })
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Newcomer>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, newcomer: Newcomer) {
        let mut queue = self.queue();
        // Those that were evicted while they waited are nobody's, and as many as sessions may be let in meanwhile.
        if queue.len() >= 64 && queue.len() == queue.capacity() {
            queue.retain(|newcomer| !newcomer.mailbox.is_over());
        }
        queue.push_back(newcomer);
        self.wake.wake();
    }

    /// The first one, whatever is to become of it.
    pub(crate) fn pop_one(&self) -> Option<Newcomer> {
        self.queue().pop_front()
    }

    /// The first one that still is to be served.
    pub(crate) fn pop(&self) -> Option<Newcomer> {
        let mut queue = self.queue();
        let newcomer = std::iter::from_fn(|| queue.pop_front()).find(|newcomer| newcomer.mailbox.start());
        if queue.is_empty() {
            self.wake.clear();
        }
        newcomer
    }
}

impl AsFd for Newcomers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
