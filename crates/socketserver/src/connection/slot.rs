use super::chunk::{COLD, Chunk, HOT, load_text, store_text};
use super::{Phase, Reason};
use crate::clock::Moment;
use socketserver_proto::wait::{CAUSE, CUT, Doing, Wait};
pub(crate) use socketserver_proto::wait::{Deadline, NEVER, Woken};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// What the side that serves a connection and the side that watches over it both look at: whether the handler waits
/// for its peer, whether the connection is to be cut, bytes each way, its label, how it ended.
///
/// Nothing but words, so that it can live in memory that a child process shares. Those that every read and write touches
/// fill one cache line, and the lines of many connections lie side by side: that keeps the pages few that a server with
/// many connections walks through.
///
/// Beside its place in that memory it holds what else is known of the connection from the start and fits into the same
/// word: there is one of these for each idle connection.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    chunk: Chunk,
    at: u8,
    run: u16,
    /// Which of the server's endpoints the connection came in by, or [`CLIENT`].
    endpoint: u32,
}

/// Instead of an endpoint, on the client's side.
pub(crate) const CLIENT: usize = u32::MAX as usize;

// A cache line of words that are touched all the time.
const STATE: usize = 0;
const FLAGS: usize = 1;
const READ: usize = 2;
const WRITTEN: usize = 3;
/// Which request the peer has begun to send; 0: none.
const REQUEST: usize = 4;
/// In the lower half why it ended, in the upper half the length of a child's words about it. In one process they need
/// not travel.
const OUTCOME: usize = 5;
/// What a child that was there before the connection has to be told about it.
const ID: usize = 6;
/// In the lower half the endpoint that it came in by, in the upper half the length of the label.
const PLACE: usize = 7;
const _: () = assert!(PLACE < HOT);

// Words that are seldom touched.
/// The request that the keeper last saw, how much had been read then, and when that was.
const MARK: usize = 0;
/// The handler's name for the connection.
const LABEL: std::ops::Range<usize> = 3..11;
/// A child's words about a failure.
const TEXT: std::ops::Range<usize> = 11..35;
/// When what comes before the handler was over, if something did.
const BEGUN: usize = 35;
const _: () = assert!(BEGUN < COLD);

const UPPER: u32 = 32;
const LOWER: u64 = 0xffff_ffff;

// What was told to it, beside what is told of its waits.

/// It does not count towards the limits any more.
const EXEMPT: u64 = 4;
/// It comes from a proxy, and who that speaks for is not known yet.
const AWAITED: u64 = 8;
/// It was let in in the name of somebody else.
const PROXIED: u64 = 16;
/// What comes before its handler goes on, which has a deadline of its own.
const AGREEING: u64 = 32;
/// It is over.
const AGREED: u64 = 64;

impl Chunk {
    /// The slot at `at`, as it is.
    pub(crate) fn slot(&self, at: u8) -> Slot {
        Slot { chunk: self.clone(), at, run: 0, endpoint: u32::MAX }
    }
}

impl Slot {
    pub(crate) fn own() -> Self {
        Chunk::own().slot(0)
    }

    /// It is that of a connection that came in by this endpoint.
    pub(crate) fn of_endpoint(mut self, endpoint: usize) -> Self {
        self.endpoint = u32::try_from(endpoint).unwrap_or(u32::MAX);
        self
    }

    /// It is that of a connection that this run of the server let in.
    pub(crate) fn of_run(mut self, run: u64) -> Self {
        self.run = Self::run_number(run);
        self
    }

    /// Which of the server's endpoints the connection came in by, or [`CLIENT`].
    pub(crate) fn endpoint(&self) -> usize {
        self.endpoint as usize
    }

    /// Whether that run of the server let the connection in.
    pub(crate) fn is_of_run(&self, run: u64) -> bool {
        self.run == Self::run_number(run)
    }

    fn run_number(run: u64) -> u16 {
        // Runs that lie 65,536 apart do not meet.
        (run & u64::from(u16::MAX)) as u16
    }

    /// As for a new connection.
    pub(crate) fn wipe(&self) {
        // What is seldom touched is left: it would cost memory to touch it, and nobody looks at it before it was written.
        self.hot().iter().for_each(|word| word.store(0, SeqCst));
    }

    #[inline]
    fn hot(&self) -> &[AtomicU64] {
        self.chunk.hot(self.at)
    }

    fn cold(&self) -> &[AtomicU64] {
        self.chunk.cold(self.at)
    }

    #[inline]
    fn wait(&self) -> Wait<'_, AtomicU64> {
        let words = self.hot();
        Wait { state: &words[STATE], flags: &words[FLAGS] }
    }

    /// Writes down which connection it is, for a child that is handed it.
    pub(crate) fn introduce(&self, id: u64) {
        self.hot()[ID].store(id, SeqCst);
        self.hot()[PLACE].store(self.endpoint.into(), SeqCst);
    }

    /// What [`introduce`](Self::introduce) wrote down.
    pub(crate) fn introduction(&self) -> Option<(u64, usize)> {
        let endpoint = usize::try_from(self.hot()[PLACE].load(SeqCst) & LOWER).ok()?;
        Some((self.hot()[ID].load(SeqCst), endpoint))
    }

    /// See [`Wait::begin`].
    #[inline]
    pub(crate) fn begin_wait(&self, halfway: bool, epoch: u64) -> bool {
        self.wait().begin(halfway, epoch)
    }

    /// See [`Wait::end`].
    #[inline]
    pub(crate) fn end_wait(&self) -> (Woken, u64) {
        self.wait().end()
    }

    /// The handler is through with it.
    pub(crate) fn begin_close(&self) {
        self.wait().close();
    }

    /// What it does, and since which epoch, if it waits and that can expire.
    pub(crate) fn phase(&self) -> (Phase, Option<u64>) {
        let (doing, since) = self.wait().look();
        let phase = match doing {
            Doing::Working => Phase::Working,
            Doing::Waiting => Phase::Waiting,
            Doing::Halfway => Phase::Receiving,
            Doing::Closing => Phase::Closing,
        };
        (phase, since)
    }

    /// Something else than input came about while the handler waits: it waits since this epoch.
    pub(crate) fn touch(&self, epoch: u64) {
        self.wait().touch(epoch);
    }

    /// Claims the end of a wait that began before this epoch.
    pub(crate) fn expire(&self, before: u64) -> bool {
        self.wait().expire(before)
    }

    /// What comes before the handler begins.
    pub(crate) fn begin_agreeing(&self) {
        self.hot()[FLAGS].fetch_or(AGREEING, SeqCst);
    }

    /// The handler begins.
    pub(crate) fn end_agreeing(&self) {
        // In this order: whoever sees the flag finds the time.
        self.cold()[BEGUN].store(Moment::now().to_word(), SeqCst);
        let _ = self.hot()[FLAGS].fetch_update(SeqCst, SeqCst, |flags| Some(flags & !AGREEING | AGREED));
    }

    /// Since when the handler has had it, if something came before.
    pub(crate) fn begun(&self) -> Option<Moment> {
        let agreed = self.hot()[FLAGS].load(Acquire) & AGREED != 0;
        agreed.then(|| Moment::from_word(self.cold()[BEGUN].load(Acquire)))
    }

    /// Claims the end of the handler's wait for the first byte.
    pub(crate) fn expire_first_byte(&self) -> bool {
        let agreeing = self.hot()[FLAGS].load(Acquire) & (AWAITED | AGREEING) != 0;
        !agreeing && self.read() == 0 && self.wait().expire_first_byte()
    }

    /// The peer has begun a request. Its number is no other's, not even another connection's.
    pub(crate) fn begin_request(&self, number: u64) {
        self.hot()[REQUEST].store(number, Relaxed);
    }

    /// The request is there.
    pub(crate) fn end_request(&self) {
        self.hot()[REQUEST].store(0, Relaxed);
    }

    /// The keeper's look, at `epoch`, at how fast a request comes: claims the end of its wait if in `epochs` of waiting fewer
    /// than `least` bytes came.
    pub(crate) fn expire_slow(&self, epoch: u64, epochs: u64, least: u64) -> bool {
        let (request, read) = (self.hot()[REQUEST].load(Relaxed), self.read());
        if request == 0 {
            return false;
        }
        let [seen, then, since] = [0, 1, 2].map(|at| &self.cold()[MARK + at]);
        // What the handler does meanwhile is not the peer's fault.
        let waits = self.wait().look().0 == Doing::Halfway;
        if seen.load(Relaxed) == request {
            if !waits {
                since.store(since.load(Relaxed) + 1, Relaxed);
                return false;
            }
            if epoch.saturating_sub(since.load(Relaxed)) < epochs {
                return false;
            }
            if read.wrapping_sub(then.load(Relaxed)) < least {
                return self.wait().expire_slow();
            }
        }
        seen.store(request, Relaxed);
        then.store(read, Relaxed);
        since.store(epoch, Relaxed);
        false
    }

    /// The server drains. Claims the end of a wait; `false`: there is none, the connection is busy.
    pub(crate) fn drain(&self) -> bool {
        self.wait().drain()
    }

    /// From now on every wait in the connection fails. The first who cuts it says why.
    pub(crate) fn cut(&self, why: Reason) -> bool {
        self.wait().cut(why.to_word())
    }

    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.hot()[FLAGS].load(Acquire) & CUT != 0
    }

    /// Why it was cut.
    pub(crate) fn cut_by(&self) -> Reason {
        Reason::from_word(self.hot()[FLAGS].load(Acquire) >> CAUSE).unwrap_or(Reason::Aborted)
    }

    /// It is not known yet who it is from.
    pub(crate) fn await_header(&self) {
        self.hot()[FLAGS].fetch_or(AWAITED, SeqCst);
    }

    #[inline]
    pub(crate) fn awaits_header(&self) -> bool {
        self.hot()[FLAGS].load(Acquire) & AWAITED != 0
    }

    /// It is from somebody who may come in.
    pub(crate) fn let_in(&self) {
        let _ = self.hot()[FLAGS].fetch_update(SeqCst, SeqCst, |flags| Some(flags & !AWAITED | PROXIED));
    }

    pub(crate) fn is_proxied(&self) -> bool {
        self.hot()[FLAGS].load(Acquire) & PROXIED != 0
    }

    /// It does not count towards the limits any more; `false`: it did not before.
    pub(crate) fn exempt(&self) -> bool {
        self.hot()[FLAGS].fetch_or(EXEMPT, SeqCst) & EXEMPT == 0
    }

    #[inline]
    pub(crate) fn add_read(&self, bytes: usize) {
        add(&self.hot()[READ], bytes);
    }

    #[inline]
    pub(crate) fn add_written(&self, bytes: usize) {
        add(&self.hot()[WRITTEN], bytes);
    }

    pub(crate) fn read(&self) -> u64 {
        self.hot()[READ].load(Relaxed)
    }

    pub(crate) fn written(&self) -> u64 {
        self.hot()[WRITTEN].load(Relaxed)
    }

    pub(crate) fn set_label(&self, label: &str) {
        let set = |len: u64| {
            let place = &self.hot()[PLACE];
            let _ = place.fetch_update(SeqCst, SeqCst, |now| Some(now & LOWER | len << UPPER));
        };
        // Who looks meanwhile sees none rather than half of it.
        set(0);
        set(store_text(&self.cold()[LABEL], label));
    }

    pub(crate) fn label(&self) -> Option<String> {
        load_text(&self.cold()[LABEL], self.hot()[PLACE].load(SeqCst) >> UPPER)
    }

    /// Records how it ended, for the process that watches.
    pub(crate) fn end(&self, reason: Reason, text: Option<&str>) {
        let len = text.map_or(0, |text| store_text(&self.cold()[TEXT], text));
        self.hot()[OUTCOME].store(reason.to_word() | len << UPPER, Release);
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<(Reason, Option<String>)> {
        let outcome = self.hot()[OUTCOME].load(Acquire);
        let reason = Reason::from_word(outcome & LOWER)?;
        Some((reason, load_text(&self.cold()[TEXT], outcome >> UPPER)))
    }
}

/// One side alone counts, so no read-modify-write is needed.
#[inline]
fn add(word: &AtomicU64, bytes: usize) {
    word.store(word.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_ended_once_and_a_busy_connection_is_left_alone() {
        let slot = Slot::own();
        assert!(!slot.begin_wait(false, 7));
        assert_eq!(slot.end_wait().0, Woken::No);
        assert!(!slot.drain(), "busy");
        assert!(!slot.begin_wait(true, 7), "halfway through a request");
        assert!(!slot.drain());
        assert!(slot.begin_wait(false, 7), "it had better not wait");
        assert!(slot.drain());
        assert!(!slot.drain());
        assert_eq!(slot.end_wait().0, Woken::ByDrain);
        assert!(!slot.is_cut());
        assert!(slot.cut(Reason::Kicked) && !slot.cut(Reason::Aborted));
        assert!(slot.is_cut() && slot.begin_wait(false, 7));
        assert_eq!(slot.cut_by(), Reason::Kicked);
    }

    #[test]
    fn a_wait_expires_by_its_epoch() {
        let slot = Slot::own();
        assert!(!slot.expire(100), "busy");
        for halfway in [false, true] {
            slot.begin_wait(halfway, 7);
            assert!(!slot.expire(7));
            assert!(slot.expire(8));
            assert_eq!(slot.end_wait().0, Woken::ByDeadline(Deadline::Idle));
        }
        slot.begin_wait(false, NEVER);
        assert!(!slot.expire(NEVER));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let chunk = Chunk::new().unwrap();
        let child = chunk.slot(1);
        child.end(Reason::Failed, Some(&"字".repeat(100)));
        let (reason, text) = chunk.slot(1).ended().unwrap();
        assert_eq!(reason, Reason::Failed);
        assert_eq!(text.unwrap(), "字".repeat(TEXT.len() * 8 / 3));
        assert!(chunk.slot(0).ended().is_none() && chunk.slot(2).ended().is_none());
        child.wipe();
        assert!(chunk.slot(1).ended().is_none());
    }

    #[test]
    fn a_slow_request_is_told_from_one_that_waits_for_the_handler() {
        let slot = Slot::own();
        slot.begin_request(1);
        slot.begin_wait(true, 0);
        assert!(!slot.expire_slow(10, 8, 100), "just seen");
        slot.add_read(100);
        assert!(!slot.expire_slow(18, 8, 100), "fast enough");
        slot.add_read(99);
        assert!(!slot.expire_slow(25, 8, 100), "not yet");
        slot.end_wait();
        for epoch in 26..30 {
            assert!(!slot.expire_slow(epoch, 8, 100), "the handler works");
        }
        slot.begin_wait(true, 0);
        assert!(!slot.expire_slow(29, 8, 100), "it has not waited for long enough");
        assert!(slot.expire_slow(30, 8, 100));
        assert_eq!(slot.end_wait().0, Woken::ByDeadline(Deadline::MinRate));
        slot.end_request();
        slot.begin_wait(false, 0);
        assert!(!slot.expire_slow(100, 8, 100), "between requests");
    }

    #[test]
    fn a_label_is_kept_apart_from_the_endpoint() {
        let slot = Chunk::new().unwrap().slot(3);
        slot.clone().of_endpoint(2).introduce(7);
        assert_eq!(slot.label(), None);
        slot.set_label("Ada");
        assert_eq!(slot.label().as_deref(), Some("Ada"));
        assert_eq!(slot.introduction(), Some((7, 2)));
        slot.set_label(&"x".repeat(100));
        assert_eq!(slot.label().unwrap().len(), LABEL.len() * 8);
        slot.wipe();
        assert_eq!(slot.label(), None);
    }
}
