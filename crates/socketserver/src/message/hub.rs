use super::membership::{Member, Membership};
use super::room::{Members, Room};
use super::{Channel, Outbox};
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::error::Error;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Over so many locks the rooms are spread.
const SHARDS: usize = 16;

/// Rooms with names: whoever is in one hears what is published there. Chats, games, feeds, brokers.
///
/// A message handler joins its peers to rooms and keeps the [`Membership`]s in its state: a peer is in a room for as long as
/// there is one, so it leaves, at the latest, when its conversation is over, however that ends. A room is there while
/// somebody is in it. Cloning a hub gives another way into the same one, for another handler or thread.
///
/// Publishing puts the message into the [`Outbox`] of each member and waits for nobody. It is shared, not copied. A member
/// that takes its messages more slowly than they are published loses by its server's [`Overflow`](crate::Overflow) policy, and
/// holds up nobody else. No lock is held meanwhile, so others join, leave and publish at the same time.
///
/// What one publishes, one message after the other, reaches each member in that order. Of what several publish at the same
/// time, on several threads or shards, each member hears all, in any order, and two members may hear it in two; where that
/// matters one of them has to publish for all.
///
/// | option | default |
/// |---|---|
/// | [`max_rooms`](Self::max_rooms) | 10,000 |
/// | [`max_joined`](Self::max_joined) | 100 rooms a channel |
///
/// Names are text of up to [256 bytes](Self::MAX_NAME).
///
/// Under [`Forks`](crate::Forks) and [`Serial`](crate::Serial) there is no hub: peers of one child do not reach those of
/// another, and where one peer is served at a time nobody else is ever there. `serve` refuses a handler that says that it
/// has one ([`MessageHandler::hub`](crate::MessageHandler::hub)), and [`join`](Self::join) whoever did not say so.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Channel, Hub, Membership, MessageHandler, Result, Server, Threads, client};
///
/// /// What one says the others hear.
/// struct Chat(Hub);
/// impl MessageHandler for Chat {
///     type State = Membership;
///     fn open(&self, c: &mut Channel) -> Result<Membership> {
///         c.send(b"welcome")?;
///         Ok(self.0.join("lobby", c)?)
///     }
///     fn message(&self, lobby: &mut Membership, line: &[u8], _: &mut Channel) -> Result {
///         lobby.publish_to_others(line);
///         Ok(())
///     }
///     fn hub(&self) -> Option<&Hub> {
///         Some(&self.0)
///     }
/// }
/// let hub = Hub::new();
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), Chat(hub.clone()).framed(Line::new()))?;
/// let at = &server.handle().endpoints()[0];
/// let (mut ada, mut bob) = (client::connect(at)?, client::connect(at)?);
/// assert_eq!(ada.read_line(100)?.as_deref(), Some("welcome"));
/// assert_eq!(bob.read_line(100)?.as_deref(), Some("welcome"));
/// ada.write_all(b"hello\n")?;
/// assert_eq!(bob.read_line(100)?.as_deref(), Some("hello"));
/// assert_eq!(hub.publish("lobby", *b"closing time"), 2);
/// assert_eq!(ada.read_line(100)?.as_deref(), Some("closing time"));
/// # drop((ada, bob));
/// # server.stop()?;
/// assert!(hub.rooms().is_empty());
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Clone, Default)]
pub struct Hub(Arc<Inner>);

struct Inner {
    shards: [Mutex<HashMap<Arc<str>, Room>>; SHARDS],
    hasher: RandomState,
    rooms: AtomicUsize,
    max_rooms: AtomicUsize,
    max_joined: AtomicUsize,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            rooms: AtomicUsize::new(0),
            max_rooms: AtomicUsize::new(10_000),
            max_joined: AtomicUsize::new(100),
        }
    }
}

/// Why a channel could not join a room of a [`Hub`].
///
/// ```
/// let error = socketserver::HubError::NameTooLong(300);
/// assert_eq!(error.to_string(), "the name of a room has at most 256 bytes, and this one has 300");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HubError {
    /// The server runs a model that has no hub, for this reason.
    Unsupported(&'static str),
    /// The name has so many bytes, more than [`Hub::MAX_NAME`].
    NameTooLong(usize),
    /// There are as many rooms as there may be: so many.
    TooManyRooms(usize),
    /// The channel is in as many rooms as it may be: so many.
    TooManyJoined(usize),
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => f.write_str(why),
            Self::NameTooLong(bytes) => {
                write!(f, "the name of a room has at most {} bytes, and this one has {bytes}", Hub::MAX_NAME)
            }
            Self::TooManyRooms(max) => write!(f, "there are {max} rooms, and there may be no more (`Hub::max_rooms`)"),
            Self::TooManyJoined(max) => {
                write!(f, "the channel is in {max} rooms, and may be in no more (`Hub::max_joined`)")
            }
        }
    }
}

impl Error for HubError {}

impl Hub {
    /// The longest name of a room, in bytes.
    pub const MAX_NAME: usize = 256;

    /// One without rooms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rooms there may be at a time, in all clones of this hub; 10,000 unless said otherwise. So peers that choose
    /// their rooms' names do not fill the memory.
    ///
    /// ```
    /// let hub = socketserver::Hub::new().max_rooms(3).max_joined(1);
    /// # let _ = hub;
    /// ```
    #[must_use]
    pub fn max_rooms(self, rooms: usize) -> Self {
        self.0.max_rooms.store(rooms, Relaxed);
        self
    }

    /// In how many rooms a channel may be at a time; 100 unless said otherwise. So one peer does not take all rooms that
    /// there may be. Those of other hubs count.
    #[must_use]
    pub fn max_joined(self, rooms: usize) -> Self {
        self.0.max_joined.store(rooms, Relaxed);
        self
    }

    /// Lets a channel into a room, which is there from then on if it was not. It hears what is published once this has
    /// returned, and nothing from before.
    ///
    /// A channel may be in several rooms. In one that it is in already it is once all the same, hears everything once, and
    /// stays until it has dropped as many memberships as it was given.
    ///
    /// # Errors
    /// The server runs a model without a hub; the name is too long; there are as many rooms as there may be, or the channel
    /// is in as many.
    pub fn join(&self, room: &str, channel: &mut Channel) -> Result<Membership, HubError> {
        if let Some(why) = channel.server().without_hub() {
            return Err(HubError::Unsupported(why));
        }
        self.admit(room, channel.outbox())
    }

    fn admit(&self, name: &str, outbox: Outbox) -> Result<Membership, HubError> {
        if name.len() > Self::MAX_NAME {
            return Err(HubError::NameTooLong(name.len()));
        }
        let mut rooms = self.rooms_beside(name);
        let max = self.0.max_joined.load(Relaxed);
        let is_in = rooms.get(name).is_some_and(|room| room.has(outbox.number()));
        // Only its own handler lets a channel in, one room after the other.
        if !is_in && outbox.joined().load(Relaxed) >= max {
            return Err(HubError::TooManyJoined(max));
        }
        let name = match rooms.get_key_value(name) {
            Some((name, _)) => name.clone(),
            None => {
                let max = self.0.max_rooms.load(Relaxed);
                let one_more = |rooms| (rooms < max).then_some(rooms + 1);
                self.0.rooms.fetch_update(Relaxed, Relaxed, one_more).map_err(|_| HubError::TooManyRooms(max))?;
                name.into()
            }
        };
        rooms.entry(name.clone()).or_default().join(&outbox);
        drop(rooms);
        if !is_in {
            outbox.joined().fetch_add(1, Relaxed);
        }
        Ok(Membership::new(self.clone(), name, outbox))
    }

    /// A membership is dropped.
    pub(super) fn leave(&self, name: &Arc<str>, outbox: &Outbox) {
        let mut rooms = self.rooms_beside(name);
        let Entry::Occupied(mut room) = rooms.entry(name.clone()) else { return };
        if !room.get_mut().leave(outbox.number()) {
            return;
        }
        outbox.joined().fetch_sub(1, Relaxed);
        if room.get().len() == 0 {
            room.remove();
            self.0.rooms.fetch_sub(1, Relaxed);
        }
    }

    /// Sends a message to all who are in a room, and tells how many outboxes took it: 0 if nobody is there.
    ///
    /// It waits for nobody, and fails for nobody: what becomes of a message that finds a member's outbox full says that
    /// one's [`Overflow`](crate::Overflow) policy.
    pub fn publish(&self, room: &str, message: impl Into<Arc<[u8]>>) -> usize {
        self.publish_but(room, None, message)
    }

    /// As [`publish`](Self::publish), to all but one.
    pub fn publish_to_others(&self, room: &str, but: &Membership, message: impl Into<Arc<[u8]>>) -> usize {
        self.publish_but(room, Some(but.number()), message)
    }

    fn publish_but(&self, room: &str, but: Option<u64>, message: impl Into<Arc<[u8]>>) -> usize {
        let Some(members) = self.members_of(room) else { return 0 };
        let message = message.into();
        let others = members.iter().filter(|outbox| but != Some(outbox.number()));
        others.filter(|outbox| outbox.push(message.clone()).is_ok()).count()
    }

    /// Who is in a room, those first who came to the server first. Who is about to go is left out.
    #[must_use]
    pub fn members(&self, room: &str) -> Vec<Member> {
        let members = self.members_of(room).unwrap_or_default();
        let mut members: Vec<_> = members.iter().filter_map(Member::new).collect();
        members.sort_unstable_by_key(|member| member.number);
        members
    }

    /// The rooms that there are, and how many are in each, in no order.
    #[must_use]
    pub fn rooms(&self) -> Vec<(String, usize)> {
        let shards = self.0.shards.iter().map(lock);
        shards
            .flat_map(|rooms| rooms.iter().map(|(name, room)| (name.to_string(), room.len())).collect::<Vec<_>>())
            .collect()
    }

    fn members_of(&self, room: &str) -> Option<Members> {
        self.rooms_beside(room).get(room).map(Room::members)
    }

    /// The room of that name and those that share its lock.
    fn rooms_beside(&self, name: &str) -> MutexGuard<'_, HashMap<Arc<str>, Room>> {
        lock(&self.0.shards[self.0.hasher.hash_one(name) as usize % SHARDS])
    }
}

fn lock(shard: &Mutex<HashMap<Arc<str>, Room>>) -> MutexGuard<'_, HashMap<Arc<str>, Room>> {
    // Nobody's code but ours runs under it.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("rooms", &self.0.rooms.load(Relaxed)).finish_non_exhaustive()
    }
}
