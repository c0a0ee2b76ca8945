//! What is meant to compile does.

use socketserver::{Forks, Serial, Server, Threads, blocking};
use std::sync::Arc;
use std::time::Duration;

struct Greeter(&'static str);

impl blocking::Handler for Greeter {
    fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
        c.write_all(self.0.as_bytes())?;
        Ok(())
    }
}

fn hello(c: &mut blocking::Stream) -> socketserver::Result {
    c.write_all(b"hello")?;
    Ok(())
}

fn main() -> socketserver::Result {
    let mut server = Server::bind([])?;
    for _ in 0..1 {
        server.handle().shutdown();
        server.serve(Serial::default(), hello)?;
    }
    server.handle().shutdown();
    server.serve(Threads::default(), Arc::new(Greeter("hello")))?;
    server.handle().shutdown();
    server.serve(Forks::default(), Greeter("hello"))?;
    server.handle().shutdown();
    server.serve(Threads::default(), |c: &mut blocking::Stream| Ok(c.write_all(b"hello")?))?;
    server.serve_one(hello, Duration::ZERO)?;
    Ok(())
}
