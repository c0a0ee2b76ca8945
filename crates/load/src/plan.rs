//! What the engines need to know of a load.

use std::time::Duration;

use socket2::SockAddr;
use socketserver_proto::Rate;
use socketserver_proto::framing::AnyFraming;

use crate::tls::Trust;
use crate::websocket::Request;
use crate::{ConnectClose, LoadError, Target};

/// How long a run is when neither its duration nor its number of requests was given.
const DEFAULT_DURATION: Duration = Duration::from_secs(1);

/// A hundred years: as good as for ever, and a time that a clock can still show.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What the system takes in one call (`UDP_MAX_SEGMENTS`, and the largest packet over IPv4).
const MOST_IN_TRAIN: usize = 64;
const LARGEST: usize = 65_507;

/// A load, as the engines have it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) duration: Option<Duration>,
    pub(crate) requests: Option<u64>,
    pub(crate) warmup: Duration,
    pub(crate) stall: Duration,
    /// How long a reply may take.
    pub(crate) timeout: Option<Duration>,
    /// How often a message leaves, whatever comes back.
    pub(crate) rate: Option<Rate>,
    pub(crate) connect: Option<ConnectClose>,
    /// How many packets go together.
    pub(crate) trains: Option<usize>,
    /// How many addresses packets come from.
    pub(crate) peers: Option<usize>,
    /// The connections are members of a room.
    pub(crate) room: bool,
    /// The connections are TLS, and this is who is believed.
    pub(crate) tls: Option<Trust>,
    /// How replies are told apart.
    pub(crate) replies: Replies,
    /// The number of the first message.
    pub(crate) first: u64,
    /// What connections are bound to in turn; nothing when empty.
    pub(crate) sources: Vec<SockAddr>,
}

/// How the replies on a connection that stays are told apart.
#[derive(Debug, Clone)]
pub(crate) enum Replies {
    /// They are the same bytes as the messages.
    Bytes,
    /// As the framing says.
    Frames(AnyFraming),
    /// As WebSocket does, once the server has agreed to speak it.
    WebSocket(Request),
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: 1,
            depth: 1,
            duration: None,
            requests: None,
            warmup: Duration::ZERO,
            stall: Duration::from_secs(10),
            timeout: None,
            rate: None,
            connect: None,
            trains: None,
            peers: None,
            room: false,
            tls: None,
            replies: Replies::Bytes,
            first: 0,
            sources: Vec::new(),
        }
    }
}

impl Plan {
    /// What the connection of this token is bound to.
    pub(crate) fn source(&self, token: usize) -> Option<&SockAddr> {
        self.sources.get(token % self.sources.len().max(1))
    }

    /// How long a connection may take until it is of use.
    pub(crate) fn connect_within(&self) -> Duration {
        self.timeout.unwrap_or(self.stall)
    }

    /// The same with what was left open, for messages of so many bytes there.
    ///
    /// # Errors
    ///
    /// What makes no sense.
    pub(crate) fn resolve(&self, target: &Target, size: usize) -> Result<Self, LoadError> {
        let mut plan = self.clone();
        (plan.warmup, plan.stall) = (plan.warmup.min(FAR), plan.stall.min(FAR));
        plan.duration = plan.duration.map(|duration| duration.min(FAR));
        plan.timeout = plan.timeout.map(|limit| limit.min(FAR));
        if plan.connections == 0 {
            return Err(LoadError::invalid("it needs at least one connection"));
        }
        if plan.depth == 0 {
            return Err(LoadError::invalid("it needs at least one message in flight"));
        }
        if !plan.sources.is_empty() && matches!(target, Target::Unix(_)) {
            return Err(LoadError::invalid("a client of a Unix socket has no IP address"));
        }
        if let Some(packets) = plan.trains {
            plan.check_trains(packets, target, size)?;
        }
        if plan.stall.is_zero() || plan.timeout.is_some_and(|limit| limit.is_zero()) {
            return Err(LoadError::invalid("the stall bound and the time-out must not be zero"));
        }
        if matches!(target, Target::Udp(_)) && size > LARGEST {
            return Err(LoadError::invalid("a packet has 65,507 bytes at most"));
        }
        plan.check_combinations(matches!(target, Target::Udp(_)))?;
        if plan.duration.is_none() && plan.requests.is_none() {
            plan.duration = Some(DEFAULT_DURATION);
        }
        if plan.rate.is_some() {
            // Between two messages nothing comes, for as long as the rate says.
            plan.timeout.get_or_insert(plan.stall);
        }
        Ok(plan)
    }

    fn check_trains(&self, packets: usize, target: &Target, size: usize) -> Result<(), LoadError> {
        if !matches!(target, Target::Udp(_)) {
            return Err(LoadError::invalid("only UDP packets go in trains"));
        }
        if !(1..=MOST_IN_TRAIN).contains(&packets) || packets.saturating_mul(size) > LARGEST {
            return Err(LoadError::invalid("a train has 1 to 64 packets, and at most 65,507 bytes"));
        }
        if self.depth < packets {
            return Err(LoadError::invalid("as many packets as a train has need to be in flight"));
        }
        Ok(())
    }

    fn check_combinations(&self, is_udp: bool) -> Result<(), LoadError> {
        let (is_paced, is_told_apart) = (self.rate.is_some(), !matches!(self.replies, Replies::Bytes));
        if self.tls.is_some() && (self.room || is_udp) {
            return Err(LoadError::invalid("over UDP, and in a room, there is no TLS"));
        }
        if is_told_apart && (self.room || is_udp) {
            return Err(LoadError::invalid("over UDP, and in a room, there are no framings and no WebSocket"));
        }
        if (is_paced || self.timeout.is_some()) && (self.room || self.peers.is_some()) {
            return Err(LoadError::invalid("a room and many peers have neither a rate nor a time-out"));
        }
        if is_paced && self.trains.is_some() {
            return Err(LoadError::invalid("at a rate packets leave one by one, and not in trains"));
        }
        if self.connect.is_some() && matches!(self.replies, Replies::WebSocket(_)) {
            return Err(LoadError::invalid("over WebSocket connections stay"));
        }
        if self.connect.is_some() && is_udp {
            return Err(LoadError::invalid("over UDP there is no connection to make for each message"));
        }
        Ok(())
    }
}
