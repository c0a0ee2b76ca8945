//! Which cores are ours, and who of a measurement runs on which.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores to measure on; with fewer than two, nothing is pinned.
#[derive(Debug, Clone)]
pub(crate) struct Cores {
    /// The server's, the generator's, then the others.
    ours: Vec<usize>,
}

/// Who runs where during a visit. A set of no cores stands for no pinning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    server: Vec<usize>,
    /// One set for each generator.
    generators: Vec<Vec<usize>>,
    /// For what is neither: cores that nobody else has, or else the first generator's.
    spare: Vec<usize>,
}

impl Cores {
    /// Takes the cores wanted, `(server, generator)`, or else the first two that are ours, if there are two at all.
    pub(crate) fn choose(wanted: Option<(usize, usize)>) -> io::Result<Self> {
        let mask = sched_getaffinity(None)?;
        let mut ours: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| mask.is_set(*core)).collect();
        if let (Some((server, generator)), [_, _, ..]) = (wanted, &ours[..]) {
            for core in [server, generator] {
                if !ours.contains(&core) {
                    return Err(io::Error::other(format!("core {core} is not ours to use: give others with --cores")));
                }
            }
            ours.retain(|core| ![server, generator].contains(core));
            ours.splice(0..0, [server, generator]);
        }
        Ok(Self { ours })
    }

    /// A server on that many cores and, where the machine has enough of them, as many generators on others.
    pub(crate) fn place(&self, server_cores: usize) -> Placement {
        if self.ours.len() < 2 {
            return Placement { server: Vec::new(), generators: vec![Vec::new()], spare: Vec::new() };
        }
        let server: Vec<usize> = self.ours.iter().copied().step_by(2).take(server_cores).collect();
        if server.len() < server_cores {
            let all = &self.ours;
            return Placement { server: all.clone(), generators: vec![all.clone()], spare: all.clone() };
        }
        let generators: Vec<usize> = self.ours.iter().copied().skip(1).step_by(2).take(server_cores).collect();
        let taken = |core: &usize| server.contains(core) || generators.contains(core);
        let mut spare: Vec<usize> = self.ours.iter().copied().filter(|core| !taken(core)).collect();
        if spare.is_empty() {
            spare.push(generators[0]);
        }
        Placement { server, generators: generators.into_iter().map(|core| vec![core]).collect(), spare }
    }

    /// For the head of the table.
    pub(crate) fn describe(&self) -> String {
        match &self.ours[..] {
            [server, generator, ..] => {
                format!("{} cores, server on core {server}, generator on core {generator}", self.ours.len())
            }
            _ => "FEWER THAN 2 CORES: server and generator share one, nothing below is worth comparing".to_owned(),
        }
    }
}

impl Placement {
    pub(crate) fn generators(&self) -> usize {
        self.generators.len()
    }

    /// Runs `spawn` on the server's cores, where what it spawns stays; then the calling thread goes to those of the
    /// first generator.
    pub(crate) fn on_server_cores<T>(&self, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        pin(&self.server)?;
        let spawned = spawn();
        self.enter_generator(0)?;
        spawned
    }

    /// The same on spare cores.
    pub(crate) fn on_spare_cores<T>(&self, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.enter_spare()?;
        let spawned = spawn();
        self.enter_generator(0)?;
        spawned
    }

    /// Takes the calling thread to spare cores.
    pub(crate) fn enter_spare(&self) -> io::Result<()> {
        pin(&self.spare)
    }

    /// Takes the calling thread to the cores of that generator.
    pub(crate) fn enter_generator(&self, generator: usize) -> io::Result<()> {
        pin(&self.generators[generator])
    }

    /// For a row that is placed unlike the head of the table says; `None` for the others.
    pub(crate) fn note(&self) -> Option<String> {
        match (&self.server[..], &self.generators[..]) {
            ([], _) | ([_], _) => None,
            (server, [generator]) if generator == server => {
                Some(format!("SERVER AND GENERATOR SHARE cores {}", list(server)))
            }
            (server, generators) => {
                Some(format!("server on cores {}, generators on {}", list(server), list(&generators.concat())))
            }
        }
    }
}

/// Threads and processes inherit the mask of the thread that makes them, see sched_setaffinity(2).
fn pin(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    cores.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(ours: &[usize], server_cores: usize) -> Placement {
        Cores { ours: ours.to_vec() }.place(server_cores)
    }

    #[test]
    fn server_and_generators_are_apart_where_they_can_be() {
        let placed = |server: &[usize], generators: &[&[usize]], spare: &[usize]| Placement {
            server: server.to_vec(),
            generators: generators.iter().map(|cores| cores.to_vec()).collect(),
            spare: spare.to_vec(),
        };
        assert_eq!(place(&[5], 1), placed(&[], &[&[]], &[]));
        assert_eq!(place(&[4, 5], 1), placed(&[4], &[&[5]], &[5]));
        assert_eq!(place(&[4, 5, 6], 1), placed(&[4], &[&[5]], &[6]));
        assert_eq!(place(&[0, 1], 2), placed(&[0, 1], &[&[0, 1]], &[0, 1]));
        assert_eq!(place(&[0, 1, 2], 2), placed(&[0, 2], &[&[1]], &[1]));
        assert_eq!(place(&[0, 1, 2, 3, 4], 2), placed(&[0, 2], &[&[1], &[3]], &[4]));
    }

    #[test]
    fn an_unusual_place_is_told() {
        assert_eq!(place(&[0, 1], 1).note(), None);
        assert_eq!(place(&[0], 2).note(), None, "the head of the table says it");
        assert_eq!(place(&[0, 1], 2).note().as_deref(), Some("SERVER AND GENERATOR SHARE cores 0 and 1"));
        assert_eq!(place(&[0, 1, 2, 3], 2).note().as_deref(), Some("server on cores 0 and 2, generators on 1 and 3"));
    }
}
