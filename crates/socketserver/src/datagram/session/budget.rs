use super::Options;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// What all sessions of a handler have in common: how many there are, and how many bytes wait for them.
#[derive(Debug)]
pub struct Budget {
    pub(crate) options: Options,
    /// How many there may be.
    max: AtomicUsize,
    sessions: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(options: Options) -> Self {
        Self { max: AtomicUsize::new(options.max), options, sessions: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// There may be no more than that, whatever was asked for.
    pub(crate) fn hold_to(&self, max: usize) {
        self.max.store(self.options.max.min(max), Relaxed);
    }

    /// Counts one more session, if there may be one more.
    pub(super) fn begin(&self) -> bool {
        let max = self.max.load(Relaxed);
        let more = |count| (count < max).then_some(count + 1);
        self.sessions.fetch_update(AcqRel, Acquire, more).is_ok()
    }

    pub(super) fn end(&self) {
        self.sessions.fetch_sub(1, AcqRel);
    }

    /// Takes room for so many bytes, if there is.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.options.memory);
        self.bytes.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::session::sessions;

    #[test]
    fn never_more_than_said() {
        let budget = Budget::new(sessions(()).max(2).memory(10).options);
        assert!(budget.begin() && budget.begin() && !budget.begin());
        budget.end();
        assert!(budget.begin());
        assert!(budget.take(10) && budget.take(0) && !budget.take(1) && !budget.take(usize::MAX));
        budget.give_back(1);
        assert!(budget.take(1) && !budget.take(1));
    }
}
