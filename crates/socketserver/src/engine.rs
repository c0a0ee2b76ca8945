//! Which engine a model runs on.

use crate::connection::sync_stream;
use crate::connection::{Core, PollIo, SyncIo};
#[cfg(feature = "tokio")]
use crate::connection::{TaskIo, task_stream};
#[cfg(feature = "tokio")]
use crate::datagram::session::TaskSession;
use crate::datagram::session::{SyncSession, Talk};

/// Which engine a [`Model`](crate::Model) runs on. Sealed; there it is in use.
pub trait Engine: sealed::Sealed + Sized + 'static {
    /// Its connections.
    #[doc(hidden)]
    type Stream: Conn<Io = Self::Io>;
    #[doc(hidden)]
    type Io: PollIo;
    /// Its conversations over packets.
    #[doc(hidden)]
    type Session: Talk;
}

/// The blocking engine: `std` sockets, a thread or a process that waits. [`Serial`](crate::Serial),
/// [`Threads`](crate::Threads) and [`Forks`](crate::Forks) run on it.
#[derive(Debug)]
pub enum Blocking {}

impl Engine for Blocking {
    type Stream = sync_stream::Stream;
    type Io = SyncIo;
    type Session = SyncSession;
}

/// The async engine: a tokio runtime a core. [`Tasks`](crate::Tasks) runs on it, and
/// [`Server::run`](crate::Server::run) in a runtime of the program's own.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub enum Async {}

#[cfg(feature = "tokio")]
impl Engine for Async {
    type Stream = task_stream::Stream;
    type Io = TaskIo;
    type Session = TaskSession;
}

/// A connection as handlers of an engine see it, made of the core that all share.
#[doc(hidden)]
pub trait Conn {
    type Io: PollIo;
    fn new(core: Core<Self::Io>) -> Self;
    fn core(&mut self) -> &mut Core<Self::Io>;
}

mod sealed {
    #[expect(unnameable_types, reason = "what cannot be named cannot be implemented")]
    pub trait Sealed {}
    impl Sealed for super::Blocking {}
    #[cfg(feature = "tokio")]
    impl Sealed for super::Async {}
}
