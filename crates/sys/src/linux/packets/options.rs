use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// How many packets a socket has dropped so far, most of them for want of room (`SO_MEMINFO`). It is the number that
/// `SO_RXQ_OVFL` has told with every packet, which costs each of them a few per cent.
///
/// # Errors
/// What `getsockopt(2)` says.
pub fn dropped(socket: impl AsFd) -> io::Result<u32> {
    /// `SK_MEMINFO_DROPS` of `linux/sock_diag.h`.
    const DROPS: usize = 8;
    let mut values = [0_u32; DROPS + 1];
    let mut len = size_of_val(&values) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `values` has as many bytes as are told, of integers that any bytes are a value of; both are ours and written
    // during the call alone; the descriptor is borrowed.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, values.as_mut_ptr().cast(), &raw mut len) };
    if result == 0 { Ok(values[DROPS]) } else { Err(io::Error::last_os_error()) }
}

/// Has a UDP socket tell with each packet where it was sent to (`IP_PKTINFO`, `ip(7)`; `IPV6_RECVPKTINFO`, `ipv6(7)`).
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn tell_local(socket: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        // Of IPv4 packets that come to such a socket too.
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Has a UDP socket receive packets of one sender that came in a train as one (`UDP_GRO`, `udp(7)`), or not any more. Those
/// that wait already stay as they are. It is true of the socket in every process that has it.
///
/// # Errors
/// What `setsockopt(2)` says; `ENOPROTOOPT` of a kernel that does not know it.
pub fn join_trains(socket: impl AsFd, on: bool) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, on.into())
}

/// Whether it does.
///
/// # Errors
/// What `getsockopt(2)` says; `ENOPROTOOPT` of a kernel that does not know it.
pub fn joins_trains(socket: impl AsFd) -> io::Result<bool> {
    let (mut value, mut len): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `value` is an integer of the length that is told, both are ours and written during the call alone; the
    // descriptor is borrowed.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_UDP, libc::UDP_GRO, (&raw mut value).cast(), &raw mut len) };
    if result == 0 { Ok(value != 0) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn set(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` is an integer of the length that is told, read during the call alone; the descriptor is borrowed.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
