use crate::cell::{Row, Speaks};
use crate::web::{Web, code};
use rustix::net::sockopt::set_tcp_nodelay;
use socketserver_testkit::{Caller, Client, Stage};

/// A peer that speaks in messages: each way of speaking in one place.
pub(crate) enum Peer {
    Frames(Client),
    Web(Web),
    Records(Caller),
    Packets(Caller),
}

/// Four bytes of length, and so many of message.
fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn connect(stage: &Stage) -> Client {
    let client = if stage.endpoint().is_tls() { secure(stage) } else { stage.connect() };
    if stage.endpoint().tcp().is_some() {
        // Bytes go one by one when they are said one by one.
        set_tcp_nodelay(&client, true).unwrap();
    }
    client
}

#[cfg(feature = "tls")]
fn secure(stage: &Stage) -> Client {
    Client::connect(&crate::bridge::to(stage.endpoint())).unwrap()
}

#[cfg(not(feature = "tls"))]
fn secure(stage: &Stage) -> Client {
    unreachable!("{} is not in this build", stage.endpoint())
}

impl Peer {
    /// One whose turn it is.
    #[track_caller]
    pub(crate) fn of(stage: &Stage, row: Row) -> Self {
        let mut peer = Self::early(stage, row);
        if let Self::Web(web) = &mut peer {
            web.expect_accepted();
        }
        peer
    }

    /// One that may have to wait for its turn, and speaks all the same.
    pub(crate) fn early(stage: &Stage, row: Row) -> Self {
        match row.speaks {
            Speaks::Frames => Self::Frames(connect(stage)),
            Speaks::WebSocket => Self::Web(Web::of(connect(stage))),
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
            Self::Web(web) => web.say_glued(messages),
            Self::Records(caller) | Self::Packets(caller) => messages.iter().for_each(|message| caller.send(message)),
        }
    }

    /// Says it byte by byte, where that can be.
    pub(crate) fn say_slowly(&mut self, message: &[u8]) {
        match self {
            Self::Frames(client) => frame(message).iter().for_each(|byte| client.say([*byte])),
            Self::Web(web) => web.say_slowly(message),
            Self::Records(_) | Self::Packets(_) => self.say(message),
        }
    }

    /// Says `hello`, and in one go with it begins to say something that is so long; in a packet it says that, too.
    pub(crate) fn begin(&mut self, len: usize) {
        let long = vec![b'x'; len];
        match self {
            Self::Frames(client) => client.say([&frame(b"hello"), &frame(&long)[..7]].concat()),
            Self::Web(web) => web.begin(b"hello", &long),
            Self::Records(_) | Self::Packets(_) => self.say_glued(&[b"hello", &long]),
        }
        self.expect("hello");
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, message: impl AsRef<[u8]>) {
        let message = message.as_ref();
        match self {
            Self::Frames(client) => client.expect(frame(message)),
            Self::Web(web) => web.expect(message),
            Self::Records(caller) | Self::Packets(caller) => caller.expect(message),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, message: &str, answer: &str) {
        self.say(message);
        self.expect(answer);
    }

    /// The conversation is over: what the handler says when it closes, and the end, where it can be seen;
    /// over WebSocket it has a code.
    #[track_caller]
    pub(crate) fn expect_close(mut self, after: usize, code: u16) {
        self.expect(format!("closed after {after}"));
        match &mut self {
            Self::Frames(client) => client.expect_end(),
            Self::Web(web) => web.expect_close(code),
            Self::Records(caller) => caller.expect_end(),
            Self::Packets(_) => {}
        }
    }

    /// Ends the conversation after so many messages, in the way that the carrier has.
    #[track_caller]
    pub(crate) fn finish(mut self, after: usize) {
        match &mut self {
            Self::Frames(client) => client.end(),
            Self::Web(web) => web.say_goodbye(),
            Self::Records(caller) => caller.end(),
            Self::Packets(_) => {
                self.ask("!end", "goodbye");
                return self.expect_close(after + 1, code::DONE);
            }
        }
        self.expect_close(after, code::DONE);
    }

    /// Goes without a word, over TCP with a reset.
    pub(crate) fn vanish(self) {
        match self {
            Self::Frames(client) => client.reset(),
            Self::Web(web) => web.reset(),
            Self::Records(_) | Self::Packets(_) => {}
        }
    }
}
