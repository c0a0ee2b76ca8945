//! What the load generator reads of servers that are to speak WebSocket (RFC 6455).

use crate::load::{SENT, hear, holds, meet, right, say};
use socketserver_load::Load;
use std::io::Write;
use tungstenite::handshake::derive_accept_key;

/// Of how many bytes each message is: "00000", "10000" and so on.
const SIZE: usize = 5;
/// What stands for the right answer to the key that was asked with.
const ACCEPT: &[u8] = b"{accept}";
const AGREED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";

/// Behind an answer that is right what a server says, and an answer of its own if it begins as one. The first byte tells in which
/// pieces.
pub fn load_websocket(data: &[u8]) {
    let Some((&piece, said)) = data.split_first() else { return };
    let is_own = said.starts_with(b"HTTP/");
    let (outcome, (answer, sent, pongs)) = meet(
        |target| Load::new(target).size(SIZE).websocket("localhost", "/echo"),
        |mut stream| {
            let request = hear(&mut stream, |heard| heard.ends_with(b"\r\n\r\n"));
            let request = String::from_utf8(request).expect("a request is text");
            let key = request.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let accept = derive_accept_key(key.expect("there is a key").as_bytes());
            let own = if is_own { said } else { AGREED };
            let answer = replaced(own, accept.as_bytes());
            if is_own {
                return (Some((answer.clone(), accept)), Vec::new(), say(&mut stream, &answer, piece));
            }
            let _ = stream.write_all(&answer);
            let sent = hear(&mut stream, |heard| of_client(heard).len() == SENT);
            (None, sent, say(&mut stream, said, piece))
        },
    );
    if let Some((answer, accept)) = answer {
        // Nobody waited for messages: none came back.
        assert_eq!((outcome.messages, outcome.errors.total()), (0, 1), "{outcome:?}");
        if outcome.opened > 0 {
            let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
            let words = ["101", "upgrade:", "websocket", "connection:", &accept.to_ascii_lowercase()];
            assert!(words.iter().all(|word| answer.contains(word)), "{answer:?}");
        }
        return;
    }
    let sent: Vec<Vec<u8>> = of_client(&sent).into_iter().map(|(_, body)| body).collect();
    let server = of_server(said);
    let messages: Vec<&[u8]> = server.messages.iter().map(Vec::as_slice).collect();
    let right = right(&sent, &(messages, server.is_right));
    holds(&outcome, &right);
    // Whoever answers pings answers those that came, in order.
    let pongs = of_client(&pongs);
    assert!(pongs.len() <= server.pings.len());
    for ((opcode, body), ping) in pongs.iter().zip(server.pings) {
        assert_eq!((*opcode, &**body), (0x8a, ping));
    }
}

fn replaced(text: &[u8], accept: &[u8]) -> Vec<u8> {
    match text.windows(ACCEPT.len()).position(|window| window == ACCEPT) {
        Some(at) => [&text[..at], accept, &text[at + ACCEPT.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// Frames of a client: masked (section 5.1), whole, and as short as can be. Each with its first byte and what it says.
fn of_client(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, mask @ ..] = bytes {
        let length = usize::from(second.checked_sub(0x80).expect("it is masked"));
        assert!(matches!(first, 0x82 | 0x8a) && length < 126, "{bytes:?}");
        let Some((mask, rest)) = mask.split_first_chunk::<4>() else { break };
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        frames.push((*first, body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()));
        bytes = rest;
    }
    frames
}

/// What a server has said.
struct Said<'a> {
    messages: Vec<Vec<u8>>,
    pings: Vec<&'a [u8]>,
    /// Nothing in it is wrong up to its end, or to where it closes.
    is_right: bool,
}

/// Frames of a server, read as plainly as can be (section 5.2).
fn of_server(mut bytes: &[u8]) -> Said<'_> {
    let mut said = Said { messages: Vec::new(), pings: Vec::new(), is_right: true };
    let mut begun: Option<Vec<u8>> = None;
    while let [first, second, rest @ ..] = bytes {
        let extra = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masking = if second & 0x80 == 0 { 0 } else { 4 };
        let Some((header, rest)) = rest.split_at_checked(extra + masking) else { break };
        let length = match extra {
            0 => u64::from(second & 0x7f),
            _ => header[..extra].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let longest = if opcode >= 8 { 125 } else { SIZE as u64 };
        let is_known = matches!(opcode, 0..=2 | 8..=10);
        if first & 0x70 != 0 || !is_known || masking > 0 || (opcode >= 8 && !is_last) || length > longest {
            said.is_right = false;
            break;
        }
        let Some((body, rest)) = rest.split_at_checked(length as usize) else { break };
        bytes = rest;
        match (opcode, begun.take()) {
            (8, _) => break,
            (9, before) => {
                said.pings.push(body);
                begun = before;
            }
            (10, before) => begun = before,
            (1 | 2, None) if is_last => said.messages.push(body.to_vec()),
            (1 | 2, None) => begun = Some(body.to_vec()),
            (0, Some(before)) if before.len() + body.len() <= SIZE => {
                let message = [&before, body].concat();
                if is_last {
                    said.messages.push(message);
                } else {
                    begun = Some(message);
                }
            }
            _ => {
                said.is_right = false;
                break;
            }
        }
    }
    said
}
