//! Whole messages over streams and packets, on every model that runs in a test runner.

use crate::{Reasons, eventually};
use socketserver::framing::Line;
use socketserver::{
    AsyncMessageHandler, Channel, ErrorKind, MessageHandler, Model, Outbox, Overflow, Reason, Result, Running, Serial,
    Server, Tasks, Threads, blocking, client,
};
use socketserver_testkit::{Caller, Client, PATIENCE};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn echo(message: &[u8], c: &mut Channel) -> Result {
    Ok(c.send(message)?)
}

/// Serves lines over TCP.
pub(crate) fn serve<H>(model: impl Model + Send + 'static, handler: H) -> Running
where
    H: MessageHandler + Send + Sync + 'static,
{
    Server::bind("tcp://127.0.0.1:0").unwrap().spawn(model, handler.framed(Line::new())).unwrap()
}

/// Serves them, and gives the outbox of each peer that says something away.
fn serve_outboxes(model: impl Model + Send + 'static) -> (Running, Receiver<Outbox>) {
    let (tell, told) = channel();
    (serve(model, move |_: &[u8], c: &mut Channel| Ok(tell.send(c.outbox())?)), told)
}

pub(crate) fn connect(server: &Running) -> blocking::Stream {
    client::connect(&server.handle().endpoints()[0]).unwrap()
}

/// Runs a test on each model that runs in a test runner.
macro_rules! on_each_model {
    ($test:ident $(, $argument:expr)*) => {
        $test(Serial::default() $(, $argument)*);
        $test(Threads::default() $(, $argument)*);
        $test(Tasks::new(1) $(, $argument)*);
    };
}
pub(crate) use on_each_model;

fn talk(model: impl Model + Send + 'static) {
    let server = serve(model, echo);
    let mut c = connect(&server);
    c.write_all(b"hello\nworld\neg").unwrap();
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("hello"));
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("world"));
    c.write_all(b"on\n").unwrap();
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("egon"));
    c.write_all(b"last").unwrap();
    c.close_write().unwrap();
    assert_eq!(c.read_line(100).unwrap().as_deref(), Some("last"));
    assert_eq!(c.read_line(100).unwrap(), None);
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}

#[test]
fn lines_are_whole_on_each_model() {
    on_each_model!(talk);
}

fn talk_in_packets(model: impl Model + Send + 'static) {
    let server = Server::bind("udp://127.0.0.1:0").unwrap().spawn(model, echo).unwrap();
    let peer = Caller::of(&server.handle().endpoints()[0]).unwrap();
    for said in ["one\ntwo", "three"] {
        peer.send(said);
        peer.expect(said);
    }
    server.stop().unwrap();
}

#[test]
fn packets_are_messages() {
    talk_in_packets(Threads::default());
    talk_in_packets(Tasks::new(1));
}

#[test]
fn what_cannot_be_is_refused_in_plain_words() {
    let refused = Server::bind("tcp://127.0.0.1:0").unwrap().serve(Threads::default(), echo).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("nobody said how messages are told apart"), "{refused}");
    let refused = Server::bind("udp://127.0.0.1:0").unwrap().serve(Serial::default(), echo).unwrap_err();
    assert!(refused.to_string().contains("`Serial` has nobody who would sort them"), "{refused}");
}

#[cfg(not(feature = "websocket"))]
#[test]
fn without_the_feature_websocket_is_refused_at_bind() {
    let refused = Server::bind("ws://127.0.0.1:0/chat").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("needs the feature `websocket`"), "{refused}");
}

/// What is pushed from elsewhere reaches a peer that sends nothing.
fn push(model: impl Model + Send + 'static) {
    let (server, told) = serve_outboxes(model);
    let mut c = connect(&server);
    c.write_all(b"hello\n").unwrap();
    let outbox = told.recv().unwrap();
    for round in 0..100 {
        outbox.push(format!("news {round}").into_bytes()).unwrap();
        assert_eq!(c.read_line(100).unwrap(), Some(format!("news {round}")));
    }
    drop(c);
    server.stop().unwrap();
    assert!(outbox.is_closed());
    assert_eq!(outbox.push(*b"late"), Err(socketserver::PushError::Closed));
}

#[test]
fn a_push_wakes_a_connection_that_waits() {
    on_each_model!(push);
}

/// Whoever is told more than it can take in is still heard.
fn flood(model: impl Model + Send + 'static) {
    let (tell, told) = channel();
    let handler = move |message: &[u8], c: &mut Channel| {
        if message == b"enough" {
            c.end();
        }
        Ok(tell.send(c.outbox())?)
    };
    let server = serve(model, handler);
    let mut c = connect(&server);
    c.write_all(b"more\n").unwrap();
    let outbox = told.recv().unwrap();
    let flooder = std::thread::spawn(move || while outbox.blocking_send(vec![b'x'; 1000]).is_ok() {});
    c.read_exact(&mut [0; 100_000]).unwrap();
    c.write_all(b"enough\n").unwrap();
    while c.read(&mut [0; 65_536]).unwrap() > 0 {}
    flooder.join().unwrap();
    server.stop().unwrap();
}

#[test]
fn a_flood_of_pushes_leaves_room_for_what_comes_in() {
    on_each_model!(flood);
}

/// What was pushed before the end reaches the peer, and nobody who goes on pushing keeps the connection from ending.
fn end(model: impl Model + Send + 'static) {
    let (tell, told) = channel();
    let handler = move |message: &[u8], c: &mut Channel| {
        let outbox = c.outbox();
        for word in ["all", "is", "said"] {
            outbox.push(word.as_bytes())?;
        }
        if message == b"end" {
            c.end();
        }
        Ok(tell.send(outbox)?)
    };
    let server = serve(model, handler);
    for said in ["end", "and on"] {
        let mut c = connect(&server);
        c.write_all(format!("{said}\n").as_bytes()).unwrap();
        c.close_write().unwrap();
        let outbox = told.recv().unwrap();
        let flooder = std::thread::spawn(move || while outbox.blocking_send(*b"more").is_ok() {});
        let heard = String::from_utf8(c.read_to_end(1 << 30).unwrap()).unwrap();
        assert!(heard.starts_with("all\nis\nsaid\n"), "{said}: {}", &heard[..heard.len().min(50)]);
        flooder.join().unwrap();
    }
    server.stop().unwrap();
}

#[test]
fn what_was_pushed_before_the_end_arrives_and_nothing_puts_the_end_off() {
    on_each_model!(end);
}

/// What was pushed before the end still arrives; nothing can be pushed after it.
fn end_from_outside(model: impl Model + Send + 'static) {
    let (server, told) = serve_outboxes(model);
    let mut c = connect(&server);
    c.write_all(b"hello\n").unwrap();
    let outbox = told.recv().unwrap();
    let news = vec![b'x'; 1000];
    for _ in 0..500 {
        outbox.push(&*news).unwrap();
    }
    outbox.end();
    outbox.end();
    assert!(outbox.is_closed());
    assert_eq!(outbox.push(*b"late"), Err(socketserver::PushError::Closed));
    assert_eq!(c.read_to_end(1_000_000).unwrap().len(), 500 * 1001);
    drop(c);
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}

#[test]
fn an_outbox_ends_the_conversation_once_what_was_pushed_has_left() {
    on_each_model!(end_from_outside);
}

/// A session too: the peer's next packet begins another.
#[test]
fn an_outbox_ends_a_session() {
    let (tell, told) = channel();
    let give = move |_: &[u8], c: &mut Channel| Ok(tell.send((c.id(), c.outbox()))?);
    let server = Server::bind("udp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), give).unwrap();
    let peer = Caller::of(&server.handle().endpoints()[0]).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..2 {
        peer.send("hello");
        let (id, outbox) = told.recv().unwrap();
        assert!(ids.insert(id));
        outbox.push(*b"bye").unwrap();
        outbox.end();
        peer.expect("bye");
        eventually(|| server.handle().totals().accepted == server.handle().totals().closed);
    }
    server.stop().unwrap();
}

/// Waits for ever with each message, and tells when it is open, waits and is closed.
struct Stuck(Sender<&'static str>);

impl AsyncMessageHandler for Stuck {
    type State = ();
    async fn open(&self, _: &mut Channel) -> Result {
        Ok(self.0.send("open")?)
    }
    async fn message(&self, (): &mut (), _: &[u8], _: &mut Channel) -> Result {
        self.0.send("waits")?;
        std::future::pending().await
    }
    fn close(&self, (): (), _: &mut Channel) {
        let _ = self.0.send("close");
    }
}

#[test]
fn what_waits_at_the_drains_deadline_is_closed_whatever_carries_it() {
    let name = format!("seqpacket:@socketserver-messages-stuck-{}", std::process::id());
    for endpoint in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", &name] {
        let (tell, told) = channel();
        let server = Server::bind(endpoint).unwrap().drain_deadline(Duration::from_millis(50));
        let server = server.spawn(Tasks::new(1), Stuck(tell).framed(Line::new())).unwrap();
        let at = &server.handle().endpoints()[0];
        // Either is there until the end.
        let (client, caller) = (Client::connect(at), Caller::of(at));
        match (client, &caller) {
            (Ok(mut client), _) => client.say("hello\n"),
            (_, Ok(caller)) => caller.send("hello"),
            (_, Err(error)) => panic!("{endpoint}: {error}"),
        }
        assert_eq!([0; 2].map(|_| told.recv_timeout(PATIENCE).unwrap()), ["open", "waits"], "{endpoint}");
        assert_eq!(server.stop().unwrap().cut.len(), 1, "{endpoint}");
        assert_eq!(told.iter().collect::<Vec<_>>(), ["close"], "{endpoint}");
    }
}

#[test]
fn what_waits_when_a_run_is_dropped_is_closed() {
    let (tell, told) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let mut client = client::connect(&server.endpoints()[0]).unwrap();
    client.write_all(b"hello\n").unwrap();
    runtime.block_on(async {
        let waits = async {
            while told.try_recv() != Ok("waits") {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = server.run(Stuck(tell).framed(Line::new())) => unreachable!("nobody stops it"),
            () = waits => {}
        }
    });
    assert_eq!(told.iter().collect::<Vec<_>>(), ["close"]);
}

/// Says more than fits to a peer that does not read. At the close it lets that one read, and says something else.
struct Wordy {
    closes: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl MessageHandler for Wordy {
    type State = ();
    fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    fn message(&self, (): &mut (), _: &[u8], c: &mut Channel) -> Result {
        Ok(c.send(&vec![b'x'; 32 << 20])?)
    }
    fn close(&self, (): (), c: &mut Channel) {
        self.closes.send(()).unwrap();
        self.go_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        c.send(b"bye").unwrap();
    }
}

fn torn(model: impl Model + Send + 'static) {
    let ((closes, closing), (go, go_on)) = (channel(), channel());
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().write_timeout(Duration::from_millis(50));
    let handler = Wordy { closes, go_on: Mutex::new(go_on) }.framed(Line::new().max(64 << 20));
    let server = server.spawn(model, handler).unwrap();
    let mut c = connect(&server);
    c.write_all(b"hello\n").unwrap();
    closing.recv_timeout(PATIENCE).unwrap();
    // Now there is room.
    c.read_exact(&mut vec![0; 1 << 20]).unwrap();
    go.send(()).unwrap();
    let rest = c.read_to_end(64 << 20).unwrap();
    assert!(
        rest.iter().all(|byte| *byte == b'x'),
        "it ends with {:?}",
        rest.escape_ascii().to_string().split_off(rest.len() - 8)
    );
    server.stop().unwrap();
}

/// The write deadline has ended it in the middle of a message: the peer would take what came next for the rest of that.
#[test]
fn after_part_of_a_message_nothing_is_said() {
    on_each_model!(torn);
}

#[test]
fn a_packet_that_is_too_long_for_any_is_its_senders_error() {
    let long = |_: &[u8], c: &mut Channel| {
        let error = c.send(&[0; 65_536]).unwrap_err();
        Ok(c.send(error.to_string().as_bytes())?)
    };
    let handler = || long.unframed().max_message(100_000);
    for server in [
        Server::bind("udp://127.0.0.1:0").unwrap().spawn(Threads::default(), handler()).unwrap(),
        Server::bind("udp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), handler()).unwrap(),
    ] {
        let peer = Caller::of(&server.handle().endpoints()[0]).unwrap();
        peer.send("hello");
        peer.expect("a message of 65536 bytes is longer than the limit of 65535");
        server.stop().unwrap();
    }
}

/// Is pushed more than its outbox holds while its handler is at work, so it is not there to see it.
fn overflows_at_work(model: impl Model + Send + 'static, at: &str) {
    let flood = |_: &[u8], c: &mut Channel| {
        let outbox = c.outbox();
        while outbox.push(*b"more").is_ok() {}
        assert!(outbox.is_closed());
        Ok(())
    };
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind(at).unwrap().observe(reasons.clone());
    let server = server.spawn(model, flood.framed(Line::new()).outbox(2, 100)).unwrap();
    let at = &server.handle().endpoints()[0];
    if let Ok(mut client) = Client::connect(at) {
        client.say("hello\n");
        client.expect_gone();
    } else {
        Caller::of(at).unwrap().send("hello");
    }
    // It is counted before it is told.
    eventually(|| !reasons.0.lock().unwrap().is_empty());
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Overflow], "{at}");
    server.stop().unwrap();
}

#[test]
fn who_is_cut_for_an_overflow_while_its_handler_works_has_that_for_a_reason() {
    overflows_at_work(Serial::default(), "tcp://127.0.0.1:0");
    for at in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"] {
        overflows_at_work(Threads::default(), at);
        overflows_at_work(Tasks::new(1), at);
    }
}

/// That no outbox holds a message is its sender's affair: nobody is cut off for it.
#[test]
fn a_message_that_is_longer_than_an_outbox_costs_nobody_the_connection() {
    let (tell, told) = channel();
    let give = move |_: &[u8], c: &mut Channel| Ok(tell.send(c.outbox())?);
    for policy in [Overflow::Disconnect, Overflow::DropOldest, Overflow::DropNewest] {
        let handler = give.clone().framed(Line::new()).outbox(10, 1000).overflow(policy);
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().spawn(Tasks::new(1), handler).unwrap();
        let mut c = connect(&server);
        c.write_all(b"hello\n").unwrap();
        let outbox = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(outbox.push(vec![b'x'; 1001]), Err(socketserver::PushError::Full));
        assert_eq!(outbox.dropped(), 1);
        outbox.push(*b"all is well").unwrap();
        assert_eq!(c.read_line(100).unwrap().as_deref(), Some("all is well"));
        drop(c);
        server.stop().unwrap();
    }
}
