//! Which cores the server and the generator run on.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores of a measurement; without two of them, nothing is pinned.
#[derive(Debug, Clone)]
pub(crate) struct Cores {
    available: usize,
    pinned: Option<(usize, usize)>,
}

impl Cores {
    /// Takes the cores wanted, `(server, generator)`, or else the first two that are ours, if there are two at all.
    pub(crate) fn choose(wanted: Option<(usize, usize)>) -> io::Result<Self> {
        let ours = sched_getaffinity(None)?;
        let available = ours.count() as usize;
        if available < 2 {
            return Ok(Self { available, pinned: None });
        }
        let mut own = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core));
        let wanted = match (wanted, own.next(), own.next()) {
            (None, Some(first), Some(second)) => (first, second),
            (wanted, ..) => wanted.unwrap_or((0, 1)),
        };
        for core in [wanted.0, wanted.1] {
            if core >= CpuSet::MAX_CPU || !ours.is_set(core) {
                return Err(io::Error::other(format!("core {core} is not ours to use: give others with --cores")));
            }
        }
        Ok(Self { available, pinned: Some(wanted) })
    }

    /// Runs `spawn` on the server's core, where what it spawns stays; then the calling thread goes to the generator's.
    pub(crate) fn on_server_core<T>(&self, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some((server, generator)) = self.pinned else {
            return spawn();
        };
        pin(server)?;
        let spawned = spawn();
        pin(generator)?;
        spawned
    }

    /// For the head of the table.
    pub(crate) fn describe(&self) -> String {
        match self.pinned {
            Some((server, generator)) => {
                format!("{} cores, server on core {server}, generator on core {generator}", self.available)
            }
            None => "FEWER THAN 2 CORES: server and generator share one, nothing below is worth comparing".to_owned(),
        }
    }
}

/// Threads and processes inherit the mask of the thread that makes them, see sched_setaffinity(2).
fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
