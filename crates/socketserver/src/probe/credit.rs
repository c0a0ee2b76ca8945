use std::time::{Duration, Instant};

/// How many messages of ICMP we would still be sent about a host, as far as can be told from here.
///
/// A host sends a few at once and then one a second to the same address: Linux has six in a bucket that gains one in
/// `icmp_ratelimit` (1,000 ms; `icmp(7)`), others allow more. Beyond that a closed port is as silent as an open one. This is
/// the bucket as seen from outside, a little smaller and slower than the real one.
///
/// A Linux router that has no way to a host, or a prohibited one, takes two from its bucket for a message, and one for a
/// packet of which it then says nothing: there only a packet that comes after two seconds of quiet is answered for certain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credit {
    /// When it was last empty, by its present level.
    empty: Instant,
    /// Whether it is a router's.
    on_the_way: bool,
}

impl Credit {
    /// A message came, and it may have been the last one.
    pub(super) fn none(now: Instant, on_the_way: bool) -> Self {
        Self { empty: now, on_the_way }
    }

    /// A message came that there was credit for.
    pub(super) fn spend(&mut self, now: Instant, on_the_way: bool) {
        // Of two buckets it is the smaller one.
        self.on_the_way |= on_the_way;
        let full = now.checked_sub(self.every() * self.most()).unwrap_or(self.empty);
        self.empty = (self.empty.max(full) + self.every()).min(now);
    }

    /// A packet went there.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.on_the_way {
            self.empty = now;
        }
    }

    /// When one more question will be answered for certain if its port is closed, while so many are out that may be
    /// answered too. `None`: not before some of these are done with.
    pub(super) fn next(&self, out: u32) -> Option<Instant> {
        (out < self.most()).then(|| self.empty + self.every() * (out + 1))
    }

    pub(super) fn is_on_the_way(&self) -> bool {
        self.on_the_way
    }

    fn most(&self) -> u32 {
        if self.on_the_way { 1 } else { 5 }
    }

    fn every(&self) -> Duration {
        Duration::from_millis(if self.on_the_way { 2200 } else { 1100 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_up_and_is_spent() {
        let start = Instant::now();
        let at = |tenths: u32| start + Duration::from_millis(110) * tenths;
        let mut credit = Credit::none(at(0), false);
        assert_eq!((credit.next(0), credit.next(1), credit.next(5)), (Some(at(10)), Some(at(20)), None));
        // Two questions, both answered: nothing is left.
        credit.spend(at(21), false);
        credit.spend(at(21), false);
        assert_eq!(credit.next(0), Some(at(30)));
        // After a long time there are five, and no more.
        for _ in 0..4 {
            assert!(credit.next(0) <= Some(at(1000)));
            credit.spend(at(1000), false);
        }
        assert!(credit.next(0) <= Some(at(1000)));
        credit.spend(at(1000), false);
        assert_eq!(credit.next(0), Some(at(1010)));
        // It is never owed.
        credit.spend(at(1001), false);
        assert_eq!(credit.next(0), Some(at(1011)));
        // A router's is slower.
        credit.spend(at(1100), true);
        credit.sent(at(1101));
        assert_eq!((credit.next(0), credit.next(1)), (Some(at(1121)), None));
    }
}
