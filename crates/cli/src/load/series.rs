//! How a load came along, as points in time.

use socketserver_load::{Latency, Progress};
use std::time::Duration;

/// What was found, interval by interval, of one server.
#[derive(Debug)]
pub(super) struct Series {
    width: Duration,
    points: Vec<Point>,
    /// How much time went by before what is open.
    before: Duration,
    open: Open,
}

/// An interval.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// When it ended, in seconds since the first one began.
    pub(super) at: f64,
    /// Messages a second.
    pub(super) rate: f64,
    /// Latencies in seconds: the median, the 99th percentile and the longest. `None` where nothing came back.
    pub(super) latency: Option<[f64; 3]>,
}

/// The interval that is not over.
#[derive(Debug, Default)]
struct Open {
    time: Duration,
    messages: u64,
    latency: Latency,
}

impl Series {
    /// In intervals of at least that.
    pub(super) fn new(width: Duration) -> Self {
        Self { width, points: Vec::new(), before: Duration::ZERO, open: Open::default() }
    }

    pub(super) fn add(&mut self, progress: &Progress) {
        // Nothing counts in the warm-up.
        if progress.elapsed.is_zero() {
            return;
        }
        self.open.time += progress.interval;
        self.open.messages += progress.messages;
        self.open.latency.merge(&progress.latency);
        if self.open.time >= self.width {
            self.close();
        }
    }

    fn close(&mut self) {
        let Open { time, messages, latency } = std::mem::take(&mut self.open);
        self.before += time;
        let seconds =
            [latency.percentile(50.0), latency.percentile(99.0), latency.max()].map(|time| time.as_secs_f64());
        self.points.push(Point {
            at: self.before.as_secs_f64(),
            rate: messages as f64 / time.as_secs_f64(),
            latency: (!latency.is_empty()).then_some(seconds),
        });
    }

    /// All of it. What is left of an interval counts if it is a good part of one: of less there is little to say.
    pub(super) fn finish(mut self) -> Vec<Point> {
        let is_all = self.points.is_empty() && !self.open.time.is_zero();
        if is_all || self.open.time * 2 >= self.width {
            self.close();
        }
        self.points
    }
}
