//! Handshakes in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod handshakes;

use super::{Acceptor, ClientTls, HandshakeFailure, ServerTls, classify};
use rustls::{ClientConnection, ServerConnection};
use socketserver_proto::{Endpoint, Host};
use std::io::Cursor;

/// The host of a URL.
fn host(name: &str) -> Host {
    let Endpoint::Tcp { host, .. } = format!("tcp://{name}:1").parse().unwrap() else { unreachable!() };
    host
}

/// The two ends of a connection, and why it came to nothing, as each of them sees it.
struct Ends {
    client: ClientConnection,
    server: ServerConnection,
    failed: [Option<HandshakeFailure>; 2],
}

impl Ends {
    fn new(server: &Acceptor, client: &ClientTls, name: &str) -> Self {
        Self { client: client.session(&host(name)).unwrap(), server: server.session().unwrap(), failed: [None; 2] }
    }

    /// Both say what they have to say, and hear it, until nobody says anything.
    fn talk(mut self) -> Self {
        loop {
            let mut spoken = false;
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).unwrap();
            }
            spoken |= !wire.is_empty();
            let mut wire = Cursor::new(wire);
            while wire.position() < wire.get_ref().len() as u64 && self.failed[1].is_none() {
                self.server.read_tls(&mut wire).unwrap();
                self.failed[1] = self.server.process_new_packets().err().map(|error| classify(&error));
            }
            let mut wire = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).unwrap();
            }
            spoken |= !wire.is_empty();
            let mut wire = Cursor::new(wire);
            while wire.position() < wire.get_ref().len() as u64 && self.failed[0].is_none() {
                self.client.read_tls(&mut wire).unwrap();
                self.failed[0] = self.client.process_new_packets().err().map(|error| classify(&error));
            }
            if !spoken {
                return self;
            }
        }
    }
}

/// A whole conversation.
fn shake(server: &Acceptor, client: &ClientTls, name: &str) -> Ends {
    Ends::new(server, client, name).talk()
}

fn acceptor(tls: ServerTls) -> Acceptor {
    Acceptor::new(tls).unwrap()
}
