//! The pipeline of one connection, written once for every engine, and what it works on.

mod core;
mod input;
mod peer;
pub(crate) mod pipeline;
mod poll_io;
mod reason;
mod record;
mod slot;
pub(crate) mod stream;
mod sync_io;

pub use self::core::Core;
pub use self::peer::Peer;
pub use self::poll_io::{PollIo, Wait};
pub use self::reason::Reason;
pub use self::sync_io::SyncIo;

pub(crate) use self::core::{IDLE, Idle, Limits, WRITE};
pub(crate) use self::poll_io::{now, now_poll};
pub(crate) use self::record::{CLIENT, Connection};
pub(crate) use self::slot::{Chunk, Slot};
