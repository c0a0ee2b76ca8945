use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

/// Receives the next packet of a connection that keeps packets apart (`SOCK_SEQPACKET`, `unix(7)`), and gives its length: of
/// one that is longer than `buf` the beginning is there, and the rest is lost. `None` is the end of input.
///
/// `recv(2)` says 0 at the end of input, and for an empty packet as well. They are told apart by what comes beside them: a
/// packet says who sent it, an end does not. So `SO_PASSCRED` has to be set on the socket, or on the one that listened, from
/// which it inherits it.
///
/// Descriptors that a peer sends along are not taken: there is no room for them.
///
/// ```
/// use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair, sockopt};
/// let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
/// sockopt::set_socket_passcred(&near, true)?;
/// send(&far, b"hello", SendFlags::empty())?;
/// send(&far, b"", SendFlags::empty())?;
/// drop(far);
/// let mut buf = [0; 4];
/// assert_eq!(socketserver_sys::receive_packet(&near, &mut buf, true)?, Some(5));
/// assert_eq!(&buf, b"hell");
/// assert_eq!(socketserver_sys::receive_packet(&near, &mut buf, true)?, Some(0));
/// assert_eq!(socketserver_sys::receive_packet(&near, &mut buf, true)?, None);
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// What `recvmsg(2)` says; `WouldBlock` when there is none and it is not to `wait`. `ConnectionReset` comes before what the
/// peer had sent, when it has closed and left unread what it was sent: the packets are still there.
pub fn receive_packet(socket: impl AsFd, buf: &mut [u8], wait: bool) -> io::Result<Option<usize>> {
    // Credentials, as `cmsg(3)` wants them aligned.
    #[repr(C, align(8))]
    struct Control([MaybeUninit<u8>; 32]);
    // SAFETY: computes alone.
    const { assert!(unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) } as usize == size_of::<Control>()) };

    let mut control = Control([MaybeUninit::uninit(); 32]);
    let mut into = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: plain integers and pointers, for all of which zero is a value: no name, nothing received.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut into;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: the descriptor is borrowed for the call. The header points to one piece, which is `buf` with its length, and to
    // the control buffer with its length; all are there for the call, and nobody else has them.
    let len = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    // The kernel writes how much of the control buffer it has used.
    Ok((header.msg_controllen > 0).then_some(len))
}
