use super::{Icmp, Whose};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What became of asking one target: a state, and what it was concluded from.
///
/// It prints as the command does behind the name of the target: `open (reply of 5 bytes; 1 try, 0.2 ms)`.
///
/// ```
/// use socketserver::probe::{Evidence, Probe, State};
/// use std::net::TcpListener;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let verdict = Probe::new().one(listener.local_addr()?.to_string())?;
/// assert_eq!((verdict.state, &verdict.evidence, verdict.tries), (State::Open, &Evidence::Connected, 1));
/// assert!(verdict.to_string().starts_with("open (connected; 1 try, "));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What is to be thought of the target.
    pub state: State,
    /// Why.
    pub evidence: Evidence,
    /// The address that was asked: the one of the name that the target has.
    pub address: SocketAddr,
    /// How long after the last try the answer came, of TCP the connection; `None`: there was none. An answer to an earlier
    /// try of UDP, where nothing tells which one is answered, shows as a shorter time than it took.
    pub rtt: Option<Duration>,
    /// How often it was asked: the packets of UDP, the connections of TCP that were begun. 0: the time was up before.
    pub tries: u32,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, evidence, tries, .. } = self;
        write!(f, "{state} ({evidence}; {tries} {}", if *tries == 1 { "try" } else { "tries" })?;
        if let Some(rtt) = self.rtt {
            write!(f, ", {:.1} ms", rtt.as_secs_f64() * 1e3)?;
        }
        f.write_str(")")
    }
}

/// What a target is. The words are those of `nmap(1)`.
///
/// ```
/// use socketserver::probe::State;
/// assert_eq!(State::OpenOrFiltered.to_string(), "open|filtered");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Somebody is there: a connection came about, or a packet was answered. Prints as `open`.
    Open,
    /// The host is there and says that nobody is at this port. Prints as `closed`.
    Closed,
    /// What was sent does not arrive, or a connection is not answered at all: whether somebody is there cannot be found
    /// out from here. Prints as `filtered`.
    Filtered,
    /// A packet was answered by nothing: somebody is there who does not answer this, or it did not arrive. Prints as
    /// `open|filtered`.
    OpenOrFiltered,
}

impl State {
    /// As it prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::OpenOrFiltered => "open|filtered",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a [`Verdict`] was concluded from. It prints in a few words, which are for people and may change.
///
/// ```
/// use socketserver::probe::{Evidence, Icmp, Whose};
/// let evidence = Evidence::Icmp {
///     message: Icmp { v6: false, kind: 3, code: 13 },
///     by: Some("192.0.2.1".parse()?),
///     whose: Whose::Another,
/// };
/// assert_eq!(evidence.to_string(), "ICMP communication prohibited, type 3 code 13, from 192.0.2.1 on the way");
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// TCP: a connection came about.
    Connected,
    /// It answered what was sent; the first piece of that had so many bytes. A packet may have none.
    Reply {
        /// How many.
        bytes: usize,
    },
    /// TCP: a connection came about, and what was sent was not answered in time.
    NoReply,
    /// TCP: a connection came about, and was ended by the other side with no answer.
    HungUp,
    /// TCP: the connection was refused by a reset.
    Reset,
    /// The system had picked the target's own port for the probe, which so met itself: nobody else had it.
    Itself,
    /// A message of ICMP said that a packet did not arrive.
    Icmp {
        /// Which.
        message: Icmp,
        /// Whose address it came from.
        by: Option<IpAddr>,
        /// Who that is.
        whose: Whose,
    },
    /// TCP: the system gave up with this error and kept the reason to itself.
    Unexplained {
        /// Its number, `errno(3)`.
        os_error: i32,
    },
    /// Nothing came.
    Silence,
    /// UDP: nothing came from the target, but a packet from elsewhere, sent to the port that had asked. A server on a host
    /// with several addresses may do that; so may anybody else, and it proves nothing.
    Elsewhere {
        /// Where it came from.
        from: SocketAddr,
    },
    /// The time was up before it was asked.
    Unasked,
}

impl Evidence {
    /// What to think of a target, of which this was seen.
    pub(super) fn state(&self, datagram: bool) -> State {
        match self {
            Self::Connected | Self::Reply { .. } | Self::NoReply | Self::HungUp => State::Open,
            Self::Reset | Self::Itself => State::Closed,
            Self::Icmp { message, whose: Whose::Target, .. } if datagram && message.is_port_unreachable() => {
                State::Closed
            }
            Self::Icmp { .. } | Self::Unexplained { .. } => State::Filtered,
            Self::Silence | Self::Elsewhere { .. } if !datagram => State::Filtered,
            Self::Silence | Self::Elsewhere { .. } | Self::Unasked => State::OpenOrFiltered,
        }
    }

    /// Whether anything was heard from the target, or about it.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(self, Self::NoReply | Self::Silence | Self::Elsewhere { .. } | Self::Unasked)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Reply { bytes: 1 } => f.write_str("reply of 1 byte"),
            Self::Reply { bytes } => write!(f, "reply of {bytes} bytes"),
            Self::NoReply => f.write_str("connected, no reply"),
            Self::HungUp => f.write_str("connected, closed without a reply"),
            Self::Reset => f.write_str("refused by a reset"),
            Self::Itself => f.write_str("connected to itself: the port was free"),
            Self::Icmp { message, by: Some(by), whose } => write!(f, "{message}, from {by}{whose}"),
            Self::Icmp { message, by: None, .. } => write!(f, "{message}"),
            Self::Unexplained { os_error } => {
                write!(f, "no connection: {}", io::Error::from_raw_os_error(*os_error))
            }
            Self::Silence => f.write_str("silence"),
            Self::Elsewhere { from } => write!(f, "silence, but a packet came from {from}"),
            Self::Unasked => f.write_str("not asked, the time was up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icmp(v6: bool, kind: u8, code: u8, whose: Whose) -> Evidence {
        Evidence::Icmp { message: Icmp { v6, kind, code }, by: None, whose }
    }

    #[test]
    fn what_follows_from_what() {
        use State::{Closed, Filtered, Open, OpenOrFiltered};
        // (evidence, over TCP, over UDP)
        let cases = [
            (Evidence::Reply { bytes: 0 }, Open, Open),
            (Evidence::Silence, Filtered, OpenOrFiltered),
            (Evidence::Itself, Closed, Closed),
            (Evidence::Unasked, OpenOrFiltered, OpenOrFiltered),
            // A host answers TCP by a reset: such a message is a filter's, whoever's address it bears.
            (icmp(false, 3, 3, Whose::Target), Filtered, Closed),
            (icmp(true, 1, 4, Whose::Target), Filtered, Closed),
            (icmp(false, 3, 3, Whose::Another), Filtered, Filtered),
            (icmp(true, 1, 4, Whose::Another), Filtered, Filtered),
            (icmp(true, 1, 3, Whose::Ourselves), Filtered, Filtered),
            // Port unreachable of one family is something else in the other.
            (icmp(true, 3, 3, Whose::Target), Filtered, Filtered),
            (icmp(false, 3, 2, Whose::Target), Filtered, Filtered),
            (icmp(false, 3, 13, Whose::Target), Filtered, Filtered),
            (icmp(false, 11, 0, Whose::Another), Filtered, Filtered),
        ];
        for (evidence, tcp, udp) in cases {
            assert_eq!((evidence.state(false), evidence.state(true)), (tcp, udp), "{evidence:?}");
        }
    }

    #[test]
    fn words() {
        let by = Some("192.0.2.1".parse().unwrap());
        let verdict = Verdict {
            state: State::Filtered,
            evidence: Evidence::Icmp { message: Icmp { v6: false, kind: 3, code: 1 }, by, whose: Whose::Ourselves },
            address: "192.0.2.9:53".parse().unwrap(),
            rtt: Some(Duration::from_micros(3_061_000)),
            tries: 3,
        };
        let text = "filtered (ICMP host unreachable, type 3 code 1, from 192.0.2.1, this machine; 3 tries, 3061.0 ms)";
        assert_eq!(verdict.to_string(), text);
        assert_eq!(
            Evidence::Unexplained { os_error: 113 }.to_string(),
            "no connection: No route to host (os error 113)"
        );
    }
}
