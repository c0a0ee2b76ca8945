use super::fork::SignalMask;
use rustix::io::FdFlags;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts a program in a session of its own, with every signal as it is by default and none blocked (the C library's own
/// two are its own affair, `signal(7)`). It is killed when the thread that calls this ends, however that comes about
/// (`PR_SET_PDEATHSIG`, `prctl(2)`).
///
/// ```
/// use std::process::Command;
/// let mut child = socketserver_sys::spawn_session(&mut Command::new("true"))?;
/// assert!(child.wait()?.success());
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn_session(command: &mut Command) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    let prepare = move || {
        // Blocked ones stay blocked over exec(2).
        SignalMask::none();
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have died before that call.
        if rustix::process::getppid() != Some(parent) {
            return Err(rustix::io::Errno::SRCH.into());
        }
        // What was ignored stays ignored over exec(2), and shells cannot undo it.
        for signal in 1..=libc::SIGRTMAX() {
            // SAFETY: SIG_DFL is always valid. KILL, STOP and the C library's own signals are refused, and are fine as they are.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls alone, allocates nothing and takes no lock; its errors
    // are plain numbers.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// Marks each descriptor but the standard three as close-on-exec, so that a program that is started from now on is given
/// none of those that this process was started with (`close_range(2)`).
///
/// # Errors
/// What `close_range(2)` says; where that is too old, what reading `/proc/self/fd` says.
pub fn keep_descriptors() -> io::Result<()> {
    const CLOEXEC: libc::c_uint = 1 << 2;
    // SAFETY: a flag of descriptors is set, which invalidates none.
    if unsafe { libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, CLOEXEC) } == 0 {
        return Ok(());
    }
    // Before Linux 5.11 it could only close them.
    for entry in std::fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()).filter(|n| *n > 2) {
            // SAFETY: the number is not -1, and is borrowed for a call that answers EBADF when it is not open.
            let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
            match rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC) {
                Ok(()) | Err(rustix::io::Errno::BADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Blocks all signals of this thread, and tells when a child has ended instead: a descriptor that is readable then
/// (`signalfd(2)`). `SIGCHLD` is as it is by default from then on, for whoever inherits it ignored is told of no child and has
/// none to wait for (`waitpid(2)`). Programs that are started meanwhile have them blocked too, but for those of [`spawn_session`].
///
/// ```no_run
/// let ended = socketserver_sys::ChildSignals::block_all()?;
/// socketserver_sys::spawn_session(&mut std::process::Command::new("true"))?;
/// // Wait until `ended` is readable; then:
/// ended.clear();
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildSignals {
    descriptor: OwnedFd,
    _blocked: SignalMask,
}

impl ChildSignals {
    /// Blocks them, for as long as it lives.
    ///
    /// # Errors
    /// What `signalfd(2)` says.
    pub fn block_all() -> io::Result<Self> {
        let blocked = SignalMask::block_all();
        // SAFETY: SIG_DFL is always valid.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let mut child = std::mem::MaybeUninit::uninit();
        // SAFETY: sigemptyset makes a valid set of `child` before the others read it. -1 asks for a new descriptor, which is
        // nobody's else; it is checked before it is owned.
        let descriptor = unsafe {
            libc::sigemptyset(child.as_mut_ptr());
            libc::sigaddset(child.as_mut_ptr(), libc::SIGCHLD);
            let number = libc::signalfd(-1, child.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if number < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(number)
        };
        Ok(Self { descriptor, _blocked: blocked })
    }

    /// Makes it unreadable until the next child ends.
    pub fn clear(&self) {
        let mut info = [0; 1024];
        // Whatever it says: then there is nothing to be read.
        while rustix::io::read(&self.descriptor, &mut info).is_ok_and(|count| count > 0) {}
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
