//! The parts of `socketserver` that need no socket: pure values and decisions, tested without a
//! network, a runtime or a clock.
//!
//! - [`endpoint`]: where to listen, as a string that a person can type (`tcp://127.0.0.1:8080`).
//! - [`framing`]: where one message ends and the next begins.
//! - [`proxy`]: who a connection is from, told by the proxy that it came through.
//! - [`exec`]: the native protocol of remote execution.
//! - [`accept`]: what a failed `accept(2)` means for the loop that called it.
//! - [`backoff`]: how long that loop waits while the process is out of descriptors or memory.
//! - [`cidr`]: who is meant by a block of addresses, and as whom an address counts.
//! - [`pace`]: how often something may happen.
//! - [`peers`]: what is known of those who send packets, in memory of a fixed size.
//! - [`printable`]: which characters of others' words may be shown as they are.
//! - [`permits`], [`census`], [`queue`], [`wait`]: how connections and threads are counted, messages wait, and a handler for
//!   its peer, without losing a wake-up; [`word`] is what they are made of. They are here to be modelled, and are the library's
//!   own: they may change with any version.
//!
//! ```
//! use socketserver_proto::{Endpoint, Host};
//!
//! let endpoint: Endpoint = "*:8080".parse()?;
//! assert_eq!(endpoint, Endpoint::Tcp { host: Host::Any, port: 8080 });
//! assert_eq!(endpoint.to_string(), "tcp://*:8080");
//! # Ok::<(), socketserver_proto::EndpointError>(())
//! ```

#![forbid(unsafe_code)]

pub mod accept;
pub mod backoff;
pub mod census;
pub mod cidr;
pub mod endpoint;
pub mod exec;
pub mod framing;
pub mod pace;
pub mod peers;
pub mod permits;
pub mod printable;
pub mod proxy;
pub mod queue;
mod quoted;
pub mod wait;
pub mod word;

pub use accept::{AcceptFailure, classify};
pub use backoff::Backoff;
pub use cidr::{Cidr, CidrError, peer_key};
pub use endpoint::{Endpoint, EndpointError, Host, MAX_TARGETS, Targets, UnixName};
pub use pace::{Pace, Rate, RateError};
