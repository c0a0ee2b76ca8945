use crate::supervisor::{GRACE, NAME, NO_LIMIT, STUBBORN, is_prepared};
use crate::{Job, Limits, Run};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Access;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Starts commands, each under a supervisor of its own, and knows when nothing is left of any.
///
/// A command has `/dev/null` for standard input, a session of its own, the environment of its [`Job`] and no more, umask 022,
/// every signal by default, and none of this process's descriptors. Clones are the same runner.
///
/// ```standalone_crate
/// use socketserver_exec::{Job, Limits, Output, Runner, supervise_if_asked};
/// fn main() -> std::io::Result<()> {
///     supervise_if_asked();
///     let runner = Runner::new()?;
///     let mut run = runner.start(&Job::new(["/bin/echo", "hello"]), Limits::default())?;
///     let mut heard = Vec::new();
///     run.wait(&mut |output, bytes| {
///         assert_eq!(output, Output::Stdout);
///         heard.extend_from_slice(bytes);
///     })?;
///     assert_eq!(heard, b"hello\n");
///     assert!(runner.end(std::time::Duration::from_secs(10)));
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Runner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: AtomicUsize,
    running: AtomicUsize,
    /// Each supervisor has a copy of the one end, so the other hangs up when the last is gone; in children of this process
    /// and after their deaths too, which no list would know of. `None`: no more are started.
    alive: Mutex<Option<OwnedFd>>,
    all_gone: OwnedFd,
    /// Supervisors whose [`Run`] was dropped before their end, to be waited for.
    orphans: Mutex<Vec<Child>>,
}

/// This program, whatever has become of its name since.
const PROGRAM: &str = "/proc/self/exe";

/// Among how many commands a newcomer is refused.
const MAX: usize = 100;

impl Runner {
    /// For 100 commands at a time.
    ///
    /// # Errors
    /// `Unsupported` where [`supervise_if_asked`](crate::supervise_if_asked) was not called before, where this process's user may
    /// not execute its program, and where `/proc` does not tell of children (`CONFIG_PROC_CHILDREN`): then a command could
    /// not be ended as a whole. No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let unsupported = |what| Err(io::Error::new(io::ErrorKind::Unsupported, what));
        if !is_prepared() {
            return unsupported("`socketserver_exec::supervise_if_asked` has to be called first in `main`");
        }
        // By its user of now, who may be another than the one that has executed it.
        if rustix::fs::access(PROGRAM, Access::EXEC_OK).is_err() {
            return unsupported(
                "this program may not be executed by its user, and each command's supervisor is the program again",
            );
        }
        let us = std::process::id();
        if std::fs::metadata(format!("/proc/{us}/task/{us}/children")).is_err() {
            return unsupported("`/proc` does not tell of children, so commands could not be ended as a whole");
        }
        let (all_gone, alive) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self(Arc::new(Inner {
            max: AtomicUsize::new(MAX),
            running: AtomicUsize::new(0),
            alive: Mutex::new(Some(alive)),
            all_gone,
            orphans: Mutex::default(),
        })))
    }

    /// How many commands may run at a time; each may hold as much memory as its output may be long. A process that was
    /// forked from this one counts its own.
    #[must_use]
    pub fn max(self, commands: usize) -> Self {
        self.0.max.store(commands, Ordering::Relaxed);
        self
    }

    /// Starts a command. That it could not be executed is its [outcome](crate::Outcome).
    ///
    /// # Errors
    /// `WouldBlock`: as many run as may. Descriptors or processes are used up. `InvalidInput`: no program can be started
    /// like that. The runner has [ended](Self::end).
    pub fn start(&self, job: &Job, limits: Limits) -> io::Result<Run> {
        let job = job.to_bytes()?;
        let place = self.place()?;
        self.bury();
        let flags = SocketFlags::CLOEXEC;
        let (control, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let mut run = Run::new(control, [stdout, stderr], limits, place)?;
        let child = {
            let mut command = Command::new(PROGRAM);
            command.arg0(NAME).env_clear().stdin(theirs).stdout(stdout_end).stderr(stderr_end);
            // A Ctrl-C is for the server, which then ends what is to be ended.
            command.process_group(0).spawn()?
            // Here our copies of its ends are closed, or the end would never be seen.
        };
        // From now on whatever fails drops the run, and its supervisor then sees the end of its socket.
        run.has_supervisor(child)?;
        {
            let alive = self.alive();
            let alive = alive.as_ref().ok_or_else(ended)?;
            socketserver_sys::send_descriptor(run.control(), alive, limits.timeout.map_or(NO_LIMIT, millis))?;
        }
        rustix::io::retry_on_intr(|| {
            rustix::net::send(run.control(), &job, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        })?;
        Ok(run)
    }

    /// Starts no more, and waits until nothing is left of any command: no process, and no supervisor. It ends none that has a
    /// [`Run`]. `false`: that took longer than this.
    ///
    /// ```standalone_crate
    /// use socketserver_exec::{Runner, supervise_if_asked};
    /// use std::time::Duration;
    /// fn main() -> std::io::Result<()> {
    ///     supervise_if_asked();
    ///     // However long it takes.
    ///     assert!(Runner::new()?.end(Duration::MAX));
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn end(&self, time: Duration) -> bool {
        drop(self.alive().take());
        // What is beyond the clock is never.
        let until = Instant::now().checked_add(time);
        loop {
            let left = until.and_then(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())).ok());
            let mut gone = [PollFd::new(&self.0.all_gone, PollFlags::empty())];
            match rustix::event::poll(&mut gone, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                result => {
                    self.bury();
                    return result == Ok(1);
                }
            }
        }
    }

    /// How long [`end`](Self::end) may take once every [`Run`] has been dropped or stopped, if nothing is stuck in the
    /// kernel.
    pub const END: Duration = GRACE.saturating_add(STUBBORN);

    fn place(&self) -> io::Result<Place> {
        let place = Place(self.clone());
        if self.0.running.fetch_add(1, Ordering::Relaxed) >= self.0.max.load(Ordering::Relaxed) {
            let running = self.0.max.load(Ordering::Relaxed);
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{running} commands run already; try again later"),
            ));
        }
        Ok(place)
    }

    fn alive(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.0.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes on a supervisor that nobody waits for any more.
    fn adopt(&self, child: Child) {
        self.0.orphans.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        self.bury();
    }

    /// Waits for those that have ended.
    fn bury(&self) {
        let mut orphans = self.0.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        orphans.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

/// At least one: none is no limit.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "no commands are started any more")
}

/// One command of those that may run at a time.
#[derive(Debug)]
pub(crate) struct Place(Runner);

impl Place {
    pub(crate) fn adopt(&self, child: Child) {
        self.0.adopt(child);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pipe whose end for reading never waits. The other is the command's, and does.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}
