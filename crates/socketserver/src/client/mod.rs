//! The client's side: the same connections, and packets.
//!
//! | you want to | blocking | async |
//! |---|---|---|
//! | connect to a stream server | [`connect`], [`connect_within`] | not yet |
//! | exchange messages with one | [`blocking::Stream::into_framed`](crate::blocking::Stream::into_framed) | not yet |
//! | exchange packets with one peer | [`datagram`] | [`task::datagram`] |
//! | exchange packets with many | [`datagram_socket`] | [`task::datagram_socket`] |
//!
//! A packet may be lost, and nobody tells. Where somebody does, by ICMP, it is an [`Undelivered`] that names the peer.
#![cfg_attr(
    not(feature = "tokio"),
    doc = "

[`task::datagram`]: self
[`task::datagram_socket`]: self"
)]

mod datagram;
mod stream;
mod target;

#[cfg(feature = "tokio")]
pub use datagram::task;
pub use datagram::{DatagramClient, DatagramSocket, Packet, Undelivered, datagram, datagram_socket};
pub use stream::{connect, connect_within};
pub use target::Target;

#[cfg(feature = "tls")]
pub use crate::tls::ClientTls;
