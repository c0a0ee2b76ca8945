//! Packets from the client's side: one core that never waits, and for each colour of code its own way to wait.

mod blocking;
mod core;
mod packet;
#[cfg(feature = "tokio")]
pub(super) mod task;
mod undelivered;

pub use self::blocking::{DatagramClient, DatagramSocket, datagram, datagram_socket};
pub use self::packet::Packet;
pub use self::undelivered::Undelivered;

use std::io;
use std::time::Duration;

/// How long to wait before another look at a socket that has no room for a packet, and an error for somebody else to
/// take: as long as it is there no wait for room lasts.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

fn nothing_came() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no packet came in time")
}

fn nothing_left() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the packet could not leave in time")
}
