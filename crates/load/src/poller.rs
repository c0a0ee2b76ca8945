//! The one epoll instance of a load.

use std::io;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use socket2::Socket;

/// Events taken from the kernel at a time.
const BATCH: usize = 256;

/// Edge-triggered readiness of sockets, each known by a token.
///
/// An edge is told once: whoever is told reads until a read comes back short, and to the end of the stream when
/// [`Ready::closing`]. What arrives after that is an edge of its own.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// For waits that are to end sooner than a millisecond is over.
    alarm: Option<OwnedFd>,
}

/// The alarm's own.
const ALARM: u64 = u64::MAX;

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
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(BATCH), alarm: None })
    }

    /// The same, with an alarm: see [`wait_until_due`](Self::wait_until_due).
    pub(crate) fn with_alarm() -> io::Result<Self> {
        let mut poller = Self::new()?;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&poller.epoll, &alarm, epoll::EventData::new_u64(ALARM), flags)?;
        poller.alarm = Some(alarm);
        Ok(poller)
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
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if self.alarm.is_some() {
            // It has nothing to tell but that the wait is over.
            self.events.retain(|event| event.data.u64() != ALARM);
        }
        Ok(())
    }

    /// The same, and no longer than `due` if there is an alarm, to within some microseconds: epoll_wait(2) knows nothing
    /// shorter than a millisecond (and epoll_pwait2(2) is not on every Linux that this runs on).
    pub(crate) fn wait_until_due(&mut self, timeout: Duration, due: Option<Duration>) -> io::Result<()> {
        let (Some(alarm), Some(due)) = (&self.alarm, due) else { return self.wait(timeout) };
        if due >= timeout {
            return self.wait(timeout);
        }
        if due.is_zero() {
            return self.wait(due);
        }
        let value =
            Timespec { tv_sec: i64::try_from(due.as_secs()).unwrap_or(i64::MAX), tv_nsec: due.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Armed anew it is not ready any more, so nobody has to read it.
        timerfd_settime(alarm, TimerfdTimerFlags::empty(), &once)?;
        self.wait(timeout)
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
