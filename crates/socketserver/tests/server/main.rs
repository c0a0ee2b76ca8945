//! Binding, serving, deadlines, own sources and models, reading and writing: what does not depend on the model, in one
//! process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod datagram_clients;
mod datagrams;
mod datagrams_waiting;
mod deadlines;
mod failures;
mod faults;
mod floods;
mod framed_streams;
mod hostile;
mod hub;
mod listening;
mod messages;
mod messages_failing;
mod models;
mod offload;
mod paused;
mod seqpacket;
mod serving;
mod sessions;
mod sessions_under_strain;
mod sources;
mod strangers;
mod streams;
mod tasks;
mod threads;
mod trains;
mod transports;
mod undelivered;
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

use socketserver::{Closed, Endpoint, Observer, Reason, Running, Server, Threads, blocking};
use socketserver_testkit::{Client, PATIENCE, within};
use std::sync::Mutex;
use std::time::Instant;

fn echo(c: &mut blocking::Stream) -> socketserver::Result {
    while let Some(line) = c.read_until(b'\n', 1 << 20)? {
        c.write_all(&line)?;
    }
    Ok(())
}

fn running(endpoint: &str) -> Running {
    Server::bind(endpoint).unwrap().spawn(Threads::default(), echo).unwrap()
}

fn connect(server: &Running) -> Client {
    Client::connect(&server.handle().endpoints()[0]).unwrap()
}

fn is_served(endpoint: &Endpoint) {
    let mut client = Client::connect(endpoint).unwrap();
    client.say("hello\n");
    client.expect("hello\n");
}

/// Waits for what no event tells.
fn eventually(is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

/// Why connections ended.
#[derive(Default)]
struct Reasons(Mutex<Vec<Reason>>);

impl Observer for Reasons {
    fn closed(&self, event: &Closed<'_>) {
        self.0.lock().unwrap().push(event.reason);
    }
}
