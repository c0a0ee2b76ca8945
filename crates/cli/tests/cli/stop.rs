//! How `serve` ends.

use crate::harness::{LONG, MODELS, PARALLEL, Place, Served, client, command};
use rustix::process::Signal;
use socketserver_testkit::Client;

/// A client that has sent as much as goes and read nothing: the server waits for it in the middle of a reply.
fn stuck(address: &str) -> Client {
    busy(address).0
}

/// The same, with how much it has sent.
fn busy(address: &str) -> (Client, usize) {
    let mut client = client(address);
    let mut sent = client.stuff();
    // A machine that is busy otherwise makes a pause too: there has to be a whole one in which nothing goes.
    while let more @ 1.. = client.stuff() {
        sent += more;
    }
    (client, sent)
}

#[test]
fn with_nothing_open_a_signal_ends_it_at_once_with_status_0() {
    for model in MODELS {
        for signal in [Signal::TERM, Signal::INT] {
            // Were anything waited for, the test would not live to see it.
            let served = Served::start(&["echo", ":0", "--model", model, "--drain", LONG]);
            served.signal(signal);
            let ended = served.wait();
            assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
            assert_eq!(ended.line("stopped"), "stopped served=0 cut=0");
        }
    }
}

#[test]
fn an_idle_client_is_let_go_and_the_status_is_0() {
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model, "--drain", LONG]);
        let mut client = served.client();
        client.say("ping");
        client.expect("ping");
        served.signal(Signal::TERM);
        client.expect_end();
        let ended = served.wait();
        assert_eq!(ended.status, Some(0), "{model} {:#?}", ended.lines);
        assert!(ended.line("close ").ends_with(" reason=drained"), "{:#?}", ended.lines);
    }
}

#[test]
fn a_second_signal_ends_it_with_128_and_the_signals_number() {
    for model in MODELS {
        for (first, second, status) in
            [(Signal::TERM, Signal::TERM, 143), (Signal::INT, Signal::INT, 130), (Signal::TERM, Signal::INT, 130)]
        {
            let served = Served::start(&["echo", ":0", "--model", model, "--drain", LONG]);
            let _stuck = stuck(served.address());
            served.signal(first);
            served.line("draining open=1 ");
            served.signal(second);
            let ended = served.wait();
            assert_eq!(ended.status, Some(status), "{model} {:#?}", ended.lines);
        }
    }
}

#[test]
fn who_is_stuck_when_the_drain_ends_is_cut_and_named_and_the_status_is_1() {
    for model in MODELS {
        let served = Served::start(&["echo", ":0", "--model", model, "--drain", "300ms"]);
        let stuck = stuck(served.address());
        let peer = stuck.local().unwrap();
        let ended = served.stop();
        assert_eq!(ended.status, Some(1), "{model} {:#?}", ended.lines);
        assert!(ended.line("cut ").starts_with(&format!("cut id=1 peer={peer} ")), "{:#?}", ended.lines);
        assert!(ended.line("close ").ends_with(" reason=aborted"), "{:#?}", ended.lines);
        assert_eq!(ended.line("stopped"), "stopped served=1 cut=1");
    }
}

/// The busy ones are on a Unix socket: there what was sent is with the server, and not still on its way.
#[test]
fn of_ten_idle_ten_busy_and_one_stuck_the_stuck_one_alone_is_cut() {
    for model in PARALLEL {
        let place = Place::new();
        let args = ["serve", "echo", ":0", &place.address(), "--model", model, "--drain", "2s"];
        let served = Served::listening(command(&args), 2);
        let [tcp, unix] = served.addresses() else { panic!("{:?}", served.addresses()) };
        let mut idle: Vec<Client> = (0..10).map(|_| client(tcp)).collect();
        for client in &mut idle {
            client.say("ping");
            client.expect("ping");
        }
        let stuck = stuck(tcp);
        let busy: Vec<(Client, usize)> = std::thread::scope(|scope| {
            let stuffing: Vec<_> = (0..10).map(|_| scope.spawn(|| busy(unix))).collect();
            stuffing.into_iter().map(|busy| busy.join().unwrap()).collect()
        });
        served.signal(Signal::TERM);
        served.line("draining open=21 ");
        idle.iter_mut().for_each(Client::expect_end);
        for (mut client, sent) in busy {
            assert_eq!(client.hear_all().unwrap().len(), sent, "{model}");
        }
        let ended = served.wait();
        assert_eq!(ended.status, Some(1), "{model} {:#?}", ended.lines);
        let peer = stuck.local().unwrap();
        assert!(ended.line("cut ").starts_with(&format!("cut id=11 peer={peer} ")), "{:#?}", ended.lines);
        assert_eq!(ended.line("stopped"), "stopped served=21 cut=1");
    }
}

#[test]
fn a_ctrl_c_that_reaches_the_children_too_drains() {
    let place = Place::new();
    let served = Served::start(&["echo", &place.address(), "--model", "forks", "--drain", LONG]);
    let mut idle = served.client();
    idle.say("ping");
    idle.expect("ping");
    let (mut busy, sent) = busy(served.address());
    served.signal_group(Signal::INT);
    served.line("draining open=2 ");
    idle.expect_end();
    assert_eq!(busy.hear_all().unwrap().len(), sent);
    let ended = served.wait();
    assert_eq!(ended.status, Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.lines("child-ended "), [""; 0]);
    assert_eq!(ended.line("stopped"), "stopped served=2 cut=0");
}

/// The child of a fork has the parent's signal handlers for a moment: what it hears then is not a second signal.
#[test]
fn a_ctrl_c_in_the_middle_of_a_fork_is_one_signal() {
    for _ in 0..10 {
        let place = Place::new();
        let served = Served::start(&["echo", &place.address(), "--model", "forks", "--drain", LONG]);
        let address = served.address().parse().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // One after the other, until nobody listens any more.
                scope.spawn(|| {
                    while let Ok(mut client) = Client::connect(&address) {
                        client.say_if_there("ping");
                        let _ = client.hear(4);
                    }
                });
            }
            for _ in 0..20 {
                served.line("open ");
            }
            served.signal_group(Signal::INT);
            let ended = served.wait();
            assert_eq!(ended.status, Some(0), "{:#?}", ended.lines);
            assert!(ended.line("stopped").ends_with(" cut=0"), "{:#?}", ended.lines);
        });
    }
}
