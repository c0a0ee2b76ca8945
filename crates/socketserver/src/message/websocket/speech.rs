use crate::framing::{FrameError, Framing, Scan, Step};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// As what messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    Text,
    Binary,
    /// As the peer's last one came.
    AsHeard,
}

/// What is said to a peer: messages in frames, as text or as binary.
#[derive(Debug)]
pub(crate) struct Speech {
    sends: Sends,
    max_message: usize,
    heard_text: AtomicBool,
}

impl Speech {
    pub(super) fn new(sends: Sends, max_message: usize) -> Self {
        Self { sends, max_message, heard_text: AtomicBool::new(false) }
    }

    /// A message has come.
    pub(super) fn heard(&self, text: bool) {
        self.heard_text.store(text, Relaxed);
    }

    /// Whether the last message of the peer was text.
    pub(crate) fn has_heard_text(&self) -> bool {
        self.heard_text.load(Relaxed)
    }
}

/// One way alone: what comes is not looked at here.
impl Framing for Speech {
    fn decode(&self, _: &[u8], _: &mut Scan) -> Result<Step, FrameError> {
        Err(FrameError::malformed("frames of WebSocket are read by their carrier"))
    }

    #[inline]
    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        if message.len() > self.max_message {
            return Err(FrameError::too_long(message.len() as u64, self.max_message));
        }
        let text = match self.sends {
            Sends::Text => true,
            Sends::Binary => false,
            Sends::AsHeard => self.has_heard_text(),
        };
        if text && std::str::from_utf8(message).is_err() {
            return Err(FrameError::unencodable("a message that is not UTF-8 cannot be sent as text"));
        }
        frame(OpCode::Data(if text { Data::Text } else { Data::Binary }), message, out);
        Ok(())
    }

    fn max_message(&self) -> usize {
        self.max_message
    }
}

/// Appends a control frame, of at most 125 bytes.
pub(super) fn control(kind: Control, body: &[u8], out: &mut Vec<u8>) {
    frame(OpCode::Control(kind), body, out);
}

/// Appends a frame as a server sends it: whole and not masked.
#[inline]
fn frame(opcode: OpCode, body: &[u8], out: &mut Vec<u8>) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    out.reserve(header.len(body.len() as u64) + body.len());
    // Memory takes all that is written to it.
    let _ = header.format(body.len() as u64, out);
    out.extend_from_slice(body);
}
