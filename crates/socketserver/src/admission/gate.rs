use super::{Admitted, Place};
use crate::connection::Slot;
use crate::connection::pipeline::catch;
use crate::endpoint::{Accepted, Listener, poll_until, readable};
use crate::events::{AcceptFailed, AcceptThen, Refused};
use crate::lifecycle::Run;
use crate::{Error, Peer};
use rustix::fs::{Mode, OFlags};
use socketserver_proto::{AcceptFailure, Backoff, classify};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The accept path. One thread at a time goes through it.
///
/// Nothing that waits for a peer ever runs here, and no error of a single connection ends it.
#[derive(Debug)]
pub(crate) struct Gate {
    run: Arc<Run>,
    /// Listeners that were seen readable and may have more.
    ready: Vec<usize>,
    backoff: Backoff,
    /// Accepting rests until then: descriptors or memory ran out.
    rests: Option<Instant>,
    /// Held to be let go when there is no other descriptor, so that a peer can be accepted and closed.
    spare: Option<OwnedFd>,
    /// Failed connections in a row: an error that never ends must not make a loop that never waits.
    failures: u32,
}

/// What came of waiting for the next connection.
#[derive(Debug)]
pub(crate) enum Next {
    Admitted(Admitted),
    TimedOut,
    Stopped,
}

/// What one try gave.
enum Tried {
    Accepted(Accepted),
    Nothing,
    Again,
}

impl Gate {
    /// How many waiting peers are closed in one go while descriptors are exhausted.
    const SHED: usize = 64;
    /// How many failed connections in a row are taken as bad luck of the peers.
    const FAILURES: u32 = 64;

    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run, ready: Vec::new(), backoff: Backoff::accept(), rests: None, spare: spare(), failures: 0 }
    }

    /// Waits for the next connection that may come in. `slot` makes room for what is noted of it.
    pub(crate) fn next(&mut self, until: Option<Instant>, verify: &dyn Fn(&Peer) -> bool) -> Result<Next, Error> {
        let mut place = Place::take(&self.run);
        loop {
            if self.run.is_stopping() {
                return Ok(Next::Stopped);
            }
            match self.try_next(place, verify, &mut Slot::own)? {
                Ok(admitted) => return Ok(Next::Admitted(admitted)),
                Err(unused) => place = unused,
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Next::TimedOut);
            }
            self.wait(until)?;
        }
    }

    /// The next connection that may come in, without waiting; the place comes back if there is none.
    pub(crate) fn try_next(
        &mut self,
        place: Place,
        verify: &dyn Fn(&Peer) -> bool,
        slot: &mut dyn FnMut() -> Slot,
    ) -> Result<Result<Admitted, Place>, Error> {
        if self.rests.is_some_and(|rests| rests > Instant::now()) {
            return Ok(Err(place));
        }
        self.rests = None;
        let run = self.run.clone();
        while let Some(&index) = self.ready.last() {
            let listener = &run.listeners.all[index];
            match self.try_accept(listener)? {
                Tried::Accepted(accepted) => {
                    // Each gets its turn: the one that gave goes behind the others.
                    self.ready.rotate_right(1);
                    if self.admits(&accepted.peer, listener, verify) {
                        return Ok(Ok(Admitted::new(accepted, index, slot(), place)));
                    }
                }
                Tried::Nothing => drop(self.ready.pop()),
                Tried::Again => {}
            }
            if self.rests.is_some() || run.is_stopping() {
                break;
            }
        }
        Ok(Err(place))
    }

    /// Waits until a listener may have a connection, the run is asked to stop, or the time has come.
    fn wait(&mut self, until: Option<Instant>) -> Result<(), Error> {
        let waited = match self.rests {
            // Only the wish to stop ends a rest.
            Some(rests) => {
                let until = until.map_or(rests, |until| until.min(rests));
                poll_until(&mut [readable(self.run.shared.control.stop.as_fd())], Some(until)).map(drop)
            }
            None => self.run.listeners.wait(&mut self.ready, until),
        };
        waited.map_err(|error| Error::io("cannot wait for connections", error))?;
        self.forget_old_wishes();
        Ok(())
    }

    /// The descriptor that means stop may be readable for a wish that came when its run had just ended.
    pub(crate) fn forget_old_wishes(&self) {
        if self.ready.is_empty() && !self.run.is_stopping() {
            self.run.shared.control.stop.clear();
            if self.run.is_stopping() {
                self.run.shared.control.stop.wake();
            }
        }
    }

    /// Every listener may have something: for those who wait in another way.
    pub(crate) fn look_everywhere(&mut self) {
        self.ready.clear();
        self.ready.extend(0..self.run.listeners.all.len());
    }

    /// Until when accepting rests.
    pub(crate) fn rests(&self) -> Option<Instant> {
        self.rests.filter(|rests| *rests > Instant::now())
    }

    fn try_accept(&mut self, listener: &Listener) -> Result<Tried, Error> {
        let error = match listener.accept() {
            Ok(accepted) => {
                self.backoff.reset();
                self.failures = 0;
                return Ok(Tried::Accepted(accepted));
            }
            Err(error) => error,
        };
        let class = match error.raw_os_error() {
            Some(number) => classify(number),
            None if error.kind() == io::ErrorKind::WouldBlock => AcceptFailure::WouldBlock,
            None if error.kind() == io::ErrorKind::Interrupted => AcceptFailure::Retry,
            None => AcceptFailure::Fatal,
        };
        match class {
            AcceptFailure::WouldBlock => Ok(Tried::Nothing),
            AcceptFailure::Retry if self.failures < Self::FAILURES => {
                self.failures += 1;
                self.failed(listener, &error, AcceptThen::Retried);
                Ok(Tried::Again)
            }
            AcceptFailure::Retry | AcceptFailure::Exhausted => {
                let shed = if class == AcceptFailure::Exhausted { self.shed(listener) } else { 0 };
                let delay = self.rest();
                self.failed(listener, &error, AcceptThen::BackedOff { delay, shed });
                Ok(Tried::Again)
            }
            _ => {
                self.failed(listener, &error, AcceptThen::GaveUp);
                Err(Error::io(format!("cannot accept on `{}`", listener.endpoint), error))
            }
        }
    }

    /// Accepting rests for a while: twice as long as the last time, if nothing was accepted since.
    pub(crate) fn rest(&mut self) -> Duration {
        let delay = self.backoff.next_delay();
        self.rests = Instant::now().checked_add(delay);
        delay
    }

    /// Closes peers that wait, with the one descriptor that was kept for it: they learn at once that there is no room,
    /// and do not stay in the backlog until they give up.
    fn shed(&mut self, listener: &Listener) -> usize {
        let mut shed = 0;
        while shed < Self::SHED && !self.run.is_stopping() {
            drop(self.spare.take());
            let Ok(accepted) = listener.accept() else { break };
            drop(accepted);
            shed += 1;
        }
        self.spare = spare();
        shed
    }

    fn admits(&self, peer: &Peer, listener: &Listener, verify: &dyn Fn(&Peer) -> bool) -> bool {
        let admits = catch(|| verify(peer)).unwrap_or_else(|panic| {
            self.run.hook_failed("verify", &panic.to_string());
            false
        });
        if !admits {
            self.run.shared.control.count_refused();
            self.run.observe(|observer| observer.refused(&Refused { peer, endpoint: &listener.endpoint }));
        }
        admits
    }

    fn failed(&self, listener: &Listener, error: &io::Error, then: AcceptThen) {
        self.run.observe(|observer| {
            observer.accept_failed(&AcceptFailed { endpoint: &listener.endpoint, error, then });
        });
    }

    /// In a forked child: lets go of what is the parent's.
    pub(crate) fn disown(&self) -> io::Result<()> {
        self.run.listeners.disown()
    }
}

/// A descriptor to have in hand; none when there is none to be had.
fn spare() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
