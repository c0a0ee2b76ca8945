//! How long replies took.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency told apart; anything longer counts as this.
const LONGEST: u64 = 120 * 1_000_000_000;

/// The distribution of latencies, to three significant digits, from 1 ns to two minutes.
///
/// A percentile of nothing is zero.
///
/// ```
/// use std::time::Duration;
/// use socketserver_load::Latency;
///
/// let mut latency = Latency::default();
/// assert_eq!(latency.percentile(50.0), Duration::ZERO);
/// for micros in 1..=100 {
///     latency.record(Duration::from_micros(micros));
/// }
/// let p99 = latency.percentile(99.0).as_nanos();
/// assert!((98_900..=99_100).contains(&p99));
/// ```
#[derive(Clone)]
pub struct Latency(Histogram<u64>);

impl Latency {
    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        self.record_many(latency, 1);
    }

    /// Adds the same latency a number of times.
    pub(crate) fn record_many(&mut self, latency: Duration, times: u64) {
        // Of what was recorded no times the ends would move all the same.
        if times > 0 {
            self.0.saturating_record_n(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST), times);
        }
    }

    /// The latency that `percent` of all replies did not exceed; 0 to 100.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The shortest.
    #[must_use]
    pub fn min(&self) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.0.min())
    }

    /// The arithmetic mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.0.mean() as u64)
    }

    /// How many were recorded.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of `other`'s.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both histograms have the same bounds");
    }
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
        Self(histogram.expect("the bounds are constants that hdrhistogram accepts"))
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("len", &self.len())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_no_times_moves_nothing() {
        let mut latency = Latency::default();
        latency.record(Duration::from_millis(2));
        for nothing in [Duration::from_millis(1), Duration::from_millis(3)] {
            latency.record_many(nothing, 0);
        }
        assert_eq!(
            (latency.len(), latency.min(), latency.max()),
            (1, latency.percentile(0.0), latency.percentile(100.0))
        );
    }
}
