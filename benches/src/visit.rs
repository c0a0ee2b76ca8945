//! One visit to one server: started afresh, warmed up, measured, ended.

use std::io;
use std::thread;
use std::time::Duration;

use socketserver_load::{Latency, Load, Outcome, Window};

use crate::cores::{Cores, Placement};
use crate::peer::Peer;
use crate::row::Row;
use crate::server::{ServerProcess, Usage};
use crate::work::Work;
use crate::{descriptors, generators};

/// What one visit found.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Messages a second.
    pub(crate) rate: f64,
    /// How long there were any clients left, of the time that it was to be measured.
    pub(crate) elapsed: Duration,
    /// The server's CPU time a message, from its process clock.
    pub(crate) cpu_each: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
    /// Bytes by which the server's resident memory grew from its start to the end of the visit, a connection or session.
    pub(crate) memory_each: f64,
    /// The generator's CPU time as a share of its core; the busiest one's, if there are more.
    pub(crate) generator: f64,
    pub(crate) generator_limited: bool,
    /// What went wrong; the figures of such a visit do not count.
    pub(crate) failure: Option<String>,
}

/// Makes one visit.
///
/// # Errors
///
/// When the server cannot be started, or the load cannot be run. What goes wrong between the two is in the visit.
pub(crate) fn make(peer: Peer, row: &Row, duration: Duration, cores: &Cores) -> io::Result<Visit> {
    watched(peer, row, duration, cores, |_| {})
}

/// The same; `watch` is told the server's process when the window opens.
pub(crate) fn watched(
    peer: Peer,
    row: &Row,
    duration: Duration,
    cores: &Cores,
    mut watch: impl FnMut(u32),
) -> io::Result<Visit> {
    let work = row.work;
    descriptors::ensure(work.connections() * peer.descriptors())?;
    let placement = cores.place(row.server_cores);
    let server = ServerProcess::start(peer, &placement)?;
    if !work.is_datagrams() {
        server.serves()?;
    }
    let fresh = server.usage()?;
    let mut loads = work.loads(server.address(), duration, placement.generators());
    if row.tls {
        loads = loads.into_iter().map(Load::tls).collect();
    }
    observe(&server, &fresh, &loads, work, work.rest(duration), &placement, |edge| {
        if edge == Window::Opened {
            watch(server.pid());
        }
    })
}

/// Puts loads of that work on a server, and lets the connections rest so long at the end. Its memory is counted from `fresh` on.
/// `watch` is told of the window, after the server's clocks were read.
///
/// # Errors
///
/// When the load cannot be run.
pub(crate) fn observe(
    server: &ServerProcess,
    fresh: &Usage,
    loads: &[Load],
    work: Work,
    rest: Duration,
    placement: &Placement,
    mut watch: impl FnMut(Window),
) -> io::Result<Visit> {
    let mut readings = Vec::with_capacity(2);
    let outcomes = generators::run(loads, placement, |edge| {
        if edge == Window::Closed {
            thread::sleep(rest);
        }
        readings.push(server.usage());
        watch(edge);
    })?;
    let mut visit = Visit::of(&outcomes);
    match &readings[..] {
        [Ok(opened), Ok(closed)] => visit.charge(&outcomes, work.clients(), [fresh, opened, closed]),
        _ => visit.fail("the server is gone"),
    }
    Ok(visit)
}

impl Visit {
    /// All but what the server used.
    fn of(outcomes: &[Outcome]) -> Self {
        let mut latency = Latency::default();
        for outcome in outcomes {
            latency.merge(&outcome.latency);
        }
        let mut visit = Self {
            rate: outcomes.iter().map(Outcome::rate).sum(),
            elapsed: outcomes.iter().map(|outcome| outcome.elapsed).max().unwrap_or_default(),
            cpu_each: Duration::ZERO,
            p50: latency.percentile(50.0),
            p99: latency.percentile(99.0),
            p999: latency.percentile(99.9),
            memory_each: 0.0,
            generator: outcomes.iter().map(Outcome::utilization).fold(0.0, f64::max),
            generator_limited: outcomes.iter().any(Outcome::generator_limited),
            failure: None,
        };
        for outcome in outcomes {
            if !outcome.errors.is_empty() {
                visit.fail(&outcome.errors.to_string());
            } else if outcome.messages == 0 {
                visit.fail("not one message came back");
            }
        }
        visit
    }

    /// Charges what the server used to its messages and clients.
    fn charge(&mut self, outcomes: &[Outcome], clients: usize, [fresh, opened, closed]: [&Usage; 3]) {
        let messages: u64 = outcomes.iter().map(|outcome| outcome.messages).sum();
        self.cpu_each = closed.cpu.saturating_sub(opened.cpu).div_f64(messages.max(1) as f64);
        self.memory_each = closed.resident.saturating_sub(fresh.resident) as f64 / clients as f64;
    }

    /// The first thing that goes wrong is the one told.
    fn fail(&mut self, why: &str) {
        self.failure.get_or_insert_with(|| why.to_owned());
    }
}
