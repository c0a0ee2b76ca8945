use super::listener::Listener;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use socketserver_sys::Wake;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// All listeners of a server, and one epoll descriptor over them and over the wish to stop.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) all: Vec<Listener>,
    epoll: OwnedFd,
}

/// Stands for the wakeup descriptor among the listeners' indices.
const STOP: u64 = u64::MAX;
/// How many listeners one wait can report; the others come with the next.
const BATCH: usize = 16;

impl Listeners {
    pub(crate) fn new(all: Vec<Listener>, stop: &Wake) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
        let mut new = Self { all: Vec::with_capacity(all.len()), epoll };
        for listener in all {
            new.push(listener)?;
        }
        Ok(new)
    }

    pub(crate) fn push(&mut self, listener: Listener) -> io::Result<()> {
        epoll::add(&self.epoll, &listener, EventData::new_u64(self.all.len() as u64), EventFlags::IN)?;
        self.all.push(listener);
        Ok(())
    }

    /// Waits until a listener can accept, the stop descriptor is readable or the time has come. Fills `ready` with the
    /// listeners' indices.
    pub(crate) fn wait(&self, ready: &mut Vec<usize>, until: Option<Instant>) -> io::Result<()> {
        ready.clear();
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let timeout = until.map(timespec_until);
        match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok(count) => {
                let indices = events[..count].iter().map(|event| event.data.u64()).filter(|index| *index != STOP);
                ready.extend(indices.filter_map(|index| usize::try_from(index).ok()));
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// In a forked child: lets go of every listener.
    pub(crate) fn disown(&self) -> io::Result<()> {
        socketserver_sys::disown(&self.epoll)?;
        self.all.iter().try_for_each(Listener::disown)
    }
}

/// Readable when a connection waits on any endpoint, or a stop was asked for.
impl AsFd for Listeners {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What is left until then; nothing, when it has passed.
pub(crate) fn timespec_until(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now());
    Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) }
}

/// Waits for any of the descriptors to be readable, or for the time. Which one it was is in `fds`.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<usize> {
    loop {
        let timeout = until.map(timespec_until);
        match rustix::event::poll(fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => fds.iter_mut().for_each(PollFd::clear_revents),
            result => return Ok(result?),
        }
    }
}

/// Readable, in error, or hung up: something to look at.
pub(crate) fn is_ready(fd: &PollFd<'_>) -> bool {
    !fd.revents().is_empty()
}

pub(crate) fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}
