use super::Peers;
use crate::Rate;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Holds each of many peers to a rate, by the same algorithm as [`Pace`](crate::Pace), in memory of a fixed size.
///
/// It counts in whole nanoseconds, and time between two is rounded up: a rate of which that is no whole number, `3/s`, is held
/// a little slower than it says, by less than one in a thousand up to a million a second.
///
/// A peer that is not known may do as much at once as one that has rested. So nothing is lost by forgetting one that has
/// rested for long enough, and those that are nearest to that give way first. Somebody with more addresses than there are
/// places, who uses them all, makes the table forget others: to them the limit is then less strict, never more. To himself it
/// is none, as any limit by address is to one who has many.
///
/// ```
/// use socketserver_proto::peers::{PeerPace, PeerRate, Peers, words_for};
/// use socketserver_proto::Rate;
/// use std::sync::atomic::AtomicU64;
/// use std::time::Duration;
/// let words: Vec<AtomicU64> = (0..words_for(1000)).map(|_| AtomicU64::new(0)).collect();
/// let pace = PeerPace::new(Peers::new(words));
/// let rate = PeerRate::from("2/s".parse::<Rate>()?);
/// let now = Duration::from_secs(7);
/// assert_eq!([0; 3].map(|_| pace.take("Alice", &rate, now)), [true, true, false]);
/// assert!(pace.take("Bob", &rate, now));
/// assert!(pace.take("Alice", &rate, now + Duration::from_millis(500)));
/// # Ok::<_, socketserver_proto::RateError>(())
/// ```
#[derive(Debug)]
pub struct PeerPace<W> {
    /// When its bucket is full again, in ns.
    peers: Peers<W>,
}

/// A [`Rate`] with its burst, as [`Rate::burst`] has it, made ready for a [`PeerPace`].
///
/// ```
/// use socketserver_proto::{Rate, peers::PeerRate};
/// let rate = PeerRate::from("100/s".parse::<Rate>()?);
/// # Ok::<_, socketserver_proto::RateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerRate {
    /// Between two, in ns.
    interval: u64,
    /// So much before its time one may come: what makes the burst.
    ahead: u64,
}

impl From<Rate> for PeerRate {
    fn from(rate: Rate) -> Self {
        let interval = rate.period().as_nanos().div_ceil(u128::from(rate.count().get()));
        // 584 years; nobody waits for longer.
        let interval = u64::try_from(interval).unwrap_or(u64::MAX);
        Self { interval, ahead: 0 }.burst(rate.burst())
    }
}

impl PeerRate {
    /// With another burst: so many may come at once; 0 is 1.
    ///
    /// ```
    /// use socketserver_proto::peers::{PeerPace, PeerRate, Peers, words_for};
    /// use socketserver_proto::Rate;
    /// use std::sync::atomic::AtomicU64;
    /// use std::time::Duration;
    /// let words: Vec<AtomicU64> = (0..words_for(1)).map(|_| AtomicU64::new(0)).collect();
    /// let pace = PeerPace::new(Peers::new(words));
    /// let rate = PeerRate::from("3/m".parse::<Rate>()?).burst(3);
    /// let now = Duration::from_secs(7);
    /// assert_eq!([0; 4].map(|_| pace.take("Alice", &rate, now)), [true, true, true, false]);
    /// assert!(!pace.allows("Alice", &rate, now) && pace.allows("Bob", &rate, now));
    /// # Ok::<_, socketserver_proto::RateError>(())
    /// ```
    #[must_use]
    pub fn burst(self, count: u32) -> Self {
        Self { ahead: self.interval.saturating_mul(u64::from(count.max(1) - 1)), ..self }
    }
}

impl<W: Deref<Target = [AtomicU64]>> PeerPace<W> {
    /// With nobody known.
    #[must_use]
    pub fn new(peers: Peers<W>) -> Self {
        Self { peers }
    }

    /// Takes one for a peer, if the rate allows it one now; as with [`Pace::take`](crate::Pace::take), `now` is the time since
    /// some origin.
    #[must_use]
    pub fn take<K: Hash + ?Sized>(&self, peer: &K, rate: &PeerRate, now: Duration) -> bool {
        self.ask(peer, rate, now, true)
    }

    /// Whether [`take`](Self::take) would give one now. Nothing is taken, and a peer that is not known stays so.
    #[must_use]
    pub fn allows<K: Hash + ?Sized>(&self, peer: &K, rate: &PeerRate, now: Duration) -> bool {
        self.ask(peer, rate, now, false)
    }

    fn ask<K: Hash + ?Sized>(&self, peer: &K, rate: &PeerRate, now: Duration, takes: bool) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.peers.update(
            peer,
            |full_at| full_at,
            |full_at| {
                let full_at = full_at.unwrap_or(0);
                let may = full_at.saturating_sub(rate.ahead) <= now;
                ((may && takes).then(|| full_at.max(now).saturating_add(rate.interval)), may)
            },
        )
    }

    /// Forgets everybody: for another rate, which begins anew.
    pub fn clear(&self) {
        self.peers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::words;
    use super::*;
    use crate::Pace;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn the_greatest_values_do_not_overflow() {
        let pace = PeerPace::new(Peers::new(words(8)));
        for rate in [Rate::per(1, Duration::MAX), Rate::per(u32::MAX, Duration::MAX), "1/ns".parse()] {
            let rate = PeerRate::from(rate.unwrap());
            pace.clear();
            assert!(pace.take("it", &rate, Duration::ZERO));
            let _ = pace.take("it", &rate, Duration::MAX);
            let _ = pace.take("it", &rate, Duration::ZERO);
        }
        let rate = PeerRate::from(Rate::per(1, Duration::MAX).unwrap());
        assert!(!pace.take("it", &rate, Duration::ZERO));
    }

    #[test]
    fn a_burst_is_as_large_as_it_is_said_to_be_and_to_ask_takes_nothing() {
        let pace = PeerPace::new(Peers::new(words(8)));
        let now = Duration::from_secs(7);
        for (burst, count) in [(0, 1), (1, 1), (3, 3)] {
            pace.clear();
            let rate = PeerRate::from("3/m".parse::<Rate>().unwrap()).burst(burst);
            for _ in 0..count {
                assert!(pace.allows("it", &rate, now) && pace.allows("it", &rate, now));
                assert!(pace.take("it", &rate, now));
            }
            assert!(!pace.allows("it", &rate, now) && !pace.take("it", &rate, now));
            assert!(pace.allows("another", &rate, now) && pace.allows("it", &rate, now + Duration::from_secs(20)));
        }
    }

    proptest! {
        /// As long as all have room each is held to exactly what a pace of its own would hold it to.
        #[test]
        fn each_peer_has_a_pace_of_its_own(
            count in 1..20_u32, millis in 1..3000_u64,
            calls in proptest::collection::vec((0..6_u8, 0..200_u64), 1..300),
        ) {
            // Whole nanoseconds between two.
            let rate = Rate::per(count, Duration::from_millis(millis) * count).unwrap();
            let (pace, ready) = (PeerPace::new(Peers::new(words(64))), PeerRate::from(rate));
            let (mut model, mut now) = (HashMap::new(), Duration::ZERO);
            for (who, gap) in calls {
                now += Duration::from_millis(gap * gap / 10);
                let expected = model.entry(who).or_insert_with(|| Pace::from(rate)).take(now).is_ok();
                prop_assert_eq!(pace.take(&who, &ready, now), expected, "{} at {:?}", who, now);
            }
        }

        /// However many others there are, nobody is refused what it may.
        #[test]
        fn a_crowd_takes_nothing_from_anybody(crowd in 0..200_u32, turns in 1..50_u32) {
            let rate: Rate = "10/s".parse().unwrap();
            let (pace, ready) = (PeerPace::new(Peers::new(words(16))), PeerRate::from(rate));
            for turn in 0..turns {
                let now = Duration::from_millis(100) * turn;
                for other in 0..crowd {
                    let _ = pace.take(&(other + 1), &ready, now);
                }
                prop_assert!(pace.take(&0_u32, &ready, now));
            }
        }
    }
}
