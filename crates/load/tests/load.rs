//! The generator against servers that behave, and against servers that do not.
#![allow(clippy::unwrap_used, reason = "a test's servers and clients fail by panicking")]

#[path = "common/run.rs"]
mod run;
#[path = "common/serve.rs"]
mod serve;

use run::run;
use serve::serve;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use socketserver_load::{ConnectClose, Errors, Load, Outcome, Target, Window};

/// Echoes until the client is gone, in pieces of at most `chunk` bytes, with `spoil` run over each of them.
fn echo(mut stream: impl Read + Write, chunk: usize, mut spoil: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; chunk];
    while let Ok(received @ 1..) = stream.read(&mut buffer) {
        spoil(&mut buffer[..received]);
        if stream.write_all(&buffer[..received]).is_err() {
            return;
        }
    }
}

fn echo_server() -> Target {
    serve(|stream| echo(stream, 4096, |_| {}))
}

fn short(target: Target) -> Load {
    Load::new(target).stall(Duration::from_millis(200))
}

#[track_caller]
fn assert_clean(outcome: &Outcome) {
    assert!(outcome.errors.is_empty(), "{}", outcome.errors);
}

#[test]
fn times_beyond_the_clock_are_no_limits() {
    let load = Load::new(echo_server()).requests(10).duration(Duration::MAX).stall(Duration::MAX);
    for load in [load.clone(), load.timeout(Duration::MAX)] {
        let outcome = run(load);
        assert_clean(&outcome);
        assert_eq!(outcome.messages, 10);
    }
}

#[test]
fn exactly_the_requested_number_is_echoed_and_counted() {
    let outcome = run(Load::new(echo_server()).connections(7).depth(5).size(100).requests(1003));
    assert_clean(&outcome);
    assert_eq!(outcome.messages, 1003);
    assert_eq!(outcome.bytes, 100_300);
    assert_eq!(outcome.latency.len(), 1003);
    assert_eq!(outcome.opened, 7);
    assert_eq!(outcome.in_flight, 0);
    assert!(outcome.rate() > 0.0 && outcome.throughput() > 0.0);
    assert!(!outcome.cpu.is_zero() && outcome.cpu <= outcome.elapsed + Duration::from_millis(20));
    assert!(outcome.latency.percentile(50.0) <= outcome.latency.max());
}

#[test]
fn fewer_requests_than_connections() {
    let outcome = run(Load::new(echo_server()).connections(10).requests(3));
    assert_clean(&outcome);
    assert_eq!((outcome.messages, outcome.opened), (3, 10));
}

#[test]
fn a_duration_ends_the_run_with_messages_in_flight() {
    let load = Load::new(echo_server()).connections(3).depth(2);
    let outcome = run(load.warmup(Duration::from_millis(50)).duration(Duration::from_millis(150)));
    assert_clean(&outcome);
    assert!(outcome.messages > 0);
    assert_eq!(outcome.in_flight, 6, "each connection keeps its two");
    assert!(outcome.elapsed >= Duration::from_millis(150));
}

#[test]
fn replies_may_come_in_any_pieces() {
    for chunk in [1, 3, 64, 100_000] {
        let target = serve(move |stream| echo(stream, chunk, |_| {}));
        assert_clean(&run(Load::new(target).connections(2).depth(4).size(50).requests(200)));
    }
}

#[test]
fn messages_larger_than_the_socket_takes_at_once() {
    // The server reads everything in flight before it answers, so that sending has to wait.
    let outcome = run(Load::new(echo_server()).connections(2).depth(4).size(3_000_000).requests(16));
    assert_clean(&outcome);
    assert_eq!((outcome.messages, outcome.bytes), (16, 48_000_000));
}

#[test]
fn a_message_of_one_byte() {
    assert_clean(&run(Load::new(echo_server()).depth(20).size(1).requests(500)));
}

#[test]
fn lines_are_lines() {
    let target = serve(|stream| {
        let mut writer = stream.try_clone().unwrap();
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(mut line) = line else { return };
            assert_eq!(line.len(), 63);
            line.push(b'\n');
            if writer.write_all(&line).is_err() {
                return;
            }
        }
    });
    let outcome = run(Load::new(target).lines().size(64).connections(3).depth(16).requests(2000));
    assert_clean(&outcome);
    assert_eq!(outcome.messages, 2000);
}

#[test]
fn frames_are_frames() {
    let target = serve(|mut stream| {
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            assert_eq!(u32::from_be_bytes(length), 64);
            let mut message = [0; 64];
            stream.read_exact(&mut message).unwrap();
            if stream.write_all(&[&length[..], &message].concat()).is_err() {
                return;
            }
        }
    });
    let outcome = run(Load::new(target).framed().size(64).connections(3).depth(16).requests(2000));
    assert_clean(&outcome);
    assert_eq!((outcome.messages, outcome.bytes), (2000, 2000 * 68));
}

#[test]
fn a_wrong_length_is_a_mismatch() {
    let target = serve(|mut stream| {
        let mut frame = [0; 68];
        while stream.read_exact(&mut frame).is_ok() {
            frame[3] ^= 1;
            if stream.write_all(&frame).is_err() {
                return;
            }
        }
    });
    let outcome = run(Load::new(target).framed().requests(10));
    assert_eq!((outcome.messages, outcome.errors.mismatch), (0, 1));
}

#[test]
fn a_message_of_ones_own() {
    let outcome = run(Load::new(echo_server()).message(*b"ping\n").lines().requests(10));
    assert_clean(&outcome);
    assert_eq!(outcome.bytes, 50);
}

#[test]
fn over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("load-test-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream, 4096, |_| {}));
        }
    });
    let load = Load::new(path.clone()).connections(4).requests(400);
    assert_clean(&run(load.clone()));
    for close in [ConnectClose::Reset, ConnectClose::HalfClose] {
        let outcome = run(load.clone().connect_per_request(close));
        assert_clean(&outcome);
        assert_eq!((outcome.messages, outcome.opened), (400, 400));
    }
    let large = run(load.clone().size(1_000_000).depth(3).requests(40));
    assert_clean(&large);
    // Full backlogs are waited for.
    let outcome = run(load.connections(300).connect_per_request(ConnectClose::HalfClose));
    assert_clean(&outcome);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_unix_socket_that_is_not_there_refuses() {
    let outcome = run(short(Target::Unix("/nonexistent/x.sock".into())).connections(2).requests(5));
    assert_eq!((outcome.errors.refused, outcome.messages), (2, 0));
}

#[test]
fn a_corrupted_byte_is_a_mismatch() {
    let target = serve(|stream| {
        let mut left = 1000_usize;
        echo(stream, 4096, |bytes| {
            if left < bytes.len() {
                bytes[left] ^= 1;
            }
            left = left.wrapping_sub(bytes.len());
        });
    });
    let outcome = run(Load::new(target).connections(3).size(64).requests(1000));
    assert_eq!(outcome.errors.mismatch, 3);
    assert_eq!(outcome.errors.total(), 3);
    assert_eq!(outcome.messages, 3 * (1000 / 64), "what came before is good");
}

#[test]
fn an_answer_sent_twice_is_a_mismatch() {
    let target = serve(|mut stream| {
        let mut buffer = [0; 64];
        while stream.read_exact(&mut buffer).is_ok() {
            let twice = [buffer, buffer].concat();
            if stream.write_all(&twice).is_err() {
                return;
            }
        }
    });
    // With one in flight the second copy was not asked for; with two it stands where another message should.
    for depth in [1, 2] {
        let outcome = run(Load::new(target.clone()).depth(depth).size(64).requests(1000));
        assert_eq!(outcome.errors.mismatch, 1, "depth {depth}");
    }
}

#[test]
fn answers_in_the_wrong_order_are_a_mismatch() {
    let target = serve(|mut stream| {
        let mut two = [0; 128];
        while stream.read_exact(&mut two).is_ok() {
            two.rotate_left(64);
            if stream.write_all(&two).is_err() {
                return;
            }
        }
    });
    assert_eq!(run(Load::new(target).depth(2).size(64).requests(1000)).errors.mismatch, 1);
}

#[test]
fn a_server_that_closes_early() {
    let target = serve(|mut stream| {
        let mut buffer = [0; 64];
        for _ in 0..3 {
            stream.read_exact(&mut buffer).unwrap();
            stream.write_all(&buffer).unwrap();
        }
    });
    let outcome = run(Load::new(target).connections(2).size(64).requests(1000));
    assert_eq!(outcome.messages, 6);
    // A close that meets a message on the way becomes a reset.
    let Errors { early_close, reset, .. } = outcome.errors;
    assert_eq!(early_close + reset, 2, "{}", outcome.errors);
    assert_eq!(outcome.errors.total(), 2);
}

#[test]
fn a_close_behind_the_last_reply_is_no_fault() {
    let target = serve(|mut stream| {
        let mut messages = [0; 128];
        stream.read_exact(&mut messages).unwrap();
        stream.write_all(&messages).unwrap();
    });
    // Now and then reply and close are seen together.
    for _ in 0..100 {
        let outcome = run(Load::new(target.clone()).depth(2).requests(2));
        assert_clean(&outcome);
        assert_eq!(outcome.messages, 2);
    }
}

#[test]
fn a_close_in_the_middle_of_a_reply_is_early() {
    let target = serve(|mut stream| {
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer[..10]).unwrap();
    });
    let load = Load::new(target).size(64).requests(4);
    assert_eq!(run(load.clone()).errors.to_string(), "1 early close");
    let outcome = run(load.connect_per_request(ConnectClose::Reset));
    assert_eq!(outcome.errors.to_string(), "4 early close");
    assert_eq!(outcome.messages, 0);
}

#[test]
fn a_server_that_never_answers_times_out() {
    let target = serve(|mut stream| {
        // Reads and says nothing, until the client is gone.
        let mut sink = Vec::new();
        let _gone = stream.read_to_end(&mut sink);
    });
    let load = short(target).connections(5).requests(1000).duration(Duration::from_secs(20));
    let start = Instant::now();
    let outcome = run(load.clone());
    assert_eq!(outcome.errors.to_string(), "5 timeout");
    assert_eq!((outcome.messages, outcome.in_flight), (0, 5));
    assert_eq!(outcome.rate(), 0.0);
    assert_eq!(outcome.latency.percentile(99.0), Duration::ZERO);
    for close in [ConnectClose::Reset, ConnectClose::HalfClose] {
        let outcome = run(load.clone().connect_per_request(close));
        assert_eq!(outcome.errors.to_string(), "5 timeout");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_backlog_that_stays_full_is_a_time_out() {
    // Nobody accepts: some connections have room in the backlog, and the others wait for it.
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let path = PathBuf::from(format!("\0load-test-full-{}", std::process::id()));
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(1).unwrap();
    let load = Load::new(path).connections(5).requests(5).timeout(Duration::from_millis(100));
    let outcome = run(load.connect_per_request(ConnectClose::Reset));
    assert_eq!((outcome.errors.to_string(), outcome.lost, outcome.in_flight), ("5 timeout".into(), 5, 0));
}

#[test]
fn a_server_that_never_closes_times_out_a_half_close() {
    let target = serve(|mut stream| {
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
        loop {
            thread::park();
        }
    });
    let load = short(target).size(64).requests(10);
    assert_eq!(run(load.connect_per_request(ConnectClose::HalfClose)).errors.to_string(), "1 timeout");
}

#[test]
fn nobody_listens() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let load = short(Target::Tcp(unused)).connections(3).requests(7);
    let outcome = run(load.clone());
    assert_eq!(outcome.errors.to_string(), "3 refused");
    assert_eq!((outcome.opened, outcome.messages), (0, 0));
    assert_eq!(outcome.rate(), 0.0);
    assert!(!outcome.generator_limited());
    let outcome = run(load.connect_per_request(ConnectClose::Reset));
    assert_eq!((outcome.errors.to_string(), outcome.lost), ("7 refused".into(), 7));
    // Bounded by time alone, it gives up for want of progress and has not spun.
    let forever = short(Target::Tcp(unused)).duration(Duration::from_secs(60));
    let outcome = run(forever.connect_per_request(ConnectClose::Reset));
    assert!((1..=400).contains(&outcome.errors.refused), "{}", outcome.errors);
}

#[test]
fn a_connection_for_each_message() {
    for close in [ConnectClose::Reset, ConnectClose::HalfClose] {
        let load = Load::new(echo_server()).connections(8).size(64).requests(500);
        let outcome = run(load.connect_per_request(close));
        assert_clean(&outcome);
        assert_eq!((outcome.messages, outcome.opened, outcome.in_flight), (500, 500, 0));
        assert_eq!(outcome.bytes, 32_000);
        assert_eq!(outcome.latency.len(), 500);
    }
}

#[test]
fn a_connection_for_each_large_message() {
    for close in [ConnectClose::Reset, ConnectClose::HalfClose] {
        let load = Load::new(echo_server()).connections(3).size(2_000_000).requests(9);
        let outcome = run(load.connect_per_request(close));
        assert_clean(&outcome);
        assert_eq!(outcome.messages, 9);
    }
}

#[test]
fn how_a_connection_ends_is_what_the_server_sees() {
    for (close, wanted) in [(ConnectClose::Reset, Err(ErrorKind::ConnectionReset)), (ConnectClose::HalfClose, Ok(0))] {
        let (sender, receiver) = mpsc::channel();
        let target = serve(move |mut stream| {
            let mut buffer = [0; 64];
            stream.read_exact(&mut buffer).unwrap();
            stream.write_all(&buffer).unwrap();
            let end = stream.read(&mut buffer).map_err(|error| error.kind());
            sender.send(end).unwrap();
        });
        assert_clean(&run(Load::new(target).size(64).requests(20).connect_per_request(close)));
        let ends: Vec<_> = receiver.iter().take(20).collect();
        assert!(ends.iter().all(|end| *end == wanted), "{ends:?}");
    }
}

#[test]
fn a_corrupted_byte_is_seen_on_every_connection() {
    let target = serve(|stream| echo(stream, 4096, |bytes| bytes[0] ^= 1));
    let load = Load::new(target).connections(2).requests(10);
    let outcome = run(load.connect_per_request(ConnectClose::Reset));
    assert_eq!((outcome.errors.to_string(), outcome.lost), ("10 mismatch".into(), 10));
    assert_eq!((outcome.messages, outcome.bytes), (0, 0));
}

#[test]
fn the_window_is_told_once_at_each_edge() {
    let mut edges = Vec::new();
    let start = Instant::now();
    let load = Load::new(echo_server()).warmup(Duration::from_millis(100)).duration(Duration::from_millis(100));
    load.run_watched(|edge| edges.push((edge, start.elapsed()))).unwrap();
    let [(Window::Opened, opened), (Window::Closed, closed)] = edges[..] else {
        panic!("{edges:?}");
    };
    assert!(opened >= Duration::from_millis(100));
    assert!(closed - opened >= Duration::from_millis(100));
}

#[test]
fn the_connections_are_open_when_the_window_closes() {
    let (sender, receiver) = mpsc::channel();
    let target = serve(move |stream| {
        echo(stream, 4096, |_| {});
        sender.send(()).unwrap();
    });
    let mut at_close = None;
    Load::new(target)
        .requests(10)
        .run_watched(|edge| {
            if edge == Window::Closed {
                at_close = Some(receiver.try_recv());
            }
        })
        .unwrap();
    assert_eq!(at_close, Some(Err(mpsc::TryRecvError::Empty)));
    receiver.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn loads_that_make_no_sense_are_refused() {
    let load = || Load::new(Target::Unix("/nonexistent/x.sock".into()));
    for senseless in [
        load().connections(0),
        load().depth(0),
        load().size(0),
        load().message(*b""),
        load().stall(Duration::ZERO),
        load().message(*b"two\nlines\n").lines(),
        load().message(*b"no newline").lines(),
        load().sources([[127, 0, 0, 1].into()]),
    ] {
        let error = senseless.run().unwrap_err();
        assert!(error.is_invalid() && !error.is_system(), "{error}");
    }
    let error = Load::new(Target::Unix("x".repeat(200).into())).run().unwrap_err();
    assert!(error.is_system(), "{error}");
}

#[test]
fn connections_come_from_the_sources_in_turn() {
    let (sender, receiver) = mpsc::channel();
    let target = serve(move |stream| {
        sender.send(stream.peer_addr().unwrap().ip().to_string()).unwrap();
        echo(stream, 4096, |_| {});
    });
    let load = Load::new(target).connections(4).requests(4).sources([1, 2].map(|last| [127, 0, 0, last].into()));
    for load in [load.clone(), load.connect_per_request(ConnectClose::Reset)] {
        assert_clean(&run(load));
        let mut came: Vec<String> = receiver.iter().take(4).collect();
        came.sort();
        assert_eq!(came, ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]);
    }
}

#[test]
fn loads_numbered_apart_send_different_messages() {
    let heads = |first| {
        let (sender, receiver) = mpsc::channel();
        let target = serve(move |stream| echo(stream, 64, |bytes| sender.send(bytes[..8].to_vec()).unwrap()));
        let load = Load::new(target).size(64).numbered_from(first).requests(5);
        for load in [load.clone(), load.connect_per_request(ConnectClose::HalfClose)] {
            assert_clean(&run(load));
        }
        receiver.iter().take(10).collect::<Vec<_>>()
    };
    let (here, there) = (heads(0), heads(1 << 40));
    assert!(here.iter().all(|head| !there.contains(head)));
    assert_eq!(here[..5], here[5..], "both kinds number alike");
}

#[test]
fn no_descriptor_is_left() {
    // A client of our own, so that the file descriptors of other tests in this process do not matter.
    let path = std::env::temp_dir().join(format!("load-leak-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let load = Load::new(path.clone()).connections(4).requests(4);
    let loader = thread::spawn(move || run(load));
    let mut served: Vec<UnixStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
    for stream in &mut served {
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
    }
    assert_clean(&loader.join().unwrap());
    for stream in &mut served {
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "each is closed");
    }
    std::fs::remove_file(path).unwrap();
}
