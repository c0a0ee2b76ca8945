//! The client's side: the same connections, and packets.
//!
//! | you want to | blocking | async |
//! |---|---|---|
//! | connect to a stream server | [`connect`], [`connect_within`] | [`task::connect`] |
//! | the same on terms of your own | [`Connector::connect`] | [`Connector::connect_async`] |
//! | exchange messages with one | [`blocking::Stream::into_framed`](crate::blocking::Stream::into_framed) | [`Stream::into_framed`] |
//! | exchange packets with one peer | [`datagram`] | [`task::datagram`] |
//! | exchange packets with many | [`datagram_socket`] | [`task::datagram_socket`] |
//!
//! A packet may be lost, and nobody tells. Where somebody does, by ICMP, it is an [`Undelivered`] that names the peer.
#![cfg_attr(feature = "tokio", doc = "\n\n[`Stream::into_framed`]: crate::Stream::into_framed")]
#![cfg_attr(
    not(feature = "tokio"),
    doc = "

[`task::connect`]: self
[`Connector::connect_async`]: self
[`Stream::into_framed`]: self
[`task::datagram`]: self
[`task::datagram_socket`]: self"
)]

mod connector;
mod datagram;
mod target;
#[cfg(feature = "tokio")]
mod task_stream;

/// What [`client`](self) has for a thread that waits, for async code: under the same names, with `.await`.
#[cfg(feature = "tokio")]
pub mod task {
    pub use super::datagram::task::*;
    pub use super::task_stream::connect;
}

#[cfg(feature = "tls")]
pub use crate::tls::ClientTls;
pub use connector::{Connector, connect, connect_within};
pub use datagram::{DatagramClient, DatagramSocket, Packet, Undelivered, datagram, datagram_socket};
pub use target::Target;
