//! Threads share the handler: what it captures must be of a kind that they can share.

use socketserver::{Server, Threads, blocking};
use std::rc::Rc;

fn main() -> socketserver::Result {
    let greeting = Rc::new("hello");
    Server::bind("tcp://127.0.0.1:0")?.serve(Threads::default(), move |c: &mut blocking::Stream| {
        c.write_all(greeting.as_bytes())?;
        Ok(())
    })?;
    Ok(())
}
