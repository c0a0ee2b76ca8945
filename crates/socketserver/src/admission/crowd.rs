use super::Rules;
use socketserver_proto::peer_key;
use socketserver_proto::peers::{PeerCredit, PeerPace, Peers, words_for};
use socketserver_sys::SharedWords;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What is known of those whose packets come over UDP, in memory that children share: how fast they send, and whether they
/// were heard from before.
#[derive(Debug)]
pub(crate) struct Crowd {
    pace: PeerPace<SharedWords>,
    credit: PeerCredit<SharedWords>,
}

/// So many peers are known at a time, in 1 MiB each for their pace and their credit: of which only what is touched costs memory.
const PEERS: usize = 65_536;

impl Crowd {
    pub(crate) fn new() -> io::Result<Self> {
        let peers = || SharedWords::new(words_for(PEERS)).map(Peers::new);
        Ok(Self { pace: PeerPace::new(peers()?), credit: PeerCredit::new(peers()?) })
    }

    /// Whether a packet that came now is within its peer's rate.
    pub(crate) fn is_in_pace(&self, from: SocketAddr, rules: &Rules, now: Duration) -> bool {
        rules.packet_rate.is_none_or(|rate| self.pace.take(&peer_key(from.ip(), rules.v6_prefix), &rate, now))
    }

    /// Begins anew, for another rate.
    pub(super) fn forget_pace(&self) {
        self.pace.clear();
    }

    /// A packet came, and `factor` times as many bytes may be sent where it says that it is from. Tells whether a packet came
    /// from there before.
    pub(crate) fn hear(&self, from: SocketAddr, bytes: usize, factor: u32, now: Duration) -> bool {
        self.credit.hear(&key(from), bytes, factor, now)
    }

    /// So many bytes are to be sent there. `Some(false)`: they are too many. `None`: nothing has come from there.
    pub(crate) fn spend(&self, to: SocketAddr, bytes: usize, now: Duration) -> Option<bool> {
        self.credit.spend(&key(to), bytes, now)
    }
}

/// The port as well: who forges an address is not to have what another port of it has earned (as RFC 9000, section 8.1).
fn key(addr: SocketAddr) -> (IpAddr, u16) {
    (addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketserver_proto::Rate;

    #[test]
    fn a_network_is_one_peer_and_a_port_another() {
        let crowd = Crowd::new().unwrap();
        let rate = Rate::per(1, Duration::from_secs(3600)).unwrap();
        let rules = Rules { packet_rate: Some(rate.into()), ..Rules::default() };
        let paced = |from: &str| crowd.is_in_pace(from.parse().unwrap(), &rules, Duration::ZERO);
        assert!(paced("[2001:db8::1]:1") && !paced("[2001:db8::2]:2") && paced("[2001:db8:0:1::1]:1"));
        assert!(paced("10.0.0.1:1") && !paced("[::ffff:10.0.0.1]:2") && paced("10.0.0.2:1"));
        let hear = |from: &str| crowd.hear(from.parse().unwrap(), 1, 3, Duration::ZERO);
        assert!(!hear("10.0.0.1:1") && !hear("10.0.0.1:2") && hear("[::ffff:10.0.0.1]:1"));
    }
}
