//! Loads that are sent at a rate, and what waits too long.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;
#[path = "common/serve.rs"]
mod serve;

use run::run;
use serve::serve;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::ops::ControlFlow;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use socketserver_load::{ConnectClose, Load, Target};

const STALL: Duration = Duration::from_secs(1);

/// Echoes messages of 64 bytes; all connections together stall once, before the message of this number is answered.
fn stalling(at: u64) -> Target {
    let heard = Arc::new(AtomicU64::new(0));
    let gate = Arc::new(std::sync::RwLock::new(()));
    serve(move |mut stream| {
        let mut message = [0; 64];
        while stream.read_exact(&mut message).is_ok() {
            if heard.fetch_add(1, SeqCst) == at {
                let _all_wait = gate.write().unwrap();
                thread::sleep(STALL);
            }
            drop(gate.read().unwrap());
            if stream.write_all(&message).is_err() {
                return;
            }
        }
    })
}

fn echo() -> Target {
    stalling(u64::MAX)
}

/// Reads, and says nothing.
fn silent() -> Target {
    serve(|mut stream| drop(stream.read_to_end(&mut Vec::new())))
}

fn at(rate: &str, load: Load) -> Load {
    load.rate(rate.parse().unwrap())
}

#[test]
fn a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one() {
    let open = run(at("500/s", Load::new(stalling(200))).connections(10).requests(1000));
    assert!(open.errors.is_empty(), "{}", open.errors);
    assert_eq!(open.messages, 1000);
    // 500 messages were due while the server stood still, and each waited for what was left of that.
    assert!(open.latency.percentile(60.0) < STALL / 2, "{:?}", open.latency);
    assert!(open.latency.percentile(90.0) > STALL / 2, "{:?}", open.latency);
    let kept = open.open_loop.unwrap();
    // All but the ten of which there was room.
    assert!(kept.held >= 300, "{kept:?}");
    assert_eq!(kept.unsent, 0);
    let closed = run(Load::new(stalling(200)).connections(10).requests(3000));
    assert!(closed.errors.is_empty() && closed.open_loop.is_none());
    assert!(closed.latency.max() >= STALL && closed.latency.percentile(99.0) < STALL / 2, "{:?}", closed.latency);
}

#[test]
fn what_has_not_left_when_the_window_closes_is_told() {
    let load = at("1000/s", Load::new(silent())).connections(2).depth(3).timeout(Duration::from_secs(20));
    let outcome = run(load.duration(Duration::from_millis(300)));
    assert_eq!((outcome.messages, outcome.in_flight, outcome.lost), (0, 6, 0));
    let kept = outcome.open_loop.unwrap();
    assert!(kept.unsent >= 294, "{kept:?}");
}

#[test]
fn connections_have_their_turns() {
    let (sender, receiver) = mpsc::channel();
    let target = serve(move |mut stream| {
        let (mut message, mut heard) = ([0; 64], 0_u64);
        while stream.read_exact(&mut message).is_ok() {
            heard += 1;
            stream.write_all(&message).unwrap();
        }
        sender.send(heard).unwrap();
    });
    let outcome = run(at("2000/s", Load::new(target)).connections(4).depth(100).requests(400));
    assert_eq!((outcome.messages, outcome.in_flight), (400, 0));
    assert_eq!(receiver.iter().take(4).collect::<Vec<_>>(), [100; 4]);
}

#[test]
fn a_connection_for_each_message_at_a_rate() {
    let load = at("500/s", Load::new(echo())).connections(20).connect_per_request(ConnectClose::Reset);
    let outcome = run(load.requests(200));
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.opened, outcome.connect.len()), (200, 200, 200));
    // The last one leaves 398 ms after the first.
    assert!(outcome.elapsed >= Duration::from_millis(398));
    assert!(outcome.connect.percentile(50.0) <= outcome.latency.max());
}

#[test]
fn packets_at_a_rate_and_packets_that_are_lost() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Target::Udp(server.local_addr().unwrap());
    thread::spawn(move || {
        let (mut buffer, mut lost) = ([0; 100], VecDeque::new());
        for number in 0_u64.. {
            let (received, from) = server.recv_from(&mut buffer).unwrap();
            if number % 10 == 3 {
                lost.push_back((number, buffer, from));
            } else {
                server.send_to(&buffer[..received], from).unwrap();
            }
            // Some come when nobody waits for them any more.
            if lost.front().is_some_and(|(then, ..)| then + 600 < number) {
                let (_, late, from) = lost.pop_front().unwrap();
                server.send_to(&late[..received], from).unwrap();
            }
        }
    });
    let limit = Duration::from_millis(400);
    let open = run(at("1000/s", Load::new(target.clone())).depth(200).timeout(limit).requests(1000));
    // Which of them are too late is the machine's business too.
    assert_eq!((open.messages + open.lost, open.in_flight, open.errors.total()), (1000, 0, 0));
    assert!(open.lost > 0, "{}", open.lost);
    let closed = run(Load::new(target).depth(3).timeout(limit).requests(100));
    assert_eq!((closed.messages + closed.lost, closed.in_flight, closed.errors.total()), (100, 0, 0));
    assert!(closed.lost > 0, "{}", closed.lost);
}

#[test]
fn who_has_no_answer_in_time_is_given_up_and_the_others_go_on() {
    let answered = Arc::new(AtomicU64::new(0));
    let target = serve(move |mut stream| {
        let mut message = [0; 64];
        let is_silent = answered.fetch_add(1, SeqCst) == 0;
        while stream.read_exact(&mut message).is_ok() {
            if !is_silent {
                stream.write_all(&message).unwrap();
            }
        }
    });
    let load = Load::new(target).connections(3).depth(4).timeout(Duration::from_secs(3));
    let outcome = run(load.duration(Duration::from_secs(4)));
    assert_eq!((outcome.errors.to_string(), outcome.lost), ("1 timeout".into(), 4));
    assert_eq!(outcome.in_flight, 8);
    assert!(outcome.messages > 0);
}

#[test]
fn where_nobody_answers_all_is_given_up() {
    for load in [Load::new(silent()), at("100/s", Load::new(silent()))] {
        let load = load.connections(3).timeout(Duration::from_millis(100)).duration(Duration::from_secs(60));
        let outcome = run(load.clone());
        assert_eq!((outcome.errors.to_string(), outcome.messages, outcome.lost), ("3 timeout".into(), 0, 3));
        let each = run(load.connect_per_request(ConnectClose::Reset).requests(5).duration(Duration::from_secs(60)));
        assert_eq!((each.errors.to_string(), each.in_flight, each.lost), ("5 timeout".into(), 0, 5));
    }
}

#[test]
fn progress_is_told_and_can_end_it() {
    let (mut told, mut messages) = (0, 0);
    let outcome = Load::new(echo())
        .connections(2)
        .duration(Duration::from_secs(600))
        .run_observed(Duration::from_millis(20), |progress| {
            told += 1;
            messages += progress.messages;
            assert_eq!(progress.messages, progress.latency.len());
            assert!(progress.errors.is_empty() && progress.in_flight <= 2);
            if told < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    // Those after the break are told at the end.
    assert_eq!((told, messages), (6, outcome.messages));
}

#[test]
fn a_load_can_be_ended_while_its_connections_are_opened() {
    // Nobody shakes hands.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let load = at("1000/s", Load::new(Target::Tcp(listener.local_addr().unwrap())));
    let load = load.tls().connections(3).timeout(Duration::from_millis(100));
    let outcome = load.run_observed(Duration::from_millis(1), |_| ControlFlow::Break(())).unwrap();
    assert!(outcome.errors.timeout <= 1, "no more were tried: {}", outcome.errors);
    let unsent = outcome.open_loop.unwrap().unsent;
    assert_eq!((outcome.opened, outcome.in_flight, unsent, outcome.elapsed), (0, 0, 0, Duration::ZERO));
}

#[test]
fn a_rate_that_cannot_be_kept_does_not_keep_the_load_going() {
    let mut told = 0;
    let load = at("1000000000/s", Load::new(silent())).depth(5_000_000);
    let outcome = load.run_observed(Duration::ZERO, |_| {
        told += 1;
        if told < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // Each time it is looked whether the load is over some have left, and not as many as may be in flight.
    assert!((1..100_000).contains(&outcome.unwrap().in_flight));
}

#[test]
fn what_is_told_of_the_window_is_of_nothing_before_it() {
    let mut told = Vec::new();
    // The window opens in the middle of an interval.
    let load = Load::new(echo()).warmup(Duration::from_millis(150)).duration(Duration::from_millis(150));
    let outcome = load.run_observed(Duration::from_millis(100), |progress| {
        told.push((progress.elapsed, progress.interval));
        ControlFlow::Continue(())
    });
    told.retain(|(elapsed, _)| !elapsed.is_zero());
    assert!(told[0].1 <= told[0].0, "{told:?}");
    assert_eq!(told.iter().map(|(_, interval)| *interval).sum::<Duration>(), outcome.unwrap().elapsed);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let tcp = || Load::new(Target::Tcp("127.0.0.1:1".parse().unwrap()));
    let udp = || Load::new(Target::Udp("127.0.0.1:1".parse().unwrap()));
    for senseless in [
        at("1/s", tcp().room().lines()),
        at("1/s", udp().peers(2)),
        at("1/s", udp().trains(2).depth(2)),
        udp().peers(2).timeout(STALL),
        tcp().timeout(Duration::ZERO),
        udp().size(65_508),
        udp().framing("line".parse().unwrap()),
        udp().websocket("localhost", "/"),
        udp().connect_per_request(ConnectClose::Reset),
        tcp().websocket("localhost", "/").connect_per_request(ConnectClose::Reset),
    ] {
        assert!(senseless.run().unwrap_err().is_invalid());
    }
}
