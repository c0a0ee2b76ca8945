//! The pipeline of one connection, written once for every engine, and what it works on.

mod agree;
mod chunk;
mod close;
mod core;
mod facts;
mod fate;
#[cfg(feature = "tls")]
mod handshake;
mod input;
mod peer;
mod phase;
pub(crate) mod pipeline;
mod poll_io;
pub(crate) mod pool;
pub(crate) mod preamble;
mod reason;
mod record;
#[cfg(feature = "tls")]
mod secure;
mod slot;
mod sync_io;
pub(crate) mod sync_stream;
#[cfg(feature = "tokio")]
mod task_io;
#[cfg(feature = "tokio")]
pub(crate) mod task_stream;
mod terms;
mod unit;
mod wire;
mod writing;

pub use self::core::Core;
pub use self::peer::{Peer, Proxied};
pub use self::phase::Phase;
pub use self::poll_io::{PollIo, Wait};
pub use self::reason::Reason;
pub use self::sync_io::SyncIo;
#[cfg(feature = "tokio")]
pub use self::task_io::{AsyncTransport, TaskIo};

pub(crate) use self::chunk::Chunk;
#[cfg(feature = "websocket")]
pub(crate) use self::fate::Fate;
pub(crate) use self::poll_io::{now, now_poll};
pub(crate) use self::record::{Connection, Record, Steer};
pub(crate) use self::slot::{CLIENT, NEVER, Slot, Woken};
pub(crate) use self::terms::{HANDSHAKE, IDLE, Idle, Terms, WRITE};
