//! What the load generator reads of servers that may be anybody: never is a wrong byte taken for a right one.

use crate::servers::HANDSHAKE;
use socketserver_load::{Load, Outcome, Target};
use socketserver_proto::framing::{AnyFraming, Framing, Scan, Step};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How many messages are sent, all at once.
pub(crate) const SENT: usize = 4;

/// How the messages are told apart, and how many bytes each has. Of five bytes the messages are "00000", "10000" and so on.
const KINDS: &[(&str, usize)] = &[
    ("bytes", 5),
    ("bytes", 60),
    ("lines", 5),
    ("framed", 5),
    ("line", 5),
    ("crlf", 5),
    ("u16be", 5),
    ("u32le,inclusive", 60),
    ("netstring", 5),
    ("varint", 5),
    (r"delimiter=|,or=\r\n", 5),
    ("fixed=5", 5),
    ("u8,max=9,skip-oversized", 5),
];

/// What should have been found of a conversation.
pub(crate) struct Right {
    /// How many messages came back, the first ones, and how many bytes count of all that came.
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Whether nothing but right bytes came.
    pub(crate) is_all: bool,
}

/// Replies on a connection. The first byte tells how the messages are told apart, the second in which pieces the rest is said.
pub fn load(data: &[u8]) {
    let Some((&[kind, piece], said)) = data.split_first_chunk() else { return };
    let (name, size) = KINDS[usize::from(kind) % KINDS.len()];
    let framing: Option<AnyFraming> = match name {
        "bytes" | "lines" | "framed" => None,
        framing => Some(framing.parse().expect("it is right")),
    };
    let length = size + if name == "framed" { 4 } else { 0 };
    let load = |target| {
        let load = Load::new(target).size(size);
        match &framing {
            Some(framing) => load.framing(framing.clone()),
            None if name == "lines" => load.lines(),
            None if name == "framed" => load.framed(),
            None => load,
        }
    };
    let is_all = |heard: &[u8]| match &framing {
        Some(framing) => messages(framing, heard).0.len() == SENT,
        None => heard.len() == SENT * length,
    };
    let (outcome, sent) = meet(load, |mut stream| {
        let heard = hear(&mut stream, is_all);
        say(&mut stream, said, piece);
        heard
    });
    let right = match &framing {
        Some(framing) => right(&messages(framing, &sent).0, &messages(framing, said)),
        None => {
            let bytes = sent.iter().zip(said).take_while(|(sent, said)| sent == said).count();
            Right { messages: bytes / length, bytes, is_all: bytes == said.len() }
        }
    };
    holds(&outcome, &right);
}

/// The messages of a stream, and whether nothing in it is wrong up to its end.
fn messages<'a>(framing: &AnyFraming, mut stream: &'a [u8]) -> (Vec<&'a [u8]>, bool) {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        match framing.decode(stream, &mut Scan::default()) {
            Ok(Step::Message { body, len }) => {
                messages.push(&stream[body]);
                stream = &stream[len..];
            }
            Ok(Step::More(_)) => break,
            Ok(Step::Skip(_)) | Err(_) => return (messages, false),
        }
    }
    (messages, true)
}

/// What came back of what was sent.
pub(crate) fn right<T: AsRef<[u8]>>(sent: &[T], (said, is_right): &(Vec<&[u8]>, bool)) -> Right {
    let good = sent.iter().zip(said).take_while(|(sent, said)| sent.as_ref() == **said);
    let (messages, bytes) = good.fold((0, 0), |(messages, bytes), (_, said)| (messages + 1, bytes + said.len()));
    Right { messages, bytes, is_all: *is_right && messages == said.len() }
}

/// The generator has found what is right, and what was wrong.
pub(crate) fn holds(outcome: &Outcome, right: &Right) {
    let found = (outcome.messages, outcome.bytes, outcome.lost, outcome.in_flight);
    let count = |count: usize| u64::try_from(count).expect("it is a number");
    assert_eq!(found, (count(right.messages), count(right.bytes), count(SENT - right.messages), 0), "{outcome:?}");
    let errors = &outcome.errors;
    let wrong = errors.mismatch + errors.websocket;
    assert_eq!(errors.total(), wrong + errors.early_close, "{errors}");
    match (right.messages == SENT, right.is_all) {
        // What comes behind the last may come too late to be seen.
        (true, false) => assert!(errors.early_close == 0 && wrong <= 1, "{errors}"),
        (true, true) => assert!(errors.is_empty(), "{errors}"),
        (false, true) => assert_eq!((errors.early_close, wrong), (1, 0), "{errors}"),
        (false, false) => assert_eq!((errors.early_close, wrong), (0, 1), "{errors}"),
    }
}

/// A load of one connection, and the server that it meets.
pub(crate) fn meet<T: Send>(
    load: impl FnOnce(Target) -> Load,
    serve: impl FnOnce(UnixStream) -> T + Send,
) -> (Outcome, T) {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let name = format!("socketserver-fuzz-{}-{}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed));
    let address = SocketAddr::from_abstract_name(&name).expect("it is short");
    let listener = UnixListener::bind_addr(&address).expect("nobody else has that name");
    let target = Target::Unix(OsString::from_vec([b"\0", name.as_bytes()].concat()).into());
    let load = load(target).depth(SENT).requests(SENT as u64);
    thread::scope(|scope| {
        let server = scope.spawn(move || serve(listener.accept().expect("somebody is there").0));
        let outcome = load.run().expect("there is such a load");
        (outcome, server.join().expect("the server plays its part"))
    })
}

/// Hears until that is all, or the client has had enough.
pub(crate) fn hear(stream: &mut UnixStream, is_all: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_all(&heard) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
        }
    }
    heard
}

/// Says this in pieces of so many bytes and then no more; what the client says meanwhile is told. It need not listen.
pub(crate) fn say(stream: &mut UnixStream, said: &[u8], piece: u8) -> Vec<u8> {
    // Many pieces take their time.
    let piece = usize::from(piece).max(said.len() / 50 + 1);
    let _ = said.chunks(piece).try_for_each(|piece| stream.write_all(piece));
    let _ = stream.shutdown(Shutdown::Write);
    hear(stream, |_| false)
}

/// What a server says where TLS is to be spoken: without keys nobody gets through.
pub fn load_tls(data: &[u8]) {
    let Some((piece, said)) = data.split_first() else { return };
    let (outcome, _) = meet(
        |target| Load::new(target).tls(),
        |mut stream| {
            let hello = hear(&mut stream, |heard| !heard.is_empty());
            assert_eq!(hello.first(), Some(&HANDSHAKE));
            say(&mut stream, said, *piece)
        },
    );
    assert_eq!((outcome.opened, outcome.messages, outcome.bytes), (0, 0, 0), "{outcome:?}");
    let errors = &outcome.errors;
    assert_eq!((errors.total(), errors.tls + errors.early_close), (1, 1), "{errors}");
}

/// Packets that come back, each ended by `|`.
pub fn load_packets(data: &[u8]) {
    let server = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
    let target = Target::Udp(server.local_addr().expect("it is bound"));
    let load = Load::new(target).size(5).depth(SENT).requests(SENT as u64);
    let packets: Vec<&[u8]> = data.split(|byte| *byte == b'|').collect();
    let (outcome, sent) = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut sent = VecDeque::new();
            while sent.len() < SENT {
                let mut buffer = [0; 64];
                let (count, from) = server.recv_from(&mut buffer).expect("it is sent");
                sent.push_back(buffer[..count].to_vec());
                server.connect(from).expect("there is one client");
            }
            // Behind them one that is wrong for certain: of UDP there is no end.
            for packet in packets.iter().chain(&[&b"the end"[..]]) {
                let _ = server.send(packet);
            }
            sent
        });
        (load.run().expect("there is such a load"), served.join().expect("the server plays its part"))
    });
    // They may come in any order, each once.
    let mut waiting = sent;
    for packet in packets {
        match waiting.iter().position(|sent| sent == packet) {
            Some(place) => drop(waiting.remove(place)),
            None => break,
        }
    }
    let right = SENT - waiting.len();
    holds(&outcome, &Right { messages: right, bytes: 5 * right, is_all: false });
}
