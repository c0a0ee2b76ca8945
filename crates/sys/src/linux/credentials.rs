use std::io;
use std::os::fd::AsFd;

/// Who is at the other end of a Unix stream socket, as the kernel noted it when the peer connected
/// (`SO_PEERCRED`, `unix(7)`). The peer cannot forge it.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// let (near, _far) = UnixStream::pair()?;
/// assert_eq!(socketserver_sys::peer_credentials(&near)?.pid, std::process::id());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// Its process; 0 when that lives in another pid namespace.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The credentials of the peer of a connected Unix socket.
///
/// # Errors
/// What `getsockopt(2)` says; `ENOTCONN`-like answers come for sockets with no peer.
pub fn peer_credentials(socket: impl AsFd) -> io::Result<Credentials> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd());
    // SAFETY: `cred` and `len` are valid for writing, `len` says how large `cred` is, and the descriptor is borrowed
    // for the whole call. `ucred` is plain integers: whatever the kernel writes is a valid value. It is asked for here
    // and not through a library because a pid of 0 (a peer in another namespace) must be representable.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut cred).cast(), &raw mut len) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials::new((cred.pid, cred.uid, cred.gid)))
}

impl Credentials {
    /// Of what `struct ucred` has.
    pub(super) fn new((pid, uid, gid): (i32, u32, u32)) -> Self {
        Self { pid: u32::try_from(pid).unwrap_or(0), uid, gid }
    }
}
