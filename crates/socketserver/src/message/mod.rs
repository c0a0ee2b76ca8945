//! Whole messages, whatever carries them.

mod carrier;
mod channel;
mod converse;
mod framed;
mod out;
mod outbox;
mod packets;

pub(crate) use carrier::Frames;
pub(crate) use channel::Link;
pub use channel::{Carrier, Channel};
pub(crate) use converse::{Hear, converse};
pub use framed::{Framed, Unframed};
pub(crate) use out::Form;
pub use outbox::{Outbox, Overflow, PushError};
pub(crate) use packets::Packets;
