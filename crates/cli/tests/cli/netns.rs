//! `probe` through networks that a test makes for itself: what routers and filters say, on both families.

use crate::harness::{Output, Running};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, ipproto};
use rustix::thread::LinkNameSpaceType;
use serde_json::Value;
use socketserver_testkit::{PATIENCE, skip};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A machine that asks, a router, and one that is asked, each in a namespace of its own (`ip-netns(8)`):
///
/// ```text
/// client 10.9.1.2, fd09:1::2 — 10.9.1.1, fd09:1::1 router 10.9.2.1, fd09:2::1 — 10.9.2.2, fd09:2::2 server
/// ```
///
/// What the router does with packets to other networks their third number says: see [`ROUTES`]. All of it goes with the
/// value.
struct Network {
    name: String,
}

/// Networks, and what becomes of packets to them.
const ROUTES: [(u8, &str); 3] = [(10, "prohibit"), (11, "blackhole"), (12, "unreachable")];

const CLIENT: &str = "client";
const ROUTER: &str = "router";
const SERVER: &str = "server";

/// Hosts there: the client's first, then the server's.
const SERVERS: [&str; 2] = ["10.9.2.2", "[fd09:2::2]"];

impl Network {
    /// `None` without the privilege or `ip(8)`: then it says so, and the test is skipped. With `CI=true` in the environment
    /// it panics.
    fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("socketserver-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let network = Self { name };
        if let Err(why) = network.ip(&format!("netns add {}", network.of(CLIENT))) {
            skip(format_args!("network namespaces: {why}"));
            return None;
        }
        network.set_up().unwrap();
        Some(network)
    }

    fn set_up(&self) -> io::Result<()> {
        let [client, router, server] = [CLIENT, ROUTER, SERVER].map(|part| self.of(part));
        self.ip(&format!("netns add {router}"))?;
        self.ip(&format!("netns add {server}"))?;
        for (end, to_end, net, at) in [(&client, "to-client", 1, CLIENT), (&server, "to-server", 2, SERVER)] {
            self.ip(&format!("-n {end} link add to-router type veth peer name {to_end} netns {router}"))?;
            let of_router = [(ROUTER, to_end, "1"), (at, "to-router", "2")];
            for (part, link, host) in of_router {
                let of = self.of(part);
                self.ip(&format!("-n {of} address add 10.9.{net}.{host}/24 dev {link}"))?;
                // Nobody else can have it: no need to wait until that is sure.
                self.ip(&format!("-n {of} address add fd09:{net}::{host}/64 dev {link} nodad"))?;
                self.ip(&format!("-n {of} link set lo up"))?;
                self.ip(&format!("-n {of} link set {link} up"))?;
            }
            self.ip(&format!("-n {end} route add default via 10.9.{net}.1"))?;
            self.ip(&format!("-n {end} route add default via fd09:{net}::1"))?;
        }
        self.ip(&format!("-n {server} address add 10.9.2.3/24 dev to-router"))?;
        self.ip(&format!("-n {server} address add fd09:2::3/64 dev to-router nodad"))?;
        for (net, kind) in ROUTES {
            self.ip(&format!("-n {router} route add {kind} 10.9.{net}.0/24"))?;
            self.ip(&format!("-n {router} route add {kind} fd09:{net}::/64"))?;
        }
        self.set(ROUTER, "ipv4/ip_forward", 1)?;
        self.set(ROUTER, "ipv6/conf/all/forwarding", 1)?;
        // All that there is to say.
        self.limit_icmp(ROUTER, 0)?;
        self.limit_icmp(SERVER, 0)?;
        // It takes three of these to find out that no neighbour has an address; a second each is usual.
        for family in ["ipv4", "ipv6"] {
            self.set(CLIENT, &format!("{family}/neigh/to-router/retrans_time_ms"), 100)?;
        }
        Ok(())
    }

    /// The whole name of a namespace.
    fn of(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    fn ip(&self, args: &str) -> io::Result<()> {
        let output = Command::new("ip").args(args.split(' ')).output();
        let output = output.map_err(|error| io::Error::new(error.kind(), format!("ip: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("ip {args}: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }

    fn set(&self, part: &str, name: &str, value: impl Display + Sync) -> io::Result<()> {
        self.inside(part, || std::fs::write(format!("/proc/sys/net/{name}"), value.to_string()))
    }

    /// A message of ICMP in so many milliseconds, after the first few; 0: all.
    fn limit_icmp(&self, part: &str, every: u32) -> io::Result<()> {
        self.set(part, "ipv4/icmp_ratelimit", every)?;
        self.set(part, "ipv6/icmp/ratelimit", every)
    }

    /// Does something in a namespace, on a thread of its own. Sockets that it makes stay there.
    fn inside<T: Send>(&self, part: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.of(part))).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// Runs `probe --json` there.
    fn probe_in(&self, part: &str, args: &[&str]) -> Output {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.of(part), env!("CARGO_BIN_EXE_socketserver"), "probe", "--json"]);
        Running::start(command.args(args)).output()
    }

    /// What the client finds out, and with what status.
    #[track_caller]
    fn probe(&self, args: &[&str]) -> (Option<i32>, Vec<Found>) {
        let Output { status, stdout, stderr } = self.probe_in(CLIENT, args);
        assert_eq!(stderr, "");
        let lines = String::from_utf8(stdout).unwrap();
        (status, lines.lines().map(|line| Found(serde_json::from_str(line).unwrap())).collect())
    }

    fn listen(&self, at: &str) -> TcpListener {
        self.inside(SERVER, || TcpListener::bind(at)).unwrap()
    }

    fn packets(&self, at: &str) -> UdpSocket {
        let socket = self.inside(SERVER, || UdpSocket::bind(at)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for part in [CLIENT, ROUTER, SERVER] {
            let _ = self.ip(&format!("netns delete {}", self.of(part)));
        }
    }
}

/// A line of what was printed.
#[derive(Debug)]
struct Found(Value);

impl Found {
    /// That it is of this target, in this state, and for this reason.
    #[track_caller]
    fn is(&self, target: &str, state: &str, evidence: &str) {
        let Self(object) = self;
        let expected = (Some(target), Some(state), Some(evidence));
        assert_eq!((object["target"].as_str(), object["state"].as_str(), object["evidence"].as_str()), expected);
        assert_eq!(object["proto"], target[..3]);
        // Whoever said nothing took no time for it.
        assert_eq!(object["rtt_ms"].is_null(), evidence.starts_with("silence"), "{object}");
    }

    fn tries(&self) -> u64 {
        self.0["tries"].as_u64().unwrap()
    }
}

/// Answers the first packet from that socket, if one is given, and otherwise from where it was sent to.
fn answer(socket: UdpSocket, from: Option<UdpSocket>) {
    std::thread::spawn(move || {
        let (_, peer) = socket.recv_from(&mut [0; 100]).unwrap();
        from.as_ref().unwrap_or(&socket).send_to(b"here", peer).unwrap();
        // It stays, and says no more.
        while socket.recv_from(&mut [0; 100]).is_ok() {}
    });
}

#[test]
fn open_closed_and_silent() {
    let Some(network) = Network::new() else { return };
    for (host, other) in SERVERS.into_iter().zip(["10.9.2.3:7", "[fd09:2::3]:7"]) {
        let ip = host.trim_matches(['[', ']']);
        let _listener = network.listen(&format!("{host}:80"));
        let _silent = network.packets(&format!("{host}:9"));
        answer(network.packets(&format!("{host}:7")), None);
        answer(network.packets(&format!("{host}:8")), Some(network.packets(other)));
        let icmp =
            if ip == host { "ICMP port unreachable, type 3 code 3" } else { "ICMPv6 port unreachable, type 1 code 4" };
        let closed = format!("{icmp}, from {ip} itself");
        let elsewhere = format!("silence, but a packet came from {other}");

        // Each with its own status.
        for (target, state, evidence, status) in [
            (format!("tcp://{host}:80"), "open", "connected", 0),
            (format!("tcp://{host}:81"), "closed", "refused by a reset", 1),
            (format!("udp://{host}:7"), "open", "reply of 4 bytes", 0),
            (format!("udp://{host}:81"), "closed", &*closed, 1),
            (format!("udp://{host}:9"), "open|filtered", "silence", 3),
            (format!("udp://{host}:8"), "open|filtered", &*elsewhere, 3),
        ] {
            let (got, found) = network.probe(&[&target]);
            found[0].is(&target, state, evidence);
            assert_eq!((got, found.len(), found[0].tries()), (Some(status), 1, if status == 3 { 3 } else { 1 }));
        }
    }
}

#[test]
fn what_routers_and_neighbours_say() {
    let Some(network) = Network::new() else { return };
    let mut expected = Vec::new();
    for proto in ["tcp", "udp"] {
        let mut case = |host: &str, state, evidence: &str| {
            expected.push((format!("{proto}://{host}:80"), state, evidence.to_owned()));
        };
        let (from_v4, from_v6) = ("from 10.9.1.1 on the way", "from fd09:1::1 on the way");
        case("10.9.10.1", "filtered", &format!("ICMP communication prohibited, type 3 code 13, {from_v4}"));
        case("[fd09:10::1]", "filtered", &format!("ICMPv6 communication prohibited, type 1 code 1, {from_v6}"));
        case("10.9.12.1", "filtered", &format!("ICMP host unreachable, type 3 code 1, {from_v4}"));
        case("[fd09:12::1]", "filtered", &format!("ICMPv6 no route, type 1 code 0, {from_v6}"));
        // The black hole.
        let silent = if proto == "tcp" { "filtered" } else { "open|filtered" };
        case("10.9.11.1", silent, "silence");
        case("[fd09:11::1]", silent, "silence");
        // No neighbour has the address: this machine finds that out by itself.
        case("10.9.1.77", "filtered", "ICMP host unreachable, type 3 code 1, from 10.9.1.2, this machine");
        case("[fd09:1::77]", "filtered", "ICMPv6 host unreachable, type 1 code 3, from fd09:1::2, this machine");
    }
    let targets: Vec<_> = expected.iter().map(|(target, ..)| &**target).collect();
    let (status, found) = network.probe(&targets);
    assert_eq!((status, found.len()), (Some(3), expected.len()));
    for (found, (target, state, evidence)) in found.iter().zip(&expected) {
        found.is(target, state, evidence);
    }
    // Over TCP nothing is undetermined.
    assert_eq!(network.probe(&targets[..8]).0, Some(1));
    // Where there is no route nothing is sent.
    for target in ["udp://203.0.113.1:9", "203.0.113.1:9", "udp://[2001:db8::1]:9", "[2001:db8::1]:9"] {
        network.probe_in(ROUTER, &[target]).failed(2, &["cannot probe", "unreachable"]);
    }
}

#[test]
fn closed_ports_are_found_beyond_the_limit_on_icmp() {
    let Some(network) = Network::new() else { return };
    // What is usual.
    network.limit_icmp(SERVER, 1000).unwrap();
    network.limit_icmp(ROUTER, 1000).unwrap();
    let _silent = SERVERS.map(|host| network.packets(&format!("{host}:103")));
    let targets = SERVERS.map(|host| format!("udp://{host}:100-119"));
    let (status, found) = network.probe(&[&targets[0], &targets[1], "udp://10.9.10.1:1-6"]);
    assert_eq!((status, found.len()), (Some(3), 46));
    for (at, found) in found.iter().enumerate() {
        let state = match at {
            3 | 23 => "open|filtered",
            0..40 => "closed",
            // Those for which the router speaks.
            _ => "filtered",
        };
        assert_eq!(found.0["state"], state, "{found:?}");
    }
    // Some were as silent as the one that is open, until they were asked again.
    assert!(found.iter().any(|found| found.0["state"] == "closed" && found.tries() == 4), "there is no limit here");
    assert!(found.iter().all(|found| found.tries() <= 4), "{found:?}");
}

#[test]
fn a_probe_that_meets_itself_finds_nobody_and_leaves_the_port_free() {
    let Some(network) = Network::new() else { return };
    // There is but one port that the system can pick for the probe: the one that it asks.
    network.set(CLIENT, "ipv4/ip_local_port_range", "40000 40000").unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let targets = [format!("tcp://{host}:40000"), format!("udp://{host}:40000")];
        let (status, found) = network.probe(&[&targets[0], &targets[1]]);
        assert_eq!(status, Some(1));
        for (found, target) in found.iter().zip(&targets) {
            assert_eq!((&found.0["target"], &found.0["state"]), (&(&**target).into(), &"closed".into()), "{found:?}");
            assert_eq!(found.0["evidence"], "connected to itself: the port was free");
        }
        // No option that would let it share the port with what is left of a connection.
        let bound = network.inside(CLIENT, || {
            let family = if host.starts_with('[') { AddressFamily::INET6 } else { AddressFamily::INET };
            let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
            rustix::net::bind(&socket, &format!("{host}:40000").parse::<SocketAddr>().unwrap())
        });
        bound.unwrap();
    }
}

#[test]
fn port_unreachable_from_a_filter_on_the_way_does_not_mean_closed() {
    let Some(network) = Network::new() else { return };
    for host in SERVERS {
        // Whoever is there says nothing. The router says that nobody is, as a filter does.
        let silent = network.packets(&format!("{host}:9"));
        let v6 = silent.local_addr().unwrap().is_ipv6();
        let (family, icmp) = match v6 {
            true => (AddressFamily::INET6, ipproto::ICMPV6),
            false => (AddressFamily::INET, ipproto::ICMP),
        };
        let raw = |protocol| rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol));
        let seen = network.inside(SERVER, || raw(ipproto::UDP)).unwrap();
        let says = network.inside(ROUTER, || raw(icmp)).unwrap();
        rustix::net::sockopt::set_socket_timeout(&seen, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE)).unwrap();
        let filter = std::thread::spawn(move || reject(&seen, &says, silent.local_addr().unwrap().ip()));
        let target = format!("udp://{host}:9");
        let (status, found) = network.probe(&[&target]);
        filter.join().unwrap();
        let evidence = match v6 {
            true => "ICMPv6 port unreachable, type 1 code 4, from fd09:1::1 on the way",
            false => "ICMP port unreachable, type 3 code 3, from 10.9.1.1 on the way",
        };
        found[0].is(&target, "filtered", evidence);
        assert_eq!(status, Some(1));
    }
}

/// Says of the first packet that is seen that its port is unreachable.
fn reject(seen: &OwnedFd, says: &OwnedFd, target: IpAddr) {
    let mut packet = [0; 100];
    let (len, _, from) = rustix::net::recvfrom(seen, &mut packet[..], RecvFlags::empty()).unwrap();
    let from = SocketAddr::try_from(from.unwrap()).unwrap().ip();
    let mut message = Vec::new();
    match (from, target) {
        (IpAddr::V6(from), IpAddr::V6(target)) => {
            message.extend([1, 4, 0, 0, 0, 0, 0, 0]);
            message.extend(v6_header(from, target, u16::try_from(len).unwrap()));
            // Such a socket shows what stands behind the header of IPv6. The checksum is the system's business.
            message.extend(&packet[..8]);
        }
        _ => {
            message.extend([3, 3, 0, 0, 0, 0, 0, 0]);
            message.extend(&packet[..28]);
            let sum: u32 = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or_default();
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
    }
    let to = SocketAddrAny::from(SocketAddr::new(from, 0));
    rustix::net::sendto(says, &message, SendFlags::empty(), &to).unwrap();
}

/// The header of a packet of UDP (RFC 8200, section 3).
fn v6_header(from: Ipv6Addr, to: Ipv6Addr, len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, 17, 64], &from.octets()[..], &to.octets()[..]].concat()
}
