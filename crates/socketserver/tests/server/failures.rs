//! What handlers fail with, and what is told of it.

use crate::{Reasons, connect, echo, is_served, within};
use socketserver::{Closed, Failure, Observer, Opened, Peer, Reason, Serial, Server, Threads, blocking};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

#[test]
fn an_error_of_the_handlers_own_is_not_taken_for_the_peers() {
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            // The peer leaves in the middle of a line, and that is dealt with; then something else fails.
            let cut_short = c.read_line(100).unwrap_err();
            assert_eq!(cut_short.kind(), io::ErrorKind::UnexpectedEof);
            c.write_all(b"incomplete\n")?;
            std::fs::read("/no/such/file")?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("half");
    client.end();
    // And the answer to what was incomplete arrives.
    client.expect("incomplete\n");
    client.expect_end();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Failed]);
}

#[test]
fn a_peer_that_left_is_known_inside_an_error_of_the_handlers_own() {
    #[derive(Debug)]
    struct Wrapped(io::Error);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "while reading")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            c.read_line(100).map_err(Wrapped)?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("half");
    client.end();
    client.expect_end();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Disconnected]);
}

#[test]
fn a_peer_that_left_stays_the_reason_when_finish_fails_too() {
    struct Goodbye;
    impl blocking::Handler for Goodbye {
        fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
            c.write_all(b"in")?;
            c.read(&mut [0])?;
            Ok(())
        }
        fn finish(&self, c: &mut blocking::Stream) -> socketserver::Result {
            c.write_all(b"goodbye")?;
            Ok(())
        }
    }
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server.spawn(Serial::default(), Goodbye).unwrap();
    let mut client = connect(&server);
    client.expect("in");
    client.reset();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Disconnected]);
}

#[test]
fn failures_whose_own_code_panics_hurt_one_connection() {
    #[derive(Debug)]
    struct Rude;
    impl std::fmt::Display for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words for it")
        }
    }
    impl std::error::Error for Rude {}
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .every(Duration::from_millis(1), |_| Err(Rude.into()))
        .every(Duration::MAX, |_| panic!("it never comes"))
        .spawn(Threads::new(1), |c: &mut blocking::Stream| {
            echo(c)?;
            Err(Rude.into())
        })
        .unwrap();
    for _ in 0..3 {
        is_served(&server.handle().endpoints()[0]);
    }
    let report = within("a server whose handler fails badly", || server.stop());
    assert_eq!(report.unwrap().totals.failed, 3);
}

#[test]
fn of_two_failures_the_first_is_the_one_that_counts() {
    /// Fails in `handle` and in `finish`, one of them with a panic.
    struct Twice {
        panics_first: bool,
        told: Sender<String>,
    }
    fn fail(hook: &str, panics: bool) -> socketserver::Result {
        assert!(!panics, "{hook}");
        Err(hook.into())
    }
    impl blocking::Handler for Twice {
        fn handle(&self, _: &mut blocking::Stream) -> socketserver::Result {
            fail("handle", self.panics_first)
        }
        fn finish(&self, _: &mut blocking::Stream) -> socketserver::Result {
            fail("finish", !self.panics_first)
        }
        fn on_error(&self, failure: &Failure, _: &Peer) {
            self.told.send(format!("on_error: {failure}")).unwrap();
        }
    }
    struct Tell(Sender<String>);
    impl Observer for Tell {
        fn closed(&self, e: &Closed<'_>) {
            self.0.send(format!("closed: {}, {}", e.reason, e.failure.unwrap())).unwrap();
        }
    }
    for (panics_first, expected) in [
        (false, ["on_error: handle", "on_error: panicked: finish", "closed: failed, handle"]),
        (true, ["on_error: panicked: handle", "on_error: finish", "closed: panicked, panicked: handle"]),
    ] {
        let (told, tells) = channel();
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(Tell(told.clone()));
        let server = server.spawn(Serial::default(), Twice { panics_first, told }).unwrap();
        connect(&server).expect_end();
        assert_eq!(server.stop().unwrap().totals.failed, 1);
        assert_eq!(tells.try_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn an_observer_that_panics_hurts_nobody() {
    struct Rude;
    impl Observer for Rude {
        fn opened(&self, _: &Opened<'_>) {
            panic!("opened")
        }
        fn closed(&self, _: &Closed<'_>) {
            panic!("closed")
        }
    }
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(Rude).spawn(Threads::new(1), echo).unwrap();
    for _ in 0..3 {
        is_served(&server.handle().endpoints()[0]);
    }
    let report = within("a server whose observer panics", || server.stop()).unwrap();
    assert_eq!((report.served, report.totals.failed), (3, 0));
}
