//! Blocking sessions would hold up everything on their shard.

use socketserver::{Server, Tasks, blocking, sessions};

fn main() {
    let _ = Server::bind("udp://:0")
        .unwrap()
        .serve(Tasks::default(), sessions(|s: &mut blocking::Session| Ok(s.send(b"hello")?)));
}
