use super::Undelivered;
use crate::client::target::{reach, unix_addr};
use crate::endpoint::resolve;
use crate::{Error, ErrorKind, Peer};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix};
use socket2::{Domain, SockAddr, Socket, Type};
use socketserver_proto::{Endpoint, Host};
use socketserver_sys::{next_error, tell_errors};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often a packet is tried to be sent while what comes back may be the error of another one: each that is taken
/// from the queue meanwhile makes the system tell of the next.
const ATTEMPTS: usize = 32;

/// A socket for packets. Nothing here waits.
#[derive(Debug)]
pub(super) struct Core {
    fd: OwnedFd,
    carrier: Carrier,
    /// To whom it is connected; `None` over Unix sockets, and of one that is not.
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    V4,
    V6,
    /// An IPv6 socket that sends IPv4 as well.
    Both,
    Unix,
}

/// What was received, and how much of it.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) len: usize,
    pub(super) truncated: bool,
    /// `None` over Unix sockets.
    pub(super) from: Option<SocketAddr>,
}

/// Where packets for an endpoint go. It may ask the system for the address of a name, and wait for it.
pub(super) fn find(endpoint: &Endpoint) -> Result<SockAddr, Error> {
    let failed = |error| cannot_connect(endpoint, error);
    match endpoint {
        Endpoint::Udp { port: 0, .. } => {
            let words = format!("`{endpoint}`: nobody has port 0; for example `udp://127.0.0.1:8080`");
            Err(Error::new(ErrorKind::Endpoint, words))
        }
        Endpoint::Udp { host, port } => reach(host, *port).map(SockAddr::from).map_err(failed),
        Endpoint::Unixgram { name, .. } => unix_addr(name).map_err(failed),
        other => {
            let words = format!("`{other}` takes no packets; for example `udp://127.0.0.1:8080` or `unixgram:@app`");
            Err(Error::new(ErrorKind::Unsupported, words))
        }
    }
}

fn cannot_connect(endpoint: &Endpoint, error: io::Error) -> Error {
    Error::io(format!("cannot connect to `{endpoint}`"), error)
}

impl Core {
    /// Connected: packets go to that address, and come from there alone.
    pub(super) fn connect(endpoint: &Endpoint, addr: &SockAddr) -> Result<Self, Error> {
        let connected = match addr.as_socket() {
            Some(peer) => Self::connect_udp(peer),
            None => Self::connect_unix(addr),
        };
        connected.map_err(|error| cannot_connect(endpoint, error))
    }

    fn connect_udp(peer: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, None)?;
        tell_errors(&socket, peer.is_ipv6())?;
        socket.connect(&peer.into())?;
        let carrier = if peer.is_ipv6() { Carrier::V6 } else { Carrier::V4 };
        // The unspecified address is this machine, and has become its loopback.
        let peer = socket.peer_addr()?.as_socket().map(canonical);
        let local = socket.local_addr()?.as_socket().map(canonical);
        Ok(Self { fd: socket.into(), carrier, peer, local })
    }

    fn connect_unix(addr: &SockAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        socket.connect(addr)?;
        // A name of the system's choice, for replies (autobind, unix(7)). Only now: before it had a name nobody could
        // send to it, and from now on nobody but the peer can.
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
        Ok(Self { fd: socket.into(), carrier: Carrier::Unix, peer: None, local: None })
    }

    /// Bound, and connected to nobody. It may ask for the address of a name, and wait for it.
    pub(super) fn bind(endpoint: &Endpoint) -> Result<Self, Error> {
        let bound = match endpoint {
            Endpoint::Udp { host: Host::Any, port } => {
                match Self::bind_udp((Ipv6Addr::UNSPECIFIED, *port).into(), Carrier::Both) {
                    // There is no IPv6 here.
                    Err(error) if no_ipv6(&error) => Self::bind_udp((Ipv4Addr::UNSPECIFIED, *port).into(), Carrier::V4),
                    bound => bound,
                }
            }
            Endpoint::Udp { host, port } => resolve(host, *port)
                .and_then(|local| Self::bind_udp(local, if local.is_ipv6() { Carrier::V6 } else { Carrier::V4 })),
            other => {
                let words = format!("`{other}`: one socket for many peers is for UDP; for example `udp://*:0`");
                return Err(Error::new(ErrorKind::Unsupported, words));
            }
        };
        bound.map_err(|error| Error::io(format!("cannot bind `{endpoint}`"), error))
    }

    fn bind_udp(local: SocketAddr, carrier: Carrier) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
        if local.is_ipv6() {
            socket.set_only_v6(carrier == Carrier::V6)?;
        }
        tell_errors(&socket, local.is_ipv6())?;
        socket.bind(&local.into())?;
        let local = socket.local_addr()?.as_socket();
        Ok(Self { fd: socket.into(), carrier, peer: None, local })
    }

    /// To whom it is connected; `None` over Unix sockets, and of one that is not.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Where it is bound; `None` over Unix sockets.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Sends a packet: to `to`, or to whom the socket is connected. `WouldBlock`: there is no room for it now.
    pub(super) fn try_send(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        let to = to.map(|to| self.spelled(to)).transpose()?;
        self.fits(packet, to.or(self.peer))?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut attempts = 0;
        loop {
            let sent = match to {
                Some(to) => rustix::net::sendto(&self.fd, packet, flags, &to),
                None => rustix::net::send(&self.fd, packet, flags),
            };
            attempts += 1;
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                // It may be that of an earlier packet: then it was told instead of anything being sent, and this once.
                // What is known of it stays in the error queue, for who receives.
                Err(error) if attempts < ATTEMPTS && self.carrier != Carrier::Unix && brought_by_icmp(error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As this socket writes the address.
    fn spelled(&self, to: SocketAddr) -> io::Result<SocketAddr> {
        let to = canonical(to);
        match (self.carrier, to) {
            (Carrier::Both, SocketAddr::V4(v4)) => Ok(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())),
            (Carrier::V4, SocketAddr::V4(_)) | (Carrier::V6 | Carrier::Both, SocketAddr::V6(_)) => Ok(to),
            _ => {
                let words = format!("{to} is of another family than this socket; one at `udp://*:0` sends to both");
                Err(io::Error::new(io::ErrorKind::InvalidInput, words))
            }
        }
    }

    /// Checked here: the system, which would refuse it too, leaves a note of that in the error queue.
    fn fits(&self, packet: &[u8], to: Option<SocketAddr>) -> io::Result<()> {
        let max = match to.map(canonical) {
            // A length of 16 bits, less the headers.
            Some(SocketAddr::V4(_)) => 65_507,
            Some(SocketAddr::V6(_)) => 65_527,
            // As much as the send buffer takes.
            None => return Ok(()),
        };
        if packet.len() <= max {
            return Ok(());
        }
        let words = format!("a packet of {} bytes is too large: UDP takes {max}", packet.len());
        Err(io::Error::new(io::ErrorKind::InvalidInput, words))
    }

    /// Receives a packet, or the news of one that did not arrive. `WouldBlock`: there is nothing now.
    pub(super) fn try_recv(&self, buf: &mut [u8]) -> io::Result<Came> {
        let mut again = true;
        loop {
            let error = match rustix::net::recvfrom(&self.fd, &mut *buf, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
                Ok((len, whole, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok()).map(canonical);
                    if self.is_wanted(from) {
                        return Ok(Came { len, truncated: whole > len, from });
                    }
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(error) => error,
            };
            if let Some(undelivered) = self.undelivered()? {
                return Err(undelivered.into());
            }
            if error == Errno::WOULDBLOCK || !again {
                return Err(error.into());
            }
            // Another thread took what there was to be known of it.
            again = false;
        }
    }

    /// Between the moment when it got its port and that when it was connected anybody could send to it.
    fn is_wanted(&self, from: Option<SocketAddr>) -> bool {
        let place = |addr: SocketAddr| (addr.ip(), addr.port());
        self.peer.is_none() || self.peer.map(place) == from.map(place)
    }

    /// The next packet of which it is known that it did not arrive; `None`: of no other.
    pub(super) fn undelivered(&self) -> io::Result<Option<Undelivered>> {
        // There would be packets in place of errors.
        if self.carrier == Carrier::Unix {
            return Ok(None);
        }
        while let Some(bounce) = next_error(&self.fd)? {
            if let Some(undelivered) = Undelivered::read(&bounce) {
                return Ok(Some(undelivered));
            }
        }
        Ok(None)
    }
}

impl AsFd for Core {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What `icmp_err_convert` and its like for IPv6 make of ICMP messages: RFC 1122, 4.1.3.3.
fn brought_by_icmp(error: Errno) -> bool {
    [
        Errno::CONNREFUSED,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::MSGSIZE,
        Errno::PROTO,
        Errno::ACCESS,
    ]
    .contains(&error)
}

fn no_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// IPv4 as IPv4, whatever socket it came by.
fn canonical(addr: SocketAddr) -> SocketAddr {
    Peer::from(addr).addr().unwrap_or(addr)
}
