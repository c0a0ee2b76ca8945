//! The load of one visit, by one thread a generator.

use std::io;
use std::thread;

use socketserver_load::{Load, Outcome, Window};

use crate::cores::Placement;

/// Runs the loads side by side, the first on the calling thread. `watch` is told of that one's window: they all
/// start at once and are equally long.
pub(crate) fn run(loads: &[Load], placement: &Placement, watch: impl FnMut(Window)) -> io::Result<Vec<Outcome>> {
    let Some((first, others)) = loads.split_first() else {
        return Ok(Vec::new());
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..)
            .zip(others)
            .map(|(generator, load)| {
                scope.spawn(move || {
                    placement.enter_generator(generator)?;
                    load.run().map_err(io::Error::other)
                })
            })
            .collect();
        let first = first.run_watched(watch).map_err(io::Error::other);
        let others = others.into_iter().map(|other| match other.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })
}
