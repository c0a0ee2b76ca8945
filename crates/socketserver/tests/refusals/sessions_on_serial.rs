//! Somebody has to sort the packets while a handler is at work.

use socketserver::{Serial, Server, blocking, sessions};

fn main() {
    let _ = Server::bind("udp://:0")
        .unwrap()
        .serve(Serial::default(), sessions(|s: &mut blocking::Session| Ok(s.send(b"hello")?)));
}
