use super::listener::Listener;
use crate::datagram::session::Newcomers;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use socketserver_sys::{Forked, Wake, disown};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All listeners of a server, and one epoll descriptor over them and over the wish to stop.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) all: Vec<Listener>,
    epoll: OwnedFd,
}

/// An event wakes one thread, and no other until that one has accepted: so no connection wakes two, and none is overseen.
const ONE_READER: EventFlags = EventFlags::IN.union(EventFlags::ONESHOT);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Stand for what are no listeners, among their indices.
const STOP: u64 = u64::MAX;
const NEWCOMERS: u64 = u64::MAX - 1;

/// What there is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// That listener.
    At(usize),
    /// Sessions wait for a thread.
    Newcomers,
}

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
        if let Some(descriptor) = listener.descriptor() {
            epoll::add(&self.epoll, descriptor, EventData::new_u64(self.all.len() as u64), ONE_READER)?;
        }
        self.all.push(listener);
        Ok(())
    }

    /// Waits until a listener can accept, the stop descriptor is readable or the time has come. Any number of threads
    /// may wait: a listener is reported to one of them, and then to nobody until it is [armed](Self::arm) again.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Option<Waits>> {
        let mut event = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(STOP) }];
        // A longer one would need a call that Linux 5.10 lacks (epoll_pwait2(2)); whoever waits looks again.
        let timeout = until.map(|until| timespec_until(until.min(Instant::now() + A_DAY)));
        match epoll::wait(&self.epoll, &mut event[..], timeout.as_ref()) {
            Ok(1) => Ok(match event[0].data.u64() {
                STOP => None,
                NEWCOMERS => Some(Waits::Newcomers),
                index => usize::try_from(index).ok().map(Waits::At),
            }),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reports newcomers as well, until [`report_no_newcomers`](Self::report_no_newcomers).
    pub(crate) fn report_newcomers(&self, newcomers: &Newcomers) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, newcomers, EventData::new_u64(NEWCOMERS), ONE_READER)?)
    }

    pub(crate) fn report_no_newcomers(&self, newcomers: &Newcomers) {
        // It fails for want of memory alone.
        let _ = epoll::delete(&self.epoll, newcomers);
    }

    /// Reports no packets any more, for somebody else waits for them: until that is dropped. A socket calls on everybody who
    /// watches it for each packet that comes, and each that leaves.
    pub(crate) fn leave_packets(self: &Arc<Self>) -> io::Result<LeftPackets> {
        let left = LeftPackets(self.clone());
        self.all.iter().filter_map(Listener::packets).try_for_each(|socket| epoll::delete(&self.epoll, socket))?;
        Ok(left)
    }

    fn take_packets(&self) {
        for (index, listener) in self.all.iter().enumerate() {
            if let Some(socket) = listener.packets() {
                // It fails for want of memory, or where it was not left.
                let _ = epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), ONE_READER);
            }
        }
    }

    /// As [`arm`](Self::arm), for newcomers.
    pub(crate) fn arm_newcomers(&self, newcomers: &Newcomers) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, newcomers, EventData::new_u64(NEWCOMERS), ONE_READER)?)
    }

    /// A listener that was reported may be reported again: at once, to another thread, if more connections wait.
    pub(crate) fn arm(&self, index: usize) -> io::Result<()> {
        let Some(descriptor) = self.all[index].descriptor() else { return Ok(()) };
        Ok(epoll::modify(&self.epoll, descriptor, EventData::new_u64(index as u64), ONE_READER)?)
    }

    /// In a forked child: lets go of every listener.
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        disown(child, &self.epoll)?;
        self.all.iter().try_for_each(|listener| listener.disown(child))
    }
}

/// Packets are somebody else's; see [`Listeners::leave_packets`].
#[derive(Debug)]
pub(crate) struct LeftPackets(Arc<Listeners>);

impl Drop for LeftPackets {
    fn drop(&mut self) {
        self.0.take_packets();
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
