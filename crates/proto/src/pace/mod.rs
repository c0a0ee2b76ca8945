//! How often something may happen, and how long until it may again.

mod rate;

pub use rate::{Rate, RateError};

use std::time::Duration;

/// Holds one flow to a [`Rate`], with a burst; the generic cell rate algorithm of ITU-T I.371.
///
/// Think of a bucket that holds `burst` tokens and is full at first. Each [`take`](Self::take)
/// takes one out, and the rate puts them back until it is full. So `burst` can be taken at once
/// after a rest, and over any time T at most `burst` + T × rate are.
///
/// It has no clock: the caller says what time it is. It counts in fractions of a nanosecond, and
/// nothing is rounded but the wait, which is rounded up to the next nanosecond: `3/s` is three a
/// second for ever. [`Backoff`](crate::Backoff) is for the other side: how long to wait after
/// something failed, however often that was.
///
/// ```
/// use socketserver_proto::{Pace, Rate};
/// use std::time::Duration;
///
/// let rate: Rate = "10/s".parse()?;
/// let mut pace = Pace::new(rate, 2);
/// let now = Duration::from_secs(7);
/// assert_eq!(pace.take(now), Ok(()));
/// assert_eq!(pace.take(now), Ok(()));
/// let wait = Duration::from_millis(100);
/// assert_eq!(pace.take(now), Err(wait));
/// assert_eq!(pace.take(now + wait), Ok(()));
/// # Ok::<(), socketserver_proto::RateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    rate: Rate,
    /// At least 1.
    burst: u32,
    /// When the bucket is full again, in [ticks](Self::ticks): the "theoretical arrival time".
    full_at: u128,
}

impl Pace {
    /// At this rate, with at most `burst` at once; `Pace::from(rate)` has the burst that
    /// [`Rate::burst`] tells.
    ///
    /// A burst of zero would never allow anything and counts as 1. A burst of 1 allows none before
    /// its time, so whoever asks a little late each time gets a little less than the rate; 2 is
    /// enough to make up for being late by less than the time between two.
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Self {
        Self { rate, burst: burst.max(1), full_at: 0 }
    }

    /// Takes one, if the rate allows one now.
    ///
    /// `now` is the time since some origin, the same for every call, by a clock that does not go
    /// back (`CLOCK_MONOTONIC`, as [`Instant`](std::time::Instant) has it). A `now` before an
    /// earlier one is harmless, as when two threads have looked at the clock and come here in the
    /// other order: it earns nothing, and a wait counts from it.
    ///
    /// # Errors
    ///
    /// How long after `now` one will be allowed, never zero: rounded up to the nanosecond, and at
    /// most `Duration::MAX`. Nothing was taken; to ask again sooner costs nothing and gives the
    /// rest of the wait.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.check(now)?;
        self.full_at = self.full_at.max(self.ticks(now)) + self.rate.period().as_nanos();
        Ok(())
    }

    /// Whether the rate allows one now. Nothing is taken.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn check(&self, now: Duration) -> Result<(), Duration> {
        let now = self.ticks(now);
        // Nothing here overflows: a duration is less than 2^94 ns and count and burst less than
        // 2^32, so that `now` and `burst` intervals are each less than 2^126 ticks; and `full_at`
        // is at most `now` and `burst` intervals after the `now` of the last take.
        let interval = self.rate.period().as_nanos();
        let ahead = u128::from(self.burst - 1) * interval;
        let allowed_at = self.full_at.saturating_sub(ahead);
        if now < allowed_at {
            let nanos = (allowed_at - now).div_ceil(self.ticks_per_nano());
            return Err(rate::duration(nanos).unwrap_or(Duration::MAX));
        }
        Ok(())
    }

    /// A time in ticks, of which a nanosecond has as many as a period has takes. So the time
    /// between two takes, period / count, is a whole number of ticks: the period's nanoseconds.
    fn ticks(&self, time: Duration) -> u128 {
        time.as_nanos() * self.ticks_per_nano()
    }

    fn ticks_per_nano(&self) -> u128 {
        self.rate.count().get().into()
    }
}

/// At this rate, with the burst that [`Rate::burst`] tells: one second's worth.
impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        Self::new(rate, rate.burst())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NANO: Duration = Duration::from_nanos(1);

    fn pace(rate: &str, burst: u32) -> Pace {
        Pace::new(rate.parse().unwrap(), burst)
    }

    /// How many are allowed at this instant. No burst of these tests comes near 1000.
    fn drain(pace: &mut Pace, now: Duration) -> u32 {
        (0..1000).find(|_| pace.take(now).is_err()).unwrap()
    }

    #[test]
    fn a_look_takes_nothing() {
        let mut pace = pace("1/s", 1);
        let now = Duration::from_secs(1);
        assert_eq!([pace.check(now), pace.check(now), pace.take(now)], [Ok(()); 3]);
        assert_eq!([pace.check(now), pace.take(now)], [Err(Duration::from_secs(1)); 2]);
    }

    #[test]
    fn a_burst_then_the_rate() {
        let ms = Duration::from_millis;
        let mut pace = pace("10/s", 3);
        assert_eq!(drain(&mut pace, ms(5000)), 3);
        assert_eq!(pace.take(ms(5000)), Err(ms(100)));
        assert_eq!(pace.take(ms(5040)), Err(ms(60)));
        assert_eq!(pace.take(ms(5099)), Err(ms(1)));
        assert_eq!(drain(&mut pace, ms(5100)), 1);
        assert_eq!(drain(&mut pace, ms(5299)), 1);
        assert_eq!(drain(&mut pace, ms(5300)), 1);
        // However long the rest, no more than the burst.
        assert_eq!(drain(&mut pace, ms(1_000_000)), 3);
    }

    #[test]
    fn bursts() {
        // (rate, its own burst)
        for (rate, burst) in [("100/s", 100), ("5/m", 1), ("150/m", 2), ("2/100ms", 20)] {
            let rate: Rate = rate.parse().unwrap();
            assert_eq!(drain(&mut Pace::from(rate), Duration::ZERO), burst, "{rate}");
            assert_eq!(drain(&mut Pace::new(rate, 0), Duration::ZERO), 1, "{rate}");
            assert_eq!(drain(&mut Pace::new(rate, 7), Duration::ZERO), 7, "{rate}");
        }
    }

    #[test]
    fn thirds_of_a_second_do_not_add_up_to_less() {
        let mut pace = pace("3/s", 2);
        let mut now = Duration::ZERO;
        assert_eq!(drain(&mut pace, now), 2);
        for _ in 0..3_000_000 {
            now += pace.take(now).unwrap_err();
            assert_eq!(pace.take(now), Ok(()));
        }
        assert_eq!(now, Duration::from_secs(1_000_000));
    }

    #[test]
    fn time_that_goes_back_earns_nothing() {
        let s = Duration::from_secs;
        let mut pace = pace("1/s", 2);
        assert_eq!(drain(&mut pace, s(100)), 2);
        assert_eq!(pace.take(s(40)), Err(s(61)));
        assert_eq!(pace.take(s(0)), Err(s(101)));
        assert_eq!(drain(&mut pace, s(101)), 1);
        assert_eq!(pace.take(s(0)), Err(s(102)));
    }

    #[test]
    fn the_greatest_values_do_not_overflow() {
        let fastest = Rate::per(u32::MAX, Duration::from_nanos(u32::MAX.into())).unwrap();
        let slowest = Rate::per(1, Duration::MAX).unwrap();
        let widest = Rate::per(u32::MAX, Duration::MAX).unwrap();
        for rate in [fastest, slowest, widest] {
            for burst in [1, 2, u32::MAX] {
                let mut pace = Pace::new(rate, burst);
                for now in [Duration::MAX, Duration::MAX, Duration::ZERO, Duration::MAX] {
                    let _ = pace.take(now);
                }
                // As full as it gets, after as many as there can be.
                pace.full_at = pace.ticks(Duration::MAX) + u128::from(burst) * rate.period().as_nanos();
                assert_eq!(pace.take(Duration::ZERO), Err(Duration::MAX), "{rate}, {burst}");
                assert!(pace.take(Duration::MAX).is_err(), "{rate}, {burst}");
            }
        }
    }

    fn rate() -> impl Strategy<Value = Rate> {
        let period = prop_oneof![
            Just(Duration::from_secs(1)),
            (1..100_u64).prop_map(Duration::from_nanos),
            (1..=u64::MAX).prop_map(Duration::from_nanos),
        ];
        (prop_oneof![1..10_u32, 1..=u32::MAX], period)
            .prop_map(|(count, period)| Rate::per(count.min(u32::try_from(period.as_nanos()).unwrap_or(count)), period))
            .prop_map(|rate| rate.unwrap())
    }

    /// Times between calls, in hundredths of the time between two takes. `None`: as long as the
    /// last call said.
    fn gaps(least: i32) -> impl Strategy<Value = Vec<Option<i32>>> {
        let gap = prop_oneof![2 => Just(Some(0)), 2 => Just(None), 2 => (least..300).prop_map(Some), 1 => (0..2_000).prop_map(Some)];
        proptest::collection::vec(gap, 1..200)
    }

    /// Calls with such times between them, from `start`: when each was, and what came of it.
    fn run(pace: &mut Pace, start: u64, gaps: &[Option<i32>]) -> Vec<(Duration, Result<(), Duration>)> {
        let hundredth = pace.rate.period() / pace.rate.count().get() / 100 + NANO;
        let mut now = Duration::from_nanos(start);
        let mut wait = Duration::ZERO;
        let mut call = |gap: &Option<i32>| {
            now = match gap {
                None => now.saturating_add(wait),
                Some(gap) if *gap < 0 => now.saturating_sub(hundredth * gap.unsigned_abs()),
                Some(gap) => now.saturating_add(hundredth * gap.unsigned_abs()),
            };
            let result = pace.take(now);
            wait = result.err().unwrap_or_default();
            (now, result)
        };
        gaps.iter().map(&mut call).collect()
    }

    /// Between any two of these takes, themselves included, there are at most burst + T × rate.
    fn within_rate(pace: &Pace, takes: &[Duration]) -> Result<(), TestCaseError> {
        let (count, period) = (u128::from(pace.rate.count().get()), pace.rate.period().as_nanos());
        for (i, first) in takes.iter().enumerate() {
            for (taken, last) in (1..).zip(&takes[i..]) {
                let over = u128::from(u32::saturating_sub(taken, pace.burst));
                prop_assert!(over * period <= (*last - *first).as_nanos() * count, "{taken} in {:?}", *last - *first);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_burst_and_rate(rate in rate(), burst in 1..20_u32, start in any::<u64>(), gaps in gaps(0)) {
            let mut pace = Pace::new(rate, burst);
            let calls = run(&mut pace, start, &gaps);
            let takes: Vec<_> = calls.iter().filter(|(_, result)| result.is_ok()).map(|(now, _)| *now).collect();
            within_rate(&pace, &takes)?;
        }

        #[test]
        fn nor_if_time_goes_back(rate in rate(), burst in 1..20_u32, start in any::<u64>(), gaps in gaps(-1_000)) {
            let mut pace = Pace::new(rate, burst);
            // What time it had really become, by the latest that was told.
            let mut latest = Duration::ZERO;
            let mut takes = Vec::new();
            for (now, result) in run(&mut pace, start, &gaps) {
                latest = latest.max(now);
                if result.is_ok() {
                    takes.push(latest);
                }
            }
            within_rate(&pace, &takes)?;
        }

        #[test]
        fn the_wait_is_exact_and_a_refusal_takes_nothing(
            rate in rate(), burst in 1..20_u32, start in any::<u64>(), gaps in gaps(-1_000)
        ) {
            let mut pace = Pace::new(rate, burst);
            run(&mut pace, start, &gaps);
            let now = Duration::from_nanos(start);
            drain(&mut pace, now);
            let before = pace.clone();
            let wait = pace.take(now).unwrap_err();
            prop_assert!(!wait.is_zero());
            prop_assert_eq!(pace.take(now + wait - NANO), Err(NANO));
            prop_assert_eq!(&pace, &before);
            prop_assert_eq!(pace.take(now + wait), Ok(()));
        }

        #[test]
        fn exactly_at_the_rate_is_never_refused(rate in rate(), burst in 1..5_u32, start in any::<u64>(), steps in 1..500_u32) {
            let (count, period) = (u128::from(rate.count().get()), rate.period().as_nanos());
            // A clock of nanoseconds shows the k-th at k × period / count rounded up or down, and
            // two that are rounded can be closer than the rate has them. So either no interval is
            // rounded down, or there is a burst of two, which makes up for it.
            let interval = period.div_ceil(count);
            let mut whole = Pace::new(rate, burst);
            let mut up = Pace::new(rate, burst.max(2));
            let mut down = up.clone();
            let at = |nanos: u128| rate::duration(u128::from(start) + nanos).unwrap();
            for k in (0..).take(steps as usize) {
                prop_assert_eq!(whole.take(at(k * interval)), Ok(()));
                prop_assert_eq!(up.take(at((k * period).div_ceil(count))), Ok(()));
                prop_assert_eq!(down.take(at(k * period / count)), Ok(()));
            }
        }

        #[test]
        fn after_a_rest_there_is_a_burst(rate in rate(), burst in 1..20_u32, start in any::<u64>(), gaps in gaps(0)) {
            let mut pace = Pace::new(rate, burst);
            let (last, _) = run(&mut pace, start, &gaps)[gaps.len() - 1];
            let interval = rate.period() / rate.count().get() + NANO;
            prop_assert_eq!(drain(&mut pace, last + interval * burst), burst);
        }

        #[test]
        fn any_time_at_all(
            count in any::<u32>(), period in any::<Duration>(), burst in any::<u32>(),
            times in proptest::collection::vec(any::<Duration>(), 1..20),
        ) {
            if let Ok(rate) = Rate::per(count, period) {
                let mut pace = Pace::new(rate, burst);
                for now in times {
                    let _ = pace.take(now);
                }
            }
        }
    }
}
