//! Messages from many addresses through one socket, against servers that behave, and against some that do not.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;

use run::run;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socketserver_load::{Load, LoadError, Outcome, Target};

/// Gives each packet to `answer`, with the socket to answer through; the thread ends with the test process.
fn serve(mut answer: impl FnMut(&UdpSocket, &mut [u8], SocketAddr) + Send + 'static) -> Target {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        while let Ok((received, from)) = socket.recv_from(&mut buffer) {
            answer(&socket, &mut buffer[..received], from);
        }
    });
    Target::Udp(address)
}

#[track_caller]
fn assert_echoed(outcome: &Outcome, messages: u64) {
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.bytes, outcome.in_flight), (messages, messages * 64, 0));
    assert_eq!((outcome.opened, outcome.latency.len()), (1, messages));
}

fn peers(count: u32) -> HashSet<IpAddr> {
    let first = Ipv4Addr::new(127, 1, 0, 0).to_bits();
    (first..first + count).map(|bits| Ipv4Addr::from_bits(bits).into()).collect()
}

#[test]
fn each_peer_is_heard_and_answered() {
    let (tell, told) = mpsc::channel();
    let target = serve(move |socket, packet, from| {
        tell.send(from).unwrap();
        socket.send_to(packet, from).unwrap();
    });
    assert_echoed(&run(Load::new(target).peers(3000).depth(64).requests(3000)), 3000);
    let heard: HashSet<SocketAddr> = told.try_iter().collect();
    assert_eq!(heard.iter().map(SocketAddr::ip).collect::<HashSet<_>>(), peers(3000));
    assert_eq!(heard.len(), 3000, "all from one port");
}

#[test]
fn they_take_turns() {
    let (tell, told) = mpsc::channel();
    let target = serve(move |socket, packet, from| {
        tell.send(from.ip()).unwrap();
        socket.send_to(packet, from).unwrap();
    });
    // More in flight than there are peers, so some of them have several; told apart by what is in them, or not at all.
    assert_echoed(&run(Load::new(target.clone()).peers(3).depth(8).requests(1000)), 1000);
    assert_echoed(&run(Load::new(target).message([7; 64]).peers(3).depth(8).requests(1000)), 1000);
    assert_eq!(told.try_iter().collect::<HashSet<_>>(), peers(3));
}

#[test]
fn what_is_lost_is_sent_again_and_counts_once() {
    let mut heard = 0;
    let target = serve(move |socket, packet, from| {
        heard += 1;
        if heard % 7 != 1 {
            socket.send_to(packet, from).unwrap();
        }
    });
    let outcome = run(Load::new(target).peers(1000).depth(64).requests(1000));
    assert_echoed(&outcome, 1000);
    assert!(outcome.latency.max() >= Duration::from_millis(200), "from when it was sent first");
}

#[test]
fn what_was_only_late_is_no_mismatch() {
    let mut heard = HashMap::new();
    let target = serve(move |socket, packet, from| {
        let times = heard.entry(from).or_insert(0);
        *times += 1;
        // Both are answered when the second one comes.
        for _ in 0..if *times == 2 { 2 } else { 0 } {
            socket.send_to(packet, from).unwrap();
        }
    });
    // Those that come late are read in between the others.
    assert_echoed(&run(Load::new(target).peers(100).depth(40).requests(100)), 100);
}

#[test]
fn an_answer_to_another_peer_is_a_mismatch() {
    let mut before: Option<SocketAddr> = None;
    let target = serve(move |socket, packet, from| {
        socket.send_to(packet, before.replace(from).unwrap_or(from)).unwrap();
    });
    let outcome = run(Load::new(target).peers(10).depth(2).requests(10));
    assert_eq!((outcome.errors.mismatch, outcome.errors.total(), outcome.messages), (1, 1, 1));
}

#[test]
fn a_corrupted_byte_and_an_answer_too_many_are_mismatches() {
    let corrupted = serve(|socket, packet, from| {
        packet[63] ^= 1;
        socket.send_to(packet, from).unwrap();
    });
    let outcome = run(Load::new(corrupted).peers(10).depth(2).requests(10));
    assert_eq!((outcome.errors.mismatch, outcome.errors.total(), outcome.messages), (1, 1, 0));
    let doubled = serve(|socket, packet, from| {
        socket.send_to(packet, from).unwrap();
        socket.send_to(packet, from).unwrap();
    });
    let outcome = run(Load::new(doubled).peers(1000).depth(2).requests(1000));
    assert_eq!((outcome.errors.mismatch, outcome.errors.total()), (1, 1));
}

#[test]
fn what_a_stranger_sends_is_nothing() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = serve(move |socket, packet, from| {
        stranger.send_to(b"hello", from).unwrap();
        stranger.send_to(packet, from).unwrap();
        socket.send_to(packet, from).unwrap();
    });
    assert_echoed(&run(Load::new(target).peers(100).depth(10).requests(100)), 100);
}

#[test]
fn nobody_there_and_nobody_who_answers() {
    // It hears itself alone, and its port is nobody else's meanwhile.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap();
    deaf.connect(address).unwrap();
    let outcome = run(Load::new(Target::Udp(address)).peers(10).depth(2).requests(10));
    assert_eq!((outcome.errors.refused, outcome.errors.total(), outcome.messages), (1, 1, 0));
    let silent = serve(|_, _, _| {});
    let outcome = run(Load::new(silent).peers(10).depth(2).requests(10).stall(Duration::from_millis(500)));
    assert_eq!((outcome.errors.timeout, outcome.errors.total(), outcome.in_flight), (1, 1, 2));
}

#[test]
fn crowds_that_make_no_sense_are_refused() {
    let refused = |load: Load| load.run().as_ref().err().is_some_and(LoadError::is_invalid);
    let udp = || Load::new(Target::Udp(([127, 0, 0, 1], 9).into()));
    assert!(refused(udp().peers(0)) && refused(udp().peers(16_646_145)) && refused(udp().peers(usize::MAX)));
    assert!(refused(udp().peers(10).connections(2)));
    assert!(refused(udp().peers(10).depth(10).trains(10)));
    assert!(refused(udp().peers(10).sources([[127, 0, 0, 1].into()])));
    for elsewhere in ["192.0.2.1:9", "0.0.0.0:9", "[::1]:9"] {
        assert!(refused(Load::new(Target::Udp(elsewhere.parse().unwrap())).peers(10)), "{elsewhere}");
    }
    assert!(refused(Load::new(Target::Tcp(([127, 0, 0, 1], 9).into())).peers(10)));
}
