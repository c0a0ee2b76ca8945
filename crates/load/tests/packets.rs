//! Packets, one by one and in trains, against servers that behave, and against one that does not.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;

use run::run;
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use socketserver_load::{Load, LoadError, Outcome, Target};
use socketserver_sys::{Inbox, Outbox, join_trains};

/// Echoes packet by packet, with `spoil` run over each of them; the thread ends with the test process.
fn serve(mut spoil: impl FnMut(&mut [u8]) + Send + 'static) -> Target {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        while let Ok((received, from)) = socket.recv_from(&mut buffer) {
            spoil(&mut buffer[..received]);
            socket.send_to(&buffer[..received], from).unwrap();
        }
    });
    Target::Udp(address)
}

/// Echoes train by train, and tells how many packets each had.
fn serve_trains() -> (Target, Receiver<usize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    join_trains(&socket, true).unwrap();
    let address = socket.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut inbox, mut outbox) = (Inbox::new(16, 65_535), Outbox::default());
        loop {
            poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).unwrap();
            for at in 0..inbox.receive(&socket).unwrap() {
                let train = inbox.packet(at);
                if tell.send(train.parts().len()).is_err() {
                    return;
                }
                outbox.push_train(train.bytes, train.segment, train.from.as_ref(), None);
            }
            outbox.send(&socket, |_, error| panic!("{error}"));
        }
    });
    (Target::Udp(address), told)
}

#[track_caller]
fn assert_echoed(outcome: &Outcome, messages: u64, bytes: u64) {
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.bytes, outcome.in_flight), (messages, bytes, 0));
}

#[test]
fn each_packet_is_echoed_and_counted() {
    let outcome = run(Load::new(serve(|_| {})).connections(3).depth(5).size(100).requests(1003));
    assert_echoed(&outcome, 1003, 100_300);
    assert_eq!((outcome.opened, outcome.latency.len()), (3, 1003));
}

#[test]
fn trains_reach_servers_that_know_none() {
    // In flight is what the queue of a socket holds.
    let outcome = run(Load::new(serve(|_| {})).depth(40).size(1200).trains(20).requests(2000));
    assert_echoed(&outcome, 2000, 2_400_000);
}

#[test]
fn trains_leave_whole_and_come_back_whole() {
    let (target, told) = serve_trains();
    let outcome = run(Load::new(target).connections(2).depth(50).size(1200).trains(25).requests(2000));
    assert_echoed(&outcome, 2000, 2_400_000);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [25; 80]);
}

#[test]
fn what_is_left_at_the_end_is_a_shorter_train() {
    let (target, told) = serve_trains();
    assert_echoed(&run(Load::new(target).depth(10).size(64).trains(10).requests(103)), 103, 6592);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [&[10; 10][..], &[3]].concat());
}

#[test]
fn a_corrupted_byte_in_a_train_is_a_mismatch() {
    let mut packets = 0;
    let target = serve(move |packet| {
        packets += 1;
        if packets == 17 {
            packet[99] ^= 1;
        }
    });
    let outcome = run(Load::new(target).depth(10).size(100).trains(10).requests(100));
    assert_eq!((outcome.errors.mismatch, outcome.errors.total(), outcome.messages), (1, 1, 16));
}

#[test]
fn trains_that_make_no_sense_are_refused() {
    let udp = || Load::new(Target::Udp(([127, 0, 0, 1], 9).into())).depth(100);
    let tcp = Load::new(Target::Tcp(([127, 0, 0, 1], 9).into())).depth(100);
    let refused = |load: Load| load.run().as_ref().err().is_some_and(LoadError::is_invalid);
    assert!(refused(udp().trains(0)) && refused(udp().trains(65)) && refused(udp().trains(usize::MAX)));
    assert!(refused(udp().trains(55).size(1200)), "too large");
    assert!(refused(udp().trains(10).depth(9)) && refused(tcp.trains(10)));
}
