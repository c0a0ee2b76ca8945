//! Where a server listens: addresses, sockets made elsewhere, options.

use crate::{echo, is_served, running};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use socket2::SockRef;
use socketserver::{Endpoint, ErrorKind, ListenOptions, Server, Threads, Where, blocking};
use socketserver_testkit::{Client, PATIENCE, is_installed};
use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

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
    let (connected, _) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let error = Server::bind(connected).unwrap_err();
    assert!(error.to_string().contains("does not listen"), "{error}");
    let raw = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
    let error = Server::bind(raw).unwrap_err();
    assert!(error.to_string().contains("is neither a stream, a datagram nor a sequenced-packet socket"), "{error}");
    let unbound = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    let error = Server::bind(unbound).unwrap_err();
    assert!(error.to_string().contains("bound to no port"), "{error}");
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = Server::bind(OwnedFd::from(file)).unwrap_err();
    assert!(error.to_string().contains("is not a socket"), "{error}");
    let error = Server::bind("fd:999").unwrap_err();
    assert!(error.to_string().contains("no such descriptor"), "{error}");
    let error = Server::bind("raw:x").unwrap_err();
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
    if !is_installed("ss", "-V") {
        return;
    }
    let maximum = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    assert_eq!(backlog(&Server::bind("tcp://127.0.0.1:0").unwrap()), maximum);
    assert_eq!(backlog(&ListenOptions::new().backlog(7).bind("tcp://127.0.0.1:0").unwrap()), 7);
}

#[test]
fn sockets_have_the_options_that_were_asked_for() {
    use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
    let options = |options: ListenOptions| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = seen.clone();
        let look = move |endpoint: &Endpoint, socket: BorrowedFd<'_>| {
            let mtu = match endpoint {
                Endpoint::Udp { .. } => Some((
                    sockopt::ip_mtu_discover(socket)? == Ipv4PathMtuDiscovery::DO,
                    sockopt::ipv6_mtu_discover(socket)? == Ipv6PathMtuDiscovery::DO,
                )),
                _ => None,
            };
            let options = SockRef::from(&socket);
            let sizes = (options.recv_buffer_size()?, options.send_buffer_size()?);
            note.lock().unwrap().push((sizes, options.broadcast()?, mtu));
            Ok(())
        };
        let places = ["udp://[::1]:0", "tcp://127.0.0.1:0", "unixgram:@socketserver-tuned", "unix:@socketserver-tuned"];
        drop(options.on_bind(look).bind(places).unwrap());
        std::mem::take(&mut *seen.lock().unwrap())
    };
    let plain = options(ListenOptions::new());
    assert!(plain.iter().all(|(_, broadcast, _)| !broadcast) && plain[0].2 == Some((false, false)));
    let tuned =
        options(ListenOptions::new().receive_buffer(10_000).send_buffer(20_000).broadcast(true).dont_fragment(true));
    // Twice as much.
    assert_eq!(tuned.iter().map(|(sizes, ..)| *sizes).collect::<Vec<_>>(), [(20_000, 40_000); 4]);
    let of_udp = |(_, broadcast, mtu): &(_, bool, _)| (*broadcast, *mtu);
    assert_eq!(of_udp(&tuned[0]), (true, Some((true, true))));
    assert!(tuned[1..].iter().all(|seen| of_udp(seen) == (false, None)));
    // Without end is as much as the system gives.
    drop(ListenOptions::new().receive_buffer(usize::MAX).bind("udp://127.0.0.1:0").unwrap());
}

#[test]
fn connections_inherit_the_buffers_of_their_listener() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = ListenOptions::new().receive_buffer(30_000).bind("tcp://127.0.0.1:0").unwrap();
    let server = server
        .spawn(Threads::default(), move |c: &mut blocking::Stream| {
            Ok(tell.lock().unwrap().send(SockRef::from(&*c).recv_buffer_size()?)?)
        })
        .unwrap();
    Client::connect(&server.handle().endpoints()[0]).unwrap().expect_end();
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), 60_000);
    server.stop().unwrap();
}

#[test]
fn what_is_for_udp_alone_is_refused_where_there_is_none() {
    let elsewhere = || Where::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for (options, name) in [
        (ListenOptions::new().broadcast(true), "`broadcast`"),
        (ListenOptions::new().dont_fragment(true), "`dont_fragment`"),
    ] {
        let error = options.bind(vec![Where::parse("tcp://127.0.0.1:0").unwrap(), elsewhere()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(name) && error.to_string().contains("`udp://host:port`"), "{error}");
    }
    let beside = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"];
    drop(ListenOptions::new().broadcast(true).dont_fragment(true).bind(beside).unwrap());
}
