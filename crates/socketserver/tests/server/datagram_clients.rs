//! The client's side of packets, blocking and async, over UDP and Unix sockets.

use crate::within;
use socketserver::client::{self, Undelivered, task};
use socketserver::{Datagram, Endpoint, ErrorKind, Running, Serial, Server};
use socketserver_testkit::PATIENCE;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::task::{Context, Waker};
use std::time::Duration;

fn upper(d: &mut Datagram) -> socketserver::Result {
    let upper = d.packet().to_ascii_uppercase();
    Ok(d.reply(&upper)?)
}

fn running(endpoint: &str) -> Running {
    Server::bind(endpoint).unwrap().spawn(Serial::default(), upper).unwrap()
}

fn address(server: &Running) -> SocketAddr {
    match &server.handle().endpoints()[0] {
        Endpoint::Udp { host: socketserver::Host::Ip(ip), port } => SocketAddr::new(*ip, *port),
        other => panic!("{other}"),
    }
}

/// An address of this machine at which nobody is, for as long as the socket lives: one that is connected elsewhere hears
/// nobody else, and keeps others from the port.
fn nobody(ip: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    let addr = socket.local_addr().unwrap();
    socket.connect(addr).unwrap();
    (socket, addr)
}

/// Runs async code to its end, or fails.
fn finishes<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    within("async code", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    })
}

fn refused(error: &io::Error, peer: SocketAddr) {
    let undelivered = Undelivered::of(error).unwrap_or_else(|| panic!("{error}"));
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!((undelivered.peer(), undelivered.by()), (peer, Some(peer.ip())));
    assert_eq!(undelivered.icmp(), if peer.is_ipv4() { (3, 3) } else { (1, 4) });
    assert!(error.to_string().contains("port unreachable"), "{error}");
}

#[test]
fn one_peer_is_asked_and_answers() {
    for endpoint in ["udp://127.0.0.1:0", "udp://[::1]:0", "unixgram:@socketserver-datagram-client"] {
        let server = running(endpoint);
        let endpoint = server.handle().endpoints()[0].clone();
        let large: Vec<u8> = b"abc".iter().copied().cycle().take(65_507).collect();
        let asked = [&b"hello"[..], b"", b"a\0b\n", &large];
        let mut buf = [0; 65_535];

        let c = client::datagram(&endpoint).unwrap();
        for packet in asked {
            c.send(packet).unwrap();
            let reply = c.recv(&mut buf).unwrap();
            assert!(reply.bytes() == packet.to_ascii_uppercase() && !reply.is_truncated());
        }
        assert_eq!(c.peer().is_some(), endpoint.scheme() == "udp");
        assert_eq!(c.local().map(|addr| addr.ip()), c.peer().map(|addr| addr.ip()));

        let asked = asked.map(<[u8]>::to_vec);
        finishes(async move {
            let c = task::datagram(&endpoint).await.unwrap();
            for packet in &asked {
                c.send(packet).await.unwrap();
                let reply = c.recv(&mut buf).await.unwrap();
                assert!(reply.bytes() == packet.to_ascii_uppercase() && !reply.is_truncated());
            }
        });
        server.stop().unwrap();
    }
}

#[test]
fn a_name_is_looked_up() {
    let server = running("udp://127.0.0.1:0");
    let by_name = format!("udp://localhost:{}", address(&server).port());
    let c = client::datagram(&by_name).unwrap();
    assert_eq!(c.peer(), Some(address(&server)));
    let peer = finishes(async move { task::datagram(by_name).await.unwrap().peer() });
    assert_eq!(peer, Some(address(&server)));
    server.stop().unwrap();
}

#[test]
fn a_refusal_is_told_to_who_receives_and_keeps_no_packet_from_leaving() {
    for ip in ["127.0.0.1", "::1"] {
        let (port, peer) = nobody(ip);
        let endpoint = format!("udp://{peer}");
        let c = client::datagram(&endpoint).unwrap();
        let mut buf = [0; 100];
        // The loopback has answered before the call returns.
        for _ in 0..3 {
            c.send(b"anybody there?").unwrap();
        }
        for _ in 0..2 {
            refused(&c.recv(&mut buf).unwrap_err(), peer);
        }
        assert_eq!(c.next_undelivered().unwrap().map(|undelivered| undelivered.peer()), Some(peer));
        assert_eq!(c.next_undelivered().unwrap(), None);
        // It is not the end of anything: now somebody is there.
        port.connect(c.local().unwrap()).unwrap();
        c.send(b"and now?").unwrap();
        port.send(b"yes").unwrap();
        assert_eq!(c.recv(&mut buf).unwrap().bytes(), b"yes");

        finishes(async move {
            let c = task::datagram(&endpoint).await.unwrap();
            c.send(b"anybody there?").await.unwrap();
            c.send(b"anybody?").await.unwrap();
            refused(&c.recv(&mut buf).await.unwrap_err(), peer);
            assert_eq!(c.next_undelivered().unwrap().map(|undelivered| undelivered.peer()), Some(peer));
            assert_eq!(c.next_undelivered().unwrap(), None);
        });
    }
}

#[test]
fn who_waits_hears_of_a_refusal() {
    let (_port, peer) = nobody("127.0.0.1");
    let mut c = client::datagram(format!("udp://{peer}")).unwrap();
    c.set_timeout(None);
    let c = std::sync::Arc::new(c);
    let waits = c.clone();
    let waiter = std::thread::spawn(move || waits.recv(&mut [0; 100]).map(|_| ()).unwrap_err());
    c.send(b"anybody there?").unwrap();
    refused(&within("a wait for a refusal", || waiter.join().unwrap()), peer);

    finishes(async move {
        let mut c = task::datagram(format!("udp://{peer}")).await.unwrap();
        c.set_timeout(None);
        let mut buf = [0; 100];
        // Polled first, so it waits when the packet leaves.
        let (came, sent) = tokio::join!(biased; c.recv(&mut buf), c.send(b"anybody there?"));
        sent.unwrap();
        refused(&came.unwrap_err(), peer);
    });
}

#[test]
fn of_many_peers_each_refusal_names_its_own_and_the_others_answer() {
    let (v4, v6) = (running("udp://127.0.0.1:0"), running("udp://[::1]:0"));
    let there = [address(&v4), address(&v6)];
    let ports = ["127.0.0.1", "::1", "127.0.0.2"].map(nobody);
    let gone = [ports[0].1, ports[1].1, ports[2].1];
    // In turn, so that a send follows each refusal.
    let asked: Vec<SocketAddr> = (0..30).map(|at| if at % 2 == 0 { there[at / 2 % 2] } else { gone[at % 3] }).collect();
    let mut expected = asked.clone();
    expected.sort();

    let socket = client::datagram_socket("udp://*:0").unwrap();
    let (mut buf, mut heard) = ([0; 100], Vec::new());
    asked.iter().for_each(|peer| socket.send_to(b"hello", *peer).unwrap());
    while heard.len() < asked.len() {
        heard.push(match socket.recv_from(&mut buf) {
            Ok((packet, peer)) => {
                assert!(packet.bytes() == b"HELLO" && there.contains(&peer), "{peer}");
                peer
            }
            Err(error) => {
                let peer = Undelivered::of(&error).expect("it is told who").peer();
                refused(&error, peer);
                peer
            }
        });
    }
    heard.sort();
    assert_eq!(heard, expected);

    let heard = finishes(async move {
        let socket = task::datagram_socket("udp://*:0").await.unwrap();
        let mut heard = Vec::new();
        for peer in &asked {
            socket.send_to(b"hello", *peer).await.unwrap();
        }
        while heard.len() < asked.len() {
            heard.push(match socket.recv_from(&mut buf).await {
                Ok((_, peer)) => peer,
                Err(error) => Undelivered::of(&error).expect("it is told who").peer(),
            });
        }
        heard.sort();
        heard
    });
    assert_eq!(heard, expected);
    v4.stop().unwrap();
    v6.stop().unwrap();
}

#[test]
fn refusals_that_come_meanwhile_fail_no_send() {
    let (_port, peer) = nobody("127.0.0.1");
    let mut socket = client::datagram_socket("udp://:0").unwrap();
    socket.set_timeout(Some(PATIENCE));
    let socket = std::sync::Arc::new(socket);
    let hears = socket.clone();
    let last = socket.local().unwrap();
    let hearer = std::thread::spawn(move || {
        let mut told = 0;
        while let Err(error) = hears.recv_from(&mut [0; 100]) {
            refused(&error, peer);
            told += 1;
        }
        told
    });
    for _ in 0..20_000 {
        socket.send_to(b"anybody there?", peer).unwrap();
    }
    // To itself, for the end. Its own buffer may be full of refusals.
    let told = within("refusals", move || {
        while !hearer.is_finished() {
            socket.send_to(b"", last).unwrap();
            std::thread::yield_now();
        }
        hearer.join().unwrap()
    });
    // Those that came when its buffer was full are lost, as packets are.
    assert!((1..=20_000).contains(&told), "{told}");
}

#[test]
fn a_packet_that_was_cut_says_so() {
    for endpoint in ["udp://127.0.0.1:0", "unixgram:@socketserver-datagram-cut"] {
        let server = running(endpoint);
        let endpoint = server.handle().endpoints()[0].clone();
        let c = client::datagram(&endpoint).unwrap();
        let mut buf = [0; 3];
        for (sent, got, truncated) in [("abcd", "ABC", true), ("abc", "ABC", false), ("", "", false)] {
            c.send(sent.as_bytes()).unwrap();
            let packet = c.recv(&mut buf).unwrap();
            assert_eq!((packet.bytes(), packet.is_truncated()), (got.as_bytes(), truncated));
        }
        finishes(async move {
            let c = task::datagram(&endpoint).await.unwrap();
            c.send(b"abcd").await.unwrap();
            let packet = c.recv(&mut buf).await.unwrap();
            assert_eq!((packet.bytes(), packet.is_truncated()), (&b"ABC"[..], true));
        });
        server.stop().unwrap();
    }
}

#[test]
fn a_silent_peer_is_not_waited_for_for_ever() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", silent.local_addr().unwrap());
    let mut c = client::datagram(&endpoint).unwrap();
    c.send(b"hello").unwrap();
    for time in [Duration::ZERO, Duration::from_millis(1)] {
        c.set_timeout(Some(time));
        assert_eq!(c.recv(&mut [0; 100]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
    // No wait is one for what has come.
    c.set_timeout(Some(Duration::ZERO));
    silent.send_to(b"late", c.local().unwrap()).unwrap();
    assert_eq!(c.recv(&mut [0; 100]).unwrap().bytes(), b"late");

    finishes(async move {
        let mut c = task::datagram(&endpoint).await.unwrap();
        for time in [Duration::ZERO, Duration::from_millis(1)] {
            c.set_timeout(Some(time));
            assert_eq!(c.recv(&mut [0; 100]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        c.set_timeout(Some(Duration::ZERO));
        silent.send_to(b"late", c.local().unwrap()).unwrap();
        assert_eq!(c.recv(&mut [0; 100]).await.unwrap().bytes(), b"late");
    });
}

#[test]
fn deadlines_are_on_unless_told() {
    finishes(async {
        tokio::time::pause();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("udp://{}", silent.local_addr().unwrap());
        let c = task::datagram(&endpoint).await.unwrap();
        let begin = tokio::time::Instant::now();
        assert_eq!(c.recv(&mut [0; 100]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 60);
    });
}

#[test]
fn nobody_but_the_peer_is_heard() {
    let server = running("udp://127.0.0.1:0");
    let c = client::datagram(&server.handle().endpoints()[0]).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"psst", c.local().unwrap()).unwrap();
    c.send(b"hello").unwrap();
    assert_eq!(c.recv(&mut [0; 100]).unwrap().bytes(), b"HELLO");
    server.stop().unwrap();
}

#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", peer.local_addr().unwrap());
    finishes(async move {
        let c = task::datagram(endpoint).await.unwrap();
        let mut buf = [0; 100];
        for packet in ["one", "two"] {
            {
                let wait = std::pin::pin!(c.recv(&mut buf));
                assert!(wait.poll(&mut Context::from_waker(Waker::noop())).is_pending());
                peer.send_to(packet.as_bytes(), c.local().unwrap()).unwrap();
            }
            assert_eq!(c.recv(&mut buf).await.unwrap().bytes(), packet.as_bytes());
        }
    });
}

#[test]
fn a_unix_peer_that_does_not_read_is_not_waited_for_for_ever() {
    let addr = std::os::unix::net::SocketAddr::from_abstract_name("socketserver-full").unwrap();
    let peer = UnixDatagram::bind_addr(&addr).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut c = client::datagram("unixgram:@socketserver-full").unwrap();
    c.set_write_timeout(Some(Duration::from_millis(1)));
    let mut sent = 0;
    let error = loop {
        match c.send(b"x") {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1 << 20, "it takes everything");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    // As soon as it reads there is room.
    let got = finishes(async move {
        let c = task::datagram("unixgram:@socketserver-full").await.unwrap();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            while got.last() != Some(&b'y') {
                let mut byte = [0];
                peer.recv(&mut byte).unwrap();
                got.push(byte[0]);
            }
            got.len()
        });
        c.send(b"y").await.unwrap();
        reader.join().unwrap()
    });
    assert_eq!(got, sent + 1);
    // Its socket was closed.
    assert_eq!(c.send(b"x").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let error = client::datagram("unixgram:@socketserver-full").unwrap_err();
    assert!(error.to_string().contains("`unixgram:@socketserver-full`"), "{error}");
}

#[test]
fn what_cannot_be_is_told_with_what_would_be_right() {
    let told = |error: socketserver::Error, kind: ErrorKind, words: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    told(client::datagram("tcp://:80").unwrap_err(), ErrorKind::Unsupported, "for example `udp://");
    told(client::datagram("udp://127.0.0.1:0").unwrap_err(), ErrorKind::Endpoint, "port 0");
    told(client::datagram("udp://nowhere").unwrap_err(), ErrorKind::Endpoint, "no port");
    told(client::datagram_socket("unixgram:@x").unwrap_err(), ErrorKind::Unsupported, "`udp://*:0`");
    told(client::connect("udp://:80").unwrap_err(), ErrorKind::Unsupported, "`client::datagram`");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = format!("udp://{}", taken.local_addr().unwrap());
    told(client::datagram_socket(&at).unwrap_err(), ErrorKind::InUse, &at);
    finishes(async {
        assert!(task::datagram("tcp://:80").await.is_err());
        assert!(task::datagram_socket("unixgram:@x").await.is_err());
    });

    let socket = client::datagram_socket("udp://:0").unwrap();
    assert_eq!(socket.local().map(|addr| addr.ip()), Some(IpAddr::from([127, 0, 0, 1])));
    let error = socket.send_to(b"x", "[::1]:9".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("[::1]:9") && error.to_string().contains("udp://*:0"), "{error}");
    let error = socket.send_to(&[0; 65_508], "127.0.0.1:9".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("65508") && error.to_string().contains("65507"), "{error}");
    assert_eq!((error.kind(), socket.next_undelivered().unwrap()), (io::ErrorKind::InvalidInput, None));
    // The largest over IPv6.
    let server = UdpSocket::bind("[::1]:0").unwrap();
    let c = client::datagram(format!("udp://{}", server.local_addr().unwrap())).unwrap();
    c.send(&[0; 65_527]).unwrap();
    assert!(c.send(&[0; 65_528]).is_err());
}
