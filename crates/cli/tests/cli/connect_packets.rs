//! `connect` to those who take packets: a line, a packet; a packet, a line.

use crate::harness::{Place, Running, Served, command, kill, run};
use rustix::process::Signal;
use socketserver_testkit::Python;
use std::net::UdpSocket;

/// An address at which nobody is, for as long as the socket lives: connected elsewhere, it hears nobody else.
fn nobody() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    socket.connect(addr).unwrap();
    (socket, addr.to_string())
}

#[test]
fn each_line_is_a_packet_and_each_reply_a_line() {
    let place = Place::new();
    let file = format!("unixgram:{}", place.path().display());
    let name = format!("unixgram:@socketserver-connect-{}", std::process::id());
    for address in ["udp://127.0.0.1:0", "udp://[::1]:0", &file, &name] {
        let served = Served::start(&["upper", address]);
        let mut connect = Running::start(&mut command(&["connect", served.address(), "--wait", "0"]));
        // Typed one by one, and in a heap; an empty one; one with a carriage return, which belongs to it.
        for (input, output) in
            [("one\n", "ONE\n"), ("two\n\nthree\n", "TWO\n\nTHREE\n"), ("你好abc\r\n", "你好ABC\r\n")]
        {
            connect.give(input.as_bytes());
            connect.prints(output);
        }
        connect.output().is("");
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn replies_are_waited_for_after_the_end_of_input() {
    let hello = Served::start(&["hello", "udp://127.0.0.1:0"]);
    run(&["connect", hello.address(), "--wait", "3s"], b"\nwho are you?\n").is("hello client\nhello client\n");
    let upper = Served::start(&["upper", "udp://127.0.0.1:0"]);
    // The largest, and a last line that does not end.
    let input = [&vec![b'x'; 65_507], &b"\nlast"[..]].concat();
    let output = [&input.to_ascii_uppercase(), &b"\n"[..]].concat();
    run(&["connect", upper.address(), "--wait", "3s"], &input).is(output);
}

#[test]
fn who_sent_nothing_waits_for_nothing() {
    let served = Served::start(&["echo", "udp://127.0.0.1:0"]);
    run(&["connect", served.address(), "--wait", "off"], b"").is("");
}

#[test]
fn nobody_there_is_status_1() {
    let (_port, addr) = nobody();
    let address = format!("udp://{addr}");
    let words = [&*addr, "port unreachable", "ICMP type 3 code 3 from 127.0.0.1"];
    run(&["connect", &address], b"anybody there?\n").failed(1, &words);
    // Though input stays open, and other lines follow.
    let mut connect = Running::start(&mut command(&["connect", &address, "--wait", "off"]));
    connect.give(b"anybody\nthere?\n");
    connect.output_with_open_input().failed(1, &words);

    let place = Place::new();
    let address = format!("unixgram:{}", place.path().display());
    run(&["connect", &address], b"anybody there?\n").failed(1, &[&address]);
}

#[test]
fn a_server_that_went_away_is_status_1() {
    let place = Place::new();
    for address in ["udp://127.0.0.1:0", &format!("unixgram:{}", place.path().display())] {
        let served = Served::start(&["upper", address]);
        let mut connect = Running::start(&mut command(&["connect", served.address()]));
        connect.give(b"one\n");
        connect.prints("ONE\n");
        assert_eq!(served.stop().status, Some(0));
        connect.give(b"two\n");
        connect.output_with_open_input().failed(1, &[]);
    }
}

#[test]
fn a_line_that_fits_into_no_packet_is_status_2() {
    let served = Served::start(&["upper", "udp://127.0.0.1:0"]);
    let mut connect = Running::start(&mut command(&["connect", served.address(), "--wait", "0"]));
    connect.give(b"one\n");
    connect.prints("ONE\n");
    connect.give(&vec![b'x'; 65_508]);
    // It needs no more to know.
    connect.output_with_open_input().failed(2, &["line 2 is too long", "65507"]);
}

#[test]
fn what_makes_no_sense_is_status_2() {
    run(&["connect", ":80", "--wait", "1s"], b"").failed(2, &["`--wait`", "udp://"]);
    run(&["connect", "udp://:80", "--wait", "soon"], b"").failed(2, &["`soon`", "`off`"]);
    run(&["connect", "udp://:0"], b"").failed(2, &["`udp://127.0.0.1:0`", "port 0"]);
    run(&["connect", "udp://"], b"").failed(2, &["udp://"]);
}

#[test]
fn nobody_who_reads_standard_output_is_status_2() {
    let served = Served::start(&["hello", "udp://127.0.0.1:0"]);
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut connect = command(&["connect", served.address(), "--wait", "off"]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"hello\n").unwrap();
    drop(writer);
    let output = connect.stdin(reader).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{output:?}");
}

#[test]
fn an_interrupt_ends_it() {
    let served = Served::start(&["upper", "udp://127.0.0.1:0"]);
    let mut connect = Running::start(&mut command(&["connect", served.address(), "--wait", "off"]));
    connect.give(b"one\n");
    connect.prints("ONE\n");
    kill(connect.pid(), Signal::INT);
    assert_eq!(connect.output_with_open_input().status, None);
}

#[test]
fn a_plain_server_gets_the_packets_and_answers_as_it_likes() {
    let Some(python) = Python::find() else { return };
    let program = "
import os, socket, subprocess, sys, tempfile

def ask(server, address):
    server.settimeout(30)
    command = [sys.argv[1], 'connect', address, '--wait', '0']
    connect = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        def say(line):
            connect.stdin.write(line)
            connect.stdin.flush()
        say(b'hello\\n\\n')
        packet, client = server.recvfrom(70000)
        assert packet == b'hello', packet
        assert server.recvfrom(70000) == (b'', client)
        # Several to one, and none to the next.
        for reply in [b'one', b'', b't\\0wo\\n']:
            server.sendto(reply, client)
        expected = b'one\\n\\nt\\0wo\\n\\n'
        assert connect.stdout.read(len(expected)) == expected
        # Whoever was not asked is not heard.
        stranger = socket.socket(server.family, socket.SOCK_DGRAM)
        try:
            stranger.sendto(b'psst', client)
        except PermissionError:
            assert server.family == socket.AF_UNIX
        say(b'last\\n')
        assert server.recvfrom(70000) == (b'last', client)
        server.sendto(b'bye', client)
        assert connect.stdout.read(4) == b'bye\\n'
        connect.stdin.close()
        assert connect.stdout.read() == b''
        assert connect.wait(30) == 0
    finally:
        connect.kill()

for family, host in [(socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')]:
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((host, 0))
    shown = host if family == socket.AF_INET else f'[{host}]'
    ask(server, f'udp://{shown}:{server.getsockname()[1]}')
with tempfile.TemporaryDirectory() as directory:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(directory + '/s')
    ask(server, f'unixgram:{directory}/s')
";
    python.program(program, &[env!("CARGO_BIN_EXE_socketserver")]);
}
