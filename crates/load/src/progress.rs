//! How a load comes along while it runs.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::{Errors, Latency, Window};

/// What has come of a load since it was told last; [`Load::run_observed`](crate::Load::run_observed) tells it.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use socketserver_load::{Load, Progress, Target};
///
/// let target = Target::Tcp("127.0.0.1:8080".parse()?);
/// let outcome = Load::new(target).duration(Duration::from_secs(60)).run_observed(Duration::from_secs(1), |progress| {
///     println!("{:?}: {} messages, p99 {:?}", progress.elapsed, progress.messages, progress.latency.percentile(99.0));
///     if progress.errors.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Progress {
    /// How long the window has been open; zero in the warm-up and before it, of which nothing counts.
    pub elapsed: Duration,
    /// The time that the figures below are of.
    pub interval: Duration,
    /// Messages completed in it.
    pub messages: u64,
    /// Their latencies.
    pub latency: Latency,
    /// Failed connections since the load began.
    pub errors: Errors,
    /// Messages that wait for their replies now.
    pub in_flight: u64,
}

/// Who wants to know what a load does.
pub(crate) trait Watch {
    /// The window opens or closes.
    fn edge(&mut self, _: Window) {}

    /// How often it is to be told of progress; `None`: never.
    fn every(&self) -> Option<Duration> {
        None
    }

    /// How it comes along, and whether it is to go on.
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(Window)> Watch for F {
    fn edge(&mut self, window: Window) {
        self(window);
    }
}

/// Wants to know of progress.
pub(crate) struct Observer<F> {
    pub(crate) every: Duration,
    pub(crate) observe: F,
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Watch for Observer<F> {
    fn every(&self) -> Option<Duration> {
        Some(self.every)
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        (self.observe)(progress)
    }
}

/// What has come since the last progress was told.
pub(crate) struct Interval {
    every: Duration,
    began: Instant,
    messages: u64,
    latency: Latency,
}

impl Interval {
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Self { every, began: now, messages: 0, latency: Latency::default() }
    }

    pub(crate) fn completed(&mut self, latency: Duration, messages: u64) {
        self.messages += messages;
        self.latency.record_many(latency, messages);
    }

    /// When it ends, if ever.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.began.checked_add(self.every)
    }

    /// The next one begins.
    pub(crate) fn restart(&mut self, now: Instant) -> Self {
        std::mem::replace(self, Self::new(self.every, now))
    }

    pub(crate) fn told(self, now: Instant, elapsed: Duration, errors: Errors, in_flight: u64) -> Progress {
        let Self { began, messages, latency, .. } = self;
        Progress { elapsed, interval: now - began, messages, latency, errors, in_flight }
    }
}
