//! The one epoll instance of a load.

use std::io;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use socket2::Socket;

/// Events taken from the kernel at a time.
const BATCH: usize = 256;

/// Edge-triggered readiness of sockets, each known by a token.
///
/// An edge is told once: whoever is told reads until a read comes back short, and to the end of the stream when
/// [`Ready::closing`]. What arrives after that is an edge of its own.
pub(crate) struct Poller {
    epoll: rustix::fd::OwnedFd,
    events: Vec<epoll::Event>,
}

/// What a socket is ready for. An error or a hang-up counts as all of it, so that the next call finds out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends no more, or the connection is broken: there is an end to be read behind the data.
    pub(crate) closing: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(BATCH) })
    }

    /// Watches for reading, for the peer's close and, if `write`, for writing. Closing the socket ends it.
    pub(crate) fn add(&self, socket: &Socket, token: usize, write: bool) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        flags.set(epoll::EventFlags::OUT, write);
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token as u64), flags)?)
    }

    /// Waits at most `timeout`, rounded up to a millisecond, so that a deadline has passed when it returns.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.events.clear();
        let millis = i64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// One of the last wait's events; each socket has at most one.
    pub(crate) fn ready(&self, place: usize) -> Ready {
        let event = self.events[place];
        let flags = event.flags;
        let broken = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        Ready {
            token: event.data.u64() as usize,
            readable: flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP | broken),
            writable: flags.intersects(epoll::EventFlags::OUT | broken),
            closing: flags.intersects(epoll::EventFlags::RDHUP | broken),
        }
    }
}
