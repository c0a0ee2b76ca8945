//! Reading and writing.

use crate::sources::from_a_source;
use crate::{connect, echo};
use rustix::net::{RecvFlags, SendFlags};
use socketserver::{Serial, Server, blocking};
use socketserver_testkit::PATIENCE;
use std::io::{self, BufRead, Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;

#[test]
fn reads_are_bounded_and_say_so() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let too_long = c.read_until(b'\n', 8).unwrap_err();
            // What was too long stays to be read.
            let mut nine = [0; 9];
            c.read_exact(&mut nine)?;
            let exactly = c.read_until(b'\n', 8)?;
            let utf8 = c.read_line(100).unwrap_err();
            let too_much = c.read_to_end(3).unwrap_err();
            send.lock().unwrap().send((too_long.to_string(), exactly, utf8.kind(), too_much.to_string()))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("123456789");
    client.say("1234567\n");
    client.say(b"\xff\n");
    client.say("four");
    client.end();
    client.expect_end();
    let (too_long, exactly, utf8, too_much) = seen.recv_timeout(PATIENCE).unwrap();
    assert!(too_long.contains('8'), "{too_long}");
    assert_eq!(exactly.as_deref(), Some(&b"1234567\n"[..]));
    assert_eq!(utf8, io::ErrorKind::InvalidData);
    assert!(too_much.contains('3'), "{too_much}");
    server.stop().unwrap();
}

#[test]
fn one_buffer_serves_many_lines() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let mut bytes = b"what was there".to_vec();
            let mut found = Vec::new();
            while c.read_until_into(b';', 8, &mut bytes)? {
                found.push(bytes.clone());
                if bytes == b"text;" {
                    break;
                }
            }
            let mut line = String::from("what was there");
            while c.read_line_into(8, &mut line)? {
                found.push(line.clone().into_bytes());
            }
            send.lock().unwrap().send((found, line))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("a;;text;eins\r\n\nzwei\n");
    client.end();
    client.expect_end();
    let (found, at_end) = seen.recv_timeout(PATIENCE).unwrap();
    let expected = ["a;", ";", "text;", "eins", "", "zwei"];
    assert_eq!(found, expected.map(|text| text.as_bytes().to_vec()));
    assert_eq!(at_end, "");
    server.stop().unwrap();
}

#[test]
fn a_line_that_is_refused_leaves_the_buffer_empty() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let (mut line, mut bytes) = (String::from("old"), b"old".to_vec());
            let not_text = c.read_line_into(8, &mut line).unwrap_err();
            let too_long = c.read_until_into(b'\n', 4, &mut bytes).unwrap_err();
            send.lock().unwrap().send((not_text.kind(), line, too_long.kind(), bytes))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say(b"\xff\n");
    client.say("12345\n");
    let (not_text, line, too_long, bytes) = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!((not_text, too_long), (io::ErrorKind::InvalidData, io::ErrorKind::InvalidData));
    assert!(line.is_empty() && bytes.is_empty(), "{line:?} {bytes:?}");
    server.stop().unwrap();
}

#[test]
fn an_input_that_ends_too_early_says_where() {
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            let error = c.read_exact(&mut [0; 10]).unwrap_err();
            c.write_all(format!("{:?}: {error}", error.kind()).as_bytes())?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("four");
    client.end();
    assert_eq!(client.hear_all().unwrap(), b"UnexpectedEof: the input ended after 4 of 10 bytes");
    server.stop().unwrap();
}

#[test]
fn a_stream_is_a_std_reader_and_writer() {
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), |c: &mut blocking::Stream| {
            let mut line = String::new();
            BufRead::read_line(c, &mut line)?;
            let mut rest = Vec::new();
            Read::read_to_end(c, &mut rest)?;
            write!(c, "{} {}", line.trim_end(), rest.len())?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.say("hello\nworld");
    client.end();
    assert_eq!(client.hear_all().unwrap(), b"hello 5");
    server.stop().unwrap();
}

#[test]
fn replies_to_input_that_came_together_leave_together() {
    let (server, feed) = from_a_source();
    let server = server.spawn(Serial::default(), echo).unwrap();
    let client = feed.connect();
    let exchange = |sent: &[u8]| {
        rustix::net::send(&client, sent, SendFlags::NOSIGNAL).unwrap();
        let mut packet = [0; 4096];
        let (count, _) = rustix::net::recv(&client, &mut packet[..], RecvFlags::empty()).unwrap();
        packet[..count].to_vec()
    };
    // One write for three lines; and the reply to whole lines is not kept back for a line that is still to end.
    assert_eq!(exchange(b"a\nb\nc\n"), b"a\nb\nc\n");
    assert_eq!(exchange(b"d\ne\nhal"), b"d\ne\n");
    assert_eq!(exchange(b"f\n"), b"half\n");
    drop(client);
    assert_eq!(server.stop().unwrap().served, 1);
}
