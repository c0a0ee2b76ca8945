use super::{
    AcceptFailed, AcceptThen, ChildEnded, Closed, Cut, Draining, Hogged, HookFailed, Observer, Opened, Refused,
    SpawnFailed, TlsReloadFailed, TlsReloaded, Undelivered, Unsent,
};
use crate::Fingerprint;
use tracing::{debug, info, warn};

/// Hands every event to the program's [`tracing`] subscriber; the feature `tracing`.
///
/// Each event of the [`Observer`] is one event of `tracing`, with the target `socketserver` and the name in the catalogue
/// as its message. Times are seconds, a number. A field that has no value is left out.
///
/// | message | level | fields |
/// |---|---|---|
/// | `opened` | debug | `id`, `peer`, `endpoint` |
/// | `closed` | debug; warn when the handler failed or panicked, or its process was lost | `id`, `peer`, `endpoint`, `read`, `written`, `duration`, `reason`, `detail`, `failure` |
/// | `refused` | info | `peer`, `endpoint`, `why` |
/// | `accept_failed` | warn | `endpoint`, `error`, `then`, `delay`, `shed` |
/// | `unsent` | debug | `peer`, `endpoint`, `error` |
/// | `undelivered` | debug | `peer`, `endpoint`, `by`, `error`, `mtu` |
/// | `spawn_failed` | warn | `what`, `error` |
/// | `child_ended` | warn | `pid`, `connection`, `reason`, `detail` |
/// | `hook_failed` | warn | `hook`, `failure` |
/// | `hogged` | warn | `connection`, `shard`, `time` |
/// | `tls_reloaded` | info | `fingerprints`, with commas between them |
/// | `tls_reload_failed` | warn | `failure` |
/// | `draining` | info | `open`, `deadline` |
/// | `cut` | warn | `id`, `peer`, `endpoint`, `age` |
///
/// `reason` is [`Reason::as_str`](crate::Reason::as_str), `detail` the number of the signal or the status that goes with
/// it. `why` is a [`Refusal`](crate::Refusal), `then` is [`AcceptThen::as_str`].
///
/// ```
/// use socketserver::{Serial, Server, TracingObserver, blocking};
///
/// tracing_subscriber::fmt().init();
/// let mut server = Server::bind("tcp://127.0.0.1:0")?.observe(TracingObserver::new());
/// # server.handle().shutdown();
/// server.serve(Serial::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello\n")?;
///     Ok(())
/// })?;
/// # Ok::<_, socketserver::Error>(())
/// ```
///
/// The subscriber runs on the threads that serve: one that writes to a slow place holds them up. Under
/// [`Forks`](crate::Forks) it must not have started a thread before the server serves.
#[derive(Debug, Default, Clone, Copy)]
#[non_exhaustive]
pub struct TracingObserver;

impl TracingObserver {
    /// An observer for whichever subscriber there is when something happens.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

const TARGET: &str = "socketserver";

impl Observer for TracingObserver {
    fn opened(&self, e: &Opened<'_>) {
        debug!(target: TARGET, id = e.id, peer = %e.peer, endpoint = %e.endpoint, "opened");
    }

    fn closed(&self, e: &Closed<'_>) {
        // The level is a constant of each place that tells.
        macro_rules! closed {
            ($level:ident) => {
                $level!(
                    target: TARGET,
                    id = e.id,
                    peer = %e.peer,
                    endpoint = %e.endpoint,
                    read = e.read,
                    written = e.written,
                    duration = e.duration.as_secs_f64(),
                    reason = e.reason.as_str(),
                    detail = e.reason.number(),
                    failure = e.failure,
                    "closed"
                )
            };
        }
        if e.reason.is_failure() {
            closed!(warn);
        } else {
            closed!(debug);
        }
    }

    fn refused(&self, e: &Refused<'_>) {
        let why = e.why.as_str();
        info!(target: TARGET, peer = %e.peer, endpoint = %e.endpoint, why, failure = e.failure, "refused");
    }

    fn accept_failed(&self, e: &AcceptFailed<'_>) {
        let (delay, shed) = match e.then {
            AcceptThen::BackedOff { delay, shed } => (Some(delay.as_secs_f64()), Some(shed)),
            _ => (None, None),
        };
        let then = e.then.as_str();
        warn!(target: TARGET, endpoint = %e.endpoint, error = %e.error, then, delay, shed, "accept_failed");
    }

    fn unsent(&self, e: &Unsent<'_>) {
        debug!(target: TARGET, peer = %e.peer, endpoint = %e.endpoint, error = %e.error, "unsent");
    }

    fn undelivered(&self, e: &Undelivered<'_>) {
        let (by, mtu) = (e.by.map(tracing::field::display), e.mtu);
        debug!(target: TARGET, peer = %e.peer, endpoint = %e.endpoint, by, error = %e.error, mtu, "undelivered");
    }

    fn spawn_failed(&self, e: &SpawnFailed<'_>) {
        warn!(target: TARGET, what = e.what, error = %e.error, "spawn_failed");
    }

    fn child_ended(&self, e: &ChildEnded) {
        let (reason, detail) = (e.how.as_str(), e.how.number());
        warn!(target: TARGET, pid = e.pid, connection = e.connection, reason, detail, "child_ended");
    }

    fn hook_failed(&self, e: &HookFailed<'_>) {
        warn!(target: TARGET, hook = e.hook, failure = e.failure, "hook_failed");
    }

    fn hogged(&self, e: &Hogged) {
        let time = e.time.as_secs_f64();
        warn!(target: TARGET, connection = e.connection, shard = e.shard, time, "hogged");
    }

    fn tls_reloaded(&self, e: &TlsReloaded<'_>) {
        info!(target: TARGET, fingerprints = %listed(e.fingerprints), "tls_reloaded");
    }

    fn tls_reload_failed(&self, e: &TlsReloadFailed<'_>) {
        warn!(target: TARGET, failure = e.failure, "tls_reload_failed");
    }

    fn draining(&self, e: &Draining) {
        info!(target: TARGET, open = e.open, deadline = e.deadline.as_secs_f64(), "draining");
    }

    fn cut(&self, e: &Cut) {
        let age = e.age.as_secs_f64();
        warn!(target: TARGET, id = e.id, peer = %e.peer, endpoint = %e.endpoint, age, "cut");
    }
}

fn listed(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<_> = fingerprints.iter().map(Fingerprint::to_string).collect();
    texts.join(",")
}
