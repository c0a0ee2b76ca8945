//! What a server does behind a header, or beside one that speaks the protocol.

use crate::MODELS;
use crate::roles::FIRST_BYTE;
use socketserver::client::{ClientTls, Connector};
use socketserver::proxy::{Header, Version};
use socketserver::{Endpoint, ErrorKind, Fingerprint, ProxySource, Serial, Server, blocking};
use socketserver_testkit::websocket::{ACCEPTED, FIN, TEXT, frame, plain, request};
use socketserver_testkit::{Caller, Client, How, Stage, Suite};
use std::time::Instant;

pub(crate) fn add(suite: &mut Suite) {
    suite.tcp("our_client_sends_it", &MODELS, sender);
    suite.tcp("tls_begins_behind_the_header", &MODELS, tls);
    suite.tcp("tls_or_none_behind_the_header", &MODELS, or_plain);
    suite.tcp(
        "the_first_byte_comes_after_the_handshake",
        &[How::Threads(20), How::Forks(20), How::Prefork(3, 20), How::Tasks(2)],
        first_byte,
    );
    suite.tcp("nothing_is_said_in_plain_words_where_tls_is_spoken", &[How::Threads(20), How::Tasks(2)], no_plain_words);
    suite.tcp("messages_come_behind_it", &MODELS, messages);
    suite.tcp("web_sockets_come_behind_it", &MODELS, web_sockets);
    suite.tcp("packets_come_beside_it", &MODELS, beside);
    suite.tcp("a_source_of_ones_own", &MODELS[..4], source);
    suite.tcp("ipv6_and_mapped", &MODELS, ipv6);
    suite.tcp("what_it_is_not_for", &[How::Serial], refused);
}

const FROM: &str = "192.0.2.7:56324";

fn header() -> Header {
    Header::proxied(FROM.parse().unwrap(), "192.0.2.1:443".parse().unwrap()).unwrap()
}

fn ask(c: &mut blocking::Stream) -> String {
    c.write_all(b"hello\n").unwrap();
    c.read_line(1000).unwrap().unwrap()
}

fn ends_well(stage: Stage) {
    let ended = stage.stop();
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

fn sender(how: How, endpoint: &str) {
    let stage = Stage::open("plain", how, endpoint);
    let mut c = Connector::new().proxy_header(header()).connect(stage.endpoint()).unwrap();
    let told = format!("hello {FROM} by loopback ");
    assert!(ask(&mut c).starts_with(&told));
    assert_eq!(stage.line("opened ").split("peer=").nth(1), Some(FROM));
    drop(c);
    let local = Connector::new().proxy_header(Header::local());
    let mut c = local.connect(stage.endpoint()).unwrap();
    let own = c.local().unwrap();
    assert_eq!(ask(&mut c), format!("hello {own} by loopback {:?}", Version::V2));
    drop(c);
    ends_well(stage);
}

/// One that trusts the server's certificate alone.
fn trusting(stage: &Stage) -> Connector {
    let told = stage.so_far().into_iter().find(|line| line.starts_with("fingerprint ")).unwrap();
    let fingerprint: Fingerprint = told["fingerprint ".len()..].parse().unwrap();
    Connector::new().tls(ClientTls::new().fingerprint(fingerprint))
}

fn tls(how: How, endpoint: &str) {
    let stage = Stage::open("tls", how, &endpoint.replace("tcp:", "tls:"));
    let mut c = trusting(&stage).proxy_header(header()).connect(stage.endpoint()).unwrap();
    assert_eq!(ask(&mut c), format!("hello {FROM} by loopback V2"));
    drop(c);
    let closed = stage.line("closed ");
    assert!(closed.contains("read=6 "), "{closed}");
    // Without a header TLS is none.
    assert!(trusting(&stage).connect(stage.endpoint()).is_err());
    stage.line("refused why=bad-header ");
    // Behind a header that is good hands are not shaken: it is the peer that fails.
    let mut client = stage.connect();
    client.say([&header().encode_v2()[..], b"GET / HTTP/1.1\r\n\r\n"].concat());
    client.expect_gone();
    let closed = stage.line("closed ");
    assert!(closed.contains(" reason=handshake-not-tls "), "{closed}");
    ends_well(stage);
}

fn or_plain(how: How, endpoint: &str) {
    let stage = Stage::open("or-plain", how, &endpoint.replace("tcp:", "tls:"));
    let mut c = trusting(&stage).proxy_header(header()).connect(stage.endpoint()).unwrap();
    assert_eq!(ask(&mut c), format!("hello {FROM} by loopback V2"));
    drop(c);
    stage.line("closed ");
    for apart in [false, true] {
        let mut client = stage.connect();
        client.say(header().encode_v1().unwrap());
        if apart {
            stage.line("opened ");
        }
        client.say("hello\n");
        client.expect(format!("hello {FROM} by loopback V1\n"));
        client.end();
        client.expect_end();
        let closed = stage.line("closed ");
        assert!(closed.contains("read=6 "), "{closed}");
    }
    ends_well(stage);
}

/// Its time is the same in each child, whenever that serves for the first time.
fn first_byte(how: How, endpoint: &str) {
    let stage = Stage::open("first-byte-tls", how, &endpoint.replace("tcp:", "tls:"));
    let connector = trusting(&stage).proxy_header(header());
    let mut stays = Vec::new();
    for _ in 0..2 {
        let mut talks = connector.connect(stage.endpoint()).unwrap();
        ask(&mut talks);
        stays.push(talks);
        let start = Instant::now();
        let mut silent = connector.connect(stage.endpoint()).unwrap();
        let _ = silent.read_to_end(1);
        assert!(start.elapsed() >= FIRST_BYTE, "{:?}", start.elapsed());
        let closed = stage.line("closed ");
        assert!(closed.contains(" reason=first-byte "), "{closed}");
    }
    for talks in &mut stays {
        ask(talks);
    }
    drop(stays);
    ends_well(stage);
}

/// A client of TLS would take the words for something else.
fn no_plain_words(how: How, endpoint: &str) {
    let stage = Stage::open("one-each-tls", how, &endpoint.replace("tcp:", "tls:"));
    let mut first = trusting(&stage).proxy_header(header()).connect(stage.endpoint()).unwrap();
    ask(&mut first);
    let mut second = stage.connect();
    second.say(header().encode_v2());
    second.expect_end();
    stage.line("refused why=peer-limit ");
    drop(first);
    ends_well(stage);
}

fn messages(how: How, endpoint: &str) {
    let stage = Stage::open("messages", how, endpoint);
    let mut client = stage.connect();
    client.say([&header().encode_v2()[..], b"one\ntw"].concat());
    client.expect(format!("one {FROM}\n"));
    client.say("o\n");
    client.expect(format!("two {FROM}\n"));
    drop(client);
    ends_well(stage);
}

fn web_sockets(how: How, endpoint: &str) {
    let stage = Stage::open("messages", how, &format!("{}/chat", endpoint.replace("tcp:", "ws:")));
    let mut client = stage.connect();
    client.say([&header().encode_v2()[..], request("").as_bytes()].concat());
    client.expect(ACCEPTED);
    client.say(frame(FIN | TEXT, b"hello"));
    client.expect(plain(FIN | TEXT, format!("hello {FROM}").as_bytes()));
    drop(client);
    ends_well(stage);
}

fn beside(how: How, endpoint: &str) {
    let stage = Stage::open_all("beside", how, &[endpoint, "udp://127.0.0.1:0"]);
    stage.connect().expect_gone();
    stage.line("refused why=untrusted ");
    let caller = Caller::of(&stage.endpoints()[1]).unwrap();
    // A header in a packet is what it is: its content.
    let line = String::from_utf8(header().encode_v1().unwrap()).unwrap();
    let local = caller.local().unwrap();
    assert_eq!(caller.ask(&line), format!("{line} {local}").into_bytes());
    ends_well(stage);
}

fn source(how: How, endpoint: &str) {
    let stage = Stage::open("source", how, endpoint);
    let mut client = stage.connect();
    client.say([&header().encode_v2()[..], b"hello\n"].concat());
    client.expect(format!("hello {FROM} by loopback V2\n"));
    drop(client);
    stage.line("closed ");
    ends_well(stage);
}

/// `::1` is believed, and `127.0.0.1` by whichever socket it comes.
fn ipv6(how: How, _: &str) {
    for (at, asked) in [("tcp://[::1]:0", "[::1]"), ("tcp://*:0", "127.0.0.1"), ("tcp://*:0", "[::1]")] {
        let stage = Stage::open("plain", how, at);
        let (_, port) = stage.endpoint().tcp().unwrap();
        let at: Endpoint = format!("tcp://{asked}:{port}").parse().unwrap();
        let mut client = Client::connect(&at).unwrap();
        let from = "[2001:db8::7]:7";
        let header = Header::proxied(from.parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()).unwrap();
        client.say([&header.encode_v1().unwrap()[..], b"hello\n"].concat());
        client.expect(format!("hello {from} by loopback V1\n"));
        drop(client);
        ends_well(stage);
    }
}

fn refused(_: How, _: &str) {
    let name = format!("seqpacket:@socketserver-proxies-{}", std::process::id());
    let source: ProxySource = "unix".parse().unwrap();
    let mut server = Server::bind(&*name).unwrap().proxy_protocol([source]);
    let error = server.serve(Serial::default(), |_: &mut blocking::Stream| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        format!("whole messages come to `{name}`, and the PROXY protocol is for streams of bytes")
    );
}
