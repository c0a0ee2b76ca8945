use crate::clock::Moment;
use crate::connection::{Connection, Reason, Steer};
use std::num::NonZero;
use std::time::Duration;

/// The deadlines that the keeper looks after: it goes through all connections now and then, which costs a read next to
/// nothing. `None` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// While the handler waits for its peer.
    pub(crate) idle: Option<Duration>,
    /// Until the first byte, from when the handler may have it.
    pub(crate) first_byte: Option<Duration>,
    /// From accept to close.
    pub(crate) lifetime: Option<Duration>,
    /// Bytes a second, once a request has begun to come in.
    pub(crate) min_rate: Option<NonZero<u64>>,
}

/// How often the keeper looks, and what it does then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    deadlines: Deadlines,
    pub(crate) period: Duration,
}

/// A deadline is looked after in so many steps.
const STEPS: u32 = 8;
/// The rate of a request is measured over this long.
const RATE_TIME: Duration = Duration::from_secs(5);

impl Deadlines {
    /// `None`: there is nothing to look after.
    pub(crate) fn looks(self) -> Option<Looks> {
        let rate = self.min_rate.map(|_| RATE_TIME);
        let nearest = [self.idle, self.first_byte, self.lifetime, rate].into_iter().flatten().min()?;
        Some(Looks { deadlines: self, period: (nearest / STEPS).max(Duration::from_millis(1)) })
    }
}

impl Looks {
    /// How many looks make up a time, so that it has passed for certain.
    fn in_looks(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos().div_ceil(self.period.as_nanos())).unwrap_or(u64::MAX)
    }

    /// The look at one connection, which is the one numbered `epoch`.
    pub(crate) fn look(&self, connection: &Connection, epoch: u64) {
        let Deadlines { idle, first_byte, lifetime, min_rate } = self.deadlines;
        if lifetime.is_some_and(|lifetime| connection.age() >= lifetime) {
            connection.cut(Reason::Lifetime);
        }
        let waited = || connection.slot.begun().map_or_else(|| connection.age(), Moment::elapsed);
        if first_byte.is_some_and(|first_byte| waited() >= first_byte) {
            connection.expire_first_byte();
        }
        if let Some(min_rate) = min_rate {
            let looks = self.in_looks(RATE_TIME);
            let time = self.period.as_secs_f64() * looks as f64;
            connection.expire_slow(epoch, looks, (min_rate.get() as f64 * time) as u64);
        }
        if let Some(idle) = idle {
            // A wait began, at the earliest, just before the look after the one that it noted.
            connection.expire(epoch.saturating_sub(self.in_looks(idle)));
        }
    }
}
