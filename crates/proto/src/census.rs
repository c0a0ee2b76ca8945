//! How many threads a pool has, how many of them wait for work, and when there have to be more: without a lock, and
//! without losing a wake-up.
//!
//! Nothing here waits or starts anything: each function tells what its caller has to do.

use crate::word::Word;

/// The threads of a pool. Each waits for a connection, sees to it that another waits, and serves (leader/followers).
///
/// Whoever leaves the waiting sees to it that somebody still waits, or that all threads there may be are at work. What he
/// does not do himself an overseer does, whom he wakes for that.
///
/// ```
/// use socketserver_proto::census::Census;
/// use std::sync::atomic::AtomicU64;
/// let pool = Census::<AtomicU64>::default();
/// assert!(pool.grow(2) && !pool.is_short(1) && pool.is_short(2));
/// pool.begin_wait();
/// assert!(!pool.is_short(2));
/// // There are enough: whoever oversees the pool sleeps, until somebody leaves the waiting and nobody waits any more.
/// assert!(pool.may_sleep(2));
/// pool.end_wait();
/// assert!(pool.must_wake(2));
/// assert!(pool.grow(2) && !pool.grow(2));
/// assert_eq!(pool.threads(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Census<W> {
    /// How many threads there are, in the upper half, and in the lower half how many of them wait: so both change at once.
    counts: W,
    /// 1: the overseer sleeps until it is woken.
    sleeps: W,
}

/// One thread, in the upper half; one that waits, in the lower.
const THREAD: u64 = 1 << 32;
const WAITING: u64 = 1;

impl<W: Word> Census<W> {
    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.counts.load() / THREAD
    }

    /// A thread waits from now on.
    pub fn begin_wait(&self) {
        self.counts.add(WAITING);
    }

    /// It does not any more.
    pub fn end_wait(&self) {
        self.counts.sub(WAITING);
    }

    /// Whether nobody waits, though there may be more threads.
    #[must_use]
    pub fn is_short(&self, max: u64) -> bool {
        grown(self.counts.load(), max).is_some()
    }

    /// Counts one more thread if nobody waits and there may be one more. `true`: it has to be started.
    #[must_use]
    pub fn grow(&self, max: u64) -> bool {
        self.counts.update(|now| grown(now, max)).is_ok()
    }

    /// Counts one waiting thread less if there are more than there must be, and another one waits. `true`: this one has to
    /// end.
    #[must_use]
    pub fn shrink(&self, min: u64) -> bool {
        let shrunk = |now: u64| (now % THREAD > 1 && now / THREAD > min).then(|| now - THREAD - WAITING);
        self.counts.update(shrunk).is_ok()
    }

    /// A thread that does not wait ends, or could not be started.
    pub fn leave(&self) {
        self.counts.sub(THREAD);
    }

    /// The overseer is about to sleep until it is woken. `false`: threads are missing, so it had better not.
    ///
    /// The look comes after the word: either this side sees the shortage, or whoever causes it sees that this one sleeps. Both
    /// change the word, so of the two the later one sees what the other has done before.
    #[must_use]
    pub fn may_sleep(&self, max: u64) -> bool {
        if self.is_short(max) {
            return false;
        }
        self.sleeps.swap(1);
        !self.is_short(max)
    }

    /// Asked by whoever has left the waiting. `true`: threads are missing, and the overseer has to be woken for that; told
    /// once.
    #[must_use]
    pub fn must_wake(&self, max: u64) -> bool {
        self.is_short(max) && self.sleeps.swap(0) != 0
    }
}

fn grown(now: u64, max: u64) -> Option<u64> {
    (now.is_multiple_of(THREAD) && now / THREAD < max).then(|| now + THREAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn one_always_waits_and_there_are_never_too_many() {
        let pool = Census::<AtomicU64>::default();
        assert!(!pool.grow(0) && pool.grow(3));
        pool.begin_wait();
        assert!(!pool.grow(3), "somebody waits");
        pool.end_wait();
        assert!(pool.grow(3) && pool.grow(3) && !pool.grow(3));
        (0..3).for_each(|_| pool.begin_wait());
        assert!(!pool.shrink(3), "there must be three");
        assert!(pool.shrink(1) && pool.shrink(1) && !pool.shrink(1), "there must be one");
        assert!(!pool.shrink(0), "the last one waits");
        pool.end_wait();
        assert!(!pool.shrink(0), "it does not wait");
        pool.leave();
        assert_eq!(pool.threads(), 0);
    }

    #[test]
    fn the_overseer_is_woken_once_and_only_where_threads_are_missing() {
        let pool = Census::<AtomicU64>::default();
        assert!(pool.grow(2));
        assert!(!pool.may_sleep(2), "nobody waits");
        assert!(!pool.must_wake(2), "it does not sleep");
        assert!(pool.may_sleep(1), "there may not be more");
        assert!(!pool.must_wake(1));
        assert!(pool.must_wake(2) && !pool.must_wake(2));
    }
}

/// Every order in which threads can come through.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::word::model::{Bell, Modelled};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    #[derive(Default)]
    struct Pool {
        census: Census<Modelled>,
        /// How many connections are served; each until there are two.
        served: Mutex<u64>,
        two: Condvar,
        overseer: Bell,
    }

    /// At once no more than one thread is started, so the overseer has to start the second.
    const AT_ONCE: u64 = 1;
    const MAX: u64 = 2;

    impl Pool {
        /// As a thread of the pool does it; a connection is there for each.
        fn work(&self) {
            self.census.begin_wait();
            self.census.end_wait();
            assert!(!self.census.grow(AT_ONCE));
            if self.census.must_wake(MAX) {
                self.overseer.ring();
            }
            let mut served = self.served.lock().unwrap();
            *served += 1;
            self.two.notify_all();
            while *served < 2 {
                served = self.two.wait(served).unwrap();
            }
        }
    }

    /// It is seen to fail, for nobody starts the second thread, when `may_sleep` does not look again, and when `must_wake` looks
    /// at the word without changing it.
    #[test]
    fn a_connection_that_waits_gets_a_thread() {
        loom::model(|| {
            let pool = Arc::new(Pool::default());
            let mut threads = Vec::new();
            while pool.census.threads() < MAX {
                if pool.census.may_sleep(MAX) {
                    pool.overseer.wait();
                    pool.overseer.clear();
                }
                if pool.census.grow(MAX) {
                    let pool = pool.clone();
                    threads.push(thread::spawn(move || pool.work()));
                }
            }
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(!pool.census.is_short(MAX) && pool.census.is_short(MAX + 1));
        });
    }

    /// Threads that have nothing to do end, and one is given a connection meanwhile. It is seen to fail when `shrink` takes the
    /// last that waits.
    #[test]
    fn whoever_ends_leaves_one_that_waits() {
        loom::model(|| {
            let census = Arc::new(Census::<Modelled>::default());
            (0..3).for_each(|_| assert!(census.grow(MAX + 1)));
            (0..3).for_each(|_| census.begin_wait());
            let idle: Vec<_> = (0..2)
                .map(|_| {
                    let census = census.clone();
                    thread::spawn(move || census.shrink(1))
                })
                .collect();
            census.end_wait();
            if census.grow(MAX + 1) {
                // The new one waits.
                census.begin_wait();
            }
            let ended = idle.into_iter().map(|idle| idle.join().unwrap()).filter(|has_ended| *has_ended).count();
            assert!(!census.is_short(MAX + 1), "{ended} have ended, and nobody waits");
        });
    }
}
