//! Who is there, and who of them is chosen.

use socketserver::Outbox;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The peers that the operator can talk to, by their numbers.
///
/// The first one ever is chosen by itself. Once a chosen one has left nobody is, until the operator chooses: what is typed
/// then may have been meant for the one who has left, and nobody else is to get it.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    there: BTreeMap<u64, Entry>,
    chosen: Option<u64>,
    /// Somebody was, at some time.
    has_begun: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Who it is, as it is shown.
    pub(super) peer: String,
    pub(super) outbox: Outbox,
    /// Its messages are packets.
    pub(super) in_packets: bool,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is chosen by that.
    pub(super) fn enter(&self, entry: Entry) -> bool {
        let mut pages = self.pages();
        let is_first = !std::mem::replace(&mut pages.has_begun, true);
        if is_first {
            pages.chosen = Some(entry.id);
        }
        pages.there.insert(entry.id, entry);
        is_first
    }

    /// Whether it was the chosen one.
    pub(super) fn strike(&self, id: u64) -> bool {
        let mut pages = self.pages();
        pages.there.remove(&id);
        let was_chosen = pages.chosen == Some(id);
        if was_chosen {
            pages.chosen = None;
        }
        was_chosen
    }

    pub(super) fn choose(&self, id: u64) -> Option<Entry> {
        let mut pages = self.pages();
        let entry = pages.there.get(&id)?.clone();
        pages.chosen = Some(id);
        Some(entry)
    }

    pub(super) fn chosen(&self) -> Option<Entry> {
        let pages = self.pages();
        pages.there.get(&pages.chosen?).cloned()
    }

    pub(super) fn find(&self, id: u64) -> Option<Entry> {
        self.pages().there.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.pages().there.values().cloned().collect()
    }
}
