use crate::runner::Place;
use crate::supervisor::{Ended, GRACE, How, STUBBORN};
use crate::{Limits, Outcome, Status};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use socketserver_sys::Watched;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Where a command said something: what a [`Run`] hands out, and what a [`Client`](crate::Client) is told.
///
/// ```
/// use socketserver_exec::Output;
/// let mut heard = (Vec::new(), Vec::new());
/// let mut sink = |output, bytes: &[u8]| match output {
///     Output::Stdout => heard.0.extend_from_slice(bytes),
///     Output::Stderr => heard.1.extend_from_slice(bytes),
/// };
/// sink(Output::Stderr, b"no such file");
/// assert_eq!(heard, (vec![], b"no such file".to_vec()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// On its standard output.
    Stdout,
    /// On its standard error.
    Stderr,
}

/// What [`Run::turn`] came to.
///
/// ```standalone_crate
/// use rustix::event::{PollFd, PollFlags, poll};
/// use socketserver_exec::{Job, Limits, Runner, Status, Turn, supervise_if_asked};
/// fn main() -> std::io::Result<()> {
///     supervise_if_asked();
///     let mut run = Runner::new()?.start(&Job::new(["/bin/true"]), Limits::default())?;
///     let outcome = loop {
///         match run.turn(&mut |_, _| {})? {
///             Turn::Over(outcome) => break outcome,
///             Turn::Again => {}
///             Turn::Wait => drop(poll(&mut [PollFd::new(&run, PollFlags::IN)], None)?),
///         }
///     };
///     assert_eq!(outcome.status, Status::Exited(0));
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// Nothing is to be done until its descriptor is readable.
    Wait,
    /// There may be more to do.
    Again,
    /// The command is over, with all that it has started.
    Over(Outcome),
}

/// A command that runs. What it says is handed out as it comes, its standard output and standard error apart.
///
/// [`wait`](Self::wait) runs it to its end on this thread, [`finish`](Self::finish) in an async handler. Both are a loop
/// around [`turn`](Self::turn), which never waits, and its descriptor ([`AsFd`]), which is readable whenever `turn` has
/// something to do; the time limit is part of that. Whoever does not call `turn` holds the command up in its writes.
///
/// Dropping it ends the command and all that it has started, without waiting for that: TERM, and after two seconds KILL. The
/// same happens when this process dies, however that comes about.
///
/// ```standalone_crate
/// use socketserver_exec::{Job, Limits, Output, Runner, Status, supervise_if_asked};
/// fn main() -> std::io::Result<()> {
///     supervise_if_asked();
///     let mut run = Runner::new()?.start(&Job::shell("echo out; echo err >&2; sleep 1000"), Limits::default())?;
///     let (mut out, mut err) = (Vec::new(), Vec::new());
///     // Enough was heard: stop it.
///     while out.is_empty() || err.is_empty() {
///         run.turn(&mut |output, bytes| match output {
///             Output::Stdout => out.extend_from_slice(bytes),
///             Output::Stderr => err.extend_from_slice(bytes),
///         })?;
///     }
///     run.stop();
///     assert_eq!(run.wait(&mut |_, _| {})?.status, Status::Stopped);
///     assert_eq!((&out[..], &err[..]), (&b"out\n"[..], &b"err\n"[..]));
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Run {
    /// All the others in one.
    epoll: OwnedFd,
    timer: OwnedFd,
    control: OwnedFd,
    /// Its standard output and standard error, until their ends.
    pipes: [Option<OwnedFd>; 2],
    supervisor: Option<Supervisor>,
    piece: Box<[u8]>,
    /// How many bytes more are handed out.
    room: u64,
    cut: bool,
    ended: Option<Ended>,
    /// Once it is over: how many bytes of each pipe are still to be taken, and for how long it has run.
    rest: Option<([u64; 2], Duration)>,
    /// Why it was ended by us.
    why: Option<Status>,
    began: Instant,
    /// Last, for it makes room for the next.
    place: Place,
}

#[derive(Debug)]
struct Supervisor {
    child: Child,
    pidfd: OwnedFd,
}

const OUTPUTS: [Output; 2] = [Output::Stdout, Output::Stderr];
const SUPERVISOR: u64 = 2;
const TIMER: u64 = 3;
const CONTROL: u64 = 4;
const PEER: u64 = 5;
const SOURCES: usize = 6;

/// As much as a pipe holds.
const PIECE: usize = 64 * 1024;
/// A supervisor that does not come to an end in the time that it should take and this is killed.
const SLACK: Duration = Duration::from_secs(3);

impl Run {
    pub(crate) fn new(control: OwnedFd, pipes: [OwnedFd; 2], limits: Limits, place: Place) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        for (token, pipe) in (0..).zip(&pipes) {
            epoll::add(&epoll, pipe, EventData::new_u64(token), EventFlags::IN)?;
        }
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(&epoll, &control, EventData::new_u64(CONTROL), EventFlags::IN)?;
        let run = Self {
            epoll,
            timer,
            control,
            pipes: pipes.map(Some),
            supervisor: None,
            piece: vec![0; PIECE].into(),
            room: limits.output.bytes(),
            cut: false,
            ended: None,
            rest: None,
            why: None,
            began: Instant::now(),
            place,
        };
        if let Some(timeout) = limits.timeout {
            run.ring_after(timeout)?;
        }
        Ok(run)
    }

    pub(crate) fn has_supervisor(&mut self, child: Child) -> io::Result<()> {
        // Not waited for yet, so the number is its own.
        match rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => {
                let pidfd = &self.supervisor.insert(Supervisor { child, pidfd }).pidfd;
                epoll::add(&self.epoll, pidfd, EventData::new_u64(SUPERVISOR), EventFlags::IN)?;
                Ok(())
            }
            Err(error) => {
                self.place.adopt(child);
                Err(error.into())
            }
        }
    }

    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Ends the command when the peer of this socket has left, or has said that it sends nothing more: of TCP the two look
    /// alike.
    ///
    /// # Errors
    /// What `epoll_ctl(2)` says.
    pub fn until_left(&mut self, peer: impl AsFd) -> io::Result<()> {
        // Hanging up and errors are always told. Once, for it stays so.
        Ok(epoll::add(&self.epoll, peer, EventData::new_u64(PEER), EventFlags::RDHUP | EventFlags::ONESHOT)?)
    }

    /// Ends the command and all that it has started: TERM, and after two seconds KILL. It is over when
    /// [`turn`](Self::turn) says so.
    pub fn stop(&mut self) {
        self.stop_for(Status::Stopped);
    }

    fn stop_for(&mut self, why: Status) {
        if self.why.is_some() || self.ended.is_some() {
            return;
        }
        self.why = Some(why);
        self.ask_for_the_end();
        let _ = self.ring_after(GRACE + STUBBORN + SLACK);
    }

    fn ask_for_the_end(&self) {
        // If it is gone, that is seen too.
        let _ = rustix::net::send(&self.control, b"end", SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        if let Some(supervisor) = &self.supervisor {
            // Its command can have stopped it.
            let _ = rustix::process::pidfd_send_signal(&supervisor.pidfd, Signal::CONT);
        }
    }

    fn ring_after(&self, time: Duration) -> io::Result<()> {
        // Zero would be never, and what is beyond the clock is never too.
        let time = time.max(Duration::from_nanos(1));
        let Ok(it_value) = Timespec::try_from(time) else { return Ok(()) };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Does what is to be done now, and never waits. What the command said is handed to `sink`.
    ///
    /// # Errors
    /// Want of memory.
    pub fn turn(&mut self, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Turn> {
        if self.rest.is_some() {
            return Ok(self.drain(sink));
        }
        let mut events = Vec::with_capacity(SOURCES);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&now)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Turn::Again),
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                SUPERVISOR => self.bury(),
                TIMER => self.ring(),
                CONTROL => self.listen(),
                PEER => self.stop_for(Status::Disconnected),
                pipe => {
                    self.read(usize::from(pipe != 0), PIECE, sink);
                }
            }
        }
        if !self.is_over() {
            return Ok(if events.is_empty() { Turn::Wait } else { Turn::Again });
        }
        // What is in the pipes by now. They end here, even if somebody beyond the tree was handed a copy and writes on.
        let waiting =
            |pipe: &Option<OwnedFd>| pipe.as_ref().map_or(0, |pipe| rustix::io::ioctl_fionread(pipe).unwrap_or(0));
        self.rest = Some(([waiting(&self.pipes[0]), waiting(&self.pipes[1])], self.began.elapsed()));
        // In turns of their own: a command can have made a pipe longer (`F_SETPIPE_SZ`).
        Ok(Turn::Again)
    }

    /// Takes a piece of what is left of each pipe.
    fn drain(&mut self, sink: &mut impl FnMut(Output, &[u8])) -> Turn {
        let Some((mut rest, ran)) = self.rest else { return Turn::Again };
        for (at, rest) in rest.iter_mut().enumerate() {
            let most = usize::try_from(*rest).unwrap_or(PIECE).min(PIECE);
            if most == 0 {
                continue;
            }
            *rest = match self.read(at, most, sink) {
                // Somebody else has taken it, or no more of it is wanted.
                0 => 0,
                _ if self.pipes[at].is_none() => 0,
                taken => rest.saturating_sub(taken),
            };
        }
        self.rest = Some((rest, ran));
        if rest == [0, 0] { Turn::Over(self.outcome(ran)) } else { Turn::Again }
    }

    /// All processes have ended, and the supervisor was waited for; or some cannot be ended, and it stays with them.
    fn is_over(&self) -> bool {
        self.supervisor.is_none() || self.ended.is_some_and(|ended| ended.left > 0)
    }

    /// Takes a piece of what was said, `most` bytes of it, and tells how many they were. At its end the pipe is gone.
    fn read(&mut self, at: usize, most: usize, sink: &mut impl FnMut(Output, &[u8])) -> u64 {
        let Some(pipe) = &self.pipes[at] else { return 0 };
        let count = match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut self.piece[..most])) {
            Ok(count) => count,
            Err(Errno::AGAIN) => return 0,
            Err(_) => 0,
        };
        if count == 0 {
            self.pipes[at] = None;
            return 0;
        }
        let taken = count.min(usize::try_from(self.room).unwrap_or(usize::MAX));
        self.room -= taken as u64;
        if taken > 0 {
            sink(OUTPUTS[at], &self.piece[..taken]);
        }
        if taken < count {
            self.cut = true;
            self.pipes = [None, None];
        }
        count as u64
    }

    /// The supervisor has something to say, or has closed: then it has ended, or is about to.
    fn listen(&mut self) {
        let mut bytes = [0; Ended::SIZE];
        match rustix::net::recv(&self.control, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                let _ = epoll::delete(&self.epoll, &self.control);
            }
            Ok((count, _)) => self.ended = Ended::from_bytes(&bytes[..count]).or(self.ended),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                let _ = epoll::delete(&self.epoll, &self.control);
            }
        }
    }

    /// The supervisor has ended.
    fn bury(&mut self) {
        if self.ended.is_none() {
            // The last that it said may not have been heard yet.
            self.listen();
        }
        if let Some(mut supervisor) = self.supervisor.take() {
            let _ = supervisor.child.wait();
        }
    }

    fn ring(&mut self) {
        let mut count = [0; 8];
        if rustix::io::read(&self.timer, &mut count).is_err() {
            return;
        }
        if self.why.is_none() {
            self.stop_for(Status::TimedOut);
        } else if let Some(supervisor) = &self.supervisor {
            // Somebody has stopped it again, for one.
            let _ = rustix::process::pidfd_send_signal(&supervisor.pidfd, Signal::KILL);
        }
    }

    fn outcome(&self, duration: Duration) -> Outcome {
        let told = self.ended.map_or(Status::Lost, |ended| match ended.how {
            How::Exited(status) => Status::Exited(status),
            How::Killed(signal) => Status::Killed(signal),
            How::NotStarted(errno) => Status::NotStarted(errno),
            How::TimedOut => Status::TimedOut,
        });
        Outcome {
            status: self.why.unwrap_or(told),
            cut: self.cut,
            left: self.ended.map_or(0, |ended| ended.left),
            duration,
        }
    }

    /// Runs it to its end on this thread.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn wait(&mut self, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome> {
        loop {
            match self.turn(sink)? {
                Turn::Over(outcome) => return Ok(outcome),
                Turn::Again => {}
                Turn::Wait => match rustix::event::poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    /// Runs it to its end, inside a tokio runtime. Cancel-safe: what was not handed out yet waits.
    ///
    /// # Errors
    /// As [`turn`](Self::turn), and when no descriptor is left to watch it with.
    pub async fn finish(&mut self, sink: &mut impl FnMut(Output, &[u8])) -> io::Result<Outcome> {
        let watched = Watched::for_reading(self.epoll.try_clone()?)?;
        loop {
            match self.turn(sink)? {
                Turn::Over(outcome) => return Ok(outcome),
                // Others have their turn too.
                Turn::Again => give_way().await,
                // It was looked at after the last time that this was readable: what came since then is told.
                Turn::Wait => poll_fn(|cx| watched.poll_read_ready(cx)).await?.clear_ready(),
            }
        }
    }
}

/// Lets the other tasks of this thread go on first.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The descriptor that is readable whenever [`turn`](Run::turn) has something to do.
impl AsFd for Run {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It sees the end of its socket too, when that is closed, in a moment.
        self.ask_for_the_end();
        if let Some(supervisor) = self.supervisor.take() {
            self.place.adopt(supervisor.child);
        }
    }
}
