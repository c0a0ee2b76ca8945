use super::{Hub, Outbox};
use crate::Peer;
use std::fmt;
use std::sync::Arc;

/// That a channel is in a room of a [`Hub`]: it leaves when this is dropped. [`Hub::join`] gives it.
///
/// What was published before it left, and waits in its outbox, still goes to it.
///
/// ```
/// use socketserver::{Channel, Hub, Membership, MessageHandler, Result, framing::Line};
/// use std::collections::HashMap;
///
/// /// Peers come into rooms and go as they like: `+news`, `-news`.
/// struct Rooms(Hub);
/// impl MessageHandler for Rooms {
///     type State = HashMap<String, Membership>;
///     fn open(&self, _: &mut Channel) -> Result<Self::State> {
///         Ok(HashMap::new())
///     }
///     fn message(&self, rooms: &mut Self::State, line: &[u8], c: &mut Channel) -> Result {
///         match std::str::from_utf8(line)?.split_at_checked(1) {
///             Some(("+", room)) => drop(rooms.insert(room.to_owned(), self.0.join(room, c)?)),
///             Some(("-", room)) => drop(rooms.remove(room)),
///             _ => rooms.values().for_each(|room| drop(room.publish(line))),
///         }
///         Ok(())
///     }
/// }
/// let handler = Rooms(Hub::new()).framed(Line::new());
/// # let _ = handler;
/// ```
#[must_use = "dropped at once it has left the room at once"]
pub struct Membership {
    hub: Hub,
    room: Arc<str>,
    outbox: Outbox,
}

impl Membership {
    pub(super) fn new(hub: Hub, room: Arc<str>, outbox: Outbox) -> Self {
        Self { hub, room, outbox }
    }

    /// The room's name.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// The member's number: see [`Member::number`].
    #[must_use]
    pub fn number(&self) -> u64 {
        self.outbox.number()
    }

    /// The hub that the room is of.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Sends a message to all who are in the room, this member too: see [`Hub::publish`].
    pub fn publish(&self, message: impl Into<Arc<[u8]>>) -> usize {
        self.hub.publish(&self.room, message)
    }

    /// Sends a message to all others who are in the room: see [`Hub::publish`].
    pub fn publish_to_others(&self, message: impl Into<Arc<[u8]>>) -> usize {
        self.hub.publish_to_others(&self.room, self, message)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.leave(&self.room, &self.outbox);
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("room", &self.room).field("number", &self.number()).finish_non_exhaustive()
    }
}

/// Who is in a room of a [`Hub`]: [`Hub::members`] tells.
///
/// ```
/// use socketserver::{Hub, PushError};
///
/// fn whisper(hub: &Hub, room: &str, to: u64, words: &str) -> Result<(), PushError> {
///     let member = hub.members(room).into_iter().find(|member| member.number == to);
///     member.ok_or(PushError::Closed)?.outbox.push(words.as_bytes())
/// }
/// assert_eq!(whisper(&Hub::new(), "lobby", 7, "psst"), Err(PushError::Closed));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Member {
    /// Its channel's number, which no other channel of this process has or has had: the same in all rooms of all hubs.
    pub number: u64,
    /// [`Channel::id`](crate::Channel::id), unique in its server: for [`Handle::kick`](crate::Handle::kick), which reaches connections, not
    /// sessions; [`Outbox::end`] ends either.
    pub id: u64,
    /// Who it is.
    pub peer: Peer,
    /// The way to it alone.
    pub outbox: Outbox,
}

impl Member {
    /// `None`: its conversation is over.
    pub(super) fn new(outbox: &Outbox) -> Option<Self> {
        if outbox.is_closed() {
            return None;
        }
        let (id, peer) = outbox.whose()?;
        Some(Self { number: outbox.number(), id, peer, outbox: outbox.clone() })
    }
}
