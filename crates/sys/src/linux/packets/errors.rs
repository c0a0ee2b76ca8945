use super::ancillary::{Control, messages};
use super::options::set;
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrStorage;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// A packet that a UDP socket sent and that did not arrive, and who said so (`IP_RECVERR`, `ip(7)`; `IPV6_RECVERR`,
/// `ipv6(7)`).
///
/// ```
/// use socketserver_sys::{Origin, next_error, tell_errors};
/// use std::net::UdpSocket;
/// let nobody = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// tell_errors(&socket, false)?;
/// socket.send_to(b"anybody there?", nobody)?;
/// // The loopback answers before the call returns.
/// let bounce = next_error(&socket)?.expect("there is nobody");
/// assert_eq!(bounce.to, Some(nobody));
/// assert_eq!(bounce.origin, Origin::Icmp { kind: 3, code: 3 }, "port unreachable");
/// assert_eq!(bounce.by, Some("127.0.0.1".parse()?));
/// assert_eq!(bounce.error.kind(), std::io::ErrorKind::ConnectionRefused);
/// assert!(next_error(&socket)?.is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Bounce {
    /// What it comes to, as `connect(2)` would say it.
    pub error: io::Error,
    /// Who found out.
    pub origin: Origin,
    /// Whose ICMP message it was: the destination's, or a router's on the way.
    pub by: Option<IpAddr>,
    /// Where the packet was sent to.
    pub to: Option<SocketAddr>,
    /// The largest packet that gets through, if it was too large (`EMSGSIZE`).
    pub mtu: Option<u32>,
}

/// Who found out that a packet does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// This machine.
    Local,
    /// An ICMP message (RFC 792).
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// An `ICMPv6` message (RFC 4443).
    Icmp6 {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// Whether the error of a call on a UDP socket may be what ICMP said of a packet that was sent before, to whomever: one of
/// those that `icmp(7)` messages come to. By telling it the call has cleared it, and done nothing else: made again it does
/// what it was made for, or says what is wrong with that.
///
/// ```
/// use socketserver_sys::{may_be_anothers, tell_errors};
/// use std::net::UdpSocket;
/// let nobody = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
/// let (socket, somebody) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// tell_errors(&socket, false)?;
/// socket.send_to(b"anybody there?", nobody)?;
/// assert!(may_be_anothers(&socket.send_to(b"hello", somebody.local_addr()?).unwrap_err()));
/// assert_eq!(socket.send_to(b"hello", somebody.local_addr()?)?, 5);
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn may_be_anothers(error: &io::Error) -> bool {
    must_be_anothers(error) || {
        const EITHERS: [i32; 5] =
            [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EMSGSIZE, libc::EOPNOTSUPP, libc::EACCES];
        error.raw_os_error().is_some_and(|number| EITHERS.contains(&number))
    }
}

/// Whether nothing else can have brought it about, on a socket of the internet. The two lists together are those of the
/// kernel, `icmp_err_convert` and `icmpv6_err_convert`.
pub(super) fn must_be_anothers(error: &io::Error) -> bool {
    const ANOTHERS: [i32; 5] = [libc::ECONNREFUSED, libc::ENOPROTOOPT, libc::EHOSTDOWN, libc::ENONET, libc::EPROTO];
    error.raw_os_error().is_some_and(|number| ANOTHERS.contains(&number))
}

/// Has a UDP socket keep the errors of packets that it sent, for [`next_error`]. One that is still unread there is told by
/// the next call that sends or receives as well, whomever that one is for.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn tell_errors(socket: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
    }
    // An IPv6 socket may send IPv4 packets too.
    set(&socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
}

/// The next error that the socket keeps; `None`: there is no other.
///
/// # Errors
/// What `recvmsg(2)` says.
pub fn next_error(socket: impl AsFd) -> io::Result<Option<Bounce>> {
    let (mut control, mut name) = (Control::EMPTY, MaybeUninit::<libc::sockaddr_storage>::zeroed());
    // SAFETY: zero is a value of this structure of integers and pointers: no name, no parts, no control buffer.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
    header.msg_control = control.as_mut_ptr();
    header.msg_controllen = Control::SIZE as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    loop {
        // SAFETY: name and control buffer are ours and as long as the header says; there is no part for the packet itself.
        // The descriptor is borrowed for the whole call.
        if unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) } >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    }
    let to = (header.msg_namelen > size_of::<libc::sa_family_t>() as u32).then(|| {
        let name: *const SocketAddrStorage = name.as_ptr().cast();
        // SAFETY: the kernel wrote an address of that length there, no longer than the storage that it was told of.
        unsafe { SocketAddrAny::read(name, header.msg_namelen) }
    });
    let mut bounce = Bounce {
        error: io::ErrorKind::Other.into(),
        origin: Origin::Local,
        by: None,
        to: to.and_then(|to| SocketAddr::try_from(to).ok()),
        mtu: None,
    };
    // SAFETY: the kernel filled the header in, and the control buffer is still there.
    unsafe {
        messages(&header, |level, kind, data| {
            if matches!((level, kind), (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR))
            {
                bounce.read(data);
            }
        });
    }
    Ok(Some(bounce))
}

impl Bounce {
    /// From `struct sock_extended_err` and the address behind it.
    fn read(&mut self, data: &[u8]) {
        let word = |at: usize| data.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes);
        let byte = |at: usize| data.get(at).copied().unwrap_or(0);
        self.error = io::Error::from_raw_os_error(word(0) as i32);
        let (kind, code) = (byte(5), byte(6));
        self.origin = match byte(4) {
            libc::SO_EE_ORIGIN_ICMP => Origin::Icmp { kind, code },
            libc::SO_EE_ORIGIN_ICMP6 => Origin::Icmp6 { kind, code },
            _ => Origin::Local,
        };
        if self.error.raw_os_error() == Some(libc::EMSGSIZE) {
            self.mtu = Some(word(8)).filter(|mtu| *mtu > 0);
        }
        let offender = data.get(size_of::<libc::sock_extended_err>()..).unwrap_or(&[]);
        let family = offender.get(..2).map_or(0, |family| u16::from_ne_bytes([family[0], family[1]]));
        self.by = match libc::c_int::from(family) {
            libc::AF_INET => {
                offender.get(4..8).and_then(|ip| <[u8; 4]>::try_from(ip).ok()).map(|ip| Ipv4Addr::from(ip).into())
            }
            libc::AF_INET6 => offender
                .get(8..24)
                .and_then(|ip| <[u8; 16]>::try_from(ip).ok())
                .map(|ip| IpAddr::from(Ipv6Addr::from(ip)).to_canonical()),
            _ => None,
        };
    }
}
