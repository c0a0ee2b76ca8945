//! A process of its own for each command: everything that the command starts is its descendant for good, so what belongs to
//! which command is certain, and all of it can be ended.
//!
//! It is this program, executed again. It talks with the server over the socket that is its standard input:
//!
//! | from | message | meaning |
//! |---|---|---|
//! | server | a descriptor, and a time in ms | the one is held to the end: when all are closed no supervisor is left; the other is how long the command may take, 0 for ever |
//! | server | a job | run it |
//! | server | anything, or the end | end it: TERM, two seconds, KILL |
//! | supervisor | [`Ended`] | how the command ended; all of its processes have |
//!
//! The command is over when its first process has ended: what that leaves behind is ended in the same way. The server looks
//! after the time too; but it may wait, to the end of that time and beyond, for a client that does not take what was said.

mod tree;

use crate::Job;
use crate::job;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use socketserver_sys::ChildSignals;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What it is called in lists of processes, and how it knows itself.
pub(crate) const NAME: &str = "socketserver-exec-supervisor";

/// Between TERM and KILL.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// So long after KILL what is still there is reported as left.
pub(crate) const STUBBORN: Duration = Duration::from_secs(2);

/// In place of a number of milliseconds.
pub(crate) const NO_LIMIT: u64 = 0;

/// Whether [`supervise_if_asked`] was called.
static ASKED: AtomicBool = AtomicBool::new(false);

/// How a command ended, as its supervisor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// How many children cannot be killed.
    pub(crate) left: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Exited(i32),
    Killed(i32),
    NotStarted(i32),
    /// It took longer than it may, and was ended.
    TimedOut,
}

impl Ended {
    pub(crate) const SIZE: usize = 9;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let (tag, number) = match self.how {
            How::Exited(status) => (b'e', status),
            How::Killed(signal) => (b'k', signal),
            How::NotStarted(errno) => (b'n', errno),
            How::TimedOut => (b't', 0),
        };
        let mut bytes = [tag; Self::SIZE];
        bytes[1..5].copy_from_slice(&number.to_ne_bytes());
        bytes[5..].copy_from_slice(&self.left.to_ne_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (number, left) = rest.split_first_chunk()?;
        let number = i32::from_ne_bytes(*number);
        let how = match tag {
            b'e' => How::Exited(number),
            b'k' => How::Killed(number),
            b'n' => How::NotStarted(number),
            b't' => How::TimedOut,
            _ => return None,
        };
        Some(Self { how, left: u32::from_ne_bytes(left.try_into().ok()?) })
    }
}

/// Is the supervisor of a command, if this process was started as one, and then does not return. Call it first in `main`: a
/// [`Runner`](crate::Runner) executes the program again, and relies on that.
///
/// ```standalone_crate
/// fn main() -> std::io::Result<()> {
///     socketserver_exec::supervise_if_asked();
///     let runner = socketserver_exec::Runner::new()?;
///     // … and now whatever the program does.
///     Ok(())
/// }
/// ```
pub fn supervise_if_asked() {
    if std::env::args_os().next().is_none_or(|name| name != NAME) {
        ASKED.store(true, Ordering::Relaxed);
        return;
    }
    let control = rustix::stdio::stdin();
    let ended = supervise(control).unwrap_or_else(|error| {
        // Nothing was started.
        let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
        Some(Ended { how: How::NotStarted(errno), left: 0 })
    });
    if let Some(ended) = ended {
        tell(control, ended);
    }
    std::process::exit(0)
}

/// Whether this program knows of supervisors.
pub(crate) fn is_prepared() -> bool {
    ASKED.load(Ordering::Relaxed)
}

fn tell(control: BorrowedFd<'_>, ended: Ended) {
    // The server may be gone; then nobody wants to know.
    let _ = rustix::net::send(control, &ended.to_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

/// Runs the command that comes, to the end of all its processes. An error: it was not started. `None`: all was told.
fn supervise(control: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    let signals = ChildSignals::block_all()?;
    socketserver_sys::keep_descriptors()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::process::chdir("/")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let Some((_alive, millis)) = socketserver_sys::receive_descriptor(control)? else { return Ok(None) };
    let mut bytes = vec![0; job::LONGEST];
    let (count, _) = rustix::io::retry_on_intr(|| rustix::net::recv(control, &mut bytes, RecvFlags::empty()))?;
    let job = Job::from_bytes(&bytes[..count]).ok_or(io::ErrorKind::InvalidData)?;
    let command = start(&job)?;
    // Their other ends are the server's: it is to see the end when no process of the command has them any more.
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let kept = null.and_then(|null| {
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)
    });
    let limit = (millis != NO_LIMIT).then(|| Duration::from_millis(millis));
    // What is beyond the clock is never.
    let until = limit.and_then(|limit| Instant::now().checked_add(limit));
    let watch =
        Watch { control, signals, command, until, timed_out: false, status: None, stage: Stage::Runs, told: false };
    // Without it the server would wait for an end that never comes.
    Ok(watch.until_end(kept.is_err()))
}

fn start(job: &Job) -> io::Result<Pid> {
    let [program, arguments @ ..] = job.argv() else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(job.variables()).current_dir(job.place()).stdin(Stdio::null());
    let child = socketserver_sys::spawn_session(&mut command)?;
    Ok(Pid::from_child(&child))
}

struct Watch<'a> {
    control: BorrowedFd<'a>,
    signals: ChildSignals,
    command: Pid,
    /// When its time is up.
    until: Option<Instant>,
    timed_out: bool,
    /// How its first process ended.
    status: Option<WaitStatus>,
    stage: Stage,
    /// The server was told, though some are left.
    told: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Runs,
    /// Everyone was asked to end, and has until then.
    Asked(Instant),
    /// Everyone is killed, again and again, since then.
    Killed(Instant),
}

impl Watch<'_> {
    fn until_end(mut self, mut end: bool) -> Option<Ended> {
        let mut pause = Duration::from_millis(1);
        loop {
            self.signals.clear();
            if self.reap() {
                return self.ended(0).filter(|_| !self.told);
            }
            self.stage = match self.stage {
                Stage::Runs if end || self.status.is_some() || self.is_late() => {
                    self.timed_out = !end && self.status.is_none();
                    // One that was stopped would not hear it.
                    tree::signal(&[Signal::TERM, Signal::CONT]);
                    Stage::Asked(Instant::now() + GRACE)
                }
                Stage::Asked(until) if Instant::now() >= until => Stage::Killed(Instant::now()),
                stage => stage,
            };
            let wait = match self.stage {
                Stage::Runs => self.until.map(|until| until.saturating_duration_since(Instant::now())),
                Stage::Asked(until) => Some(until.saturating_duration_since(Instant::now())),
                Stage::Killed(since) => {
                    let left = tree::signal(&[Signal::KILL]);
                    self.tell_of_left(since, left);
                    // Those that have just been forked are met the next time; those that cannot be killed are not waited for
                    // with a loop that never rests.
                    pause = (pause * 2).min(Duration::from_millis(100));
                    Some(pause)
                }
            };
            end |= self.wait(wait, !end);
        }
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits for all children that have ended. `true`: there are none left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process == self.command => self.status = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return false,
                // ECHILD; there is no other.
                Err(_) => return true,
            }
        }
    }

    fn tell_of_left(&mut self, since: Instant, left: usize) {
        if !self.told && since.elapsed() >= STUBBORN {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            if let Some(ended) = self.ended(left) {
                tell(self.control, ended);
            }
            self.told = true;
        }
    }

    fn ended(&self, left: u32) -> Option<Ended> {
        let how = match self.status {
            _ if self.timed_out => How::TimedOut,
            Some(status) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => How::Exited(code),
                (_, signal) => How::Killed(signal.unwrap_or_default()),
            },
            // It is one of those that are left.
            None => How::Killed(Signal::KILL.as_raw()),
        };
        Some(Ended { how, left })
    }

    /// Waits for the end of a child, and for word of the server, if that is still of interest. `true`: it has come.
    fn wait(&self, time: Option<Duration>, listen: bool) -> bool {
        let mut ready =
            [PollFd::new(&self.signals, PollFlags::IN), PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN)];
        let count = if listen { 2 } else { 1 };
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        // Its only error here is want of memory: then all is looked at again.
        let _ = rustix::event::poll(&mut ready[..count], time.as_ref());
        listen && !ready[1].revents().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_unchanged() {
        for how in [How::Exited(3), How::Killed(15), How::NotStarted(2), How::Exited(-1), How::TimedOut] {
            let ended = Ended { how, left: 7 };
            assert_eq!(Ended::from_bytes(&ended.to_bytes()), Some(ended));
        }
        assert_eq!(Ended::from_bytes(b""), None);
        assert_eq!(Ended::from_bytes(b"e123"), None);
    }
}
