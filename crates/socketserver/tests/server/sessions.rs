//! Conversations over packets: on both engines that have them, over UDP and Unix datagrams, with plain sockets for clients.

use crate::eventually;
use socketserver::{
    Closed, Datagram, Endpoint, Failure, Observer, Opened, Peer, Reason, Refusal, Refused, Report, Running, Server,
    Session, SessionHandler, Sessions, Stream, Tasks, Threads, UnixName, WhenFull, blocking, sessions,
};
use socketserver_testkit::{Client, PATIENCE};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What every session of these tests does: it counts, and does as it is told.
struct Counting;

/// What a packet asks for.
fn answer(count: u32, packet: &[u8]) -> socketserver::Result<Vec<u8>> {
    match packet {
        b"panic" => panic!("as it was told"),
        b"fail" => Err("as it was told".into()),
        _ => Ok(format!("{count} {}", String::from_utf8_lossy(packet)).into_bytes()),
    }
}

impl blocking::SessionHandler for Counting {
    fn handle(&self, s: &mut blocking::Session) -> socketserver::Result {
        let mut count = 0;
        while let Some(packet) = s.recv()? {
            count += 1;
            if packet == b"bye" {
                return Ok(());
            }
            s.send(&answer(count, &packet)?)?;
        }
        Ok(())
    }
    fn verify(&self, peer: &Peer) -> bool {
        !peer.to_string().starts_with("127.0.0.66")
    }
}

impl SessionHandler for Counting {
    async fn handle(&self, s: &mut Session) -> socketserver::Result {
        let mut count = 0;
        while let Some(packet) = s.recv().await? {
            count += 1;
            if packet == b"bye" {
                return Ok(());
            }
            s.send(&answer(count, &packet)?).await?;
        }
        Ok(())
    }
    fn verify(&self, peer: &Peer) -> bool {
        !peer.to_string().starts_with("127.0.0.66")
    }
}

#[derive(Debug, Clone, Copy)]
enum Engine {
    Threads,
    Tasks,
}

const BOTH: [Engine; 2] = [Engine::Threads, Engine::Tasks];

impl Engine {
    /// Serves counting sessions with these options.
    fn serve(self, server: Server, with: impl Fn(Sessions<Counting>) -> Sessions<Counting>) -> Running {
        match self {
            Self::Threads => server.spawn(Threads::new(16), with(sessions(Counting))).unwrap(),
            Self::Tasks => server.spawn(Tasks::new(1), with(sessions(Counting))).unwrap(),
        }
    }
}

pub(crate) fn udp() -> Server {
    Server::bind("udp://127.0.0.1:0").unwrap()
}

fn port(server: &Running) -> u16 {
    match server.handle().endpoints()[0] {
        Endpoint::Udp { port, .. } => port,
        ref other => panic!("{other}"),
    }
}

pub(crate) fn client_at(local: &str, server: &Running) -> UdpSocket {
    let socket = UdpSocket::bind((local, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(("127.0.0.1", port(server))).unwrap();
    socket
}

pub(crate) fn client(server: &Running) -> UdpSocket {
    client_at("127.0.0.1", server)
}

pub(crate) fn hear(socket: &UdpSocket) -> String {
    let mut reply = [0; 1000];
    let count = socket.recv(&mut reply).unwrap();
    String::from_utf8(reply[..count].to_vec()).unwrap()
}

pub(crate) fn exchange(socket: &UdpSocket, words: &str) -> String {
    socket.send(words.as_bytes()).unwrap();
    hear(socket)
}

/// Tells what is opened, closed and refused.
struct Tell(Mutex<Sender<String>>);

fn told() -> (Tell, Receiver<String>) {
    let (tell, told) = channel();
    (Tell(Mutex::new(tell)), told)
}

impl Observer for Tell {
    fn opened(&self, event: &Opened<'_>) {
        let _ = self.0.lock().unwrap().send(format!("opened {}", event.id));
    }
    fn closed(&self, event: &Closed<'_>) {
        let Closed { id, read, written, reason, .. } = event;
        let failure = event.failure.unwrap_or_default();
        let _ = self.0.lock().unwrap().send(format!("closed {id} {reason} {read} {written} {failure}"));
    }
    fn refused(&self, event: &Refused<'_>) {
        let _ = self.0.lock().unwrap().send(format!("refused {}", event.why));
    }
}

fn next(told: &Receiver<String>) -> String {
    told.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn each_peer_has_a_conversation_of_its_own() {
    for engine in BOTH {
        let server = engine.serve(udp(), |s| s);
        let (one, other) = (client(&server), client(&server));
        assert_eq!(exchange(&one, "hello"), "1 hello", "{engine:?}");
        assert_eq!(exchange(&one, "again"), "2 again");
        assert_eq!(exchange(&other, "hello"), "1 hello");
        assert_eq!(exchange(&one, ""), "3 ");
        assert_eq!(exchange(&other, "again"), "2 again");
        let report = server.stop().unwrap();
        assert!(report.is_clean());
        assert_eq!((report.served, report.totals.packets, report.totals.replies), (2, 5, 5));
        assert_eq!((report.totals.read, report.totals.accepted, report.totals.closed), (20, 2, 2));
    }
}

#[test]
fn a_handler_may_be_kept_a_hand_on() {
    struct Served(Mutex<Vec<Vec<u8>>>);
    impl blocking::SessionHandler for Served {
        fn handle(&self, s: &mut blocking::Session) -> socketserver::Result {
            let Some(packet) = s.recv()? else { return Ok(()) };
            self.0.lock().unwrap().push(packet.clone());
            Ok(s.send(&packet)?)
        }
        fn verify(&self, peer: &Peer) -> bool {
            !peer.to_string().starts_with("127.0.0.66")
        }
    }
    let handler = Arc::new(Served(Mutex::default()));
    let server = udp().spawn(Threads::new(4), sessions(handler.clone())).unwrap();
    client_at("127.0.0.66", &server).send(b"stranger").unwrap();
    assert_eq!(exchange(&client(&server), "hello"), "hello");
    server.stop().unwrap();
    assert_eq!(*handler.0.lock().unwrap(), [b"hello"]);
}

#[test]
fn what_was_asked_elsewhere_is_another_conversation_and_is_answered_from_there() {
    for engine in BOTH {
        let server = engine.serve(Server::bind("udp://*:0").unwrap(), |s| s);
        let client = UdpSocket::bind("0.0.0.0:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        for (at, words) in [("127.0.0.2", "1 hello"), ("127.0.0.3", "1 hello"), ("127.0.0.2", "2 hello")] {
            let at = SocketAddr::new(at.parse().unwrap(), port(&server));
            client.send_to(b"hello", at).unwrap();
            let mut reply = [0; 100];
            let (count, from) = client.recv_from(&mut reply).unwrap();
            assert_eq!((std::str::from_utf8(&reply[..count]).unwrap(), from), (words, at), "{engine:?}");
        }
        server.stop().unwrap();
    }
}

#[test]
fn unix_peers_are_told_apart_by_name() {
    for engine in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let endpoint = Endpoint::Unixgram { name: UnixName::Path(path.clone()), mode: None };
        let server = engine.serve(Server::bind(endpoint).unwrap(), |s| s);
        // One without a name cannot be answered.
        UnixDatagram::unbound().unwrap().send_to(b"nobody", &path).unwrap();
        for name in ["a", "b"] {
            let client = UnixDatagram::bind(dir.path().join(name)).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            for words in ["1 hello", "2 hello"] {
                client.send_to(b"hello", &path).unwrap();
                let mut reply = [0; 100];
                let count = client.recv(&mut reply).unwrap();
                assert_eq!(std::str::from_utf8(&reply[..count]).unwrap(), words, "{engine:?}");
            }
        }
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.accepted, totals.nonsense), (2, 1));
    }
}

#[test]
fn a_session_ends_with_its_handler_and_the_next_packet_begins_another() {
    for engine in BOTH {
        let (tell, told) = told();
        let server = engine.serve(udp().observe(tell), |s| s);
        let client = client(&server);
        assert_eq!(exchange(&client, "hello"), "1 hello");
        assert_eq!(next(&told), "opened 1");
        client.send(b"bye").unwrap();
        assert_eq!(next(&told), "closed 1 finished 8 7 ", "{engine:?}");
        assert_eq!(exchange(&client, "hello"), "1 hello");
        assert_eq!(next(&told), "opened 2");
        client.send(b"fail").unwrap();
        assert_eq!(next(&told), "closed 2 failed 9 7 as it was told");
        assert_eq!(exchange(&client, "hello"), "1 hello");
        assert_eq!(next(&told), "opened 3");
        client.send(b"panic").unwrap();
        assert_eq!(next(&told), "closed 3 panicked 10 7 panicked: as it was told");
        let report = server.stop().unwrap();
        assert_eq!((report.totals.failed, report.totals.closed), (2, 3));
    }
}

#[test]
fn who_is_silent_for_too_long_is_forgotten() {
    for engine in BOTH {
        let (tell, told) = told();
        let server = engine.serve(udp().observe(tell), |s| s.idle(Duration::from_millis(50)));
        let client = client(&server);
        assert_eq!(exchange(&client, "hello"), "1 hello");
        assert_eq!(next(&told), "opened 1");
        assert_eq!(next(&told), "closed 1 idle 5 7 ", "{engine:?}");
        assert_eq!(exchange(&client, "hello"), "1 hello");
        server.stop().unwrap();
    }
}

#[test]
fn whom_the_handler_does_not_want_gets_no_session() {
    for engine in BOTH {
        let server = engine.serve(udp(), |s| s);
        client_at("127.0.0.66", &server).send(b"hello").unwrap();
        assert_eq!(exchange(&client(&server), "hello"), "1 hello");
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.accepted, totals.unwelcome), (1, 1), "{engine:?}");
    }
}

#[test]
fn the_longest_silent_gives_way_and_those_heard_from_once_go_first() {
    for engine in BOTH {
        let (tell, told) = told();
        let server = engine.serve(udp().observe(tell), |s| s.max(3));
        let steady = client(&server);
        assert_eq!(exchange(&steady, "a"), "1 a");
        assert_eq!(exchange(&steady, "b"), "2 b");
        assert_eq!(next(&told), "opened 1");
        let crowd: Vec<_> = (0..4).map(|_| client(&server)).collect();
        for (number, newcomer) in crowd.iter().enumerate() {
            assert_eq!(exchange(newcomer, "x"), "1 x", "{engine:?} {number}");
            let mut expected = vec![format!("opened {}", number + 2)];
            let mut events = vec![next(&told)];
            if number >= 2 {
                // A thread may take its time to tell.
                expected.insert(0, format!("closed {number} evicted 1 3 "));
                events.push(next(&told));
                events.sort();
            }
            assert_eq!(events, expected);
        }
        // It was silent for longest, and was heard from twice.
        assert_eq!(exchange(&steady, "c"), "3 c");
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.evicted, totals.refused, totals.accepted), (2, 0, 5));
    }
}

#[test]
fn where_nobody_gives_way_newcomers_are_refused() {
    for engine in BOTH {
        let (tell, told) = told();
        let server = engine.serve(udp().observe(tell), |s| s.max(1).when_full(WhenFull::Refuse));
        let first = client(&server);
        assert_eq!(exchange(&first, "hello"), "1 hello");
        assert_eq!(next(&told), "opened 1");
        let second = client(&server);
        second.send(b"hello").unwrap();
        assert_eq!(next(&told), format!("refused {}", Refusal::Full), "{engine:?}");
        first.send(b"bye").unwrap();
        assert!(next(&told).starts_with("closed 1 finished"));
        assert_eq!(exchange(&second, "hello"), "1 hello");
        let totals = server.stop().unwrap().totals;
        assert_eq!((totals.over_limit, totals.evicted), (1, 0));
    }
}

/// Echoes, but each handler takes nothing until it is told to.
struct Busy(Mutex<Receiver<()>>);

impl blocking::SessionHandler for Busy {
    fn handle(&self, s: &mut blocking::Session) -> socketserver::Result {
        self.0.lock().unwrap().recv()?;
        while let Some(packet) = s.recv()? {
            s.send(&packet)?;
        }
        Ok(())
    }
}

fn busy(with: impl Fn(Sessions<Busy>) -> Sessions<Busy>) -> (Running, Sender<()>) {
    let (go, wait) = channel();
    (udp().spawn(Threads::default(), with(sessions(Busy(Mutex::new(wait))))).unwrap(), go)
}

#[test]
fn a_queue_has_an_end() {
    let (server, go) = busy(|s| s.queue(3));
    let client = client(&server);
    for number in 0..5_u8 {
        client.send(&[number]).unwrap();
    }
    eventually(|| server.handle().totals().queue_full == 2);
    go.send(()).unwrap();
    let mut reply = [0; 10];
    for number in 0..3 {
        assert_eq!((client.recv(&mut reply).unwrap(), reply[0]), (1, number));
    }
    assert_eq!(server.stop().unwrap().totals.packets, 5);
}

#[test]
fn all_queues_together_have_an_end() {
    let (server, go) = busy(|s| s.memory(10));
    let clients: Vec<_> = (0..3).map(|_| client(&server)).collect();
    for client in &clients {
        client.send(b"12345").unwrap();
    }
    eventually(|| server.handle().totals().queue_full == 1);
    for _ in &clients {
        go.send(()).unwrap();
    }
    for client in &clients[..2] {
        assert_eq!(hear(client), "12345");
    }
    server.stop().unwrap();
}

#[test]
fn a_drain_ends_silent_sessions_at_once_and_gives_busy_ones_their_time() {
    for engine in BOTH {
        let (go, wait) = channel::<()>();
        let (tell, begun) = channel();
        let (wait, tell) = (Arc::new(Mutex::new(wait)), Mutex::new(tell));
        let server = udp();
        let server = match engine {
            Engine::Threads => {
                let handler = sessions(move |s: &mut blocking::Session| {
                    while let Some(packet) = s.recv()? {
                        if packet == b"work" {
                            tell.lock().unwrap().send(())?;
                            wait.lock().unwrap().recv()?;
                        }
                        s.send(b"done")?;
                    }
                    Ok(())
                });
                server.spawn(Threads::default(), handler).unwrap()
            }
            Engine::Tasks => {
                let handler = sessions(async move |s: &mut Session| {
                    while let Some(packet) = s.recv().await? {
                        if packet == b"work" {
                            tell.lock().unwrap().send(())?;
                            let wait = wait.clone();
                            tokio::task::spawn_blocking(move || wait.lock().unwrap().recv()).await??;
                        }
                        s.send(b"done").await?;
                    }
                    Ok(())
                });
                server.spawn(Tasks::new(1), handler).unwrap()
            }
        };
        let (silent, busy) = (client(&server), client(&server));
        assert_eq!(exchange(&silent, "hello"), "done");
        busy.send(b"work").unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        server.handle().shutdown();
        eventually(|| server.handle().totals().closed == 1);
        go.send(()).unwrap();
        assert_eq!(hear(&busy), "done");
        let report = server.join().unwrap();
        assert!(report.is_clean(), "{engine:?}");
        assert_eq!(report.totals.closed, 2);
    }
}

#[test]
fn the_drains_deadline_cuts_and_names() {
    for engine in BOTH {
        let (tell, told) = told();
        let server = udp().observe(tell).drain_deadline(Duration::from_millis(50));
        let (begin, begun) = channel();
        let begin = Mutex::new(begin);
        let server = match engine {
            Engine::Threads => {
                let handler = sessions(move |s: &mut blocking::Session| {
                    begin.lock().unwrap().send(())?;
                    // It has nothing to say, and never stops saying it.
                    loop {
                        s.send(b"")?;
                        std::thread::yield_now();
                    }
                });
                server.spawn(Threads::default(), handler).unwrap()
            }
            Engine::Tasks => {
                let handler = sessions(async move |_: &mut Session| {
                    begin.lock().unwrap().send(())?;
                    std::future::pending().await
                });
                server.spawn(Tasks::new(1), handler).unwrap()
            }
        };
        let client = client(&server);
        client.send(b"hello").unwrap();
        begun.recv_timeout(PATIENCE).unwrap();
        let report: Report = server.stop().unwrap();
        assert_eq!(report.cut.len(), 1, "{engine:?}");
        assert_eq!(report.cut[0].peer.addr(), Some(client.local_addr().unwrap()));
        assert!(!report.cut[0].abandoned);
        assert_eq!(next(&told), "opened 1");
        assert!(next(&told).starts_with(&format!("closed 1 {}", Reason::Aborted)), "{engine:?}");
    }
}

#[test]
fn streams_and_sessions_side_by_side() {
    let server = || Server::bind(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]).unwrap();
    let on_threads = server()
        .spawn(Threads::default(), (|c: &mut blocking::Stream| Ok(c.write_all(b"stream")?), sessions(Counting)))
        .unwrap();
    let on_tasks = server()
        .spawn(Tasks::default(), (async |c: &mut Stream| Ok(c.write_all(b"stream").await?), sessions(Counting)))
        .unwrap();
    for server in [on_threads, on_tasks] {
        let endpoints = server.handle().endpoints();
        assert_eq!(Client::connect(&endpoints[0]).unwrap().hear_all().unwrap(), b"stream");
        let Endpoint::Udp { port, .. } = endpoints[1] else { panic!("{endpoints:?}") };
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect(("127.0.0.1", port)).unwrap();
        assert_eq!(exchange(&client, "hello"), "1 hello");
        assert_eq!(exchange(&client, "hello"), "2 hello");
        assert!(server.stop().unwrap().is_clean());
    }
}

#[test]
fn the_same_server_serves_again() {
    let mut server = udp();
    for round in 0..3 {
        let handle = server.handle();
        let Endpoint::Udp { port, .. } = server.endpoints()[0] else { panic!("{server:?}") };
        let client = std::thread::spawn(move || {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client.connect(("127.0.0.1", port)).unwrap();
            let heard = exchange(&client, "hello");
            handle.shutdown();
            heard
        });
        match round {
            0 => server.serve(Threads::default(), sessions(Counting)).unwrap(),
            1 => server.serve(Tasks::new(2), sessions(Counting)).unwrap(),
            // No sessions this time: the pool has its packets back.
            _ => server.serve(Threads::default(), |d: &mut Datagram| Ok(d.reply(b"1 hello")?)).unwrap(),
        };
        assert_eq!(client.join().unwrap(), "1 hello");
    }
}

#[test]
fn peers_of_many_shards() {
    let server = udp().spawn(Tasks::new(4), sessions(Counting).max(64)).unwrap();
    assert_eq!(exchange(&client(&server), "hello"), "1 hello");
    let clients: Vec<_> = (0..40).map(|_| client(&server)).collect();
    for round in 1..4 {
        for client in &clients {
            assert_eq!(exchange(client, "hello"), format!("{round} hello"));
        }
    }
    assert_eq!(server.stop().unwrap().totals.accepted, 41);
}

#[test]
fn an_own_runtime_serves_sessions_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut server = udp();
    let handle = server.handle();
    let Endpoint::Udp { port, .. } = server.endpoints()[0] else { panic!("{server:?}") };
    let client = std::thread::spawn(move || -> Result<(), Failure> {
        let client = UdpSocket::bind("127.0.0.1:0")?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.connect((IpAddr::from([127, 0, 0, 1]), port))?;
        for words in ["1 hello", "2 hello"] {
            if exchange(&client, "hello") != words {
                return Err(io::Error::other("it heard something else").into());
            }
        }
        handle.shutdown();
        Ok(())
    });
    assert!(runtime.block_on(server.run(sessions(Counting))).unwrap().is_clean());
    client.join().unwrap().unwrap();
}
