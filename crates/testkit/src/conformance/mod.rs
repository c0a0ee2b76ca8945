//! What the library expects of what you give it, as tests: run your own framing, source or carrier through them.
//!
//! Each panics with what is wrong; what hangs counts as wrong after [`PATIENCE`](crate::PATIENCE). None has a timing of its own but
//! [`carrier`], which takes a write for held up after 300 ms.
//!
//! | yours | is run through |
//! |---|---|
//! | [`Framing`](socketserver::framing::Framing) | [`framing`], and by a property test or a fuzz target [`framed_stream`] |
//! | [`Accept`](socketserver::Accept) | [`accept`] |
//! | [`blocking::Accept`](socketserver::blocking::Accept) | [`blocking_accept`] |
//! | [`AsyncTransport`](socketserver::AsyncTransport) | [`carrier`] |

mod accept;
mod blocking_accept;
mod carrier;
mod framing;
mod stream;
#[cfg(test)]
mod tests;

pub use accept::accept;
pub use blocking_accept::blocking_accept;
pub use carrier::carrier;
pub use framing::{framed_stream, framing};

use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Those that hang on purpose need not do so for long.
const PATIENCE: Duration = if cfg!(test) { Duration::from_secs(10) } else { crate::PATIENCE };

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What must come to an end, by the runtime's clock.
async fn soon<T>(what: &str, waited_for: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waited_for).await {
        Ok(value) => value,
        Err(_) => panic!("it hangs: {what}"),
    }
}
