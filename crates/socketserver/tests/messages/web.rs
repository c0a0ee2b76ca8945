//! A peer over WebSocket that keeps to the rules (RFC 6455).

use socketserver_testkit::Client;
use socketserver_testkit::websocket::{ACCEPTED, BINARY, CLOSE, FIN, expect_close, frame, plain, request};
use std::mem::replace;

/// Why a conversation is over, as the server says it (section 7.4.1).
pub(crate) mod code {
    pub(crate) const DONE: u16 = 1000;
    pub(crate) const AWAY: u16 = 1001;
    pub(crate) const TOO_LONG: u16 = 1009;
    pub(crate) const FAILED: u16 = 1011;
}

pub(crate) struct Web {
    client: Client,
    accepted: bool,
}

fn binary(message: &[u8]) -> Vec<u8> {
    frame(FIN | BINARY, message)
}

impl Web {
    /// It has asked, and what it says may follow that at once.
    pub(crate) fn of(mut client: Client) -> Self {
        client.say(request(""));
        Self { client, accepted: false }
    }

    #[track_caller]
    pub(crate) fn expect_accepted(&mut self) {
        if !replace(&mut self.accepted, true) {
            self.client.expect(ACCEPTED);
        }
    }

    pub(crate) fn say_glued(&mut self, messages: &[&[u8]]) {
        self.client.say(messages.iter().flat_map(|message| binary(message)).collect::<Vec<u8>>());
    }

    /// Byte by byte, and each byte of the message in a frame of its own.
    pub(crate) fn say_slowly(&mut self, message: &[u8]) {
        let mut fragments = Vec::new();
        let mut first = BINARY;
        for byte in message {
            fragments.extend(frame(first, &[*byte]));
            // They continue it.
            first = 0;
        }
        fragments.extend(frame(FIN | first, b""));
        fragments.iter().for_each(|byte| self.client.say([*byte]));
    }

    /// The first message, and in one go with it the header and a few bytes of the second.
    pub(crate) fn begin(&mut self, whole: &[u8], long: &[u8]) {
        let cut = binary(long).len() - long.len() + 3;
        self.client.say([&binary(whole), &binary(long)[..cut]].concat());
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, message: &[u8]) {
        self.expect_accepted();
        self.client.expect(plain(FIN | BINARY, message));
    }

    pub(crate) fn say_goodbye(&mut self) {
        self.client.say(frame(FIN | CLOSE, &code::DONE.to_be_bytes()));
    }

    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: u16) {
        expect_close(&mut self.client, code);
    }

    pub(crate) fn reset(self) {
        self.client.reset();
    }
}
