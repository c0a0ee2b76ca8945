//! Messages over WebSocket, on every model that runs in a test runner: with a client as people write them, and with sockets
//! that keep to no rules.

mod frames;
mod handshake;
mod python;

use socketserver::{Channel, Result, Running};
use socketserver_testkit::Client;

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

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request for `/chat`, with these lines more.
fn request(more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// The answer to it, as RFC 6455 has it in section 1.3.
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Somebody who may say anything, after a handshake.
fn join(server: &Running) -> Client {
    let mut client = Client::connect(&server.handle().endpoints()[0]).unwrap();
    client.say(request(""));
    client.expect(ACCEPTED);
    client
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;

/// A masked frame, as a client has to send it.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0x80, body.len() as u64);
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    frame.extend(mask);
    frame.extend(body.iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// What a server sends.
fn plain(first: u8, body: &[u8]) -> Vec<u8> {
    [header(first, 0, body.len() as u64), body.to_vec()].concat()
}

fn header(first: u8, masked: u8, len: u64) -> Vec<u8> {
    match len {
        0..126 => vec![first, masked | len as u8],
        126..65536 => [&[first, masked | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, masked | 127][..], &len.to_be_bytes()].concat(),
    }
}

/// It is told why, and that is the end.
#[track_caller]
fn expect_close(client: &mut Client, code: u16) {
    client.expect(plain(FIN | CLOSE, &code.to_be_bytes()));
    client.expect_end();
}
