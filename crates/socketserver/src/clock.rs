//! What time it is: inside a tokio runtime by its clock, which a test can pause.

use std::time::Instant;

#[cfg(feature = "tokio")]
pub(crate) fn now() -> Instant {
    if tokio::runtime::Handle::try_current().is_ok() { tokio::time::Instant::now().into_std() } else { Instant::now() }
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn now() -> Instant {
    Instant::now()
}
