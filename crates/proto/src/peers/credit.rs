use super::Peers;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How many bytes may be sent to peers that may not have asked: anybody can write anybody's address into a packet, and have
/// the answer sent there. So a peer that was heard from once is sent so many times the bytes that came from it, and no more;
/// one that was heard from again is known, and may be sent anything.
///
/// A peer that was silent for [`FORGETS`](Self::FORGETS) is heard from as if for the first time.
///
/// A peer that gives way to another is begun anew with its next packet: it is owed nothing, and is not known. Those that were
/// heard from once give way first, the longest silent before the others. So a crowd of forged addresses makes room among its
/// own kind, as long as each comes once; one who sends two packets from each displaces others, who are then held to what they
/// send until they are heard from twice again.
///
/// ```
/// use socketserver_proto::peers::{PeerCredit, Peers, words_for};
/// use std::sync::atomic::AtomicU64;
/// use std::time::Duration;
/// let words: Vec<AtomicU64> = (0..words_for(1000)).map(|_| AtomicU64::new(0)).collect();
/// let credit = PeerCredit::new(Peers::new(words));
/// let now = Duration::from_secs(7);
/// // 100 bytes came, and three times as many may be sent.
/// assert!(!credit.hear("Alice", 100, 3, now));
/// assert_eq!(credit.spend("Alice", 200, now), Some(true));
/// assert_eq!(credit.spend("Alice", 101, now), Some(false));
/// assert_eq!(credit.spend("Bob", 1, now), None, "nothing was heard from it");
/// assert!(credit.hear("Alice", 1, 3, now));
/// assert_eq!(credit.spend("Alice", 1_000_000, now), Some(true));
/// ```
#[derive(Debug)]
pub struct PeerCredit<W> {
    /// From the highest bit: whether it is known (1), when it was heard from last in seconds (31), what may be sent to it (32).
    peers: Peers<W>,
}

const KNOWN: u64 = 1 << 63;

/// In seconds, of which 68 years fit.
fn seconds(now: Duration) -> u64 {
    now.as_secs().min((1 << 31) - 1)
}

fn heard_at(word: u64) -> u64 {
    (word & !KNOWN) >> 32
}

impl<W: Deref<Target = [AtomicU64]>> PeerCredit<W> {
    /// After so long a silence an address may be somebody else's. It is how long translators of addresses are to keep a
    /// UDP mapping that nothing comes through (RFC 4787, REQ-5).
    pub const FORGETS: Duration = Duration::from_secs(300);

    /// With nobody known.
    #[must_use]
    pub fn new(peers: Peers<W>) -> Self {
        Self { peers }
    }

    /// A packet of so many bytes came from a peer; `factor` times as many may be sent to it, if it is the first. Tells whether
    /// it is known: heard from before.
    pub fn hear<K: Hash + ?Sized>(&self, peer: &K, bytes: usize, factor: u32, now: Duration) -> bool {
        let now = seconds(now);
        self.update(peer, now, |word| match word {
            Some(_) => (Some(KNOWN | now << 32), true),
            None => {
                let credit = (bytes as u64).saturating_mul(factor.into()).min(u32::MAX.into());
                (Some(now << 32 | credit), false)
            }
        })
    }

    /// So many bytes are to be sent to a peer. `Some(true)`: they may, and count; `Some(false)`: they would be too many.
    /// `None`: nothing was heard from it, or too long ago.
    pub fn spend<K: Hash + ?Sized>(&self, peer: &K, bytes: usize, now: Duration) -> Option<bool> {
        self.update(peer, seconds(now), |word| {
            let Some(word) = word else { return (None, None) };
            if word & KNOWN != 0 {
                return (None, Some(true));
            }
            let left = (word & u64::from(u32::MAX)).checked_sub(bytes as u64);
            let rest = word & !u64::from(u32::MAX);
            (left.map(|left| rest | left), Some(left.is_some()))
        })
    }

    /// Changes the word of a peer that is not too old.
    fn update<K: Hash + ?Sized, T>(
        &self,
        peer: &K,
        now: u64,
        mut change: impl FnMut(Option<u64>) -> (Option<u64>, T),
    ) -> T {
        let is_old = |word: u64| now.saturating_sub(heard_at(word)) >= Self::FORGETS.as_secs();
        // Whoever is known is worth more than anybody else, and who was heard from later than who was before.
        let worth = |word: u64| if is_old(word) { 0 } else { word >> 32 };
        self.peers.update(peer, worth, |word| change(word.filter(|word| !is_old(*word))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::words;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn credit(peers: usize) -> PeerCredit<Vec<AtomicU64>> {
        PeerCredit::new(Peers::new(words(peers)))
    }

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn who_was_silent_for_long_begins_anew() {
        let credit = credit(8);
        assert!(!credit.hear("it", 10, 3, S) && credit.hear("it", 10, 3, 2 * S));
        assert!(credit.hear("it", 10, 3, 301 * S), "it has not been silent for long enough");
        assert_eq!(credit.spend("it", 31, 600 * S), Some(true));
        assert_eq!(credit.spend("it", 31, 601 * S), None);
        assert!(!credit.hear("it", 10, 3, 601 * S));
        assert_eq!(credit.spend("it", 31, 601 * S), Some(false));
    }

    #[test]
    fn a_crowd_that_comes_once_displaces_its_own_kind() {
        let credit = credit(64);
        for who in 0..16 {
            assert!(!credit.hear(&who, 1, 3, S) && credit.hear(&who, 1, 3, S));
        }
        for other in 1000..10_000 {
            credit.hear(&other, 1, 3, 2 * S);
        }
        // Of 16 in 8 sets no set has more than 8, or nearly never: then one is missing.
        let known = (0..16).filter(|who| credit.spend(who, 100, 2 * S) == Some(true)).count();
        assert!(known >= 14, "{known}");
    }

    #[test]
    fn the_greatest_values_do_not_overflow() {
        let credit = credit(8);
        assert!(!credit.hear("it", usize::MAX, u32::MAX, Duration::MAX));
        assert_eq!(credit.spend("it", usize::MAX, Duration::MAX), Some(false));
        assert_eq!(credit.spend("it", u32::MAX as usize, Duration::MAX), Some(true));
        assert_eq!(credit.spend("it", 1, Duration::MAX), Some(false));
        assert!(!credit.hear("nothing", 100, 0, Duration::ZERO));
        assert_eq!((credit.spend("nothing", 0, S), credit.spend("nothing", 1, S)), (Some(true), Some(false)));
    }

    proptest! {
        /// Whatever others do, a peer that was heard from once is never sent more than it earned.
        #[test]
        fn nobody_who_came_once_is_sent_more_than_its_due(
            calls in proptest::collection::vec((0..40_u8, any::<bool>(), 0..1000_usize), 1..400), factor in 0..5_u32,
        ) {
            let credit = credit(16);
            // How often it was heard from since it was last taken for new, and what may be sent to it.
            let mut model: HashMap<u8, (u32, usize)> = HashMap::new();
            for (who, hears, bytes) in calls {
                let (heard, left) = model.entry(who).or_default();
                if hears {
                    let known = credit.hear(&who, bytes, factor, S);
                    prop_assert!(!known || *heard > 0, "{who} was never heard from");
                    *heard = if known { *heard + 1 } else { 1 };
                    *left = bytes * factor as usize;
                } else {
                    match credit.spend(&who, bytes, S) {
                        // It was displaced, or never came.
                        None => *heard = 0,
                        Some(may) if *heard > 1 => prop_assert!(may),
                        Some(may) => {
                            prop_assert_eq!(may, bytes <= *left);
                            if may {
                                *left -= bytes;
                            }
                        }
                    }
                }
            }
        }
    }
}
