use super::Evidence;
use socketserver_sys::{Bounce, Origin, next_error};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// The first message that the socket keeps of why a packet did not arrive. Those behind it are read too, for what is left
/// unread is told again; no more than a few at a time, for others send them.
pub(super) fn told(socket: impl AsFd, target: IpAddr, local: IpAddr) -> Option<Evidence> {
    let mut told = None;
    for _ in 0..64 {
        let Ok(Some(bounce)) = next_error(&socket) else { break };
        told = told.or_else(|| {
            let whose = Whose::of(bounce.by, target, local);
            Icmp::of(&bounce).map(|message| Evidence::Icmp { message, by: bounce.by, whose })
        });
    }
    told
}

/// A message of ICMP (RFC 792) or `ICMPv6` (RFC 4443) about a packet that did not arrive. It prints with its name.
///
/// ```
/// use socketserver::probe::Icmp;
/// let message = Icmp { v6: true, kind: 1, code: 4 };
/// assert!(message.is_port_unreachable());
/// assert_eq!(message.to_string(), "ICMPv6 port unreachable, type 1 code 4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// Whether it is one of `ICMPv6`, whose numbers are others.
    pub v6: bool,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
}

impl Icmp {
    /// Whether it says that nobody is at that port: type 3 code 3, of `ICMPv6` type 1 code 4.
    #[must_use]
    pub fn is_port_unreachable(&self) -> bool {
        matches!((self.v6, self.kind, self.code), (false, 3, 3) | (true, 1, 4))
    }

    /// Of an error that a socket keeps, if it is a message that says that a packet did not arrive: not of one that was too
    /// large, which the system then cuts, nor of advice (source quench, redirect).
    pub(super) fn of(bounce: &Bounce) -> Option<Self> {
        let (v6, kind, code) = match bounce.origin {
            Origin::Icmp { kind, code } => (false, kind, code),
            Origin::Icmp6 { kind, code } => (true, kind, code),
            _ => return None,
        };
        let final_word = match (v6, kind, code) {
            (false, 3, 4) => false,
            (false, 3 | 11 | 12, _) | (true, 1 | 3 | 4, _) => true,
            _ => false,
        };
        final_word.then_some(Self { v6, kind, code })
    }

    /// What the registry of IANA calls it, in short.
    fn name(&self) -> &'static str {
        match (self.v6, self.kind, self.code) {
            (false, 3, 0 | 6) => "network unreachable",
            (false, 3, 1 | 7) | (true, 1, 3) => "host unreachable",
            (false, 3, 2) => "protocol unreachable",
            (false, 3, 3) | (true, 1, 4) => "port unreachable",
            (false, 3, 9) => "network prohibited",
            (false, 3, 10) => "host prohibited",
            (false, 3, 11 | 12) => "unreachable for this type of service",
            (false, 3, 13) | (true, 1, 1) => "communication prohibited",
            (true, 1, 0) => "no route",
            (true, 1, 2) => "beyond the scope of the source",
            (true, 1, 5) => "source address prohibited",
            (true, 1, 6) => "route rejected",
            (false, 11, _) | (true, 3, _) => "time exceeded",
            (false, 12, _) | (true, 4, _) => "parameter problem",
            _ => "unreachable",
        }
    }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { v6, kind, code } = self;
        write!(f, "{} {}, type {kind} code {code}", if *v6 { "ICMPv6" } else { "ICMP" }, self.name())
    }
}

/// Whose address a message of ICMP bears, as seen from the probe. (Addresses can be forged; that nobody between here and
/// the target does so is taken for granted.)
///
/// ```
/// use socketserver::probe::Whose;
/// assert_eq!(Whose::Ourselves.to_string(), ", this machine");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Whose {
    /// The target's own.
    Target,
    /// This machine's: no neighbour answers to the target's address, or a rule of its own rejects the packet.
    Ourselves,
    /// Another one's: a router's on the way, or a filter's.
    Another,
}

impl Whose {
    pub(super) fn of(by: Option<IpAddr>, target: IpAddr, local: IpAddr) -> Self {
        let target = target.to_canonical();
        match by.map(|by| by.to_canonical()) {
            Some(by) if by == target => Self::Target,
            Some(by) if by == local.to_canonical() => Self::Ourselves,
            _ => Self::Another,
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => " itself",
            Self::Ourselves => ", this machine",
            Self::Another => " on the way",
        })
    }
}
