//! Packets over real sockets: from where, to where, in how many pieces.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketAddrAny, sockopt};
use socketserver_sys::{Inbox, Local, Outbox, Packet, dropped, tell_local};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

fn udp(addr: &str) -> UdpSocket {
    let socket = UdpSocket::bind(addr).unwrap();
    tell_local(&socket, addr.starts_with('[')).unwrap();
    socket
}

fn name(socket: &UdpSocket) -> SocketAddrAny {
    socket.local_addr().unwrap().into()
}

fn received(inbox: &mut Inbox, socket: impl AsFd) -> usize {
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).unwrap();
    inbox.receive(socket).unwrap()
}

fn no_failure(to: Option<&SocketAddrAny>, error: io::Error) {
    panic!("{to:?}: {error}");
}

#[test]
fn many_go_in_one_call_and_come_in_one() {
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let (mut inbox, mut outbox) = (Inbox::new(64, 2048), Outbox::default());
    for round in 0..3_u8 {
        let sent = |at: u8| vec![at; usize::from(at) * 10 + usize::from(round)];
        for at in 0..50 {
            outbox.push(&sent(at), Some(&name(&theirs)), None);
        }
        assert_eq!((outbox.len(), outbox.bytes()), (50, (0..50).map(|at| sent(at).len()).sum()));
        assert!(outbox.send(&ours, no_failure));
        assert!(outbox.is_empty());
        assert_eq!(received(&mut inbox, &theirs), 50);
        for at in 0..50 {
            let packet = inbox.packet(at.into());
            assert_eq!(packet.bytes, sent(at));
            let from = SocketAddr::try_from(packet.from.clone().unwrap()).unwrap();
            assert_eq!((from, packet.truncated), (ours.local_addr().unwrap(), false));
        }
    }
    assert_eq!(inbox.receive(&theirs).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn the_address_that_was_asked_answers() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "::1"), ("[::]:0", "127.0.0.3")] {
        let server = udp(wildcard);
        let asked: IpAddr = asked.parse().unwrap();
        let client = UdpSocket::bind(if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
        // It hears nobody but whom it asked.
        client.connect((asked, server.local_addr().unwrap().port())).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        client.send(b"who are you?").unwrap();
        let (mut inbox, mut outbox) = (Inbox::new(4, 100), Outbox::default());
        assert_eq!(received(&mut inbox, &server), 1);
        let Packet { from, local, .. } = inbox.packet(0);
        assert_eq!(local.unwrap().to.to_canonical(), asked);
        outbox.push(b"myself", from.as_ref(), local);
        assert!(outbox.send(&server, no_failure));
        assert_eq!(client.recv(&mut [0; 100]).unwrap(), 6);
    }
}

#[test]
fn a_packet_that_cannot_be_sent_holds_up_no_other() {
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let not_ours = Ipv4Addr::new(192, 0, 2, 1).into();
    let strange = Local { to: not_ours, from: Some(not_ours), interface: 0 };
    let mut outbox = Outbox::default();
    outbox.push(b"one", Some(&name(&theirs)), None);
    // No packet is as large.
    outbox.push(&vec![0; 70_000], Some(&name(&theirs)), None);
    outbox.push(b"from an address that is not ours", Some(&name(&theirs)), Some(strange));
    outbox.push(b"two", Some(&name(&theirs)), None);
    let mut failed = Vec::new();
    assert!(outbox.send(&ours, |to, error| failed.push((to.cloned(), error.raw_os_error()))));
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(failed[0], (Some(name(&theirs)), Some(rustix::io::Errno::MSGSIZE.raw_os_error())));
    let mut inbox = Inbox::new(4, 100);
    assert_eq!(received(&mut inbox, &theirs), 2);
    assert_eq!([0, 1].map(|at| inbox.packet(at).bytes.to_vec()), [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn what_the_queue_has_no_room_for_waits() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut outbox = Outbox::default();
    for number in 0..2000_u32 {
        outbox.push(&number.to_le_bytes(), None, None);
    }
    let (mut inbox, mut next) = (Inbox::new(16, 100), 0_u32);
    assert!(!outbox.send(&ours, no_failure));
    while next < 2000 {
        for at in 0..received(&mut inbox, &theirs) {
            assert_eq!(inbox.packet(at).bytes, next.to_le_bytes());
            assert!(inbox.packet(at).from.is_none(), "it has no name");
            next += 1;
        }
        outbox.send(&ours, no_failure);
    }
    assert!(outbox.is_empty());
}

#[test]
fn packets_that_the_queue_dropped_are_told() {
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    sockopt::set_socket_recv_buffer_size(&theirs, 4096).unwrap();
    for _ in 0..100 {
        ours.send_to(&[0; 1000], theirs.local_addr().unwrap()).unwrap();
    }
    let mut inbox = Inbox::new(100, 1000);
    let before = received(&mut inbox, &theirs);
    assert!(before < 100);
    assert_eq!(dropped(&theirs).unwrap(), u32::try_from(100 - before).unwrap());
}

#[test]
fn an_error_names_whom_it_concerns_on_both_families() {
    use socketserver_sys::{Origin, next_error, tell_errors, tell_local};
    // Through an IPv6 socket IPv4 peers are reached too.
    let nobody_v4 = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody_v6 = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap();
    let socket = UdpSocket::bind("[::]:0").unwrap();
    tell_errors(&socket, true).unwrap();
    tell_local(&socket, true).unwrap();
    let mapped = format!("[::ffff:127.0.0.1]:{}", nobody_v4.port()).parse::<SocketAddr>().unwrap();
    for (to, origin, by) in [
        (nobody_v6, Origin::Icmp6 { kind: 1, code: 4 }, "::1"),
        (mapped, Origin::Icmp { kind: 3, code: 3 }, "127.0.0.1"),
    ] {
        socket.send_to(b"packet", to).unwrap();
        let bounce = next_error(&socket).unwrap().expect("nobody is there");
        assert_eq!((bounce.to, bounce.origin, bounce.by), (Some(to), origin, Some(by.parse().unwrap())));
        // Once it was read no call tells it any more.
        let mut buf = [0; 1];
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(next_error(&socket).unwrap().is_none());
        // Unread it is told by the next call as well, whatever that is about.
        socket.send_to(b"packet", to).unwrap();
        assert_eq!(socket.recv(&mut buf).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(next_error(&socket).unwrap().is_some());
    }
}

#[test]
fn what_icmp_says_of_one_packet_costs_no_other() {
    // Deaf to us, and the port is nobody else's meanwhile.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    deaf.connect("127.0.0.1:9").unwrap();
    let nobody = name(&deaf);
    let (ours, theirs) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    socketserver_sys::tell_errors(&ours, false).unwrap();
    let (mut outbox, mut inbox) = (Outbox::default(), Inbox::new(64, 100));
    // The second time the error of the last packet is there when the first is sent.
    for _ in 0..2 {
        for _ in 0..10 {
            outbox.push(b"to somebody", Some(&name(&theirs)), None);
            outbox.push(b"to nobody", Some(&nobody), None);
        }
        assert!(outbox.send(&ours, no_failure));
        assert_eq!(received(&mut inbox, &theirs), 10);
    }
    let errors = std::iter::from_fn(|| socketserver_sys::next_error(&ours).unwrap());
    assert!(errors.map(|bounce| bounce.to).eq(vec![SocketAddr::try_from(nobody.clone()).ok(); 20]));
}

#[test]
fn what_is_sent_costs_no_memory_though_there_is_always_more() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut outbox = Outbox::default();
    let (mut pushed, mut most) = (0_u32, 0);
    for _ in 0..4000 {
        while outbox.bytes() < 500_000 {
            outbox.push(&pushed.to_ne_bytes().repeat(250), None, None);
            pushed += 1;
        }
        assert!(!outbox.send(&ours, no_failure), "the queue of the other is full");
        for _ in 0..5 {
            theirs.recv(&mut [0; 1000]).unwrap();
        }
        most = most.max(outbox.held());
    }
    assert!(most < 1_100_000, "{most} bytes are held for 500,000 that wait");
    // In their order, none twice and none left out.
    let mut last = None;
    loop {
        let sent = outbox.send(&ours, no_failure);
        theirs.set_nonblocking(true).unwrap();
        let mut packet = [0; 1000];
        while let Ok(1000) = theirs.recv(&mut packet) {
            let number = u32::from_ne_bytes(packet[..4].try_into().unwrap());
            assert!(last.is_none_or(|last| number == last + 1));
            last = Some(number);
        }
        if sent {
            break;
        }
    }
    assert_eq!(last, Some(pushed - 1));
}
