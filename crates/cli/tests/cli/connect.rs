//! `connect`: payload on standard output, all else on standard error.

use crate::harness::{Running, Served, accept, bound, command, run};
use rustix::process::Signal;
use std::io::{Read, Seek, Write};
use std::net::TcpListener;

/// Somebody who listens, for `connect` to talk to.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, address)
}

#[test]
fn a_million_bytes_go_through_a_server_and_come_back() {
    let place = crate::harness::Place::new();
    for address in [":0", &place.address()] {
        let served = Served::start(&["upper", address]);
        let input: Vec<u8> = "你好abc, some text of a good length\n".bytes().cycle().take(1_000_000).collect();
        run(&["connect", served.address()], &input).is(input.to_ascii_uppercase());
        assert_eq!(served.stop().status, Some(0));
    }
}

#[test]
fn at_the_end_of_input_it_half_closes_and_reads_on_until_the_peer_closes() {
    let (listener, address) = listener();
    let mut connect = Running::start(&mut command(&["connect", &address]));
    let mut peer = accept(&listener);
    connect.give(b"question");
    let asked = std::thread::spawn(move || {
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        // It has said that nothing more comes, and still listens.
        for piece in ["an", "sw", "er"] {
            peer.write_all(piece.as_bytes()).unwrap();
        }
        heard
    });
    connect.output().is("answer");
    assert_eq!(asked.join().unwrap(), b"question");
}

#[test]
fn it_ends_when_the_server_closes_though_input_stays_open() {
    let served = Served::start(&["hello", ":0"]);
    let mut connect = Running::start(&mut command(&["connect", served.address()]));
    connect.give(b"thanks\n");
    connect.output_with_open_input().is("hello world");
}

#[test]
fn nobody_there_is_status_1() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let (_bound, address) = bound();
    run(&["connect", &address], b"abc").failed(1, &[&address, "refused"]);
    let place = crate::harness::Place::new();
    run(&["connect", &place.address()], b"abc").failed(1, &[&place.address()]);
}

#[test]
fn a_bad_address_is_status_2() {
    run(&["connect", "nowhere"], b"").failed(2, &["`nowhere`", "no port"]);
    run(&["connect", "fd:3"], b"").failed(2, &["`fd:3`"]);
    run(&["connect", "wss://:1"], b"").failed(2, &["`wss://127.0.0.1:1/`", "WebSocket", "a browser"]);
}

#[test]
fn a_connection_that_breaks_off_is_status_1() {
    let (listener, address) = listener();
    let mut connect = Running::start(&mut command(&["connect", &address]));
    let mut peer = accept(&listener);
    connect.give(b"question");
    let mut heard = [0; 8];
    peer.read_exact(&mut heard).unwrap();
    rustix::net::sockopt::set_socket_linger(&peer, Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    connect.output_with_open_input().failed(1, &["broke off"]);
}

#[test]
fn a_server_killed_in_the_middle_is_status_1() {
    let served = Served::start(&["discard", ":0"]);
    let mut connect = Running::start(&mut command(&["connect", served.address()]));
    connect.give(b"some");
    served.line("open ");
    // What comes now the server never reads.
    served.signal(Signal::STOP);
    connect.stuff();
    served.signal(Signal::KILL);
    connect.output_with_open_input().failed(1, &["broke off"]);
}

#[test]
fn nobody_who_reads_standard_output_is_status_2() {
    let served = Served::start(&["hello", ":0"]);
    let mut command = command(&["connect", served.address()]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(writer).spawn().unwrap();
    assert_eq!(crate::harness::status(&mut child), Some(2));
}

#[test]
fn a_server_that_closes_before_it_has_taken_everything_is_status_1() {
    let served = Served::start(&["hello", ":0"]);
    // From a file, which always has more: a pipe may have nothing for a moment, and then all was taken that there was.
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(10_000_000).unwrap();
    for _ in 0..10 {
        file.rewind().unwrap();
        let output = command(&["connect", served.address()]).stdin(file.try_clone().unwrap()).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b"hello world"[..]));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("broke off"), "{stderr}");
    }
    // One that has taken everything is not.
    run(&["connect", served.address()], b"hi").is("hello world");
}

#[test]
fn local_failures_are_told_and_status_2() {
    let served = Served::start(&["hello", ":0"]);
    let directory = std::fs::File::open("/").unwrap();
    let mut connect = command(&["connect", served.address()]);
    let output = connect.stdin(directory).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input"), "{output:?}");

    let full = std::fs::File::create("/dev/full").unwrap();
    let mut connect = command(&["connect", served.address()]);
    let output = connect.stdin(std::process::Stdio::null()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{output:?}");
}

#[test]
fn a_line_is_a_message_and_a_message_a_line() {
    let (listener, address) = listener();
    let mut connect = Running::start(&mut command(&["connect", "--framing", "u16be", &address]));
    let mut peer = accept(&listener);
    connect.give("one\n\n你好\nno newline".as_bytes());
    let told = std::thread::spawn(move || {
        // Messages come in whatever pieces.
        for piece in [&b"\0\x03a"[..], b"bc\0\0\0", b"\x02\r\n"] {
            peer.write_all(piece).unwrap();
        }
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        heard
    });
    connect.output().is("abc\n\n\r\n\n");
    assert_eq!(told.join().unwrap(), "\0\u{3}one\0\0\0\u{6}你好\0\u{a}no newline".as_bytes());
}

#[test]
fn framed_input_of_any_size_comes_back_whole() {
    let served = Served::start(&["upper", ":0"]);
    let input: Vec<u8> = (0..20_000).flat_map(|number| format!("message {number}\n").into_bytes()).collect();
    // A server that echoes bytes echoes frames, where the case of their lengths' bytes does not matter.
    for framing in ["u16be", "varint", "delimiter=;", "fixed=1"] {
        let input = if framing == "fixed=1" { b"a\nb\nc\n".to_vec() } else { input.clone() };
        run(&["connect", "--framing", framing, served.address()], &input).is(input.to_ascii_uppercase());
    }
}

#[test]
fn what_is_no_message_is_told_and_status_1() {
    for (sent, words) in [
        (&b"\0\0\0\x02ok\x7f\0\0\0"[..], "the server sent what is no message: a frame of 2130706432 bytes"),
        (b"\0\0\0\x02ok\0\0", "broke off: the input ended 2 bytes into a frame"),
    ] {
        let (listener, address) = listener();
        let connect = Running::start(&mut command(&["connect", "--framing", "u32be", &address]));
        accept(&listener).write_all(sent).unwrap();
        let output = connect.output_with_open_input();
        assert_eq!((output.status, &output.stdout[..]), (Some(1), &b"ok\n"[..]), "{}", output.stderr);
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn lines_that_are_no_message_are_local_errors() {
    let served = Served::start(&["discard", ":0"]);
    run(&["connect", "--framing", "u8", served.address()], &[b"fits\n", &[b'x'; 300][..], b"\n"].concat())
        .failed(2, &["line 2 is too long: a message has 255 bytes at most"]);
    run(&["connect", "--framing", "delimiter=;", served.address()], b"a;b\n").failed(2, &["line 1: ", "delimiter"]);
}

#[test]
fn framings_that_make_no_sense_are_refused() {
    for (framing, words) in [("u17be", "u17be"), ("u16be,max=0k1", "max"), ("", "")] {
        run(&["connect", "--framing", framing, ":1"], b"").failed(2, &["--framing", words]);
    }
    for address in ["udp://127.0.0.1:1", "unixgram:@nobody"] {
        run(&["connect", "--framing", "line", address], b"").failed(2, &["`--framing` is for streams of bytes"]);
    }
}
