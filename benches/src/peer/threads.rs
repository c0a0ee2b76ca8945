//! std and nothing else: a thread a connection, as its documentation would have it; and a pool.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::announce;

pub(super) fn echo() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // A client that resets is how these measurements end.
            let _gone = stream.set_nodelay(true).and_then(|()| echo_chunks(stream));
        });
    }
    Ok(())
}

/// Threads of the pool: a few more than the `connect` row has connections in parallel.
const POOL: usize = 20;

/// Whoever accepts serves; the others sit in accept meanwhile.
pub(super) fn pool_echo() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Accepted sockets inherit it.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    announce(listener.local_addr()?)?;
    thread::scope(|scope| {
        for _ in 0..POOL {
            scope.spawn(|| {
                for stream in listener.incoming().flatten() {
                    let _gone = echo_chunks(stream);
                }
            });
        }
    });
    Ok(())
}

fn echo_chunks(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            received => stream.write_all(&buffer[..received])?,
        }
    }
}
