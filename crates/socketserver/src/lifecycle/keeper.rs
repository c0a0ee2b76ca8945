use super::{Handle, Run, hogs::Hogs};
use crate::admission::Farewell;
use crate::clock;
use crate::connection::{Connection, Reason, Steer};
use crate::endpoint::{poll_until, readable};
use crate::events::{Cut, Draining};
#[cfg(feature = "tls")]
use crate::events::{TlsReloadFailed, TlsReloaded};
#[cfg(feature = "tls")]
use crate::tls::Outcome;
use rustix::event::PollFd;
use socketserver_sys::{Forked, disown};
use std::io;
use std::os::fd::AsFd;
#[cfg(feature = "tokio")]
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Does a server's duties and watches over its deadlines and its drain, one step at a time: on a thread of its own, in a
/// task, or in the poll loop of a model that must stay single-threaded.
#[derive(Debug)]
pub(crate) struct Keeper {
    run: Arc<Run>,
    handle: Handle,
    phase: Phase,
    /// When to look again for connections that wait too long.
    look: Option<Instant>,
    /// Peers that were turned away with a word.
    farewells: Vec<Farewell>,
    hogs: Hogs,
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
        let hogs = Hogs::default();
        Self { run, handle, phase: Phase::Serving, look: None, farewells: Vec::new(), hogs }
    }

    /// Steps and waits until the run is over.
    pub(crate) fn keep(mut self) {
        loop {
            let Step::Wait(until) = self.step() else { return };
            let duties = self.run.duties();
            let mut fds: Vec<_> = duties.descriptors().map(readable).collect();
            fds.extend(self.descriptors());
            // It fails for want of memory alone; then this is a loop that tries again, and the drain still ends.
            let _ = poll_until(&mut fds, until);
        }
    }

    /// What it waits for, beside the descriptors of its duties.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = PollFd<'_>> {
        let own = std::iter::once(readable(self.run.shared.control.keeper.as_fd()));
        own.chain(self.farewells.iter().map(|farewell| readable(farewell.as_fd())))
    }

    /// In a forked child: lets go of those who were turned away.
    pub(crate) fn disown(&self, child: &Forked) -> io::Result<()> {
        self.farewells.iter().try_for_each(|farewell| disown(child, farewell))?;
        self.run.disown_farewells(child)
    }

    /// Calls `watch` with every descriptor that it waits for.
    #[cfg(feature = "tokio")]
    pub(crate) fn watch_with(&self, watch: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        watch(self.run.shared.control.keeper.as_fd())?;
        self.farewells.iter().try_for_each(|farewell| watch(farewell.as_fd()))?;
        self.run.duties().descriptors().try_for_each(watch)
    }

    pub(crate) fn step(&mut self) -> Step {
        let control = &self.run.shared.control;
        // Before the look, so that what comes after it wakes again.
        control.keeper.clear();
        let run = &self.run;
        let next = run.duties().turn(&self.handle, control, &mut |hook, failure| run.hook_failed(hook, &failure));
        if run.is_dismissed() && !run.is_stopping() {
            return Step::Over;
        }
        let next = [
            next,
            self.look_at_deadlines(),
            self.go_on_with_farewells(),
            self.hogs.look(&self.run),
            self.look_at_certificates(),
        ];
        let next = next.into_iter().flatten().min();
        loop {
            let control = &self.run.shared.control;
            match &mut self.phase {
                Phase::Serving if !self.run.is_stopping() => return Step::Wait(next),
                Phase::Serving => {
                    let deadline = control.deadline().unwrap_or_else(clock::now);
                    let deadline = deadline.saturating_duration_since(clock::now());
                    let open = control.open();
                    self.run.observe(|observer| observer.draining(&Draining { open, deadline }));
                    self.run.tell_tasks();
                    // One that comes after this look sees the stop by itself.
                    self.run.shared.registry.each(self.run.number, |connection| connection.drain());
                    self.phase = Phase::Draining;
                }
                Phase::Draining if control.places() == 0 => return self.conclude(Vec::new()),
                Phase::Draining => match control.deadline() {
                    Some(deadline) if deadline > clock::now() => {
                        return Step::Wait(Some(next.map_or(deadline, |next| next.min(deadline))));
                    }
                    _ => {
                        let mut cut = Vec::new();
                        self.cut(&mut cut);
                        self.run.cut_sessions();
                        self.phase = Phase::Cutting { cut, until: clock::now() + Self::GRACE };
                    }
                },
                Phase::Cutting { cut, .. } if control.places() == 0 => {
                    let cut = std::mem::take(cut);
                    return self.conclude(cut);
                }
                Phase::Cutting { cut, until } => {
                    // One that was being let in while the others were cut.
                    let (mut cut, until) = (std::mem::take(cut), *until);
                    self.cut(&mut cut);
                    self.phase = Phase::Cutting { cut, until };
                    if clock::now() < until {
                        return Step::Wait(Some(next.map_or(until, |next| next.min(until))));
                    }
                    let Phase::Cutting { cut, .. } = &mut self.phase else { continue };
                    let cut = std::mem::take(cut);
                    return self.conclude(cut);
                }
            }
        }
    }

    /// Goes through the connections for those that waited too long, if it is time to, and tells when it will be again.
    fn look_at_deadlines(&mut self) -> Option<Instant> {
        let looks = self.run.settings.looks()?;
        let control = &self.run.shared.control;
        match self.look {
            Some(look) if clock::now() < look => return self.look,
            Some(_) => {
                let epoch = control.next_epoch();
                // From after the epoch has begun: waits that are dated with it are not to seem older than they are.
                self.look = clock::now().checked_add(looks.period);
                self.run.shared.registry.each(self.run.number, |connection| looks.look(connection, epoch));
            }
            // A time beyond the clock's end never comes.
            None => self.look = clock::now().checked_add(looks.period),
        }
        if control.unwatch() {
            self.look = None;
        }
        self.look
    }

    /// Takes in certificates that have changed, and tells when to look again.
    #[cfg(feature = "tls")]
    fn look_at_certificates(&self) -> Option<Instant> {
        let run = &self.run;
        run.duties().look_at_certificates(&mut |outcome| match outcome {
            Outcome::Reloaded(fingerprints) => {
                run.observe(|observer| observer.tls_reloaded(&TlsReloaded { fingerprints }))
            }
            Outcome::Failed(failure) => {
                run.observe(|observer| observer.tls_reload_failed(&TlsReloadFailed { failure }));
            }
        })
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_self, reason = "with the feature it looks there")]
    fn look_at_certificates(&self) -> Option<Instant> {
        None
    }

    fn go_on_with_farewells(&mut self) -> Option<Instant> {
        self.farewells.extend(self.run.take_farewells());
        if self.farewells.is_empty() {
            return None;
        }
        let before = self.farewells.len();
        let farewells = std::mem::take(&mut self.farewells);
        self.farewells = farewells.into_iter().filter_map(Farewell::go_on).collect();
        self.run.farewells_ended(before - self.farewells.len());
        self.farewells.iter().map(Farewell::until).min()
    }

    /// Cuts those that the deadline finds open, and tells of them that were not `cut` before.
    fn cut(&self, cut: &mut Vec<Arc<Connection>>) {
        let registry = &self.run.shared.registry;
        let mut open = registry.all(self.run.number);
        open.retain(|connection| !cut.iter().any(|cut| cut.id == connection.id));
        let ids: Vec<u64> = open.iter().map(|connection| connection.id).collect();
        // One of whom it is not known who it is was never told of.
        open.retain(|connection| !connection.slot.awaits_header());
        // Told before it is done: what comes of it is told by others.
        for connection in &open {
            self.run.observe(|observer| observer.cut(&describe(&self.run, connection, false)));
        }
        registry.cut(self.run.number, &ids, Reason::Aborted);
        cut.append(&mut open);
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
        peer: connection.peer().clone(),
        endpoint: run.shared.endpoints[connection.endpoint()].clone(),
        age: connection.age(),
        abandoned,
    }
}
