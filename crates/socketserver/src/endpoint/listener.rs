use super::source::Accept;
use super::unix_file::SocketFile;
use crate::Peer;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_timeout};
use rustix::net::{SocketAddrAny, SocketFlags};
use socketserver_proto::Endpoint;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One bound place that connections come from.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    source: Source,
    /// Unlinks itself when dropped.
    _file: Option<SocketFile>,
}

enum Source {
    Socket { fd: OwnedFd, unix: bool, idle: Mutex<Inherited> },
    Own(OwnedFd, Mutex<Box<dyn Accept>>),
}

/// What `accept` gave.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    /// What its `SO_RCVTIMEO` is known to be.
    pub(crate) idle: Option<Duration>,
}

/// The idle deadline as `SO_RCVTIMEO` of a listening socket: accepted ones inherit it, which saves a call each.
///
/// Linux copies it with the rest of the socket (`sk_clone_lock`), and no manual page promises that: so the first
/// connection is looked at, and nothing is built on a promise that is not kept.
#[derive(Debug, Clone, Copy, Default)]
struct Inherited {
    idle: Option<Duration>,
    seen: Option<bool>,
}

impl Listener {
    pub(crate) fn socket(endpoint: Endpoint, fd: OwnedFd, file: Option<SocketFile>) -> Self {
        let unix = matches!(endpoint, Endpoint::Unix { .. });
        Self { endpoint, source: Source::Socket { fd, unix, idle: Mutex::default() }, _file: file }
    }

    pub(crate) fn own(endpoint: Endpoint, source: Box<dyn Accept>) -> io::Result<Self> {
        // A duplicate, so that waiting for it does not need the lock that accepting holds.
        let fd = source.as_fd().try_clone_to_owned()?;
        Ok(Self { endpoint, source: Source::Own(fd, Mutex::new(source)), _file: None })
    }

    /// The next connection, without waiting.
    pub(crate) fn accept(&self) -> io::Result<Accepted> {
        match &self.source {
            Source::Socket { fd, unix: false, idle } => {
                let (socket, addr) = rustix::net::acceptfrom_with(fd, SocketFlags::CLOEXEC)?;
                let addr = addr.and_then(|addr: SocketAddrAny| SocketAddr::try_from(addr).ok());
                let idle = inherited(idle, fd, &socket);
                Ok(Accepted { socket, peer: addr.map_or_else(Peer::unnamed, Peer::from), idle })
            }
            Source::Socket { fd, unix: true, .. } => {
                let socket = rustix::net::accept_with(fd, SocketFlags::CLOEXEC)?;
                let credentials = socketserver_sys::peer_credentials(&socket).ok();
                Ok(Accepted { socket, peer: Peer::unix(credentials), idle: None })
            }
            Source::Own(_, source) => {
                let (socket, peer) = source.lock().unwrap_or_else(PoisonError::into_inner).accept()?;
                Ok(Accepted { socket, peer, idle: None })
            }
        }
    }

    /// Says what most connections will want as their idle deadline.
    pub(crate) fn expect_idle(&self, time: Option<Duration>) {
        if let Source::Socket { fd, unix: false, idle } = &self.source {
            let set = set_socket_timeout(fd, Timeout::Recv, time).is_ok();
            *lock(idle) = Inherited { idle: time.filter(|_| set), seen: None };
        }
    }

    /// In a forked child: lets go of the socket, which the parent goes on with.
    pub(crate) fn disown(&self) -> io::Result<()> {
        match &self.source {
            Source::Socket { fd, .. } => socketserver_sys::disown(fd),
            Source::Own(fd, source) => {
                socketserver_sys::disown(fd)?;
                socketserver_sys::disown(source.lock().unwrap_or_else(PoisonError::into_inner).as_fd())
            }
        }
    }
}

fn inherited(idle: &Mutex<Inherited>, listener: &OwnedFd, accepted: &OwnedFd) -> Option<Duration> {
    let mut inherited = lock(idle);
    let get = |socket| socket_timeout(socket, Timeout::Recv).ok();
    let seen = *inherited.seen.get_or_insert_with(|| get(listener).is_some_and(|time| get(accepted) == Some(time)));
    inherited.idle.filter(|_| seen)
}

fn lock(idle: &Mutex<Inherited>) -> MutexGuard<'_, Inherited> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Socket { fd, .. } | Source::Own(fd, _) => fd.as_fd(),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.endpoint)
    }
}
