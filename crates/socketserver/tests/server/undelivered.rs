//! What ICMP brings back of replies: who it concerns is told, and nobody else loses anything by it.

use crate::datagrams::{client, exchange, port, upper};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socketserver::{Datagram, Model, Observer, Serial, Served, Server, Tasks, Threads, Undelivered};
use socketserver_testkit::PATIENCE;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Tells of whom, by whom and why.
pub(crate) struct Hears(Sender<(Option<SocketAddr>, Option<IpAddr>, io::ErrorKind)>);

impl Observer for Hears {
    fn undelivered(&self, event: &Undelivered<'_>) {
        let _ = self.0.send((event.peer.addr(), event.by, event.error.kind()));
    }
}

pub(crate) type Heard = Receiver<(Option<SocketAddr>, Option<IpAddr>, io::ErrorKind)>;

pub(crate) fn hears() -> (Hears, Heard) {
    let (tell, told) = channel();
    (Hears(tell), told)
}

/// Those that are named, in the order of their ports.
pub(crate) fn named(heard: &Heard, count: usize) -> Vec<SocketAddr> {
    let mut named: Vec<SocketAddr> = (0..count)
        .map(|_| {
            let (peer, by, kind) = heard.recv_timeout(PATIENCE).unwrap();
            let peer = peer.unwrap();
            assert_eq!((by, kind), (Some(peer.ip()), io::ErrorKind::ConnectionRefused));
            peer
        })
        .collect();
    named.sort_unstable();
    named
}

#[test]
fn replies_to_those_who_have_left_cost_the_others_nothing() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (hears, heard) = hears();
        // Both families through one socket, whose error names an IPv4 peer as what it is.
        let server = Server::bind("udp://*:0").unwrap().observe(hears);
        let socketserver::Endpoint::Udp { port, .. } = server.endpoints()[0] else { unreachable!() };
        // One that has left before each that waits: their packets lie there when the server begins, and the replies leave
        // together.
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for way in 0..16_usize {
            let ip = if way.is_multiple_of(2) { "127.0.0.1" } else { "::1" };
            let server: IpAddr = ip.parse().unwrap();
            let (leaves, stays) = (deaf(ip), client(ip, server, port));
            leaves.0.send_to(b"gone", (server, port)).unwrap();
            stays.send(b"there").unwrap();
            gone.push(leaves.1);
            there.push((leaves, stays));
        }
        gone.sort_unstable();
        let server = server.spawn(model, upper).unwrap();
        for (_, stays) in &there {
            let mut reply = [0; 10];
            assert_eq!(stays.recv(&mut reply).unwrap(), 5);
            assert_eq!(&reply[..5], b"THERE");
        }
        // Nothing else comes in, and all are told of even so.
        assert_eq!(named(&heard, 16), gone);
        // The loop goes on.
        let late = client("127.0.0.1", [127, 0, 0, 1], port);
        late.send(b"late").unwrap();
        assert_eq!(late.recv(&mut [0; 10]).unwrap(), 4);
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.packets, totals.replies, totals.unsent, totals.undelivered), (33, 33, 0, 16), "{totals:?}");
        assert!(heard.try_recv().is_err());
    }
    check(Serial::default());
    check(Threads::new(4));
    check(Tasks::new(1));
    check(Tasks::new(2));
}

/// A client that hears somebody else alone: to its server it is as if it had closed its socket, but nobody else gets its port
/// meanwhile.
pub(crate) fn deaf(local: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((local, 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    socket.connect((addr.ip(), 9)).unwrap();
    (socket, addr)
}

/// Whoever polls the server by itself is woken for an error once, and not for ever.
#[test]
fn an_error_that_was_told_makes_nobody_look_again() {
    let (hears, heard) = hears();
    let mut server = Server::bind("udp://127.0.0.1:0").unwrap().observe(hears);
    let is_ready = |server: &Server| {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(server, PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    let socketserver::Endpoint::Udp { port, .. } = server.endpoints()[0] else { unreachable!() };
    let (gone, from) = deaf("127.0.0.1");
    gone.send_to(b"gone", ("127.0.0.1", port)).unwrap();
    assert_eq!(server.serve_one(upper, PATIENCE).unwrap(), Served::One);
    assert!(is_ready(&server), "there is an error to be told of");
    assert_eq!(server.serve_one(upper, Duration::ZERO).unwrap(), Served::TimedOut);
    assert!(!is_ready(&server));
    assert_eq!(named(&heard, 1), [from]);
}

/// Errors come by the thousand, and packets get through between them.
#[test]
fn a_flood_of_errors_keeps_no_packet_out() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (hears, heard) = hears();
        let (_socket, nobody) = deaf("127.0.0.1");
        let shouts = move |d: &mut Datagram| {
            // Each larger than the last, so that none leave as a train, of which one error would come back.
            for size in 1..=40 {
                d.send_to(&[b'?'; 40][..size], nobody)?;
            }
            upper(d)
        };
        let server = Server::bind("udp://127.0.0.1:0").unwrap().observe(hears).spawn(model, shouts).unwrap();
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        for _ in 0..20 {
            assert_eq!(exchange(&client, b"through?"), b"THROUGH?");
        }
        assert_eq!(named(&heard, 800), vec![nobody; 800]);
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.replies, totals.unsent, totals.undelivered), (820, 0, 800), "{totals:?}");
    }
    check(Serial::default());
    check(Threads::new(4));
    check(Tasks::new(1));
}
