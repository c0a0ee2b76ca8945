//! One connection to find out by, and its end.

use super::Evidence;
use super::icmp::told;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A try to connect; a fresh socket each. The system repeats what it sends as long as the try lasts (`tcp(7)`).
#[derive(Debug)]
pub(super) struct Dial<'p> {
    socket: Socket,
    target: SocketAddr,
    local: IpAddr,
    payload: &'p [u8],
    phase: Phase,
    began: Instant,
    /// How long it took to be connected.
    pub(super) took: Option<Duration>,
    /// Whether its time to reply has begun.
    pub(super) listens: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The system knew at once.
    Refused,
    Connecting,
    /// So much has been sent.
    Connected(usize),
}

impl<'p> Dial<'p> {
    /// # Errors
    /// Those of this machine: nothing was sent.
    pub(super) fn start(target: SocketAddr, payload: &'p [u8]) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM.nonblocking().cloexec(), None)?;
        // While it connects a TCP socket keeps ICMP errors as those of UDP do, since Linux 5.8: `connect(2)` itself tells
        // neither whose they are nor one kind from another.
        socketserver_sys::tell_errors(&socket, target.is_ipv6())?;
        socket.set_tcp_nodelay(true)?;
        let began = Instant::now();
        let phase = match socket.connect(&SockAddr::from(target)).map_err(|error| Errno::from_io_error(&error)) {
            Ok(()) | Err(Some(Errno::INPROGRESS)) => Phase::Connecting,
            Err(Some(Errno::CONNREFUSED)) => Phase::Refused,
            Err(error) => return Err(error.unwrap_or(Errno::IO).into()),
        };
        let local = socket.local_addr()?.as_socket().map_or(target.ip(), |local| local.ip());
        Ok(Self { socket, target, local, payload, phase, began, took: None, listens: false })
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        match self.phase {
            Phase::Refused | Phase::Connecting => PollFlags::OUT,
            Phase::Connected(sent) if sent < self.payload.len() => PollFlags::OUT | PollFlags::IN,
            Phase::Connected(_) => PollFlags::IN,
        }
    }

    /// What has come of it by now, if anything has.
    pub(super) fn look(&mut self) -> Option<Evidence> {
        let told = told(&self.socket, self.target.ip(), self.local);
        match self.phase {
            Phase::Refused => return Some(Evidence::Reset),
            Phase::Connecting if told.is_some() => return told,
            Phase::Connecting => match self.socket.take_error() {
                Err(error) | Ok(Some(error)) => return Some(failed(&error)),
                Ok(None) => {
                    // Not yet.
                    let peer = self.socket.peer_addr().ok()?;
                    self.took = Some(self.began.elapsed());
                    // Both ends picked the same port, and TCP lets two calls that cross be one connection (RFC 9293,
                    // section 3.5): nobody has to listen for that.
                    if self.socket.local_addr().is_ok_and(|local| local.as_socket() == peer.as_socket()) {
                        return Some(Evidence::Itself);
                    }
                    if self.payload.is_empty() {
                        return Some(Evidence::Connected);
                    }
                    self.phase = Phase::Connected(0);
                }
            },
            Phase::Connected(_) => {}
        }
        self.talk()
    }

    /// Sends what is still to be sent, and hears whether that was answered.
    fn talk(&mut self) -> Option<Evidence> {
        if let Phase::Connected(sent) = &mut self.phase {
            while *sent < self.payload.len() {
                match send(&self.socket, &self.payload[*sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                    Ok(count) => *sent += count,
                    Err(Errno::INTR) => {}
                    // Whether it was ended or there is no room shows below.
                    Err(_) => break,
                }
            }
        }
        match recv(&self.socket, &mut [0; 2048][..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => Some(Evidence::HungUp),
            Ok((bytes, _)) => Some(Evidence::Reply { bytes }),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => Some(Evidence::HungUp),
        }
    }

    /// What it comes to when nothing more comes.
    pub(super) fn silence(&self) -> Evidence {
        if self.took.is_some() { Evidence::NoReply } else { Evidence::Silence }
    }

    /// Ends it, so that the other side does not take it for a connection that broke off.
    pub(super) fn part(self, evidence: &Evidence, now: Instant) -> Option<Parting> {
        match evidence {
            Evidence::Connected | Evidence::Reply { .. } | Evidence::NoReply => {
                self.socket.shutdown(Shutdown::Write).ok()?;
                Some(Parting { socket: self.socket, until: now + Parting::TIME, left: Parting::BYTES })
            }
            Evidence::Itself => {
                // An orderly end would keep the port from whoever is about to listen there, for a minute (TIME-WAIT).
                let _ = self.socket.set_linger(Some(Duration::ZERO));
                None
            }
            _ => None,
        }
    }
}

impl AsFd for Dial<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a failed connection says.
fn failed(error: &io::Error) -> Evidence {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Evidence::Reset,
        Some(Errno::TIMEDOUT) => Evidence::Silence,
        error => Evidence::Unexplained { os_error: error.unwrap_or(Errno::IO).raw_os_error() },
    }
}

/// A connection that has served its purpose: we have said that nothing more comes, and read what still does, for closing
/// it with that unread would be a reset.
#[derive(Debug)]
pub(super) struct Parting {
    socket: Socket,
    pub(super) until: Instant,
    left: usize,
}

impl Parting {
    const TIME: Duration = Duration::from_millis(500);
    const BYTES: usize = 256 * 1024;

    /// Reads what has come; whether that was all.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        loop {
            match recv(&self.socket, &mut [0; 16 * 1024][..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return true,
                Ok((count, _)) => self.left = self.left.saturating_sub(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return now >= self.until,
                Err(_) => return true,
            }
            if self.left == 0 {
                return true;
            }
        }
    }
}

impl AsFd for Parting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
