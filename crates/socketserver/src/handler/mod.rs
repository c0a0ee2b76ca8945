//! What: the handler traits, and which model runs which.

mod datagram;
mod runs_on;
mod sync_stream;
#[cfg(feature = "tokio")]
mod task_stream;

pub use datagram::DatagramHandler;
pub use runs_on::{Both, Lift, RunsOn, Service, kind};
pub use sync_stream::Handler as BlockingHandler;
#[cfg(feature = "tokio")]
pub use task_stream::Handler;
