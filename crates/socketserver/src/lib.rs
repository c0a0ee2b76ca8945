#![doc = include_str!("../../../docs/overview.md")]
#![forbid(unsafe_code)]

mod admission;
pub mod client;
mod connection;
mod endpoint;
mod engine;
mod error;
mod events;
mod handler;
mod lifecycle;
mod model;
mod server;

/// What a handler returns: `?` works on every error, `Ok(())` at the end.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a handler gave up on its connection: any error, or a text: `Err("no such room")?`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

pub use connection::pipeline::Panic;
pub use connection::{Peer, Reason};
pub use endpoint::{Endpoints, ListenOptions, Where};
pub use engine::{Blocking, Engine};
pub use error::{Error, ErrorKind};
pub use events::{
    AcceptFailed, AcceptThen, ChildEnded, Closed, Cut, Draining, HookFailed, Observer, Opened, Refused, SpawnFailed,
};
pub use handler::{RunsOn, Service};
pub use lifecycle::{Handle, Report, Signal, Totals};
pub use model::{Forks, Job, Model, Serial, Threads, Work};
pub use server::{AnyEngine, Running, Served, Server, Suits};
pub use socketserver_proto::{Endpoint, EndpointError, Host, UnixName};
pub use socketserver_sys::Credentials;

/// The blocking side: handlers, connections and sources that need no runtime.
pub mod blocking {
    pub use crate::connection::stream::{ReadHalf, Stream, WriteHalf};
    pub use crate::endpoint::Accept;
    pub use crate::handler::Handler;
}

/// The documents whose code is to compile and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../README.zh-CN.md")]
    struct ReadmeInChinese;
    #[doc = include_str!("../../../docs/models.md")]
    struct Models;
    #[doc = include_str!("../../../docs/coming-from-python.md")]
    struct ComingFromPython;
}

/// What the sealed traits are made of; not for use.
#[doc(hidden)]
pub mod sealed {
    pub use crate::connection::{Core, PollIo, SyncIo, Wait};
    pub use crate::engine::Conn;
    pub use crate::handler::{Lift, kind};
}
