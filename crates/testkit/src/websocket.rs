//! WebSocket as its frames are (RFC 6455): a [`Client`] that says these may keep to the rules or break them.
//!
//! ```
//! use socketserver_testkit::websocket::{FIN, TEXT, frame, plain};
//! // As in section 5.7.
//! assert_eq!(plain(FIN | TEXT, b"Hello"), *b"\x81\x05Hello");
//! assert_eq!(frame(FIN | TEXT, b"Hello"), *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
//! ```

use crate::Client;

/// The key in a [`request`].
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request for `/chat`, with these lines more.
#[must_use]
pub fn request(more: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// The answer to it, as section 1.3 has it.
pub const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The bit in a frame's first byte that says that it is the last one of its message; the others are opcodes there.
pub const FIN: u8 = 0x80;
/// A frame of text.
pub const TEXT: u8 = 1;
/// A frame of bytes.
pub const BINARY: u8 = 2;
/// A goodbye.
pub const CLOSE: u8 = 8;
/// A question whether the peer is there.
pub const PING: u8 = 9;
/// The answer to it.
pub const PONG: u8 = 10;

/// A masked frame, as a client has to send it.
#[must_use]
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0x80, body.len() as u64);
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    frame.extend(mask);
    frame.extend(body.iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame that is not masked, as a server sends it.
#[must_use]
pub fn plain(first: u8, body: &[u8]) -> Vec<u8> {
    [header(first, 0, body.len() as u64), body.to_vec()].concat()
}

/// The header of a frame, without the mask that follows where `masked` is 0x80 and not 0.
#[must_use]
pub fn header(first: u8, masked: u8, len: u64) -> Vec<u8> {
    match len {
        0..126 => vec![first, masked | len as u8],
        126..65536 => [&[first, masked | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, masked | 127][..], &len.to_be_bytes()].concat(),
    }
}

/// The server says goodbye with this code, and that is the end.
///
/// # Panics
/// When something else comes, or nothing.
#[track_caller]
pub fn expect_close(client: &mut Client, code: u16) {
    client.expect(plain(FIN | CLOSE, &code.to_be_bytes()));
    client.expect_end();
}
