//! Where: addresses, bound sockets, the life of a Unix socket's file.

mod adopt;
mod listen;
mod listener;
mod listeners;
mod places;
mod prepare;
mod resolve;
mod source;
#[cfg(feature = "tokio")]
mod task_source;
mod tuning;
mod unix_file;

pub use listen::ListenOptions;
pub(crate) use listener::{Accepted, Listener, Transport};
pub(crate) use listeners::{LeftPackets, Listeners, Waits, is_ready, poll_until, readable, timespec_until};
pub use places::{Endpoints, Where};
pub use source::Accept;
#[cfg(feature = "tokio")]
pub use task_source::Accept as TaskAccept;

pub(crate) use resolve::{abstract_name, resolve};
