//! Trains of packets over real sockets: joined, cut up, refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SocketAddrAny;
use socketserver_sys::{Inbox, Local, Outbox, join_trains, joins_trains};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

const BOTH: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn udp(addr: &str) -> UdpSocket {
    UdpSocket::bind(addr).unwrap()
}

/// One that trains come to.
fn platform(addr: &str) -> UdpSocket {
    let socket = udp(addr);
    join_trains(&socket, true).unwrap();
    socket
}

fn name(socket: &UdpSocket) -> SocketAddrAny {
    socket.local_addr().unwrap().into()
}

fn joining() -> Outbox {
    let mut outbox = Outbox::default();
    outbox.join(true);
    outbox
}

fn received(inbox: &mut Inbox, socket: impl AsFd) -> usize {
    let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&patience)).unwrap(), 1, "nothing comes");
    inbox.receive(socket).unwrap()
}

fn no_failure(to: Option<&SocketAddrAny>, error: io::Error) {
    panic!("{to:?}: {error}");
}

/// The sizes of the packets that come, a list for each train.
fn sizes(inbox: &mut Inbox, socket: impl AsFd) -> Vec<Vec<usize>> {
    let count = received(inbox, socket);
    (0..count).map(|at| inbox.packet(at).parts().map(<[u8]>::len).collect()).collect()
}

#[test]
fn what_leaves_as_a_train_arrives_as_one_or_in_packets() {
    for addr in BOTH {
        let (ours, theirs) = (udp(addr), platform(addr));
        let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), joining());
        let packet = |at: u8| vec![at; if at == 50 { 700 } else { 1200 }];
        for _ in 0..2 {
            (0..=50).for_each(|at| outbox.push(&packet(at), Some(&name(&theirs)), None));
            assert_eq!((outbox.len(), outbox.bytes()), (51, 60_700));
            assert!(outbox.send(&ours, no_failure));
            assert!(outbox.is_empty() && outbox.bytes() == 0 && !outbox.take_refused());
            assert_eq!(received(&mut inbox, &theirs), 1, "{addr}");
            assert!(inbox.has_train() && !inbox.is_full());
            let train = inbox.packet(0);
            assert_eq!((train.segment, train.truncated, train.parts().len()), (Some(1200), false, 51));
            assert!(train.parts().zip(0..).all(|(part, at)| part == packet(at)));
        }
        // Whoever asks for no trains gets packets.
        join_trains(&theirs, false).unwrap();
        (0..=50).for_each(|at| outbox.push(&packet(at), Some(&name(&theirs)), None));
        assert!(outbox.send(&ours, no_failure));
        assert_eq!(received(&mut inbox, &theirs), 51);
        assert!((0..=50).all(|at| inbox.bytes(at.into()) == packet(at)) && !inbox.has_train());
    }
}

#[test]
fn only_what_is_alike_is_joined() {
    let (ours, theirs, others) = (udp("127.0.0.1:0"), platform("127.0.0.1:0"), platform("127.0.0.1:0"));
    let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), joining());
    let push = |to: &UdpSocket, len: usize, outbox: &mut Outbox| outbox.push(&vec![7; len], Some(&name(to)), None);
    // A smaller one ends a train, a larger one or an empty one begins anew.
    for len in [100, 100, 90, 90, 90, 100, 0, 0, 1, 1] {
        push(&theirs, len, &mut outbox);
    }
    for to in [&others, &theirs, &others, &others] {
        push(to, 5, &mut outbox);
    }
    // From an address of its own.
    let us = Ipv4Addr::LOCALHOST.into();
    outbox.push(b"12345", Some(&name(&others)), Some(Local { to: us, from: Some(us), interface: 0 }));
    outbox.join(false);
    push(&others, 5, &mut outbox);
    push(&others, 5, &mut outbox);
    assert_eq!(outbox.len(), 17);
    assert!(outbox.send(&ours, no_failure));
    let lists = [vec![100, 100, 90], vec![90, 90], vec![100], vec![0], vec![0], vec![1, 1], vec![5]];
    assert_eq!(sizes(&mut inbox, &theirs), lists);
    assert_eq!(sizes(&mut inbox, &others), [vec![5], vec![5, 5], vec![5], vec![5], vec![5]]);
}

#[test]
fn a_train_is_as_long_as_the_kernel_takes_it() {
    for addr in BOTH {
        let (ours, theirs) = (udp(addr), platform(addr));
        let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), joining());
        for (len, count, trains) in [(10, 130, vec![64, 64, 2]), (1200, 56, vec![54, 2]), (65_507, 2, vec![1, 1])] {
            (0..count).for_each(|_| outbox.push(&vec![7; len], Some(&name(&theirs)), None));
            assert!(outbox.send(&ours, no_failure));
            assert!(!outbox.take_refused(), "{addr} {len}");
            let sizes = sizes(&mut inbox, &theirs);
            assert_eq!(sizes.iter().map(Vec::len).collect::<Vec<_>>(), trains, "{addr} {len}");
            assert!(sizes.iter().flatten().all(|size| *size == len));
        }
        // Of the largest size that there is, which it may cut up on the way.
        for len in [32_754, 32_753] {
            outbox.push(&vec![7; len], Some(&name(&theirs)), None);
        }
        assert!(outbox.send(&ours, no_failure));
        assert!(!outbox.take_refused(), "{addr}");
        assert_eq!(sizes(&mut inbox, &theirs).concat(), [32_754, 32_753]);
    }
}

/// Has a socket send no checksums, which the kernel wants for trains, and another take such packets.
fn without_checksums(from: &UdpSocket, to: &UdpSocket) {
    const UDP_NO_CHECK6_TX: libc::c_int = 101;
    const UDP_NO_CHECK6_RX: libc::c_int = 102;
    let set = |socket: &UdpSocket, level, option| {
        let on: libc::c_int = 1;
        // SAFETY: `on` is an integer of the length that is told, and read during the call alone; the descriptor is open.
        let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), 4) };
        assert_eq!(result, 0);
    };
    if from.local_addr().unwrap().is_ipv6() {
        set(from, libc::SOL_UDP, UDP_NO_CHECK6_TX);
        set(to, libc::SOL_UDP, UDP_NO_CHECK6_RX);
    } else {
        set(from, libc::SOL_SOCKET, libc::SO_NO_CHECK);
    }
}

#[test]
fn a_train_that_is_refused_goes_packet_by_packet() {
    for addr in BOTH {
        let (ours, theirs) = (udp(addr), platform(addr));
        without_checksums(&ours, &theirs);
        let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), joining());
        for len in [3, 3, 2, 9, 8, 8, 8] {
            outbox.push(&vec![7; len], Some(&name(&theirs)), None);
        }
        assert!(outbox.send(&ours, no_failure));
        assert!(outbox.is_empty());
        assert_eq!(sizes(&mut inbox, &theirs), [[3], [3], [2], [9], [8], [8], [8]], "{addr}");
        assert!(outbox.take_refused());
        assert!(!outbox.take_refused(), "it was told");
    }
}

#[test]
fn each_packet_of_a_train_that_cannot_be_sent_is_told() {
    let (ours, theirs) = (udp("127.0.0.1:0"), platform("127.0.0.1:0"));
    let not_ours = Ipv4Addr::new(192, 0, 2, 1).into();
    let strange = Local { to: not_ours, from: Some(not_ours), interface: 0 };
    let mut outbox = joining();
    (0..3).for_each(|_| outbox.push(b"lost", Some(&name(&theirs)), Some(strange)));
    (0..2).for_each(|_| outbox.push(b"arrives", Some(&name(&theirs)), None));
    let mut failed = Vec::new();
    assert!(outbox.send(&ours, |to, _| failed.push(to.cloned())));
    assert_eq!(failed, vec![Some(name(&theirs)); 3]);
    assert_eq!(sizes(&mut Inbox::new(4, 100), &theirs), [[7, 7]]);
}

#[test]
fn what_is_given_up_is_given_up_packet_by_packet() {
    let (ours, theirs) = (udp("127.0.0.1:0"), platform("127.0.0.1:0"));
    let mut outbox = joining();
    for packet in ["one", "two", "3", "four"] {
        outbox.push(packet.as_bytes(), Some(&name(&theirs)), None);
    }
    assert_eq!(outbox.give_up(), Some(name(&theirs)));
    assert_eq!((outbox.len(), outbox.bytes()), (3, 8));
    assert!(outbox.send(&ours, no_failure));
    assert_eq!(sizes(&mut Inbox::new(4, 100), &theirs), [[3], [1], [4]]);
    assert_eq!(outbox.give_up(), None);
    assert!(outbox.is_empty());
}

#[test]
fn a_train_is_sent_back_as_it_came() {
    for addr in BOTH {
        let (ours, theirs) = (platform(addr), platform(addr));
        let (mut inbox, mut outbox) = (Inbox::new(64, 65_535), joining());
        for len in [500, 500, 20, 0, 30] {
            outbox.push(&vec![7; len], Some(&name(&theirs)), None);
        }
        assert!(outbox.send(&ours, no_failure));
        assert_eq!(received(&mut inbox, &theirs), 3);
        for packet in (0..3).map(|at| inbox.packet(at)) {
            outbox.push_train(packet.bytes, packet.segment, packet.from.as_ref(), None);
        }
        assert_eq!((outbox.len(), outbox.bytes()), (5, 1050));
        assert!(outbox.send(&theirs, no_failure));
        assert_eq!(sizes(&mut inbox, &ours), [vec![500, 500, 20], vec![0], vec![30]]);
    }
}

#[test]
fn a_train_that_is_cut_ends_earlier() {
    let (ours, theirs) = (udp("127.0.0.1:0"), platform("127.0.0.1:0"));
    let (mut inbox, mut outbox) = (Inbox::new(4, 250), joining());
    (0..9).for_each(|_| outbox.push(&[7; 100], Some(&name(&theirs)), None));
    assert!(outbox.send(&ours, no_failure));
    assert_eq!(sizes(&mut inbox, &theirs), [[100, 100, 50]]);
    assert!(inbox.packet(0).truncated);
}

#[test]
fn what_waits_already_stays_as_it_is() {
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    assert!(!joins_trains(&theirs).unwrap());
    let (mut inbox, mut outbox) = (Inbox::new(64, 1000), joining());
    for _ in 0..2 {
        (0..4).for_each(|_| outbox.push(b"one of four", Some(&name(&theirs)), None));
        assert!(outbox.send(&ours, no_failure));
        join_trains(&theirs, true).unwrap();
    }
    assert!(joins_trains(&theirs).unwrap());
    assert_eq!(sizes(&mut inbox, &theirs), [vec![11], vec![11], vec![11], vec![11], vec![11; 4]]);
    join_trains(&theirs, false).unwrap();
    assert!(!joins_trains(&theirs).unwrap());
}

#[test]
fn no_more_are_received_than_were_asked_for() {
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let (mut inbox, mut outbox) = (Inbox::new(4, 10), Outbox::default());
    (0..10).for_each(|_| outbox.push(b"one of ten", Some(&name(&theirs)), None));
    assert!(outbox.send(&ours, no_failure));
    for (most, comes, full) in [(3, 3, true), (0, 1, true), (9, 4, true), (4, 2, false)] {
        assert_eq!(inbox.receive_at_most(most, &theirs).unwrap(), comes);
        assert_eq!(inbox.is_full(), full);
    }
    assert_eq!(inbox.receive(&theirs).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!inbox.is_full());
}

#[test]
fn runs_are_of_one_sender_and_one_size() {
    let (one, other, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.2:0"), udp("127.0.0.1:0"));
    let mut inbox = Inbox::new(64, 100);
    let mut runs = |packets: &[(&UdpSocket, usize)], len| {
        for (from, size) in packets {
            from.send_to(&vec![7; *size], theirs.local_addr().unwrap()).unwrap();
        }
        assert_eq!(received(&mut inbox, &theirs), packets.len());
        inbox.has_runs_of(len)
    };
    assert!(runs(&[(&one, 10); 16], 16));
    assert!(!runs(&[(&one, 10); 16], 17), "there are not so many");
    let half = [[(&one, 10); 8], [(&other, 10); 8]].concat();
    assert!(runs(&half, 8) && !runs(&half, 9));
    let sizes = [[(&one, 10); 8], [(&one, 11); 8]].concat();
    assert!(runs(&sizes, 8) && !runs(&sizes, 9));
    assert!(!runs(&[(&one, 10), (&other, 10)].repeat(8), 2));
    assert!(runs(&[(&one, 10), (&other, 10)], 1) && runs(&[(&one, 10)], 0));
}
