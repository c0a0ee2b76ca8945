//! How fast a member may speak.

use socketserver::{Pace as Bucket, Rate};
use std::time::Duration;

/// So many lines over the rate, one after the other, and the member has to go.
const PATIENCE: u32 = 100;
/// Pasting a few lines is no flood.
const AT_ONCE: u32 = 5;

/// What a member may still say.
#[derive(Debug)]
pub(super) struct Pace {
    /// `None`: as it likes.
    bucket: Option<Bucket>,
    /// How many lines came too fast since the last that did not.
    over: u32,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Said,
    /// It is dropped, as the first of several.
    TooFast,
    Dropped,
    /// It has gone on for too long.
    Enough,
}

impl Pace {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { bucket: rate.map(|rate| Bucket::new(rate, rate.burst().max(AT_ONCE))), over: 0 }
    }

    /// `now` is the time since some beginning, the same for all.
    pub(super) fn judge(&mut self, now: Duration) -> Verdict {
        if self.bucket.as_mut().is_none_or(|bucket| bucket.take(now).is_ok()) {
            self.over = 0;
            return Verdict::Said;
        }
        self.over += 1;
        match self.over {
            1 => Verdict::TooFast,
            PATIENCE.. => Verdict::Enough,
            _ => Verdict::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Duration::from_secs(1000);
        let mut pace = Pace::new(Some("1/s".parse().unwrap()));
        for _ in 0..AT_ONCE {
            assert_eq!(pace.judge(start), Verdict::Said);
        }
        assert_eq!((pace.judge(start), pace.judge(start)), (Verdict::TooFast, Verdict::Dropped));
        let later = start + Duration::from_secs(1);
        assert_eq!((pace.judge(later), pace.judge(later)), (Verdict::Said, Verdict::TooFast));
        let last = (0..PATIENCE).map(|_| pace.judge(later)).last();
        assert_eq!(last, Some(Verdict::Enough));
        assert_eq!(Pace::new(None).judge(start), Verdict::Said);
    }
}
