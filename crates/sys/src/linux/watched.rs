use super::descriptor::SharedFd;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A descriptor that a tokio runtime watches: `epoll(7)`.
///
/// ```
/// use std::os::fd::OwnedFd;
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// runtime.block_on(async {
///     let (one, other) = std::os::unix::net::UnixStream::pair()?;
///     other.shutdown(std::net::Shutdown::Write)?;
///     let watched = socketserver_sys::Watched::for_reading(OwnedFd::from(one))?;
///     std::future::poll_fn(|cx| watched.poll_read_ready(cx)).await?.clear_ready();
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Watched<T = ()>(AsyncFd<SharedFd<T>>);

impl<T> Watched<T> {
    /// Watched for both directions, by the runtime that this is called in.
    ///
    /// # Errors
    /// What `epoll_ctl(2)` says.
    ///
    /// # Panics
    /// Outside a runtime with I/O.
    pub fn new(descriptor: SharedFd<T>) -> io::Result<Self> {
        Self::register(descriptor, Interest::READABLE | Interest::WRITABLE)
    }

    fn register(descriptor: SharedFd<T>, interest: Interest) -> io::Result<Self> {
        // SAFETY: a `SharedFd` keeps its descriptor open for as long as it lives, which is as long as the `AsyncFd`, and has
        // the same number and file all the while: nobody can take the descriptor out of it. It cannot be exchanged for
        // another either, for the `AsyncFd` is private and never handed out to be changed.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
        registered.map(Self).map_err(Into::into)
    }

    /// The descriptor.
    #[inline]
    #[must_use]
    pub fn descriptor(&self) -> &SharedFd<T> {
        self.0.get_ref()
    }

    /// Waits until it may be read from. What the guard is not told to clear stays ready.
    ///
    /// # Errors
    /// The runtime has ended.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, SharedFd<T>>>> {
        self.0.poll_read_ready(cx)
    }

    /// As [`readable_or_failed`](Self::readable_or_failed), but for an error alone: the guard clears nothing else.
    ///
    /// # Errors
    /// As [`poll_read_ready`](Self::poll_read_ready).
    pub async fn error_ready(&self) -> io::Result<AsyncFdReadyGuard<'_, SharedFd<T>>> {
        self.0.ready(Interest::ERROR).await
    }

    /// Waits until it may be written to.
    ///
    /// # Errors
    /// As [`poll_read_ready`](Self::poll_read_ready).
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'_, SharedFd<T>>>> {
        self.0.poll_write_ready(cx)
    }

    /// Waits until it may be read from, or has an error to tell (`EPOLLERR`), as a UDP socket has while there is one in
    /// its queue: [`poll_read_ready`](Self::poll_read_ready) does not wake for that. Cancel-safe.
    ///
    /// ```
    /// use socketserver_sys::{Watched, next_error, tell_errors};
    /// use std::net::UdpSocket;
    /// use std::os::fd::OwnedFd;
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// runtime.block_on(async {
    ///     let nobody = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     tell_errors(&socket, false)?;
    ///     let watched = Watched::for_reading(OwnedFd::from(socket.try_clone()?))?;
    ///     socket.send_to(b"anybody there?", nobody)?;
    ///     watched.readable_or_failed().await?.clear_ready();
    ///     assert_eq!(next_error(&socket)?.and_then(|bounce| bounce.to), Some(nobody));
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// As [`poll_read_ready`](Self::poll_read_ready).
    pub async fn readable_or_failed(&self) -> io::Result<AsyncFdReadyGuard<'_, SharedFd<T>>> {
        self.0.ready(Interest::READABLE | Interest::ERROR).await
    }
}

impl Watched {
    /// Watched for both directions.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn for_both(descriptor: OwnedFd) -> io::Result<Self> {
        Self::new(SharedFd::new(descriptor))
    }

    /// Watched for writing alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn for_writing(descriptor: OwnedFd) -> io::Result<Self> {
        Self::register(SharedFd::new(descriptor), Interest::WRITABLE)
    }

    /// Watched for reading alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn for_reading(descriptor: impl Into<SharedFd>) -> io::Result<Self> {
        Self::register(descriptor.into(), Interest::READABLE)
    }
}
