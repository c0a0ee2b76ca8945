//! Connections that keep messages apart by themselves, on every model that runs in a test runner.

use crate::{Reasons, eventually};
use rustix::net::{AddressFamily, SocketType};
use socketserver::framing::Line;
use socketserver::{
    Carrier, Channel, Datagram, Error, ErrorKind, Failure, MessageHandler, Model, Overflow, Peer, Reason, Report,
    Result, Running, Serial, Server, Tasks, Threads, Where, blocking, client,
};
use socketserver_testkit::{Caller, PATIENCE, Python};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LARGEST: usize = 64 * 1024;

fn echo(message: &[u8], c: &mut Channel) -> Result {
    Ok(c.send(message)?)
}

/// A name of its own for each server.
fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("seqpacket:@socketserver-seqpacket-{}-{number}", std::process::id())
}

fn caller(server: &Running) -> Caller {
    Caller::of(&server.handle().endpoints()[0]).unwrap()
}

/// Runs it on each model, the last of them twice.
macro_rules! on_each_model {
    ($test:ident) => {
        $test(Serial::default());
        $test(Threads::default());
        $test(Tasks::new(1));
        $test(Tasks::new(2));
    };
}

fn apart(model: impl Model + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("seqpacket:{}", dir.path().join("s").display());
    let server = Server::bind([&*file, &*name()]).unwrap().spawn(model, echo).unwrap();
    for endpoint in server.handle().endpoints() {
        let caller = Caller::of(&endpoint).unwrap();
        let largest = vec![b'x'; LARGEST];
        let all: [&[u8]; 6] = [b"one", b"two, longer", b"", b"\n", b"", &largest];
        for _ in 0..3 {
            all.iter().for_each(|message| caller.send(message));
            all.iter().for_each(|message| caller.expect(message));
        }
        // What was sent before the end is answered after it, and an empty message is none.
        all.iter().for_each(|message| caller.send(message));
        caller.end();
        all.iter().for_each(|message| caller.expect(message));
        caller.expect_end();
    }
    let report = server.stop().unwrap();
    let sent = 2 * 4 * (LARGEST as u64 + 15);
    assert_eq!((report.totals.read, report.totals.written, report.totals.failed), (sent, sent, 0));
    assert!(!dir.path().join("s").exists());
}

#[test]
fn packets_of_a_connection_are_messages() {
    on_each_model!(apart);
}

/// What a handler is told of a failure.
struct Told(Arc<Mutex<Vec<String>>>);

impl MessageHandler for Told {
    type State = ();
    fn open(&self, _: &mut Channel) -> Result {
        Ok(())
    }
    fn message(&self, (): &mut (), message: &[u8], c: &mut Channel) -> Result {
        echo(message, c)
    }
    fn on_error(&self, error: &Failure, _: &Peer) {
        self.0.lock().unwrap().push(error.to_string());
    }
}

fn too_long(model: impl Model + Send + 'static) {
    let told = Arc::default();
    let reasons = Arc::new(Reasons::default());
    // The framing is not used, and neither is its limit.
    let handler = Told(Arc::clone(&told)).framed(Line::new().max(3)).max_message(10);
    let server = Server::bind(name()).unwrap().observe(reasons.clone()).spawn(model, handler).unwrap();
    let caller = caller(&server);
    ["0123456789", "ten\nat\nmost", "0123456789\n"].iter().for_each(|message| caller.send(message));
    caller.expect("0123456789");
    caller.expect_end();
    eventually(|| !reasons.0.lock().unwrap().is_empty());
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::BadMessage]);
    assert_eq!(*told.lock().unwrap(), ["a frame of 11 bytes is longer than the limit of 10"]);
    server.stop().unwrap();
}

#[test]
fn a_message_that_is_too_long_ends_the_connection() {
    on_each_model!(too_long);
}

/// More than any send buffer has room for.
const FAR_TOO_LONG: usize = 16 * 1024 * 1024;

fn cannot_be_sent(model: impl Model + Send + 'static) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let handler = move |_: &[u8], c: &mut Channel| {
        let error = c.send(&vec![0; FAR_TOO_LONG]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
        c.outbox().push(vec![0; FAR_TOO_LONG]).unwrap();
        c.outbox().push(*b"pushed").unwrap();
        tell.lock().unwrap().send(c.outbox())?;
        Ok(c.send(error.to_string().as_bytes())?)
    };
    let handler = handler.framed(Line::new()).max_message(usize::MAX).outbox(10, usize::MAX);
    let server = Server::bind(name()).unwrap().spawn(model, handler).unwrap();
    let caller = caller(&server);
    let reply = String::from_utf8(caller.ask("try")).unwrap();
    let limit = reply.strip_prefix("a message of 16777216 bytes is longer than the limit of ").unwrap();
    assert!(limit.parse::<usize>().unwrap() > LARGEST, "{reply}");
    // That message alone is lost.
    caller.expect("pushed");
    assert_eq!(told.recv().unwrap().dropped(), 1);
    server.stop().unwrap();
}

#[test]
fn a_message_that_the_socket_does_not_take_is_the_senders_error() {
    on_each_model!(cannot_be_sent);
}

fn large(model: impl Model + Send + 'static) {
    // More than a buffer of ours has, less than the system's.
    let max = 150_000;
    let server = Server::bind(name()).unwrap().spawn(model, echo.framed(Line::new()).max_message(max)).unwrap();
    let (caller, largest) = (caller(&server), vec![b'x'; max]);
    for _ in 0..3 {
        caller.send("");
        caller.send(&largest);
        caller.expect("");
        caller.expect(&largest);
    }
    server.stop().unwrap();
}

#[test]
fn messages_may_be_longer_than_a_buffer() {
    on_each_model!(large);
}

fn ends(model: impl Model + Send + 'static) {
    let reasons = Arc::new(Reasons::default());
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let handler = move |message: &[u8], c: &mut Channel| {
        if message == b"end" {
            c.send(b"goodbye")?;
            c.end();
        }
        Ok(tell.lock().unwrap().send((message.to_vec(), c.outbox()))?)
    };
    let handler = handler.framed(Line::new()).outbox(2, LARGEST).overflow(Overflow::Disconnect);
    let server = Server::bind(name()).unwrap().observe(reasons.clone()).spawn(model, handler).unwrap();
    let next = || told.recv_timeout(PATIENCE).unwrap();
    let ended = |count: usize| {
        eventually(|| reasons.0.lock().unwrap().len() >= count);
        reasons.0.lock().unwrap()[count - 1]
    };

    // By the handler, while more comes: the peer hears the last of it, and the end.
    let peer = caller(&server);
    peer.send("end");
    peer.send("after the end");
    peer.send("");
    peer.expect("goodbye");
    assert_eq!(next().0, b"end");
    peer.end();
    peer.expect_end();
    assert_eq!(ended(1), Reason::Finished);

    // Kicked while it waits.
    let peer = caller(&server);
    peer.send("hello");
    assert_eq!(next().0, b"hello");
    let id = server.handle().connections()[0].id;
    assert!(server.handle().kick(id));
    peer.expect_end();
    assert_eq!(ended(2), Reason::Kicked);

    // A peer that takes nothing of what is pushed to it.
    let peer = caller(&server);
    peer.send("hello");
    let outbox = next().1;
    while outbox.push(vec![0; LARGEST / 2]).is_ok() {}
    assert!(outbox.is_closed());
    assert_eq!(ended(3), Reason::Overflow);
    drop(peer);

    // A peer that leaves what it was sent: the kernel tells of that before what it had sent.
    let peer = caller(&server);
    peer.send("first");
    let outbox = next().1;
    outbox.push(*b"never read").unwrap();
    eventually(|| outbox_is_taken(&peer));
    peer.send("second");
    peer.send("third");
    drop(peer);
    assert_eq!((next().0, next().0), (b"second".to_vec(), b"third".to_vec()));
    assert_eq!(ended(4), Reason::Disconnected);
    server.stop().unwrap();
}

/// Something has come to the peer.
fn outbox_is_taken(peer: &Caller) -> bool {
    rustix::io::ioctl_fionread(peer.as_fd()).unwrap() > 0
}

#[test]
fn each_end_has_its_reason() {
    on_each_model!(ends);
}

fn never_reads(model: impl Model + Send + 'static) {
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind(name()).unwrap().observe(reasons.clone()).write_timeout(Duration::from_millis(50));
    let flood = |_: &[u8], c: &mut Channel| (0..1000).try_for_each(|_| Ok(c.send(&[0; 10_000])?));
    let server = server.spawn(model, flood).unwrap();
    let peer = caller(&server);
    peer.send("more");
    eventually(|| reasons.0.lock().unwrap().len() == 1);
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::WriteTimeout]);
    drop(peer);
    server.stop().unwrap();
}

#[test]
fn a_peer_that_never_reads_is_cut() {
    on_each_model!(never_reads);
}

fn drains(model: impl Model + Send + 'static) {
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind(name()).unwrap().observe(reasons.clone()).spawn(model, echo).unwrap();
    let peer = caller(&server);
    assert_eq!(peer.ask("hello"), b"hello");
    let report = server.stop().unwrap();
    assert!(report.is_clean(), "{report:?}");
    peer.expect_end();
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Drained]);
}

#[test]
fn a_drain_ends_those_that_wait() {
    on_each_model!(drains);
}

fn idle(model: impl Model + Send + 'static) {
    let reasons = Arc::new(Reasons::default());
    let server = Server::bind(name()).unwrap().observe(reasons.clone()).idle(Duration::from_millis(50));
    let server = server.spawn(model, echo).unwrap();
    let peer = caller(&server);
    assert_eq!(peer.ask(""), b"");
    peer.expect_end();
    eventually(|| reasons.0.lock().unwrap().len() == 1);
    assert_eq!(*reasons.0.lock().unwrap(), [Reason::Idle]);
    server.stop().unwrap();
}

#[test]
fn the_idle_deadline_holds() {
    on_each_model!(idle);
}

#[test]
fn facts_of_a_connection_that_keeps_messages_apart() {
    let facts = |_: &[u8], c: &mut Channel| {
        assert_eq!(c.carrier(), Carrier::Records);
        c.set_label("labelled");
        let credentials = c.peer().credentials().ok_or("no credentials")?;
        Ok(c.send(format!("{} {}", credentials.pid, c.carrier()).as_bytes())?)
    };
    let server = Server::bind(name()).unwrap().spawn(Threads::default(), facts).unwrap();
    let peer = caller(&server);
    assert_eq!(peer.ask(""), format!("{} records", std::process::id()).as_bytes());
    assert_eq!(server.handle().connections()[0].label.as_deref(), Some("labelled"));
    drop(peer);
    server.stop().unwrap();
}

#[test]
fn descriptors_that_come_along_are_not_taken() {
    let server = Server::bind(name()).unwrap().spawn(Threads::default(), echo).unwrap();
    let peer = caller(&server);
    let (read, mut write) = std::io::pipe().unwrap();
    socketserver_sys::send_descriptor(&peer, &read, 7).unwrap();
    drop(read);
    peer.expect(7_u64.to_ne_bytes());
    assert_eq!(write.write(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe, "nobody can read it");
    drop(peer);
    server.stop().unwrap();
}

#[test]
fn the_file_of_such_a_socket_is_as_that_of_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let endpoint = format!("seqpacket:{}", path.display());
    // A dead one of either kind is replaced, a live one of either kind is left alone.
    drop(UnixListener::bind(&path).unwrap());
    for query in ["", "?mode=660"] {
        let server = Server::bind(format!("{endpoint}{query}")).unwrap();
        let mode = if query.is_empty() { 0o600 } else { 0o660 };
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        for other in [&endpoint, &endpoint.replace("seqpacket", "unix"), &endpoint.replace("seqpacket", "unixgram")] {
            assert_eq!(Server::bind(other).unwrap_err().kind(), ErrorKind::InUse);
        }
        drop(server);
        assert!(!path.exists());
        let dead = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&dead, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    }
    let live = UnixListener::bind(dir.path().join("t")).unwrap();
    let other = format!("seqpacket:{}", dir.path().join("t").display());
    assert_eq!(Server::bind(&other).unwrap_err().kind(), ErrorKind::InUse);
    drop(live);
}

#[test]
fn a_socket_that_was_made_elsewhere_is_served() {
    let name = format!("socketserver-seqpacket-elsewhere-{}", std::process::id());
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let addr = rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
    rustix::net::bind(&listener, &addr).unwrap();
    let error = Server::bind(vec![Where::from(listener.try_clone().unwrap())]).unwrap_err();
    assert!(error.to_string().contains("does not listen"), "{error}");
    rustix::net::listen(&listener, 10).unwrap();
    let server = Server::bind(listener).unwrap().spawn(Threads::default(), echo).unwrap();
    assert_eq!(server.handle().endpoints()[0].to_string(), format!("seqpacket:@{name}"));
    let peer = caller(&server);
    assert_eq!((peer.ask(""), peer.ask("one")), (Vec::new(), b"one".to_vec()));
    drop(peer);
    server.stop().unwrap();
}

#[test]
fn what_would_lose_the_messages_is_refused() {
    let bind = || Server::bind("seqpacket:@socketserver-seqpacket-refused").unwrap();
    let bytes = |c: &mut blocking::Stream| Ok(c.write_all(b"")?);
    let packets = |_: &mut Datagram| Ok(());
    let refused = |served: std::result::Result<Report, Error>, takes| {
        let error = served.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            format!(
                "whole messages come to `seqpacket:@socketserver-seqpacket-refused`, and the handler takes {takes}: a \
                 message handler, `|m: &[u8], c: &mut Channel| …`, takes them"
            )
        );
    };
    refused(bind().serve(Threads::default(), bytes), "bytes");
    refused(bind().serve(Threads::default(), (bytes, packets)), "bytes");
    refused(bind().serve(Threads::default(), packets), "packets");
    refused(bind().serve(Tasks::new(1), async |_: &mut socketserver::Stream| Ok(())), "bytes");
    let error = client::connect("seqpacket:@nobody").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "`seqpacket:@nobody` takes whole messages, and a stream has none: a socket of the kind `SOCK_SEQPACKET` \
         (`unix(7)`) talks to it"
    );
    assert_eq!(client::datagram("seqpacket:@nobody").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn python_speaks_in_whole_messages() {
    let Some(python) = Python::find() else { return };
    let upper = |message: &[u8], c: &mut Channel| Ok(c.send(&message.to_ascii_uppercase())?);
    let server = Server::bind(name()).unwrap().spawn(Tasks::new(2), upper).unwrap();
    let printed = python.client(
        &server.handle().endpoints()[0].to_string(),
        "with connect() as s:\n\
         \x20   for m in b'one', b'', b'two\\nlines':\n\
         \x20       assert s.send(m) == len(m)\n\
         \x20   s.shutdown(socket.SHUT_WR)\n\
         \x20   print(s.recv(100), s.recv(100), s.recv(100), s.recv(100), s.recv(100))",
    );
    assert_eq!(printed, "b'ONE' b'' b'TWO\\nLINES' b'' b''\n");
    server.stop().unwrap();
}
