//! The window of a run: when it opens, what is counted in it, when it closes.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::errors::Failure;
use crate::plan::Plan;
use crate::progress::{Interval, Watch};
use crate::schedule::Schedule;
use crate::{Outcome, Window};

/// Counts a run.
pub(crate) struct Meter<'a> {
    plan: &'a Plan,
    watch: &'a mut dyn Watch,
    started: Instant,
    phase: Phase,
    progress: Instant,
    /// Messages that may still be started; `None` without a bound, as in the warm-up.
    budget: Option<u64>,
    schedule: Option<Schedule>,
    /// When to look for messages that nobody has answered, if ever.
    next_look: Option<Instant>,
    /// What is told of next, if anybody wants to know.
    interval: Option<Interval>,
    /// Whoever is told wants no more.
    stopped: bool,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Warmup,
    Open { since: Instant, cpu: Duration },
    Closed,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(plan: &'a Plan, watch: &'a mut dyn Watch) -> Self {
        let now = Instant::now();
        Self {
            plan,
            interval: watch.every().map(|every| Interval::new(every, now)),
            watch,
            started: now,
            phase: Phase::Warmup,
            progress: now,
            budget: None,
            schedule: plan.rate.map(Schedule::new),
            next_look: None,
            stopped: false,
            outcome: Outcome::default(),
        }
    }

    /// Connections are being opened: tells of it when it is time, and whether anybody wants more of them.
    pub(crate) fn goes_on(&mut self, now: Instant) -> bool {
        self.tell_when_due(now, 0);
        !self.stopped
    }

    /// All connections are open: the warm-up begins now.
    pub(crate) fn begin(&mut self) {
        self.started = Instant::now();
        self.progress = self.started;
        self.next_look = self.plan.timeout.map(|limit| self.started + limit);
        if let Some(schedule) = &mut self.schedule {
            schedule.begin(self.started);
        }
        if let Some(interval) = &mut self.interval {
            interval.restart(self.started);
        }
        self.turn(self.started, 0);
    }

    /// Opens or closes the window when its time has come, and tells whether the run goes on.
    pub(crate) fn turn(&mut self, now: Instant, in_flight: u64) -> bool {
        if self.stopped {
            return false;
        }
        if matches!(self.phase, Phase::Warmup) && now >= self.started + self.plan.warmup {
            self.open(in_flight);
        }
        self.tell_when_due(now, in_flight);
        let over = match self.phase {
            Phase::Warmup => false,
            Phase::Open { since, .. } => {
                let late = self.plan.duration.is_some_and(|limit| now - since >= limit);
                late || self.is_done() || (self.budget == Some(0) && in_flight == 0)
            }
            Phase::Closed => true,
        };
        !(over || self.stopped)
    }

    /// Whether all has come back that was asked for: what a server does from then on is no matter here.
    pub(crate) fn is_done(&self) -> bool {
        self.plan.requests.is_some_and(|n| self.outcome.messages >= n)
    }

    fn open(&mut self, in_flight: u64) {
        self.budget = self.plan.requests.map(|n| n.saturating_sub(in_flight));
        if let Some(schedule) = &mut self.schedule {
            schedule.open();
        }
        self.watch.edge(Window::Opened);
        // Read after the watcher has run, which may take its time.
        let since = Instant::now();
        self.phase = Phase::Open { since, cpu: thread_cpu() };
        if let Some(interval) = &mut self.interval {
            // What is told of the window is of nothing before it.
            interval.restart(since);
        }
    }

    fn tell_when_due(&mut self, now: Instant, in_flight: u64) {
        if self.interval.as_ref().and_then(Interval::end).is_some_and(|end| now >= end) {
            self.tell(now, in_flight);
        }
    }

    /// Tells of the interval that has ended.
    fn tell(&mut self, now: Instant, in_flight: u64) {
        let elapsed = match self.phase {
            Phase::Open { since, .. } => now.saturating_duration_since(since),
            Phase::Warmup | Phase::Closed => Duration::ZERO,
        };
        if let Some(interval) = &mut self.interval {
            let progress = interval.restart(now).told(now, elapsed, self.outcome.errors.clone(), in_flight);
            self.stopped |= self.watch.progress(progress).is_break();
        }
    }

    /// Closes the window and hands out the figures.
    pub(crate) fn finish(mut self, in_flight: u64) -> Outcome {
        let now = Instant::now();
        // Before the window nothing is amiss: there may have been nobody to send it to yet.
        let unsent = if matches!(self.phase, Phase::Warmup) { 0 } else { self.due(now) };
        if let Phase::Open { since, cpu } = self.phase {
            self.outcome.elapsed = now.saturating_duration_since(since);
            self.outcome.cpu = thread_cpu().saturating_sub(cpu);
            self.tell(now, in_flight);
            self.phase = Phase::Closed;
            self.watch.edge(Window::Closed);
        }
        self.outcome.in_flight = in_flight;
        self.outcome.open_loop = self.schedule.map(|schedule| schedule.kept(now, unsent));
        self.outcome
    }

    /// How many of `wanted` messages may be started; they count as started.
    pub(crate) fn take(&mut self, wanted: u64, now: Instant) -> u64 {
        let wanted = self.schedule.as_ref().map_or(wanted, |schedule| wanted.min(schedule.due(now)));
        match &mut self.budget {
            None => wanted,
            Some(left) => {
                let taken = wanted.min(*left);
                *left -= taken;
                taken
            }
        }
    }

    /// A message that was taken leaves; tells since when its latency counts. In an open loop each has a time of its own.
    pub(crate) fn leaves(&mut self, now: Instant) -> Instant {
        self.schedule.as_mut().map_or(now, |schedule| schedule.leave(now))
    }

    /// Whether messages have times of their own.
    pub(crate) fn is_open_loop(&self) -> bool {
        self.schedule.is_some()
    }

    /// Messages whose time has come, and that may still be started.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let due = self.schedule.as_ref().map_or(0, |schedule| schedule.due(now));
        self.budget.map_or(due, |left| due.min(left))
    }

    /// Until now no message could leave, for as many as may be were in flight.
    pub(crate) fn was_full(&mut self) {
        if let Some(schedule) = &mut self.schedule {
            schedule.was_full(Instant::now());
        }
    }

    /// When it is time to look for messages that nobody has answered: those are overdue that left before what is told.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.plan.timeout?;
        if self.next_look.is_none_or(|next| now < next) {
            return None;
        }
        self.next_look = Some(now + (limit / 8).max(Duration::from_millis(1)));
        now.checked_sub(limit)
    }

    /// A connection was established, within that time if that is of interest.
    pub(crate) fn opened(&mut self, within: Option<Duration>) {
        self.outcome.opened += 1;
        if let Some(within) = within {
            self.outcome.connect.record(within);
        }
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
        let latency = now - since;
        self.outcome.messages += counted;
        self.outcome.latency.record_many(latency, counted);
        if let Some(interval) = &mut self.interval {
            interval.completed(latency, counted);
        }
    }

    pub(crate) fn failed(&mut self, failure: impl Into<Failure>) {
        self.outcome.errors.count(failure.into());
    }

    /// Messages that nobody will answer any more.
    pub(crate) fn lost(&mut self, messages: u64) {
        self.outcome.lost += messages;
        if let (Phase::Open { .. }, Some(schedule)) = (self.phase, &mut self.schedule) {
            schedule.unanswered(Duration::MAX, messages);
        }
    }

    /// Messages are still in flight at the end, whose latency would have counted since then: of interest in an open loop.
    pub(crate) fn unanswered(&mut self, since: Instant, messages: u64) {
        if let Some(schedule) = &mut self.schedule {
            schedule.unanswered(since.elapsed(), messages);
        }
    }

    /// Nothing came for so long that the run is to be given up. Where each message has a limit of its own that is enough.
    pub(crate) fn stalled(&self, now: Instant) -> bool {
        self.plan.timeout.is_none() && now.saturating_duration_since(self.progress) >= self.plan.stall
    }

    /// How long there is nothing to do unless a socket becomes ready, or, in an open loop, a message is due.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        let edge = match self.phase {
            Phase::Warmup => Some(self.started + self.plan.warmup),
            Phase::Open { since, .. } => self.plan.duration.map(|limit| since + limit),
            Phase::Closed => None,
        };
        let limit = self.next_look.unwrap_or(self.progress + self.plan.stall);
        let told = self.interval.as_ref().and_then(Interval::end);
        edge.into_iter().chain(told).fold(limit, Instant::min).saturating_duration_since(now)
    }

    /// How long it is until the next message is due, in an open loop that has not sent all.
    pub(crate) fn until_due(&self, now: Instant) -> Option<Duration> {
        let schedule = self.schedule.as_ref()?;
        (self.budget != Some(0)).then(|| schedule.next().saturating_duration_since(now))
    }
}

/// The CPU time of the calling thread, see clock_gettime(2).
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
