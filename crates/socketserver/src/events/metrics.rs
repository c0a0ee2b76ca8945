use super::{
    AcceptFailed, AcceptThen, ChildEnded, Closed, Cut, Hogged, HookFailed, Observer, Opened, Refusal, Refused,
    SpawnFailed, TlsReloadFailed, TlsReloaded, Undelivered, Unsent,
};
use crate::Reason;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::time::Duration;

/// Counts every event in the program's [`metrics`] recorder; the feature `metrics`.
///
/// | name | kind | unit | label | counts |
/// |---|---|---|---|---|
/// | `socketserver_connections_opened_total` | counter | connections | | those that were let in |
/// | `socketserver_connections_closed_total` | counter | connections | `reason`, a [`Reason`] | those that ended |
/// | `socketserver_connections_open` | gauge | connections | | those that are open |
/// | `socketserver_connection_seconds` | histogram | seconds | | from accept to close, at the close |
/// | `socketserver_read_bytes_total` | counter | bytes | | read from peers, added at the close |
/// | `socketserver_written_bytes_total` | counter | bytes | | taken by the system for peers, added at the close |
/// | `socketserver_refused_total` | counter | peers | `why`, a [`Refusal`] | those turned away before their connection was opened |
/// | `socketserver_accept_failures_total` | counter | failures | `then`: `retry`, `back-off`, `give-up` ([`AcceptThen`]) | failures of `accept(2)` |
/// | `socketserver_shed_total` | counter | peers | | those closed unheard when descriptors or memory ran out |
/// | `socketserver_unsent_total` | counter | packets | | those that could not be sent |
/// | `socketserver_undelivered_total` | counter | packets | | those that did not arrive, as far as ICMP tells |
/// | `socketserver_spawn_failures_total` | counter | failures | | threads and processes that could not be had |
/// | `socketserver_children_ended_total` | counter | processes | | children that ended and should not have |
/// | `socketserver_hook_failures_total` | counter | failures | | hooks beside the handler that failed or panicked |
/// | `socketserver_hogged_total` | counter | times | | an async handler kept its shard from all others |
/// | `socketserver_tls_reloads_total` | counter | times | | other certificates, keys or authorities came into use |
/// | `socketserver_tls_reload_failures_total` | counter | failures | | new ones were of no use, or changes go unseen |
/// | `socketserver_cut_total` | counter | connections | | those that a drain's deadline cut |
///
/// Labels have few values, all there from the start with 0, so that a rate is right from the first event on. The end of
/// accepting ([`draining`](Observer::draining)) has no number.
///
/// Several servers that are given one each, or clones of one, are counted together.
///
/// ```
/// use metrics_util::debugging::DebuggingRecorder;
/// use socketserver::{MetricsObserver, Serial, Server, blocking};
///
/// // Stands for the exporter of your choice. It comes first: see `new`.
/// DebuggingRecorder::new().install()?;
/// let mut server = Server::bind("tcp://127.0.0.1:0")?.observe(MetricsObserver::new());
/// # server.handle().shutdown();
/// server.serve(Serial::default(), |c: &mut blocking::Stream| {
///     c.write_all(b"hello\n")?;
///     Ok(())
/// })?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
///
/// Under [`Forks`](crate::Forks) an exporter must not have started a thread before the server serves.
#[derive(Debug, Clone)]
pub struct MetricsObserver {
    opened: Counter,
    closed: Family,
    open: Gauge,
    seconds: Histogram,
    read: Counter,
    written: Counter,
    refused: Family,
    accept_failures: Family,
    shed: Counter,
    unsent: Counter,
    undelivered: Counter,
    spawn_failures: Counter,
    children_ended: Counter,
    hook_failures: Counter,
    hogged: Counter,
    tls_reloads: Counter,
    tls_reload_failures: Counter,
    cut: Counter,
}

impl MetricsObserver {
    /// Names, describes and registers everything with the recorder that is installed. **Install it before**: what is
    /// registered while there is none counts nothing, also later.
    #[must_use]
    pub fn new() -> Self {
        describe();
        let then = [AcceptThen::Retried, AcceptThen::BackedOff { delay: Duration::ZERO, shed: 0 }, AcceptThen::GaveUp];
        Self {
            opened: counter!(OPENED),
            closed: Family::new(CLOSED, "reason", Reason::ALL.map(Reason::as_str)),
            open: gauge!(OPEN),
            seconds: histogram!(SECONDS),
            read: counter!(READ),
            written: counter!(WRITTEN),
            refused: Family::new(REFUSED, "why", Refusal::ALL.map(Refusal::as_str)),
            accept_failures: Family::new(ACCEPT_FAILURES, "then", then.map(AcceptThen::as_str)),
            shed: counter!(SHED),
            unsent: counter!(UNSENT),
            undelivered: counter!(UNDELIVERED),
            spawn_failures: counter!(SPAWN_FAILURES),
            children_ended: counter!(CHILDREN_ENDED),
            hook_failures: counter!(HOOK_FAILURES),
            hogged: counter!(HOGGED),
            tls_reloads: counter!(TLS_RELOADS),
            tls_reload_failures: counter!(TLS_RELOAD_FAILURES),
            cut: counter!(CUT),
        }
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn opened(&self, _: &Opened<'_>) {
        self.opened.increment(1);
        self.open.increment(1.0);
    }

    fn closed(&self, e: &Closed<'_>) {
        self.closed.increment(e.reason.as_str());
        self.open.decrement(1.0);
        self.seconds.record(e.duration.as_secs_f64());
        self.read.increment(e.read);
        self.written.increment(e.written);
    }

    fn refused(&self, e: &Refused<'_>) {
        self.refused.increment(e.why.as_str());
    }

    fn accept_failed(&self, e: &AcceptFailed<'_>) {
        self.accept_failures.increment(e.then.as_str());
        if let AcceptThen::BackedOff { shed, .. } = e.then {
            self.shed.increment(shed as u64);
        }
    }

    fn unsent(&self, _: &Unsent<'_>) {
        self.unsent.increment(1);
    }

    fn undelivered(&self, _: &Undelivered<'_>) {
        self.undelivered.increment(1);
    }

    fn spawn_failed(&self, _: &SpawnFailed<'_>) {
        self.spawn_failures.increment(1);
    }

    fn child_ended(&self, _: &ChildEnded) {
        self.children_ended.increment(1);
    }

    fn hook_failed(&self, _: &HookFailed<'_>) {
        self.hook_failures.increment(1);
    }

    fn hogged(&self, _: &Hogged) {
        self.hogged.increment(1);
    }

    fn tls_reloaded(&self, _: &TlsReloaded<'_>) {
        self.tls_reloads.increment(1);
    }

    fn tls_reload_failed(&self, _: &TlsReloadFailed<'_>) {
        self.tls_reload_failures.increment(1);
    }

    fn cut(&self, _: &Cut) {
        self.cut.increment(1);
    }
}

/// A counter for each value of a label.
#[derive(Debug, Clone)]
struct Family {
    name: &'static str,
    label: &'static str,
    counters: Vec<(&'static str, Counter)>,
}

impl Family {
    fn new<const N: usize>(name: &'static str, label: &'static str, values: [&'static str; N]) -> Self {
        let counters = values.map(|value| (value, counter!(name, label => value)));
        Self { name, label, counters: counters.into() }
    }

    fn increment(&self, value: &'static str) {
        match self.counters.iter().find(|(known, _)| *known == value) {
            Some((_, counter)) => counter.increment(1),
            // A value that is missing in the list costs a look-up, and is counted.
            None => counter!(self.name, self.label => value).increment(1),
        }
    }
}

const OPENED: &str = "socketserver_connections_opened_total";
const CLOSED: &str = "socketserver_connections_closed_total";
const OPEN: &str = "socketserver_connections_open";
const SECONDS: &str = "socketserver_connection_seconds";
const READ: &str = "socketserver_read_bytes_total";
const WRITTEN: &str = "socketserver_written_bytes_total";
const REFUSED: &str = "socketserver_refused_total";
const ACCEPT_FAILURES: &str = "socketserver_accept_failures_total";
const SHED: &str = "socketserver_shed_total";
const UNSENT: &str = "socketserver_unsent_total";
const UNDELIVERED: &str = "socketserver_undelivered_total";
const SPAWN_FAILURES: &str = "socketserver_spawn_failures_total";
const CHILDREN_ENDED: &str = "socketserver_children_ended_total";
const HOOK_FAILURES: &str = "socketserver_hook_failures_total";
const HOGGED: &str = "socketserver_hogged_total";
const TLS_RELOADS: &str = "socketserver_tls_reloads_total";
const TLS_RELOAD_FAILURES: &str = "socketserver_tls_reload_failures_total";
const CUT: &str = "socketserver_cut_total";

fn describe() {
    describe_counter!(OPENED, Unit::Count, "Connections let in");
    describe_counter!(CLOSED, Unit::Count, "Connections that ended, by reason");
    describe_gauge!(OPEN, Unit::Count, "Connections that are open");
    describe_histogram!(SECONDS, Unit::Seconds, "How long connections were open, from accept to close");
    describe_counter!(READ, Unit::Bytes, "Bytes read from peers, added at the close");
    describe_counter!(WRITTEN, Unit::Bytes, "Bytes that the system took for peers, added at the close");
    describe_counter!(REFUSED, Unit::Count, "Peers turned away before their connection was opened, by why");
    describe_counter!(ACCEPT_FAILURES, Unit::Count, "Failures of accept(2), by what the server did then");
    describe_counter!(SHED, Unit::Count, "Peers closed unheard when descriptors or memory ran out");
    describe_counter!(UNSENT, Unit::Count, "Packets that could not be sent");
    describe_counter!(UNDELIVERED, Unit::Count, "Packets that did not arrive, as far as ICMP tells");
    describe_counter!(SPAWN_FAILURES, Unit::Count, "Threads and processes that could not be had");
    describe_counter!(CHILDREN_ENDED, Unit::Count, "Child processes that ended and should not have");
    describe_counter!(HOOK_FAILURES, Unit::Count, "Hooks beside the handler that failed or panicked");
    describe_counter!(HOGGED, Unit::Count, "Times that an async handler kept its shard from all others");
    describe_counter!(TLS_RELOADS, Unit::Count, "Times that other certificates, keys or authorities came into use");
    describe_counter!(
        TLS_RELOAD_FAILURES,
        Unit::Count,
        "Times that new certificates, keys or authorities were of no use"
    );
    describe_counter!(CUT, Unit::Count, "Connections cut by the deadline of a drain");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    #[test]
    fn what_is_open_goes_up_and_down() {
        let recorder = DebuggingRecorder::new();
        let observer = metrics::with_local_recorder(&recorder, MetricsObserver::new);
        let open = || {
            let snapshot = recorder.snapshotter().snapshot().into_vec();
            let gauge = snapshot.into_iter().find(|(key, ..)| key.key().name() == OPEN);
            gauge.map(|(.., value)| value)
        };
        let (peer, endpoint) = (&Peer::unnamed(), &"tcp://127.0.0.1:1".parse().unwrap());
        for id in 1..=3 {
            observer.opened(&Opened { id, peer, endpoint });
        }
        let (duration, reason, failure) = (Duration::ZERO, Reason::Finished, None);
        observer.closed(&Closed { id: 1, peer, endpoint, read: 0, written: 0, duration, reason, failure });
        assert_eq!(open(), Some(DebugValue::Gauge(2.0.into())));
    }

    #[test]
    fn packets_that_get_lost_are_counted() {
        let recorder = DebuggingRecorder::new();
        let observer = metrics::with_local_recorder(&recorder, MetricsObserver::new);
        let (peer, endpoint) = (&Peer::unnamed(), &"udp://127.0.0.1:1".parse().unwrap());
        let error = &std::io::Error::other("out of order");
        observer.unsent(&Unsent { peer, endpoint, error });
        for _ in 0..2 {
            observer.undelivered(&Undelivered { peer, endpoint, by: None, error, mtu: None });
        }
        let snapshot = recorder.snapshotter().snapshot().into_hashmap();
        let counted = |name: &str| {
            let mut found = snapshot.iter().filter(|(key, _)| key.key().name() == name);
            found.next().map(|(_, (.., value))| format!("{value:?}"))
        };
        assert_eq!([UNSENT, UNDELIVERED].map(counted), ["Counter(1)", "Counter(2)"].map(|count| Some(count.into())));
    }

    #[test]
    fn a_value_that_no_list_has_is_counted() {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || Family::new("name", "label", ["a"]).increment("b"));
        let snapshot = recorder.snapshotter().snapshot().into_vec();
        let values: Vec<_> = snapshot.into_iter().map(|(.., value)| value).collect();
        assert_eq!(values, [DebugValue::Counter(0), DebugValue::Counter(1)]);
    }
}
