//! Packets, on every model, with clients that people write.

use crate::harness::{LONG, MODELS, Place, Served, command};
use rustix::process::Signal;
use socketserver_testkit::{Caller, Client, Python};

const CLIENT: &str = "
import os, socket, sys, tempfile
socket.setdefaulttimeout(30)

def client(address):
    if address.startswith('unixgram:'):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(tempfile.mktemp())
        s.connect(address.removeprefix('unixgram:'))
        return s
    host, port = address.removeprefix('udp://').rsplit(':', 1)
    s = socket.socket(socket.AF_INET6 if '[' in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host.strip('[]'), int(port)))
    return s

def ask(s, packet):
    s.send(packet)
    return s.recv(65535)
";

fn program(python: &Python, addresses: &[String], program: &str) -> String {
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    python.program(&format!("{CLIENT}{program}"), &addresses)
}

#[test]
fn both_kinds_of_address_answer_and_one_drain_ends_both() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let args = ["serve", "upper", "tcp://127.0.0.1:0", "udp://127.0.0.1:0", "--model", model];
        let served = Served::listening(command(&args), 2);
        program(
            &python,
            served.addresses(),
            "
host, port = sys.argv[1].removeprefix('tcp://').rsplit(':', 1)
udp = client(sys.argv[2])
assert ask(udp, '你好abc'.encode()).decode() == '你好ABC'
with socket.create_connection((host, int(port))) as tcp:
    tcp.sendall(b'stream')
    assert tcp.recv(100) == b'STREAM'
assert ask(udp, b'again') == b'AGAIN'
assert ask(udp, b'') == b''
",
        );
        let ended = served.stop();
        assert_eq!(ended.status, Some(0), "{model}: {:#?}", ended.lines);
        assert_eq!(ended.line("stopped "), "stopped served=1 cut=0");
    }
}

/// Beside connections that are open when it begins, over each kind of address.
#[test]
fn a_drain_ends_connections_and_packets_on_each_model() {
    for model in ["serial", "threads", "forks", "tasks=1", "tasks=2"] {
        let (streams, packets) = (Place::new(), Place::new());
        let unixgram = format!("unixgram:{}", packets.path().display());
        let addresses = ["tcp://127.0.0.1:0", &streams.address(), "udp://127.0.0.1:0", &unixgram];
        let served = Served::listening(
            command(&[&["serve", "upper"], &addresses[..], &["--model", model, "--drain", LONG]].concat()),
            4,
        );
        let endpoints: Vec<_> = served.addresses().iter().map(|address| address.parse().unwrap()).collect();
        let callers: Vec<_> = endpoints[2..].iter().map(|endpoint| Caller::of(endpoint).unwrap()).collect();
        for caller in &callers {
            assert_eq!(caller.ask("a packet"), b"A PACKET", "{model}");
        }
        // One at a time is all that some have.
        let count = if model == "serial" { 1 } else { 2 };
        let mut clients: Vec<_> =
            endpoints[..count].iter().map(|endpoint| Client::connect(endpoint).unwrap()).collect();
        for client in &mut clients {
            client.say("a line");
            client.expect("A LINE");
        }
        served.signal(Signal::TERM);
        clients.iter_mut().for_each(Client::expect_end);
        let ended = served.wait();
        assert_eq!(ended.status, Some(0), "{model}: {:#?}", ended.lines);
        assert_eq!(ended.line("stopped "), format!("stopped served={count} cut=0"));
        assert!(!streams.path().exists() && !packets.path().exists());
    }
}

#[test]
fn each_built_in_handler_says_what_it_says() {
    let Some(python) = Python::find() else { return };
    for (what, packet, reply) in [("echo", "a\\0b", "a\\0b"), ("upper", "ab", "AB"), ("hello", "", "hello client")] {
        for model in MODELS {
            let place = Place::new();
            let unix = format!("unixgram:{}", place.path().display());
            let served = Served::listening(command(&["serve", what, "udp://:0", &unix, "--model", model]), 2);
            let asked = format!(
                "
for address in sys.argv[1:]:
    for _ in range(3):
        assert ask(client(address), b'{packet}') == b'{reply}', address
"
            );
            program(&python, served.addresses(), &asked);
            let ended = served.stop();
            assert_eq!(ended.status, Some(0), "{what} {model}: {:#?}", ended.lines);
            assert!(!place.path().exists());
        }
    }
}

#[test]
fn packets_are_counted() {
    let Some(python) = Python::find() else { return };
    let served = Served::start(&["echo", "udp://127.0.0.1:0"]);
    program(&python, served.addresses(), "s = client(sys.argv[1])\nfor _ in range(5): ask(s, b'x')");
    served.signal(Signal::USR1);
    let line = served.line("totals ");
    assert!(line.contains(" packets=5 replies=5 "), "{line}");
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn who_has_left_is_named_and_the_others_are_answered() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let served = Served::start(&["echo", "udp://127.0.0.1:0", "--model", model]);
        // It talks to one and hears another alone: to the server it is as if it had gone, and nobody gets its port meanwhile.
        let told = program(
            &python,
            served.addresses(),
            "
gone, other = client('udp://127.0.0.1:9'), client(sys.argv[1])
gone.sendto(b'x', other.getpeername())
for _ in range(5): assert ask(other, b'x') == b'x'
print(*gone.getsockname(), sep=':', end='')
",
        );
        let line = served.line("undelivered ");
        let expected = format!(
            "undelivered peer={told} endpoint={} by=127.0.0.1 error=\"Connection refused (os error 111)\"",
            served.address()
        );
        assert_eq!(line, expected, "{model}");
        assert_eq!(served.stop().status, Some(0));
    }
}

/// So many of the totals.
fn total(served: &Served, name: &str) -> u64 {
    served.signal(Signal::USR1);
    let line = served.line("totals ");
    let value = line.split(' ').find_map(|field| field.strip_prefix(&format!("{name}=")));
    value.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
}

#[track_caller]
fn until_total(served: &Served, name: &str, expected: u64) {
    let give_up = std::time::Instant::now() + socketserver_testkit::PATIENCE;
    while total(served, name) != expected {
        assert!(std::time::Instant::now() < give_up, "{name} is never {expected}");
    }
}

#[test]
fn a_peer_is_answered_no_more_often_than_the_rate_says() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let served = Served::start(&["echo", "udp://127.0.0.1:0", "--model", model, "--packet-rate", "1/h"]);
        let asked = "
s = client(sys.argv[1])
assert ask(s, b'once') == b'once'
for _ in range(5): s.send(b'again')
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.bind(('127.0.0.2', 0))
other.connect(s.getpeername())
assert ask(other, b'me too') == b'me too'
";
        program(&python, served.addresses(), asked);
        until_total(&served, "over-rate", 5);
        until_total(&served, "replies", 2);
        assert_eq!(served.stop().status, Some(0), "{model}");
    }
}

#[test]
fn a_first_packet_is_answered_with_little_beyond_this_machine() {
    let Some(python) = Python::find() else { return };
    let first = "s = client(sys.argv[1])\ns.send(b'hi')\nprint(s.getsockname()[1], end='')";
    for model in MODELS {
        // It says `hello client`: six times as much.
        let served = Served::start(&["hello", "udp://*:0", "--model", model]);
        let address = served.address().replace('*', "127.0.0.1");
        let port = program(&python, std::slice::from_ref(&address), first);
        until_total(&served, "withheld", 1);
        let second = format!(
            "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', {port}))
s.connect(('127.0.0.1', {}))
assert ask(s, b'hi') == b'hello client'
",
            address.rsplit(':').next().unwrap()
        );
        program(&python, &[], &second);
        assert_eq!(served.stop().status, Some(0), "{model}");
        let off = Served::start(&["hello", "udp://*:0", "--model", model, "--max-amplification", "off"]);
        let address = off.address().replace('*', "127.0.0.1");
        program(&python, &[address], "assert ask(client(sys.argv[1]), b'hi') == b'hello client'");
    }
}

#[test]
fn an_inherited_socket_of_udp_is_served_and_minded_by_where_it_is_bound() {
    let Some(python) = Python::find() else { return };
    let program = "
import os, socket, subprocess, sys
for bound, withheld in [('127.0.0.1', 0), ('0.0.0.0', 1)]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((bound, 0))
    os.dup2(udp.fileno(), 3)
    command = [sys.argv[1], 'serve', 'hello', 'fd:3']
    server = subprocess.Popen(command, pass_fds=[3], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr.readline().startswith('listening on ')
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(30)
        client.connect(('127.0.0.1', udp.getsockname()[1]))
        for _ in range(1 + withheld):
            client.send(b'hi')
        assert client.recv(100) == b'hello client'
        server.send_signal(10)
        assert f' withheld={withheld} ' in server.stderr.readline()
        server.terminate()
        assert server.wait(30) == 0
    finally:
        server.kill()
";
    python.program(program, &[env!("CARGO_BIN_EXE_socketserver")]);
}
