use super::report::Totals;
use crate::connection::{Chunk, Connection, Reason, Slot, Steer};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open, each in a place of its own, so that coming and going costs no search.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    all: Vec<Option<Arc<Connection>>>,
    /// A slot for each place.
    chunks: Vec<Chunk>,
    free: Vec<usize>,
}

/// As many in a chunk.
const SLOTS: usize = Chunk::SLOTS as usize;

impl Places {
    fn slot(&self, at: usize) -> Option<Slot> {
        let slot = u8::try_from(at % SLOTS).ok()?;
        Some(self.chunks.get(at / SLOTS)?.slot(slot))
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing of a user's runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for so many connections, so that processes that are forked now share what is noted of all of them.
    pub(crate) fn reserve(&self, connections: usize) -> io::Result<()> {
        let mut places = self.lock();
        while places.chunks.len() * SLOTS < connections {
            places.chunks.push(Chunk::new()?);
        }
        Ok(())
    }

    /// Makes a connection with a slot of its own, and tells where it is kept.
    pub(crate) fn add(&self, make: impl FnOnce(Slot) -> Connection) -> (usize, Arc<Connection>) {
        let mut places = self.lock();
        let at = places.free.pop().unwrap_or_else(|| {
            places.all.push(None);
            places.all.len() - 1
        });
        if at / SLOTS == places.chunks.len() {
            // Without memory to map a connection notes things where no child sees them; the next one tries again.
            places.chunks.extend(Chunk::new());
        }
        let slot = places.slot(at).unwrap_or_else(Slot::own);
        slot.wipe();
        let connection = Arc::new(make(slot));
        places.all[at] = Some(connection.clone());
        (at, connection)
    }

    /// The number of the connection that is kept there, if one is.
    pub(crate) fn id(&self, at: usize) -> Option<u64> {
        self.lock().all.get(at)?.as_ref().map(|connection| connection.id)
    }

    /// What is noted of the connection that is kept there.
    pub(crate) fn slot(&self, at: usize) -> Option<Slot> {
        self.lock().slot(at)
    }

    /// Takes one out, and adds it to the sums.
    pub(crate) fn remove(&self, at: usize, add_up: impl FnOnce()) {
        let mut places = self.lock();
        let gone = places.all[at].take();
        add_up();
        places.free.push(at);
        drop(places);
        // Outside the lock: closing a socket takes a while.
        drop(gone);
    }

    /// Calls `look` with each of a run. It must not take long: nobody is let in meanwhile.
    pub(crate) fn each(&self, run: u64, look: impl FnMut(&Connection)) {
        let of_run = |connection: &&Arc<Connection>| connection.slot.is_of_run(run);
        self.lock().all.iter().flatten().filter(of_run).map(|connection| &**connection).for_each(look);
    }

    /// Those of a run, in the order in which they came.
    pub(crate) fn all(&self, run: u64) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> =
            self.lock().all.iter().flatten().filter(|connection| connection.slot.is_of_run(run)).cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// Those of a run of which it is known who they are from, in the order in which they came.
    pub(crate) fn known(&self, run: u64) -> Vec<Arc<Connection>> {
        let mut all = self.all(run);
        all.retain(|connection| !connection.slot.awaits_header());
        all
    }

    /// Cuts those of a run that have these numbers, in rising order, and tells how many were not cut before. One that has
    /// ended meanwhile is left alone: what is noted of it may be another's by now.
    pub(crate) fn cut(&self, run: u64, ids: &[u64], why: Reason) -> usize {
        let mut count = 0;
        self.each(run, |connection| {
            count += usize::from(ids.binary_search(&connection.id).is_ok() && connection.cut(why));
        });
        count
    }

    /// Sums that leave open connections out, with the bytes of these.
    pub(crate) fn add_to(&self, sums: impl FnOnce() -> Totals) -> Totals {
        // Under the lock, so that no connection is in both or in neither.
        let places = self.lock();
        let mut totals = sums();
        // One that is not let in counts nowhere, and does not when it closes.
        for connection in places.all.iter().flatten().filter(|connection| !connection.slot.awaits_header()) {
            totals.read += connection.slot.read();
            totals.written += connection.slot.written();
        }
        totals
    }
}
