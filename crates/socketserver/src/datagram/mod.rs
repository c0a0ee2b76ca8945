//! Packets: received many at a time, handed to the handler one by one, answered many at a time. What comes in trains
//! leaves in trains.

mod batch;
mod bounces;
mod dispatch;
mod packet;
pub(crate) mod session;
mod socket;
mod standing;
mod trains;

pub(crate) use batch::Batch;
#[cfg(feature = "tokio")]
pub(crate) use batch::{judge_outcome, verify};
pub(crate) use bounces::tell_bounces;
pub(crate) use dispatch::Dispatch;
#[cfg(feature = "tokio")]
use packet::GATHER;
pub use packet::{Datagram, Replies};
pub(crate) use socket::{DatagramSocket, Received};
pub(crate) use standing::Standing;
