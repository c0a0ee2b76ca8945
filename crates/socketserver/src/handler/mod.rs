//! What: the handler traits, and which model runs which.

mod runs_on;
mod sync_stream;
#[cfg(feature = "tokio")]
mod task_stream;

pub use runs_on::{Lift, RunsOn, Service, kind};
pub use sync_stream::Handler as BlockingHandler;
#[cfg(feature = "tokio")]
pub use task_stream::Handler;
