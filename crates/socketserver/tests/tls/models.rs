//! Where one's own code decides what runs when.

use crate::site::{script, script_async};
use socketserver::client::{ClientTls, Connector};
use socketserver::{Blocking, Error, Model, Served, Server, ServerTls, Service, Stream, Work};
use socketserver_testkit::PATIENCE;
use std::thread;
use std::time::{Duration, Instant};

fn tls() -> (ServerTls, Connector) {
    let tls = ServerTls::new().self_signed(["localhost", "127.0.0.1"]).unwrap();
    let trusted = ClientTls::new().fingerprint(tls.fingerprint().unwrap());
    (tls, Connector::new().tls(trusted))
}

fn is_served(connector: &Connector, at: &socketserver::Endpoint) {
    let mut c = connector.connect(at).unwrap();
    c.write_all(b"echo hello\nbye\n").unwrap();
    assert_eq!(c.read_to_end(100).unwrap(), b"hello\nbye\n");
}

#[test]
fn one_at_a_time() {
    let (tls, connector) = tls();
    let mut server = Server::bind("tls://127.0.0.1:0").unwrap().tls(tls).unwrap();
    let at = server.endpoints().remove(0);
    let clients = thread::spawn(move || (0..3).for_each(|_| is_served(&connector, &at)));
    for _ in 0..3 {
        assert_eq!(server.serve_one(script, PATIENCE).unwrap(), Served::One);
    }
    clients.join().unwrap();
    assert_eq!(server.serve_one(script, Duration::from_millis(1)).unwrap(), Served::TimedOut);
}

/// Takes what comes, on two threads.
struct Two;

impl Model for Two {
    type Engine = Blocking;

    fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), Error> {
        let take = |work: Work<Blocking, S>| {
            while let Some(job) = work.next()? {
                job.run();
            }
            Ok(())
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| take(work.clone()));
            take(work.clone()).and(other.join().unwrap())
        })
    }
}

#[test]
fn a_model_of_ones_own() {
    let (tls, connector) = tls();
    let server = Server::bind("tls://127.0.0.1:0").unwrap().tls(tls).unwrap().spawn(Two, script).unwrap();
    let at = server.handle().endpoints().remove(0);
    let silent = socketserver_testkit::Client::connect(&at).unwrap();
    is_served(&connector, &at);
    drop(silent);
    // A drain that came first would be why it ends.
    let give_up = Instant::now() + PATIENCE;
    while server.handle().open() > 0 && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(5));
    }
    let totals = server.stop().unwrap().totals;
    assert_eq!((totals.accepted, totals.handshakes_failed), (2, 1));
}

#[test]
fn in_a_runtime_of_ones_own() {
    let (tls, connector) = tls();
    let mut server = Server::bind("tls://127.0.0.1:0").unwrap().tls(tls).unwrap();
    let (at, handle) = (server.endpoints().remove(0), server.handle());
    let client = thread::spawn(move || {
        is_served(&connector, &at);
        handle.shutdown();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(server.run(async |c: &mut Stream| script_async(c).await)).unwrap();
    client.join().unwrap();
    assert_eq!(report.totals.accepted, 1);
}
