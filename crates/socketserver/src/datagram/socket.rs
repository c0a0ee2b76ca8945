use super::Datagram;
use super::trains::Trains;
use crate::lifecycle::Handle;
use socketserver_sys::{Bounce, Forked, Inbox, disown, dropped, may_be_anothers, next_error};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A bound socket that packets come to, and the memory for them.
pub(crate) struct DatagramSocket {
    fd: OwnedFd,
    /// Where it is bound; `None` over Unix sockets.
    bound: Option<SocketAddr>,
    /// How another one is made and bound to the same address; `None`: it was made elsewhere.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "no other model has use for several"))]
    make: Option<Make>,
    /// Others may bind to the same port at any time, for that was asked for.
    reuse_port: bool,
    /// Those that are in nobody's hands. The one used last is warm in the cache and used next.
    #[expect(clippy::vec_box, reason = "each is handed about, and large")]
    spare: Mutex<Vec<Box<Datagram>>>,
    /// How many packets it has had no room for, when it was asked last.
    dropped: Mutex<u32>,
    /// For how many batches it has been crowded.
    crowded: AtomicU32,
    /// How many batches there were else.
    looks: AtomicU32,
    pub(super) trains: Trains,
}

/// Makes a socket and binds it, with `SO_REUSEPORT` or without; tells where it is bound.
type Make = Box<dyn Fn(SocketAddr, bool) -> io::Result<(OwnedFd, SocketAddr)> + Send + Sync>;

/// What came of a look for packets.
#[derive(Debug)]
pub(crate) struct Received {
    /// The packets, and how many they are; `None`: none waits.
    pub(crate) packets: Option<(Box<Datagram>, usize)>,
    /// The socket has told that packets which it sent did not arrive: [`DatagramSocket::next_bounce`] says which.
    pub(crate) bounced: bool,
    /// So many more packets the socket has had no room for.
    pub(crate) dropped: u32,
}

/// So many are kept.
const SPARE: usize = 4;
/// How often packets are looked for while ICMP messages come that keep the call from it. Each keeps it once.
const TRIES: u32 = 4;
/// Of packets as large as this a queue holds few.
const LARGE: usize = 4096;
/// Every so many batches it is asked how many packets were dropped: of crowded ones, and of others.
const OFTEN: u32 = 16;
const SELDOM: u32 = 64;

impl DatagramSocket {
    pub(crate) fn new(fd: OwnedFd, bound: Option<SocketAddr>) -> Self {
        Self::made(fd, bound, None)
    }

    fn made(fd: OwnedFd, bound: Option<SocketAddr>, make: Option<Make>) -> Self {
        let trains = Trains::new(&fd, bound.is_some());
        // What was dropped before it was ours is none of ours.
        let known = dropped(&fd).unwrap_or(0);
        let (spare, dropped) = (Mutex::default(), Mutex::new(known));
        let (crowded, looks) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { fd, bound, make, reuse_port: false, spare, dropped, crowded, looks, trains }
    }

    /// One that more can be made of.
    pub(crate) fn bind(
        addr: SocketAddr,
        reuse_port: bool,
        make: impl Fn(SocketAddr, bool) -> io::Result<(OwnedFd, SocketAddr)> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (fd, bound) = make(addr, reuse_port)?;
        let mut new = Self::made(fd, Some(bound), Some(Box::new(make)));
        new.reuse_port = reuse_port;
        Ok(new)
    }

    /// Another socket on the same port, for another shard: the kernel gives all packets of a peer to the same of them
    /// (`SO_REUSEPORT`, `socket(7)`). `None`: there can be but this one.
    #[cfg(feature = "tokio")]
    pub(crate) fn sibling(&self) -> io::Result<Option<Self>> {
        let (Some(make), Some(bound)) = (&self.make, self.bound) else { return Ok(None) };
        // Only now: before, a second server on the same port is a mistake that has to be told.
        rustix::net::sockopt::set_socket_reuseport(&self.fd, true)?;
        let (fd, bound) = make(bound, true)?;
        Ok(Some(Self::new(fd, Some(bound))))
    }

    /// Nobody else may bind to its port any more, unless that was asked for.
    #[cfg(feature = "tokio")]
    pub(crate) fn share_no_more(&self) {
        if self.make.is_some() && !self.reuse_port {
            // It may be closed to us already, in a child.
            let _ = rustix::net::sockopt::set_socket_reuseport(&self.fd, false);
        }
    }

    /// Receives what waits, for `endpoint` of that server.
    pub(crate) fn receive(&self, handle: &Handle, endpoint: usize) -> io::Result<Received> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut datagram = spare.unwrap_or_else(|| Box::new(Datagram::new(handle.clone(), endpoint)));
        let mut tries = 0;
        let received = loop {
            match datagram.inbox.receive_at_most(self.trains.at_a_time(), &self.fd) {
                Err(error) if self.bound.is_some() && may_be_anothers(&error) && tries < TRIES => tries += 1,
                received => break received,
            }
        };
        let bounced = tries > 0;
        match received {
            Ok(count) => {
                self.trains.saw(&datagram.inbox, count, &self.fd);
                datagram.begin(self.trains.may_leave());
                datagram.handle = handle.clone();
                datagram.endpoint = endpoint;
                datagram.bound = self.bound;
                let dropped = self.new_drops(&datagram.inbox);
                Ok(Received { packets: Some((datagram, count)), bounced, dropped })
            }
            Err(error) => {
                self.give_back(datagram);
                // With as many in a row packets are for the next look.
                let none = error.kind() == io::ErrorKind::WouldBlock || tries == TRIES;
                if none { Ok(Received { packets: None, bounced, dropped: 0 }) } else { Err(error) }
            }
        }
    }

    /// What the socket was told of a packet that it sent and that did not arrive; `None`: nothing more, or it is none that
    /// is told such things.
    pub(super) fn next_bounce(&self) -> Option<Bounce> {
        self.bound.and_then(|_| next_error(&self.fd).ok().flatten())
    }

    pub(super) fn give_back(&self, mut datagram: Box<Datagram>) {
        datagram.outbox.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(datagram);
        }
    }

    /// How many packets the socket has had no room for since this was asked last. It is not asked each time: packets are
    /// dropped when many wait, or large ones.
    fn new_drops(&self, inbox: &Inbox) -> u32 {
        let may_be = if inbox.is_full() || inbox.bytes(0).len() >= LARGE {
            (self.crowded.fetch_add(1, Relaxed) + 1).is_multiple_of(OFTEN)
        } else {
            // The end of a crowd, or now and then.
            (self.crowded.load(Relaxed) > 0 && self.crowded.swap(0, Relaxed) > 0)
                || self.looks.fetch_add(1, Relaxed).is_multiple_of(SELDOM)
        };
        if !may_be || self.bound.is_none() {
            return 0;
        }
        // Held for the call too: so no thread takes what another has counted for new.
        let mut known = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = dropped(&self.fd).unwrap_or(*known);
        so_far.wrapping_sub(std::mem::replace(&mut known, so_far))
    }

    /// Where it is bound; `None` over Unix sockets.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }

    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        disown(child, &self.fd)
    }
}

impl Drop for DatagramSocket {
    fn drop(&mut self) {
        // Another process may have the socket too, and go on with it.
        self.trains.end(&self.fd);
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Debug for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramSocket({:?})", self.bound)
    }
}
