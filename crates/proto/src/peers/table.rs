use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Peers, and a word about each, in words that are there from the start: a cache of one word a peer.
///
/// The table is cut into sets of 8 peers. Which set a peer is in, and the mark by which it is told from the others there, say
/// a hash with keys that nobody else knows. In a full set the peer of the least worth gives way. So every operation looks at
/// one set, two cache lines, and there is never more memory than at the start.
///
/// Two peers that have the same 64-bit mark are taken for one: of 65,536 that happens once in 2³³ tables.
///
/// Somebody with more addresses than there are places can make the table forget others, those of the least worth first. What
/// that comes to is for whoever keeps words here to see to: [`PeerPace`](super::PeerPace) and
/// [`PeerCredit`](super::PeerCredit) tell.
///
/// Threads and processes may change it at the same time. Each change of a word that is known is made whole or not at all. When
/// a new peer takes the place of another, somebody who comes for it at that very moment may see the word of the other.
///
/// ```
/// use socketserver_proto::peers::{Peers, words_for};
/// use std::sync::atomic::AtomicU64;
/// let words: Vec<AtomicU64> = (0..words_for(1000)).map(|_| AtomicU64::new(0)).collect();
/// let peers = Peers::new(words);
/// assert_eq!(peers.capacity(), 1000);
/// let visit = |who: &str| peers.update(who, |visits| visits, |visits| {
///     let visits = visits.unwrap_or(0) + 1;
///     (Some(visits), visits)
/// });
/// assert_eq!([visit("Alice"), visit("Bob"), visit("Alice")], [1, 1, 2]);
/// ```
#[derive(Debug)]
pub struct Peers<W> {
    /// Of each set the marks, then the words. A mark of 0: nobody.
    words: W,
    sets: usize,
    keys: RandomState,
}

/// How many peers are in a set.
const WAYS: usize = 8;

/// How many words a table for so many peers has; their number is rounded up to whole sets of 8.
#[must_use]
pub const fn words_for(peers: usize) -> usize {
    let sets = if peers == 0 { 1 } else { peers.div_ceil(WAYS) };
    sets * WAYS * 2
}

impl<W: Deref<Target = [AtomicU64]>> Peers<W> {
    /// A table in these words: as many as [`words_for`] says, all zero.
    ///
    /// # Panics
    /// When there are not enough for one set.
    #[must_use]
    pub fn new(words: W) -> Self {
        let sets = words.len() / (2 * WAYS);
        assert!(sets > 0, "a table has at least {} words", 2 * WAYS);
        Self { words, sets, keys: RandomState::new() }
    }

    /// How many peers can be known at a time.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sets * WAYS
    }

    /// Changes the word of a peer. `change` is given what it is, `None` for a peer that is not known, and says what it is to
    /// be, `None` to leave it, and what comes of it all; it may be called several times, of which the last counts. `worth` says
    /// of a word how much it is worth to be kept.
    pub fn update<K: Hash + ?Sized, T>(
        &self,
        peer: &K,
        worth: impl Fn(u64) -> u64,
        mut change: impl FnMut(Option<u64>) -> (Option<u64>, T),
    ) -> T {
        let hash = self.keys.hash_one(peer);
        let mark = hash.max(1);
        // The upper bits of the product: no modulo, and every set as likely as the next.
        let set = ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        let (marks, words) = self.words[set * 2 * WAYS..][..2 * WAYS].split_at(WAYS);
        loop {
            if let Some(at) = marks.iter().position(|known| known.load(Acquire) == mark) {
                let mut now = words[at].load(Acquire);
                loop {
                    let (new, outcome) = change(Some(now));
                    let Some(new) = new.filter(|new| *new != now) else { return outcome };
                    match words[at].compare_exchange_weak(now, new, AcqRel, Acquire) {
                        Ok(_) => return outcome,
                        Err(other) => now = other,
                    }
                }
            }
            let (new, outcome) = change(None);
            let Some(new) = new else { return outcome };
            let least = |at: &usize| match marks[*at].load(Acquire) {
                0 => (false, 0),
                _ => (true, worth(words[*at].load(Acquire))),
            };
            let at = (0..WAYS).min_by_key(least).unwrap_or(0);
            let before = marks[at].load(Acquire);
            if before != mark && marks[at].compare_exchange(before, mark, AcqRel, Acquire).is_ok() {
                words[at].store(new, Release);
                return outcome;
            }
            // Somebody else has just taken that place, maybe for the same peer.
        }
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        for set in self.words.chunks_exact(2 * WAYS) {
            set[..WAYS].iter().for_each(|mark| mark.store(0, Release));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    pub(in crate::peers) fn words(peers: usize) -> Vec<AtomicU64> {
        (0..words_for(peers)).map(|_| AtomicU64::new(0)).collect()
    }

    fn count(peers: &Peers<Vec<AtomicU64>>, who: u32, worth: impl Fn(u64) -> u64) -> u64 {
        peers.update(&who, worth, |count| {
            let count = count.unwrap_or(0) + 1;
            (Some(count), count)
        })
    }

    #[test]
    fn there_is_room_for_as_many_as_were_asked_for() {
        assert_eq!([0, 1, 8, 9, 65_536].map(words_for), [16, 16, 16, 32, 131_072]);
        assert_eq!(Peers::new(words(100)).capacity(), 104);
    }

    #[test]
    fn in_a_full_set_the_least_gives_way() {
        let peers = Peers::new(words(8));
        for who in 0..8 {
            for _ in 0..=who {
                count(&peers, who, |count| count);
            }
        }
        // In place of the one that came once, and then of itself.
        assert_eq!(count(&peers, 100, |count| count), 1);
        assert_eq!(count(&peers, 101, |count| count), 1);
        assert_eq!((1..8).map(|who| count(&peers, who, |count| count)).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
        peers.clear();
        assert_eq!(count(&peers, 7, |count| count), 1);
    }

    #[test]
    fn of_many_who_change_a_word_at_once_none_is_lost() {
        let peers = Peers::new(words(64));
        assert_eq!([0, 1, 2, 3].map(|who| count(&peers, who, |count| count)), [1; 4]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..40_000).map(|turn| count(&peers, turn % 4, |count| count)).max());
            }
        });
        assert_eq!([0, 1, 2, 3].map(|who| count(&peers, who, |count| count)), [40_002; 4]);
    }

    proptest! {
        /// What the table tells of a peer is what is true of it, or that it is not known; and all are known that fit.
        #[test]
        fn it_is_a_map_that_forgets(visits in proptest::collection::vec(0..200_u32, 0..500), size in 1..300_usize) {
            let peers = Peers::new(words(size));
            let mut model = HashMap::new();
            for who in visits {
                let known = model.entry(who).or_insert(0);
                let counted = count(&peers, who, |count| count);
                prop_assert!(counted == *known + 1 || counted == 1, "{counted} after {known}");
                *known = counted;
            }
            let held = peers.words.chunks(16).flat_map(|set| &set[..8]).filter(|mark| mark.load(Acquire) != 0).count();
            prop_assert!(held <= peers.capacity() && held <= model.len());
            prop_assert!(peers.sets > 1 || held == model.len().min(8));
        }
    }
}
