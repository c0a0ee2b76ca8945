use super::source::Accept;
#[cfg(feature = "tokio")]
use super::task_source;
use super::unix_file::SocketFile;
use crate::Peer;
use crate::connection::pipeline::catch;
use crate::datagram::DatagramSocket;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{SocketAddrAny, SocketFlags};
use socketserver_proto::Endpoint;
use socketserver_sys::{Forked, disown};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// One bound place that connections come from.
pub(crate) struct Listener {
    pub(crate) endpoint: Endpoint,
    /// Unlinks itself when dropped: before the socket closes, for what does not listen any more is anybody's.
    _file: Option<SocketFile>,
    source: Source,
}

enum Source {
    Socket {
        fd: OwnedFd,
        unix: bool,
    },
    Own(OwnedFd, Mutex<Box<dyn Accept>>),
    /// Packets come to it, and no connections.
    Packets(Arc<DatagramSocket>),
    /// It has no descriptor: the async engine polls it.
    #[cfg(feature = "tokio")]
    Task(Mutex<TaskSource>),
}

/// A source that is polled, and what came of it.
#[cfg(feature = "tokio")]
struct TaskSource {
    source: Box<dyn task_source::Accept>,
    came: Option<io::Result<Accepted>>,
}

/// What `accept` gave.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) transport: Transport,
    pub(crate) peer: Peer,
}

/// What a connection comes over.
pub(crate) enum Transport {
    Socket(OwnedFd),
    #[cfg(feature = "tokio")]
    Own(Box<dyn crate::connection::AsyncTransport>),
}

impl Accepted {
    fn socket(socket: OwnedFd, peer: Peer) -> Self {
        Self { transport: Transport::Socket(socket), peer }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl Listener {
    pub(crate) fn socket(endpoint: Endpoint, fd: OwnedFd, file: Option<SocketFile>) -> Self {
        let unix = matches!(endpoint, Endpoint::Unix { .. } | Endpoint::Seqpacket { .. });
        Self { endpoint, source: Source::Socket { fd, unix }, _file: file }
    }

    pub(crate) fn datagram(endpoint: Endpoint, socket: DatagramSocket, file: Option<SocketFile>) -> Self {
        Self { endpoint, source: Source::Packets(Arc::new(socket)), _file: file }
    }

    /// The socket that packets come to, if it is one.
    pub(crate) fn packets(&self) -> Option<&Arc<DatagramSocket>> {
        if let Source::Packets(socket) = &self.source { Some(socket) } else { None }
    }

    /// Whether its connections keep messages apart by themselves. What a source of a user's own says it is changes nothing.
    pub(crate) fn keeps_messages(&self) -> bool {
        matches!((&self.source, &self.endpoint), (Source::Socket { .. }, Endpoint::Seqpacket { .. }))
    }

    pub(crate) fn own(endpoint: Endpoint, source: Box<dyn Accept>) -> io::Result<Self> {
        // A duplicate, so that waiting for it does not need the lock that accepting holds.
        let fd = source.as_fd().try_clone_to_owned()?;
        Ok(Self { endpoint, source: Source::Own(fd, Mutex::new(source)), _file: None })
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn task(source: Box<dyn task_source::Accept>) -> Self {
        Self {
            endpoint: source.endpoint(),
            source: Source::Task(Mutex::new(TaskSource { source, came: None })),
            _file: None,
        }
    }

    /// Waits for a source that has no descriptor; then [`accept`](Self::accept) gives what came.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let Source::Task(task) = &self.source else { return std::task::Poll::Pending };
        let mut task = task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.came.is_none() {
            let polled = catch(|| task.source.poll_accept(cx));
            let came = match polled {
                Ok(polled) => std::task::ready!(polled),
                Err(panic) => Err(io::Error::other(panic)),
            };
            let accepted = |(transport, peer)| Accepted { transport: Transport::Own(transport), peer };
            task.came = Some(came.map(accepted));
        }
        std::task::Poll::Ready(())
    }

    /// What connections are waited for with; `None`: they have to be polled for.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Socket { fd, .. } | Source::Own(fd, _) => Some(fd.as_fd()),
            Source::Packets(socket) => Some(socket.as_fd()),
            #[cfg(feature = "tokio")]
            Source::Task(_) => None,
        }
    }

    /// The next connection, without waiting.
    pub(crate) fn accept(&self) -> io::Result<Accepted> {
        match &self.source {
            Source::Socket { fd, unix: false } => {
                let (socket, addr) = rustix::net::acceptfrom_with(fd, SocketFlags::CLOEXEC)?;
                let addr = addr.and_then(|addr: SocketAddrAny| SocketAddr::try_from(addr).ok());
                Ok(Accepted::socket(socket, addr.map_or_else(Peer::unnamed, Peer::from)))
            }
            Source::Socket { fd, unix: true } => {
                let socket = rustix::net::accept_with(fd, SocketFlags::CLOEXEC)?;
                let credentials = socketserver_sys::peer_credentials(&socket).ok();
                Ok(Accepted::socket(socket, Peer::unix(credentials)))
            }
            // Nobody asks it for one.
            Source::Packets(_) => Err(io::ErrorKind::WouldBlock.into()),
            #[cfg(feature = "tokio")]
            Source::Task(task) => {
                let came = task.lock().unwrap_or_else(PoisonError::into_inner).came.take();
                came.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
            }
            Source::Own(_, source) => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                // One that panics is of no use any more, as one that fails without an errno is.
                let (socket, peer) = catch(|| source.accept()).map_err(io::Error::other)??;
                // The blocking engine waits in the socket, and by its own clock.
                rustix::io::ioctl_fionbio(&socket, false)?;
                set_socket_timeout(&socket, Timeout::Recv, None)?;
                Ok(Accepted::socket(socket, peer))
            }
        }
    }

    /// In a forked child: lets go of the socket, which the parent goes on with.
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        match &self.source {
            Source::Socket { fd, .. } => disown(child, fd),
            Source::Packets(socket) => socket.disown(child),
            Source::Own(fd, source) => {
                disown(child, fd)?;
                disown(child, source.lock().unwrap_or_else(PoisonError::into_inner).as_fd())
            }
            #[cfg(feature = "tokio")]
            Source::Task(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.endpoint)
    }
}
