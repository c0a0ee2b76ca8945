use super::Run;
use crate::clock;
use crate::events::Hogged;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

/// What a shard lets the keeper know: whether it moves on from one connection to the next.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// One more than the place in the registry of the connection that it is at, or 0.
    at: AtomicU64,
    /// How often it has moved on.
    turns: AtomicU64,
    /// It has something to do.
    awake: AtomicBool,
    /// The keeper is to be told when it wakes up.
    unwatched: AtomicBool,
}

/// The shard's side.
#[cfg(feature = "tokio")]
impl Pulse {
    /// The shard turns to a connection.
    #[inline]
    pub(crate) fn begin(&self, at: usize) {
        self.at.store(at as u64 + 1, Relaxed);
        self.turns.store(self.turns.load(Relaxed).wrapping_add(1), Relaxed);
    }

    #[inline]
    pub(crate) fn end(&self) {
        self.at.store(0, Relaxed);
    }

    pub(crate) fn wake_up(&self, run: &Run) {
        self.awake.store(true, SeqCst);
        if self.unwatched.load(SeqCst) && self.unwatched.swap(false, SeqCst) {
            run.shared.control.keeper.wake();
        }
    }

    pub(crate) fn fall_asleep(&self) {
        self.awake.store(false, SeqCst);
    }
}

/// For this long a handler may go on without a wait.
const PATIENCE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(50);

/// Looks for handlers that keep their shard from everybody else. While all shards sleep it does not look.
#[derive(Debug, Default)]
pub(crate) struct Hogs {
    seen: Vec<Seen>,
    next: Option<Instant>,
}

/// One shard as it was seen last.
#[derive(Debug)]
struct Seen {
    turns: u64,
    since: Instant,
    told: bool,
}

impl Hogs {
    /// Looks, if it is time to, and tells when it will be again.
    pub(crate) fn look(&mut self, run: &Run) -> Option<Instant> {
        let pulses: &[Arc<Pulse>] = run.pulses();
        if pulses.is_empty() {
            return None;
        }
        let now = clock::now();
        if self.next.is_some_and(|next| now < next) {
            return self.next;
        }
        self.seen.resize_with(pulses.len(), || Seen { turns: 0, since: now, told: false });
        for (shard, (pulse, seen)) in pulses.iter().zip(&mut self.seen).enumerate() {
            let (turns, at) = (pulse.turns.load(Relaxed), pulse.at.load(Relaxed));
            if turns != seen.turns || at == 0 {
                *seen = Seen { turns, since: now, told: false };
            } else if !seen.told && now.saturating_duration_since(seen.since) >= PATIENCE {
                seen.told = true;
                let place = usize::try_from(at - 1).ok();
                // It may have gone just now, and the shard on to others.
                let Some(connection) = place.and_then(|at| run.shared.registry.id(at)) else { continue };
                let event = Hogged { connection, shard, time: now.saturating_duration_since(seen.since) };
                run.observe(|observer| observer.hogged(&event));
            }
        }
        let is_awake = || pulses.iter().any(|pulse| pulse.awake.load(SeqCst));
        let mut awake = is_awake();
        if !awake {
            pulses.iter().for_each(|pulse| pulse.unwatched.store(true, SeqCst));
            // Either this sees the shard awake, or the shard sees that nobody looks.
            awake = is_awake();
        }
        self.next = awake.then(|| now + LOOK);
        self.next
    }
}
