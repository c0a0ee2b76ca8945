use super::report::Totals;
use crate::Reason;
use socketserver_sys::{SharedWords, Wake};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

/// The few words and the two descriptors by which everybody, children too, steers a server and counts for it.
///
/// Runs are numbered from 1. A stop speaks of one run, so it works before, during and after it, and never sticks.
#[derive(Debug)]
pub(crate) struct Control {
    words: SharedWords,
    /// What the deadline's word counts from; `Instant` is the same clock in a child.
    origin: Instant,
    /// Readable while the run that goes on is asked to stop.
    pub(crate) stop: Wake,
    /// Readable when the keeper has something to look at.
    pub(crate) keeper: Wake,
}

/// The last run that was asked to stop.
const STOP: usize = 0;
/// The last run that has ended.
const ENDED: usize = 1;
/// When the drain that goes on has to be over, in ns since `origin`; `NEVER` if none goes on.
const DEADLINE: usize = 2;
/// How long a drain may take that names no time of its own, in ns.
const PATIENCE: usize = 3;
/// Connections that are open, and one more for whoever is accepting.
const PLACES: usize = 4;
const ACCEPTED: usize = 5;
const REFUSED: usize = 6;
const READ: usize = 7;
const WRITTEN: usize = 8;
const FAILED: usize = 9;
const CLOSED: usize = 10;
/// How often the keeper has looked for connections that wait too long.
const EPOCH: usize = 11;
/// The keeper does not look, for there was none.
const UNWATCHED: usize = 12;
const WORDS: usize = 13;

const NEVER: u64 = u64::MAX;

impl Control {
    /// How long a drain may take unless told otherwise.
    const DRAIN: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> io::Result<Self> {
        let new =
            Self { words: SharedWords::new(WORDS)?, origin: Instant::now(), stop: Wake::new()?, keeper: Wake::new()? };
        new.word(DEADLINE).store(NEVER, SeqCst);
        new.set_patience(Self::DRAIN);
        Ok(new)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at]
    }

    /// The number of the run that goes on, or else of the next.
    pub(crate) fn current_run(&self) -> u64 {
        self.word(ENDED).load(SeqCst) + 1
    }

    pub(crate) fn is_stopping(&self, run: u64) -> bool {
        self.word(STOP).load(SeqCst) >= run
    }

    pub(crate) fn has_ended(&self, run: u64) -> bool {
        self.word(ENDED).load(SeqCst) >= run
    }

    /// Asks a run to stop, and its connections to be through within `time`. The nearest of several deadlines counts.
    pub(crate) fn ask_to_stop(&self, run: u64, time: Duration) {
        if self.has_ended(run) {
            return;
        }
        let deadline = self.nanos(self.origin.elapsed().saturating_add(time));
        self.word(DEADLINE).fetch_min(deadline, SeqCst);
        self.word(STOP).fetch_max(run, SeqCst);
        self.stop.wake();
        self.keeper.wake();
    }

    /// A run begins: an old wish to stop is forgotten, one that speaks of this run stays.
    pub(crate) fn begin(&self, run: u64) {
        if !self.is_stopping(run) {
            self.word(DEADLINE).store(NEVER, SeqCst);
        }
        let tag = run << 32;
        let retag = |now: u64| (now & !0xffff_ffff != tag).then_some(tag);
        let _ = self.word(PLACES).fetch_update(SeqCst, SeqCst, retag);
    }

    pub(crate) fn end(&self, run: u64) {
        self.word(ENDED).fetch_max(run, SeqCst);
        self.word(DEADLINE).store(NEVER, SeqCst);
        self.stop.clear();
    }

    /// When the drain that goes on has to be over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut nanos = self.word(DEADLINE).load(SeqCst);
        if nanos == NEVER {
            // The wish to stop came just when its run began, and the deadline was wiped: it gets the usual one.
            nanos = self.nanos(self.origin.elapsed().saturating_add(self.patience()));
            self.word(DEADLINE).fetch_min(nanos, SeqCst);
        }
        self.origin.checked_add(Duration::from_nanos(nanos))
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_nanos(self.word(PATIENCE).load(SeqCst))
    }

    pub(crate) fn set_patience(&self, time: Duration) {
        self.word(PATIENCE).store(self.nanos(time), SeqCst);
    }

    fn nanos(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1).min(NEVER - 1)
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.word(EPOCH).load(Relaxed)
    }

    /// A look at all connections begins: from now on waits are dated with the number that comes back.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.word(EPOCH).fetch_add(1, SeqCst) + 1
    }

    /// There is a connection to watch.
    pub(crate) fn watch(&self) {
        let word = self.word(UNWATCHED);
        if word.load(SeqCst) != 0 && word.swap(0, SeqCst) != 0 {
            self.keeper.wake();
        }
    }

    /// Tells whether watching may cease: there is no connection, and the next one will tell.
    pub(crate) fn unwatch(&self) -> bool {
        self.word(UNWATCHED).store(1, SeqCst);
        let none = self.open() == 0;
        if !none {
            self.word(UNWATCHED).store(0, SeqCst);
        }
        none
    }

    /// A place is taken, before the connection for it is there: so a drain that sees none open can be sure.
    pub(crate) fn enter(&self, run: u64) {
        let _ = self.change_places(run, |places| places + 1);
    }

    /// Places are those of one run, which is written above their number: what an abandoned thread gives back later is
    /// nothing to the next run.
    fn change_places(&self, run: u64, change: impl Fn(u64) -> u64) -> Option<u64> {
        let tag = run << 32;
        let change = |now: u64| (now & !0xffff_ffff == tag).then(|| tag | change(now & 0xffff_ffff));
        let before = self.word(PLACES).fetch_update(SeqCst, SeqCst, change).ok()?;
        Some(before & 0xffff_ffff)
    }

    /// A place is free again. The last one of a run that stops is what its keeper waits for.
    pub(crate) fn leave(&self, run: u64) {
        if self.change_places(run, |places| places - 1) == Some(1) && self.is_stopping(run) {
            self.keeper.wake();
        }
    }

    pub(crate) fn places(&self) -> u64 {
        self.word(PLACES).load(SeqCst) & 0xffff_ffff
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> u64 {
        // In this order, so that a connection that closes in between is not subtracted before it was added.
        let closed = self.word(CLOSED).load(SeqCst);
        self.word(ACCEPTED).load(SeqCst).saturating_sub(closed)
    }

    /// Counts a connection, and gives it its number.
    pub(crate) fn count_accepted(&self) -> u64 {
        self.word(ACCEPTED).fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn count_refused(&self) {
        self.word(REFUSED).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_closed(&self, reason: Reason, read: u64, written: u64) {
        self.word(CLOSED).fetch_add(1, SeqCst);
        self.word(READ).fetch_add(read, SeqCst);
        self.word(WRITTEN).fetch_add(written, SeqCst);
        if matches!(reason, Reason::Failed | Reason::Panicked | Reason::Killed(_) | Reason::Exited(_)) {
            self.word(FAILED).fetch_add(1, SeqCst);
        }
    }

    /// What closed connections have added up to; open ones are the registry's.
    pub(crate) fn totals(&self) -> Totals {
        let get = |at| self.word(at).load(SeqCst);
        Totals {
            accepted: get(ACCEPTED),
            closed: get(CLOSED),
            refused: get(REFUSED),
            failed: get(FAILED),
            read: get(READ),
            written: get(WRITTEN),
        }
    }
}
