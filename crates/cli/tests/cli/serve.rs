//! What the four handlers do, on every model and carrier.

use crate::harness::{MODELS, Place, Served};
use socketserver_testkit::Python;
use std::net::TcpListener;

/// Runs a test for each model, over TCP and over a Unix socket; each server then stops with nothing left behind.
#[track_caller]
fn everywhere(what: &str, test: impl Fn(&Served)) {
    for model in MODELS {
        let place = Place::new();
        for address in ["tcp://127.0.0.1:0", &place.address()] {
            let served = Served::start(&[what, address, "--model", model]);
            test(&served);
            let ended = served.stop();
            assert_eq!(ended.status, Some(0), "{model} {address} {:#?}", ended.lines);
            assert!(!place.path().exists());
        }
    }
}

#[test]
fn upper_answers_ascii_in_upper_case_and_leaves_every_other_byte_alone() {
    let Some(python) = Python::find() else { return };
    everywhere("upper", |served| {
        let program = "
text = '你好abc'.encode()
with connect() as s:
    s.sendall(text)
    assert exactly(s, len(text)).decode() == '你好ABC'
    # In the middle of a character, and the first part comes back alone.
    s.sendall(text[:4])
    assert exactly(s, 4) == text[:4]
    s.sendall(text[4:])
    assert (text[:4] + exactly(s, len(text) - 4)).decode() == '你好ABC'
    s.shutdown(socket.SHUT_WR)
    assert everything(s) == b''
";
        python.client(served.address(), program);
    });
}

#[test]
fn echo_answers_every_byte_as_it_came() {
    let Some(python) = Python::find() else { return };
    everywhere("echo", |served| {
        let program = "
data = bytes(range(256)) * 40
with connect() as s:
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    assert everything(s) == data
";
        python.client(served.address(), program);
    });
}

#[test]
fn hello_sends_hello_world_reads_once_and_closes() {
    let Some(python) = Python::find() else { return };
    everywhere("hello", |served| {
        let program = "
with connect() as s:
    assert exactly(s, 11) == b'hello world'
    s.sendall(b'thanks')
    # Nothing is added.
    assert everything(s) == b''
";
        python.client(served.address(), program);
        let line = served.line("close ");
        assert!(line.contains(" read=6 written=11 ") && line.ends_with(" reason=finished"), "{line}");
    });
}

#[test]
fn discard_reads_and_drops() {
    let Some(python) = Python::find() else { return };
    everywhere("discard", |served| {
        let program = "
with connect() as s:
    s.sendall(b'x' * 1_000_000)
    s.shutdown(socket.SHUT_WR)
    assert everything(s) == b''
";
        python.client(served.address(), program);
        let line = served.line("close ");
        assert!(line.contains(" read=1000000 written=0 ") && line.ends_with(" reason=finished"), "{line}");
    });
}

#[test]
fn each_of_several_addresses_is_named_with_its_real_port_and_served() {
    let Some(python) = Python::find() else { return };
    let place = Place::new();
    let unix = place.address();
    let command = crate::harness::command(&["serve", "echo", "tcp://127.0.0.1:0", ":0", &unix]);
    let served = Served::listening(command, 3);
    let [first, second, third] = served.addresses() else { panic!("{:?}", served.addresses()) };
    assert!(first != second && *third == unix, "{:?}", served.addresses());
    for address in [first, second, third] {
        assert!(!address.ends_with(":0"), "{address}");
        says_ping(&python, address);
    }
    assert_eq!(served.stop().lines("listening on ").len(), 3);
}

#[test]
fn a_port_alone_is_this_machine_and_a_star_is_every_address() {
    let Some(python) = Python::find() else { return };
    let served = Served::start(&["echo", ":0"]);
    assert!(served.address().starts_with("tcp://127.0.0.1:"), "{}", served.address());
    says_ping(&python, served.address());

    let served = Served::start(&["echo", "*:0"]);
    let port = served.address().strip_prefix("tcp://*:").unwrap();
    says_ping(&python, &format!("tcp://127.0.0.1:{port}"));
    // Not `::ffff:127.0.0.1`.
    let line = served.line("open ");
    assert!(line.contains(" peer=127.0.0.1:"), "{line}");
    if has_ipv6() {
        says_ping(&python, &format!("tcp://[::1]:{port}"));
        let line = served.line("open ");
        assert!(line.contains(" peer=[::1]:"), "{line}");
    }
}

#[test]
fn an_ipv6_address_is_served() {
    let Some(python) = Python::find() else { return };
    if !has_ipv6() {
        return;
    }
    let served = Served::start(&["echo", "[::1]:0"]);
    assert!(served.address().starts_with("tcp://[::1]:"), "{}", served.address());
    says_ping(&python, served.address());
}

fn says_ping(python: &Python, address: &str) {
    python.client(address, "s = connect(); s.sendall(b'ping'); assert exactly(s, 4) == b'ping'");
}

fn has_ipv6() -> bool {
    let there = TcpListener::bind("[::1]:0").is_ok();
    if !there {
        eprintln!("skipped: this machine has no IPv6");
    }
    there
}

/// A client as people write it, that knows nothing of this project.
#[test]
fn the_upper_case_echo_of_a_beginners_course() {
    let Some(python) = Python::find() else { return };
    let served = Served::start(&["upper", ":0"]);
    let program = "
import sys
from socket import *
host, port = sys.argv[1].removeprefix('tcp://').split(':')
client = socket(AF_INET, SOCK_STREAM)
client.settimeout(30)
client.connect((host, int(port)))
for message in ['hello', 'World', '你好abc', 'x' * 1000]:
    client.send(message.encode('utf-8'))
    data = client.recv(1024)
    print(data.decode('utf-8'))
client.close()
";
    let answers = python.program(program, &[served.address()]);
    assert_eq!(answers, format!("HELLO\nWORLD\n你好ABC\n{}\n", "X".repeat(1000)));
    assert_eq!(served.stop().status, Some(0));
}

/// As above.
#[test]
fn the_hello_then_close_of_a_beginners_course() {
    let Some(python) = Python::find() else { return };
    let served = Served::start(&["hello", ":0"]);
    let program = "
import sys
from socket import *
host, port = sys.argv[1].removeprefix('tcp://').split(':')
for turn in range(3):
    client = socket(AF_INET, SOCK_STREAM)
    client.settimeout(30)
    client.connect((host, int(port)))
    print(client.recv(1024).decode())
    client.send(b'bye')
    assert client.recv(1024) == b''
    client.close()
";
    assert_eq!(python.program(program, &[served.address()]), "hello world\n".repeat(3));
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn a_listener_of_the_parent_is_served() {
    let Some(python) = Python::find() else { return };
    for model in MODELS {
        let program = "
import os, signal, socket, subprocess, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
os.dup2(listener.fileno(), 3)
host, port = listener.getsockname()
server = subprocess.Popen(sys.argv[1:], pass_fds=[3], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
try:
    with socket.create_connection((host, port), timeout=30) as client:
        client.sendall(b'abc')
        assert client.recv(100) == b'ABC'
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=30)
finally:
    server.kill()
assert server.returncode == 0, (server.returncode, said)
assert said.decode().splitlines()[0] == f'listening on tcp://{host}:{port}', said
";
        python.program(program, &[env!("CARGO_BIN_EXE_socketserver"), "serve", "upper", "fd:3", "--model", model]);
    }
}
