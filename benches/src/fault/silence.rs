//! Many connect and say nothing.

use std::io;
use std::time::Duration;

use super::client::newcomer;
use super::scene::Scene;
use super::{Fact, Under};
use crate::cores::Cores;
use crate::peer::Peer;
use crate::row::CONNECT;

const SILENT: usize = 1_000;

pub(super) fn visit(peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
    let scene = Scene::open(peer, duration, cores, None)?;
    let calm = scene.honest(CONNECT, |_| {})?;
    let _silent = scene.crowd(SILENT)?;
    let first = newcomer(scene.address());
    let fault = scene.honest(CONNECT, |_| {})?;
    let grown = scene.server.usage().map_or(0, |now| now.resident.saturating_sub(scene.fresh().resident));
    let facts = vec![Fact::time("a newcomer's echo", first), Fact::bytes("memory grown by", grown as f64)];
    Ok(Under { calm: Some(calm), fault: Some(fault), facts })
}
