//! Binding, serving one, polling from outside, own sources and models, reading and writing: what does not depend on the
//! model, in one process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socket2::SockRef;
use socketserver::{
    Blocking, Endpoint, ErrorKind, Failure, ListenOptions, Model, Observer, Peer, Running, Serial, Served, Server,
    Service, Threads, Where, Work, blocking, client,
};
use socketserver_testkit::{Client, PATIENCE};
use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn echo(c: &mut blocking::Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20)? {
        c.write_all(&line)?;
    }
    Ok(())
}

fn running(endpoint: &str) -> Running {
    Server::bind(endpoint).unwrap().spawn(Threads::default(), echo).unwrap()
}

fn connect(server: &Running) -> Client {
    Client::connect(&server.handle().endpoints()[0]).unwrap()
}

fn is_served(endpoint: &Endpoint) {
    let mut client = Client::connect(endpoint).unwrap();
    client.say("hello\n");
    client.expect("hello\n");
}

// Where

#[test]
fn ipv6_and_both_families() {
    let server = running("tcp://[::1]:0");
    assert!(server.handle().endpoints()[0].to_string().starts_with("tcp://[::1]:"));
    is_served(&server.handle().endpoints()[0]);
    server.stop().unwrap();

    let (peers, seen) = channel();
    let server = Server::bind("*:0").unwrap();
    let Endpoint::Tcp { port, .. } = server.endpoints()[0] else { panic!("a TCP endpoint") };
    let tell = Mutex::new(peers);
    let server = server
        .spawn(Threads::default(), move |c: &mut blocking::Stream| {
            tell.lock().unwrap().send(c.peer().to_string())?;
            echo(c)
        })
        .unwrap();
    is_served(&format!("tcp://127.0.0.1:{port}").parse().unwrap());
    // Not `::ffff:127.0.0.1`.
    assert!(seen.recv_timeout(PATIENCE).unwrap().starts_with("127.0.0.1:"));
    is_served(&format!("tcp://[::1]:{port}").parse().unwrap());
    assert!(seen.recv_timeout(PATIENCE).unwrap().starts_with("[::1]:"));
    server.stop().unwrap();
}

#[test]
fn an_ipv6_address_is_ipv6_alone() {
    let server = Server::bind("tcp://[::]:0").unwrap();
    let Endpoint::Tcp { port, .. } = server.endpoints()[0] else { panic!("a TCP endpoint") };
    assert!(Client::connect(&format!("tcp://[::1]:{port}").parse().unwrap()).is_ok());
    assert!(Client::connect(&format!("tcp://127.0.0.1:{port}").parse().unwrap()).is_err());
}

#[test]
fn several_endpoints_and_listeners_made_elsewhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = elsewhere.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(dir.path().join("s")).unwrap();
    let places = vec![
        Where::parse("tcp://127.0.0.1:0").unwrap(),
        elsewhere.into(),
        unix.into(),
        Where::parse("unix:@socketserver-several").unwrap(),
    ];
    let server = Server::bind(places).unwrap().spawn(Threads::default(), echo).unwrap();
    let endpoints = server.handle().endpoints();
    assert_eq!(endpoints[1].to_string(), format!("tcp://{addr}"));
    assert_eq!(endpoints[3].to_string(), "unix:@socketserver-several");
    endpoints.iter().for_each(is_served);
    assert_eq!(server.stop().unwrap().served, 4);
    // Who made the file removes it.
    assert!(dir.path().join("s").exists());
}

#[test]
fn what_cannot_be_listened_on_is_refused() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Server::bind(OwnedFd::from(datagrams)).unwrap_err();
    assert!(error.to_string().contains("is not a stream socket"), "{error}");
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = Server::bind(OwnedFd::from(file)).unwrap_err();
    assert!(error.to_string().contains("is not a socket"), "{error}");
    let error = Server::bind("fd:999").unwrap_err();
    assert!(error.to_string().contains("no such descriptor"), "{error}");
    let error = Server::bind("udp://127.0.0.1:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Endpoint, "{error}");
    let error = Server::bind("tcp://no-such-host.invalid:80").unwrap_err();
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[test]
fn an_address_in_use_is_told_and_nothing_is_left_bound() {
    let first = running("tcp://127.0.0.1:0");
    let taken = first.handle().endpoints()[0].to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let error = Server::bind([&*format!("unix:{}", path.display()), &*taken]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    assert!(error.to_string().contains(&taken), "{error}");
    assert!(!path.exists());
    first.stop().unwrap();
}

#[test]
fn listen_options_are_what_they_say() {
    fn options(options: ListenOptions) -> (bool, bool) {
        let seen = Arc::new(Mutex::new(None));
        let note = seen.clone();
        let look = move |_: &Endpoint, socket: BorrowedFd<'_>| {
            let socket = SockRef::from(&socket);
            *note.lock().unwrap() = Some((socket.reuse_address()?, socket.reuse_port()?));
            Ok(())
        };
        drop(options.on_bind(look).bind("tcp://127.0.0.1:0").unwrap());
        seen.lock().unwrap().take().expect("the hook saw the socket")
    }
    assert_eq!(options(ListenOptions::new()), (true, false));
    assert_eq!(options(ListenOptions::new().reuse_address(false).reuse_port(true)), (false, true));

    // The hook sees the socket before it is bound, and can refuse.
    let early = ListenOptions::new().on_bind(|_, socket| {
        assert!(!SockRef::from(&socket).is_listener()?);
        Err(io::Error::other("not today"))
    });
    let error = early.bind("tcp://127.0.0.1:0").unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");

    // Two servers on one port, if both say so.
    let first = ListenOptions::new().reuse_port(true).bind("tcp://127.0.0.1:0").unwrap();
    let same = first.endpoints()[0].to_string();
    drop(ListenOptions::new().reuse_port(true).bind(&same).unwrap());
    assert_eq!(Server::bind(&same).unwrap_err().kind(), ErrorKind::InUse);
}

#[test]
fn the_backlog_is_the_systems_maximum_unless_told() {
    fn backlog(server: &Server) -> u32 {
        let Endpoint::Tcp { port, .. } = server.endpoints()[0] else { panic!("a TCP endpoint") };
        // ss(8) shows the backlog of a listener where it shows a queue of others.
        let out = std::process::Command::new("ss").args(["-Hltn", &format!("sport = :{port}")]).output();
        let out = String::from_utf8(out.expect("ss, of Debian's iproute2, is installed").stdout).unwrap();
        out.split_whitespace().nth(2).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{out}"))
    }
    if std::process::Command::new("ss").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "ss is missing");
        eprintln!("skipped: ss is not installed");
        return;
    }
    let maximum = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    assert_eq!(backlog(&Server::bind("tcp://127.0.0.1:0").unwrap()), maximum);
    assert_eq!(backlog(&ListenOptions::new().backlog(7).bind("tcp://127.0.0.1:0").unwrap()), 7);
}

// The file of a Unix socket

#[test]
fn a_live_unix_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("unix:{}", dir.path().join("s").display());
    let first = running(&endpoint);
    let error = Server::bind(&endpoint).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    is_served(&first.handle().endpoints()[0]);
    first.stop().unwrap();
    assert!(!dir.path().join("s").exists());
}

#[test]
fn a_dead_unix_socket_is_replaced_and_a_file_never() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let endpoint = format!("unix:{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
    let server = running(&endpoint);
    is_served(&server.handle().endpoints()[0]);
    server.stop().unwrap();

    for (what, make) in [("file", "text"), ("link", "")] {
        if make.is_empty() {
            std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        } else {
            std::fs::write(&path, make).unwrap();
        }
        let error = Server::bind(&endpoint).unwrap_err();
        assert!(error.to_string().contains("is not a socket"), "{what}: {error}");
        assert!(std::fs::symlink_metadata(&path).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn only_the_own_unix_socket_is_unlinked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = Server::bind(format!("unix:{}", path.display()).as_str()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let other_inode = std::fs::metadata(&path).unwrap().ino();
    drop(server);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), other_inode);
    drop(other);
}

#[test]
fn unix_sockets_have_the_mode_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (query, mode) in [("", 0o600), ("?mode=600", 0o600), ("?mode=660", 0o660), ("?mode=666", 0o666)] {
        let path = dir.path().join("s");
        let server = Server::bind(format!("unix:{}{query}", path.display())).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{query}");
        drop(server);
    }
}

#[test]
fn of_many_who_find_a_dead_socket_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let endpoint = format!("unix:{}", path.display());
    for _ in 0..20 {
        drop(UnixListener::bind(&path).unwrap());
        let servers: Vec<_> = std::thread::scope(|scope| {
            let binds: Vec<_> = (0..8).map(|_| scope.spawn(|| Server::bind(&endpoint))).collect();
            binds.into_iter().filter_map(|bind| bind.join().unwrap().ok()).collect()
        });
        assert_eq!(servers.len(), 1);
        // And it is the one that answers.
        assert!(Client::connect(&servers[0].endpoints()[0]).is_ok());
        drop(servers);
        assert!(!path.exists());
    }
}

#[test]
fn unix_peers_have_credentials() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("unix:@socketserver-credentials")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            send.lock().unwrap().send((c.peer().clone(), c.local()))?;
            Ok(())
        })
        .unwrap();
    connect(&server).expect_end();
    let (peer, local) = seen.recv_timeout(PATIENCE).unwrap();
    let credentials = peer.credentials().unwrap();
    assert_eq!(credentials.pid, std::process::id());
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!((peer.addr(), local), (None, None));
    assert!(peer.to_string().starts_with("unix:pid="));
    server.stop().unwrap();
}

// Serving

#[test]
fn serve_one_serves_times_out_and_stops() {
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let handle = server.handle();
    assert_eq!(server.serve_one(echo, Duration::from_millis(10)).unwrap(), Served::TimedOut);
    for name in ["one\n", "two\n"] {
        let mut client = Client::connect(&server.endpoints()[0]).unwrap();
        client.say(name);
        client.end();
        assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::One);
        client.expect(name);
        client.expect_end();
    }
    // The loop is one run: the handle from before it still stops it.
    handle.shutdown();
    assert_eq!(server.serve_one(echo, PATIENCE).unwrap(), Served::Stopped);
    // And a new run begins.
    assert_eq!(server.serve_one(echo, Duration::ZERO).unwrap(), Served::TimedOut);
    assert_eq!(server.handle().totals().accepted, 2);
}

#[test]
fn of_two_drains_the_nearer_deadline_counts() {
    let server = running("tcp://127.0.0.1:0");
    let mut client = connect(&server);
    client.say("in\nhalf a li");
    client.expect("in\n");
    let handle = server.handle().clone();
    handle.drain(Duration::from_millis(50));
    handle.drain(Duration::from_secs(3600));
    let (send, ended) = channel();
    std::thread::spawn(move || send.send(server.join()));
    let report = ended.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(report.cut.len(), 1);
}

#[test]
fn a_server_can_be_polled_from_outside() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let ready = |server: &Server, seconds| {
        let mut fds = [PollFd::new(server, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() == 1
    };
    let mut server = Server::bind(["tcp://127.0.0.1:0", "unix:@socketserver-polled"]).unwrap();
    assert!(!ready(&server, 0));
    for endpoint in server.endpoints() {
        let mut client = Client::connect(&endpoint).unwrap();
        client.say("hello\n");
        client.end();
        assert!(ready(&server, 30));
        assert_eq!(server.serve_one(echo, Duration::ZERO).unwrap(), Served::One);
        client.expect("hello\n");
        assert!(!ready(&server, 0));
    }
    server.handle().shutdown();
    assert!(ready(&server, 0));
}

#[test]
fn no_delay_is_on_and_deadlines_can_be_set_for_a_connection() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let nodelay = SockRef::from(&*c).tcp_nodelay()?;
            c.set_idle(Duration::from_millis(20).into());
            let idle = c.read(&mut [0]).unwrap_err();
            // A handler may go on after it.
            c.set_idle(None);
            c.write_all(b"still here\n")?;
            let line = c.read_line(100)?;
            send.lock().unwrap().send((nodelay, idle.kind(), line))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.expect("still here\n");
    client.say("good\r\n");
    client.expect_end();
    let (nodelay, idle, line) = seen.recv_timeout(PATIENCE).unwrap();
    assert!(nodelay);
    assert_eq!(idle, io::ErrorKind::TimedOut);
    assert_eq!(line.as_deref(), Some("good"));
    server.stop().unwrap();
}

#[test]
fn the_idle_deadline_is_the_servers_own_in_each_run() {
    // Accepted sockets inherit it: another run with another deadline must not.
    for idle in [Some(Duration::from_millis(30)), None, Some(Duration::from_millis(1))] {
        let (send, seen) = channel();
        let send = Mutex::new(send);
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().idle(idle);
        let server = server
            .spawn(Serial::default(), move |c: &mut blocking::Stream| {
                c.write_all(b"in")?;
                send.lock().unwrap().send(c.read(&mut [0]).map_err(|error| error.kind()))?;
                Ok(())
            })
            .unwrap();
        let mut client = connect(&server);
        client.expect("in");
        if idle.is_none() {
            client.say("x");
        }
        let expected = if idle.is_none() { Ok(1) } else { Err(io::ErrorKind::TimedOut) };
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), expected);
        drop(client);
        server.stop().unwrap();
    }
}

#[test]
fn a_model_of_ones_own_and_work_that_is_dropped() {
    /// Serves every second connection, and turns the others away.
    struct EverySecond;
    impl Model for EverySecond {
        type Engine = Blocking;
        fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), socketserver::Error> {
            let mut at = 0;
            while let Some(job) = work.next()? {
                at += 1;
                if at % 2 == 0 {
                    job.run();
                }
            }
            Ok(())
        }
    }
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(EverySecond, echo).unwrap();
    connect(&server).expect_gone();
    is_served(&server.handle().endpoints()[0]);
    connect(&server).expect_gone();
    let report = server.stop().unwrap();
    assert_eq!((report.served, report.totals.closed, report.totals.read), (3, 3, 6));
}

#[test]
fn a_model_that_ends_by_itself_ends_the_run() {
    struct One;
    impl Model for One {
        type Engine = Blocking;
        fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), socketserver::Error> {
            if let Some(job) = work.next()? {
                job.run();
            }
            Ok(())
        }
    }
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    for _ in 0..2 {
        let client = Client::connect(&server.endpoints()[0]).unwrap();
        client.reset();
        assert_eq!(server.serve(One, echo).unwrap().served, 1);
    }
}

/// Connections that come over a channel, each a sequenced-packet socket: every write of the server is one packet, so a
/// test can count them.
struct Source(UnixDatagram, Receiver<OwnedFd>);

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl blocking::Accept for Source {
    fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
        self.0.recv(&mut [0])?;
        Ok((self.1.recv().map_err(io::Error::other)?, Peer::unnamed()))
    }
}

struct Feed(UnixDatagram, Sender<OwnedFd>);

impl Feed {
    fn connect(&self) -> OwnedFd {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (client, server) = pair.unwrap();
        self.1.send(server).unwrap();
        self.0.send(&[1]).unwrap();
        client
    }
}

fn from_a_source() -> (Server<Blocking>, Feed) {
    let (bell, ready) = UnixDatagram::pair().unwrap();
    ready.set_nonblocking(true).unwrap();
    let (send, receive) = channel();
    let server = Server::bind([]).unwrap().accept_from_blocking(Source(ready, receive)).unwrap();
    (server, Feed(bell, send))
}

#[test]
fn replies_to_input_that_came_together_leave_together() {
    let (server, feed) = from_a_source();
    let server = server.spawn(Serial::default(), echo).unwrap();
    let client = feed.connect();
    let exchange = |sent: &[u8]| {
        rustix::net::send(&client, sent, SendFlags::NOSIGNAL).unwrap();
        let mut packet = [0; 4096];
        let (count, _) = rustix::net::recv(&client, &mut packet[..], RecvFlags::empty()).unwrap();
        packet[..count].to_vec()
    };
    // One write for three lines; and the reply to whole lines is not kept back for a line that is still to end.
    assert_eq!(exchange(b"a\nb\nc\n"), b"a\nb\nc\n");
    assert_eq!(exchange(b"d\ne\nhal"), b"d\ne\n");
    assert_eq!(exchange(b"f\n"), b"half\n");
    drop(client);
    assert_eq!(server.stop().unwrap().served, 1);
}

#[test]
fn a_source_of_ones_own_feeds_every_blocking_model() {
    fn check<M: Model<Engine = Blocking> + Send + 'static>(model: M) {
        let (server, feed) = from_a_source();
        let server = server.spawn(model, echo).unwrap();
        for _ in 0..3 {
            let client = feed.connect();
            rustix::net::send(&client, b"hello\n", SendFlags::NOSIGNAL).unwrap();
            let mut packet = [0; 100];
            assert_eq!(rustix::net::recv(&client, &mut packet[..], RecvFlags::empty()).unwrap().0, 6);
        }
        assert_eq!(server.stop().unwrap().served, 3);
    }
    check(Serial::default());
    check(Threads::new(3));
}

#[test]
fn a_source_that_fails_for_good_ends_the_server() {
    struct Broken(UnixDatagram);
    impl AsFd for Broken {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    impl blocking::Accept for Broken {
        fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
            Err(io::Error::other("out of order"))
        }
    }
    for threads in [false, true] {
        let (bell, ready) = UnixDatagram::pair().unwrap();
        bell.send(&[1]).unwrap();
        let mut server = Server::bind([]).unwrap().accept_from_blocking(Broken(ready)).unwrap();
        let result =
            if threads { server.serve(Threads::default(), echo) } else { server.serve(Serial::default(), echo) };
        let error = result.unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
    }
}

#[test]
fn a_source_that_panics_ends_the_server_in_order() {
    struct Broken(UnixDatagram);
    impl AsFd for Broken {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    impl blocking::Accept for Broken {
        fn accept(&mut self) -> io::Result<(OwnedFd, Peer)> {
            panic!("out of order")
        }
    }
    let (bell, ready) = UnixDatagram::pair().unwrap();
    bell.send(&[1]).unwrap();
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().accept_from_blocking(Broken(ready)).unwrap();
    let error = server.serve(Threads::default(), echo).unwrap_err();
    assert!(error.to_string().contains("out of order"), "{error}");
}

#[test]
fn failures_whose_own_code_panics_hurt_one_connection() {
    #[derive(Debug)]
    struct Rude;
    impl std::fmt::Display for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words for it")
        }
    }
    impl std::error::Error for Rude {}
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .every(Duration::from_millis(1), |_| Err(Rude.into()))
        .every(Duration::MAX, |_| panic!("it never comes"))
        .spawn(Threads::new(1), |c: &mut blocking::Stream| {
            echo(c)?;
            Err(Rude.into())
        })
        .unwrap();
    for _ in 0..3 {
        is_served(&server.handle().endpoints()[0]);
    }
    assert_eq!(server.stop().unwrap().totals.failed, 3);
}

#[test]
fn an_error_of_the_handlers_own_is_not_taken_for_the_peers() {
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            // The peer leaves in the middle of a line, and that is dealt with; then something else fails.
            let cut_short = c.read_line(100).unwrap_err();
            assert_eq!(cut_short.kind(), io::ErrorKind::UnexpectedEof);
            c.write_all(b"incomplete\n")?;
            std::fs::read("/no/such/file")?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("half");
    client.end();
    // And the answer to what was incomplete arrives.
    client.expect("incomplete\n");
    client.expect_end();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [socketserver::Reason::Failed]);
}

#[derive(Default)]
struct Reasons(Mutex<Vec<socketserver::Reason>>);

impl Observer for Reasons {
    fn closed(&self, event: &socketserver::Closed<'_>) {
        self.0.lock().unwrap().push(event.reason);
    }
}

#[test]
fn a_peer_that_left_is_known_inside_an_error_of_the_handlers_own() {
    #[derive(Debug)]
    struct Wrapped(io::Error);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "while reading")
        }
    }
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            c.read_line(100).map_err(Wrapped)?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("half");
    client.end();
    client.expect_end();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [socketserver::Reason::Disconnected]);
}

#[test]
fn a_peer_that_left_stays_the_reason_when_finish_fails_too() {
    struct Goodbye;
    impl blocking::Handler for Goodbye {
        fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
            c.write_all(b"in")?;
            c.read(&mut [0])?;
            Ok(())
        }
        fn finish(&self, c: &mut blocking::Stream) -> socketserver::Result {
            c.write_all(b"goodbye")?;
            Ok(())
        }
    }
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(reasons.clone());
    let server = server.spawn(Serial::default(), Goodbye).unwrap();
    let mut client = connect(&server);
    client.expect("in");
    client.reset();
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [socketserver::Reason::Disconnected]);
}

#[test]
fn an_abandoned_thread_keeps_nothing_of_the_server() {
    let (release, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let endpoint = server.endpoints()[0].clone();
    let handle = server.handle();
    let mut client = Client::connect(&endpoint).unwrap();
    client.say("x");
    let report = server
        .serve(Threads::default(), move |c: &mut blocking::Stream| {
            c.read(&mut [0])?;
            handle.drain(Duration::ZERO);
            let _ = wait.lock().unwrap().recv();
            Ok(())
        })
        .unwrap();
    assert_eq!(report.cut.iter().map(|cut| cut.abandoned).collect::<Vec<_>>(), [true]);

    // The next run knows nothing of it.
    server.handle().shutdown();
    assert!(server.serve(Threads::default(), echo).unwrap().is_clean());
    // And when the server is gone, so is its port.
    drop(server);
    assert!(Client::connect(&endpoint).is_err());
    drop(Server::bind(endpoint).unwrap());
    drop(release);
}

#[test]
fn a_model_that_panics_leaves_nothing_bound() {
    struct Panics;
    impl Model for Panics {
        type Engine = Blocking;
        fn run<S: Service<Blocking> + Send + Sync>(self, work: Work<Blocking, S>) -> Result<(), socketserver::Error> {
            drop(work.next()?);
            panic!("out of order")
        }
    }
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let endpoint = server.endpoints()[0].clone();
    let server = server.spawn(Panics, echo).unwrap();
    Client::connect(&endpoint).unwrap().expect_gone();
    assert!(server.join().is_err());
    assert!(Client::connect(&endpoint).is_err());
}

#[test]
fn every_counts_on_between_calls_of_serve_one() {
    let (tell, told) = channel();
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap().every(Duration::from_millis(60), move |_| {
        tell.send(())?;
        Ok(())
    });
    while told.try_recv().is_err() {
        assert_eq!(server.serve_one(echo, Duration::from_millis(20)).unwrap(), Served::TimedOut);
    }
}

#[test]
fn an_arc_is_a_handler_and_an_observer() {
    #[derive(Default)]
    struct Count(Mutex<(usize, usize)>);
    impl blocking::Handler for Count {
        fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
            self.0.lock().unwrap().0 += 1;
            echo(c)
        }
        fn on_error(&self, _: &Failure, _: &Peer) {}
    }
    impl Observer for Count {
        fn closed(&self, _: &socketserver::Closed<'_>) {
            self.0.lock().unwrap().1 += 1;
        }
    }
    let count = Arc::new(Count::default());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().observe(count.clone());
    let server = server.spawn(Threads::default(), count.clone()).unwrap();
    is_served(&server.handle().endpoints()[0]);
    server.stop().unwrap();
    assert_eq!(*count.0.lock().unwrap(), (1, 1));
}

#[test]
fn forks_cannot_be_spawned() {
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(socketserver::Forks::new(2), echo).unwrap();
    assert_eq!(server.join().unwrap_err().kind(), ErrorKind::Unsupported);
}

// Reading and writing

#[test]
fn reads_are_bounded_and_say_so() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let too_long = c.read_until(b'\n', 8).unwrap_err();
            // What was too long stays to be read.
            let mut nine = [0; 9];
            c.read_exact(&mut nine)?;
            let exactly = c.read_until(b'\n', 8)?;
            let utf8 = c.read_line(100).unwrap_err();
            let too_much = c.read_to_end(3).unwrap_err();
            send.lock().unwrap().send((too_long.to_string(), exactly, utf8.kind(), too_much.to_string()))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("123456789");
    client.say("1234567\n");
    client.say(b"\xff\n");
    client.say("four");
    client.end();
    client.expect_end();
    let (too_long, exactly, utf8, too_much) = seen.recv_timeout(PATIENCE).unwrap();
    assert!(too_long.contains('8'), "{too_long}");
    assert_eq!(exactly.as_deref(), Some(&b"1234567\n"[..]));
    assert_eq!(utf8, io::ErrorKind::InvalidData);
    assert!(too_much.contains('3'), "{too_much}");
    server.stop().unwrap();
}

#[test]
fn an_input_that_ends_too_early_says_where() {
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            let error = c.read_exact(&mut [0; 10]).unwrap_err();
            c.write_all(format!("{:?}: {error}", error.kind()).as_bytes())?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("four");
    client.end();
    assert_eq!(client.hear_all().unwrap(), b"UnexpectedEof: the input ended after 4 of 10 bytes");
    server.stop().unwrap();
}

#[test]
fn a_stream_is_a_std_reader_and_writer() {
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            let mut line = String::new();
            BufRead::read_line(c, &mut line)?;
            let mut rest = Vec::new();
            Read::read_to_end(c, &mut rest)?;
            write!(c, "{} {}", line.trim_end(), rest.len())?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("hello\nworld");
    client.end();
    assert_eq!(client.hear_all().unwrap(), b"hello 5");
    server.stop().unwrap();
}

#[test]
fn a_client_is_the_same_stream() {
    let server = running("unix:@socketserver-client");
    let mut c = client::connect("unix:@socketserver-client").unwrap();
    assert_eq!((c.id(), c.endpoint(), c.is_draining()), (0, None, false));
    c.server().shutdown();
    c.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("one"));
    // With a reply still unread a write leaves at once all the same.
    c.write_all(b"three\n").unwrap();
    assert_eq!(c.read_until(b'\n', 10).unwrap().as_deref(), Some(&b"two\n"[..]));
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("three"));
    c.close_write().unwrap();
    assert_eq!(c.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(c.read_to_end(10).unwrap(), b"");
    let error = client::connect("unix:@socketserver-nobody").unwrap_err();
    assert!(error.to_string().contains("socketserver-nobody"), "{error}");
    server.stop().unwrap();
}

#[test]
fn a_client_can_be_split() {
    let server = running("tcp://127.0.0.1:0");
    let c = client::connect(&server.handle().endpoints()[0]).unwrap();
    let (mut read, mut write) = c.split().unwrap();
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let sent = line.repeat(20_000);
    // More than all buffers hold: only who reads while they write gets through.
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || {
            write.write_all(&sent).unwrap();
            write.close().unwrap();
        }
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == sent);
    server.stop().unwrap();
}

#[test]
fn a_source_must_come_before_the_first_handle() {
    let (_bell, ready) = UnixDatagram::pair().unwrap();
    let server = Server::bind([]).unwrap();
    let _handle = server.handle();
    let (_, receive) = channel();
    let error = server.accept_from_blocking(Source(ready, receive)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
