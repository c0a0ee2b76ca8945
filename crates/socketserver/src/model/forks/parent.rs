use super::Forks;
use super::lobby::Lobby;
use super::worker::{Worker, ending};
use crate::Error;
use crate::admission::{Place, Tried};
use crate::clock::Moment;
use crate::connection::pipeline::Ending;
use crate::connection::{Peer, Reason};
use crate::datagram::{Batch, tell_bounces};
use crate::endpoint::{Listeners, is_ready, poll_until, readable};
use crate::engine::Blocking;
use crate::events::ChildEnded;
use crate::handler::Service;
use crate::lifecycle::{Keeper, Run, Step};
use crate::model::Work;
use rustix::net::RecvFlags;
use socketserver_sys::Ended;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

/// The process that accepts.
pub(super) struct Parent<S> {
    pub(super) work: Work<Blocking, S>,
    /// Until when accepting rests.
    pub(super) rests: Option<Instant>,
    pub(super) keeper: Keeper,
    pub(super) children: Vec<Worker>,
    /// Connections of which it is not known yet who they are from.
    pub(super) lobby: Lobby,
    pub(super) max: usize,
    pub(super) ready: Option<usize>,
    /// When children may be made again in place of ready ones that ended.
    pub(super) tops_up: Instant,
    /// Packets for which a child that was ready for a connection gives way.
    pub(super) waiting: Option<Batch>,
    /// The server may have no more connections for now.
    pub(super) full: bool,
    pub(super) failed: Option<Error>,
    pub(super) listeners: Arc<Listeners>,
    /// Of what the server shakes hands with.
    pub(super) generation: u64,
}

impl<S: Service<Blocking>> Parent<S> {
    /// `None`: the run is over already.
    pub(super) fn new(options: &Forks, work: Work<Blocking, S>) -> Result<Option<Self>, Error> {
        let run = work.run.clone();
        let mapped = run.shared.registry.reserve(options.max);
        mapped.map_err(|error| Error::io("cannot map memory to share with children", error))?;
        let Some(listeners) = run.listeners() else { return Ok(None) };
        // Children that are made before any connection are to count time from the same moment.
        Moment::now();
        let generation = run.shared.generation();
        Ok(Some(Self {
            rests: None,
            keeper: Keeper::new(run),
            work,
            children: Vec::new(),
            lobby: Lobby::default(),
            max: options.max,
            // It is connections that they are ready for.
            ready: options.ready.filter(|_| listeners.all.iter().any(|listener| listener.packets().is_none())),
            tops_up: Instant::now(),
            waiting: None,
            full: false,
            failed: None,
            listeners,
            generation,
        }))
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        while let Step::Wait(until) = self.keeper.step() {
            self.renew();
            if self.run_state().is_stopping() {
                self.children.iter_mut().filter(|worker| worker.is_idle()).for_each(Worker::retire);
            } else {
                self.top_up();
                self.accept();
            }
            self.let_in();
            // What an accept or a fork has changed may be the end of it.
            if !self.run_state().is_stopping() || self.run_state().shared.control.places() > 0 {
                self.wait(until);
            }
        }
        // The deadline has passed for those too.
        self.waiting = None;
        self.end_all();
        self.failed.map_or(Ok(()), Err)
    }

    pub(super) fn run_state(&self) -> &Arc<Run> {
        &self.work.run
    }

    fn has_room(&self) -> bool {
        // A child that was told to end counts until it has, and so does whoever is to have one once it is known who that is.
        let taken = self.children.iter().filter(|worker| !worker.is_idle()).count();
        self.waiting.is_none() && taken + self.lobby.len() < self.max
    }

    /// Takes in connections while there are any, and room.
    fn accept(&mut self) {
        let listeners = self.listeners.all.len();
        // One of each in turn, until none has any.
        let mut empty = 0;
        for index in (0..listeners).cycle() {
            if empty == listeners || !self.has_room() || self.is_resting() || self.run_state().is_stopping() {
                return;
            }
            let place = Place::take(self.run_state());
            let verify = |peer: &Peer| self.work.service.verify(peer);
            let tried = self.work.gate.try_next(&self.listeners, index, false, place, &verify);
            match tried {
                Ok(Tried::Admitted(admitted)) => {
                    empty = 0;
                    if admitted.connection().slot.awaits_header() {
                        self.lobby.enter(admitted, &self.work.run);
                    } else {
                        self.start(admitted);
                    }
                }
                Ok(Tried::Packets(batch)) => {
                    empty = 0;
                    self.tell_bounces(index);
                    self.receive(batch);
                }
                Ok(Tried::Rest(_, until)) => self.rests = Some(until),
                Ok(Tried::Full(_)) => {
                    self.full = true;
                    return;
                }
                Ok(Tried::Nothing(_)) => {
                    empty += 1;
                    // Unheard they would make it look again at once.
                    self.tell_bounces(index);
                }
                Ok(Tried::More(_)) => empty += 1,
                Err(error) => self.fail(error),
            }
        }
    }

    /// Starts those of whom it has become known who they are.
    fn let_in(&mut self) {
        while let Some(admitted) = self.lobby.next(&self.work.run, &|peer| self.work.service.verify(peer)) {
            self.start(admitted);
        }
    }

    /// Tells of packets that did not arrive: children leave it to this process.
    fn tell_bounces(&self, index: usize) {
        if let Some(socket) = self.listeners.all[index].packets() {
            tell_bounces(self.run_state(), socket, index);
        }
    }

    pub(super) fn is_resting(&self) -> bool {
        self.rests.is_some_and(|rests| rests > Instant::now())
    }

    pub(super) fn rest(&mut self) {
        self.rests = Some(Instant::now() + self.work.gate.next_delay());
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.work.handle().shutdown();
    }

    /// Waits for connections, children, duties, the wish to stop.
    fn wait(&mut self, until: Option<Instant>) {
        let resting = self.rests.filter(|rests| *rests > Instant::now());
        let accepting = !self.run_state().is_stopping() && resting.is_none() && self.has_room();
        // With nobody's permit to be had, it is woken when one is.
        let full = accepting && std::mem::take(&mut self.full) && !self.run_state().shared.control.want_room();
        let until = match (until, resting.filter(|_| !self.run_state().is_stopping())) {
            (Some(until), Some(rests)) => Some(until.min(rests)),
            (until, rests) => until.or(rests),
        };
        let tops_up = (accepting && self.is_short()).then_some(self.tops_up);
        let until = [until, self.lobby.until(), tops_up].into_iter().flatten().min();
        let ready: Vec<usize> = {
            let run = self.run_state().clone();
            let duties = run.duties();
            let mut fds = Vec::with_capacity(2 * self.children.len() + 8);
            let mut whose = Vec::with_capacity(2 * self.children.len());
            for (at, worker) in self.children.iter().enumerate() {
                for fd in [Some(worker.child.as_fd()), worker.feed.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
                    fds.push(readable(fd));
                    whose.push(at);
                }
            }
            fds.extend(self.keeper.descriptors());
            fds.extend(self.lobby.descriptors());
            fds.extend(duties.descriptors().map(readable));
            if full {
                fds.push(readable(run.shared.control.room.as_fd()));
            } else if accepting {
                fds.push(readable(self.listeners.as_fd()));
            }
            // It fails for want of memory alone; then the loop looks at everything and tries again.
            let _ = poll_until(&mut fds, until);
            whose.into_iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|(at, _)| at).collect()
        };
        self.work.gate.forget_old_wishes();
        // From the last to the first, for one that has ended is taken out.
        for at in ready.into_iter().rev() {
            self.look_at(at);
        }
    }

    /// A child has something to say, or has ended.
    fn look_at(&mut self, at: usize) {
        // The two descriptors of one child may both have been ready, and the first look have ended it.
        let Some(worker) = self.children.get_mut(at) else { return };
        if let Some(feed) = &worker.feed {
            let mut done = [0];
            if matches!(rustix::net::recv(feed, &mut done[..], RecvFlags::DONTWAIT), Ok((1.., _))) {
                self.finish(at);
            }
        }
        if let Ok(Some(ended)) = self.children[at].child.try_wait() {
            self.bury(at, ended);
            // Only now that nothing of it is left, for the child to be forked would have a copy.
            if let Some(batch) = self.waiting.take() {
                self.handle(batch);
            }
        }
    }

    /// A child has ended.
    fn bury(&mut self, at: usize, ended: Ended) {
        let worker = self.children.swap_remove(at);
        let how = match ended {
            Ended::Killed(signal) => Reason::Killed(signal),
            Ended::Exited(status) => Reason::Exited(status),
            _ => Reason::Exited(-1),
        };
        let serving = worker.serving.map(|mut admitted| {
            admitted.ending = ending(&admitted.connection().slot).or(admitted.ending.take());
            admitted
        });
        let in_order = match &serving {
            Some(admitted) => admitted.ending.is_some(),
            // One that handled packets ends with status 0.
            None => worker.retired || (worker.batch.is_some() && ended == Ended::Exited(0)),
        };
        if !in_order {
            if worker.batch.is_some() {
                // The one that it was at.
                self.run_state().shared.control.count_packet_failed();
            }
            let connection = serving.as_ref().map(|admitted| admitted.connection().id);
            let event = ChildEnded { pid: worker.child.pid(), how, connection };
            self.run_state().observe(|observer| observer.child_ended(&event));
        }
        if let Some(mut admitted) = serving {
            admitted.ending.get_or_insert_with(|| Ending::of(how));
        }
    }

    /// The run is over: who has not come back is killed, and everyone is reaped.
    fn end_all(&mut self) {
        for worker in &mut self.children {
            if let Some(admitted) = &mut worker.serving {
                // That it dies of it is no surprise.
                admitted.ending = Some(Ending::of(Reason::Aborted));
                worker.child.kill();
            }
            if worker.batch.is_some() {
                worker.retired = true;
                worker.child.kill();
            }
            worker.retire();
        }
        while let Some(at) = self.children.len().checked_sub(1) {
            // A retired child ends by itself, a killed one must; a child that neither does is a stuck system.
            let ended = self.children[at].child.wait().unwrap_or(Ended::Unknown);
            self.bury(at, ended);
        }
    }
}
