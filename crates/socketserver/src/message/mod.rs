//! Whole messages, whatever carries them.

mod carrier;
mod channel;
mod converse;
mod exchange;
mod framed;
mod hub;
mod membership;
mod out;
mod outbox;
mod packets;
mod reading;
mod records;
mod room;
mod sync_messages;
#[cfg(feature = "tokio")]
mod task_messages;
#[cfg(feature = "websocket")]
pub(crate) mod websocket;

pub(crate) use carrier::Frames;
pub(crate) use channel::Link;
pub use channel::{Carrier, Channel};
pub(crate) use converse::{Hear, converse};
pub use framed::{Framed, Unframed};
pub use hub::{Hub, HubError};
pub use membership::{Member, Membership};
pub(crate) use out::Form;
pub use outbox::{Outbox, Overflow, PushError};
pub(crate) use packets::Packets;
pub(crate) use records::{Records, longest_sent};
pub use sync_messages::{MessageReceiver, MessageSender, Messages as SyncMessages};
#[cfg(feature = "tokio")]
pub use task_messages::Messages;
#[cfg(feature = "websocket")]
pub use websocket::{Page, WebSocket};
