//! Whole messages over streams that somebody holds: clients, and stream handlers.

use socketserver::framing::{LengthPrefix, Line};
use socketserver::{Serial, Server, Stream, Tasks, blocking, client};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

/// A client, and the other end as bytes.
fn connected() -> (blocking::Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = client::connect(format!("tcp://{address}")).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_client_receives_what_is_whole_however_it_was_cut() {
    let (client, mut peer) = connected();
    let mut client = client.into_framed(LengthPrefix::u16_be().max(100_000));
    let long = vec![7; 60_000];
    let frames = [b"\0\x03one\0\0", &60_000_u16.to_be_bytes()[..], &long].concat();
    let writer = std::thread::spawn(move || {
        for piece in [&frames[..1], &frames[1..4], &frames[4..8], &frames[8..]] {
            peer.write_all(piece).unwrap();
        }
    });
    let mut message = b"something".to_vec();
    for expected in [&b"one"[..], b"", &long] {
        assert!(client.recv_into(&mut message).unwrap());
        assert_eq!(message, expected);
    }
    writer.join().unwrap();
    for _ in 0..2 {
        assert!(!client.recv_into(&mut message).unwrap());
        assert!(message.is_empty());
    }
}

#[test]
fn input_that_ends_in_a_message_and_input_that_is_none_are_errors() {
    let (client, mut peer) = connected();
    let mut client = client.into_framed(LengthPrefix::u32_be().max(10));
    peer.write_all(b"\0\0\0\x02ok\0\0\0\x05cut").unwrap();
    drop(peer);
    assert_eq!(client.recv().unwrap().as_deref(), Some(&b"ok"[..]));
    assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::UnexpectedEof);

    let (client, mut peer) = connected();
    let mut client = client.into_framed(LengthPrefix::u32_be().max(10));
    peer.write_all(b"\0\0\0\x02ok\x70\0\0\0").unwrap();
    assert_eq!(client.recv().unwrap().as_deref(), Some(&b"ok"[..]));
    for _ in 0..2 {
        let error = client.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("the limit of 10"), "{error}");
    }
    // A last line need not end; a frame that is passed over is none.
    let (client, mut peer) = connected();
    let mut client = client.into_framed(Line::new().max(4).skip_oversized());
    peer.write_all(b"one\noversized\ntwo").unwrap();
    drop(peer);
    for line in ["one", "two"] {
        assert_eq!(client.recv().unwrap().as_deref(), Some(line.as_bytes()));
    }
    assert_eq!(client.recv().unwrap(), None);
}

#[test]
fn what_is_fed_leaves_in_order_and_what_cannot_be_told_does_not() {
    let (client, peer) = connected();
    let mut client = client.into_framed(Line::new().max(1000));
    assert_eq!(client.send(b"two\nlines").unwrap_err().kind(), ErrorKind::InvalidInput);
    client.feed(b"one").unwrap();
    assert_eq!(client.feed(&[b'x'; 1001]).unwrap_err().kind(), ErrorKind::InvalidInput);
    client.send(b"two").unwrap();
    client.send_all(["three", "four"]).unwrap();
    client.feed(b"five").unwrap();
    client.close().unwrap();
    assert_eq!(std::io::read_to_string(peer).unwrap(), "one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn much_that_is_fed_leaves_by_itself() {
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let server = server.spawn(Serial::default(), |c: &mut blocking::Stream| {
        let (mut c, mut count) = (c.framed(LengthPrefix::u16_le()), 0_u64);
        while let Some(message) = c.recv()? {
            assert_eq!(message.len(), 1000);
            count += 1;
        }
        Ok(c.send(&count.to_be_bytes())?)
    });
    let server = server.unwrap();
    let (mut from, mut to) =
        client::connect(&server.handle().endpoints()[0]).unwrap().into_framed(LengthPrefix::u16_le()).split().unwrap();
    for _ in 0..10_000 {
        to.feed(&[1; 1000]).unwrap();
    }
    to.close().unwrap();
    assert_eq!(from.recv().unwrap().unwrap(), 10_000_u64.to_be_bytes());
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}

#[test]
fn a_receive_that_is_dropped_has_taken_nothing() {
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let server = server.spawn(Tasks::new(1), async |c: &mut Stream| {
        let mut c = c.framed(LengthPrefix::u16_be());
        let message = loop {
            tokio::select! {
                biased;
                message = c.recv() => break message?.ok_or("no message")?,
                // Given up as often as there is no message yet.
                () = tokio::task::yield_now() => {}
            }
        };
        Ok(c.send(&message).await?)
    });
    let server = server.unwrap();
    let mut client = client::connect(&server.handle().endpoints()[0]).unwrap();
    for byte in *b"\0\x05hello" {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.into_framed(LengthPrefix::u16_be()).recv().unwrap().as_deref(), Some(&b"hello"[..]));
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}

#[test]
fn a_send_that_is_dropped_tears_no_frame() {
    // More than the system holds.
    const LONG: usize = 32 << 20;
    let framing = LengthPrefix::u32_be().max(LONG);
    let (dropped, wait) = mpsc::channel();
    let server = Server::bind("tcp://127.0.0.1:0").unwrap();
    let server = server.spawn(Tasks::new(1), async move |c: &mut Stream| {
        let (mut c, long) = (c.framed(framing), vec![b'x'; LONG]);
        tokio::select! {
            biased;
            _ = c.send(&long) => Err("nobody reads, and it is sent")?,
            // It has its turn, and the socket takes some of it.
            () = async { for _ in 0..3 { tokio::task::yield_now().await } } => {}
        }
        dropped.send(())?;
        c.send(b"begun after it").await?;
        c.close().await?;
        Ok(())
    });
    let server = server.unwrap();
    let mut client = client::connect(&server.handle().endpoints()[0]).unwrap().into_framed(framing);
    wait.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(client.recv().unwrap().unwrap().iter().all(|&byte| byte == b'x'));
    assert_eq!(client.recv().unwrap().as_deref(), Some(&b"begun after it"[..]));
    assert_eq!(client.recv().unwrap(), None);
    assert_eq!(server.stop().unwrap().totals.failed, 0);
}
