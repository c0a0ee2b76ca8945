//! How connections are counted, in words that threads and processes share: exactly, and without losing a wake-up.
//!
//! Nothing here waits: each function tells what its caller has to do.

use crate::word::Word;

/// Permits to hold a connection. Whoever takes one has made sure that [there is one](Self::is_there_one), and nobody else
/// takes any meanwhile: so never more than the maximum are given out.
///
/// ```
/// use socketserver_proto::permits::Permits;
/// use std::sync::atomic::AtomicU64;
/// let (taken, max, wanted) = (AtomicU64::new(0), AtomicU64::new(1), AtomicU64::new(0));
/// let permits = Permits { taken: &taken, max: &max, wanted: &wanted };
/// assert!(permits.is_there_one());
/// permits.take();
/// assert!(!permits.is_there_one());
/// // Whoever waits for one says so, and looks again before it sleeps.
/// assert!(!permits.want());
/// // Whoever gives one back wakes those that wait.
/// assert!(permits.give_back());
/// assert!(permits.is_there_one());
/// ```
#[derive(Debug)]
pub struct Permits<'a, W> {
    /// How many are given out.
    pub taken: &'a W,
    /// How many there are.
    pub max: &'a W,
    /// 1: somebody waits for one.
    pub wanted: &'a W,
}

impl<W: Word> Permits<'_, W> {
    /// Takes one.
    pub fn take(&self) {
        let _ = self.taken.update(|taken| Some(taken + 1));
    }

    /// Gives one back. `true`: those that wait for one must be woken.
    #[must_use]
    pub fn give_back(&self) -> bool {
        let _ = self.taken.update(|taken| taken.checked_sub(1));
        self.is_wanted()
    }

    /// Whether somebody waits; asked after there is one, and answered `true` once.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        W::fence();
        self.wanted.load() != 0 && self.wanted.swap(0) != 0
    }

    /// Somebody is about to wait for one. `true`: there is one, so it had better not.
    ///
    /// The look comes after the word: either this side sees the permit, or whoever gives it back sees the word.
    #[must_use]
    pub fn want(&self) -> bool {
        self.wanted.swap(1);
        W::fence();
        self.is_there_one()
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there_one(&self) -> bool {
        self.taken.load() < self.max.load()
    }
}

/// The places of one run of a server, each taken before there is a connection for it: so a drain that finds none taken
/// can be sure that none is about to come.
///
/// The number of the run stands in the upper half, so that a place which outlives its run frees nothing of the next.
#[derive(Debug)]
pub struct Places<'a, W> {
    /// How many are taken, below the number of the run.
    pub taken: &'a W,
    /// The run that was last told to stop.
    pub stop: &'a W,
}

const RUN: u32 = 32;
const COUNT: u64 = 0xffff_ffff;

impl<W: Word> Places<'_, W> {
    /// A run begins, or goes on.
    pub fn begin(&self, run: u64) {
        let tag = run << RUN;
        let _ = self.taken.update(|now| (now & !COUNT != tag).then_some(tag));
    }

    /// Takes one.
    pub fn enter(&self, run: u64) {
        let _ = self.change(run, |taken| taken + 1);
        W::fence();
    }

    /// Frees one. `true`: it was the last of a run that stops, and whoever waits for that must be woken.
    #[must_use]
    pub fn leave(&self, run: u64) -> bool {
        let before = self.change(run, |taken| taken.saturating_sub(1));
        W::fence();
        before == Some(1) && self.is_stopping(run)
    }

    /// How many are taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.taken.load() & COUNT
    }

    /// Tells a run to stop.
    pub fn stop(&self, run: u64) {
        let _ = self.stop.update(|now| (now < run).then_some(run));
        W::fence();
    }

    /// Whether it was told to.
    #[must_use]
    pub fn is_stopping(&self, run: u64) -> bool {
        self.stop.load() >= run
    }

    fn change(&self, run: u64, change: impl Fn(u64) -> u64) -> Option<u64> {
        let tag = run << RUN;
        let before = self.taken.update(|now| (now & !COUNT == tag).then(|| tag | change(now & COUNT))).ok()?;
        Some(before & COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    #[test]
    fn permits_are_counted_and_who_waits_is_woken_once() {
        let (taken, max, wanted) = (AtomicU64::new(0), AtomicU64::new(2), AtomicU64::new(0));
        let permits = Permits { taken: &taken, max: &max, wanted: &wanted };
        permits.take();
        assert!(permits.want(), "there is one");
        permits.take();
        assert!(!permits.is_there_one());
        assert!(permits.give_back(), "somebody waits");
        assert!(!permits.give_back(), "told once");
        assert!(!permits.give_back() && permits.taken.load(SeqCst) == 0, "never below none");
        permits.take();
        assert_eq!(permits.taken.load(SeqCst), 1);
    }

    #[test]
    fn a_place_of_an_earlier_run_frees_nothing_of_the_next() {
        let (taken, stop) = (AtomicU64::new(0), AtomicU64::new(0));
        let places = Places { taken: &taken, stop: &stop };
        places.begin(1);
        places.enter(1);
        places.enter(1);
        places.stop(1);
        assert!(!places.leave(1));
        assert!(places.is_stopping(1) && !places.is_stopping(2));
        places.begin(2);
        places.enter(2);
        assert!(!places.leave(1));
        assert_eq!(places.count(), 1);
        assert!(!places.leave(2), "it does not stop");
    }
}

/// Every order in which threads can come through.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::word::model::{Bell, Modelled};
    use loom::sync::{Arc, Mutex};
    use loom::thread;
    use std::sync::atomic::Ordering::SeqCst;

    struct Server {
        /// Held by whoever lets somebody in.
        gate: Mutex<()>,
        taken: Modelled,
        max: Modelled,
        wanted: Modelled,
        room: Bell,
        places: Modelled,
        stop: Modelled,
        /// 1: the drain has ended.
        over: Modelled,
        keeper: Bell,
    }

    impl Server {
        fn new(max: u64) -> Arc<Self> {
            Arc::new(Self {
                gate: Mutex::new(()),
                taken: Modelled::new(0),
                max: Modelled::new(max),
                wanted: Modelled::new(0),
                room: Bell::default(),
                places: Modelled::new(1 << RUN),
                stop: Modelled::new(0),
                over: Modelled::new(0),
                keeper: Bell::default(),
            })
        }
        fn permits(&self) -> Permits<'_, Modelled> {
            Permits { taken: &self.taken, max: &self.max, wanted: &self.wanted }
        }
        fn places(&self) -> Places<'_, Modelled> {
            Places { taken: &self.places, stop: &self.stop }
        }
        /// As the accept path does it. Tells how many are given out then, this one among them.
        fn wait_for_permit(&self) -> u64 {
            loop {
                let gate = self.gate.lock().unwrap();
                if self.permits().is_there_one() {
                    self.permits().take();
                    let taken = self.taken.load(SeqCst);
                    drop(gate);
                    // More may have come free than this one was woken for.
                    if self.permits().is_there_one() && self.permits().is_wanted() {
                        self.room.ring();
                    }
                    return taken;
                }
                drop(gate);
                self.room.clear();
                if self.permits().want() {
                    // What was cleared may have been meant for another.
                    self.room.ring();
                } else {
                    self.room.wait();
                }
            }
        }
        fn give_back(&self) {
            if self.permits().give_back() {
                self.room.ring();
            }
        }
    }

    #[test]
    fn nobody_waits_for_ever_for_a_permit_and_the_maximum_holds() {
        loom::model(|| {
            let server = Server::new(1);
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let server = server.clone();
                    thread::spawn(move || {
                        assert_eq!(server.wait_for_permit(), 1);
                        server.give_back();
                    })
                })
                .collect();
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(server.taken.load(SeqCst), 0);
        });
    }

    #[test]
    fn a_raised_maximum_is_seen() {
        loom::model(|| {
            let server = Server::new(0);
            let waiter = thread::spawn({
                let server = server.clone();
                move || server.wait_for_permit()
            });
            server.max.store(1, SeqCst);
            if server.permits().is_wanted() {
                server.room.ring();
            }
            assert_eq!(waiter.join().unwrap(), 1);
        });
    }

    /// A drain ends, and not before the last place is free; what came in after it was let in sees the stop.
    #[test]
    fn a_drain_ends_with_the_last_place() {
        loom::model(|| {
            let server = Server::new(8);
            let acceptor = thread::spawn({
                let server = server.clone();
                move || {
                    // A place is taken before the look, so a drain that sees none can be sure.
                    server.places().enter(1);
                    let accepted = !server.places().is_stopping(1);
                    if accepted {
                        assert_eq!(server.over.load(SeqCst), 0, "the drain ended without this one");
                    }
                    if server.places().leave(1) {
                        server.keeper.ring();
                    }
                }
            });
            server.places().stop(1);
            loop {
                server.keeper.clear();
                if server.places().count() == 0 {
                    break;
                }
                server.keeper.wait();
            }
            server.over.store(1, SeqCst);
            // Nobody is let in any more.
            server.places().enter(1);
            assert!(server.places().is_stopping(1));
            let _ = server.places().leave(1);
            acceptor.join().unwrap();
        });
    }
}
