//! What a client may say, and what it may not.

use super::{echo, join, on_each_model};
use crate::Reasons;
use socketserver::{Channel, MessageHandler, Reason, Running};
use socketserver_testkit::websocket::{
    ACCEPTED, BINARY, CLOSE, FIN, PING, PONG, TEXT, expect_close, frame, header, plain, request,
};
use socketserver_testkit::{Client, PATIENCE};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::Duration;

const HELLO: &[u8] = b"hello";

/// What is said, what is answered, and with which code it ends.
type Case<'a> = (&'a str, Vec<Vec<u8>>, Vec<Vec<u8>>, u16);

/// After the rules of RFC 6455, in its order; each is a conversation of its own.
#[test]
fn rules_are_kept() {
    let text = |body: &[u8]| frame(FIN | TEXT, body);
    let goodbye = || frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    let cases: Vec<Case<'_>> = vec![
        // Well-formed.
        ("text", vec![text(HELLO), goodbye()], vec![plain(FIN | TEXT, HELLO)], 1000),
        ("binary", vec![frame(FIN | BINARY, HELLO), goodbye()], vec![plain(FIN | BINARY, HELLO)], 1000),
        ("empty", vec![text(b""), goodbye()], vec![plain(FIN | TEXT, b"")], 1000),
        (
            "fragments, and control frames between them",
            vec![
                frame(TEXT, b"he"),
                frame(FIN | PONG, b"1"),
                frame(0, b""),
                frame(FIN | PONG, b""),
                frame(FIN, b"llo"),
                goodbye(),
            ],
            vec![plain(FIN | TEXT, HELLO)],
            1000,
        ),
        (
            "a character in two fragments",
            vec![frame(TEXT, b"\xe4\xbd"), frame(FIN, b"\xa0"), goodbye()],
            vec![plain(FIN | TEXT, "你".as_bytes())],
            1000,
        ),
        (
            "bytes that are no text",
            vec![frame(FIN | BINARY, b"\xff"), goodbye()],
            vec![plain(FIN | BINARY, b"\xff")],
            1000,
        ),
        ("a pong that nobody asked for", vec![frame(FIN | PONG, b"x"), goodbye()], vec![], 1000),
        ("the longest message", vec![text(&[b'x'; 1000]), goodbye()], vec![plain(FIN | TEXT, &[b'x'; 1000])], 1000),
        ("the longest ping", vec![frame(FIN | PING, &[b'x'; 125])], vec![plain(FIN | PONG, &[b'x'; 125])], 0),
        // A goodbye.
        ("with a reason", vec![frame(FIN | CLOSE, b"\x0f\xa0because")], vec![], 4000),
        ("and then something", vec![[goodbye(), text(HELLO)].concat()], vec![], 1000),
        ("in the middle of a message", vec![frame(TEXT, b"he"), goodbye()], vec![], 1000),
        ("of one byte", vec![frame(FIN | CLOSE, b"\x03")], vec![], 1002),
        ("with a code that is none", vec![frame(FIN | CLOSE, &999_u16.to_be_bytes())], vec![], 1002),
        ("with a code that is never sent", vec![frame(FIN | CLOSE, &1006_u16.to_be_bytes())], vec![], 1002),
        ("with a reason that is not UTF-8", vec![frame(FIN | CLOSE, b"\x03\xe8\xff")], vec![], 1007),
        // Against the rules.
        ("not masked", vec![text(HELLO), plain(FIN | TEXT, HELLO)], vec![plain(FIN | TEXT, HELLO)], 1002),
        ("not masked, and there is no more than the header", vec![header(FIN | TEXT, 0, 1000)], vec![], 1002),
        ("a reserved bit", vec![frame(FIN | 0x40 | TEXT, HELLO)], vec![], 1002),
        ("another", vec![frame(FIN | 0x20 | BINARY, HELLO)], vec![], 1002),
        ("the last one, in a ping", vec![frame(FIN | 0x10 | PING, b"")], vec![], 1002),
        ("a reserved opcode", vec![frame(FIN | 3, HELLO)], vec![], 1002),
        ("a reserved opcode of control", vec![frame(FIN | 11, HELLO)], vec![], 1002),
        ("a fragmented ping", vec![frame(PING, b"he"), frame(FIN, b"llo")], vec![], 1002),
        ("a ping that is too long", vec![header(FIN | PING, 0x80, 126), b"mask".to_vec()], vec![], 1002),
        ("a goodbye that is too long", vec![frame(FIN | CLOSE, &[3; 126])], vec![], 1002),
        ("nothing is there to be continued", vec![frame(FIN, HELLO)], vec![], 1002),
        ("a message in the middle of another", vec![frame(TEXT, b"he"), text(HELLO)], vec![], 1002),
        ("text that is not UTF-8", vec![text(b"hell\xf6")], vec![], 1007),
        ("text that ends in the middle of a character", vec![text(b"\xe4\xbd")], vec![], 1007),
        ("so in its last fragment", vec![frame(TEXT, b"a"), frame(FIN, b"\xe4\xbd")], vec![], 1007),
        ("not UTF-8 in the first of its fragments", vec![frame(TEXT, b"a\xff")], vec![], 1007),
        ("a surrogate", vec![text(b"\xed\xa0\x80")], vec![], 1007),
        (
            "too long, and there is no more than the header",
            vec![header(FIN | TEXT, 0x80, 1001), b"mask".to_vec()],
            vec![],
            1009,
        ),
        ("too long by far", vec![header(FIN | BINARY, 0x80, u64::MAX), b"mask".to_vec()], vec![], 1009),
        (
            "too long in fragments, and there is no more than the header of the last",
            vec![frame(TEXT, &[b'x'; 600]), header(FIN, 0x80, 401), b"mask".to_vec()],
            vec![],
            1009,
        ),
    ];
    on_each_model!(echo.unframed().max_message(1000), |server: Running| {
        for (what, said, answered, code) in &cases {
            for at_once in [false, true] {
                eprintln!("{what}");
                let mut client = join(&server);
                if at_once {
                    client.say(said.concat());
                } else {
                    // The system may still put them together; neither is to make a difference.
                    said.concat().chunks(3).for_each(|piece| client.say_if_there(piece));
                }
                answered.iter().for_each(|answer| client.expect(answer));
                if *code == 0 {
                    client.say(goodbye());
                }
                expect_close(&mut client, if *code == 0 { 1000 } else { *code });
            }
        }
        let totals = server.stop().unwrap().totals;
        assert_eq!(totals.failed, 0, "what peers do is no failure of the handler");
    });
}

/// A goodbye without a code is answered with one without.
#[test]
fn a_silent_goodbye_is_answered() {
    on_each_model!(echo, |server: Running| {
        let mut client = join(&server);
        client.say(frame(FIN | CLOSE, b""));
        client.expect(plain(FIN | CLOSE, b""));
        client.expect_end();
        server.stop().unwrap();
    });
}

/// The answers to what came before a fault leave before the peer is told of it.
#[test]
fn what_came_before_a_fault_is_answered() {
    on_each_model!(echo, |server: Running| {
        let mut client = join(&server);
        client.say([frame(FIN | TEXT, HELLO), frame(FIN | BINARY, HELLO), frame(FIN | 3, b"")].concat());
        client.expect(plain(FIN | TEXT, HELLO));
        client.expect(plain(FIN | BINARY, HELLO));
        expect_close(&mut client, 1002);
        server.stop().unwrap();
    });
}

/// Whoever only pings costs no memory, though it reads nothing; of pings that came together the newest is answered.
#[test]
fn a_flood_of_pings_is_answered_by_the_newest() {
    on_each_model!(echo, |server: Running| {
        let mut client = join(&server);
        let pings: Vec<u8> = (0..200_000_u32).flat_map(|n| frame(FIN | PING, &n.to_be_bytes())).collect();
        client.say(&pings);
        let mut last = 0;
        while last < 199_999 {
            client.expect([FIN | PONG, 4]);
            let mut number = [0; 4];
            for byte in &mut number {
                *byte = client.hear(1).unwrap()[0];
            }
            let number = u32::from_be_bytes(number);
            assert!(number >= last, "{number} after {last}");
            last = number;
        }
        client.say(frame(FIN | TEXT, HELLO));
        client.expect(plain(FIN | TEXT, HELLO));
        let written = server.handle().connections()[0].written;
        assert!(written < 200_000 * 6 / 10, "{written} bytes of answers to {} of pings", pings.len());
        drop(client);
        server.stop().unwrap();
    });
}

/// Who says nothing is asked, and then let go; who answers stays.
#[test]
fn silence_is_asked_about() {
    let options = || socketserver::WebSocket::new().ping(Duration::from_millis(50));
    let reasons = Arc::new(Reasons::default());
    let told = reasons.clone();
    let server = socketserver::Server::bind("ws://127.0.0.1:0/chat").unwrap().observe(told);
    let server = server.spawn(socketserver::Threads::default(), echo.unframed().web_socket(options())).unwrap();
    let mut client = join(&server);
    for _ in 0..3 {
        client.expect(plain(FIN | PING, b""));
        client.say(frame(FIN | PONG, b""));
    }
    client.expect(plain(FIN | PING, b""));
    expect_close(&mut client, 1008);
    server.stop().unwrap();
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Idle]);

    // With somebody who may push, the wait is another; and pings do not end with what is pushed.
    let (tell, told) = channel();
    let tell = move |_: &[u8], c: &mut Channel| Ok(tell.send(c.outbox())?);
    on_each_model!(tell.clone().unframed().web_socket(options()), |server: Running| {
        let mut client = join(&server);
        client.say(frame(FIN | BINARY, b""));
        let outbox = told.recv_timeout(PATIENCE).unwrap();
        client.expect(plain(FIN | PING, b""));
        client.say(frame(FIN | PONG, b""));
        outbox.push(*b"news").unwrap();
        let mut heard = Vec::new();
        while heard.len() < 8 {
            heard.extend(client.hear(8 - heard.len()).unwrap());
        }
        assert!(heard == *b"\x82\x04news\x89\0" || heard == *b"\x89\0\x82\x04news", "{heard:?}");
        expect_close(&mut client, 1008);
        server.stop().unwrap();
    });
}

/// The idle deadline is one of bytes: answers to pings are some, and without any it ends it.
#[test]
fn the_idle_deadline_holds_beside_pings() {
    on_each_model!(|server| server.idle(Duration::from_millis(50)), echo, |server: Running| {
        let mut client = join(&server);
        client.expect_gone();
        server.stop().unwrap();
    });
    let often = socketserver::WebSocket::new().ping(Duration::from_millis(20));
    on_each_model!(
        |server| server.idle(Duration::from_millis(500)),
        echo.unframed().web_socket(often.clone()),
        |server: Running| {
            let mut client = join(&server);
            for _ in 0..40 {
                client.expect(plain(FIN | PING, b""));
                client.say(frame(FIN | PONG, b""));
            }
            client.say(frame(FIN | CLOSE, b""));
            let rest = client.hear_all().unwrap();
            assert!(rest == plain(FIN | CLOSE, b"") || rest == *b"\x89\0\x88\0", "{rest:?}");
            server.stop().unwrap();
        }
    );
}

/// A drain lets a message that has begun come in, in however many frames, and says goodbye then.
#[test]
fn a_drain_lets_a_message_come_in() {
    on_each_model!(echo, |server: Running| {
        let mut client = join(&server);
        client.say(frame(TEXT, b"he"));
        client.say(frame(FIN | PING, b"begun"));
        // It has read the fragment.
        client.expect(plain(FIN | PONG, b"begun"));
        server.handle().shutdown();
        client.say(frame(FIN, b"llo"));
        client.expect(plain(FIN | TEXT, b"hello"));
        expect_close(&mut client, 1001);
        let report = server.stop().unwrap();
        assert!(report.cut.is_empty(), "{report:?}");
    });
}

/// What is sent goes out as what came, or as the option says.
#[test]
fn text_or_binary() {
    let kind = |_: &[u8], c: &mut Channel| {
        assert_eq!(c.carrier(), socketserver::Carrier::WebSocket);
        Ok(c.send(if c.is_text() { b"text" } else { b"binary" })?)
    };
    let options = socketserver::WebSocket::new;
    for (options, first) in [(options(), None), (options().text(), Some(TEXT)), (options().binary(), Some(BINARY))] {
        let server = socketserver::Server::bind("ws://127.0.0.1:0/chat").unwrap();
        let server = server.spawn(socketserver::Tasks::new(1), kind.unframed().web_socket(options)).unwrap();
        let mut client = join(&server);
        for (said, word) in [(BINARY, "binary"), (TEXT, "text"), (BINARY, "binary")] {
            client.say(frame(FIN | said, b""));
            client.expect(plain(FIN | first.unwrap_or(said), word.as_bytes()));
        }
        drop(client);
        server.stop().unwrap();
    }
    // What is no text is an error of `send`.
    let mangle = |_: &[u8], c: &mut Channel| {
        let error = c.send(b"\xff").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        Ok(c.send(error.to_string().as_bytes())?)
    };
    on_each_model!(mangle, |server: Running| {
        let mut client = join(&server);
        client.say(frame(FIN | TEXT, b""));
        client.expect(plain(FIN | TEXT, b"a message that is not UTF-8 cannot be sent as text"));
        drop(client);
        server.stop().unwrap();
    });
}

/// Whoever is cut is told nothing, and whoever leaves without a word is no failure.
#[test]
fn kicks_and_those_who_just_leave() {
    on_each_model!(echo, |server: Running| {
        let mut client = join(&server);
        client.say(frame(FIN | TEXT, HELLO));
        client.expect(plain(FIN | TEXT, HELLO));
        assert_eq!(server.handle().kick_where(|_| true), 1);
        client.expect_gone();
        let client = join(&server);
        drop(client);
        let mut client = join(&server);
        client.say(&frame(FIN | TEXT, HELLO)[..3]);
        client.end();
        client.expect_end();
        assert_eq!(server.stop().unwrap().totals.failed, 0);
    });
}

/// What is pushed from elsewhere reaches a peer that sends nothing.
#[test]
fn a_push_reaches_a_peer() {
    let (tell, told) = channel();
    let give = move |_: &[u8], c: &mut Channel| Ok(tell.send(c.outbox())?);
    on_each_model!(give.clone(), |server: Running| {
        let mut client = join(&server);
        client.say(frame(FIN | TEXT, b""));
        let outbox = told.recv_timeout(PATIENCE).unwrap();
        for round in 0..100 {
            outbox.push(format!("news {round}").into_bytes()).unwrap();
            client.expect(plain(FIN | TEXT, format!("news {round}").as_bytes()));
        }
        drop(client);
        server.stop().unwrap();
        assert!(outbox.is_closed());
    });
}

/// Ends at once, and counts what it is given all the same.
struct Ends(Arc<AtomicUsize>);

impl MessageHandler for Ends {
    type State = ();
    fn open(&self, c: &mut Channel) -> socketserver::Result {
        c.end();
        Ok(())
    }
    fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> socketserver::Result {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// What came with the request is input already when the handler opens.
#[test]
fn nothing_is_handled_after_an_end_in_open() {
    let count = Arc::new(AtomicUsize::new(0));
    on_each_model!(Ends(count.clone()), |server: Running| {
        let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
        client.say([request("").into_bytes(), frame(FIN | TEXT, HELLO)].concat());
        client.expect(ACCEPTED);
        expect_close(&mut client, 1000);
        server.stop().unwrap();
        assert_eq!(count.load(Relaxed), 0);
    });
}
