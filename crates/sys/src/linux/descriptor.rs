use super::fork::Forked;
use rustix::io::{Errno, FdFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use rustix::process::{Resource, Rlimit};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Takes over a descriptor that this process was started with (`fd:3`, socket activation).
///
/// What comes back is a duplicate, marked close-on-exec; the number itself stays open, for it may belong to other
/// code, and is marked close-on-exec too, so that no program started later inherits a listener by accident. Call it
/// before other code opens and closes descriptors: a number says nothing about whose it is.
///
/// # Errors
/// `EBADF` when nothing is open under that number, `EMFILE` when no descriptor is left.
pub fn inherit(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: the number is not -1. It is borrowed for the two calls below alone, neither of which closes it or takes
    // it over; if it is not open they answer EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let own = rustix::io::fcntl_dupfd_cloexec(borrowed, 3)?;
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    Ok(own)
}

/// In a child after `fork(2)`, which the token proves: lets go of what a descriptor stands for, while its number and its
/// owner stay valid. The number then stands for `/dev/null`.
///
/// A child's copies of its parent's sockets would keep ports bound and connections open that the parent closed.
///
/// # Errors
/// What `open(2)` of `/dev/null` and `dup3(2)` say.
pub fn disown(child: &Forked, descriptor: impl AsFd) -> io::Result<()> {
    let null = child.null()?;
    let target = descriptor.as_fd().as_raw_fd();
    // SAFETY: both numbers are open and borrowed, and not the same: `null` was opened while `target` was open, and is lent to
    // nobody else. dup3 replaces what `target` stands for in one step, so whoever owns or borrows it has an open descriptor
    // before and after. This is a child with one thread: nobody is in the middle of using it, and in the parent nothing
    // changes.
    if unsafe { libc::dup3(null.as_raw_fd(), target, libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A value and the descriptor that belongs to it, if it has one. It closes with the value, and not before.
///
/// ```
/// use socketserver_sys::WithFd;
/// let named = WithFd::new(Some(std::fs::File::open("/dev/null")?.into()), "null");
/// assert!(named.len() == 4 && named.descriptor().is_some());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct WithFd<T> {
    // Private, and never lent out to be changed: what `SharedFd` relies on.
    descriptor: Option<OwnedFd>,
    value: T,
}

impl<T> WithFd<T> {
    /// Puts them together.
    #[must_use]
    pub fn new(descriptor: Option<OwnedFd>, value: T) -> Self {
        Self { descriptor, value }
    }

    /// The descriptor.
    #[inline]
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }
}

impl<T> Deref for WithFd<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A descriptor with several owners; the last to go closes it.
///
/// It has its number at hand, so that using it touches nothing but the value itself: with many connections the memory
/// that a reference count lives in comes from far.
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
/// let shared = socketserver_sys::SharedFd::new(std::fs::File::open("/dev/null")?.into());
/// assert_eq!(shared.clone().as_fd().as_raw_fd(), shared.as_fd().as_raw_fd());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct SharedFd<T = ()> {
    number: RawFd,
    owner: Arc<WithFd<T>>,
}

impl From<OwnedFd> for SharedFd {
    fn from(descriptor: OwnedFd) -> Self {
        Self::new(descriptor)
    }
}

impl SharedFd {
    /// Shares a descriptor.
    #[must_use]
    pub fn new(descriptor: OwnedFd) -> Self {
        Self { number: descriptor.as_raw_fd(), owner: Arc::new(WithFd::new(Some(descriptor), ())) }
    }
}

impl<T> SharedFd<T> {
    /// The descriptor that belongs to a shared value, if it has one.
    #[must_use]
    pub fn of(owner: &Arc<WithFd<T>>) -> Option<Self> {
        let number = owner.descriptor.as_ref()?.as_raw_fd();
        Some(Self { number, owner: owner.clone() })
    }
}

impl<T> Clone for SharedFd<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, owner: self.owner.clone() }
    }
}

impl<T> AsRawFd for SharedFd<T> {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl<T> AsFd for SharedFd<T> {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the number is that of the descriptor that `owner` owns. It stays open for as long as `self` lives, which
        // the borrow does not outlive: `WithFd` keeps its descriptor to itself, and behind an Arc nobody can replace the
        // whole of it or take it apart. It is not -1.
        unsafe { BorrowedFd::borrow_raw(self.number) }
    }
}

/// How many bytes that were written to a socket its peer has not yet taken (`SIOCOUTQ`, `tcp(7)` and `unix(7)`).
///
/// # Errors
/// What `ioctl(2)` says; what the socket has broken with (`SO_ERROR`, which is told once): nobody takes the rest.
pub fn untaken(socket: impl AsFd) -> io::Result<usize> {
    rustix::net::sockopt::socket_error(&socket)??;
    queued(socket.as_fd(), libc::TIOCOUTQ)
}

/// How many of these bytes have not even left for the peer (`SIOCOUTQNSD`, linux/sockios.h). Of a Unix socket none: what is
/// written is in its peer's queue at once, and stays there when the writer closes.
///
/// # Errors
/// What `ioctl(2)` says.
pub fn unsent(socket: impl AsFd) -> io::Result<usize> {
    const SIOCOUTQNSD: libc::Ioctl = 0x894b;
    match queued(socket.as_fd(), SIOCOUTQNSD) {
        // Only Internet protocols know it.
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(0),
        result => result,
    }
}

/// `request` is TIOCOUTQ, which is SIOCOUTQ, or SIOCOUTQNSD.
fn queued(socket: BorrowedFd<'_>, request: libc::Ioctl) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the call, and either request writes one int to `bytes`.
    if unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut bytes) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Sends a descriptor and a word of context over a Unix socket (`SCM_RIGHTS`, `unix(7)`).
///
/// # Errors
/// What `sendmsg(2)` says, `EPIPE` when the other side is gone; `WouldBlock` on a full non-blocking socket.
pub fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd, word: u64) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS.into());
    }
    let word = word.to_ne_bytes();
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(&word)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives what [`send_descriptor`] sent. `None`: the other side closed. The descriptor is close-on-exec.
///
/// # Errors
/// What `recvmsg(2)` says; `InvalidData` when a message came without its descriptor (this process has none left).
pub fn receive_descriptor(socket: impl AsFd) -> io::Result<Option<(OwnedFd, u64)>> {
    let mut word = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut word)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match descriptor {
        Some(descriptor) if received.bytes == word.len() => Ok(Some((descriptor, u64::from_ne_bytes(word)))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a message came without its descriptor")),
    }
}

/// How many descriptors this process may have open: the soft limit of `RLIMIT_NOFILE`. `None` is no limit.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Sets the soft limit of `RLIMIT_NOFILE`, `getrlimit(2)`.
///
/// # Errors
/// `EINVAL` above the hard limit.
pub fn set_descriptor_limit(limit: u64) -> io::Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    Ok(rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn nobody_takes_what_is_left_on_a_socket_that_was_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        // Until their queue is full, and something waits in ours.
        while ours.write(&[0; 64 * 1024]).is_ok() {}
        assert!(untaken(&ours).unwrap() >= unsent(&ours).unwrap() && unsent(&ours).unwrap() > 0);
        // Whoever closes with something unread resets.
        drop(theirs);
        poll(&mut [PollFd::new(&ours, PollFlags::empty())], None).unwrap();
        assert_eq!(untaken(&ours).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_was_written_to_a_unix_socket_is_with_its_peer() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"reply").unwrap();
        assert!(untaken(&ours).unwrap() > 0 && unsent(&ours).unwrap() == 0);
        ours.shutdown(Shutdown::Write).unwrap();
        drop(ours);
        let mut reply = Vec::new();
        theirs.read_to_end(&mut reply).unwrap();
        assert_eq!(reply, b"reply");
    }
}
