//! `probe` on the loopback: verdicts on standard output, all else on standard error, and what the status says.

use crate::harness::{Output, Running, accept, after, bound, command, run};
use rustix::process::Signal;
use serde_json::Value;
use socketserver_testkit::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Runs `probe` with these arguments.
fn probe(args: &[&str]) -> Output {
    run(&[&["probe"], args].concat(), b"")
}

/// What it printed, a line a target, with this status and nothing on standard error.
#[track_caller]
fn lines(output: &Output, status: i32) -> Vec<String> {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!((output.status, &*output.stderr), (Some(status), ""), "{stdout}");
    stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn objects(output: &Output, status: i32) -> Vec<Value> {
    lines(output, status).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, address)
}

fn packets(at: &str) -> (UdpSocket, String) {
    let socket = UdpSocket::bind(at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    (socket, address)
}

/// An address of UDP where nobody is, until what comes with it goes.
fn nobody() -> (impl Drop, String) {
    // Whoever is connected elsewhere is nobody to all others.
    let (socket, address) = packets("127.0.0.1:0");
    socket.connect(socket.local_addr().unwrap()).unwrap();
    struct Kept(#[expect(dead_code, reason = "it keeps the port")] UdpSocket);
    impl Drop for Kept {
        fn drop(&mut self) {}
    }
    (Kept(socket), address)
}

/// Answers so many packets with these bytes, and gives what came.
fn answering(socket: UdpSocket, count: usize, reply: &'static [u8]) -> std::thread::JoinHandle<Vec<Vec<u8>>> {
    std::thread::spawn(move || {
        let packet = |_| {
            let mut packet = [0; 65_535];
            let (len, from) = socket.recv_from(&mut packet).unwrap();
            socket.send_to(reply, from).unwrap();
            packet[..len].to_vec()
        };
        (0..count).map(packet).collect()
    })
}

#[test]
fn who_is_there_is_open() {
    let (_listener, tcp) = listener();
    let (socket, udp) = packets("127.0.0.1:0");
    let answered = answering(socket, 1, b"here");
    let lines = lines(&probe(&[&tcp, &udp]), 0);
    assert!(lines[0].starts_with(&format!("{tcp} open (connected; 1 try, ")), "{lines:?}");
    assert!(lines[1].starts_with(&format!("{udp} open (reply of 4 bytes; 1 try, ")), "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with(" ms)")), "{lines:?}");
    assert_eq!(answered.join().unwrap(), [b""], "a packet is empty unless one says what to send");
}

#[test]
fn a_port_that_nobody_has_is_closed() {
    let (_bound, tcp) = bound();
    let (_nobody, udp) = nobody();
    for address in [&tcp, &udp] {
        let object = &objects(&probe(&["--json", address]), 1)[0];
        let proto = &address[..3];
        let evidence = match proto {
            "tcp" => "refused by a reset",
            _ => "ICMP port unreachable, type 3 code 3, from 127.0.0.1 itself",
        };
        assert_eq!(object["target"], **address);
        assert_eq!((&object["proto"], &object["state"]), (&proto.into(), &"closed".into()));
        assert_eq!((&object["evidence"], &object["tries"]), (&evidence.into(), &1.into()));
        assert!(object["rtt_ms"].is_f64(), "{object}");
        assert_eq!(object.as_object().unwrap().len(), 6, "{object}");
    }
}

#[test]
fn silence_is_no_success() {
    let (socket, udp) = packets("127.0.0.1:0");
    let object = &objects(&probe(&["--json", &udp, "--send", "anybody?"]), 3)[0];
    assert_eq!((&object["state"], &object["evidence"]), (&"open|filtered".into(), &"silence".into()));
    assert_eq!((&object["rtt_ms"], &object["tries"]), (&Value::Null, &3.into()));
    // Three packets from one port, and no more.
    let mut from = Vec::new();
    let mut packet = [0; 100];
    socket.set_nonblocking(true).unwrap();
    while let Ok((len, peer)) = socket.recv_from(&mut packet) {
        assert_eq!(&packet[..len], b"anybody?");
        from.push(peer);
    }
    assert_eq!(from, [from[0]; 3]);
}

#[test]
fn a_packet_from_another_address_proves_nothing_and_is_told() {
    for (at, other) in [("127.0.0.1:0", "127.0.0.2:0"), ("[::1]:0", "127.0.0.1:0")] {
        let (asked, udp) = packets(at);
        let (other, _) = packets(other);
        let from = other.local_addr().unwrap();
        let same_family = from.is_ipv4() == asked.local_addr().unwrap().is_ipv4();
        let answering = std::thread::spawn(move || {
            let (_, peer) = asked.recv_from(&mut [0; 100]).unwrap();
            // Over IPv6 there is but one address of the loopback: from another port of it.
            let socket = if same_family { other } else { UdpSocket::bind("[::1]:0").unwrap() };
            socket.send_to(b"here", peer).unwrap();
            (asked, socket.local_addr().unwrap())
        });
        let lines = lines(&probe(&[&udp]), 3);
        let (_asked, from) = answering.join().unwrap();
        assert_eq!(lines, [format!("{udp} open|filtered (silence, but a packet came from {from}; 3 tries)")]);
    }
}

#[test]
fn the_worst_of_several_is_the_status_and_they_stay_in_order() {
    let (_listener, open) = listener();
    let (_bound, closed) = bound();
    let (_silent, silent) = packets("127.0.0.1:0");
    let states = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(states(&lines(&probe(&[&open, &closed, &open]), 1)), ["open", "closed", "open"]);
    let all = [&*silent, &open, &closed];
    assert_eq!(states(&lines(&probe(&all), 3)), ["open|filtered", "open", "closed"]);
    // A local error outweighs them all, and the others have their verdicts.
    let output = probe(&[&open, "udp://255.255.255.255:9", &silent]);
    assert_eq!(output.status, Some(2));
    assert!(output.stderr.starts_with("socketserver: cannot probe `udp://255.255.255.255:9`: "), "{}", output.stderr);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(states(&stdout.lines().map(str::to_owned).collect::<Vec<_>>()), ["open", "open|filtered"]);
}

#[test]
fn lists_and_ranges_of_ports() {
    // Two ports in a row, both ours: what others have is none of our business.
    let (listener, _bound, port) = (0..1000)
        .find_map(|_| {
            let listener = TcpListener::bind("127.0.0.9:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            Some((listener, TcpListener::bind(("127.0.0.9", port.checked_add(1)?)).ok()?, port))
        })
        .unwrap();
    let next = port + 1;
    let lines = lines(&probe(&[&format!("127.0.0.9:{next},{port}-{port}"), &format!("127.0.0.9:{port}-{next}")]), 0);
    let asked: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(asked, [next, port, port, next].map(|port| format!("tcp://127.0.0.9:{port}")));
    drop(listener);
}

#[test]
fn what_is_to_be_sent_is_sent_exactly_and_the_answer_is_told() {
    let (listener, tcp) = listener();
    for (args, sent) in [(["--send", "你好 \\n"], "你好 \\n".as_bytes()), (["--send-hex", "00 ff0A"], b"\0\xff\n")]
    {
        let (socket, udp) = packets("127.0.0.1:0");
        let answered = answering(socket, 1, b"");
        let probe = Running::start(command(&["probe", &tcp, &udp]).args(args));
        let mut peer = accept(&listener);
        let mut heard = vec![0; sent.len()];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(heard, sent);
        peer.write_all(b"answer").unwrap();
        // Then it is told that nothing more comes.
        assert_eq!(peer.read(&mut heard).unwrap(), 0);
        let lines = lines(&probe.output(), 0);
        assert!(lines[0].contains(" open (reply of 6 bytes; 1 try, "), "{lines:?}");
        // An empty packet is an answer.
        assert!(lines[1].contains(" open (reply of 0 bytes; 1 try, "), "{lines:?}");
        assert_eq!(answered.join().unwrap(), [sent]);
    }
    // Whoever connects is there, whatever comes after.
    let probe = Running::start(&mut command(&["probe", &tcp, "--send", "x"]));
    let mut peer = accept(&listener);
    peer.read_exact(&mut [0]).unwrap();
    drop(peer);
    assert!(lines(&probe.output(), 0)[0].contains(" open (connected, closed without a reply; "));
    let probe = Running::start(&mut command(&["probe", &tcp, "--send", "x"]));
    let peer = accept(&listener);
    assert!(lines(&probe.output(), 0)[0].contains(" open (connected, no reply; "));
    drop(peer);
}

#[test]
fn a_server_sees_an_orderly_end() {
    let (listener, tcp) = listener();
    let probe = Running::start(&mut command(&["probe", &tcp]));
    let mut peer = accept(&listener);
    // What was never read would make a reset of it.
    peer.write_all(&[b'x'; 1000]).unwrap();
    let mut rest = Vec::new();
    assert_eq!(peer.read_to_end(&mut rest).unwrap(), 0);
    peer.write_all(b"bye").unwrap();
    drop(peer);
    assert_eq!(lines(&probe.output(), 0).len(), 1);
}

#[test]
fn it_waits_until_all_are_open() {
    let (bound, tcp) = bound();
    let (socket, udp) = packets("127.0.0.1:0");
    let probe = Running::start(&mut command(&["probe", "--json", "--wait", "30s", &tcp, &udp]));
    // The first is asked first. What it says to the second shows that it was.
    let (_, peer) = socket.recv_from(&mut [0; 100]).unwrap();
    rustix::net::listen(&bound, 10).unwrap();
    socket.send_to(b"late", peer).unwrap();
    let objects = objects(&probe.output(), 0);
    assert!(objects.iter().all(|object| object["state"] == "open"), "{objects:?}");
    assert!(objects[0]["tries"].as_u64() > Some(1), "{objects:?}");
}

#[test]
fn when_the_time_is_up_it_says_what_it_has_seen_last() {
    let (_bound, closed) = bound();
    let (_silent, silent) = packets("127.0.0.1:0");
    let closed = objects(&probe(&["--json", "--wait", "2.5", &closed]), 1);
    assert_eq!((&closed[0]["state"], &closed[0]["evidence"]), (&"closed".into(), &"refused by a reset".into()));
    assert!(closed[0]["tries"].as_u64() > Some(1), "{closed:?}");
    let silent = objects(&probe(&["--json", "--wait", "200ms", &silent]), 3);
    assert_eq!((&silent[0]["state"], &silent[0]["tries"]), (&"open|filtered".into(), &1.into()));
}

#[test]
fn few_descriptors_are_enough() {
    let (_listener, address) = listener();
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let targets = [format!("udp://127.0.0.1:{port},1-300"), format!("127.0.0.1:{port},1-300")];
    let output = after("ulimit -n 12", &["probe", &targets[0], &targets[1]]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!((stdout.lines().count(), &*output.stderr), (602, &b""[..]), "{stdout}");
    assert!(stdout.contains(&format!("{address} open (")), "{stdout}");
}

#[test]
fn what_is_typed_wrong_is_named_with_an_example_of_what_is_right() {
    let refused = |args: &[&str], words: &[&str]| probe(args).failed(2, words);
    refused(&["nowhere"], &["`nowhere`", "no port", "`nowhere:8080`"]);
    refused(&[":0"], &["`0`", "1 to 65535"]);
    refused(&[":90-80"], &["`90-80`", "ends before it begins", "`:80-90`"]);
    refused(&["udp://:53,,54"], &["`53,,54`", "`udp://:53,54`"]);
    refused(&[":80,80"], &["`80`", "twice"]);
    refused(&[":70000"], &["`70000`", "65535"]);
    refused(&["unix:/run/x"], &["`unix`", "only `tcp` and `udp`"]);
    refused(&[":1-65535", ":1"], &["65535 targets"]);
    refused(&[":1", "--wait", "soon"], &["--wait", "`soon`", "`500ms`"]);
    refused(&[":1", "--wait", "0"], &["--wait", "`0`"]);
    refused(&[":1", "--send-hex", "abc"], &["--send-hex", "`abc`", "whole bytes", "`68656c6c6f`"]);
    refused(&[":1", "--send-hex", "xy"], &["--send-hex", "`xy`", "0-9"]);
    refused(&["udp://:1", "--send", &"x".repeat(65_508)], &["65508", "`udp://127.0.0.1:1`", "65507"]);
    // Usage stands under these.
    for args in [&["probe"][..], &["probe", ":1", "--send", "a", "--send-hex", "00"]] {
        let output = run(args, b"");
        assert_eq!((output.status, output.stdout.len()), (Some(2), 0), "{}", output.stderr);
        assert!(output.stderr.contains("Usage: socketserver probe"), "{}", output.stderr);
    }
}

#[test]
fn nobody_who_reads_the_verdicts_is_status_2() {
    let (_listener, address) = listener();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(&["probe", &address]).stdout(writer).spawn().unwrap();
    assert_eq!(crate::harness::status(&mut child), Some(2));
}

#[test]
fn it_ends_at_once_on_ctrl_c() {
    let (socket, udp) = packets("127.0.0.1:0");
    let mut child = command(&["probe", "--wait", "5m", &udp]).spawn().unwrap();
    socket.recv_from(&mut [0; 100]).unwrap();
    crate::harness::kill(child.id(), Signal::INT);
    assert_eq!(crate::harness::status(&mut child), None);
}

#[test]
fn a_name_and_ipv6_and_ipv4_written_as_ipv6() {
    let (_listener, address) = listener();
    let port = address.rsplit_once(':').unwrap().1;
    let on_v6 = TcpListener::bind("[::1]:0").unwrap();
    let SocketAddr::V6(v6) = on_v6.local_addr().unwrap() else { unreachable!() };
    let targets =
        [format!("localhost:{port}"), format!("[::ffff:127.0.0.1]:{port}"), format!("*:{port}"), v6.to_string()];
    let targets: Vec<_> = targets.iter().map(String::as_str).collect();
    let lines = lines(&probe(&targets), 0);
    assert!(lines[0].starts_with(&format!("tcp://localhost:{port} open (")), "{lines:?}");
}
