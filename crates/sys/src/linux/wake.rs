use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A descriptor that one side makes readable and another waits for: `eventfd(2)`.
///
/// It works across `fork(2)`, where atomics in ordinary memory do not.
///
/// ```
/// let wake = socketserver_sys::Wake::new()?;
/// wake.wake();
/// assert!(wake.clear());
/// assert!(!wake.clear());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Wake(OwnedFd);

impl Wake {
    /// A new one, not readable.
    ///
    /// # Errors
    /// `EMFILE` and `ENFILE` when no descriptor is left, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Makes it readable until the next [`clear`](Self::clear). Never waits.
    pub fn wake(&self) {
        // The only failure of a write of 1 is EAGAIN at 2^64-2 unread wake-ups: then it is readable already.
        while rustix::io::write(&self.0, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// Whether it is readable.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Makes it unreadable, and tells whether it was readable.
    pub fn clear(&self) -> bool {
        let mut count = [0; 8];
        loop {
            match rustix::io::read(&self.0, &mut count) {
                Err(Errno::INTR) => {}
                result => return result.is_ok(),
            }
        }
    }
}

/// As a [`Waker`](std::task::Waker): of a thread that waits for the descriptor.
///
/// ```
/// use socketserver_sys::Wake;
/// use std::{sync::Arc, task::Waker};
///
/// let wake = Arc::new(Wake::new()?);
/// Waker::from(wake.clone()).wake();
/// assert!(wake.clear());
/// # std::io::Result::Ok(())
/// ```
impl std::task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        Self::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Self::wake(self);
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
