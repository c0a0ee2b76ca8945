//! Packets, on every model, with clients that people write.

use crate::harness::{MODELS, Place, Served, command};
use socketserver_testkit::Python;

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
    served.signal(rustix::process::Signal::USR1);
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

#[test]
fn udp_beyond_this_machine_is_refused_before_anything_is_bound() {
    for address in ["udp://*:0", "udp://0.0.0.0:0"] {
        let output = crate::harness::run(&["serve", "echo", address], b"");
        assert_eq!(output.status, Some(2));
        assert!(output.stderr.contains(address) && output.stderr.contains("loopback"), "{}", output.stderr);
    }
}

#[test]
fn an_inherited_socket_of_udp_is_served_on_this_machine_alone() {
    let Some(python) = Python::find() else { return };
    let program = "
import os, socket, subprocess, sys
for bound, served in [('127.0.0.1', True), ('0.0.0.0', False)]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((bound, 0))
    os.dup2(udp.fileno(), 3)
    command = [sys.argv[1], 'serve', 'upper', 'fd:3']
    server = subprocess.Popen(command, pass_fds=[3], stderr=subprocess.PIPE, text=True)
    try:
        line = server.stderr.readline()
        if served:
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(30)
            client.sendto(b'hello', udp.getsockname())
            assert client.recv(100) == b'HELLO'
            server.terminate()
        else:
            assert 'the loopback alone' in line, line
        assert server.wait(30) == (0 if served else 2), line
    finally:
        server.kill()
";
    python.program(program, &[env!("CARGO_BIN_EXE_socketserver")]);
}
