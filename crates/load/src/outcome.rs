//! What came of a load.

use std::time::Duration;

use crate::{Errors, Latency};

/// At this share of one core the generator itself is what limits the rate.
const LIMITED_FROM: f64 = 0.97;

/// What came of a load. Figures are of the measured window, after the warm-up, unless they say otherwise.
///
/// ```
/// use std::time::Duration;
/// use socketserver_load::Outcome;
///
/// let mut outcome = Outcome::default();
/// assert_eq!(outcome.rate(), 0.0, "nothing in no time is a rate of zero, never NaN");
/// outcome.messages = 1_000;
/// outcome.elapsed = Duration::from_millis(500);
/// outcome.cpu = Duration::from_millis(490);
/// assert_eq!(outcome.rate(), 2_000.0);
/// assert!(outcome.generator_limited());
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Messages sent, echoed and verified; with a connection a request, requests whose connection was closed too.
    pub messages: u64,
    /// Payload bytes echoed and verified.
    pub bytes: u64,
    /// How long the window really was.
    pub elapsed: Duration,
    /// From just before a message was sent to when the last byte of its reply was read; with a connection a request,
    /// from before the connection was made to when the request was over.
    pub latency: Latency,
    /// Connections established over the whole run.
    pub opened: u64,
    /// Connections that failed over the whole run.
    pub errors: Errors,
    /// Messages (or connections, one for each request) still waiting when the window closed.
    pub in_flight: u64,
    /// CPU time of the thread that ran the load: the generator's own.
    pub cpu: Duration,
}

impl Outcome {
    /// Messages a second; 0 when no time passed.
    pub fn rate(&self) -> f64 {
        per_second(self.messages as f64, self.elapsed)
    }

    /// Payload bytes a second in one direction; 0 when no time passed.
    pub fn throughput(&self) -> f64 {
        per_second(self.bytes as f64, self.elapsed)
    }

    /// The generator's CPU time as a share of one core; 0 when no time passed.
    pub fn utilization(&self) -> f64 {
        per_second(self.cpu.as_secs_f64(), self.elapsed)
    }

    /// Whether the generator was so busy (0.97 of a core) that the rate is its own limit and not the server's.
    pub fn generator_limited(&self) -> bool {
        self.utilization() >= LIMITED_FROM
    }
}

fn per_second(amount: f64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { amount / elapsed.as_secs_f64() }
}
