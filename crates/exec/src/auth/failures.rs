use socketserver::{Peer, Rate};
use socketserver_proto::peer_key;
use socketserver_proto::peers::{PeerPace, PeerRate, Peers, words_for};
use socketserver_sys::SharedWords;
use std::io;
use std::net::IpAddr;
use std::time::Instant;

/// Those who failed to prove who they are: each peer may do so only so often. In memory of a fixed size, which children
/// share.
#[derive(Debug)]
pub(crate) struct Failures {
    pace: PeerPace<SharedWords>,
    /// `None`: as often as they like.
    rate: Option<PeerRate>,
    began: Instant,
}

/// So many peers are known at a time, in 1 MiB, of which only what is touched costs memory.
const PEERS: usize = 65_536;

/// Of IPv6 a network is one peer, for it is one customer's.
const V6_PREFIX: u8 = 64;

/// Whose failures count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    User(u32),
    Unnamed,
}

impl Who {
    fn is(peer: &Peer) -> Self {
        match (peer.addr(), peer.credentials()) {
            (Some(addr), _) => Self::Address(peer_key(addr.ip(), V6_PREFIX)),
            (None, Some(credentials)) => Self::User(credentials.uid),
            (None, None) => Self::Unnamed,
        }
    }
}

impl Failures {
    pub(crate) fn new(rate: Option<Rate>) -> io::Result<Self> {
        let rate = rate.map(|rate| PeerRate::from(rate).burst(rate.count().get()));
        Ok(Self { pace: PeerPace::new(Peers::new(SharedWords::new(words_for(PEERS))?)), rate, began: Instant::now() })
    }

    /// Whether this peer may try.
    pub(crate) fn may_try(&self, peer: &Peer) -> bool {
        self.rate.is_none_or(|rate| self.pace.allows(&Who::is(peer), &rate, self.began.elapsed()))
    }

    /// This peer has failed.
    pub(crate) fn count(&self, peer: &Peer) {
        if let Some(rate) = self.rate {
            // Beyond the rate it is refused anyway.
            let _ = self.pace.take(&Who::is(peer), &rate, self.began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(addr: &str) -> Peer {
        Peer::from(addr.parse::<SocketAddr>().unwrap())
    }

    #[test]
    fn so_many_failures_and_then_none() {
        let failures = Failures::new(Some("5/h".parse().unwrap())).unwrap();
        let here = peer("[2001:db8::1]:1000");
        for _ in 0..5 {
            assert!(failures.may_try(&here) && failures.may_try(&here), "trying is no failure");
            failures.count(&here);
        }
        assert!(!failures.may_try(&here) && !failures.may_try(&peer("[2001:db8::2]:2000")));
        assert!(failures.may_try(&peer("[2001:db8:0:1::1]:1")) && failures.may_try(&Peer::unnamed()));
        let unlimited = Failures::new(None).unwrap();
        (0..1000).for_each(|_| unlimited.count(&here));
        assert!(unlimited.may_try(&here));
    }
}
