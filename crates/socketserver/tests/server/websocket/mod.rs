//! Messages over WebSocket, on every model that runs in a test runner: with a client as people write them, and with sockets
//! that keep to no rules.

mod frames;
mod handshake;
mod python;

use socketserver::{Channel, Result, Running};
use socketserver_testkit::Client;
use socketserver_testkit::websocket::{ACCEPTED, request};

fn echo(message: &[u8], c: &mut Channel) -> Result {
    Ok(c.send(message)?)
}

/// Runs the body with a server of each model, which speaks with such a handler at `/chat`.
macro_rules! on_each_model {
    ($handler:expr, $body:expr) => {
        on_each_model!(|server| server, $handler, $body)
    };
    ($set:expr, $handler:expr, $body:expr) => {{
        let set: fn(socketserver::Server) -> socketserver::Server = $set;
        let server = || set(socketserver::Server::bind("ws://127.0.0.1:0/chat").unwrap());
        let body: &dyn Fn(socketserver::Running) = &$body;
        eprintln!("on Serial");
        body(server().spawn(socketserver::Serial::default(), $handler).unwrap());
        eprintln!("on Threads");
        body(server().spawn(socketserver::Threads::default(), $handler).unwrap());
        eprintln!("on Tasks");
        body(server().spawn(socketserver::Tasks::new(1), $handler).unwrap());
    }};
}
use on_each_model;

/// Somebody who may say anything, after a handshake.
fn join(server: &Running) -> Client {
    let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
    client.say(request(""));
    client.expect(ACCEPTED);
    client
}
