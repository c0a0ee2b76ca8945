use super::Mailbox;
use rustix::net::SocketAddrAny;
use std::collections::HashMap;
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
        let name: Result<rustix::net::SocketAddrUnix, _> = from.clone().try_into();
        // A name that is abstract begins with a zero byte.
        let bytes = name.ok().and_then(|name| {
            let path = name.path_bytes().map(<[u8]>::to_vec);
            path.or_else(|| name.abstract_name().map(|name| [b"\0", name].concat()))
        });
        Self::Unix(bytes.unwrap_or_default().into())
    }
}

/// Which peers have a session, and which of them were silent for longest.
///
/// Two lists: of those that were heard from once, and of those that were heard from again; each in the order in which they
/// were heard from last. All is done in constant time.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_key: HashMap<Key, u32>,
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
    /// On which list it is.
    list: On,
    older: u32,
    newer: u32,
    /// When it was heard from last.
    heard: Duration,
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
    pub(super) fn hear(&mut self, key: &Key, now: Duration) -> Option<&Arc<Mailbox>> {
        let index = *self.by_key.get(key)?;
        self.unlink(index);
        self.link(index, On::Known, now);
        self.entries[index as usize].mailbox.as_ref()
    }

    /// Adds a session of a peer that is heard from for the first time now.
    pub(super) fn add(&mut self, key: Key, now: Duration, mailbox: impl FnOnce(u32) -> Mailbox) -> Arc<Mailbox> {
        let index = self.free.unwrap_or_else(|| {
            let index = u32::try_from(self.entries.len()).unwrap_or_else(|_| unreachable!("there are at most 2^31"));
            self.entries.push(Entry { mailbox: None, list: On::None, older: NOBODY, newer: NOBODY, heard: now });
            index
        });
        let next = self.entries[index as usize].newer;
        self.free = Some(next).filter(|next| *next != NOBODY);
        let mailbox = Arc::new(mailbox(index));
        self.entries[index as usize].mailbox = Some(mailbox.clone());
        self.link(index, On::Once, now);
        self.by_key.insert(key, index);
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
            self.by_key.remove(key);
            // A crowd that has left leaves no empty house behind.
            if self.by_key.capacity() > 1024 && self.by_key.len() < self.by_key.capacity() / 8 {
                self.by_key.shrink_to(self.by_key.len() * 2);
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
            Some((list.oldest, entry.heard))
        };
        [oldest(&self.once), oldest(&self.known)].into_iter().flatten().min_by_key(|(_, heard)| *heard)
    }

    /// Those that were heard from once, the longest silent first.
    pub(super) fn once(&self) -> impl Iterator<Item = (u32, &Arc<Mailbox>)> {
        self.from(self.once.oldest)
    }

    /// Those that were heard from again, but not since `before`, the longest silent first.
    pub(super) fn known(&self, before: Duration) -> impl Iterator<Item = (u32, &Arc<Mailbox>)> {
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
        entry.heard = now;
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
