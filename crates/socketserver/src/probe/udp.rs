//! A packet, and what comes back of it.

use super::Evidence;
use super::icmp::told;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// A target that is being asked, by a socket of its own: what comes there concerns nobody else.
#[derive(Debug)]
pub(super) struct Question {
    socket: Socket,
    /// Hears what other addresses send to the same port, which a connected socket does not.
    ear: Option<Socket>,
    target: SocketAddr,
    local: SocketAddr,
    elsewhere: Option<SocketAddr>,
}

impl Question {
    /// # Errors
    /// Those of this machine: there is no way to the target.
    pub(super) fn start(target: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM.nonblocking().cloexec(), None)?;
        socketserver_sys::tell_errors(&socket, target.is_ipv6())?;
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // A port that nobody else has.
        socket.bind(&any.into())?;
        socket.connect(&target.into())?;
        let local = socket.local_addr()?.as_socket().unwrap_or(any);
        let ear = if local == target { None } else { ear(&socket, local).ok() };
        Ok(Self { socket, ear, target, local, elsewhere: None })
    }

    /// Whether the port is the target's own; nothing is to be sent then.
    fn is_itself(&self) -> bool {
        self.local == self.target
    }

    /// Whether it is this machine that is asked, which limits none of its answers to itself.
    pub(super) fn is_at_home(&self) -> bool {
        self.local.ip() == self.target.ip() || self.target.ip().is_loopback()
    }

    /// Sends the packet, once more or for the first time.
    ///
    /// # Errors
    /// Those of this machine: it was not sent.
    pub(super) fn ask(&mut self, payload: &[u8]) -> io::Result<Option<Evidence>> {
        // What has come of the last one would be told by the call that sends, in the place of its own result.
        if let Some(evidence) = self.look() {
            return Ok(Some(evidence));
        }
        loop {
            match self.socket.send(payload).map_err(|error| Errno::from_io_error(&error)) {
                Err(Some(Errno::INTR)) => {}
                // As good as lost on the way: there are more tries.
                Ok(_) | Err(Some(Errno::AGAIN | Errno::NOBUFS)) => return Ok(None),
                Err(error) => match self.look() {
                    None => return Err(error.unwrap_or(Errno::IO).into()),
                    evidence => return Ok(evidence),
                },
            }
        }
    }

    /// What has come of it by now, if anything has.
    pub(super) fn look(&mut self) -> Option<Evidence> {
        if self.is_itself() {
            return Some(Evidence::Itself);
        }
        let told = told(&self.socket, self.target.ip(), self.local.ip());
        // An answer counts for more than that another packet was lost.
        match recv(&self.socket, &mut [0; 1][..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, bytes)) => return Some(Evidence::Reply { bytes }),
            // It comes again, with the next look.
            Err(_) if told.is_none() => {}
            Err(_) => return told,
        }
        if let Some(ear) = &self.ear
            && let Ok((_, from)) = ear.recv_from(&mut [])
        {
            self.elsewhere = self.elsewhere.or(from.as_socket());
        }
        None
    }

    /// What it comes to when nothing more comes.
    pub(super) fn silence(&self) -> Evidence {
        self.elsewhere.map_or(Evidence::Silence, |from| Evidence::Elsewhere { from })
    }

    /// What to wait on.
    pub(super) fn ears(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(&self.socket), self.ear.as_ref()].into_iter().flatten().map(AsFd::as_fd)
    }
}

/// Another socket on the port that this one has. Packets from the target go to the one that is connected to it, all others
/// to this. Nobody else can come to share the port, but for the moment that this takes, and then only the same user.
fn ear(socket: &Socket, local: SocketAddr) -> io::Result<Socket> {
    let ear = Socket::new(Domain::for_address(local), Type::DGRAM.nonblocking().cloexec(), None)?;
    ear.set_reuse_port(true)?;
    socket.set_reuse_port(true)?;
    let bound = ear.bind(&SockAddr::from(local));
    socket.set_reuse_port(false)?;
    ear.set_reuse_port(false)?;
    bound.map(|()| ear)
}
