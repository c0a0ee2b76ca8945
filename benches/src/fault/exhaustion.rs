//! Descriptors run out.

use std::io;
use std::thread;
use std::time::Duration;

use socketserver_load::Window;

use super::client::{is_closed, newcomer};
use super::scene::Scene;
use super::{Fact, Under};
use crate::cores::Cores;
use crate::peer::Peer;
use crate::work::Work;

/// How many descriptors a server may have.
const DESCRIPTORS: usize = 64;

const HONEST: usize = 30;

/// How many more come.
const CROWD: usize = 200;

/// How long one that is ending by itself may take to do so.
const TO_FALL: Duration = Duration::from_millis(100);

/// How long it is watched while nothing moves.
const WATCHED: Duration = Duration::from_millis(300);

pub(super) fn visit(peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
    let mut scene = Scene::open(peer, duration, cores, Some(DESCRIPTORS))?;
    let calm = scene.honest_and_gone(Work::echo(HONEST))?;
    let mut crowd = Vec::new();
    let mut fault = scene.honest(Work::echo(HONEST), |edge| {
        if edge == Window::Opened {
            // The server may end over it.
            crowd.extend((0..CROWD).filter_map(|_| scene.crowd(1).ok()).flatten());
        }
    })?;
    let idle = scene.server.usage().ok().and_then(|before| {
        thread::sleep(WATCHED);
        let used = scene.server.usage().ok()?.cpu.saturating_sub(before.cpu);
        Some(used.as_secs_f64() / WATCHED.as_secs_f64())
    });
    let gone = CROWD - crowd.len();
    let turned_away = gone + crowd.iter().filter(|client| is_closed(client).unwrap_or(true)).count();
    drop(crowd);
    let ended = scene.server.ends_within(TO_FALL)?;
    if ended {
        // How fast it was until then is nothing that anybody keeps.
        fault.rate = 0.0;
    }
    let facts = vec![
        Fact::count("ended by it", f64::from(u8::from(ended))),
        Fact::count("turned away of 200", turned_away as f64),
        Fact::cores("cores used while nothing moves", idle),
        Fact::time("a newcomer's echo afterwards", newcomer(scene.address())),
    ];
    Ok(Under { calm: Some(calm), fault: Some(fault), facts })
}
