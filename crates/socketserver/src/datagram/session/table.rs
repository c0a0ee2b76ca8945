use super::Mailbox;
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Whom a packet is from, and to which of our addresses it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Ip(SocketAddr, Option<IpAddr>),
    Unix(Box<[u8]>),
}

impl Key {
    pub(super) fn unix(from: &SocketAddrAny) -> Self {
        let name = SocketAddrUnix::try_from(from.clone());
        let bytes = name.ok().and_then(|name| {
            let path = name.path_bytes().map(<[u8]>::to_vec);
            // So that one that is abstract is no path.
            path.or_else(|| name.abstract_name().map(|name| [b"\0", name].concat()))
        });
        Self::Unix(bytes.unwrap_or_default().into())
    }
}

/// Which peers have a session, and which of them were silent for longest.
///
/// Two lists: of those that were heard from once, and of those that were heard from again; each in the order in which they
/// were heard from last. All is done in constant time.
///
/// Peers are found by a hash of 64 bits with a key that nobody knows, for the room that it saves: of two peers with the same
/// one the second is turned away while the first has a session. Among a million peers there are two once in 37 million times.
#[derive(Debug, Default)]
pub(super) struct Table {
    hasher: RandomState,
    by_hash: HashMap<u64, u32, BuildHasherDefault<IsHash>>,
    entries: Vec<Entry>,
    /// The first free entry; they are linked by `newer`.
    free: Option<u32>,
    once: List,
    known: List,
    /// How many sessions there are, those included that nothing is sorted to any more.
    len: usize,
}

#[derive(Debug)]
struct Entry {
    mailbox: Option<Arc<Mailbox>>,
    older: u32,
    newer: u32,
    /// When it was heard from last, in ns.
    heard: u64,
    /// On which list it is.
    list: On,
}

/// Takes what is a hash already for what it is.
#[derive(Debug, Default)]
struct IsHash(u64);

impl Hasher for IsHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("it is given numbers alone");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What the table knows of a peer.
pub(super) enum Known<'a> {
    Session(&'a Arc<Mailbox>),
    Newcomer,
    /// It cannot be told from another one.
    Twin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Once,
    Known,
    /// Nothing is sorted to it any more.
    None,
}

/// Its ends; linked through the entries.
#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
}

const NOBODY: u32 = u32::MAX;

impl Default for List {
    fn default() -> Self {
        Self { oldest: NOBODY, newest: NOBODY }
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The session of a peer that was heard from now.
    pub(super) fn hear(&mut self, key: &Key, now: Duration) -> Known<'_> {
        let Some(index) = self.by_hash.get(&self.hasher.hash_one(key)).copied() else { return Known::Newcomer };
        if !self.entries[index as usize].mailbox.as_ref().is_some_and(|mailbox| mailbox.is_with(key)) {
            return Known::Twin;
        }
        self.unlink(index);
        self.link(index, On::Known, now);
        self.entries[index as usize].mailbox.as_ref().map_or(Known::Twin, Known::Session)
    }

    /// Adds a session of a peer that is heard from for the first time now, a newcomer.
    pub(super) fn add(&mut self, key: &Key, now: Duration, mailbox: impl FnOnce(u32) -> Mailbox) -> Arc<Mailbox> {
        let index = self.free.unwrap_or_else(|| {
            let index = u32::try_from(self.entries.len()).unwrap_or_else(|_| unreachable!("there are at most 2^31"));
            self.entries.push(Entry { mailbox: None, list: On::None, older: NOBODY, newer: NOBODY, heard: 0 });
            index
        });
        let next = self.entries[index as usize].newer;
        self.free = Some(next).filter(|next| *next != NOBODY);
        let mailbox = Arc::new(mailbox(index));
        self.entries[index as usize].mailbox = Some(mailbox.clone());
        self.link(index, On::Once, now);
        self.by_hash.insert(self.hasher.hash_one(key), index);
        self.len += 1;
        mailbox
    }

    pub(super) fn get(&self, index: u32) -> Option<&Arc<Mailbox>> {
        self.entries.get(index as usize)?.mailbox.as_ref()
    }

    /// Nothing is sorted to it any more: the next packet of its peer is another session's.
    pub(super) fn detach(&mut self, index: u32, key: &Key) {
        if self.entries[index as usize].list != On::None {
            self.unlink(index);
            self.by_hash.remove(&self.hasher.hash_one(key));
            // A crowd that has left leaves no empty house behind.
            if self.by_hash.capacity() > 1024 && self.by_hash.len() < self.by_hash.capacity() / 8 {
                self.by_hash.shrink_to(self.by_hash.len() * 2);
            }
        }
    }

    /// It is no more. It was detached before.
    pub(super) fn remove(&mut self, index: u32) -> Option<Arc<Mailbox>> {
        let entry = self.entries.get_mut(index as usize)?;
        let mailbox = entry.mailbox.take()?;
        debug_assert!(entry.list == On::None, "it was detached");
        entry.newer = self.free.unwrap_or(NOBODY);
        self.free = Some(index);
        self.len -= 1;
        if self.len == 0 {
            self.entries = Vec::new();
            self.free = None;
        }
        Some(mailbox)
    }

    /// The one that was silent for longest, and when it was heard from last.
    pub(super) fn oldest(&self) -> Option<(u32, Duration)> {
        let oldest = |list: &List| {
            let entry = self.entries.get(list.oldest as usize)?;
            Some((list.oldest, Duration::from_nanos(entry.heard)))
        };
        [oldest(&self.once), oldest(&self.known)].into_iter().flatten().min_by_key(|(_, heard)| *heard)
    }

    /// Those that were heard from once, the longest silent first.
    pub(super) fn once(&self) -> impl Iterator<Item = (u32, &Arc<Mailbox>)> {
        self.from(self.once.oldest)
    }

    /// Those that were heard from again, but not since `before`, the longest silent first.
    pub(super) fn known(&self, before: Duration) -> impl Iterator<Item = (u32, &Arc<Mailbox>)> {
        let before = nanos(before);
        let is_old = move |index: u32| self.entries[index as usize].heard <= before;
        self.from(self.known.oldest).take_while(move |(index, _)| is_old(*index))
    }

    /// All there are, those included that nothing is sorted to any more.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.entries.iter().filter_map(|entry| entry.mailbox.as_ref())
    }

    fn from(&self, first: u32) -> impl Iterator<Item = (u32, &Arc<Mailbox>)> {
        let next = |index: u32| (index != NOBODY).then_some(index);
        std::iter::successors(next(first), move |index| next(self.entries[*index as usize].newer))
            .filter_map(|index| Some((index, self.entries[index as usize].mailbox.as_ref()?)))
    }

    fn list(&mut self, on: On) -> &mut List {
        if on == On::Once { &mut self.once } else { &mut self.known }
    }

    fn link(&mut self, index: u32, on: On, now: Duration) {
        let newest = self.list(on).newest;
        let entry = &mut self.entries[index as usize];
        (entry.list, entry.older, entry.newer) = (on, newest, NOBODY);
        entry.heard = nanos(now);
        match self.entries.get_mut(newest as usize) {
            Some(newest) => newest.newer = index,
            None => self.list(on).oldest = index,
        }
        self.list(on).newest = index;
    }

    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let (on, older, newer) = (entry.list, entry.older, entry.newer);
        entry.list = On::None;
        match self.entries.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.list(on).oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.list(on).newest = older,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::mailbox::{Common, End};
    use super::super::{Budget, sessions};
    use super::*;
    use crate::Peer;
    use crate::datagram::Standing;
    use crate::lifecycle::Handle;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn key(port: u16) -> Key {
        Key::Ip(SocketAddr::from(([127, 0, 0, 1], port)), None)
    }

    fn index(table: &mut Table, port: u16, now: Duration) -> Option<u32> {
        match table.hear(&key(port), now) {
            Known::Session(mailbox) => Some(mailbox.index),
            Known::Newcomer => None,
            Known::Twin => panic!("there is no other with that hash"),
        }
    }

    proptest! {
        /// As two plain queues would do it.
        #[test]
        fn keeps_the_order_in_which_they_were_heard_from(steps in prop::collection::vec((0_u16..12, 0..4), 0..200)) {
            let budget = Arc::new(Budget::new(sessions(()).options));
            let common = Arc::new(Common { ready: Arc::default(), budget, is_v6: false, handle: Handle::nobodys() });
            let mut table = Table::default();
            let (mut once, mut known) = (VecDeque::new(), VecDeque::new());
            for (at, (port, what)) in steps.into_iter().enumerate() {
                let now = Duration::from_secs(at as u64);
                let is_there = |(other, _): &(u16, u32)| *other == port;
                let there = [&once, &known].into_iter().flatten().copied().find(|session| is_there(session));
                match (what, there) {
                    (0, Some((_, place))) => {
                        table.detach(place, &key(port));
                        table.detach(place, &key(port));
                        prop_assert!(table.remove(place).is_some() && table.remove(place).is_none());
                        once.retain(|session| !is_there(session));
                        known.retain(|session| !is_there(session));
                    }
                    (_, Some((_, place))) => {
                        prop_assert_eq!(index(&mut table, port, now), Some(place));
                        once.retain(|session| !is_there(session));
                        known.retain(|session| !is_there(session));
                        known.push_back((port, place));
                    }
                    (_, None) => {
                        prop_assert_eq!(index(&mut table, port, now), None);
                        let peer = Peer::from(SocketAddr::from(([127, 0, 0, 1], port)));
                        let end = End { peer, unix: None, local: None, standing: Standing::Unasked };
                        let mailbox = table.add(&key(port), now, |at| Mailbox::new(1, end, at, common.clone()));
                        once.push_back((port, mailbox.index));
                    }
                }
                let indices = |queue: &VecDeque<(u16, u32)>| queue.iter().map(|(_, place)| *place).collect::<Vec<_>>();
                prop_assert_eq!(table.once().map(|(place, _)| place).collect::<Vec<_>>(), indices(&once));
                prop_assert_eq!(table.known(Duration::MAX).map(|(place, _)| place).collect::<Vec<_>>(), indices(&known));
                prop_assert_eq!(table.len(), once.len() + known.len());
                prop_assert_eq!(table.by_hash.len(), table.len());
                let oldest = table.oldest().map(|(place, _)| place);
                let fronts = [once.front(), known.front()].map(|front| front.map(|(_, place)| *place));
                let is_a_front = oldest.is_none() || fronts.contains(&oldest);
                prop_assert!(is_a_front);
            }
        }
    }
}
