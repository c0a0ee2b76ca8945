//! Who may come in, and what others are answered.

use super::{echo, join, on_each_model};
use crate::Reasons;
use socketserver::{
    Channel, ErrorKind, HandshakeFailure, MessageHandler, Page, Reason, Running, Serial, Server, Tasks, Threads,
    WebSocket, blocking,
};
use socketserver_testkit::Client;
use socketserver_testkit::websocket::{ACCEPTED, CLOSE, FIN, KEY, TEXT, frame, plain, request};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn options() -> WebSocket {
    let policy = "default-src 'none'; script-src 'self'";
    let page = Page::new("text/html", b"<!doctype html>").header("Content-Security-Policy", policy);
    let script = Page::new("text/javascript", vec![b'x'; 300_000]).header("cache-control", "max-age=60");
    WebSocket::new()
        .hosts(["chat.example"])
        .origins(["https://app.example"])
        .page("/", page.clone())
        .page("/chat", page)
        .page("/app.js", script)
}

/// The answer to a request, after which nothing comes.
fn ask(server: &Running, request: &str) -> String {
    let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
    client.say(request);
    String::from_utf8(client.hear_all().unwrap()).unwrap()
}

#[test]
fn who_is_refused_is_told_why() {
    let good = request("");
    let without = |line: &str| good.replace(&format!("{line}\r\n"), "");
    let instead = |line: &str, other: &str| good.replace(line, other);
    // (what is asked, the status, what else is in the answer)
    let cases = [
        // Who asks whom.
        (instead("Host: localhost", "Host: evil.example"), 421, "Host"),
        (instead("Host: localhost", "Host: 127.0.0.1:1"), 421, "Host"),
        (without("Host: localhost"), 400, "one Host"),
        (instead("Host: localhost", "Host: localhost\r\nHost: localhost"), 400, "one Host"),
        (request("Origin: http://evil.example\r\n"), 403, "Origin"),
        (request("Origin: http://localhost:1\r\n"), 403, "Origin"),
        (request("Origin: null\r\n"), 403, "Origin"),
        (request("Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 403, "Origin"),
        // For what.
        (instead("/chat", "/other"), 404, "no WebSocket by that path"),
        (instead("/chat", "/chat/"), 404, "no WebSocket by that path"),
        (instead("/chat", "http://localhost/chat"), 404, "no WebSocket by that path"),
        (instead("GET", "POST"), 405, "Allow: GET, HEAD"),
        (instead("GET", "HEAD"), 400, ""),
        (instead("HTTP/1.1", "HTTP/1.0"), 505, "HTTP/1.1"),
        // How.
        (without("Connection: Upgrade"), 400, "Connection"),
        (instead("Connection: Upgrade", "Connection: close"), 400, "Connection"),
        (without("Sec-WebSocket-Version: 13"), 426, "Sec-WebSocket-Version: 13\r\n"),
        (instead("Version: 13", "Version: 8"), 426, "Sec-WebSocket-Version: 13\r\n"),
        (instead(KEY, ""), 400, "Key"),
        (instead(KEY, "c2hvcnQ="), 400, "Key"),
        (instead(KEY, &KEY.replace("==", "=")), 400, "Key"),
        (instead(KEY, &KEY.replace("ZQ", "ZR")), 400, "Key"),
        (instead(KEY, &format!("{KEY}\r\nSec-WebSocket-Key: {KEY}")), 400, "Key"),
        // What is no request at all.
        ("hello\r\n\r\n".into(), 400, "no request"),
        ("\r\n\r\n".into(), 400, "no request"),
        (format!("GET /chat HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(100)), 431, "100 fields"),
        (format!("GET /chat HTTP/1.1\r\nHost: localhost\r\nA: {}", "b".repeat(16 * 1024)), 431, "16 KiB"),
    ];
    on_each_model!(echo.unframed().web_socket(options()), |server: Running| {
        for (request, status, words) in &cases {
            let answer = ask(&server, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
            assert!(answer.contains(words) && answer.contains("\r\nConnection: close\r\n"), "{request}{answer}");
        }
        // It goes on.
        drop(join(&server));
        server.stop().unwrap();
    });
}

#[test]
fn who_may_come_in_comes_in() {
    on_each_model!(echo.unframed().web_socket(options()), |server: Running| {
        let socketserver::Endpoint::Ws { port, .. } = server.handle().endpoints()[0] else { unreachable!() };
        let cases = [
            request("Origin: http://localhost\r\n"),
            request("origin: https://app.example\r\n"),
            request("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
            request("")
                .replace("Host: localhost", &format!("host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}")),
            request("").replace("Host: localhost", "Host: Chat.Example:8443\r\nOrigin: https://chat.example:8443"),
            request("").replace("/chat", "/chat?token=x#y"),
            request("").replace("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            request("").replace("Upgrade: websocket", "upgrade: h2c,WebSocket"),
        ];
        for request in cases {
            let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
            // What comes with the request is not lost.
            client.say([request.as_bytes(), &frame(FIN | TEXT, b"hello")].concat());
            client.expect(ACCEPTED);
            client.expect(plain(FIN | TEXT, b"hello"));
            client.say(frame(FIN | CLOSE, b""));
            client.expect(plain(FIN | CLOSE, b""));
            client.expect_end();
        }
        assert_eq!(server.stop().unwrap().totals.failed, 0);
    });
}

#[test]
fn pages_are_shown() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    on_each_model!(echo.unframed().web_socket(options()), |server: Running| {
        for path in ["/", "/?x", "/chat"] {
            let answer = ask(&server, &get(path));
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n<!doctype html>"),
                "{answer}"
            );
            for line in [
                "Content-Type: text/html",
                "Content-Length: 15",
                "Content-Security-Policy: default-src 'none'; script-src 'self'",
                "X-Content-Type-Options: nosniff",
                "Cache-Control: no-store",
                "Connection: close",
            ] {
                assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} is not in {answer}");
            }
        }
        // More than a socket holds, and what the client still sends does not reset it.
        let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
        client.say(format!("{}{}", get("/app.js"), get("/")));
        let answer = client.hear_all().unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert!(answer[end..] == [b'x'; 300_000], "{}", answer.len());
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        assert!(head.contains("cache-control: max-age=60\r\n") && !head.contains("no-store"), "{head}");

        let answer = ask(&server, &get("/").replace("GET", "HEAD"));
        assert!(answer.contains("\r\nContent-Length: 15\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        let answer = ask(&server, &get("/favicon.ico"));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let answer = ask(&server, &get("/").replace("localhost", "evil.example"));
        assert!(answer.starts_with("HTTP/1.1 421 ") && !answer.contains("doctype"), "{answer}");
        let answer = ask(&server, &get("/").replace("GET", "POST"));
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        let totals = server.stop().unwrap().totals;
        assert_eq!(totals.failed, 0, "{totals:?}");
    });
    // Where there is no page the endpoint says what it is.
    on_each_model!(echo, |server: Running| {
        let answer = ask(&server, &get("/chat"));
        assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
        server.stop().unwrap();
    });
}

/// A request may come byte by byte, but not for ever; whoever says nothing is told as much.
#[test]
fn a_slow_request_has_its_time() {
    on_each_model!(echo, |server: Running| {
        let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
        request("").bytes().for_each(|byte| client.say([byte]));
        client.expect(ACCEPTED);
        client.say(frame(FIN | TEXT, b"hello"));
        client.expect(plain(FIN | TEXT, b"hello"));
        drop(client);
        server.stop().unwrap();
    });
    let soon = WebSocket::new().handshake(Duration::from_millis(100));
    on_each_model!(echo.unframed().web_socket(soon.clone()), |server: Running| {
        for said in ["", "GET /chat HTTP/1.1\r\nHost: loc"] {
            let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
            client.say(said);
            let answer = String::from_utf8(client.hear_all().unwrap()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        // After a handshake it is over.
        let mut client = join(&server);
        client.say(frame(FIN | TEXT, b"hello"));
        client.expect(plain(FIN | TEXT, b"hello"));
        drop(client);
        server.stop().unwrap();
    });
}

/// A handler that counts who is there, and is told of what went wrong.
struct Counting(Arc<Mutex<(u32, Vec<String>)>>);

impl MessageHandler for Counting {
    type State = ();

    fn open(&self, _: &mut Channel) -> socketserver::Result {
        self.0.lock().unwrap().0 += 1;
        Ok(())
    }

    fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> socketserver::Result {
        Ok(())
    }

    fn on_error(&self, error: &socketserver::Failure, _: &socketserver::Peer) {
        self.0.lock().unwrap().1.push(error.to_string());
    }
}

/// The handler hears of nobody before the handshake; who was refused, and for what, is told to those who watch.
#[test]
fn those_who_watch_are_told_of_the_refused() {
    let seen = Arc::new(Mutex::default());
    let reasons = Arc::new(Reasons::default());
    let soon = WebSocket::new().handshake(Duration::from_millis(100));
    let server = Server::bind("ws://127.0.0.1:0/chat").unwrap().observe(reasons.clone());
    let server = server.spawn(Serial::default(), Counting(seen.clone()).unframed().web_socket(soon)).unwrap();
    ask(&server, &request("").replace("localhost", "evil\u{202e}.example"));
    ask(&server, &request("Origin: http://evil.example\r\n"));
    ask(&server, "GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ask(&server, "GET ");
    let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
    client.say("GET ");
    client.end();
    client.expect_end();
    let mut client = join(&server);
    client.say(frame(FIN | CLOSE, b""));
    client.expect(plain(FIN | CLOSE, b""));
    server.stop().unwrap();
    let (opened, told) = &*seen.lock().unwrap();
    assert_eq!(*opened, 1);
    assert_eq!(
        told[..],
        [
            r"no handshake: this server does not go by the Host of the request: `evil\u{202e}.example`",
            "no handshake: pages of that Origin may not connect: `http://evil.example`",
        ]
    );
    let (bad, fine) = (Reason::BadMessage, Reason::Finished);
    let reasons = reasons.0.lock().unwrap();
    assert_eq!(*reasons, [bad, bad, fine, Reason::Handshake(HandshakeFailure::Timeout), Reason::Disconnected, fine]);
}

#[test]
fn what_cannot_be_meant_is_refused_at_serve() {
    let serve = |handler: WebSocket| {
        let mut server = Server::bind("ws://127.0.0.1:0/chat").unwrap();
        server.serve(Threads::default(), echo.unframed().web_socket(handler)).unwrap_err()
    };
    let new = WebSocket::new;
    let page = || Page::new("text/html", b"");
    let cases = [
        (new().hosts(["https://chat.example"]), "`https://chat.example` is no host"),
        (new().origins(["www.example"]), "`www.example` is no origin"),
        (new().origins(["https://www.example/"]), "is no origin"),
        (new().page("index.html", page()), "`index.html` is no path of a page"),
        (new().page("/", page().header("X-A", "b\r\nSet-Cookie: c")), "cannot have the header field"),
        (new().page("/", page().header("X A", "b")), "cannot have the header field"),
        (new().page("/", page().header("content-length", "1")), "cannot have the header field"),
        (new().page("/", Page::new("text/html\n", b"")), "cannot have the header field"),
    ];
    for (options, words) in cases {
        let refused = serve(options);
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains(words), "{refused}");
    }
    // Who takes bytes or packets takes no messages.
    let stream = |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?);
    let packet = |d: &mut socketserver::Datagram| Ok(d.reply(b"hello")?);
    let bind = || Server::bind("ws://127.0.0.1:0/chat").unwrap();
    for refused in [
        bind().serve(Serial::default(), stream).unwrap_err(),
        bind().serve(Threads::default(), packet).unwrap_err(),
        bind().serve(Tasks::new(1), async |_: &mut socketserver::Stream| Ok(())).unwrap_err(),
        bind().serve(socketserver::Forks::default(), (stream, packet)).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains("/chat`, and the handler takes none"), "{refused}");
    }
    let refused = Server::bind("tcp://127.0.0.1:0").unwrap().serve(Threads::default(), echo.unframed()).unwrap_err();
    assert!(refused.to_string().contains("nobody said how messages are told apart"), "{refused}");
}

/// Every address of the machine, and both families: the literal that was connected to is right.
#[test]
fn everywhere_each_literal_is_right() {
    let server = Server::bind("ws://*:0/").unwrap().spawn(Threads::default(), echo).unwrap();
    let endpoint = &server.handle().endpoints()[0];
    let socketserver::Endpoint::Ws { port, .. } = *endpoint else { unreachable!() };
    assert_eq!(endpoint.to_string(), format!("ws://*:{port}/"));
    let ask = |host: &str| {
        let mut client = Client::connect(endpoint).unwrap();
        client.say(request("").replace("/chat", "/").replace("Host: localhost", &format!("Host: {host}:{port}")));
        String::from_utf8(client.hear(12).unwrap()).unwrap()
    };
    assert_eq!(ask("127.0.0.1"), "HTTP/1.1 101");
    assert_eq!(ask("127.0.0.2"), "HTTP/1.1 421");
    server.stop().unwrap();
}
