//! What the servers themselves read: the parsers are not to be had by themselves, so the bytes come over sockets.

use crate::server::{Served, Talk};
use socketserver::{Channel, MessageHandler, Page, Reason, Server, ServerTls, WebSocket, blocking};
use socketserver_exec::{Allowed, Auth, Commands, Exec, Wire, supervise_if_asked};
use std::sync::LazyLock;

/// The request that begins a WebSocket, and what comes behind it.
pub fn upgrade(data: &[u8]) {
    static SERVED: LazyLock<Served> = LazyLock::new(|| {
        let echo = |message: &[u8], c: &mut Channel| Ok(c.send(message)?);
        let page = Page::new("text/html", b"<!doctype html><title>A page</title>");
        let options = WebSocket::new().origins(["https://app.example"]).page("/", page);
        let echo = echo.unframed().max_message(MAX_MESSAGE).web_socket(options);
        let server = Server::bind("ws://127.0.0.1:0/echo").expect("there is a port");
        Served::new(server, echo)
    });
    let (reply, ended) = SERVED.hear(data);
    assert!(ended.reason != Reason::Failed && ended.read <= data.len() as u64, "{ended:?}");
    let Some(end) = reply.windows(4).position(|end| end == b"\r\n\r\n") else {
        return assert!(reply.is_empty(), "{:?}", String::from_utf8_lossy(&reply));
    };
    let (head, body) = reply.split_at(end + 4);
    let head = std::str::from_utf8(&head[..end]).expect("a head is text");
    assert!(head.split("\r\n").all(|line| !line.contains(char::is_control)), "{head:?}");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    match status {
        "101" => frames(body),
        "200" | "400" | "403" | "404" | "405" | "408" | "421" | "426" | "431" | "501" | "505" => {}
        _ => panic!("{head}"),
    }
}

const MAX_MESSAGE: usize = 1000;

/// Frames of a server, which are not masked, whole and as short as can be (RFC 6455, section 5).
fn frames(mut bytes: &[u8]) {
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match (second, rest) {
            (0..126, rest) => (usize::from(*second), rest),
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => panic!("a frame that is masked, longer than any message, or cut: {bytes:?}"),
        };
        assert!(
            matches!(first, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a) && len <= rest.len() && len <= MAX_MESSAGE,
            "{bytes:?}"
        );
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "{bytes:?}");
}

/// What a client begins with where TLS is spoken, or not: the first byte tells.
pub fn first_bytes(data: &[u8]) {
    static SERVED: LazyLock<Served> = LazyLock::new(|| {
        let pem = include_bytes!("../corpus/certificates/pair.pem");
        let tls = ServerTls::new().certificate_pem(pem, pem).or_plain();
        let server =
            Server::bind("tls://127.0.0.1:0").and_then(|server| server.tls(tls)).expect("it has a certificate");
        Served::new(server, |c: &mut blocking::Stream| {
            let all = c.read_to_end(1 << 20)?;
            Ok(c.write_all(&all)?)
        })
    });
    let (reply, ended) = SERVED.hear(data);
    if data.first() != Some(&HANDSHAKE) {
        assert_eq!(reply, data, "{ended:?}");
        return;
    }
    // Without keys nobody gets through.
    assert!(matches!(ended.reason, Reason::Handshake(_)), "{ended:?}");
    let mut records = &reply[..];
    while let [20..=23, 3, 1..=4, high, low, rest @ ..] = records {
        records = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or(records);
    }
    assert!(records.is_empty(), "{reply:?}");
}

/// The type of the record that each TLS client begins with (RFC 8446, section 5.1).
pub(crate) const HANDSHAKE: u8 = 22;

/// Of these none can be run: no argument is as its pattern says.
fn commands() -> Commands {
    supervise_if_asked();
    Commands::parse("[never]\nargv = [\"/bin/false\"]\narguments = ['[^\\s\\S]']\n", "commands").expect("it is right")
}

/// A classic wire of remote execution. The first byte tells which; what a client says is parted by two bytes of 255.
pub fn classic(data: &[u8]) {
    static INT32: LazyLock<Served> = LazyLock::new(|| classic_server(Wire::Int32));
    static READY: LazyLock<Served> = LazyLock::new(|| classic_server(Wire::Ready));
    let Some((which, data)) = data.split_first() else { return };
    let mut said = Vec::new();
    let mut rest = data;
    while let Some(end) = rest.windows(2).position(|pair| pair == [0xff, 0xff]) {
        said.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    said.push(rest);
    let mut said = said.into_iter().filter(|said| !said.is_empty());
    if which % 2 == 0 {
        INT32.talk(|talk| while said.next().is_some_and(|request| ask_int32(talk, request)) {});
    } else {
        READY.talk(|talk| while said.next().is_some_and(|request| ask_ready(talk, request, said.next())) {});
    }
}

fn classic_server(wire: Wire) -> Served {
    let exec = Exec::new(Allowed::Commands(commands()), wire).expect("commands could be run");
    Served::new(Server::bind("tcp://127.0.0.1:0").expect("there is a port"), exec)
}

/// Whether the conversation goes on.
fn ask_int32(talk: &mut Talk, request: &[u8]) -> bool {
    talk.say(request);
    let Some(length) = talk.wait_for(4) else { return false };
    let length = i32::from_ne_bytes(length.try_into().expect("these are four"));
    let length = usize::try_from(length).expect("it is a length");
    assert!(length < 4096);
    is_told_no(talk.wait_for(length));
    true
}

fn ask_ready(talk: &mut Talk, request: &[u8], answer: Option<&[u8]>) -> bool {
    talk.say(request);
    let digits = talk.wait();
    if digits.is_empty() {
        return false;
    }
    let length: usize = std::str::from_utf8(digits).expect("these are digits").parse().expect("it is a number");
    let Some(answer) = answer.and_then(|answer| answer.first_chunk::<5>()) else { return false };
    talk.say(answer);
    if answer == b"ready" {
        is_told_no(talk.wait_for(length));
        return true;
    }
    false
}

fn is_told_no(body: Option<&[u8]>) {
    let body = std::str::from_utf8(body.expect("all that was announced comes")).expect("it is text");
    let no = [
        "unknown command",
        "no command was given",
        "`never` takes",
        "argument 1 of `never`",
        "a quotation in",
        "the request is not",
    ];
    assert!(no.iter().any(|no| body.starts_with(no)) && body.ends_with('\n'), "{body:?}");
}

/// The native protocol, at the server's end.
pub fn native(data: &[u8]) {
    static SERVED: LazyLock<Served> = LazyLock::new(|| {
        let exec = Exec::native(commands(), Auth::new()).expect("there are random numbers");
        Served::new(Server::bind("tcp://127.0.0.1:0").expect("there is a port"), exec)
    });
    for said in [data, &[OPENING, data].concat()] {
        let (reply, _) = SERVED.hear(said);
        let Some(mut frames) = reply.strip_prefix(OPENING) else {
            return assert!(reply.is_empty(), "{reply:?}");
        };
        // HELLO, AUTH and REFUSED: nothing was run.
        while let [1 | 2 | 7, length @ ..] = frames {
            let (length, rest) = length.split_first_chunk().expect("a frame is whole");
            frames = rest.get(u32::from_be_bytes(*length) as usize..).expect("a frame is whole");
        }
        assert!(frames.is_empty(), "{reply:?}");
    }
}

/// A client of version 1, and one that is let in.
pub(crate) const OPENING: &[u8] = b"SSEXEC\0\x01";
