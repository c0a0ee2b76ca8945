//! WebSocket (RFC 6455) at the client's end: the request for it, and frames.

use std::io::Cursor;
use std::time::Instant;

use rustix::event::PollFlags;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::errors::Failure;
use crate::socket::wait;
use crate::wire::{Incoming, Wire};

/// What an answer may have at most, in bytes and in headers.
const LONGEST_ANSWER: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;
/// The longest body of a control frame (section 5.5).
const LONGEST_CONTROL: u64 = 125;

/// What a server is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Request {
    /// Asks for WebSocket, and waits until the server agrees or `deadline` has come. Hands out what came behind its answer.
    pub(crate) fn agree(
        &self,
        wire: &mut Wire,
        incoming: &mut Incoming,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let key = generate_key();
        let Self { host, path } = self;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        let (mut unsent, mut answer) = (request.as_bytes(), Vec::new());
        loop {
            if !unsent.is_empty() || wire.is_behind() {
                let sent = wire.send(unsent)?;
                unsent = &unsent[sent..];
            }
            while let Some(received) = wire.receive(incoming)? {
                if received == 0 {
                    return Err(Failure::EarlyClose);
                }
                answer.extend_from_slice(incoming.first(received));
                if let Some(len) = agreed(&answer, &key)? {
                    return Ok(answer.split_off(len));
                }
            }
            let what =
                if unsent.is_empty() && !wire.is_behind() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            let left = deadline.saturating_duration_since(Instant::now());
            wait(wire.socket(), what, left).map_err(|error| Failure::from(&error))?;
        }
    }
}

/// The length of the answer, if it is whole and the server agrees.
fn agreed(answer: &[u8], key: &str) -> Result<Option<usize>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(answer).map_err(|_| Failure::WebSocket)? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial if answer.len() < LONGEST_ANSWER => return Ok(None),
        httparse::Status::Partial => return Err(Failure::WebSocket),
    };
    let agrees = response.code == Some(101)
        && tokens(response.headers, "Upgrade").any(|token| token.eq_ignore_ascii_case(b"websocket"))
        && tokens(response.headers, "Connection").any(|token| token.eq_ignore_ascii_case(b"upgrade"))
        && tokens(response.headers, "Sec-WebSocket-Accept").eq([derive_accept_key(key.as_bytes()).as_bytes()])
        // Neither was asked for.
        && tokens(response.headers, "Sec-WebSocket-Extensions").all(<[u8]>::is_empty)
        && tokens(response.headers, "Sec-WebSocket-Protocol").all(<[u8]>::is_empty);
    if agrees { Ok(Some(len)) } else { Err(Failure::WebSocket) }
}

/// What the headers of that name list.
fn tokens<'a>(headers: &'a [httparse::Header<'_>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.flat_map(|header| header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
}

/// Appends a message as a binary frame, masked by this (section 5.3). What a mask is for, proxies that take bodies for requests,
/// is no matter here: it need not be hard to guess.
pub(crate) fn message(body: &[u8], mask: u32, out: &mut Vec<u8>) {
    frame(OpCode::Data(Data::Binary), body, mask, out);
}

/// Appends the answer to a ping.
pub(crate) fn pong(body: &[u8], out: &mut Vec<u8>) {
    frame(OpCode::Control(Control::Pong), body, 0, out);
}

fn frame(opcode: OpCode, body: &[u8], mask: u32, out: &mut Vec<u8>) {
    let mask = mask.to_ne_bytes();
    let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
    // Memory takes all that is written to it.
    let _ = header.format(body.len() as u64, out);
    out.extend(body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A frame that is whole, at the front of what came.
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Where its body begins, and the frame ends.
    pub(crate) body: usize,
    pub(crate) end: usize,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first frame of a message, and maybe its last.
    Message {
        is_last: bool,
    },
    /// A later one.
    Continued {
        is_last: bool,
    },
    Ping,
    Pong,
    Close,
}

/// The first frame, if it is whole; none that is announced with more than `max` bytes is waited for.
pub(crate) fn first(input: &[u8], max: usize) -> Result<Option<Frame>, Failure> {
    let mut cursor = Cursor::new(input);
    let Some((header, len)) = FrameHeader::parse(&mut cursor).map_err(|_| Failure::WebSocket)? else { return Ok(None) };
    let is_last = header.is_final;
    let (kind, longest) = match header.opcode {
        OpCode::Data(Data::Text | Data::Binary) => (Kind::Message { is_last }, max as u64),
        OpCode::Data(Data::Continue) => (Kind::Continued { is_last }, max as u64),
        OpCode::Control(Control::Ping) => (Kind::Ping, LONGEST_CONTROL),
        OpCode::Control(Control::Pong) => (Kind::Pong, LONGEST_CONTROL),
        OpCode::Control(Control::Close) => (Kind::Close, LONGEST_CONTROL),
        _ => return Err(Failure::WebSocket),
    };
    // Servers do not mask (section 5.1), nothing was agreed that has the reserved bits, and control frames are whole (5.5).
    let is_torn = !is_last && matches!(header.opcode, OpCode::Control(_));
    if is_torn || header.mask.is_some() || header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(Failure::WebSocket);
    }
    if len > longest {
        return Err(Failure::Mismatch);
    }
    let body = cursor.position() as usize;
    let end = body + len as usize;
    Ok((end <= input.len()).then_some(Frame { kind, body, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_the_key_that_was_asked_with() {
        // Section 1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(agreed(answer, key), Ok(Some(answer.len())));
        for cut in 0..answer.len() {
            assert_eq!(agreed(&answer[..cut], key), Ok(None), "{cut}");
        }
        assert_eq!(agreed(answer, "AAAAAAAAAAAAAAAAAAAAAA=="), Err(Failure::WebSocket));
        let answer = std::str::from_utf8(answer).unwrap();
        for (from, to) in [
            ("Upgrade: websocket\r\n", ""),
            ("Connection: Upgrade", "Connection: close"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
        ] {
            assert_eq!(agreed(answer.replace(from, to).as_bytes(), key), Err(Failure::WebSocket), "{to}");
        }
        let longer = answer.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        assert_eq!(agreed(longer.as_bytes(), key), Ok(Some(longer.len())));
        assert_eq!(agreed(b"HTTP/1.1 404 Not Found\r\n\r\n", key), Err(Failure::WebSocket));
        assert_eq!(agreed(b"220 mail.example ESMTP\r\n", key), Err(Failure::WebSocket));
        assert_eq!(
            agreed(&[b"HTTP/1.1 101 x\r\nA: ", &[b'x'; LONGEST_ANSWER][..]].concat(), key),
            Err(Failure::WebSocket)
        );
    }

    #[test]
    fn frames_are_as_in_the_text() {
        // Section 5.7.
        let mut out = Vec::new();
        frame(OpCode::Data(Data::Text), b"Hello", u32::from_ne_bytes([0x37, 0xfa, 0x21, 0x3d]), &mut out);
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        let whole = b"\x81\x05Hello";
        let found = first(whole, 5).unwrap().unwrap();
        assert_eq!((found.kind, &whole[found.body..found.end]), (Kind::Message { is_last: true }, &b"Hello"[..]));
        for cut in 0..whole.len() {
            assert!(first(&whole[..cut], 5).unwrap().is_none(), "{cut}");
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_refused() {
        let refused = |input: &[u8]| first(input, 5).err();
        assert_eq!(refused(&out_of(b"Hello")), Some(Failure::WebSocket), "masked");
        assert_eq!(refused(b"\xc1\x05Hello"), Some(Failure::WebSocket), "a reserved bit");
        assert_eq!(refused(b"\x83\x00"), Some(Failure::WebSocket), "a reserved opcode");
        assert_eq!(refused(b"\x09\x02hi"), Some(Failure::WebSocket), "a ping in pieces");
        assert_eq!(refused(b"\x81\x06"), Some(Failure::Mismatch), "longer than what was sent");
        assert_eq!(refused(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), Some(Failure::Mismatch));
    }

    fn out_of(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        message(body, 7, &mut out);
        out
    }
}
