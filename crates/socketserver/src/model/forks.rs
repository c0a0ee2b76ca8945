use super::feed::{introduce, introduced, peer_of};
use super::lobby::Lobby;
use super::work::Here;
use super::{Model, Work};
use crate::admission::{Admitted, Place, Tried};
use crate::clock::Moment;
use crate::connection::pipeline::{Ending, catch};
use crate::connection::{Connection, Core, Peer, Reason, Record, Slot, SyncIo, now, pipeline};
use crate::datagram::{Batch, tell_bounces};
use crate::endpoint::{Listeners, is_ready, poll_until, readable};
use crate::engine::{Blocking, Conn};
use crate::events::{ChildEnded, SpawnFailed};
use crate::handler::Service;
use crate::lifecycle::{Keeper, Run, Step};
use crate::{Error, ErrorKind};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socketserver_sys::{Child, Ended, Fork, Forked, disown};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// A process a connection: one that crashes, leaks or hangs takes nothing with it but its own connection.
///
/// The parent accepts, watches over its children and tells of them; it reaps nobody else's. At the maximum new
/// connections wait in the backlog. With [`prefork`](Self::prefork) children are kept ready and serve one connection
/// after the other. Packets that came in together have a child of their own, which ends with them.
///
/// A child sees the memory of the server as it was when the child was made; what it changes there nobody else sees.
/// Counters, the report and [`Handle::shutdown`](crate::Handle::shutdown) work from children too. `verify`, `every`,
/// signals and the observer run in the parent, the other hooks in the child.
///
/// `serve` must be called in a process with one thread, for a child of a process with several could wait for ever on a
/// lock that another thread held: it is refused with [`ErrorKind::Unsupported`]. So `spawn` is no use with it.
///
/// ```
/// use socketserver::{Forks, Server, blocking};
/// let mut server = Server::bind("tcp://127.0.0.1:0")?;
/// # let mut client = socketserver::client::connect(&server.endpoints()[0])?;
/// # client.close_write()?;
/// server.serve(Forks::new(40), |c: &mut blocking::Stream| {
///     c.write_all(format!("process {}\n", std::process::id()).as_bytes())?;
/// #     c.read_line(100)?;
/// #     c.server().shutdown();
///     Ok(())
/// })?;
/// # let line = client.read_line(100)?.ok_or("nothing came")?;
/// # assert!(line.starts_with("process ") && line != format!("process {}", std::process::id()));
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Forks {
    max: usize,
    ready: Option<usize>,
}

impl Forks {
    /// At most `max` connections, and so processes, at a time; at least 1.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), ready: None }
    }

    /// Starts with `ready` children (at least 1, at most the maximum) that wait for connections, keeps as many of those that
    /// come free, and lets each serve many. A connection then costs no fork unless more come at a time, and what a
    /// handler leaves behind in its process meets the next one.
    ///
    /// Packets cost a fork all the same: where nothing else comes none is kept ready, and at the maximum one that is ready
    /// gives way to packets.
    #[must_use]
    pub fn prefork(mut self, ready: usize) -> Self {
        self.ready = Some(ready.clamp(1, self.max));
        self
    }
}

/// 40 processes, one for each connection.
impl Default for Forks {
    fn default() -> Self {
        Self::new(40)
    }
}

impl Model for Forks {
    type Engine = Blocking;
    const WITHOUT_HUB: Option<&'static str> = Some(
        "`Forks` has no hub: its children share no memory, so no peer reaches one in another child; `Threads` and `Tasks` \
         have one",
    );

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        let threads = socketserver_sys::thread_count().map_err(|e| Error::io("cannot count threads in /proc", e))?;
        if threads != 1 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "`Forks` needs a process with one thread, and this one has {threads}: call `serve` before any \
                     thread is started (`spawn` starts one)"
                ),
            ));
        }
        Parent::new(&self, work)?.map_or(Ok(()), Parent::run)
    }
}

/// The process that accepts.
struct Parent<S> {
    work: Work<Blocking, S>,
    /// Until when accepting rests.
    rests: Option<Instant>,
    keeper: Keeper,
    children: Vec<Worker>,
    /// Connections of which it is not known yet who they are from.
    lobby: Lobby,
    max: usize,
    ready: Option<usize>,
    /// Packets for which a child that was ready for a connection gives way.
    waiting: Option<Batch>,
    /// The server may have no more connections for now.
    full: bool,
    failed: Option<Error>,
    listeners: Arc<Listeners>,
    /// Of what the server shakes hands with.
    generation: u64,
}

/// A child, and what it does at the moment.
#[derive(Debug)]
struct Worker {
    child: Child,
    /// A pre-forked one is given its connections through this, and answers a byte when it is through with one.
    feed: Option<OwnedFd>,
    /// What it serves. The parent keeps the connection open as long: it can end it, and when the child dies it closes.
    serving: Option<Admitted>,
    /// Packets that it handles; it ends with them.
    batch: Option<Batch>,
    /// It was told to end.
    retired: bool,
    /// It did not take a connection: it is ending, though nobody told it to.
    dead: bool,
    /// It has what the server shook hands with before.
    outdated: bool,
}

impl Worker {
    fn new(child: Child) -> Self {
        Self { child, feed: None, serving: None, batch: None, retired: false, dead: false, outdated: false }
    }

    fn is_idle(&self) -> bool {
        self.feed.is_some() && self.serving.is_none() && !self.retired && !self.dead
    }

    /// Lets a pre-forked child see that no more connections come.
    fn retire(&mut self) {
        if let (Some(feed), false) = (&self.feed, self.retired) {
            let _ = rustix::net::shutdown(feed, rustix::net::Shutdown::Write);
            self.retired = true;
        }
    }
}

impl<S: Service<Blocking>> Parent<S> {
    /// `None`: the run is over already.
    fn new(options: &Forks, work: Work<Blocking, S>) -> Result<Option<Self>, Error> {
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
            waiting: None,
            full: false,
            failed: None,
            listeners,
            generation,
        }))
    }

    fn run_state(&self) -> &Arc<Run> {
        &self.work.run
    }

    fn run(mut self) -> Result<(), Error> {
        for _ in 0..self.ready.unwrap_or(0) {
            if !self.fork_ready_worker(None) {
                break;
            }
        }
        while let Step::Wait(until) = self.keeper.step() {
            self.renew();
            if self.run_state().is_stopping() {
                self.children.iter_mut().filter(|worker| worker.is_idle()).for_each(Worker::retire);
            } else {
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

    /// Children that are kept ready have the server's certificates as they were: they give way to others when those change.
    fn renew(&mut self) {
        let generation = self.run_state().shared.generation();
        if std::mem::replace(&mut self.generation, generation) != generation {
            for worker in &mut self.children {
                worker.outdated = true;
                if worker.is_idle() {
                    worker.retire();
                }
            }
        }
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

    fn is_resting(&self) -> bool {
        self.rests.is_some_and(|rests| rests > Instant::now())
    }

    fn rest(&mut self) {
        self.rests = Some(Instant::now() + self.work.gate.next_delay());
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.work.handle().shutdown();
    }

    /// Gives a connection to a child.
    fn start(&mut self, admitted: Admitted) {
        if self.ready.is_some() {
            self.hand_over(admitted);
            return;
        }
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                self.children.push(Worker { serving: Some(admitted), ..Worker::new(child) });
            }
            Ok(Fork::Child(child)) => {
                self.become_child(child, [], |work| serve(work, admitted.connection().clone()));
            }
            Err(error) => Self::lost(admitted, &format!("no process for it: {error}")),
        }
    }

    /// Has packets handled, if the handler is to have any of them: that is asked here, where packets come in.
    fn receive(&mut self, mut batch: Batch) {
        if !batch.sift::<Blocking, S>(&self.work.service) {
            return;
        }
        if self.children.len() >= self.max
            && let Some(idle) = self.children.iter_mut().find(|worker| worker.is_idle())
        {
            idle.retire();
            self.waiting = Some(batch);
            return;
        }
        self.handle(batch);
    }

    /// Has packets handled by a child of their own.
    fn handle(&mut self, mut batch: Batch) {
        if let Err(error) = batch.keep_socket() {
            let event = SpawnFailed { what: "process", error: &error };
            self.run_state().observe(|observer| observer.spawn_failed(&event));
            return self.rest();
        }
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                batch.forget_socket();
                let batch = Some(batch);
                self.children.push(Worker { batch, ..Worker::new(child) });
            }
            Ok(Fork::Child(child)) => self.become_child(child, [], |work| {
                batch.handle::<Blocking, S>(&work.service);
                batch.send_all();
            }),
            // They are lost, as packets may be.
            Err(_) => {}
        }
    }

    /// Gives a connection to a child that waits for one.
    fn hand_over(&mut self, admitted: Admitted) {
        let connection = admitted.connection().clone();
        connection.slot.introduce(connection.id);
        loop {
            let Some(worker) = self.children.iter_mut().find(|worker| worker.is_idle()) else {
                if self.fork_ready_worker(Some(&connection)) {
                    continue;
                }
                return Self::lost(admitted, "no process for it");
            };
            let Some(feed) = &worker.feed else { unreachable!("an idle worker has a feed") };
            let Some(socket) = connection.descriptor() else { unreachable!("the blocking engine is given sockets") };
            let sent = socketserver_sys::send_descriptor(feed, socket, admitted.at as u64);
            match sent.and_then(|()| introduce(feed, &connection)) {
                Ok(()) => {
                    worker.serving = Some(admitted);
                    return;
                }
                // It has just died: the event comes when it is reaped.
                Err(_) => worker.dead = true,
            }
        }
    }

    fn lost(mut admitted: Admitted, why: &str) {
        let failure = Some(why.to_owned());
        admitted.ending = Some(Ending::with(Reason::Failed, failure));
    }

    /// Makes a child. When that cannot be done, accepting rests; where it never can be done again, the server ends.
    fn fork(&mut self) -> io::Result<Fork> {
        // What waits in the buffer would come out of both processes.
        let _ = io::stdout().flush();
        self.run_state().shared.before_fork();
        let result = socketserver_sys::fork();
        if let Err(error) = &result {
            let event = SpawnFailed { what: "process", error };
            self.run_state().observe(|observer| observer.spawn_failed(&event));
            if error.kind() == io::ErrorKind::Unsupported {
                self.fail(Error::new(ErrorKind::Unsupported, format!("`Forks`: {error}")));
            } else {
                self.rest();
            }
        }
        result
    }

    /// Makes a child that waits for connections. One that is on its way to another child is none of its business.
    fn fork_ready_worker(&mut self, on_its_way: Option<&Connection>) -> bool {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = match pair {
            Ok(pair) => pair,
            Err(error) => {
                let event = SpawnFailed { what: "process", error: &error.into() };
                self.run_state().observe(|observer| observer.spawn_failed(&event));
                self.rest();
                return false;
            }
        };
        match self.fork() {
            Ok(Fork::Parent(child)) => {
                self.children.push(Worker { feed: Some(ours), ..Worker::new(child) });
                true
            }
            Ok(Fork::Child(child)) => {
                let on_its_way = on_its_way.and_then(|connection| connection.descriptor());
                let others = [Some(ours.as_fd()), on_its_way];
                self.become_child(child, others.into_iter().flatten(), |work| serve_fed(work, &theirs))
            }
            Err(_) => false,
        }
    }

    /// In the child: lets go of everything that is the parent's, works, and ends.
    fn become_child<'a>(
        &self,
        child: Forked,
        others: impl IntoIterator<Item = BorrowedFd<'a>>,
        work: impl FnOnce(&Work<Blocking, S>),
    ) -> ! {
        let let_go = || -> io::Result<()> {
            self.run_state().duties().disown(&child)?;
            self.listeners.disown(&child)?;
            self.keeper.disown(&child)?;
            self.lobby.disown(&child)?;
            for other in others {
                disown(&child, other)?;
            }
            for other in &self.children {
                disown(&child, &other.child)?;
                if let Some(feed) = &other.feed {
                    disown(&child, feed)?;
                }
                if let Some(admitted) = &other.serving {
                    admitted.connection().descriptor().map_or(Ok(()), |socket| disown(&child, socket))?;
                }
            }
            Ok(())
        };
        // With a copy of what belongs to others, closing would not close: better no child than such a one.
        let let_go = let_go();
        child.unblock_signals();
        let status = match let_go {
            Ok(()) => catch(|| work(&self.work)).map_or(101, |()| 0),
            Err(_) => 1,
        };
        let _ = io::stdout().flush();
        socketserver_sys::exit_child(status)
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
        let until = [until, self.lobby.until()].into_iter().flatten().min();
        let ready: Vec<usize> = {
            let run = self.run_state().clone();
            let duties = run.duties();
            let mut fds = Vec::with_capacity(2 * self.children.len() + 8);
            for worker in &self.children {
                fds.push(readable(worker.child.as_fd()));
                fds.push(readable(worker.feed.as_ref().map_or(worker.child.as_fd(), AsFd::as_fd)));
            }
            let workers = fds.len();
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
            (0..workers).filter(|at| is_ready(&fds[*at])).map(|at| at / 2).collect()
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

    /// A pre-forked child is through with its connection.
    fn finish(&mut self, at: usize) {
        let stopping = self.run_state().is_stopping();
        let idle = self.children.iter().filter(|worker| worker.is_idle()).count();
        let worker = &mut self.children[at];
        if let Some(mut admitted) = worker.serving.take() {
            admitted.ending = ending(&admitted.connection().slot);
        }
        if stopping || worker.outdated || idle >= self.ready.unwrap_or(0) {
            worker.retire();
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

/// How a child says that its connection ended.
fn ending(slot: &Slot) -> Option<Ending> {
    slot.ended().map(|(reason, failure)| Ending::with(reason, failure))
}

/// In the child: serves one connection.
fn serve<S: Service<Blocking>>(work: &Work<Blocking, S>, connection: Arc<Connection>) {
    let core = Core::new(SyncIo::new(&connection), connection.clone(), work.run.terms.clone());
    let here = Here { service: &*work.service, run: &work.run, connection: &connection };
    let ending = now(pipeline::connection::<Blocking, S>(&mut Conn::new(core), &here));
    connection.slot.end(ending.reason, ending.failure());
}

/// In a pre-forked child: serves what it is handed, until nothing more comes.
fn serve_fed<S: Service<Blocking>>(work: &Work<Blocking, S>, feed: &OwnedFd) {
    while let Ok(Some((socket, at))) = socketserver_sys::receive_descriptor(feed) {
        let slot = usize::try_from(at).ok().and_then(|at| work.run.shared.registry.slot(at));
        let Some(slot) = slot else { return };
        let Some((id, endpoint)) = slot.introduction() else { return };
        let peer = peer_of(&socket);
        let mut record = Record::new(id, peer, endpoint, slot);
        if record.slot.is_proxied() {
            let Some((age, header)) = introduced(feed) else { return };
            record.introduce(Peer::behind(record.peer(), header));
            record = record.aged(age);
        }
        serve(work, Arc::new(record.with(Some(socket))));
        if rustix::net::send(feed, &[1], SendFlags::NOSIGNAL).is_err() {
            return;
        }
    }
}
