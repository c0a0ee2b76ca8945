//! Replies that are told apart by a framing, or by WebSocket.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;

use run::run;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread;
use std::time::Duration;

use socketserver::framing::{AnyFraming, Delimiter};
use socketserver::{Channel, MessageHandler, Running, Server, Tasks, WebSocket};
use socketserver_load::{ConnectClose, Load, Outcome, Target};

fn reply(message: &[u8], c: &mut Channel) -> socketserver::Result {
    Ok(c.send(message)?)
}

/// Whoever is served, and as what it is known in a request.
fn target(server: &Running) -> (Target, String) {
    let endpoint = &server.handle().endpoints()[0];
    (Target::of(endpoint).unwrap(), format!("localhost:{}", endpoint.port().unwrap()))
}

fn framed(framing: &AnyFraming) -> (Running, Target) {
    let server =
        Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), reply.framed(framing.clone())).unwrap();
    let target = target(&server).0;
    (server, target)
}

#[track_caller]
fn assert_clean(outcome: &Outcome, messages: u64, size: u64) {
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.bytes, outcome.in_flight), (messages, messages * size, 0));
}

#[test]
fn messages_in_every_framing() {
    for framing in [
        "line",
        "crlf",
        "u8",
        "u16be",
        "u32le",
        "u32be,inclusive",
        "delimiter=\\r\\n\\r\\n",
        "fixed=60",
        "netstring",
        "varint",
    ] {
        let framing: AnyFraming = framing.parse().unwrap();
        let (server, target) = framed(&framing);
        let load = Load::new(target).framing(framing.clone()).size(60).connections(3);
        assert_clean(&load.clone().depth(16).requests(1000).run().unwrap(), 1000, 60);
        let each = load.clone().connect_per_request(ConnectClose::Reset).requests(20).run().unwrap();
        assert_eq!((each.messages, each.errors.total()), (20, 0), "{framing}");
        if !matches!(framing, AnyFraming::Fixed(_)) {
            let own = load.message("你好").requests(100);
            assert_clean(&own.run().unwrap(), 100, 6);
        }
        server.stop().unwrap();
    }
}

#[test]
fn a_line_may_end_in_either_way() {
    let (server, target) = framed(&"crlf".parse().unwrap());
    let outcome = Load::new(target).framing("line".parse().unwrap()).requests(100).run().unwrap();
    assert_clean(&outcome, 100, 64);
    server.stop().unwrap();
}

#[test]
fn large_messages_in_pieces() {
    let framing: AnyFraming = "u32be".parse().unwrap();
    let (server, target) = framed(&framing);
    let outcome =
        Load::new(target).framing(framing).size(1_000_000).connections(2).depth(3).requests(12).run().unwrap();
    assert_clean(&outcome, 12, 1_000_000);
    server.stop().unwrap();
}

#[test]
fn framings_that_have_no_such_messages_are_refused() {
    let load = |framing: &str| Load::new(Target::Unix("/nonexistent/x".into())).framing(framing.parse().unwrap());
    for senseless in [
        load("u8").size(256),
        load("fixed=16").size(64),
        load("line").message("two\nlines"),
        load("u32be,strip=0"),
        load("delimiter=abc"),
        load("delimiter=\\n,or=abc"),
    ] {
        let error = senseless.run().unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
    // What is one's own may do without the delimiter.
    let own = Load::new(Target::Unix("/nonexistent/x".into())).framing(Delimiter::new("abc").into()).message("hello");
    assert_eq!(own.run().unwrap().errors.refused, 1);
}

#[test]
fn messages_over_websocket() {
    for (options, size) in
        [(WebSocket::new(), 1), (WebSocket::new(), 64), (WebSocket::new(), 126), (WebSocket::new().binary(), 70_000)]
    {
        let echo = reply.unframed().max_message(100_000).web_socket(options);
        let server = Server::bind("ws://127.0.0.1:0/echo").unwrap().spawn(Tasks::new(1), echo).unwrap();
        let (target, host) = target(&server);
        let load = Load::new(target).connections(3).depth(4).size(size).requests(200);
        assert_clean(&load.clone().websocket(&host, "/echo").run().unwrap(), 200, size as u64);
        let paced = load.clone().rate("2000/s".parse().unwrap());
        assert_clean(&paced.websocket(&host, "/echo").run().unwrap(), 200, size as u64);
        // Messages are told apart in one way: the last one that was said.
        for other in [load.clone().lines(), load.clone().framed(), load.clone().framing("netstring".parse().unwrap())] {
            assert_clean(&other.websocket(&host, "/echo").run().unwrap(), 200, size as u64);
        }
        // Others, and other places, are turned away.
        assert_eq!(load.clone().websocket(&host, "/other").run().unwrap().errors.to_string(), "3 WebSocket");
        assert_eq!(load.websocket("evil.example", "/echo").run().unwrap().errors.to_string(), "3 WebSocket");
        server.stop().unwrap();
    }
}

#[test]
fn pings_are_answered_while_nothing_else_is_said() {
    let echo = reply.unframed().web_socket(WebSocket::new().ping(Duration::from_secs(1)));
    let server = Server::bind("ws://127.0.0.1:0/echo").unwrap().spawn(Tasks::new(1), echo).unwrap();
    let (target, host) = target(&server);
    // Two messages, 3 s apart: who has not answered a ping is gone by then, and a machine that is busy answers in time.
    let load = Load::new(target).websocket(host, "/echo").rate("2/6s".parse().unwrap()).requests(2);
    assert_clean(&load.run().unwrap(), 2, 64);
    server.stop().unwrap();
}

#[test]
fn a_server_that_floods_does_not_keep_the_load_going() {
    // A Unix socket has as much ready as is read at a time, if its peer is fast.
    let name = format!("load-test-flood-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let target = Target::Unix(format!("\0{name}").into());
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        socket2::SockRef::from(&stream).set_send_buffer_size(1 << 20).unwrap();
        let (mut socket, pongs) = (tungstenite::accept(stream).unwrap(), b"\x8a\x00".repeat(1 << 20));
        while socket.get_mut().write_all(&pongs).is_ok() {}
    });
    let outcome = run(Load::new(target).websocket("localhost", "/").duration(Duration::from_millis(200)));
    assert_eq!((outcome.messages, outcome.in_flight, outcome.errors.total()), (0, 1, 0));
}

#[test]
fn another_message_and_another_protocol_are_faults() {
    let upper = |message: &[u8], c: &mut Channel| Ok(c.send(&message.to_ascii_uppercase())?);
    let server = Server::bind("ws://127.0.0.1:0/upper").unwrap().spawn(Tasks::new(1), upper.unframed()).unwrap();
    let (to, host) = target(&server);
    let outcome = Load::new(to).websocket(host, "/upper").message("hello").requests(2).run().unwrap();
    assert_eq!((outcome.errors.to_string(), outcome.lost), ("1 mismatch".into(), 1));
    server.stop().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = Target::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1000]);
            stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        }
    });
    let outcome = Load::new(plain).websocket("localhost", "/").requests(1).run().unwrap();
    assert_eq!(outcome.errors.to_string(), "1 WebSocket");
}

#[test]
fn a_reply_that_was_not_asked_for_is_a_mismatch() {
    let twice = |message: &[u8], c: &mut Channel| {
        c.send(message)?;
        Ok(c.send(message)?)
    };
    let framing: AnyFraming = "varint".parse().unwrap();
    let server =
        Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), twice.framed(framing.clone())).unwrap();
    for depth in [1, 2] {
        let outcome = Load::new(target(&server).0).framing(framing.clone()).depth(depth).requests(10).run().unwrap();
        assert_eq!(outcome.errors.mismatch, 1, "depth {depth}");
    }
    server.stop().unwrap();
}
