use super::report::Totals;
use crate::events::Refusal;
use crate::{Reason, clock};
use socketserver_proto::permits::{Permits, Places};
use socketserver_sys::{SharedWords, Wake};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

/// The few words and the three descriptors by which everybody, children too, steers a server and counts for it.
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
    /// Readable when there may be room for another connection, for those that wait for that.
    pub(crate) room: Wake,
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
const READ: usize = 6;
const WRITTEN: usize = 7;
const FAILED: usize = 8;
/// Connections that are open: a word of its own, for of two sums that change meanwhile the difference is not exact.
const OPEN: usize = 9;
/// How often the keeper has looked for connections that wait too long.
const EPOCH: usize = 10;
/// The keeper does not look, for there was none.
const UNWATCHED: usize = 11;
/// Permits that connections hold, how many there are, and whether somebody waits for one.
const PERMITS: usize = 12;
const MAX: usize = 13;
const WANTED: usize = 14;
/// Not 0: nobody is let in for now.
const SUSPENDED: usize = 15;
/// At how many permits taken, and at how few again, the keeper is to look at the alarms.
const ALARM_ABOVE: usize = 16;
const ALARM_BELOW: usize = 17;
/// The most permits taken at a time since the keeper last looked at the alarms.
const PEAK: usize = 18;
/// Peers turned away, by [`Refusal`].
const REFUSED: usize = 19;
/// The time between two looks at the deadlines, in ns.
const LOOK_PERIOD: usize = SHED + 1;
/// Permits that open connections hold: without the one of whoever is accepting.
const HELD: usize = LOOK_PERIOD + 1;
/// Failures of `accept(2)`: lost connections, and want of descriptors or memory.
const LOST: usize = REFUSED + Refusal::ALL.len();
const EXHAUSTED: usize = LOST + 1;
/// Peers that were closed unheard for want of a descriptor.
const SHED: usize = LOST + 2;
/// Listeners that were given up.
const GIVEN_UP: usize = HELD + 1;
/// Packets that came, and replies that left.
const PACKETS: usize = GIVEN_UP + 1;
const REPLIES: usize = PACKETS + 1;
const TRUNCATED: usize = PACKETS + 2;
const OVERFLOWED: usize = PACKETS + 3;
const NONSENSE: usize = PACKETS + 4;
const UNWELCOME: usize = PACKETS + 5;
const UNSENT: usize = PACKETS + 6;
const PACKETS_FAILED: usize = PACKETS + 7;
const QUEUE_FULL: usize = PACKETS + 8;
const EVICTED: usize = PACKETS + 9;
const UNDELIVERED: usize = PACKETS + 10;
const OVER_RATE: usize = PACKETS + 11;
const WITHHELD: usize = PACKETS + 12;
/// Handshakes that came to nothing.
const HANDSHAKES_FAILED: usize = WITHHELD + 1;
/// Numbers that connections were given.
const IDS: usize = HANDSHAKES_FAILED + 1;
const WORDS: usize = IDS + 1;

const NEVER: u64 = u64::MAX;

impl Control {
    /// How long a drain may take unless told otherwise.
    const DRAIN: Duration = Duration::from_secs(10);
    /// How many connections may be open at a time unless told otherwise.
    const MAX_CONNECTIONS: u64 = 10_000;

    pub(crate) fn new() -> io::Result<Self> {
        let new = Self {
            words: SharedWords::new(WORDS)?,
            origin: clock::now(),
            stop: Wake::new()?,
            keeper: Wake::new()?,
            room: Wake::new()?,
        };
        new.word(DEADLINE).store(NEVER, SeqCst);
        new.word(ALARM_ABOVE).store(NEVER, SeqCst);
        new.word(MAX).store(Self::MAX_CONNECTIONS, SeqCst);
        new.set_patience(Self::DRAIN);
        Ok(new)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at]
    }

    /// The time on the clock that a server counts from its making.
    pub(crate) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.origin)
    }

    fn permits(&self) -> Permits<'_, AtomicU64> {
        Permits { taken: self.word(PERMITS), max: self.word(MAX), wanted: self.word(WANTED) }
    }

    fn run_places(&self) -> Places<'_, AtomicU64> {
        Places { taken: self.word(PLACES), stop: self.word(STOP) }
    }

    /// The number of the run that goes on, or else of the next.
    pub(crate) fn current_run(&self) -> u64 {
        self.word(ENDED).load(SeqCst) + 1
    }

    pub(crate) fn is_stopping(&self, run: u64) -> bool {
        self.run_places().is_stopping(run)
    }

    pub(crate) fn has_ended(&self, run: u64) -> bool {
        self.word(ENDED).load(SeqCst) >= run
    }

    /// Asks a run to stop, and its connections to be through within `time`. The nearest of several deadlines counts.
    pub(crate) fn ask_to_stop(&self, run: u64, time: Duration) {
        if self.has_ended(run) {
            return;
        }
        let deadline = self.nanos(self.elapsed().saturating_add(time));
        self.word(DEADLINE).fetch_min(deadline, SeqCst);
        self.run_places().stop(run);
        self.stop.wake();
        self.keeper.wake();
    }

    /// A run begins: an old wish to stop is forgotten, one that speaks of this run stays.
    pub(crate) fn begin(&self, run: u64) {
        if !self.is_stopping(run) {
            self.word(DEADLINE).store(NEVER, SeqCst);
        }
        self.run_places().begin(run);
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
            nanos = self.nanos(self.elapsed().saturating_add(self.patience()));
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

    pub(crate) fn set_look_period(&self, period: Duration) {
        self.word(LOOK_PERIOD).store(self.nanos(period), SeqCst);
    }

    pub(crate) fn look_period(&self) -> Duration {
        Duration::from_nanos(self.word(LOOK_PERIOD).load(SeqCst))
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
        // One that is not let in yet holds a permit, and one that is exempt is open.
        let none = self.open() == 0 && self.permits_held() == 0;
        if !none {
            self.word(UNWATCHED).store(0, SeqCst);
        }
        none
    }

    /// A place is taken, before the connection for it is there: so a drain that sees none taken can be sure.
    pub(crate) fn enter(&self, run: u64) {
        self.run_places().enter(run);
    }

    /// A place is free again. The last one of a run that stops is what its keeper waits for.
    pub(crate) fn leave(&self, run: u64) {
        if self.run_places().leave(run) {
            self.keeper.wake();
        }
    }

    pub(crate) fn places(&self) -> u64 {
        self.run_places().count()
    }

    /// Whether there is room for another connection, and nobody has suspended accepting.
    pub(crate) fn has_room(&self) -> bool {
        self.permits().is_there_one() && !self.is_suspended()
    }

    /// Takes a permit for a connection. Whoever lets connections in has made sure that there is one.
    pub(crate) fn take_permit(&self) {
        self.permits().take();
    }

    /// A permit came to be that of a connection.
    pub(crate) fn count_held(&self) {
        let held = self.word(HELD).fetch_add(1, SeqCst) + 1;
        if held >= self.word(ALARM_ABOVE).load(SeqCst) {
            self.word(PEAK).fetch_max(held, SeqCst);
            self.keeper.wake();
        }
    }

    /// A connection holds no permit any more: it ended, or was exempted.
    pub(crate) fn count_let_go(&self) {
        let held = self.word(HELD).fetch_sub(1, SeqCst) - 1;
        let below = self.word(ALARM_BELOW).load(SeqCst);
        if held <= below && below != NEVER {
            self.keeper.wake();
        }
    }

    /// Those that waited for a permit and got one let the others know if there are more.
    pub(crate) fn pass_on_room(&self) {
        if self.permits().is_there_one() && self.permits().is_wanted() {
            self.room.wake();
        }
    }

    pub(crate) fn give_back_permit(&self) {
        if self.permits().give_back() {
            self.room.wake();
        }
    }

    /// Somebody is about to wait until [`room`](Self::room) is readable. `true`: there is room, so it had better not.
    pub(crate) fn want_room(&self) -> bool {
        self.room.clear();
        let there_is = self.permits().want() && !self.is_suspended();
        if there_is {
            // What was cleared may have been meant for another, who is on its way to wait.
            self.room.wake();
        }
        there_is
    }

    pub(crate) fn max_connections(&self) -> Option<u64> {
        Some(self.word(MAX).load(SeqCst)).filter(|max| *max != NEVER)
    }

    pub(crate) fn set_max_connections(&self, max: Option<u64>) {
        self.word(MAX).store(max.unwrap_or(NEVER), SeqCst);
        self.room_may_be_there();
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.word(SUSPENDED).load(SeqCst) != 0
    }

    pub(crate) fn suspend(&self, suspended: bool) {
        self.word(SUSPENDED).store(suspended.into(), SeqCst);
        self.room_may_be_there();
    }

    /// Those that wait for room look again.
    pub(crate) fn room_may_be_there(&self) {
        if self.permits().is_wanted() {
            self.room.wake();
        }
    }

    /// How many permits connections hold.
    pub(crate) fn permits_held(&self) -> u64 {
        self.word(HELD).load(SeqCst)
    }

    /// From now on the keeper is woken when so many permits are taken, or so few; `None` is never.
    pub(crate) fn watch_permits(&self, above: Option<u64>, below: Option<u64>) {
        self.word(ALARM_ABOVE).store(above.unwrap_or(NEVER), SeqCst);
        self.word(ALARM_BELOW).store(below.unwrap_or(NEVER), SeqCst);
    }

    /// The most permits that were taken at a time since the last call, as far as it was watched.
    pub(crate) fn take_peak(&self) -> u64 {
        self.word(PEAK).swap(0, SeqCst).max(self.permits_held())
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> u64 {
        self.word(OPEN).load(SeqCst)
    }

    /// The number of a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.word(IDS).fetch_add(1, SeqCst) + 1
    }

    /// Counts a connection that was let in.
    pub(crate) fn count_accepted(&self) {
        self.word(OPEN).fetch_add(1, SeqCst);
        self.word(ACCEPTED).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_refused(&self, why: Refusal) {
        self.word(REFUSED + why as usize).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_lost(&self) {
        self.word(LOST).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_exhausted(&self, shed: usize) {
        self.word(EXHAUSTED).fetch_add(1, SeqCst);
        self.word(SHED).fetch_add(shed as u64, SeqCst);
    }

    pub(crate) fn count_given_up(&self) {
        self.word(GIVEN_UP).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_closed(&self, reason: Reason, read: u64, written: u64) {
        self.word(OPEN).fetch_sub(1, SeqCst);
        self.word(READ).fetch_add(read, SeqCst);
        self.word(WRITTEN).fetch_add(written, SeqCst);
        if reason.is_failure() {
            self.word(FAILED).fetch_add(1, SeqCst);
        }
        if matches!(reason, Reason::Handshake(_)) {
            self.word(HANDSHAKES_FAILED).fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn count_packets(&self, count: usize) {
        self.word(PACKETS).fetch_add(count as u64, SeqCst);
    }

    pub(crate) fn count_replies(&self, count: usize) {
        self.word(REPLIES).fetch_add(count as u64, SeqCst);
    }

    pub(crate) fn count_truncated(&self) {
        self.word(TRUNCATED).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_overflowed(&self, count: u32) {
        self.word(OVERFLOWED).fetch_add(count.into(), SeqCst);
    }

    pub(crate) fn count_nonsense(&self) {
        self.word(NONSENSE).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_unwelcome(&self) {
        self.word(UNWELCOME).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_unsent(&self) {
        self.word(UNSENT).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_over_rate(&self) {
        self.word(OVER_RATE).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_withheld(&self) {
        self.word(WITHHELD).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_undelivered(&self) {
        self.word(UNDELIVERED).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_queue_full(&self, count: u64) {
        self.word(QUEUE_FULL).fetch_add(count, SeqCst);
    }

    pub(crate) fn count_evicted(&self) {
        self.word(EVICTED).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_packet_failed(&self) {
        self.word(PACKETS_FAILED).fetch_add(1, SeqCst);
    }

    /// What closed connections have added up to; open ones are the registry's.
    pub(crate) fn totals(&self) -> Totals {
        let get = |at| self.word(at).load(SeqCst);
        Totals {
            accepted: get(ACCEPTED),
            closed: get(ACCEPTED).saturating_sub(get(OPEN)),
            refused: Refusal::ALL.into_iter().map(|why| get(REFUSED + why as usize)).sum(),
            denied: get(REFUSED + Refusal::Denied as usize),
            untrusted: get(REFUSED + Refusal::Untrusted as usize),
            bad_headers: get(REFUSED + Refusal::BadHeader as usize),
            over_limit: get(REFUSED + Refusal::Full as usize),
            over_peer_limit: get(REFUSED + Refusal::PeerLimit as usize),
            lost: get(LOST),
            exhausted: get(EXHAUSTED),
            shed: get(SHED),
            given_up: get(GIVEN_UP),
            failed: get(FAILED),
            handshakes_failed: get(HANDSHAKES_FAILED),
            packets: get(PACKETS),
            replies: get(REPLIES),
            truncated: get(TRUNCATED),
            overflowed: get(OVERFLOWED),
            nonsense: get(NONSENSE),
            unwelcome: get(UNWELCOME),
            unsent: get(UNSENT),
            undelivered: get(UNDELIVERED),
            over_rate: get(OVER_RATE),
            withheld: get(WITHHELD),
            packets_failed: get(PACKETS_FAILED),
            queue_full: get(QUEUE_FULL),
            evicted: get(EVICTED),
            read: get(READ),
            written: get(WRITTEN),
        }
    }
}
