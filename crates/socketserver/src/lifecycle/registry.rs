use crate::connection::Connection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open, each in a place of its own, so that coming and going costs no search.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    all: Vec<Option<Arc<Connection>>>,
    free: Vec<usize>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing of a user's runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells where it is kept.
    pub(crate) fn add(&self, connection: Arc<Connection>) -> usize {
        let mut places = self.lock();
        let at = places.free.pop().unwrap_or_else(|| {
            places.all.push(None);
            places.all.len() - 1
        });
        places.all[at] = Some(connection);
        at
    }

    pub(crate) fn remove(&self, at: usize) {
        let mut places = self.lock();
        let gone = places.all[at].take();
        places.free.push(at);
        drop(places);
        // Outside the lock: closing a socket takes a while.
        drop(gone);
    }

    /// In the order in which they came.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.lock().all.iter().flatten().cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// Bytes each way of the connections that are open.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.lock().all.iter().flatten().fold((0, 0), |(read, written), connection| {
            (read + connection.slot.read(), written + connection.slot.written())
        })
    }
}
