//! Packets: received many at a time, handed to the handler one by one, answered many at a time.

mod batch;
mod packet;
mod socket;

pub(crate) use batch::Batch;
pub use packet::{Datagram, Replies};
pub(crate) use socket::DatagramSocket;
