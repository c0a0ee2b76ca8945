use crate::connection::Connection;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<u64, Arc<Connection>>>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        // Nothing of a user's runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, connection: Arc<Connection>) {
        self.lock().insert(connection.id, connection);
    }

    pub(crate) fn remove(&self, id: u64) {
        // Dropped outside the lock: closing a socket takes a while.
        let _closed = self.lock().remove(&id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// Bytes each way of the connections that are open.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.lock().values().fold((0, 0), |(read, written), connection| {
            (read + connection.slot.read(), written + connection.slot.written())
        })
    }
}
