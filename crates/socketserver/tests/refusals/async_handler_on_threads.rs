//! Threads run blocking handlers, closures and types alike.

use socketserver::{Handler, Server, Stream, Threads};

struct Greeter;

impl Handler for Greeter {
    async fn handle(&self, c: &mut Stream) -> socketserver::Result {
        c.write_all(b"hello").await?;
        Ok(())
    }
}

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), Greeter)?;
    Ok(())
}
