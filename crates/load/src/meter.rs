//! The window of a run: when it opens, what is counted in it, when it closes.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::errors::Failure;
use crate::load::Plan;
use crate::{Outcome, Window};

/// Counts a run.
pub(crate) struct Meter<'a> {
    plan: &'a Plan,
    watch: &'a mut dyn FnMut(Window),
    started: Instant,
    phase: Phase,
    progress: Instant,
    /// Messages that may still be started; `None` without a bound, as in the warm-up.
    budget: Option<u64>,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Warmup,
    Open { since: Instant, cpu: Duration },
    Closed,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(plan: &'a Plan, watch: &'a mut dyn FnMut(Window)) -> Self {
        let now = Instant::now();
        Self {
            plan,
            watch,
            started: now,
            phase: Phase::Warmup,
            progress: now,
            budget: None,
            outcome: Outcome::default(),
        }
    }

    /// All connections are open: the warm-up begins now.
    pub(crate) fn begin(&mut self) {
        self.started = Instant::now();
        self.progress = self.started;
        self.turn(self.started, 0);
    }

    /// Opens or closes the window when its time has come, and tells whether the run goes on.
    pub(crate) fn turn(&mut self, now: Instant, in_flight: u64) -> bool {
        if matches!(self.phase, Phase::Warmup) && now >= self.started + self.plan.warmup {
            self.open(in_flight);
        }
        let over = match self.phase {
            Phase::Warmup => false,
            Phase::Open { since, .. } => {
                let late = self.plan.duration.is_some_and(|limit| now - since >= limit);
                let done = self.plan.requests.is_some_and(|n| self.outcome.messages >= n);
                late || done || (self.budget == Some(0) && in_flight == 0)
            }
            Phase::Closed => true,
        };
        !over
    }

    fn open(&mut self, in_flight: u64) {
        self.budget = self.plan.requests.map(|n| n.saturating_sub(in_flight));
        (self.watch)(Window::Opened);
        // Read after the watcher has run, which may take its time.
        self.phase = Phase::Open { since: Instant::now(), cpu: thread_cpu() };
    }

    /// Closes the window and hands out the figures.
    pub(crate) fn finish(mut self, in_flight: u64) -> Outcome {
        if let Phase::Open { since, cpu } = self.phase {
            self.outcome.elapsed = since.elapsed();
            self.outcome.cpu = thread_cpu().saturating_sub(cpu);
            self.phase = Phase::Closed;
            (self.watch)(Window::Closed);
        }
        self.outcome.in_flight = in_flight;
        self.outcome
    }

    /// How many of `wanted` messages may be started; they count as started.
    pub(crate) fn take(&mut self, wanted: u64) -> u64 {
        match &mut self.budget {
            None => wanted,
            Some(left) => {
                let taken = wanted.min(*left);
                *left -= taken;
                taken
            }
        }
    }

    pub(crate) fn opened(&mut self) {
        self.outcome.opened += 1;
    }

    pub(crate) fn received(&mut self, now: Instant, bytes: usize) {
        self.progress = now;
        if matches!(self.phase, Phase::Open { .. }) {
            self.outcome.bytes += bytes as u64;
        }
    }

    /// Messages that were sent together are back whole.
    pub(crate) fn completed(&mut self, now: Instant, since: Instant, messages: u64) {
        self.progress = now;
        if !matches!(self.phase, Phase::Open { .. }) {
            return;
        }
        let wanted = self.plan.requests.map_or(u64::MAX, |n| n.saturating_sub(self.outcome.messages));
        let counted = messages.min(wanted);
        let nanos = u64::try_from((now - since).as_nanos()).unwrap_or(u64::MAX);
        self.outcome.messages += counted;
        self.outcome.latency.record_many(nanos, counted);
    }

    pub(crate) fn failed(&mut self, failure: impl Into<Failure>) {
        self.outcome.errors.count(failure.into());
    }

    /// Nothing came for so long that the run is to be given up.
    pub(crate) fn stalled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.progress) >= self.plan.stall
    }

    /// How long there is nothing to do unless a socket becomes ready.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        let edge = match self.phase {
            Phase::Warmup => Some(self.started + self.plan.warmup),
            Phase::Open { since, .. } => self.plan.duration.map(|limit| since + limit),
            Phase::Closed => None,
        };
        let stall = self.progress + self.plan.stall;
        edge.map_or(stall, |edge| edge.min(stall)).saturating_duration_since(now)
    }
}

/// The CPU time of the calling thread, see clock_gettime(2).
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
