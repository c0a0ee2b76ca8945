//! The client's side of a connection.

use crate::running;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use socketserver::client;
use socketserver_testkit::PATIENCE;
use std::io::{self, Read, Write};
use std::time::Duration;

#[test]
fn a_client_is_the_same_stream() {
    let server = running("unix:@socketserver-client");
    let mut c = client::connect("unix:@socketserver-client").unwrap();
    assert_eq!((c.id(), c.endpoint(), c.is_draining()), (0, None, false));
    c.server().shutdown();
    c.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("one"));
    // With a reply still unread a write leaves at once all the same.
    c.write_all(b"three\n").unwrap();
    assert_eq!(c.read_until(b'\n', 10).unwrap().as_deref(), Some(&b"two\n"[..]));
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("three"));
    c.close_write().unwrap();
    assert_eq!(c.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(c.read_to_end(10).unwrap(), b"");
    let error = client::connect("unix:@socketserver-nobody").unwrap_err();
    assert!(error.to_string().contains("socketserver-nobody"), "{error}");
    server.stop().unwrap();
}

#[test]
fn a_client_can_be_split() {
    let server = running("tcp://127.0.0.1:0");
    let c = client::connect(&server.handle().endpoints()[0]).unwrap();
    let (mut read, mut write) = c.split().unwrap();
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let sent = line.repeat(20_000);
    // More than all buffers hold: only who reads while they write gets through.
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || {
            write.write_all(&sent).unwrap();
            write.close().unwrap();
        }
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == sent);
    server.stop().unwrap();
}

#[test]
fn what_a_client_writes_leaves_without_a_read() {
    let server = running("unix:@socketserver-client-writes");
    let mut c = client::connect("unix:@socketserver-client-writes").unwrap();
    c.write_all(b"one\ntwo\n").unwrap();
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("one"));
    // A reply is still unread, and the client waits for the next by itself.
    assert_eq!(c.buffered(), b"two\n");
    c.write_all(b"three\n").unwrap();
    let patience = Timespec::try_from(PATIENCE).unwrap();
    assert_eq!(
        poll(&mut [PollFd::new(&c, PollFlags::IN)], Some(&patience)).unwrap(),
        1,
        "no reply to what was written"
    );
    assert_eq!(c.buffered(), b"two\n");
    assert_eq!(c.read_until(b'\n', 10).unwrap().as_deref(), Some(&b"two\n"[..]));
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("three"));
    drop(c);
    server.stop().unwrap();
}

#[test]
fn a_client_has_no_delay_and_an_idle_deadline() {
    let server = running("tcp://127.0.0.1:0");
    let mut c = client::connect(&server.handle().endpoints()[0]).unwrap();
    assert!(SockRef::from(&c).tcp_nodelay().unwrap());
    c.write_all(b"hello\n").unwrap();
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("hello"));
    // The system waits for it (`SO_RCVTIMEO`, socket(7)): so it can be seen without waiting.
    assert_eq!(SockRef::from(&c).read_timeout().unwrap(), Some(Duration::from_secs(60)));
    c.set_idle(Some(Duration::from_millis(1)));
    assert_eq!(c.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(c);
    server.stop().unwrap();
}

#[test]
fn a_time_beyond_the_clock_is_no_limit() {
    let server = running("tcp://127.0.0.1:0");
    let at = server.handle().endpoints()[0].clone();
    let connector = client::Connector::new().within(Duration::MAX);
    let mut c = connector.connect(&at).unwrap();
    c.write_all(b"hello\n").unwrap();
    assert_eq!(c.read_line(10).unwrap().as_deref(), Some("hello"));
    drop(c);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut c = connector.connect_async(&at).await.unwrap();
        c.write_all(b"hello\n").await.unwrap();
        assert_eq!(c.read_line(10).await.unwrap().as_deref(), Some("hello"));
    });
    server.stop().unwrap();
}
