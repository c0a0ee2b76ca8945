//! Non-blocking client sockets.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{SockAddr, Socket, Type};

/// Sent and received in one call at most.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Between two attempts where the kernel has no readiness to wait for.
pub(crate) const RETRY: Duration = Duration::from_millis(1);

/// How a non-blocking connect(2) began.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Established, or on the way to it.
    Socket(Socket),
    /// A Unix listener's backlog is full, which epoll cannot tell of: try again later.
    BacklogFull,
}

/// Starts a connection, from a port of `source` if there is one.
pub(crate) fn begin(address: &SockAddr, source: Option<&SockAddr>) -> io::Result<Begun> {
    let socket = Socket::new(address.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
    if !address.is_unix() {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(source) = source {
        socket.bind(source)?;
    }
    match socket.connect(address) {
        Ok(()) => Ok(Begun::Socket(socket)),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(Begun::Socket(socket)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Begun::BacklogFull),
        Err(error) => Err(error),
    }
}

/// Connects, waiting until `deadline` at the latest.
pub(crate) fn open(address: &SockAddr, source: Option<&SockAddr>, deadline: Instant) -> io::Result<Socket> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match begin(address, source)? {
            Begun::Socket(socket) => {
                wait(&socket, PollFlags::OUT, left)?;
                return match socket.take_error()? {
                    None => Ok(socket),
                    Some(error) => Err(error),
                };
            }
            Begun::BacklogFull if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            Begun::BacklogFull => std::thread::sleep(RETRY),
        }
    }
}

/// Waits until the socket is ready for it.
pub(crate) fn wait(socket: &Socket, what: PollFlags, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut watched = [PollFd::new(socket, what)];
    match poll(&mut watched, Some(&timeout)) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        // Interrupted: the caller reads SO_ERROR, and an unfinished connect shows itself at the first send.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends what the socket takes now; 0 when it takes nothing yet.
pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    match retry_on_intr(|| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)) {
        Ok(sent) => Ok(sent),
        Err(Errno::AGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Receives what is there; `None` when nothing is, `Some(0)` at the end of the stream.
pub(crate) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match retry_on_intr(|| rustix::net::recv(socket, &mut *buffer, RecvFlags::empty())) {
        Ok((received, _)) => Ok(Some(received)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
