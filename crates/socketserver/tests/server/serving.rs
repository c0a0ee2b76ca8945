//! One run after another: serving one, polling from outside, stopping.

use crate::{connect, echo, is_served, running, within};
use socketserver::{ErrorKind, Failure, Forks, Observer, Peer, Served, Server, Threads, blocking};
use socketserver_testkit::{Client, PATIENCE};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn serve_one_serves_times_out_and_stops() {
    within("serve_one", || {
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let handle = server.handle();
        assert_eq!(server.serve_one(echo, Duration::from_millis(10)).unwrap(), Served::TimedOut);
        for name in ["one\n", "two\n"] {
            let mut client = Client::connect(&server.endpoints()[0]).unwrap();
            client.say(name);
            client.end();
            assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::One);
            client.expect(name);
            client.expect_end();
        }
        // The loop is one run: the handle from before it still stops it.
        handle.shutdown();
        assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::Stopped);
        // And a new run begins.
        assert_eq!(server.serve_one(echo, Duration::ZERO).unwrap(), Served::TimedOut);
        assert_eq!(server.handle().totals().accepted, 2);
    });
}

#[test]
fn the_accept_rate_counts_on_between_calls_of_serve_one() {
    within("serve_one", || {
        let rate = "1/h".parse::<socketserver::Rate>().unwrap();
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().accept_rate(rate);
        let mut clients = [(); 2].map(|()| Client::connect(&server.endpoints()[0]).unwrap());
        clients[0].say("one\n");
        clients[0].end();
        assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::One);
        assert_eq!(server.serve_one(echo, Duration::from_millis(10)).unwrap(), Served::TimedOut);
        server.handle().set_accept_rate(None);
        clients[1].end();
        assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::One);
    });
}

#[test]
fn every_counts_on_between_calls_of_serve_one() {
    within("serve_one", || {
        let (tell, told) = channel();
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().every(Duration::from_millis(60), move |_| {
            tell.send(())?;
            Ok(())
        });
        while told.try_recv().is_err() {
            assert_eq!(server.serve_one(echo, Duration::from_millis(20)).unwrap(), Served::TimedOut);
        }
    });
}

#[test]
fn a_server_can_be_polled_from_outside() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let ready = |server: &Server, seconds| {
        let mut fds = [PollFd::new(server, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() == 1
    };
    let mut server = Server::bind(["tcp://127.0.0.1:0", "unix:@socketserver-polled"]).unwrap();
    assert!(!ready(&server, 0));
    for endpoint in server.endpoints() {
        let mut client = Client::connect(&endpoint).unwrap();
        client.say("hello\n");
        client.end();
        assert!(ready(&server, 30));
        assert_eq!(server.serve_one(echo, Duration::ZERO).unwrap(), Served::One);
        client.expect("hello\n");
        assert!(!ready(&server, 0));
    }
    server.handle().shutdown();
    assert!(ready(&server, 0));
}

/// One that was chosen and ended by itself meanwhile leaves its place to another, who was not chosen.
#[test]
fn a_kick_hits_nobody_who_was_not_chosen() {
    let server = running("tcp://127.0.0.1:0");
    let handle = server.handle().clone();
    let mut chosen = connect(&server);
    chosen.say("hello\n");
    chosen.expect("hello\n");
    let (mut chosen, mut other) = (Some(chosen), None);
    let kicked = handle.kick_where(|_| {
        drop(chosen.take());
        while handle.open() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut client = connect(&server);
        client.say("hello\n");
        client.expect("hello\n");
        other = Some(client);
        true
    });
    assert_eq!(kicked, 0);
    let mut other = other.unwrap();
    other.say("hello\n");
    other.expect("hello\n");
    drop(other);
    assert!(server.stop().unwrap().is_clean());
}

#[test]
fn an_arc_is_a_handler_and_an_observer() {
    #[derive(Default)]
    struct Count(Mutex<(usize, usize)>);
    impl blocking::Handler for Count {
        fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
            self.0.lock().unwrap().0 += 1;
            echo(c)
        }
        fn on_error(&self, _: &Failure, _: &Peer) {}
    }
    impl Observer for Count {
        fn closed(&self, _: &socketserver::Closed<'_>) {
            self.0.lock().unwrap().1 += 1;
        }
    }
    let count = Arc::new(Count::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(count.clone());
    let server = server.spawn(Threads::default(), count.clone()).unwrap();
    is_served(&server.handle().endpoints()[0]);
    server.stop().unwrap();
    assert_eq!(*count.0.lock().unwrap(), (1, 1));
}

#[test]
fn forks_cannot_be_spawned() {
    within("what cannot run", || {
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Forks::new(2), echo).unwrap();
        assert_eq!(server.join().unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn of_two_drains_the_nearer_deadline_counts() {
    let server = running("tcp://127.0.0.1:0");
    let mut client = connect(&server);
    client.say("in\nhalf a li");
    client.expect("in\n");
    let handle = server.handle().clone();
    handle.drain(Duration::from_millis(50));
    handle.drain(Duration::from_secs(3600));
    let (send, ended) = channel();
    std::thread::spawn(move || drop(send.send(server.join())));
    let report = ended.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(report.cut.len(), 1);
}

#[test]
fn an_abandoned_thread_keeps_nothing_of_the_server() {
    within("a drain that leaves a thread behind", || {
        let (release, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
        let endpoint = server.endpoints()[0].clone();
        let handle = server.handle();
        let mut client = Client::connect(&endpoint).unwrap();
        client.say("x");
        let report = server
            .serve(Threads::default(), move |c: &mut blocking::Stream| {
                c.read(&mut [0])?;
                handle.drain(Duration::ZERO);
                let _ = wait.lock().unwrap().recv();
                Ok(())
            })
            .unwrap();
        assert_eq!(report.cut.iter().map(|cut| cut.abandoned).collect::<Vec<_>>(), [true]);

        // The next run knows nothing of it.
        server.handle().shutdown();
        assert!(server.serve(Threads::default(), echo).unwrap().is_clean());
        // And when the server is gone, so is its port.
        drop(server);
        assert!(Client::connect(&endpoint).is_err());
        drop(Server::bind(endpoint).unwrap());
        drop(release);
    });
}
