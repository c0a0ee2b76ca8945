use super::{Handle, Run};
use crate::connection::Connection;
use crate::endpoint::{poll_until, readable};
use crate::events::{Cut, Draining};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Does a server's duties and watches over its drain, one step at a time: on a thread of its own, or in the poll loop of
/// a model that must stay single-threaded.
#[derive(Debug)]
pub(crate) struct Keeper {
    run: Arc<Run>,
    handle: Handle,
    phase: Phase,
    /// When to look again for connections that wait too long.
    look: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Serving,
    /// Accepting has stopped; connections end in their own time.
    Draining,
    /// The deadline passed: sockets are shut down, handlers come back with errors and run `finish`.
    Cutting {
        cut: Vec<Arc<Connection>>,
        until: Instant,
    },
}

/// What a keeper waits for after a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its descriptors, or this time.
    Wait(Option<Instant>),
    /// Nothing: the run is over.
    Over,
}

impl Keeper {
    /// How long handlers have to come back once their sockets are shut down. One that is not waiting for its peer
    /// cannot be reached: it is abandoned then.
    const GRACE: Duration = Duration::from_millis(500);

    pub(crate) fn new(run: Arc<Run>) -> Self {
        let handle = run.handle();
        Self { run, handle, phase: Phase::Serving, look: None }
    }

    /// In how many steps the idle deadline is looked after.
    const LOOKS: u32 = 8;

    /// Steps and waits until the run is over.
    pub(crate) fn keep(mut self) {
        loop {
            let Step::Wait(until) = self.step() else { return };
            let duties = self.run.duties();
            let mut fds: Vec<_> = duties.descriptors().map(readable).collect();
            fds.push(readable(self.run.shared.control.keeper.as_fd()));
            // It fails for want of memory alone; then this is a loop that tries again, and the drain still ends.
            let _ = poll_until(&mut fds, until);
        }
    }

    pub(crate) fn step(&mut self) -> Step {
        let control = &self.run.shared.control;
        // Before the look, so that what comes after it wakes again.
        control.keeper.clear();
        let run = &self.run;
        let next = run.duties().turn(&self.handle, &mut |hook, failure| run.hook_failed(hook, &failure));
        if run.is_dismissed() && !run.is_stopping() {
            return Step::Over;
        }
        let looks = self.look_for_idle();
        let next = [next, looks].into_iter().flatten().min();
        loop {
            let control = &self.run.shared.control;
            match &mut self.phase {
                Phase::Serving if !self.run.is_stopping() => return Step::Wait(next),
                Phase::Serving => {
                    let deadline = control.deadline().unwrap_or_else(Instant::now);
                    let deadline = deadline.saturating_duration_since(Instant::now());
                    let open = control.open();
                    self.run.observe(|observer| observer.draining(&Draining { open, deadline }));
                    // One that comes after this look sees the stop by itself.
                    self.run.shared.registry.all(self.run.number).iter().for_each(|connection| connection.drain());
                    self.phase = Phase::Draining;
                }
                Phase::Draining if control.places() == 0 => return self.conclude(Vec::new()),
                Phase::Draining => match control.deadline() {
                    Some(deadline) if deadline > Instant::now() => {
                        return Step::Wait(Some(next.map_or(deadline, |next| next.min(deadline))));
                    }
                    _ => {
                        let cut = self.run.shared.registry.all(self.run.number);
                        for connection in &cut {
                            connection.cut();
                            self.run.observe(|observer| observer.cut(&describe(&self.run, connection, false)));
                        }
                        self.phase = Phase::Cutting { cut, until: Instant::now() + Self::GRACE };
                    }
                },
                Phase::Cutting { cut, .. } if control.places() == 0 => {
                    let cut = std::mem::take(cut);
                    return self.conclude(cut);
                }
                Phase::Cutting { cut, until } => {
                    // One that was being let in while the others were cut.
                    let late = self.run.shared.registry.all(self.run.number);
                    for connection in late {
                        if cut.iter().any(|cut| cut.id == connection.id) {
                            continue;
                        }
                        connection.cut();
                        self.run.observe(|observer| observer.cut(&describe(&self.run, &connection, false)));
                        cut.push(connection);
                    }
                    let now = Instant::now();
                    if now < *until {
                        return Step::Wait(Some(next.map_or(*until, |next| next.min(*until))));
                    }
                    let cut = std::mem::take(cut);
                    return self.conclude(cut);
                }
            }
        }
    }

    /// Ends waits that have lasted too long, and tells when to look again. Without connections there is nothing to look
    /// for.
    fn look_for_idle(&mut self) -> Option<Instant> {
        let period = (self.run.settings.idle? / Self::LOOKS).max(Duration::from_millis(1));
        let control = &self.run.shared.control;
        let now = Instant::now();
        match self.look {
            Some(look) if now < look => return self.look,
            Some(_) => {
                let epoch = control.next_epoch();
                let before = epoch.saturating_sub(Self::LOOKS.into());
                self.run.shared.registry.all(self.run.number).iter().for_each(|connection| connection.expire(before));
            }
            None => {}
        }
        // A time beyond the clock's end never comes.
        self.look = if control.unwatch() { None } else { now.checked_add(period) };
        self.look
    }

    fn conclude(&self, cut: Vec<Arc<Connection>>) -> Step {
        let left = self.run.shared.registry.all(self.run.number);
        let is_left = |id| left.iter().any(|connection| connection.id == id);
        let cut = cut.iter().map(|connection| describe(&self.run, connection, is_left(connection.id))).collect();
        self.run.conclude(cut);
        Step::Over
    }
}

fn describe(run: &Run, connection: &Connection, abandoned: bool) -> Cut {
    Cut {
        id: connection.id,
        peer: connection.peer.clone(),
        endpoint: run.shared.endpoints[connection.endpoint].clone(),
        age: connection.since.elapsed(),
        abandoned,
    }
}
