//! The servers, and the subscriber and the recorder in their processes.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use socketserver::{
    Failure, Forks, Hogged, MetricsObserver, Observer, Peer, Report, Result, Server, Stream, Tasks, Threads,
    TracingObserver, blocking,
};
use socketserver_testkit::{Cast, How, PATIENCE, Role};
use std::fmt::{self, Write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) const ALL: &[(&str, Role)] =
    &[("script", script), ("source", source), ("hog", hog), ("giant_stacks", giant_stacks)];

/// Serves with both observers, and tells what the recorder has at the end.
fn watched(serve: impl FnOnce((TracingObserver, MetricsObserver)) -> Result<Report>) -> Result<Report> {
    tracing_subscriber::registry().with(TellEvents).init();
    let recorder = DebuggingRecorder::new();
    let snapshotter = SNAPSHOTTER.get_or_init(|| recorder.snapshotter());
    recorder.install()?;
    let result = serve((TracingObserver::new(), MetricsObserver::default()));
    tell_numbers(snapshotter);
    result
}

static SNAPSHOTTER: OnceLock<Snapshotter> = OnceLock::new();

/// Tells the stage of every event: level, target, message and fields.
struct TellEvents;

impl<S: Subscriber> Layer<S> for TellEvents {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = format!("event {} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut Fields(&mut line));
        Cast::tell(&line);
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        }
        .unwrap();
    }
}

fn tell_numbers(snapshotter: &Snapshotter) {
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        if let (Some(unit), Some(_)) = (unit, description) {
            Cast::tell(&format!("described {} {kind:?} {unit:?}", key.name()));
        }
        let labels: Vec<_> = key.labels().map(|label| format!("{{{}={}}}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => value.to_string(),
            DebugValue::Histogram(values) => {
                assert!(values.iter().all(|seconds| (0.0..60.0).contains(&seconds.0)), "{values:?}");
                format!("{} values", values.len())
            }
        };
        Cast::tell(&format!("number {}{} = {value}", key.name(), labels.concat()));
    }
}

/// Does what its client says, and turns away the second peer.
#[derive(Default)]
struct Script(AtomicUsize);

impl blocking::Handler for Script {
    fn verify(&self, _: &Peer) -> bool {
        self.0.fetch_add(1, SeqCst) != 1
    }

    fn handle(&self, c: &mut blocking::Stream) -> Result {
        while let Some(line) = c.read_line(1000)? {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "echo" => c.write_all(format!("{rest}\n").as_bytes())?,
                "fail" => return Err(rest.to_owned().into()),
                "panic" => panic!("{rest}"),
                "abort" => std::process::abort(),
                "hold" => c.write_all(b"held\n")?,
                other => return Err(other.to_owned().into()),
            }
        }
        Ok(())
    }

    fn on_error(&self, failure: &Failure, _: &Peer) {
        assert!(failure.to_string() != "worse", "it makes it worse");
    }
}

fn script(cast: &Cast) -> Result<Report> {
    watched(|observer| {
        let server = cast.server()?.drain_deadline(Duration::from_millis(100)).observe(observer);
        match cast.how() {
            How::Forks(max) => cast.serve_on(server, Forks::new(max), Script::default()),
            _ => cast.serve_on(server, Threads::new(4), Script::default()),
        }
    })
}

/// Connections are lost, descriptors run out, and then it breaks down.
struct Source {
    bell: UnixStream,
    turn: usize,
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl blocking::Accept for Source {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        self.turn += 1;
        match self.turn {
            1 => Err(io::Error::from_raw_os_error(rustix::io::Errno::CONNABORTED.raw_os_error())),
            2 => Err(io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error())),
            // It is shed.
            3 => Ok((UnixStream::pair()?.0.into(), Peer::unnamed())),
            4 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Err(io::Error::other("out of order")),
        }
    }
}

fn source(_: &Cast) -> Result<Report> {
    watched(|observer| {
        let (bell, ring) = UnixStream::pair()?;
        // It is readable for good.
        drop(ring);
        let server = Server::bind([])?.accept_from_blocking(Source { bell, turn: 0 })?;
        Ok(server.observe(observer).serve(Threads::new(1), Script::default())?)
    })
}

/// Lets the handler know that it was found out.
struct Found;

static FOUND: AtomicUsize = AtomicUsize::new(0);

impl Observer for Found {
    fn hogged(&self, event: &Hogged) {
        assert!(event.time < PATIENCE);
        FOUND.fetch_add(1, SeqCst);
    }
}

fn hog(cast: &Cast) -> Result<Report> {
    watched(|observer| {
        let server = cast.server()?.observe((observer, Found));
        cast.serve_on(server, Tasks::new(1), async |c: &mut Stream| {
            let begun = std::time::Instant::now();
            while FOUND.load(SeqCst) == 0 && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            c.write_all(b"told\n").await?;
            Ok(())
        })
    })
}

/// Stacks that fit into no address space.
fn giant_stacks(cast: &Cast) -> Result<Report> {
    watched(|observer| {
        let server = cast.server()?.observe(observer);
        cast.serve_on(server, Threads::new(1).stack_size(1 << 47), Script::default())
    })
}
