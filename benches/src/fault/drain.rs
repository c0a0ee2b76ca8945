//! A server is asked to stop while clients talk.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{ask, is_closed};
use super::scene::Scene;
use super::{Fact, Under};
use crate::cores::Cores;
use crate::peer::{How, Peer};

/// What becomes of requests under way, as the report names it.
pub(super) const LOST: &str = "requests lost of 50";

const CLIENTS: usize = 50;

/// Between an answer and the next request, of the first client; of the last it is three times as long, lest they march in step.
const REST: Duration = Duration::from_millis(1);

/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It had sent a request, and was not answered.
    Lost,
    /// Its connection was closed while it rested.
    Dismissed,
    /// It could have gone on.
    Served,
}

pub(super) fn visit(peer: Peer, duration: Duration, cores: &Cores) -> io::Result<Under> {
    let mut scene = Scene::open(peer, duration, cores, None)?;
    let address = scene.address();
    let signal = if matches!(peer.how(), How::Haproxy { .. }) { Signal::USR1 } else { Signal::TERM };
    let pid = i32::try_from(scene.server.pid()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the server has no process number"))?;
    let (all_talk, enough) = (Barrier::new(CLIENTS + 1), AtomicBool::new(false));
    let (took, fates) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let rest = REST + REST * 2 * client as u32 / CLIENTS as u32;
                let (all_talk, enough) = (&all_talk, &enough);
                scope.spawn(move || talk(address, rest, all_talk, enough))
            })
            .collect();
        all_talk.wait();
        thread::sleep(duration);
        let since = Instant::now();
        let ended = kill_process(pid, signal).map_err(io::Error::from);
        let ended = ended.and_then(|()| scene.server.ends_within(PATIENCE));
        let took = since.elapsed();
        enough.store(true, Ordering::Relaxed);
        let join = |client: thread::ScopedJoinHandle<'_, io::Result<Fate>>| {
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let fates: Vec<io::Result<Fate>> = clients.into_iter().map(join).collect();
        let fates = fates.into_iter().collect::<io::Result<Vec<Fate>>>();
        io::Result::Ok((ended?.then_some(took), fates?))
    })?;
    let count = |fate| fates.iter().filter(|found| **found == fate).count() as f64;
    let facts = vec![
        Fact::count(LOST, count(Fate::Lost)),
        Fact::count("dismissed", count(Fate::Dismissed)),
        Fact::count("still served", count(Fate::Served)),
        Fact::time("ended after", took),
    ];
    Ok(Under { calm: None, fault: None, facts })
}

/// Asks and rests until it is enough or the connection is over.
fn talk(address: SocketAddr, rest: Duration, all_talk: &Barrier, enough: &AtomicBool) -> io::Result<Fate> {
    // Whoever fails must not keep the others waiting.
    let client = TcpStream::connect(address).and_then(|mut client| {
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(PATIENCE))?;
        ask(&mut client)?;
        Ok(client)
    });
    all_talk.wait();
    let mut client = client?;
    while !enough.load(Ordering::Relaxed) {
        thread::sleep(rest);
        if is_closed(&client)? {
            return Ok(Fate::Dismissed);
        }
        if ask(&mut client).is_err() {
            return Ok(Fate::Lost);
        }
    }
    Ok(if is_closed(&client)? { Fate::Dismissed } else { Fate::Served })
}
