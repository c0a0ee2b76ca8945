//! What is served in plain words is served over TLS.

use super::{connect, made};
use crate::harness::{MODELS, PARALLEL, Running, Served, command};
use socketserver_testkit::PATIENCE;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc::channel;

#[test]
fn each_handler_on_each_model() {
    for model in MODELS {
        for (what, said) in
            [("echo", "Hello 你好\n"), ("upper", "HELLO 你好\n"), ("hello", "hello world"), ("discard", "")]
        {
            let (served, fingerprint) = made(&[what, "tls://127.0.0.1:0", "--model", model]);
            connect(served.address(), &fingerprint, "Hello 你好\n").is(said);
            let close = served.line("close ");
            // `hello` does not read to the end, and what it leaves is counted as it came.
            let counts = if what == "hello" { " read=" } else { " read=13 " };
            let written = format!(" written={} ", said.len());
            assert!(close.contains(counts) && close.contains(&written), "{model} {what}: {close}");
            assert!(close.ends_with(" reason=finished"), "{model} {what}: {close}");
            let ended = served.stop();
            assert_eq!((ended.status, ended.line("stopped")), (Some(0), "stopped served=1 cut=0"), "{model} {what}");
        }
    }
}

#[test]
fn a_million_bytes_come_back() {
    let input: Vec<u8> = "你好abc, some text of a good length\n".bytes().cycle().take(1_000_000).collect();
    for model in PARALLEL {
        let (served, fingerprint) = made(&["upper", "tls://127.0.0.1:0", "--model", model]);
        connect(served.address(), &fingerprint, &input).is(input.to_ascii_uppercase());
        assert_eq!(served.stop().status, Some(0));
    }
}

/// Beside plain addresses, which stay plain.
#[test]
fn one_server_has_both() {
    let served = ["serve", "upper", "tcp://127.0.0.1:0", "tls://localhost:0", "--tls-self-signed"];
    let served = Served::listening(command(&served), 2);
    let [plain, tls] = served.addresses() else { unreachable!() };
    crate::harness::run(&["connect", plain], b"plain\n").is("PLAIN\n");
    let line = served.said("SHA-256 fingerprint ");
    connect(tls, line.rsplit(' ').next().unwrap(), "secret\n").is("SECRET\n");
    assert_eq!(served.stop().status, Some(0));
}

#[test]
fn framed_lines_go_through_it() {
    let (served, fingerprint) = made(&["upper", "tls://127.0.0.1:0"]);
    let args = ["connect", served.address(), "--insecure-fingerprint", &fingerprint, "--framing", "u16be"];
    let input: String = (0..5_000).map(|number| format!("message {number}\n")).collect();
    crate::harness::run(&args, input.as_bytes()).is(input.to_uppercase());
}

#[test]
fn an_operator_talks_over_it() {
    let mut talk = command(&["serve", "talk", "tls://127.0.0.1:0", "--tls-self-signed"]);
    talk.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut talk = talk.spawn().unwrap();
    let (mut operator, shown) = (talk.stdin.take().unwrap(), talk.stdout.take().unwrap());
    let (send, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(shown).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let served = Served::adopt(talk);
    let line = served.line("SHA-256 fingerprint ");
    let fingerprint = line.rsplit(' ').next().unwrap();
    let line = served.line("listening on ");
    let address = line.rsplit(' ').next().unwrap();
    let args = ["connect", address, "--insecure-fingerprint", fingerprint];
    let mut peer = Running::start(&mut command(&args));
    peer.give(b"anna");
    let shown = lines.recv_timeout(PATIENCE).unwrap();
    assert!(shown.starts_with("[1 127.0.0.1:") && shown.ends_with("] anna"), "{shown}");
    operator.write_all(b"hello anna\n").unwrap();
    peer.prints("hello anna");
    // One that never begins with TLS leaves no mark but a line.
    let mut scanner = crate::harness::client(address);
    scanner.say("GET / HTTP/1.0\r\n\r\n");
    let left = served.line("2 127.0.0.1:");
    assert!(left.ends_with(" has come; 2 open"), "{left}");
    let left = served.line("2 127.0.0.1:");
    assert!(left.contains(" has left (handshake-not-tls: ") && left.ends_with("; 1 open"), "{left}");
    operator.write_all(b"/quit\n").unwrap();
    peer.output_with_open_input().is("");
    assert_eq!(served.wait().status, Some(0));
}
