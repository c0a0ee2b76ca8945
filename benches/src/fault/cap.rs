//! More come than may.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socketserver_load::{ConnectClose, Load, Outcome, Target, Window};

use super::scene::Scene;
use super::{Fact, Under};
use crate::cores::Cores;
use crate::peer::{CAP, Peer};
use crate::work::Work;

/// Of those that may be there, so many are busy; the others are idle.
const HONEST: usize = CAP / 2;

/// How many try to get in at a time.
const PARALLEL: usize = 16;

pub(super) fn visit(peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
    let scene = Scene::open(peer, duration, cores, None)?;
    let _idle = scene.crowd(CAP - HONEST)?;
    let calm = scene.honest_and_gone(Work::echo(HONEST))?;
    let flood = Load::new(Target::Tcp(scene.address())).connections(PARALLEL).duration(duration);
    let flood = flood.connect_per_request(ConnectClose::Reset);
    let (begin, begun) = mpsc::channel();
    let (fault, flooded) = thread::scope(|scope| {
        let (scene, flood) = (&scene, &flood);
        let flooded = scope.spawn(move || {
            scene.placement.enter_spare()?;
            // Nobody to begin with: the honest ones did not get that far.
            if begun.recv().is_err() {
                return Ok(Outcome::default());
            }
            flood.run().map_err(io::Error::other)
        });
        let fault = scene.honest(Work::echo(HONEST), |edge| {
            if edge == Window::Opened {
                // It fails only when the flood is over.
                let _over = begin.send(());
            }
        });
        drop(begin);
        let flooded = flooded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        io::Result::Ok((fault?, flooded?))
    })?;
    let refused = flooded.errors.total() as f64 / duration.as_secs_f64();
    let beyond = (fault.cpu_each.as_secs_f64() - calm.cpu_each.as_secs_f64()).max(0.0) * fault.rate;
    let cost = (refused >= 1.0).then(|| Duration::from_secs_f64(beyond / refused));
    let facts = vec![
        Fact::count("turned away a second", refused),
        Fact::time("CPU a refusal", cost),
        Fact::count("let in beyond the cap", flooded.messages as f64),
    ];
    Ok(Under { calm: Some(calm), fault: Some(fault), facts })
}
