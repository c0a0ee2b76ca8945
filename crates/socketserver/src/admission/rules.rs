use super::Crowd;
use crate::Peer;
use socketserver_proto::peers::PeerRate;
use socketserver_proto::{Cidr, Pace, Rate, peer_key};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What becomes of a peer that comes when the server is full.
///
/// A full server is one with as many connections as [`Server::max_connections`](crate::Server::max_connections) allows. A
/// peer with as many as [`Server::max_per_peer`](crate::Server::max_per_peer) allows is treated in the same way, but
/// that it is never left waiting: instead it is closed.
///
/// ```
/// use socketserver::{OverLimit, Server};
/// let server = Server::bind("tcp://127.0.0.1:0")?.max_connections(100).over_limit(OverLimit::reply("busy\n"));
/// # Ok::<_, socketserver::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverLimit {
    /// It waits, in the backlog of the system, until there is room.
    #[default]
    Queue,
    /// It is closed at once.
    Close,
    /// It is sent these bytes, exactly, and then closed in such a way that it can read them. At most 64 such peers
    /// linger at a time, for a second each; those beyond that are closed, and so is one that does not take them all at once, or
    /// that comes to an endpoint of TLS, where these words mean nothing.
    Reply(Arc<[u8]>),
}

impl OverLimit {
    /// [`OverLimit::Reply`] with these bytes.
    #[must_use]
    pub fn reply(bytes: impl AsRef<[u8]>) -> Self {
        Self::Reply(bytes.as_ref().into())
    }
}

/// Who may come in, and how fast: what can be changed while the server runs, but for the one limit that children share.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) allow: Vec<Cidr>,
    pub(crate) deny: Vec<Cidr>,
    pub(crate) per_peer: Option<usize>,
    /// Of an IPv6 address so many bits say who it is.
    pub(crate) v6_prefix: u8,
    pub(crate) rate: Option<Rate>,
    /// How many packets one peer may send.
    pub(crate) packet_rate: Option<PeerRate>,
    /// How many times the bytes that came from a peer may be sent to it before a second packet comes; `None`: nobody has said.
    pub(crate) amplification: Option<Option<u32>>,
    pub(crate) over: OverLimit,
}

/// Unless said otherwise, as in RFC 9000, section 8.1.
const AMPLIFICATION: u32 = 3;

impl Default for Rules {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            per_peer: None,
            v6_prefix: 64,
            rate: None,
            packet_rate: None,
            amplification: None,
            over: OverLimit::Queue,
        }
    }
}

impl Rules {
    /// Whether a peer may come in by its address. One without an address is not spoken of.
    pub(crate) fn permit(&self, peer: &Peer) -> bool {
        let Some(addr) = peer.addr() else { return true };
        let is_in = |blocks: &[Cidr]| blocks.iter().any(|block| block.contains(addr.ip()));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }

    /// How many times the bytes that came from a peer may be sent to it before a second packet comes, through a socket that is
    /// bound there; `None`: any number.
    pub(crate) fn amplification(&self, bound: SocketAddr) -> Option<u32> {
        let is_far = !bound.ip().to_canonical().is_loopback();
        self.amplification.unwrap_or(is_far.then_some(AMPLIFICATION))
    }
}

/// The rules as they are now, and who is in.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// Those whose packets come; `None` where none come over UDP.
    pub(crate) crowd: Option<Crowd>,
    rules: Mutex<Arc<Rules>>,
    /// How often they were changed.
    version: AtomicU64,
    /// How fast peers may come, if that is limited; however often the server is run meanwhile.
    pace: Mutex<Option<Pace>>,
    /// Those who are in, and how often. Whoever has left is forgotten.
    peers: Mutex<HashMap<IpAddr, usize>>,
}

impl Door {
    pub(crate) fn new(crowd: Option<Crowd>) -> Self {
        Self { crowd, ..Self::default() }
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, packet_rate) = (rules.rate, rules.packet_rate);
        change(Arc::make_mut(&mut rules));
        if let (true, Some(crowd)) = (rules.packet_rate != packet_rate, &self.crowd) {
            crowd.forget_pace();
        }
        if rules.rate != rate {
            *self.pace() = rules.rate.map(Pace::from);
        }
        self.version.fetch_add(1, SeqCst);
    }

    fn pace(&self) -> MutexGuard<'_, Option<Pace>> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a peer may come now; else how long until one may.
    pub(crate) fn may_come(&self, now: Duration) -> Result<(), Duration> {
        self.pace().as_ref().map_or(Ok(()), |pace| pace.check(now))
    }

    /// One came that might.
    pub(crate) fn came(&self, now: Duration) {
        if let Some(pace) = &mut *self.pace() {
            let _ = pace.take(now);
        }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more connection of a peer, if it may have one more. `Ok(None)`: it has no address to count by.
    ///
    /// Without a limit they are counted as well, so that one that is set later knows of those who are in.
    pub(crate) fn enter(&self, peer: &Peer, rules: &Rules) -> Result<Option<IpAddr>, ()> {
        let Some(addr) = peer.addr() else { return Ok(None) };
        let key = peer_key(addr.ip(), rules.v6_prefix);
        let mut peers = self.peers();
        let connections = peers.entry(key).or_default();
        if rules.per_peer.is_some_and(|max| *connections >= max) {
            if *connections == 0 {
                peers.remove(&key);
            }
            return Err(());
        }
        *connections += 1;
        Ok(Some(key))
    }

    /// A connection that [`enter`](Self::enter) counted is no more.
    pub(crate) fn leave(&self, key: IpAddr) {
        let mut peers = self.peers();
        if let Some(connections) = peers.get_mut(&key) {
            *connections -= 1;
            if *connections == 0 {
                peers.remove(&key);
                // A crowd that has left leaves no empty house behind.
                if peers.capacity() > 1024 && peers.len() < peers.capacity() / 8 {
                    peers.shrink_to_fit();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(addr: &str) -> Peer {
        addr.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn deny_beats_allow() {
        let blocks = |blocks: &[&str]| blocks.iter().map(|block| block.parse().unwrap()).collect();
        let mut rules = Rules { deny: blocks(&["10.1.0.0/16"]), ..Rules::default() };
        assert!(rules.permit(&peer("10.2.0.1:1")) && !rules.permit(&peer("10.1.0.1:1")));
        rules.allow = blocks(&["10.0.0.0/8", "::1"]);
        assert!(rules.permit(&peer("10.2.0.1:1")) && rules.permit(&peer("[::1]:1")));
        assert!(!rules.permit(&peer("10.1.0.1:1")) && !rules.permit(&peer("11.0.0.1:1")));
        assert!(!rules.permit(&peer("[::ffff:10.1.0.1]:1")), "it is the IPv4 address");
        assert!(rules.permit(&Peer::unnamed()));
    }

    #[test]
    fn who_has_left_is_forgotten_and_a_network_is_one_peer() {
        let (door, rules) = (Door::default(), Rules { per_peer: Some(2), ..Rules::default() });
        let first = door.enter(&peer("[2001:db8::1]:1"), &rules).unwrap().unwrap();
        assert!(door.enter(&peer("[2001:db8::ffff:2]:1"), &rules).is_ok());
        assert!(door.enter(&peer("[2001:db8::3]:1"), &rules).is_err());
        assert!(door.enter(&peer("[2001:db8:0:1::3]:1"), &rules).is_ok(), "another network");
        assert!(door.enter(&Peer::unnamed(), &rules).unwrap().is_none());
        door.leave(first);
        assert!(door.enter(&peer("[2001:db8::3]:1"), &rules).is_ok());
        for _ in 0..2 {
            door.leave(first);
        }
        assert_eq!(door.peers().len(), 1);
        let early = door.enter(&peer("10.0.0.9:1"), &Rules::default()).unwrap().unwrap();
        let one = Rules { per_peer: Some(1), ..Rules::default() };
        assert!(door.enter(&peer("10.0.0.9:2"), &one).is_err(), "it came before there was a limit, and is counted");
        door.leave(early);
        let none = Rules { per_peer: Some(0), ..Rules::default() };
        assert!(door.enter(&peer("10.0.0.1:1"), &none).is_err());
        assert_eq!(door.peers().len(), 1);
    }
}
