//! Packets of those who send too many, and replies to those who may not have asked.

use crate::datagrams::{client, exchange, port, upper};
use socketserver::{Datagram, Handle, Model, Rate, Serial, Server, Session, Tasks, Threads, blocking, sessions};
use socketserver_testkit::PATIENCE;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// One, and the next in an hour.
fn one_an_hour() -> Rate {
    Rate::per(1, Duration::from_secs(3600)).unwrap()
}

/// Waits until so many packets were handled or dropped.
#[track_caller]
fn until_packets(handle: &Handle, count: u64) {
    let give_up = Instant::now() + PATIENCE;
    while handle.totals().packets < count {
        assert!(Instant::now() < give_up, "{:?}", handle.totals());
        std::thread::yield_now();
    }
}

#[test]
fn a_peer_is_heard_as_often_as_the_rate_says_and_the_others_as_well() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let server = Server::bind("udp://127.0.0.1:0").unwrap().packet_rate(one_an_hour()).spawn(model, upper).unwrap();
        let handle = server.handle().clone();
        // Another port makes no other peer.
        let at = |ip: &str| client(ip, [127, 0, 0, 1], port(&server));
        let clients = [at("127.0.0.1"), at("127.0.0.1"), at("127.0.0.2")];
        assert_eq!(exchange(&clients[0], b"one"), b"ONE");
        for _ in 0..5 {
            for client in &clients[..2] {
                client.send(b"more").unwrap();
            }
        }
        assert_eq!(exchange(&clients[2], b"another"), b"ANOTHER");
        until_packets(&handle, 12);
        assert_eq!(handle.totals().over_rate, 10);
        // Off it holds nobody up, and another one begins anew.
        handle.set_packet_rate(None);
        for _ in 0..3 {
            assert_eq!(exchange(&clients[0], b"off"), b"OFF");
        }
        handle.set_packet_rate(one_an_hour());
        assert_eq!(exchange(&clients[0], b"anew"), b"ANEW");
        clients[1].send(b"more").unwrap();
        until_packets(&handle, 17);
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.replies, totals.over_rate), (6, 11), "{totals:?}");
    }
    check(Serial::default());
    check(Threads::new(4));
    check(Tasks::new(1));
    check(Tasks::new(2));
}

/// What one says the other answers, and so on: until one is too fast for the other.
#[test]
fn two_servers_that_answer_each_other_come_to_an_end() {
    fn check<M: Model + Send + 'static, N: Model + Send + 'static>(one: M, other: N)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine> + socketserver::Suits<N::Engine>,
    {
        let one = {
            let server = Server::bind("udp://127.0.0.1:0").unwrap().packet_rate(one_an_hour());
            server.spawn(one, upper).unwrap()
        };
        // What somebody forges who says that he is the other.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"ping", ("127.0.0.1", port(&one))).unwrap();
        let other = Server::bind(socket).unwrap().packet_rate(one_an_hour()).spawn(other, upper).unwrap();
        until_packets(one.handle(), 2);
        // It answered the first, the other answered that, and it did not answer again.
        let (one, other) = (one.stop().unwrap().totals, other.stop().unwrap().totals);
        assert_eq!((one.packets, one.replies, one.over_rate), (2, 1, 1), "{one:?}");
        assert_eq!((other.packets, other.replies, other.over_rate), (1, 1, 0), "{other:?}");
    }
    check(Serial::default(), Threads::new(2));
    check(Tasks::new(1), Tasks::new(2));
}

/// Replies with as many bytes as the packet says, and tells what came of it.
fn replies(tell: Sender<Option<io::ErrorKind>>) -> impl Fn(&mut Datagram) -> socketserver::Result {
    let tell = Mutex::new(tell);
    move |d: &mut Datagram| {
        let size: usize = std::str::from_utf8(d.packet())?.trim().parse()?;
        let result = d.reply(&vec![b'x'; size]);
        tell.lock().unwrap().send(result.as_ref().err().map(io::Error::kind))?;
        Ok(())
    }
}

#[track_caller]
fn came(told: &Receiver<Option<io::ErrorKind>>) -> Option<io::ErrorKind> {
    told.recv_timeout(PATIENCE).unwrap()
}

const DENIED: Option<io::ErrorKind> = Some(io::ErrorKind::PermissionDenied);

#[test]
fn who_came_once_is_sent_three_times_as_much_and_who_came_twice_anything() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (tell, told) = channel();
        let server = Server::bind("udp://*:0").unwrap().spawn(model, replies(tell)).unwrap();
        // Six bytes.
        for (size, result) in [("    18", None), ("    19", DENIED)] {
            let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
            client.send(size.as_bytes()).unwrap();
            assert_eq!(came(&told), result);
            if result.is_none() {
                // Before the next is asked for: another thread may be quicker with that.
                assert_eq!(client.recv(&mut [0; 100]).unwrap(), 18);
            }
            assert_eq!(exchange(&client, b"1000").len(), 1000);
            assert_eq!(came(&told), None);
        }
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.replies, totals.withheld, totals.packets_failed), (3, 1, 0), "{totals:?}");
    }
    check(Serial::default());
    check(Threads::new(4));
    check(Tasks::new(1));
    check(Tasks::new(2));
}

/// (where it listens, what the option says if anything is said, what may be sent for six bytes)
#[test]
fn strangers_are_minded_beyond_the_loopback_unless_the_option_says_otherwise() {
    for (endpoint, factor, result) in [
        ("udp://127.0.0.1:0", None, None),
        ("udp://[::1]:0", None, None),
        ("udp://0.0.0.0:0", None, DENIED),
        ("udp://0.0.0.0:0", Some(None), None),
        ("udp://0.0.0.0:0", Some(Some(100)), None),
        ("udp://127.0.0.1:0", Some(Some(3)), DENIED),
        ("udp://127.0.0.1:0", Some(Some(0)), DENIED),
    ] {
        let (tell, told) = channel();
        let mut server = Server::bind(endpoint).unwrap();
        if let Some(factor) = factor {
            server = server.max_amplification(factor);
        }
        let server = server.spawn(Serial::default(), replies(tell)).unwrap();
        let local = if endpoint.contains('[') { "::1" } else { "127.0.0.1" };
        let to: std::net::IpAddr = local.parse().unwrap();
        client(local, to, port(&server)).send(b"   100").unwrap();
        assert_eq!(came(&told), result, "{endpoint} {factor:?}");
        server.stop().unwrap();
    }
}

#[test]
fn what_goes_to_somebody_else_is_held_to_what_came_from_there() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = Server::bind("udp://127.0.0.1:0")
        .unwrap()
        .max_amplification(3)
        .spawn(Serial::default(), move |d: &mut Datagram| {
            if let Ok(to) = std::str::from_utf8(d.packet())?.parse::<SocketAddr>() {
                let result = d.send_to(&[b'x'; 100], to);
                tell.lock().unwrap().send(result.err().map(|error| error.kind()))?;
            }
            Ok(())
        })
        .unwrap();
    let [asks, victim, upstream] = [(); 3].map(|()| client("127.0.0.1", [127, 0, 0, 1], port(&server)));
    let sends_to = |to: &UdpSocket| {
        asks.send(to.local_addr().unwrap().to_string().as_bytes()).unwrap();
        came(&told)
    };
    // Nothing has come from there: whoever wrote the handler knows why.
    assert_eq!(sends_to(&upstream), None);
    victim.send(b"not my idea").unwrap();
    assert_eq!(sends_to(&victim), DENIED);
    victim.send(b"it was").unwrap();
    assert_eq!(sends_to(&victim), None);
    assert_eq!(victim.recv(&mut [0; 200]).unwrap(), 100);
    assert_eq!(server.stop().unwrap().totals.withheld, 1);
}

#[test]
fn a_session_is_held_to_it_until_its_second_packet() {
    let (tell, told) = channel();
    let bind = || Server::bind("udp://127.0.0.1:0").unwrap().max_amplification(3);
    let of_threads = Mutex::new(tell.clone());
    let servers = [
        bind()
            .spawn(
                Threads::new(4),
                sessions(move |s: &mut blocking::Session| {
                    while let Some(packet) = s.recv()? {
                        let result = s.send(&[b'x'; 100]);
                        of_threads.lock().unwrap().send((packet.len(), result.err().map(|error| error.kind())))?;
                    }
                    Ok(())
                }),
            )
            .unwrap(),
        bind()
            .spawn(
                Tasks::new(1),
                sessions(async move |s: &mut Session| {
                    while let Some(packet) = s.recv().await? {
                        let result = s.send(&[b'x'; 100]).await;
                        tell.send((packet.len(), result.err().map(|error| error.kind())))?;
                    }
                    Ok(())
                }),
            )
            .unwrap(),
    ];
    for server in servers {
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        client.send(b"first").unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (5, DENIED));
        assert_eq!(exchange(&client, b"second").len(), 100);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (6, None));
        assert_eq!(server.stop().unwrap().totals.withheld, 1);
    }
}

/// A handler that waits has a copy of the packet, and of what is known of its peer.
#[test]
fn a_reply_that_comes_later_is_held_to_it_as_well() {
    let (tell, told) = channel();
    let server = Server::bind("udp://127.0.0.1:0")
        .unwrap()
        .max_amplification(3)
        .spawn(Tasks::new(1), async move |d: &mut Datagram| {
            tokio::task::yield_now().await;
            let result = d.reply(&[b'x'; 100]);
            tell.send(result.err().map(|error| error.kind()))?;
            Ok(())
        })
        .unwrap();
    for _ in 0..2 {
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        client.send(b"first").unwrap();
        assert_eq!(came(&told), DENIED);
        assert_eq!(exchange(&client, b"second").len(), 100);
        assert_eq!(came(&told), None);
    }
    assert_eq!(server.stop().unwrap().totals.withheld, 2);
}
