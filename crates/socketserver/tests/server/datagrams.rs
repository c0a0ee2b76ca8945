//! Packets: on every model of one process, over UDP and Unix datagrams, with plain sockets for clients.

use crate::{eventually, within};
use socketserver::{
    Datagram, DatagramHandler, Endpoint, ErrorKind, Failure, ListenOptions, Model, Peer, Running, Serial, Served,
    Server, Stream, Tasks, Threads, Totals, UnixName, Unsent, blocking,
};
use socketserver_testkit::{Client, PATIENCE};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

pub(crate) fn upper(d: &mut Datagram) -> socketserver::Result {
    let upper = d.packet().to_ascii_uppercase();
    d.reply(&upper)?;
    Ok(())
}

pub(crate) fn port(server: &Running) -> u16 {
    match server.handle().endpoints()[0] {
        Endpoint::Udp { port, .. } => port,
        ref other => panic!("{other}"),
    }
}

/// A socket that hears nobody but that server.
pub(crate) fn client(local: &str, server: impl Into<IpAddr>, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((local, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(SocketAddr::new(server.into(), port)).unwrap();
    socket
}

pub(crate) fn exchange(socket: &UdpSocket, sent: &[u8]) -> Vec<u8> {
    socket.send(sent).unwrap();
    let mut reply = vec![0; 70_000];
    let count = socket.recv(&mut reply).unwrap();
    reply.truncate(count);
    reply
}

/// Runs the same with each model that fits into one process.
macro_rules! on_each_model {
    ($check:ident) => {
        $check(Serial::default());
        $check(Threads::new(4));
        $check(Tasks::new(1));
        $check(Tasks::new(2));
        $check(Tasks::new(1).spin(PATIENCE / 1000));
    };
}

#[test]
fn three_clients_are_answered_and_nothing_is_left() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let server = Server::bind("udp://127.0.0.1:0").unwrap().spawn(model, upper).unwrap();
        for name in ["one", "two", "three"] {
            let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
            assert_eq!(exchange(&client, name.as_bytes()), name.to_uppercase().as_bytes());
        }
        let address = ("127.0.0.1", port(&server));
        let report = server.stop().unwrap();
        assert!(report.is_clean());
        assert_eq!((report.totals.packets, report.totals.replies, report.served), (3, 3, 0));
        drop(UdpSocket::bind(address).unwrap());
    }
    on_each_model!(check);
}

#[test]
fn unix_peers_are_answered_by_name() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let server = Server::bind(Endpoint::Unixgram { name: UnixName::Path(path.clone()), mode: None })
            .unwrap()
            .spawn(model, move |d: &mut Datagram| {
                let pid = d.peer().credentials().map(|peer| peer.pid);
                tell.lock().unwrap().send((pid, upper(d).map_err(|error| error.to_string())))?;
                Ok(())
            })
            .unwrap();
        // One that has no name is a peer all the same, and says who it is.
        UnixDatagram::unbound().unwrap().send_to(b"nobody", &path).unwrap();
        let (pid, replied) = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(pid, Some(std::process::id()));
        assert!(replied.unwrap_err().contains("no address to reply to"));
        let client = UnixDatagram::bind(dir.path().join("c")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(b"somebody", &path).unwrap();
        let mut reply = [0; 100];
        assert_eq!(client.recv(&mut reply).unwrap(), 8);
        assert_eq!(&reply[..8], b"SOMEBODY");
        server.stop().unwrap();
        assert!(!path.exists());
    }
    on_each_model!(check);
}

#[test]
fn the_address_that_was_asked_answers() {
    for (endpoint, asked, from) in [
        ("udp://*:0", "127.0.0.2", "127.0.0.1"),
        ("udp://*:0", "::1", "::1"),
        ("udp://0.0.0.0:0", "127.0.0.3", "127.0.0.1"),
        ("udp://[::]:0", "::1", "::1"),
        ("udp://127.0.0.2:0", "127.0.0.2", "127.0.0.1"),
    ] {
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let server = Server::bind(endpoint)
            .unwrap()
            .spawn(Serial::default(), move |d: &mut Datagram| {
                tell.lock().unwrap().send((d.local(), d.peer().addr().map(|addr| addr.ip())))?;
                upper(d)
            })
            .unwrap();
        let asked: IpAddr = asked.parse().unwrap();
        assert_eq!(exchange(&client(from, asked, port(&server)), b"who?"), b"WHO?");
        assert_eq!(told.recv().unwrap(), (Some(asked), Some(from.parse().unwrap())));
        server.stop().unwrap();
    }
}

#[test]
fn packets_are_whole_and_an_empty_one_is_a_packet() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let server = Server::bind("udp://127.0.0.1:0")
            .unwrap()
            .spawn(model, move |d: &mut Datagram| {
                tell.lock().unwrap().send((d.packet().len(), d.is_truncated()))?;
                // Nothing, to one; twice, to others.
                for _ in 0..d.packet().len().min(2) {
                    let (packet, mut replies) = d.split();
                    replies.send(packet)?;
                }
                Ok(())
            })
            .unwrap();
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        client.send(b"").unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (0, false));
        let large: Vec<u8> = (0..65_507_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        // The first thing that it hears is the answer to this.
        assert!(exchange(&client, &large) == large);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (65_507, false));
        assert_eq!(client.recv(&mut [0; 70_000]).unwrap(), 65_507);
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.packets, totals.replies, totals.truncated), (2, 2, 0));
    }
    on_each_model!(check);
}

#[test]
fn a_packet_that_was_cut_says_so() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = Server::bind("unixgram:@socketserver-cut")
        .unwrap()
        .spawn(Threads::new(2), move |d: &mut Datagram| {
            Ok(tell.lock().unwrap().send((d.packet().len(), d.is_truncated()))?)
        })
        .unwrap();
    let client = UnixDatagram::unbound().unwrap();
    let addr =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name("socketserver-cut");
    client.send_to_addr(&[7; 65_536], &addr.unwrap()).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (65_535, true));
    assert_eq!(server.stop().unwrap().totals.truncated, 1);
}

/// A handler that fails in both ways, and tells what it is told.
struct Fails(Mutex<Sender<String>>);

impl DatagramHandler for Fails {
    fn handle(&self, d: &mut Datagram) -> socketserver::Result {
        d.reply(b"got it")?;
        match d.packet() {
            b"error" => Err("on purpose")?,
            b"panic" => panic!("on purpose"),
            _ => Ok(()),
        }
    }
    fn verify(&self, peer: &Peer) -> bool {
        peer.addr().is_none_or(|addr| addr.ip() != IpAddr::from([127, 0, 0, 3]))
    }
    fn on_error(&self, error: &Failure, _: &Peer) {
        self.0.lock().unwrap().send(error.to_string()).unwrap();
    }
}

#[test]
fn a_failure_is_that_of_one_packet() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (tell, told) = channel();
        let server = Server::bind("udp://127.0.0.1:0").unwrap();
        let server = server.deny(["127.0.0.2".parse().unwrap()]).spawn(model, Fails(Mutex::new(tell))).unwrap();
        let at = |from: &str| client(from, [127, 0, 0, 1], port(&server));
        let client = at("127.0.0.1");
        for packet in ["error", "panic", "all is well"] {
            // What it replied before it failed is sent.
            assert_eq!(exchange(&client, packet.as_bytes()), b"got it");
        }
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "on purpose");
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "panicked: on purpose");
        // These two are not heard.
        at("127.0.0.2").send(b"error").unwrap();
        at("127.0.0.3").send(b"error").unwrap();
        assert_eq!(exchange(&client, b"still there?"), b"got it");
        // Other shards hear of them in their own time.
        eventually(|| server.handle().totals().unwelcome == 2);
        let totals = server.stop().unwrap().totals;
        assert!(told.try_recv().is_err());
        assert_eq!((totals.packets, totals.unwelcome, totals.packets_failed), (6, 2, 2));
    }
    on_each_model!(check);
}

#[test]
fn streams_and_packets_side_by_side() {
    let echo = |c: &mut blocking::Stream| {
        while let Some(line) = c.read_until(b'\n', 100)? {
            c.write_all(&line)?;
        }
        Ok(())
    };
    let async_echo = async |c: &mut Stream| {
        while let Some(line) = c.read_until(b'\n', 100).await? {
            c.write_all(&line).await?;
        }
        Ok(())
    };
    let bind = || Server::bind(["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]).unwrap();
    let servers = [
        bind().spawn(Serial::default(), (echo, upper)).unwrap(),
        bind().spawn(Threads::new(4), (echo, upper)).unwrap(),
        bind().spawn(Tasks::new(2), (async_echo, upper)).unwrap(),
    ];
    for server in servers {
        let udp = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        assert_eq!(exchange(&udp, b"packet"), b"PACKET");
        let mut tcp = Client::connect(&server.handle().endpoints()[1]).unwrap();
        tcp.say("line\n");
        tcp.expect("line\n");
        drop(tcp);
        assert_eq!(exchange(&udp, b"again"), b"AGAIN");
        let report = server.stop().unwrap();
        assert_eq!((report.served, report.totals.packets, report.is_clean()), (1, 2, true));
    }
}

#[test]
fn a_handler_that_takes_something_else_is_refused() {
    let stream = |_: &mut blocking::Stream| Ok(());
    let mut server = Server::bind("udp://127.0.0.1:0").unwrap();
    let error = server.serve(Serial::default(), stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(text.starts_with("packets come to `udp://127.0.0.1:") && text.contains("a pair of"), "{text}");
    let error = Server::bind("tcp://127.0.0.1:0").unwrap().serve(Serial::default(), upper).unwrap_err();
    assert!(error.to_string().contains("the handler takes packets"), "{error}");
}

#[test]
fn a_drain_waits_for_the_packets_that_are_being_handled() {
    within("a drain with a packet in hand", || {
        let (release, released) = channel::<()>();
        let (tell, begun) = channel();
        let (released, tell) = (Mutex::new(released), Mutex::new(tell));
        let server = Server::bind("udp://127.0.0.1:0")
            .unwrap()
            .spawn(Threads::new(2), move |d: &mut Datagram| {
                tell.lock().unwrap().send(())?;
                released.lock().unwrap().recv()?;
                upper(d)
            })
            .unwrap();
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        client.send(b"late").unwrap();
        begun.recv().unwrap();
        server.handle().shutdown();
        release.send(()).unwrap();
        assert_eq!(client.recv(&mut [0; 10]).unwrap(), 4);
        assert!(server.join().unwrap().is_clean());
    });
}

/// One that does not come back is left behind.
#[test]
fn a_drain_waits_for_no_handler_beyond_its_deadline() {
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (release, released) = channel::<()>();
        let (tell, begun) = channel();
        let (released, tell) = (Mutex::new(released), Mutex::new(tell));
        let server = Server::bind("udp://127.0.0.1:0")
            .unwrap()
            .spawn(model, move |_: &mut Datagram| {
                tell.lock().unwrap().send(())?;
                Ok(released.lock().unwrap().recv()?)
            })
            .unwrap();
        client("127.0.0.1", [127, 0, 0, 1], port(&server)).send(b"stuck").unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        server.handle().drain(std::time::Duration::ZERO);
        within("a drain with a handler that does not come back", move || server.join()).unwrap();
        release.send(()).unwrap();
    }
    check(Threads::new(2));
    check(Tasks::new(1));
    check(Tasks::new(2));
}

/// A Unix peer that does not read has a queue that fills; others are answered meanwhile.
#[test]
fn a_peer_that_does_not_read_holds_up_nobody() {
    struct Lost(Arc<Mutex<Option<io::ErrorKind>>>);
    impl socketserver::Observer for Lost {
        fn unsent(&self, event: &Unsent<'_>) {
            *self.0.lock().unwrap() = Some(event.error.kind());
        }
    }
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| -> PathBuf { dir.path().join(name) };
        let lost = Arc::default();
        let endpoint = Endpoint::Unixgram { name: UnixName::Path(at("s")), mode: None };
        let server = Server::bind(endpoint).unwrap().observe(Lost(Arc::clone(&lost))).spawn(model, upper).unwrap();
        let [deaf, other] = ["deaf", "other"].map(|name| UnixDatagram::bind(at(name)).unwrap());
        for _ in 0..2000 {
            deaf.send_to(b"hello?", at("s")).unwrap();
        }
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        other.send_to(b"hello", at("s")).unwrap();
        assert_eq!(other.recv(&mut [0; 10]).unwrap(), 5);
        let totals: Totals = server.stop().unwrap().totals;
        assert_eq!((totals.packets, totals.replies + totals.unsent), (2001, 2001), "{totals:?}");
        assert_eq!(*lost.lock().unwrap(), Some(io::ErrorKind::WouldBlock));
    }
    on_each_model!(check);
}

#[test]
fn packets_wait_while_accepting_is_suspended() {
    for shards in [0, 1] {
        let (tick, ticks) = channel();
        let server = Server::bind("udp://127.0.0.1:0").unwrap();
        let server = server.every(std::time::Duration::from_millis(20), move |_| Ok(tick.send(())?));
        server.handle().suspend();
        let tells = |d: &mut Datagram| {
            let suspended = d.server().is_suspended();
            Ok(d.reply(format!("suspended: {suspended}").as_bytes())?)
        };
        let server = match shards {
            0 => server.spawn(Threads::new(2), tells).unwrap(),
            shards => server.spawn(Tasks::new(shards), tells).unwrap(),
        };
        let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
        client.send(b"wait").unwrap();
        // It has been there for a while.
        for _ in 0..3 {
            ticks.recv_timeout(PATIENCE).unwrap();
        }
        server.handle().resume();
        let mut reply = [0; 100];
        let count = client.recv(&mut reply).unwrap();
        assert_eq!(&reply[..count], b"suspended: false");
        server.stop().unwrap();
    }
}

#[test]
fn sockets_that_were_bound_elsewhere_are_served() {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = Server::bind(elsewhere).unwrap().spawn(Serial::default(), upper).unwrap();
    let client = client("127.0.0.1", [127, 0, 0, 1], port(&server));
    assert_eq!(exchange(&client, b"mine"), b"MINE");
    server.stop().unwrap();
}

#[test]
fn serve_one_handles_what_came_times_out_and_stops() {
    within("serve_one", || {
        let mut server = Server::bind("udp://127.0.0.1:0").unwrap();
        let Endpoint::Udp { port, .. } = server.endpoints()[0] else { unreachable!("that is where it was bound") };
        assert_eq!(server.serve_one(upper, std::time::Duration::from_millis(10)).unwrap(), Served::TimedOut);
        let client = client("127.0.0.1", [127, 0, 0, 1], port);
        for _ in 0..3 {
            client.send(b"one").unwrap();
            assert_eq!(server.serve_one(upper, PATIENCE).unwrap(), Served::One);
            assert_eq!(client.recv(&mut [0; 10]).unwrap(), 3);
        }
        server.handle().shutdown();
        client.send(b"late").unwrap();
        assert_eq!(server.serve_one(upper, PATIENCE).unwrap(), Served::Stopped);
        // What was stopped is that run alone.
        assert_eq!(server.serve_one(upper, PATIENCE).unwrap(), Served::One);
        assert_eq!(client.recv(&mut [0; 10]).unwrap(), 4);
    });
}

#[test]
fn packets_of_a_peer_stay_on_their_shard() {
    let server = Server::bind(["udp://127.0.0.1:0", "udp://[::1]:0"]).unwrap();
    let server = server
        .spawn(Tasks::new(4), |d: &mut Datagram| {
            let shard = std::thread::current().name().unwrap_or_default().to_owned();
            Ok(d.reply(shard.as_bytes())?)
        })
        .unwrap();
    let endpoints = server.handle().endpoints();
    let mut shards = std::collections::BTreeSet::new();
    for (endpoint, local) in endpoints.iter().zip(["127.0.0.1", "::1"]) {
        let Endpoint::Udp { port, .. } = *endpoint else { panic!("{endpoint}") };
        // What comes before it serves is the first shard's.
        exchange(&client(local, local.parse::<IpAddr>().unwrap(), port), b"do you serve?");
        for _ in 0..64 {
            let client = client(local, local.parse::<IpAddr>().unwrap(), port);
            let shard = exchange(&client, b"where?");
            assert!((0..3).all(|_| exchange(&client, b"still?") == shard));
            shards.insert(String::from_utf8(shard).unwrap());
        }
        // Shards share the port among each other alone.
        assert!(UdpSocket::bind((local, port)).is_err());
    }
    // That 64 peers meet none of the other shards happens once in 10^8 times.
    assert!(shards.len() > 1, "{shards:?}");
    let report = server.stop().unwrap();
    assert_eq!(report.totals.packets, 2 * (1 + 64 * 4));
}

#[test]
fn after_the_shards_nobody_shares_the_port() {
    let mut server = Server::bind("udp://127.0.0.1:0").unwrap();
    let Endpoint::Udp { port, .. } = server.endpoints()[0] else { panic!("{server:?}") };
    server.handle().shutdown();
    server.serve(Tasks::new(3), upper).unwrap();
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    other.set_reuse_port(true).unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(other.bind(&at.into()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_handler_that_never_comes_back_is_in_the_report() {
    for shards in [false, true] {
        let (begin, begun) = channel();
        let begin = Mutex::new(begin);
        let handler = move |_: &mut Datagram| {
            begin.lock().unwrap().send(())?;
            loop {
                std::thread::park();
            }
        };
        let server = Server::bind(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]).unwrap();
        let server = server.drain_deadline(std::time::Duration::from_millis(50));
        let server = if shards {
            server.spawn(Tasks::new(1), (async |_: &mut Stream| Ok(()), handler)).unwrap()
        } else {
            server.spawn(Threads::new(2), (|_: &mut blocking::Stream| Ok(()), handler)).unwrap()
        };
        let Endpoint::Udp { port, .. } = server.handle().endpoints()[1] else { panic!("{server:?}") };
        client("127.0.0.1", [127, 0, 0, 1], port).send(b"hello").unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        let report = server.stop().unwrap();
        assert!(!report.is_clean());
        assert_eq!(report.cut.len(), 1);
        assert!(report.cut[0].abandoned && matches!(report.cut[0].endpoint, Endpoint::Udp { .. }), "{report:?}");
    }
}

/// As large as a packet over IPv6 may be: with its headers it is larger than what the loopback takes, 65,536 bytes.
const LARGE: usize = 65_527;

#[test]
fn a_packet_that_is_not_to_be_cut_is_sent_whole_or_not_at_all() {
    struct TellUnsent(Mutex<Sender<(Option<SocketAddr>, Option<i32>)>>);
    impl socketserver::Observer for TellUnsent {
        fn unsent(&self, event: &Unsent<'_>) {
            let _ = self.0.lock().unwrap().send((event.peer.addr(), event.error.raw_os_error()));
        }
    }
    fn check<M: Model + Send + 'static>(model: M)
    where
        socketserver::AnyEngine: socketserver::Suits<M::Engine>,
    {
        let (tell, told) = channel();
        let options = ListenOptions::new().dont_fragment(true);
        let server = options.bind("udp://[::1]:0").unwrap().observe(TellUnsent(Mutex::new(tell)));
        let server = server
            .spawn(model, |d: &mut Datagram| {
                d.reply(&vec![b'x'; LARGE])?;
                Ok(d.reply(b"small")?)
            })
            .unwrap();
        let client = client("::1", [0, 0, 0, 0, 0, 0, 0, 1], port(&server));
        assert_eq!(exchange(&client, b"?"), b"small");
        let too_large = rustix::io::Errno::MSGSIZE.raw_os_error();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (client.local_addr().ok(), Some(too_large)));
        let totals = server.stop().unwrap().totals;
        // It is told once: this machine has found out by itself.
        assert_eq!((totals.replies, totals.unsent, totals.undelivered), (1, 1, 0), "{totals:?}");
    }
    on_each_model!(check);
    // Otherwise it is cut, and arrives.
    let server = Server::bind("udp://[::1]:0").unwrap();
    let server = server.spawn(Serial::default(), |d: &mut Datagram| Ok(d.reply(&vec![b'x'; LARGE])?)).unwrap();
    assert_eq!(exchange(&client("::1", [0, 0, 0, 0, 0, 0, 0, 1], port(&server)), b"?").len(), LARGE);
    server.stop().unwrap();
}

#[test]
fn broadcasting_is_for_those_who_asked_for_it() {
    // Nobody hears it: the loopback has no broadcast, but the system asks for the option all the same.
    for (on, unsent) in [(false, 1), (true, 0)] {
        let server = ListenOptions::new().broadcast(on).bind("udp://127.0.0.1:0").unwrap();
        let server = server
            .spawn(Serial::default(), |d: &mut Datagram| {
                d.send_to(b"to all", "127.255.255.255:9".parse()?)?;
                upper(d)
            })
            .unwrap();
        assert_eq!(exchange(&client("127.0.0.1", [127, 0, 0, 1], port(&server)), b"sent"), b"SENT");
        assert_eq!(server.stop().unwrap().totals.unsent, unsent, "{on}");
    }
}
