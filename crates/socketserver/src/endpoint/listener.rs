use super::source::Accept;
use super::unix_file::SocketFile;
use crate::Peer;
use crate::connection::pipeline::catch;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{SocketAddrAny, SocketFlags};
use socketserver_proto::Endpoint;
use socketserver_sys::{Forked, disown};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// One bound place that connections come from.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    /// Unlinks itself when dropped: before the socket closes, for what does not listen any more is anybody's.
    _file: Option<SocketFile>,
    source: Source,
}

enum Source {
    Socket { fd: OwnedFd, unix: bool },
    Own(OwnedFd, Mutex<Box<dyn Accept>>),
}

/// What `accept` gave.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
}

impl Listener {
    pub(crate) fn socket(endpoint: Endpoint, fd: OwnedFd, file: Option<SocketFile>) -> Self {
        let unix = matches!(endpoint, Endpoint::Unix { .. });
        Self { endpoint, source: Source::Socket { fd, unix }, _file: file }
    }

    pub(crate) fn own(endpoint: Endpoint, source: Box<dyn Accept>) -> io::Result<Self> {
        // A duplicate, so that waiting for it does not need the lock that accepting holds.
        let fd = source.as_fd().try_clone_to_owned()?;
        Ok(Self { endpoint, source: Source::Own(fd, Mutex::new(source)), _file: None })
    }

    /// The next connection, without waiting.
    pub(crate) fn accept(&self) -> io::Result<Accepted> {
        match &self.source {
            Source::Socket { fd, unix: false } => {
                let (socket, addr) = rustix::net::acceptfrom_with(fd, SocketFlags::CLOEXEC)?;
                let addr = addr.and_then(|addr: SocketAddrAny| SocketAddr::try_from(addr).ok());
                Ok(Accepted { socket, peer: addr.map_or_else(Peer::unnamed, Peer::from) })
            }
            Source::Socket { fd, unix: true } => {
                let socket = rustix::net::accept_with(fd, SocketFlags::CLOEXEC)?;
                let credentials = socketserver_sys::peer_credentials(&socket).ok();
                Ok(Accepted { socket, peer: Peer::unix(credentials) })
            }
            Source::Own(_, source) => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                // One that panics is of no use any more, as one that fails without an errno is.
                let (socket, peer) = catch(|| source.accept()).map_err(io::Error::other)??;
                // The blocking engine waits in the socket, and by its own clock.
                rustix::io::ioctl_fionbio(&socket, false)?;
                set_socket_timeout(&socket, Timeout::Recv, None)?;
                Ok(Accepted { socket, peer })
            }
        }
    }

    /// In a forked child: lets go of the socket, which the parent goes on with.
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        match &self.source {
            Source::Socket { fd, .. } => disown(child, fd),
            Source::Own(fd, source) => {
                disown(child, fd)?;
                disown(child, source.lock().unwrap_or_else(PoisonError::into_inner).as_fd())
            }
        }
    }
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
