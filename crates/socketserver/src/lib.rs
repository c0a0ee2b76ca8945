#![doc = include_str!("../docs/overview.md")]
// What is not there without it leads to the words that say so.
#![cfg_attr(
    not(feature = "tokio"),
    doc = "

[`Accept`]: #a-server
[`Handler`]: #a-server
[`Offload`]: #a-server
[`Server::run`]: #a-server
[`Stream`]: #a-server
[`Tasks`]: #a-server
[`client::task`]: #a-server"
)]
// Which feature an item is of stands beside it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod admission;
pub mod client;
mod clock;
mod connection;
mod datagram;
mod endpoint;
mod engine;
mod error;
mod events;
mod handler;
mod lifecycle;
mod message;
mod model;
pub mod probe;
mod running;
mod server;
mod suits;
mod tls;

/// What a handler returns: `?` works on every error, `Ok(())` at the end.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a handler gave up on its connection: any error, or a text: `Err("no such room")?`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

pub use admission::{OverLimit, ProxySource};
pub use connection::pipeline::Panic;
#[cfg(feature = "tokio")]
pub use connection::{AsyncTransport, task_stream::Stream};
pub use connection::{Peer, Phase, Proxied, Reason};
#[cfg(feature = "tokio")]
pub use datagram::session::TaskSession as Session;
pub use datagram::session::{Sessions, WhenFull, sessions};
pub use datagram::{Datagram, Replies};
#[cfg(feature = "tokio")]
pub use endpoint::TaskAccept as Accept;
pub use endpoint::{Endpoints, ListenOptions, Where};
#[cfg(feature = "tokio")]
pub use engine::Async;
pub use engine::{Blocking, Engine};
pub use error::{Error, ErrorKind};
#[cfg(feature = "metrics")]
pub use events::MetricsObserver;
#[cfg(feature = "tracing")]
pub use events::TracingObserver;
pub use events::{
    AcceptFailed, AcceptThen, ChildEnded, Closed, Cut, Draining, Hogged, HookFailed, Observer, Opened, Refusal,
    Refused, SpawnFailed, TlsReloadFailed, TlsReloaded, Undelivered, Unsent,
};
#[cfg(feature = "tokio")]
pub use handler::{AsyncDatagramHandler, AsyncMessageHandler, Handler, SessionHandler};
pub use handler::{DatagramHandler, MessageHandler, RunsOn, Service};
#[cfg(feature = "tokio")]
pub use lifecycle::UntilDraining;
pub use lifecycle::{ConnectionInfo, Handle, Report, Signal, Totals};
#[cfg(feature = "tokio")]
pub use message::Messages;
pub use message::{Carrier, Channel, Framed, Hub, HubError, Member, Membership, Outbox, Overflow, PushError};
#[cfg(feature = "websocket")]
pub use message::{Page, WebSocket};
pub use model::{Forks, Job, Model, Serial, Threads, Work};
#[cfg(feature = "tokio")]
pub use model::{Offload, Tasks};
pub use running::Running;
pub use server::{Served, Server};
pub use socketserver_proto::{Cidr, CidrError, Endpoint, EndpointError, Host, Pace, Rate, RateError, UnixName};
pub use socketserver_sys::Credentials;
pub use suits::{AnyEngine, Suits};
#[cfg(feature = "tls")]
pub use tls::{AltName, Identity, IdentityError, ServerTls, TlsInfo, TlsVersion};
pub use tls::{Fingerprint, FingerprintError, HandshakeFailure};

/// What [`ServerTls::from_rustls`] and [`ClientTls::from_rustls`](client::ClientTls::from_rustls) take, in its right version.
#[cfg(feature = "tls")]
pub use rustls;

/// The PROXY protocol: what [`Proxied`] has, and what a client sends.
#[doc(inline)]
pub use socketserver_proto::proxy;

/// How messages are told apart in a stream of bytes.
#[doc(inline)]
pub use socketserver_proto::framing;

/// The blocking side: handlers, connections and sources that need no runtime.
pub mod blocking {
    pub use crate::connection::sync_stream::{ReadHalf, Stream, WriteHalf};
    pub use crate::datagram::session::SyncSession as Session;
    pub use crate::endpoint::Accept;
    pub use crate::handler::BlockingHandler as Handler;
    pub use crate::handler::BlockingSessionHandler as SessionHandler;
    pub use crate::message::{MessageReceiver, MessageSender, SyncMessages as Messages};
}

/// The documents whose code is to compile and run.
#[cfg(doctest)]
mod documents {
    /// They show TLS, which is a feature.
    #[cfg(feature = "tls")]
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[cfg(feature = "tls")]
    #[doc = include_str!("../README.zh-CN.md")]
    struct ReadmeInChinese;
    #[doc = include_str!("../docs/models.md")]
    struct Models;
    #[doc = include_str!("../docs/limits.md")]
    struct Limits;
    #[doc = include_str!("../docs/proxy.md")]
    struct Proxies;
    #[doc = include_str!("../docs/messages.md")]
    struct Messages;
    /// It shows observers that are features.
    #[cfg(all(feature = "tracing", feature = "metrics"))]
    #[doc = include_str!("../docs/events.md")]
    struct Events;
    #[cfg(feature = "tls")]
    #[doc = include_str!("../docs/tls.md")]
    struct Tls;
    #[doc = include_str!("../docs/coming-from-python.md")]
    struct ComingFromPython;
    #[doc = include_str!("../docs/coming-from-python.zh-CN.md")]
    struct ComingFromPythonInChinese;
}

/// What the sealed traits are made of; not for use.
#[doc(hidden)]
pub mod sealed {
    #[cfg(feature = "tokio")]
    pub use crate::connection::TaskIo;
    pub use crate::connection::{Core, PollIo, SyncIo, Wait};
    pub use crate::datagram::session::{Budget, Heard, Mailbox, Talk};
    pub use crate::engine::Conn;
    pub use crate::handler::{Both, Conversing, Lift, Messaging, kind};
    pub use crate::message::Unframed;
}
