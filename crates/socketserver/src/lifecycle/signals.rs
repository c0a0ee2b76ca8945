use super::duties::Duty;
use rustix::net::RecvFlags;
use signal_hook::SigId;
use signal_hook::consts::signal;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A signal that a server can be told to act on.
///
/// ```
/// assert_eq!(socketserver::Signal::Terminate.number(), 15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// `SIGHUP`.
    Hangup,
    /// `SIGINT`: Ctrl-C.
    Interrupt,
    /// `SIGTERM`.
    Terminate,
    /// `SIGUSR1`.
    User1,
    /// `SIGUSR2`.
    User2,
}

impl Signal {
    /// Its number on this machine, `signal(7)`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Hangup => signal::SIGHUP,
            Self::Interrupt => signal::SIGINT,
            Self::Terminate => signal::SIGTERM,
            Self::User1 => signal::SIGUSR1,
            Self::User2 => signal::SIGUSR2,
        }
    }
}

/// One signal and what to do on it: the handler writes a byte, the keeper reads it where any code may run.
pub(super) struct OnSignal {
    id: SigId,
    arrived: UnixStream,
    pub(super) hook: Duty,
}

impl OnSignal {
    pub(super) fn new(signal: Signal, hook: Duty) -> io::Result<Self> {
        let (arrived, write) = UnixStream::pair()?;
        write.set_nonblocking(true)?;
        let id = signal_hook::low_level::pipe::register(signal.number(), write)?;
        Ok(Self { id, arrived, hook })
    }

    /// How often it came since the last look.
    pub(super) fn take(&self) -> usize {
        let mut bytes = [0; 64];
        rustix::net::recv(&self.arrived, &mut bytes, RecvFlags::DONTWAIT).map_or(0, |(received, _)| received)
    }

    /// In a forked child: the descriptors are the parent's, so the child no longer writes to them. The signal is
    /// swallowed there: a Ctrl-C goes to the whole group, and the parent tells the children.
    pub(super) fn disown(&self) {
        signal_hook::low_level::unregister(self.id);
    }
}

impl AsFd for OnSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for OnSignal {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.id);
    }
}

impl fmt::Debug for OnSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnSignal({:?})", self.id)
    }
}
