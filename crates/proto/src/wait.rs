//! How the handler of a connection waits for its peer while others watch over it, in words that threads and processes share: a
//! wait that somebody ends is ended once, what works is left alone, and no drain is missed.
//!
//! Nothing here waits or wakes: each function tells what its caller has to do.

use crate::word::Word;

/// What the handler does, and what was told to it.
///
/// ```
/// use socketserver_proto::wait::{Deadline, Wait, Woken};
/// use std::sync::atomic::AtomicU64;
/// let (state, flags) = (AtomicU64::new(0), AtomicU64::new(0));
/// let wait = Wait { state: &state, flags: &flags };
/// // The handler waits for its next request, since epoch 7, which is too long when the keeper looks: it has to be woken.
/// assert!(!wait.begin(false, 7));
/// assert!(wait.expire(8));
/// assert_eq!(wait.end(), (Woken::ByDeadline(Deadline::Idle), 0));
/// // It works, so a drain leaves it alone; before it waits again it is told.
/// assert!(!wait.drain());
/// assert!(wait.begin(false, 9));
/// ```
#[derive(Debug)]
pub struct Wait<'a, W> {
    /// What the handler does, below the epoch since when it waits; at first 0.
    pub state: &'a W,
    /// What was told to it: the bits [`CUT`] and [`DRAINING`], and above [`CAUSE`] why it was cut. The others are the
    /// caller's own.
    pub flags: &'a W,
}

/// A flag: the connection is lost, every wait in it fails.
pub const CUT: u64 = 1;
/// A flag: the server drains, who would wait for the next request is given the end of input.
pub const DRAINING: u64 = 2;
/// Above so many bits of the flags stands why it was cut.
pub const CAUSE: u32 = 8;

/// The epoch of a wait that does not expire; every other one is less.
pub const NEVER: u64 = u64::MAX / STATES;

// The state, in the lowest bits of its word. Above them stands since when the handler waits.

/// The handler works.
const BUSY: u64 = 0;
/// The handler waits for its next request: nothing that was read is left over.
const WAITING: u64 = 1;
/// The handler waits in the middle of a request: a drain lets it.
const HALFWAY: u64 = 2;
/// It was waiting for its next request, and the drain gave it the end of input.
const DRAINED: u64 = 3;
/// It was waiting for too long.
const IDLE: u64 = 4;
/// It was waiting for too long, and for the first byte.
const NO_FIRST_BYTE: u64 = 5;
/// It was waiting for a request that comes too slowly.
const SLOW: u64 = 6;
/// The handler is through with it.
const CLOSING: u64 = 7;
const STATES: u64 = 8;

/// What ended a wait, other than the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Nothing did.
    No,
    /// The server drains.
    ByDrain,
    /// It went on for too long.
    ByDeadline(Deadline),
}

/// The deadlines of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The peer has said nothing for too long.
    Idle,
    /// It has never said anything.
    FirstByte,
    /// It says it too slowly.
    MinRate,
}

/// What the handler does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It works.
    Working,
    /// It waits for its next request.
    Waiting,
    /// It waits in the middle of one.
    Halfway,
    /// It is through with the connection.
    Closing,
}

impl<W: Word> Wait<'_, W> {
    /// The handler is about to wait for its peer, since the `epoch` that it is; for its next request, or `halfway` through
    /// one. `true`: the server drains, so it had better not wait for a next one.
    ///
    /// The look comes after the word: either this side sees the drain, or the drain sees it waiting.
    #[inline]
    #[must_use]
    pub fn begin(&self, halfway: bool, epoch: u64) -> bool {
        self.state.store(epoch * STATES + if halfway { HALFWAY } else { WAITING });
        W::in_order();
        !halfway && self.flags.load() & DRAINING != 0
    }

    /// The wait is over. Tells what ended it, and since which epoch it went on if nothing did.
    #[inline]
    pub fn end(&self) -> (Woken, u64) {
        let state = self.state.swap(BUSY);
        let woken = match state % STATES {
            DRAINED => Woken::ByDrain,
            IDLE => Woken::ByDeadline(Deadline::Idle),
            NO_FIRST_BYTE => Woken::ByDeadline(Deadline::FirstByte),
            SLOW => Woken::ByDeadline(Deadline::MinRate),
            _ => Woken::No,
        };
        (woken, state / STATES)
    }

    /// The handler is through with the connection.
    pub fn close(&self) {
        self.state.store(CLOSING);
    }

    /// What it does, and since which epoch if it waits and that can expire.
    pub fn look(&self) -> (Doing, Option<u64>) {
        let state = self.state.load();
        let since = Some(state / STATES).filter(|since| *since != NEVER);
        match state % STATES {
            WAITING => (Doing::Waiting, since),
            HALFWAY => (Doing::Halfway, since),
            CLOSING => (Doing::Closing, None),
            _ => (Doing::Working, None),
        }
    }

    /// Something else than input came about while the handler waits: it waits since this epoch.
    pub fn touch(&self, epoch: u64) {
        let waits = |now: u64| matches!(now % STATES, WAITING | HALFWAY).then_some(epoch * STATES + now % STATES);
        let _ = self.state.update(waits);
    }

    /// Claims the end of a wait that began before this epoch. `true`: the handler has to be woken, as from the others.
    #[must_use]
    pub fn expire(&self, before: u64) -> bool {
        self.claim(&[WAITING, HALFWAY], before, IDLE)
    }

    /// Claims the end of a wait for the first byte.
    #[must_use]
    pub fn expire_first_byte(&self) -> bool {
        self.claim(&[WAITING, HALFWAY], u64::MAX, NO_FIRST_BYTE)
    }

    /// Claims the end of a wait in the middle of a request.
    #[must_use]
    pub fn expire_slow(&self) -> bool {
        self.claim(&[HALFWAY], u64::MAX, SLOW)
    }

    /// The server drains. Claims the end of a wait for the next request; `false`: there is none, the handler is busy.
    #[must_use]
    pub fn drain(&self) -> bool {
        let _ = self.flags.update(|now| Some(now | DRAINING));
        W::in_order();
        self.claim(&[WAITING], u64::MAX, DRAINED)
    }

    /// From now on every wait in the connection fails. `false`: somebody has cut it before, and has said why.
    #[must_use]
    pub fn cut(&self, why: u64) -> bool {
        self.flags.update(|now| (now & CUT == 0).then_some(now | CUT | why << CAUSE)).is_ok()
    }

    /// Claims the end of a wait that is in one of the states, and whose epoch is before this.
    fn claim(&self, states: &[u64], before: u64, as_state: u64) -> bool {
        let claimed = |now: u64| (states.contains(&(now % STATES)) && now / STATES < before).then_some(as_state);
        self.state.update(claimed).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    #[derive(Default)]
    struct Words([AtomicU64; 2]);

    impl Words {
        fn wait(&self) -> Wait<'_, AtomicU64> {
            Wait { state: &self.0[0], flags: &self.0[1] }
        }
    }

    type Claim = fn(Wait<'_, AtomicU64>) -> bool;

    /// Who can end a wait, and as what the handler is told.
    const CLAIMS: [(Claim, Woken); 4] = [
        (|wait| wait.expire(8), Woken::ByDeadline(Deadline::Idle)),
        (|wait| wait.expire_first_byte(), Woken::ByDeadline(Deadline::FirstByte)),
        (|wait| wait.expire_slow(), Woken::ByDeadline(Deadline::MinRate)),
        (|wait| wait.drain(), Woken::ByDrain),
    ];

    /// Tells which of the claims succeed on what `prepare` leaves, each on words of its own.
    fn claimed(prepare: impl Fn(&Wait<'_, AtomicU64>)) -> [bool; 4] {
        CLAIMS.map(|(claim, woken)| {
            let words = Words::default();
            prepare(&words.wait());
            let is_claimed = claim(words.wait());
            let waits = !matches!(words.wait().look().0, Doing::Working | Doing::Closing);
            assert!(!(is_claimed && waits), "what was claimed is no wait any more");
            // Nobody claims it again.
            assert!(!is_claimed || CLAIMS.iter().all(|(again, _)| !again(words.wait())));
            assert_eq!(words.wait().end().0 == woken, is_claimed);
            is_claimed
        })
    }

    #[test]
    fn a_wait_is_ended_by_those_whom_it_concerns() {
        assert_eq!(claimed(|_| {}), [false; 4], "it works");
        assert_eq!(claimed(|wait| wait.close()), [false; 4], "it is through");
        assert_eq!(claimed(|wait| assert!(!wait.begin(false, 7))), [true, true, false, true]);
        assert_eq!(claimed(|wait| assert!(!wait.begin(true, 7))), [true, true, true, false]);
        // It began when the keeper began to look, or never expires.
        assert_eq!(claimed(|wait| assert!(!wait.begin(false, 8))), [false, true, false, true]);
        assert_eq!(claimed(|wait| assert!(!wait.begin(true, NEVER))), [false, true, true, false]);
    }

    #[test]
    fn what_it_does_and_since_when_is_seen() {
        let words = Words::default();
        let wait = words.wait();
        assert_eq!(wait.look(), (Doing::Working, None));
        assert!(!wait.begin(false, 7));
        assert_eq!(wait.look(), (Doing::Waiting, Some(7)));
        wait.touch(9);
        assert_eq!(wait.look(), (Doing::Waiting, Some(9)));
        assert_eq!(wait.end(), (Woken::No, 9));
        // One that works waits since no time at all.
        wait.touch(10);
        assert_eq!(wait.look(), (Doing::Working, None));
        assert!(!wait.begin(true, NEVER));
        assert_eq!(wait.look(), (Doing::Halfway, None));
        wait.close();
        assert_eq!(wait.look(), (Doing::Closing, None));
    }

    #[test]
    fn the_first_cut_says_why_and_a_drain_is_beside_it() {
        let words = Words::default();
        let wait = words.wait();
        assert!(wait.cut(5) && !wait.cut(6));
        assert!(!wait.drain());
        assert_eq!(words.0[1].load(SeqCst), 5 << CAUSE | DRAINING | CUT);
        // Halfway through a request it is served to its end.
        assert!(wait.begin(false, 7) && !wait.begin(true, 7));
    }
}

/// Every order in which threads can come through.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::word::model::{Bell, Modelled};
    use loom::sync::Arc;
    use loom::thread;

    /// A connection. Its bell stands for its socket: who claims a wait shuts it for reading, and it stays so.
    struct Shared {
        state: Modelled,
        flags: Modelled,
        socket: Bell,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self { state: Modelled::new(0), flags: Modelled::new(0), socket: Bell::default() })
        }
        fn wait(&self) -> Wait<'_, Modelled> {
            Wait { state: &self.state, flags: &self.flags }
        }
        fn drain(&self) -> bool {
            let is_claimed = self.wait().drain();
            if is_claimed {
                self.socket.ring();
            }
            is_claimed
        }
        fn expire(&self, before: u64) -> bool {
            let is_claimed = self.wait().expire(before);
            if is_claimed {
                self.socket.ring();
            }
            is_claimed
        }
        /// The handler waits for a next request that never comes.
        fn wait_for_ever(&self, epoch: u64) -> Woken {
            if !self.wait().begin(false, epoch) {
                self.socket.wait();
            }
            self.wait().end().0
        }
        /// The handler waits for what is there at once.
        fn wait_for_nothing(&self, halfway: bool, epoch: u64) -> Woken {
            let _ = self.wait().begin(halfway, epoch);
            self.wait().end().0
        }
    }

    /// Runs a handler beside what somebody else does to its connection.
    fn beside<T: 'static>(
        handler: impl FnOnce(&Shared) -> T + Send + 'static,
        other: impl FnOnce(&Shared) -> bool,
    ) -> (T, bool) {
        let shared = Shared::new();
        let handler = thread::spawn({
            let shared = shared.clone();
            move || handler(&shared)
        });
        let is_claimed = other(&shared);
        (handler.join().unwrap(), is_claimed)
    }

    /// It is seen to fail, for the handler waits for ever, when `begin` looks before it says that it waits, when `drain` claims
    /// before it says that it drains, and when either is not in order.
    #[test]
    fn the_drain_claims_the_wait_or_the_handler_sees_the_drain() {
        loom::model(|| {
            let (woken, is_claimed) = beside(|shared| shared.wait_for_ever(NEVER), Shared::drain);
            assert_eq!(woken == Woken::ByDrain, is_claimed);
        });
    }

    /// The drain comes at some time while one request is served after the other. It is seen to fail when a claim looks at the state
    /// and then changes it whatever it has become, and when a drain takes one that waits halfway for one that waits.
    #[test]
    fn a_handler_that_works_or_is_halfway_is_left_alone() {
        loom::model(|| {
            let (woken, is_claimed) = beside(
                |shared| {
                    let first = shared.wait_for_nothing(false, NEVER);
                    if first != Woken::No {
                        return first;
                    }
                    // A request has begun, and its rest is there.
                    assert_eq!(shared.wait_for_nothing(true, NEVER), Woken::No);
                    shared.wait_for_ever(NEVER)
                },
                Shared::drain,
            );
            assert_eq!(woken == Woken::ByDrain, is_claimed);
        });
    }

    /// A wait that has gone on for too long, and a drain. It is seen to fail when a claim looks at the state and then changes it
    /// whatever it has become.
    #[test]
    fn a_wait_is_claimed_once_and_by_whom_the_handler_is_told() {
        loom::model(|| {
            let shared = Shared::new();
            let handler = thread::spawn({
                let shared = shared.clone();
                move || shared.wait_for_ever(1)
            });
            let keeper = thread::spawn({
                let shared = shared.clone();
                move || shared.expire(2)
            });
            let (by_drain, by_keeper) = (shared.drain(), keeper.join().unwrap());
            let told = match handler.join().unwrap() {
                Woken::No => (false, false),
                Woken::ByDrain => (true, false),
                Woken::ByDeadline(Deadline::Idle) => (false, true),
                Woken::ByDeadline(other) => panic!("{other:?}"),
            };
            assert_eq!((by_drain, by_keeper), told);
        });
    }

    /// The keeper comes for an old wait, and a new one has begun. It is seen to fail when a claim does not look at the epoch, and
    /// when it changes the state whatever it has become.
    #[test]
    fn a_wait_does_not_expire_for_one_before_it() {
        loom::model(|| {
            let ((first, second), is_claimed) = beside(
                |shared| (shared.wait_for_nothing(false, 1), shared.wait_for_nothing(true, 3)),
                |shared| shared.expire(2),
            );
            assert_eq!((first != Woken::No, second), (is_claimed, Woken::No));
        });
    }

    /// Two cut it while the server drains: one is the first, says why, and the drain is not forgotten. It is seen to fail when a cut
    /// looks at the flags and then changes them whatever they have become.
    #[test]
    fn the_first_who_cuts_says_why_and_a_drain_stands_beside_it() {
        loom::model(|| {
            let shared = Shared::new();
            let others: Vec<_> = (1..=2)
                .map(|why| {
                    let shared = shared.clone();
                    thread::spawn(move || shared.wait().cut(why).then_some(why))
                })
                .collect();
            assert!(!shared.drain());
            let first: Vec<_> = others.into_iter().filter_map(|other| other.join().unwrap()).collect();
            let flags = Word::load(&shared.flags);
            assert_eq!((first, flags & CUT), (vec![flags >> CAUSE], CUT));
            assert!(shared.wait().begin(false, NEVER));
        });
    }
}
