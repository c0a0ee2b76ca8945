use crate::cell::{Row, Speaks};
use rustix::net::sockopt::set_tcp_nodelay;
use socketserver::Endpoint;
use socketserver_testkit::{Caller, Client, Stage};

/// A peer that speaks in messages: each way of speaking in one place.
pub(crate) enum Peer {
    Frames(Client),
    Records(Caller),
    Packets(Caller),
}

/// Four bytes of length, and so many of message.
fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

impl Peer {
    pub(crate) fn of(stage: &Stage, row: Row) -> Self {
        match row.speaks {
            Speaks::Frames => {
                let client = stage.connect();
                if matches!(stage.endpoint(), Endpoint::Tcp { .. }) {
                    // Bytes go one by one when they are said one by one.
                    set_tcp_nodelay(&client, true).unwrap();
                }
                Self::Frames(client)
            }
            Speaks::Records => Self::Records(stage.caller()),
            Speaks::Packets => Self::Packets(stage.caller()),
        }
    }

    pub(crate) fn say(&mut self, message: impl AsRef<[u8]>) {
        self.say_glued(&[message.as_ref()]);
    }

    /// Says them in one piece, where there is such a thing.
    pub(crate) fn say_glued(&mut self, messages: &[&[u8]]) {
        match self {
            Self::Frames(client) => {
                client.say(messages.iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
            }
            Self::Records(caller) | Self::Packets(caller) => messages.iter().for_each(|message| caller.send(message)),
        }
    }

    /// Says it byte by byte, where that can be.
    pub(crate) fn say_slowly(&mut self, message: &[u8]) {
        match self {
            Self::Frames(client) => frame(message).iter().for_each(|byte| client.say([*byte])),
            Self::Records(_) | Self::Packets(_) => self.say(message),
        }
    }

    /// Says `hello`, and in one go with it begins to say something that is so long; in a packet it says that, too.
    pub(crate) fn begin(&mut self, len: usize) {
        let long = vec![b'x'; len];
        match self {
            Self::Frames(client) => client.say([&frame(b"hello"), &frame(&long)[..7]].concat()),
            Self::Records(_) | Self::Packets(_) => self.say_glued(&[b"hello", &long]),
        }
        self.expect("hello");
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, message: impl AsRef<[u8]>) {
        let message = message.as_ref();
        match self {
            Self::Frames(client) => client.expect(frame(message)),
            Self::Records(caller) | Self::Packets(caller) => caller.expect(message),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, message: &str, answer: &str) {
        self.say(message);
        self.expect(answer);
    }

    /// The conversation is over: what the handler says when it closes, and the end, where it can be seen.
    #[track_caller]
    pub(crate) fn expect_close(mut self, after: usize) {
        self.expect(format!("closed after {after}"));
        match &mut self {
            Self::Frames(client) => client.expect_end(),
            Self::Records(caller) => caller.expect_end(),
            Self::Packets(_) => {}
        }
    }

    /// Ends the conversation after so many messages, in the way that the carrier has.
    #[track_caller]
    pub(crate) fn finish(mut self, after: usize) {
        match &mut self {
            Self::Frames(client) => client.end(),
            Self::Records(caller) => caller.end(),
            Self::Packets(_) => {
                self.ask("!end", "goodbye");
                return self.expect_close(after + 1);
            }
        }
        self.expect_close(after);
    }

    /// Goes without a word, over TCP with a reset.
    pub(crate) fn vanish(self) {
        if let Self::Frames(client) = self {
            client.reset();
        }
    }
}
