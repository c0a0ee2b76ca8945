//! One visit to one server: started afresh, warmed up, measured, ended.

use std::io;
use std::time::Duration;

use socketserver_load::Window;

use crate::cores::Cores;
use crate::peer::Peer;
use crate::row::Work;
use crate::server::ServerProcess;

/// What one visit found.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Messages a second.
    pub(crate) rate: f64,
    /// The server's CPU time a message, from its process clock.
    pub(crate) cpu_each: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The generator's CPU time as a share of its core.
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
pub(crate) fn make(peer: Peer, work: Work, duration: Duration, cores: &Cores) -> io::Result<Visit> {
    let server = ServerProcess::start(peer, cores)?;
    let mut clocks = Vec::with_capacity(2);
    let load = work.load(server.address().into(), duration);
    let outcome = load
        .run_watched(|edge| match edge {
            Window::Opened | Window::Closed => clocks.push(server.cpu()),
        })
        .map_err(io::Error::other)?;
    let mut failure = (!outcome.errors.is_empty()).then(|| outcome.errors.to_string());
    let mut cpu = Duration::ZERO;
    match &clocks[..] {
        [Ok(opened), Ok(closed)] => cpu = closed.saturating_sub(*opened),
        _ => failure = failure.or_else(|| Some("the server is gone".to_owned())),
    }
    if outcome.messages == 0 {
        failure = failure.or_else(|| Some("not one message came back".to_owned()));
    }
    Ok(Visit {
        rate: outcome.rate(),
        cpu_each: cpu.div_f64(outcome.messages.max(1) as f64),
        p50: outcome.latency.percentile(50.0),
        p99: outcome.latency.percentile(99.0),
        generator: outcome.utilization(),
        generator_limited: outcome.generator_limited(),
        failure,
    })
}
