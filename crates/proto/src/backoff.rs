//! How long to wait before trying again.

use std::time::Duration;

/// Delays that double from a first one up to a greatest one.
///
/// It has no clock: it says how long to wait, and the caller waits (and may be woken before). It
/// has no jitter: jitter keeps many clients from coming back to one server at the same instant,
/// whereas here each server has one accept loop that waits for its own descriptors, so there is no
/// herd, and a delay that can be foretold is easier to test and to read in a log.
///
/// ```
/// use socketserver_proto::Backoff;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(25));
/// assert_eq!(backoff.next_delay(), Duration::from_millis(10));
/// assert_eq!(backoff.next_delay(), Duration::from_millis(20));
/// assert_eq!(backoff.next_delay(), Duration::from_millis(25));
/// backoff.reset();
/// assert_eq!(backoff.next_delay(), Duration::from_millis(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Delays from `first`, doubling up to `max`.
    ///
    /// No delay is longer than `max`, not even the first. Zero cannot double, so a `first` of zero
    /// counts as 1 ms; a `max` of zero means no waiting at all.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        let first = if first.is_zero() { Duration::from_millis(1) } else { first };
        let first = first.min(max);
        Self { first, max, next: first }
    }

    /// What the accept loop uses while descriptors or memory are exhausted: 5 ms to 1 s.
    ///
    /// ```
    /// use socketserver_proto::Backoff;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Backoff::accept().next_delay(), Duration::from_millis(5));
    /// ```
    #[must_use]
    pub fn accept() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_secs(1))
    }

    /// How long to wait now; the next answer is twice as long, up to the greatest delay.
    #[must_use = "this only says how long to wait; the caller waits"]
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.max);
        delay
    }

    /// Starts again from the first delay: call it when a try succeeded.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next_delay().as_millis()).collect()
    }

    #[test]
    fn accept_goes_from_5_ms_to_1_s() {
        let mut backoff = Backoff::accept();
        assert_eq!(millis(&mut backoff, 10), [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(millis(&mut backoff, 2), [5, 10]);
    }

    #[test]
    fn odd_limits() {
        let ms = Duration::from_millis;
        // (first, max, the first four delays in milliseconds)
        let cases = [
            (ms(7), ms(7), [7, 7, 7, 7]),
            (ms(9), ms(2), [2, 2, 2, 2]),
            (ms(0), ms(4), [1, 2, 4, 4]),
            (ms(5), ms(0), [0, 0, 0, 0]),
        ];
        for (first, max, want) in cases {
            assert_eq!(millis(&mut Backoff::new(first, max), 4), want, "{first:?} to {max:?}");
        }
    }

    #[test]
    fn the_greatest_duration_does_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX / 2 + Duration::from_secs(1), Duration::MAX);
        let _ = backoff.next_delay();
        assert_eq!(backoff.next_delay(), Duration::MAX);
        assert_eq!(backoff.next_delay(), Duration::MAX);
    }
}
