use crate::Peer;
use socketserver_sys::{Bounce, Origin};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::{fmt, io};

/// Somebody on the way said, by ICMP, that a packet of ours did not arrive.
///
/// It comes as the [`io::Error`] of a wait for packets, whose kind says what it comes to: `ConnectionRefused` that
/// nobody has the port, `HostUnreachable` and `NetworkUnreachable` what they say. [`of`](Self::of) finds it in there.
/// Each is told once, and the socket goes on as before. Which packet it was is not told, nor is it sure that each that
/// is lost is told of: routers are sparing with ICMP, and drop it like other packets. Who sees our packets can forge
/// it.
///
/// ```
/// use socketserver::client::{self, Undelivered};
/// let nobody = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
/// let c = client::datagram(format!("udp://{nobody}"))?;
/// c.send(b"anybody there?")?;
/// let error = c.recv(&mut [0; 100]).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
/// let undelivered = Undelivered::of(&error).expect("the system says who told it");
/// assert_eq!(undelivered.peer(), nobody);
/// assert_eq!(undelivered.by(), Some(nobody.ip()));
/// assert_eq!(undelivered.icmp(), (3, 3));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    kind: io::ErrorKind,
    peer: SocketAddr,
    by: Option<IpAddr>,
    icmp: Icmp,
    mtu: Option<u32>,
}

/// Type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Icmp {
    V4(u8, u8),
    V6(u8, u8),
}

impl Undelivered {
    /// `None`: it was this machine that would not send it, and the call that was to send it said so.
    pub(super) fn read(bounce: &Bounce) -> Option<Self> {
        let icmp = match bounce.origin {
            Origin::Icmp { kind, code } => Icmp::V4(kind, code),
            Origin::Icmp6 { kind, code } => Icmp::V6(kind, code),
            _ => return None,
        };
        let peer = Peer::from(bounce.to?).addr()?;
        Some(Self { kind: bounce.error.kind(), peer, by: bounce.by, icmp, mtu: bounce.mtu })
    }

    /// The one that this error is, if it is one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// To whom the packet was sent.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Who says that it did not arrive: the peer's machine, or a router on the way.
    #[must_use]
    pub fn by(&self) -> Option<IpAddr> {
        self.by
    }

    /// Type and code of the message: of ICMP (RFC 792) if the [`peer`](Self::peer) has an IPv4 address, of `ICMPv6`
    /// (RFC 4443) otherwise.
    #[must_use]
    pub fn icmp(&self) -> (u8, u8) {
        match self.icmp {
            Icmp::V4(kind, code) | Icmp::V6(kind, code) => (kind, code),
        }
    }

    /// The largest packet that gets through, in bytes with its headers, if it was too large. The system takes it into
    /// account from then on, and cuts what is larger into fragments.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        self.mtu
    }

    /// What sort of error it comes to.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Codes of RFC 792, 1122, 1812 and 4443.
    fn words(&self) -> &'static str {
        match self.icmp {
            Icmp::V4(3, 0 | 6 | 11) | Icmp::V6(1, 0) => "no route to its network",
            Icmp::V4(3, 1 | 7 | 12) | Icmp::V6(1, 3) => "host unreachable",
            Icmp::V4(3, 2) => "it has no UDP",
            Icmp::V4(3, 3) | Icmp::V6(1, 4) => "port unreachable",
            Icmp::V4(3, 4) | Icmp::V6(2, _) => "packet too large",
            Icmp::V4(3, 9 | 10 | 13) | Icmp::V6(1, 1 | 5 | 6) => "prohibited",
            Icmp::V4(11, 1) | Icmp::V6(3, 1) => "fragments lost on the way",
            Icmp::V4(11, _) | Icmp::V6(3, _) => "too many hops",
            _ => "undeliverable",
        }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if matches!(self.icmp, Icmp::V4(..)) { "ICMP" } else { "ICMPv6" };
        let (kind, code) = self.icmp();
        write!(f, "packet to {} not delivered: {} ({name} type {kind} code {code}", self.peer, self.words())?;
        if let Some(by) = self.by {
            write!(f, " from {by}")?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, "; {mtu} bytes get through")?;
        }
        f.write_str(")")
    }
}

impl Error for Undelivered {}

impl From<Undelivered> for io::Error {
    fn from(undelivered: Undelivered) -> Self {
        Self::new(undelivered.kind, undelivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_said_what_of_whom() {
        let refused = Undelivered {
            kind: io::ErrorKind::ConnectionRefused,
            peer: "[::1]:9".parse().unwrap(),
            by: Some("::1".parse().unwrap()),
            icmp: Icmp::V6(1, 4),
            mtu: None,
        };
        let text = "packet to [::1]:9 not delivered: port unreachable (ICMPv6 type 1 code 4 from ::1)";
        assert_eq!(refused.to_string(), text);
        let large = Undelivered {
            peer: "192.0.2.1:9".parse().unwrap(),
            by: None,
            icmp: Icmp::V4(3, 4),
            mtu: Some(1400),
            ..refused
        };
        let text = "packet to 192.0.2.1:9 not delivered: packet too large (ICMP type 3 code 4; 1400 bytes get through)";
        assert_eq!(large.to_string(), text);
        let error = io::Error::from(large.clone());
        assert_eq!((error.to_string(), Undelivered::of(&error)), (text.to_owned(), Some(&large)));
    }
}
