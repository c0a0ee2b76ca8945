//! A load generator for servers that echo.
//!
//! One thread, one epoll instance. Each connection keeps a fixed number of messages in flight and sends the next only
//! when a reply has come back whole ("closed loop"), so the rate found is what the server sustains, not what was
//! offered. Or messages are sent [at a rate](Load::rate), whatever comes back ("open loop"), and the latency of each counts from when
//! it was to leave: so it is what users would see who do not wait for each other. Every byte of every reply is compared with what
//! was sent; every message differs from every other, so that a reply that is lost, doubled, reordered or sent to the wrong connection is a mismatch and not a success.
//!
//! ```no_run
//! use std::time::Duration;
//! use socketserver_load::{Load, Target};
//!
//! let target = Target::Tcp("127.0.0.1:8080".parse()?);
//! let outcome = Load::new(target)
//!     .connections(50)
//!     .depth(16)
//!     .size(64)
//!     .duration(Duration::from_secs(2))
//!     .warmup(Duration::from_millis(300))
//!     .run()?;
//! println!("{:.0} messages a second, p99 {:?}", outcome.rate(), outcome.latency.percentile(99.0));
//! assert!(outcome.errors.is_empty(), "{}", outcome.errors);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The connections may be [TLS](Load::tls) and [WebSocket](Load::websocket), and replies told apart by a [framing](Load::framing). A chat is another matter: there one connection speaks and many listen, see [`Load::room`].
//!
//! - [`Target`]: where the server is: TCP, a Unix socket or UDP. Of UDP a connection is a connected socket, and a packet that is
//!   lost is in flight to the end; unless it is a load of [many peers](Load::peers), which have one socket and send again.
//! - [`Load`]: what to do; [`ConnectClose`] makes it a connection a message.
//! - [`Outcome`]: what came of it: counts, [`Latency`], [`Errors`], how an [`OpenLoop`] was kept, the generator's own CPU time.
//! - [`Progress`]: how it comes along, while it runs.
//! - [`LoadError`]: the load could not be run at all. What the server did wrong is in [`Errors`] instead.
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("socketserver-load is one epoll thread: it runs on Linux and nowhere else");

mod compare;
mod connect;
mod crowd;
mod echo;
mod error;
mod errors;
mod lanes;
mod latency;
mod load;
mod meter;
mod outcome;
mod packets;
mod payload;
mod plan;
mod poller;
mod progress;
mod reader;
mod room;
mod schedule;
mod socket;
mod target;
mod tls;
mod websocket;
mod wire;

pub use compare::{Comparison, Ratio};
pub use error::LoadError;
pub use errors::Errors;
pub use latency::Latency;
pub use load::{ConnectClose, Load, Window};
pub use outcome::Outcome;
pub use progress::Progress;
pub use schedule::OpenLoop;
pub use target::Target;

/// What [`Load::tls_with`] takes, in its right version.
pub use rustls;
/// What [`Load::framing`], [`Load::rate`] and [`Target::of`] take.
#[doc(no_inline)]
pub use socketserver_proto::{Endpoint, Rate, framing::AnyFraming};
