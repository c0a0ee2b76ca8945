//! What: the handler traits, and which model runs which.

mod conversing;
mod datagram;
mod message;
mod messaging;
mod runs_on;
mod sync_session;
mod sync_stream;
#[cfg(feature = "tokio")]
mod task_datagram;
#[cfg(feature = "tokio")]
mod task_message;
#[cfg(feature = "tokio")]
mod task_session;
#[cfg(feature = "tokio")]
mod task_stream;

pub use conversing::Conversing;
pub use datagram::DatagramHandler;
pub use message::MessageHandler;
pub use messaging::Messaging;
pub use runs_on::{Both, Lift, RunsOn, Service, kind};
pub use sync_session::Handler as BlockingSessionHandler;
pub use sync_stream::Handler as BlockingHandler;
#[cfg(feature = "tokio")]
pub use task_datagram::AsyncDatagramHandler;
#[cfg(feature = "tokio")]
pub use task_message::AsyncMessageHandler;
#[cfg(feature = "tokio")]
pub use task_session::Handler as SessionHandler;
#[cfg(feature = "tokio")]
pub use task_stream::Handler;
