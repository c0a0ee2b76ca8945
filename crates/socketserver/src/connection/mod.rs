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

pub(crate) use self::core::Limits;
pub(crate) use self::poll_io::now;
pub(crate) use self::record::{CLIENT, Connection};
pub(crate) use self::slot::{SLOT_WORDS, Slot};
