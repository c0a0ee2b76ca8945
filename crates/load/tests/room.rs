//! A room of members, against servers that behave, and against some that do not.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;

use run::run;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socketserver_load::{Load, Target};

/// Says each line that somebody says to all others, as `tell` says it: it is given the number of the line, and of the one who
/// is told.
fn serve(tell: impl Fn(u64, usize, &mut TcpStream, &[u8]) + Send + Sync + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (all, tell) = (Arc::new(Mutex::new(Vec::<TcpStream>::new())), Arc::new(tell));
    thread::spawn(move || {
        for own in 0.. {
            let mut stream = listener.accept().unwrap().0;
            let reader = BufReader::new(stream.try_clone().unwrap());
            let (everybody, tell) = (all.clone(), tell.clone());
            let mut all = all.lock().unwrap();
            stream.write_all(b"hello there\n").unwrap();
            all.push(stream);
            thread::spawn(move || {
                for (number, line) in reader.split(b'\n').map_while(Result::ok).enumerate() {
                    let line = [&line[..], b"\n"].concat();
                    for (other, stream) in everybody.lock().unwrap().iter_mut().enumerate().filter(|(at, _)| *at != own)
                    {
                        tell(number as u64, other, stream, &line);
                    }
                }
            });
        }
    });
    Target::Tcp(address)
}

fn room(target: Target) -> Load {
    Load::new(target).room().connections(10).size(100).lines().depth(4)
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    // The load ends when it likes.
    let _ = stream.write_all(bytes);
}

#[test]
fn a_message_counts_for_each_member() {
    let target = serve(|_, _, stream, line| send(stream, line));
    let outcome = run(room(target).requests(10 * 200));
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.bytes, outcome.in_flight), (2000, 2000 * 100, 0));
    assert_eq!((outcome.opened, outcome.latency.len()), (11, 2000));
}

#[test]
fn so_many_are_ahead_of_the_slowest_and_no_more() {
    let target = serve(|number, other, stream, line| {
        // One of them hears nothing of what comes fifth and later.
        if other != 3 || number < 4 {
            send(stream, line);
        }
    });
    let outcome = run(room(target).requests(10 * 200).stall(Duration::from_secs(3)));
    assert_eq!((outcome.errors.timeout, outcome.errors.total()), (1, 1), "{}", outcome.errors);
    assert_eq!((outcome.messages, outcome.in_flight), (10 * 4 + 9 * 4, 4));
}

#[test]
fn what_is_lost_doubled_or_spoilt_is_a_mismatch() {
    let lost = serve(|number, other, stream, line| {
        if (number, other) != (2, 7) {
            send(stream, line);
        }
    });
    let doubled = serve(|number, other, stream, line| {
        send(stream, line);
        if (number, other) == (2, 7) {
            send(stream, line);
        }
    });
    let spoilt = serve(|number, other, stream, line| {
        let mut line = line.to_vec();
        line[50] ^= u8::from((number, other) == (2, 7));
        send(stream, &line);
    });
    for target in [lost, doubled, spoilt] {
        let outcome = run(room(target).requests(10 * 200));
        assert_eq!((outcome.errors.mismatch, outcome.errors.total()), (1, 1), "{}", outcome.errors);
    }
}

#[test]
fn whoever_is_closed_is_lost() {
    let target = serve(|number, other, stream, line| match (number, other) {
        (2, 7) => stream.shutdown(std::net::Shutdown::Write).unwrap(),
        _ => send(stream, line),
    });
    let outcome = run(room(target).requests(10 * 200));
    assert_eq!((outcome.errors.early_close, outcome.errors.total()), (1, 1), "{}", outcome.errors);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let load = || room(Target::Tcp("127.0.0.1:1".parse().unwrap()));
    let over_udp = Load::new(Target::Udp("127.0.0.1:1".parse().unwrap())).room();
    for load in [load().requests(11), load().connect_per_request(socketserver_load::ConnectClose::Reset), over_udp] {
        assert!(load.run().unwrap_err().is_invalid());
    }
}
