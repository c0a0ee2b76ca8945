//! Replies that are told apart by more than their number of bytes.

use socketserver_proto::framing::{AnyFraming, Framing, Scan, Step};

use crate::errors::Failure;
use crate::websocket::{self, Kind};

/// What has come of one connection, and is not taken yet.
pub(crate) struct Reader {
    input: Vec<u8>,
    taken: usize,
    apart: Apart,
    /// A reply of more bytes is none.
    max: usize,
}

enum Apart {
    Frames(AnyFraming, Scan),
    /// With what has come of a message in frames before its last.
    WebSocket {
        message: Vec<u8>,
        has_begun: bool,
    },
}

/// What was told.
pub(crate) enum Told<'a> {
    Message(&'a [u8]),
    Ping(&'a [u8]),
}

impl Reader {
    /// Replies in frames, of at most so many bytes each.
    pub(crate) fn of_frames(framing: AnyFraming, max: usize) -> Self {
        Self { input: Vec::new(), taken: 0, apart: Apart::Frames(framing, Scan::default()), max }
    }

    /// Replies over WebSocket, of which this has come already.
    pub(crate) fn of_websocket(input: Vec<u8>, max: usize) -> Self {
        Self { input, taken: 0, apart: Apart::WebSocket { message: Vec::new(), has_begun: false }, max }
    }

    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self.apart, Apart::WebSocket { .. })
    }

    /// More has come. What was taken is forgotten.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// The next, if it is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Told<'_>>, Failure> {
        match &mut self.apart {
            Apart::Frames(framing, scan) => {
                let rest = &self.input[self.taken..];
                if rest.is_empty() {
                    return Ok(None);
                }
                match framing.decode(rest, scan) {
                    Ok(Step::Message { body, len }) if body.len() <= self.max => {
                        self.taken += len;
                        Ok(Some(Told::Message(&rest[body])))
                    }
                    Ok(Step::More(_)) => Ok(None),
                    // What is no frame, one that is too long and one that is to be passed over are no reply.
                    _ => Err(Failure::Mismatch),
                }
            }
            Apart::WebSocket { message, has_begun } => {
                while let Some(frame) = websocket::first(&self.input[self.taken..], self.max)? {
                    let body = &self.input[self.taken + frame.body..self.taken + frame.end];
                    self.taken += frame.end;
                    match (frame.kind, *has_begun) {
                        (Kind::Pong, _) => {}
                        (Kind::Ping, _) => return Ok(Some(Told::Ping(body))),
                        (Kind::Close, _) => return Err(Failure::EarlyClose),
                        (Kind::Message { is_last: true }, false) => return Ok(Some(Told::Message(body))),
                        (Kind::Message { is_last: false }, false) => {
                            message.clear();
                            message.extend_from_slice(body);
                            *has_begun = true;
                        }
                        (Kind::Continued { is_last }, true) => {
                            if message.len() + body.len() > self.max {
                                return Err(Failure::Mismatch);
                            }
                            message.extend_from_slice(body);
                            *has_begun = !is_last;
                            if is_last {
                                return Ok(Some(Told::Message(message)));
                            }
                        }
                        (Kind::Message { .. }, true) | (Kind::Continued { .. }, false) => {
                            return Err(Failure::WebSocket);
                        }
                    }
                }
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of the input, however it is cut.
    #[track_caller]
    fn told(make: impl Fn() -> Reader, input: &[u8]) -> (Vec<Vec<u8>>, Option<Failure>) {
        let all = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut reader, mut told) = (make(), Vec::new());
            for piece in pieces {
                reader.push(piece);
                loop {
                    match reader.next() {
                        Ok(Some(Told::Message(body))) => told.push(body.to_vec()),
                        Ok(Some(Told::Ping(body))) => told.push([b"ping ", body].concat()),
                        Ok(None) => break,
                        Err(failure) => return (told, Some(failure)),
                    }
                }
            }
            (told, None)
        };
        let whole = all(&mut std::iter::once(input));
        for size in 1..input.len() {
            assert_eq!(all(&mut input.chunks(size)), whole, "in pieces of {size}");
        }
        whole
    }

    fn list(messages: &[&str]) -> Vec<Vec<u8>> {
        messages.iter().map(|message| message.as_bytes().to_vec()).collect()
    }

    #[test]
    fn frames() {
        let framed = || Reader::of_frames("netstring".parse().unwrap(), 5);
        assert_eq!(told(framed, b"5:hello,0:,2:"), (list(&["hello", ""]), None));
        assert_eq!(told(framed, b"1:x,hello"), (list(&["x"]), Some(Failure::Mismatch)));
        assert_eq!(told(framed, b"6:hello!,").1, Some(Failure::Mismatch));
    }

    #[test]
    fn websocket_with_fragments_and_what_may_stand_between_them() {
        let web = || Reader::of_websocket(Vec::new(), 5);
        let input = b"\x82\x01a\x02\x02he\x89\x02hi\x00\x01l\x8a\x00\x80\x02lo\x81\x00";
        assert_eq!(told(web, input), (list(&["a", "ping hi", "hello", ""]), None));
        assert_eq!(told(web, b"\x02\x03hel\x80\x03lo!").1, Some(Failure::Mismatch), "too long together");
        assert_eq!(told(web, b"\x80\x01a").1, Some(Failure::WebSocket), "of nothing");
        assert_eq!(told(web, b"\x02\x01a\x82\x01b").1, Some(Failure::WebSocket), "another in the middle");
        assert_eq!(told(web, b"\x82\x01a\x88\x00"), (list(&["a"]), Some(Failure::EarlyClose)));
    }

    #[test]
    fn what_came_with_the_handshake_counts() {
        let mut reader = Reader::of_websocket(b"\x82\x01a\x82".to_vec(), 5);
        assert!(matches!(reader.next(), Ok(Some(Told::Message(b"a")))));
        reader.push(b"\x01b");
        assert!(matches!(reader.next(), Ok(Some(Told::Message(b"b")))));
    }
}
