//! What came of a load.

use std::time::Duration;

use crate::{Errors, Latency, OpenLoop};

/// At this share of one core the generator itself is what limits the rate.
const LIMITED_FROM: f64 = 0.97;
/// Where this share of all messages left late the generator has not kept its schedule.
const LATE_FROM: f64 = 0.01;

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
/// outcome.messages = 0;
/// assert!(!outcome.generator_limited(), "where nothing came back it is not the generator that was too slow");
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
    /// from before the connection was made to when the request was over. In an open loop it begins when the message was to
    /// leave, whether it could or not.
    pub latency: Latency,
    /// Connections established over the whole run.
    pub opened: u64,
    /// How long that took each, handshakes included; nothing of UDP.
    pub connect: Latency,
    /// Connections that failed over the whole run.
    pub errors: Errors,
    /// Messages (or connections, one for each request) still waiting when the window closed.
    pub in_flight: u64,
    /// Messages over the whole run that nobody answers any more: their connection failed, or, of UDP, their time was up.
    pub lost: u64,
    /// How an open loop has kept its schedule; `None` of a closed one.
    pub open_loop: Option<OpenLoop>,
    /// CPU time of the thread that ran the load: the generator's own.
    pub cpu: Duration,
}

impl Outcome {
    /// Messages a second; 0 when no time passed.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.messages as f64, self.elapsed)
    }

    /// Payload bytes a second in one direction; 0 when no time passed.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        per_second(self.bytes as f64, self.elapsed)
    }

    /// The generator's CPU time as a share of one core; 0 when no time passed.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        per_second(self.cpu.as_secs_f64(), self.elapsed)
    }

    /// Whether the generator was so busy (0.97 of a core), or so often late (one message in 100) although there was room, that
    /// the figures tell its own limit and not the server's. Where nothing came back there are no figures to limit.
    #[must_use]
    pub fn generator_limited(&self) -> bool {
        let late = self.open_loop.as_ref().map_or(0, |open| open.late);
        let is_busy = self.utilization() >= LIMITED_FROM || late as f64 > self.messages as f64 * LATE_FROM;
        is_busy && self.messages > 0
    }

    /// Adds what came of another part of the same load, as if they had been one.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.elapsed += other.elapsed;
        self.latency.merge(&other.latency);
        self.opened += other.opened;
        self.connect.merge(&other.connect);
        self.errors.merge(&other.errors);
        self.in_flight += other.in_flight;
        self.lost += other.lost;
        self.cpu += other.cpu;
        match (&mut self.open_loop, &other.open_loop) {
            (Some(one), Some(other)) => one.merge(other),
            (one, other) => *one = one.take().or_else(|| other.clone()),
        }
    }
}

fn per_second(amount: f64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { amount / elapsed.as_secs_f64() }
}
