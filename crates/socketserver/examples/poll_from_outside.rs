//! A program with a loop of its own waits for the server beside other things, and serves one connection when there is
//! one: `AsFd` is readable then, and `serve_one` does not wait.
//!
//! The clients are on the same thread here. They half-close first: a server that closes waits for its peer to have said
//! all (1 s at most), and while it does so this thread can not say it.

use rustix::event::{PollFd, PollFlags, poll};
use socketserver::{Served, Server, blocking, client};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn main() -> socketserver::Result {
    let mut server = Server::bind("tcp://127.0.0.1:0")?;
    let (mut orders, mut boss) = UnixStream::pair()?;
    let mut clients = [client::connect(&server.endpoints()[0])?, client::connect(&server.endpoints()[0])?];
    for c in &mut clients {
        c.close_write()?;
    }
    let mut served = 0;

    loop {
        let mut fds = [PollFd::new(&server, PollFlags::IN), PollFd::new(&orders, PollFlags::IN)];
        poll(&mut fds, None)?;
        let [connection, order] = fds.map(|fd| fd.revents().contains(PollFlags::IN));

        if connection {
            let greet = |c: &mut blocking::Stream| {
                c.write_all(b"hello\n")?;
                Ok(())
            };
            // `TimedOut` is possible: a peer may have left again.
            if server.serve_one(greet, Duration::ZERO)? == Served::One {
                served += 1;
                println!("served {served}");
            }
            if served == clients.len() {
                boss.write_all(b"q")?;
            }
        }
        if order {
            let mut letter = [0];
            orders.read_exact(&mut letter)?;
            println!("told to stop: {}", char::from(letter[0]));
            break;
        }
    }
    for c in &mut clients {
        assert_eq!(c.read_line(100)?.as_deref(), Some("hello"));
    }
    // Nobody waits any more.
    assert_eq!(server.serve_one(|_: &mut blocking::Stream| Ok(()), Duration::ZERO)?, Served::TimedOut);
    Ok(())
}
