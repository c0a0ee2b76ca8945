//! What is meant to compile does.

use socketserver::{Forks, Handler, Serial, Server, Stream, Tasks, Threads, blocking};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

struct Greeter(&'static str);

impl blocking::Handler for Greeter {
    fn handle(&self, c: &mut blocking::Stream) -> socketserver::Result {
        c.write_all(self.0.as_bytes())?;
        Ok(())
    }
}

/// One type may be a handler of both colours: the model tells which is meant.
impl Handler for Greeter {
    async fn handle(&self, c: &mut Stream) -> socketserver::Result {
        // A connection stays on its shard.
        let greeting = Rc::new(self.0);
        c.write_all(greeting.as_bytes()).await?;
        drop(greeting);
        Ok(())
    }
}

async fn hello_async(c: &mut Stream) -> socketserver::Result {
    c.write_all(b"hello").await?;
    Ok(())
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
    server.handle().shutdown();
    server.serve(Tasks::new(1), Greeter("hello"))?;
    server.handle().shutdown();
    server.serve(Tasks::new(1), Arc::new(Greeter("hello")))?;
    server.handle().shutdown();
    server.serve(Tasks::new(1), async |c: &mut Stream| Ok(c.write_all(b"hello").await?))?;
    server.handle().shutdown();
    server.serve(Tasks::new(1), hello_async)?;
    server.serve_one(hello, Duration::ZERO)?;
    Ok(())
}
