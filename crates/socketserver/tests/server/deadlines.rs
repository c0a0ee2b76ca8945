//! How long a connection may wait, each way.

use crate::{Reasons, connect, echo};
use socket2::SockRef;
use socketserver::{Reason, Serial, Server, Threads, blocking};
use socketserver_testkit::PATIENCE;
use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn no_delay_is_on_and_deadlines_can_be_set_for_a_connection() {
    let (send, seen) = channel();
    let send = Mutex::new(send);
    let server = Server::bind("tcp://127.0.0.1:0")
        .unwrap()
        .spawn(Serial::default(), move |c: &mut blocking::Stream| {
            let nodelay = SockRef::from(&*c).tcp_nodelay()?;
            c.set_idle(Duration::from_millis(20));
            let idle = c.read(&mut [0]).unwrap_err();
            // A handler may go on after it.
            c.set_idle(None);
            c.write_all(b"still here\n")?;
            let line = c.read_line(100)?;
            send.lock().unwrap().send((nodelay, idle.kind(), line))?;
            Ok(())
        })
        .unwrap();
    let mut client = connect(&server);
    client.expect("still here\n");
    client.say("good\r\n");
    client.expect_end();
    let (nodelay, idle, line) = seen.recv_timeout(PATIENCE).unwrap();
    assert!(nodelay);
    assert_eq!(idle, io::ErrorKind::TimedOut);
    assert_eq!(line.as_deref(), Some("good"));
    server.stop().unwrap();
}

#[test]
fn the_idle_deadline_is_the_servers_own_in_each_run() {
    // Accepted sockets inherit it: another run with another deadline must not.
    for idle in [Some(Duration::from_millis(30)), None, Some(Duration::from_millis(1))] {
        let (send, seen) = channel();
        let send = Mutex::new(send);
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().idle(idle);
        let server = server
            .spawn(Serial::default(), move |c: &mut blocking::Stream| {
                c.write_all(b"in")?;
                send.lock().unwrap().send(c.read(&mut [0]).map_err(|error| error.kind()))?;
                Ok(())
            })
            .unwrap();
        let mut client = connect(&server);
        client.expect("in");
        if idle.is_none() {
            client.say("x");
        }
        let expected = if idle.is_none() { Ok(1) } else { Err(io::ErrorKind::TimedOut) };
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), expected);
        drop(client);
        server.stop().unwrap();
    }
}

#[test]
fn a_connection_is_not_cut_before_its_idle_time_is_over() {
    const IDLE: Duration = Duration::from_millis(400);
    let server = Server::bind("tcp://127.0.0.1:0").unwrap().idle(IDLE).spawn(Threads::default(), echo).unwrap();
    let clients = (0..6).map(|_| {
        // The server looks every eighth of it: last bytes fall on different moments between two looks.
        thread::sleep(IDLE / 8 / 4);
        let mut client = connect(&server);
        let last_byte = Instant::now();
        client.say("hello\nhalf");
        thread::spawn(move || {
            client.expect("hello\n");
            client.expect_end();
            last_byte.elapsed()
        })
    });
    for client in clients.collect::<Vec<_>>() {
        let cut_after = client.join().unwrap();
        assert!(cut_after >= IDLE, "{cut_after:?}");
    }
    server.stop().unwrap();
}

#[test]
fn the_write_deadline_can_be_set_for_a_connection() {
    let (millis, long) = (Duration::from_millis, Duration::from_millis(300));
    // Where the server has none it is the connection's own that ends the write; where the server's is near, it is not
    // the server's.
    for (servers, own) in [(None, millis(30)), (Some(millis(1)), long)] {
        let reasons = Arc::new(Reasons::default());
        let (send, seen) = channel();
        let server = Server::bind("tcp://127.0.0.1:0").unwrap().write_timeout(servers).observe(reasons.clone());
        let server = server
            .spawn(Serial::default(), move |c: &mut blocking::Stream| {
                c.set_write_timeout(own);
                let began = Instant::now();
                let error = loop {
                    if let Err(error) = c.write_all(&[b'x'; 64 * 1024]) {
                        break error;
                    }
                };
                send.send((error.kind(), began.elapsed()))?;
                Err(error.into())
            })
            .unwrap();
        let client = connect(&server);
        let (error, after) = seen.recv_timeout(PATIENCE).expect("a write that nobody takes comes back");
        assert_eq!(error, io::ErrorKind::TimedOut);
        assert!(after >= own, "{after:?}");
        drop(client);
        server.stop().unwrap();
        assert_eq!(*reasons.0.lock().unwrap(), [Reason::WriteTimeout]);
    }
}
