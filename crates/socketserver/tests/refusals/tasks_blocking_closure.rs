//! Tasks run async handlers: one that blocks would hold up all others on its shard.

use socketserver::{Server, Tasks, blocking};

fn main() -> socketserver::Result {
    Server::bind("tcp://127.0.0.1:0")?.serve(Tasks::default(), |c: &mut blocking::Stream| {
        c.write_all(b"hello")?;
        Ok(())
    })?;
    Ok(())
}
