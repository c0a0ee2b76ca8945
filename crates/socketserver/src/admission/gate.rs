use super::rules::{Door, OverLimit, Rules};
use super::{Admitted, Place};
use crate::connection::pipeline::catch;
use crate::datagram::session::Newcomer;
use crate::datagram::{Batch, DatagramSocket, Received, tell_bounces};
use crate::endpoint::{Accepted, Listener, Listeners, Waits, poll_until, readable};
use crate::events::{AcceptFailed, AcceptThen, Refusal, Refused};
use crate::lifecycle::Run;
use crate::{Error, Peer, clock};
use rustix::fs::{Mode, OFlags};
use socketserver_proto::{AcceptFailure, Backoff, Endpoint, classify};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The accept path.
///
/// Nothing that waits for a peer ever runs here, and no error of a single connection ends it.
#[derive(Debug)]
pub(crate) struct Gate {
    run: Arc<Run>,
    state: Mutex<State>,
}

/// What the accept path remembers. One thread at a time accepts; any number wait for their turn in the kernel.
#[derive(Debug)]
struct State {
    backoff: Backoff,
    /// Held to be let go when there is no other descriptor, so that a peer can be accepted and closed.
    spare: Option<OwnedFd>,
    /// Failed connections in a row: an error that never ends must not make a loop that never waits.
    failures: u32,
    rules: Arc<Rules>,
    /// Of which version the rules are.
    version: u64,
}

/// What came of waiting for the next connection.
#[derive(Debug)]
pub(crate) enum Next {
    Admitted(Admitted),
    Packets(Batch),
    /// A session to be served.
    Session(Newcomer, Place),
    TimedOut,
    Stopped,
}

/// What came of one try, on one listener.
#[derive(Debug)]
pub(crate) enum Tried {
    Admitted(Admitted),
    Packets(Batch),
    /// Nothing waits there; the place comes back.
    Nothing(Place),
    /// More may wait there, but other business comes first.
    More(Place),
    /// There is no room for whoever waits there.
    Full(Place),
    /// Descriptors, memory or luck ran out: this listener is to rest until then.
    Rest(Place, Instant),
}

impl State {
    /// Has the rules as they are now.
    fn renew(&mut self, door: &Door) {
        let version = door.version();
        if version != self.version {
            self.rules = door.rules();
            self.version = version;
        }
    }
}

impl Gate {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        // In this order: what changes between the two is seen to be new.
        let version = run.shared.door.version();
        let rules = run.shared.door.rules();
        let state = State { backoff: Backoff::accept(), spare: spare(), failures: 0, rules, version };
        Self { run, state: Mutex::new(state) }
    }

    /// The state, with the rules as they are now.
    fn state(&self) -> MutexGuard<'_, State> {
        // No user's code panics under it: a source of one's own is caught.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.renew(&self.run.shared.door);
        state
    }

    /// Waits for the next connection that may come in. Any number of threads may wait: each connection wakes one.
    pub(crate) fn next(&self, until: Option<Instant>, verify: &dyn Fn(&Peer) -> bool) -> Result<Next, Error> {
        let mut place = Place::take(&self.run);
        let Some(listeners) = self.run.listeners() else { return Ok(Next::Stopped) };
        // Under load a connection is there already, and whoever has just served one takes it without going to sleep.
        // With several listeners that would favour one of them, and the kernel's order is fair.
        let newcomers = self.run.newcomers();
        let mut look_first = listeners.all.len() == 1 && newcomers.is_none();
        let mut waited = false;
        loop {
            if self.run.is_stopping() {
                return Ok(Next::Stopped);
            }
            if let Some(newcomer) = newcomers.and_then(|newcomers| newcomers.pop()) {
                return Ok(Next::Session(newcomer, place));
            }
            let reported = !std::mem::take(&mut look_first);
            let found = if reported { listeners.wait(until).map_err(cannot_wait)? } else { Some(Waits::At(0)) };
            if let (Some(Waits::Newcomers), Some(newcomers)) = (found, newcomers) {
                let newcomer = newcomers.pop();
                listeners.arm_newcomers(newcomers).map_err(cannot_wait)?;
                if let Some(newcomer) = newcomer {
                    return Ok(Next::Session(newcomer, place));
                }
            }
            if let Some(Waits::At(index)) = found {
                let tried = self.try_next(&listeners, index, reported, place, verify);
                if tried.is_err() && reported {
                    // For the next run.
                    listeners.arm(index).map_err(cannot_wait)?;
                }
                match tried? {
                    Tried::Admitted(admitted) => {
                        if waited {
                            self.run.shared.control.pass_on_room();
                        }
                        return Ok(Next::Admitted(admitted));
                    }
                    Tried::Packets(batch) => return Ok(Next::Packets(batch)),
                    Tried::Nothing(unused) => {
                        place = unused;
                        if let (true, Some(socket)) = (reported, listeners.all[index].packets()) {
                            // It was for something else than a packet, and would be again.
                            tell_bounces(&self.run, socket, index);
                        }
                    }
                    Tried::More(unused) => place = unused,
                    Tried::Full(unused) => {
                        place = unused;
                        waited = true;
                        self.wait_for_room(until).map_err(cannot_wait)?;
                    }
                    Tried::Rest(unused, until) => {
                        place = unused;
                        self.rest(until).map_err(cannot_wait)?;
                    }
                }
                if reported {
                    listeners.arm(index).map_err(cannot_wait)?;
                }
            }
            if reported {
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Ok(Next::TimedOut);
                }
                self.forget_old_wishes();
            }
        }
    }

    /// The next connection of a listener that may come in, without waiting. Is one there, the listener is armed again
    /// before anything else, if it was `reported`: so that another thread may look meanwhile.
    pub(crate) fn try_next(
        &self,
        listeners: &Arc<Listeners>,
        index: usize,
        reported: bool,
        mut place: Place,
        verify: &dyn Fn(&Peer) -> bool,
    ) -> Result<Tried, Error> {
        let listener = &listeners.all[index];
        if let Some(socket) = listener.packets() {
            let tried = self.receive(socket, index, place)?;
            if let (true, Tried::Packets(_)) = (reported, &tried) {
                listeners.arm(index).map_err(cannot_wait)?;
            }
            return Ok(tried);
        }
        // Peers that are turned away, and failures: a flood of them gives way to other business now and then.
        for _ in 0..IN_A_ROW {
            let mut state = self.state();
            // Only whoever holds the state lets anybody in: the room that is there now is there after the accept.
            let control = &self.run.shared.control;
            let has_room = control.has_room();
            if !has_room && (state.rules.over == OverLimit::Queue || control.is_suspended()) {
                return Ok(Tried::Full(place));
            }
            let door = &self.run.shared.door;
            let paced = state.rules.rate.map(|_| control.elapsed());
            if let Some(Err(wait)) = paced.map(|now| door.may_come(now)) {
                // Not for longer, so that another rate is heard of.
                return Ok(Tried::Rest(place, clock::now() + wait.min(RATE_REST)));
            }
            match self.try_accept(&mut state, listener)? {
                Try::Accepted(accepted) => {
                    // It may have come after they were changed, though accept(2) was called before.
                    state.renew(door);
                    let rules = state.rules.clone();
                    if let Some(now) = paced {
                        door.came(now);
                    }
                    if has_room {
                        place.take_permit();
                    }
                    drop(state);
                    if reported {
                        listeners.arm(index).map_err(cannot_wait)?;
                    }
                    // Whom a proxy speaks for is not known yet.
                    let proxied = !self.run.settings.proxies.is_empty();
                    let judged = match (proxied, has_room) {
                        (true, _) if self.run.distrusts(&accepted.peer) => Err(Refusal::Untrusted),
                        (true, true) => Ok(()),
                        (true, false) => Err(Refusal::Full),
                        (false, _) => judge(&self.run, &accepted.peer, &rules, has_room, verify, &mut |peer, rules| {
                            place.enter(peer, rules)
                        }),
                    };
                    match judged {
                        Ok(()) => return Ok(Tried::Admitted(Admitted::new(accepted, index, place, proxied))),
                        Err(why) => self.turn_away(accepted, listener, &rules, why),
                    }
                    place.vacate();
                }
                Try::Nothing => return Ok(Tried::Nothing(place)),
                Try::Rest(until) => return Ok(Tried::Rest(place, until)),
                Try::Again => {}
            }
            if self.run.is_stopping() {
                break;
            }
        }
        Ok(Tried::More(place))
    }

    /// The packets that wait at a socket of that endpoint, without waiting.
    pub(crate) fn receive(&self, socket: &Arc<DatagramSocket>, index: usize, place: Place) -> Result<Tried, Error> {
        if self.run.shared.control.is_suspended() {
            return Ok(Tried::Full(place));
        }
        match socket.receive(&self.run.handle(), index) {
            Ok(Received { packets, bounced, dropped }) => {
                if dropped > 0 {
                    self.run.shared.control.count_overflowed(dropped);
                }
                if bounced {
                    tell_bounces(&self.run, socket, index);
                }
                Ok(match packets {
                    Some(packets) => Tried::Packets(Batch::new(packets, socket, index, place)),
                    // Packets may wait behind so many errors.
                    None if bounced => Tried::More(place),
                    None => Tried::Nothing(place),
                })
            }
            Err(error) => {
                let endpoint = &self.run.shared.endpoints[index];
                let nobody = || Err(io::ErrorKind::WouldBlock.into());
                let tried = self.cannot_accept(&mut self.state(), endpoint, nobody, error)?;
                Ok(if let Try::Rest(until) = tried { Tried::Rest(place, until) } else { Tried::More(place) })
            }
        }
    }

    /// Waits until there may be room, the server stops or the time has come.
    fn wait_for_room(&self, until: Option<Instant>) -> io::Result<()> {
        let control = &self.run.shared.control;
        if !control.want_room() && !self.run.is_stopping() {
            poll_until(&mut [readable(control.room.as_fd()), readable(control.stop.as_fd())], until)?;
            self.forget_old_wishes();
        }
        Ok(())
    }

    /// Accepting rests: only the wish to stop ends it.
    fn rest(&self, until: Instant) -> io::Result<()> {
        let stop = &self.run.shared.control.stop;
        loop {
            poll_until(&mut [readable(stop.as_fd())], Some(until))?;
            if self.run.is_stopping() || until <= Instant::now() {
                return Ok(());
            }
            self.forget_old_wishes();
        }
    }

    /// The descriptor that means stop may be readable for a wish that came when its run had just ended.
    pub(crate) fn forget_old_wishes(&self) {
        let stop = &self.run.shared.control.stop;
        if !self.run.is_stopping() && stop.is_awake() {
            stop.clear();
            if self.run.is_stopping() {
                stop.wake();
            }
        }
    }

    fn try_accept(&self, state: &mut State, listener: &Listener) -> Result<Try, Error> {
        match listener.accept() {
            Ok(accepted) => {
                state.backoff.reset();
                state.failures = 0;
                Ok(Try::Accepted(accepted))
            }
            Err(error) => self.cannot_accept(state, &listener.endpoint, || listener.accept(), error),
        }
    }

    /// What is done about a listener that gives nothing. `more` accepts whoever else waits there.
    fn cannot_accept(
        &self,
        state: &mut State,
        endpoint: &Endpoint,
        more: impl Fn() -> io::Result<Accepted>,
        error: io::Error,
    ) -> Result<Try, Error> {
        let class = class_of(&error);
        if class == AcceptFailure::Retry {
            self.run.shared.control.count_lost();
        }
        match class {
            AcceptFailure::WouldBlock => Ok(Try::Nothing),
            AcceptFailure::Retry if state.failures < FAILURES => {
                state.failures += 1;
                self.failed(endpoint, &error, AcceptThen::Retried);
                Ok(Try::Again)
            }
            AcceptFailure::Retry | AcceptFailure::Exhausted => {
                let shed = if class == AcceptFailure::Exhausted { self.shed(state, more) } else { 0 };
                self.run.shared.control.count_exhausted(shed);
                // Those who could be closed were closed; whoever comes next is to learn it as soon.
                let delay = if shed > 0 { SHED_REST } else { state.backoff.next_delay() };
                self.failed(endpoint, &error, AcceptThen::BackedOff { delay, shed });
                Ok(Try::Rest(clock::now() + delay))
            }
            _ => {
                self.run.shared.control.count_given_up();
                self.failed(endpoint, &error, AcceptThen::GaveUp);
                Err(Error::io(format!("cannot accept on `{endpoint}`"), error))
            }
        }
    }

    /// How long accepting is to rest for want of something else than a descriptor.
    pub(crate) fn next_delay(&self) -> Duration {
        self.state().backoff.next_delay()
    }

    /// Closes peers that wait, with the one descriptor that was kept for it: they learn at once that there is no room,
    /// and do not stay in the backlog until they give up.
    fn shed(&self, state: &mut State, more: impl Fn() -> io::Result<Accepted>) -> usize {
        let mut shed = 0;
        for _ in 0..SHED {
            if self.run.is_stopping() {
                break;
            }
            drop(state.spare.take());
            match more() {
                Ok(accepted) => {
                    drop(accepted);
                    shed += 1;
                }
                Err(error) if class_of(&error) == AcceptFailure::Retry => self.run.shared.control.count_lost(),
                Err(_) => break,
            }
        }
        state.spare = spare();
        shed
    }

    fn turn_away(&self, accepted: Accepted, listener: &Listener, rules: &Rules, why: Refusal) {
        let peer = &accepted.peer;
        self.run.shared.control.count_refused(why);
        self.run
            .observe(|observer| observer.refused(&Refused { peer, endpoint: &listener.endpoint, why, failure: None }));
        // Plain words are no TLS, and hands are not shaken with somebody who may not come in.
        let is_plain = !listener.endpoint.is_tls();
        if let (Refusal::Full | Refusal::PeerLimit, OverLimit::Reply(words), true) = (why, &rules.over, is_plain) {
            self.run.bid_farewell(accepted.transport, words);
        }
    }

    fn failed(&self, endpoint: &Endpoint, error: &io::Error, then: AcceptThen) {
        self.run.observe(|observer| {
            observer.accept_failed(&AcceptFailed { endpoint, error, then });
        });
    }
}

/// Whether a peer may come in. `enter` counts it among the connections of its peer, if that may have one more.
pub(super) fn judge(
    run: &Run,
    peer: &Peer,
    rules: &Rules,
    has_room: bool,
    verify: &dyn Fn(&Peer) -> bool,
    enter: &mut dyn FnMut(&Peer, &Rules) -> bool,
) -> Result<(), Refusal> {
    if !rules.permit(peer) {
        return Err(Refusal::Denied);
    }
    if !has_room {
        return Err(Refusal::Full);
    }
    if !enter(peer, rules) {
        return Err(Refusal::PeerLimit);
    }
    let verified = catch(|| verify(peer)).unwrap_or_else(|panic| {
        run.hook_failed("verify", &panic.to_string());
        false
    });
    if verified { Ok(()) } else { Err(Refusal::Unverified) }
}

/// What a failure of a listener means. A source of one's own may fail without a number.
fn class_of(error: &io::Error) -> AcceptFailure {
    match error.raw_os_error() {
        Some(number) => classify(number),
        None if error.kind() == io::ErrorKind::WouldBlock => AcceptFailure::WouldBlock,
        None if error.kind() == io::ErrorKind::Interrupted => AcceptFailure::Retry,
        None => AcceptFailure::Fatal,
    }
}

/// What `accept` gave, and what to do about it.
enum Try {
    Accepted(Accepted),
    Nothing,
    Again,
    Rest(Instant),
}

/// For how long accepting rests at most before it looks at the rate again.
const RATE_REST: Duration = Duration::from_secs(1);
/// How many peers are turned away in one go.
const IN_A_ROW: usize = 64;
/// How many waiting peers are closed in one go while descriptors are exhausted.
const SHED: usize = 64;
/// For how long accepting rests after that: a crowd is closed soon, and it takes no more than a small part of a processor.
const SHED_REST: Duration = Duration::from_millis(10);
/// How many failed connections in a row are taken as bad luck of the peers.
const FAILURES: u32 = 64;

fn cannot_wait(error: io::Error) -> Error {
    Error::io("cannot wait for connections", error)
}

/// A descriptor to have in hand; none when there is none to be had.
fn spare() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
