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

/// What each of the words is. 8 of them share a line of the cache, which one that writes takes from all who read: so those
/// that are mostly read keep lines to themselves, and those that are written together are together. A line begins where a
/// number is given, and two words with one number do not compile.
#[derive(Clone, Copy)]
enum Word {
    /// The last run that was asked to stop.
    Stop,
    /// The last run that has ended.
    Ended,
    /// When the drain that goes on has to be over, in ns since `origin`; `NEVER` if none goes on.
    Deadline,
    /// How long a drain may take that names no time of its own, in ns.
    Patience,
    /// How often the keeper has looked for connections that wait too long.
    Epoch,
    /// The time between two looks at the deadlines, in ns.
    LookPeriod,
    /// The keeper does not look, for there was none.
    Unwatched,
    /// How many permits there are.
    Max,
    /// Not 0: nobody is let in for now.
    Suspended,
    /// At how many permits taken, and at how few again, the keeper is to look at the alarms.
    AlarmAbove,
    AlarmBelow,

    /// Connections that are open, and one more for whoever is accepting.
    Places = 16,
    /// Permits that connections hold, and whether somebody waits for one.
    Permits,
    Wanted,
    /// Permits that open connections hold: without the one of whoever is accepting.
    Held,
    /// The most permits taken at a time since the keeper last looked at the alarms.
    Peak,
    /// Connections that are open: a word of its own, for of two sums that change meanwhile the difference is not exact.
    Open,
    Accepted,
    /// Numbers that connections were given.
    Ids,

    /// What connections that have ended add up to.
    Read = 24,
    Written,
    Failed,
    /// Handshakes that came to nothing.
    HandshakesFailed,
    /// Failures of `accept(2)`: lost connections, and want of descriptors or memory.
    Lost,
    Exhausted,
    /// Peers that were closed unheard for want of a descriptor.
    Shed,
    /// Listeners that were given up.
    GivenUp,

    /// Packets that came, and replies that left.
    Packets = 32,
    Replies,
    Truncated,
    Overflowed,
    Nonsense,
    Unwelcome,
    Unsent,
    PacketsFailed,
    QueueFull,
    Evicted,
    Undelivered,
    OverRate,
    Withheld,

    /// Peers turned away: the first of as many as there are kinds of [`Refusal`].
    Refused = 48,
}

const WORDS: usize = Word::Refused as usize + Refusal::ALL.len();

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
        new.word(Word::Deadline).store(NEVER, SeqCst);
        new.word(Word::AlarmAbove).store(NEVER, SeqCst);
        new.word(Word::Max).store(Self::MAX_CONNECTIONS, SeqCst);
        new.set_patience(Self::DRAIN);
        Ok(new)
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        &self.words[word as usize]
    }

    fn refused(&self, why: Refusal) -> &AtomicU64 {
        &self.words[Word::Refused as usize + why as usize]
    }

    /// The time on the clock that a server counts from its making.
    pub(crate) fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.origin)
    }

    fn permits(&self) -> Permits<'_, AtomicU64> {
        Permits { taken: self.word(Word::Permits), max: self.word(Word::Max), wanted: self.word(Word::Wanted) }
    }

    fn run_places(&self) -> Places<'_, AtomicU64> {
        Places { taken: self.word(Word::Places), stop: self.word(Word::Stop) }
    }

    /// The number of the run that goes on, or else of the next.
    pub(crate) fn current_run(&self) -> u64 {
        self.word(Word::Ended).load(SeqCst) + 1
    }

    pub(crate) fn is_stopping(&self, run: u64) -> bool {
        self.run_places().is_stopping(run)
    }

    pub(crate) fn has_ended(&self, run: u64) -> bool {
        self.word(Word::Ended).load(SeqCst) >= run
    }

    /// Asks a run to stop, and its connections to be through within `time`. The nearest of several deadlines counts.
    pub(crate) fn ask_to_stop(&self, run: u64, time: Duration) {
        if self.has_ended(run) {
            return;
        }
        let deadline = self.nanos(self.elapsed().saturating_add(time));
        self.word(Word::Deadline).fetch_min(deadline, SeqCst);
        self.run_places().stop(run);
        self.stop.wake();
        self.keeper.wake();
    }

    /// A run begins: an old wish to stop is forgotten, one that speaks of this run stays.
    pub(crate) fn begin(&self, run: u64) {
        if !self.is_stopping(run) {
            self.word(Word::Deadline).store(NEVER, SeqCst);
        }
        self.run_places().begin(run);
    }

    pub(crate) fn end(&self, run: u64) {
        self.word(Word::Ended).fetch_max(run, SeqCst);
        self.word(Word::Deadline).store(NEVER, SeqCst);
        self.stop.clear();
    }

    /// When the drain that goes on has to be over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut nanos = self.word(Word::Deadline).load(SeqCst);
        if nanos == NEVER {
            // The wish to stop came just when its run began, and the deadline was wiped: it gets the usual one.
            nanos = self.nanos(self.elapsed().saturating_add(self.patience()));
            self.word(Word::Deadline).fetch_min(nanos, SeqCst);
        }
        self.origin.checked_add(Duration::from_nanos(nanos))
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_nanos(self.word(Word::Patience).load(SeqCst))
    }

    pub(crate) fn set_patience(&self, time: Duration) {
        self.word(Word::Patience).store(self.nanos(time), SeqCst);
    }

    fn nanos(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(NEVER - 1).min(NEVER - 1)
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.word(Word::Epoch).load(Relaxed)
    }

    pub(crate) fn set_look_period(&self, period: Duration) {
        self.word(Word::LookPeriod).store(self.nanos(period), SeqCst);
    }

    pub(crate) fn look_period(&self) -> Duration {
        Duration::from_nanos(self.word(Word::LookPeriod).load(SeqCst))
    }

    /// A look at all connections begins: from now on waits are dated with the number that comes back.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.word(Word::Epoch).fetch_add(1, SeqCst) + 1
    }

    /// There is a connection to watch.
    pub(crate) fn watch(&self) {
        let word = self.word(Word::Unwatched);
        if word.load(SeqCst) != 0 && word.swap(0, SeqCst) != 0 {
            self.keeper.wake();
        }
    }

    /// Tells whether watching may cease: there is no connection, and the next one will tell.
    pub(crate) fn unwatch(&self) -> bool {
        self.word(Word::Unwatched).store(1, SeqCst);
        // One that is not let in yet holds a permit, and one that is exempt is open.
        let none = self.open() == 0 && self.permits_held() == 0;
        if !none {
            self.word(Word::Unwatched).store(0, SeqCst);
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
        let held = self.word(Word::Held).fetch_add(1, SeqCst) + 1;
        if held >= self.word(Word::AlarmAbove).load(SeqCst) {
            self.word(Word::Peak).fetch_max(held, SeqCst);
            self.keeper.wake();
        }
    }

    /// A connection holds no permit any more: it ended, or was exempted.
    pub(crate) fn count_let_go(&self) {
        let held = self.word(Word::Held).fetch_sub(1, SeqCst) - 1;
        let below = self.word(Word::AlarmBelow).load(SeqCst);
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
        Some(self.word(Word::Max).load(SeqCst)).filter(|max| *max != NEVER)
    }

    pub(crate) fn set_max_connections(&self, max: Option<u64>) {
        self.word(Word::Max).store(max.unwrap_or(NEVER), SeqCst);
        self.room_may_be_there();
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.word(Word::Suspended).load(SeqCst) != 0
    }

    pub(crate) fn suspend(&self, suspended: bool) {
        self.word(Word::Suspended).store(suspended.into(), SeqCst);
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
        self.word(Word::Held).load(SeqCst)
    }

    /// From now on the keeper is woken when so many permits are taken, or so few; `None` is never.
    pub(crate) fn watch_permits(&self, above: Option<u64>, below: Option<u64>) {
        self.word(Word::AlarmAbove).store(above.unwrap_or(NEVER), SeqCst);
        self.word(Word::AlarmBelow).store(below.unwrap_or(NEVER), SeqCst);
    }

    /// The most permits that were taken at a time since the last call, as far as it was watched.
    pub(crate) fn take_peak(&self) -> u64 {
        self.word(Word::Peak).swap(0, SeqCst).max(self.permits_held())
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> u64 {
        self.word(Word::Open).load(SeqCst)
    }

    /// The number of a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.word(Word::Ids).fetch_add(1, SeqCst) + 1
    }

    /// Counts a connection that was let in.
    pub(crate) fn count_accepted(&self) {
        self.word(Word::Open).fetch_add(1, SeqCst);
        self.word(Word::Accepted).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_refused(&self, why: Refusal) {
        self.refused(why).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_lost(&self) {
        self.word(Word::Lost).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_exhausted(&self, shed: usize) {
        self.word(Word::Exhausted).fetch_add(1, SeqCst);
        self.word(Word::Shed).fetch_add(shed as u64, SeqCst);
    }

    pub(crate) fn count_given_up(&self) {
        self.word(Word::GivenUp).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_closed(&self, reason: Reason, read: u64, written: u64) {
        self.word(Word::Open).fetch_sub(1, SeqCst);
        self.word(Word::Read).fetch_add(read, SeqCst);
        self.word(Word::Written).fetch_add(written, SeqCst);
        if reason.is_failure() {
            self.word(Word::Failed).fetch_add(1, SeqCst);
        }
        if matches!(reason, Reason::Handshake(_)) {
            self.word(Word::HandshakesFailed).fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn count_packets(&self, count: usize) {
        self.word(Word::Packets).fetch_add(count as u64, SeqCst);
    }

    pub(crate) fn count_replies(&self, count: usize) {
        self.word(Word::Replies).fetch_add(count as u64, SeqCst);
    }

    pub(crate) fn count_truncated(&self) {
        self.word(Word::Truncated).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_overflowed(&self, count: u32) {
        self.word(Word::Overflowed).fetch_add(count.into(), SeqCst);
    }

    pub(crate) fn count_nonsense(&self) {
        self.word(Word::Nonsense).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_unwelcome(&self) {
        self.word(Word::Unwelcome).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_unsent(&self) {
        self.word(Word::Unsent).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_over_rate(&self) {
        self.word(Word::OverRate).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_withheld(&self) {
        self.word(Word::Withheld).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_undelivered(&self) {
        self.word(Word::Undelivered).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_queue_full(&self, count: u64) {
        self.word(Word::QueueFull).fetch_add(count, SeqCst);
    }

    pub(crate) fn count_evicted(&self) {
        self.word(Word::Evicted).fetch_add(1, SeqCst);
    }

    pub(crate) fn count_packet_failed(&self) {
        self.word(Word::PacketsFailed).fetch_add(1, SeqCst);
    }

    /// What closed connections have added up to; open ones are the registry's.
    pub(crate) fn totals(&self) -> Totals {
        let get = |word| self.word(word).load(SeqCst);
        let refused = |why| self.refused(why).load(SeqCst);
        Totals {
            accepted: get(Word::Accepted),
            closed: get(Word::Accepted).saturating_sub(get(Word::Open)),
            refused: Refusal::ALL.into_iter().map(refused).sum(),
            denied: refused(Refusal::Denied),
            untrusted: refused(Refusal::Untrusted),
            bad_headers: refused(Refusal::BadHeader),
            over_limit: refused(Refusal::Full),
            over_peer_limit: refused(Refusal::PeerLimit),
            lost: get(Word::Lost),
            exhausted: get(Word::Exhausted),
            shed: get(Word::Shed),
            given_up: get(Word::GivenUp),
            failed: get(Word::Failed),
            handshakes_failed: get(Word::HandshakesFailed),
            packets: get(Word::Packets),
            replies: get(Word::Replies),
            truncated: get(Word::Truncated),
            overflowed: get(Word::Overflowed),
            nonsense: get(Word::Nonsense),
            unwelcome: get(Word::Unwelcome),
            unsent: get(Word::Unsent),
            undelivered: get(Word::Undelivered),
            over_rate: get(Word::OverRate),
            withheld: get(Word::Withheld),
            packets_failed: get(Word::PacketsFailed),
            queue_full: get(Word::QueueFull),
            evicted: get(Word::Evicted),
            read: get(Word::Read),
            written: get(Word::Written),
        }
    }
}
