//! What time it is: inside a tokio runtime by its clock, which a test can pause.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
pub(crate) fn now() -> Instant {
    if tokio::runtime::Handle::try_current().is_ok() { tokio::time::Instant::now().into_std() } else { Instant::now() }
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A point in time in half the room of an [`Instant`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn now() -> Self {
        // 584 years fit.
        Self(u64::try_from(now().saturating_duration_since(origin()).as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment that lies so long before this one.
    pub(crate) fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// As a number, for a child too.
    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) fn elapsed(self) -> Duration {
        now().saturating_duration_since(origin()).saturating_sub(Duration::from_nanos(self.0))
    }
}

/// What moments count from; a child has it from its parent.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}
