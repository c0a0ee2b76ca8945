use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::cell::OnceCell;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// On which side of [`fork`] the caller is.
#[derive(Debug)]
pub enum Fork {
    /// The process that called it, with its new child.
    Parent(Child),
    /// The new process. It ends with [`exit_child`].
    Child(Forked),
}

/// Proof of being a child that was just forked. Signals are blocked until it is dropped, so that none meets a handler of
/// the parent's before the child has let go of what that works on.
#[derive(Debug)]
pub struct Forked {
    signals: SignalMask,
    /// `/dev/null`, once something was to stand for it.
    null: OnceCell<OwnedFd>,
}

impl Forked {
    /// `/dev/null`, which is opened once and closes with this.
    pub(super) fn null(&self) -> io::Result<&OwnedFd> {
        if let Some(null) = self.null.get() {
            return Ok(null);
        }
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(self.null.get_or_init(|| null))
    }

    /// Lets signals through again.
    pub fn unblock_signals(self) {
        drop(self.signals);
    }
}

/// Blocks all signals of this thread for as long as it lives.
pub(super) struct SignalMask(libc::sigset_t);

impl SignalMask {
    pub(super) fn block_all() -> Self {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: sigfillset makes `all` a valid set before pthread_sigmask reads it, and pthread_sigmask fills `before`;
        // with a valid first argument neither can fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self(before.assume_init())
        }
    }

    /// Blocks none, in a process that is about to become another program. It makes system calls alone.
    pub(super) fn none() {
        let mut none = MaybeUninit::uninit();
        // SAFETY: sigemptyset makes `none` a valid set before pthread_sigmask reads it; neither can fail then.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set is the one that pthread_sigmask filled.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

impl std::fmt::Debug for SignalMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignalMask")
    }
}

/// A child process of our own, held by a pidfd: it cannot be mistaken for another, and waiting for it reaps no child
/// that somebody else started.
///
/// Dropping it neither kills nor reaps the child.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// A signal of this number ended it.
    Killed(i32),
    /// It is gone, and how is not known: the process ignores SIGCHLD, so the kernel reaped it.
    Unknown,
}

impl Child {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Reaps it if it has ended. Never waits.
    ///
    /// # Errors
    /// What `waitid(2)` says.
    pub fn try_wait(&self) -> io::Result<Option<Ended>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Waits until it has ended, and reaps it.
    ///
    /// # Errors
    /// What `waitid(2)` says.
    pub fn wait(&self) -> io::Result<Ended> {
        Ok(self.wait_with(WaitIdOptions::EXITED)?.unwrap_or(Ended::Unknown))
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<Ended>> {
        let waited = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options));
        match waited {
            Ok(None) => Ok(None),
            Ok(Some(status)) => Ok(Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ended::Exited(code),
                (_, Some(signal)) => Ended::Killed(signal),
                _ => Ended::Unknown,
            })),
            // With SIGCHLD ignored there is nothing to reap; the pidfd told that it ended, or will (waitid(2), NOTES).
            Err(rustix::io::Errno::CHILD) => Ok(Some(Ended::Unknown)),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills it (SIGKILL). One that has ended already is no error.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

/// The pidfd: readable once the child has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// How many threads this process has.
///
/// # Errors
/// What `stat(2)` says of `/proc/self/task`: an error where `/proc` is not mounted.
pub fn thread_count() -> io::Result<u64> {
    // A directory has a link from itself, one from its parent and one from each directory in it (proc(5): one a
    // thread). That costs one call and no descriptor.
    Ok(u64::from(rustix::fs::stat("/proc/self/task")?.st_nlink as u32).saturating_sub(2))
}

/// Makes a child process: `fork(2)`.
///
/// The child is killed when this process dies, however that comes about (`PR_SET_PDEATHSIG`), so none is left behind.
///
/// # Errors
/// `Unsupported` when the process has more than one thread: a child would inherit locks that nobody in it can
/// release. `EAGAIN` and `ENOMEM` as `fork(2)` says, `EMFILE` when there is no descriptor for the pidfd (then no
/// child is left).
pub fn fork() -> io::Result<Fork> {
    let threads = thread_count()?;
    if threads != 1 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("forking needs a process with one thread, and this one has {threads}"),
        ));
    }
    let parent = rustix::process::getpid();
    // The descriptor of the pidfd, kept free: a child that has begun to work is not to be ended for want of it.
    let reserved = rustix::process::pidfd_open(parent, PidfdFlags::empty())?;
    let signals = SignalMask::block_all();
    // SAFETY: the process has this one thread, as was just counted, and only a running thread could start another: so no
    // lock can be held by a thread that the child lacks, and the child may run any code, as after a fork in C.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(reserved);
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            // The parent may have died before that call.
            if rustix::process::getppid() != Some(parent) {
                exit_child(1);
            }
            Ok(Fork::Child(Forked { signals, null: OnceCell::new() }))
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))?;
            drop(reserved);
            // Not reaped yet, so the number still stands for our child.
            match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
                Ok(pidfd) => Ok(Fork::Parent(Child { pid, pidfd })),
                Err(error) => {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                    let _ = rustix::io::retry_on_intr(|| {
                        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
                    });
                    Err(error.into())
                }
            }
        }
    }
}

/// Ends a child at once: no destructor, no exit handler and no buffered output of the parent's runs twice
/// (`_exit(2)`).
pub fn exit_child(status: i32) -> ! {
    // SAFETY: _exit ends the process without touching its memory.
    unsafe { libc::_exit(status) }
}
