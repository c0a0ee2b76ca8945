//! What `serve chat` alone understands.

use crate::args::first_given;
use crate::values::{Limit, or_off, rate};
use socketserver::{Failure, Rate};

const CHAT: &str = "Rooms (chat)";

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Rooms {
    /// How many lines a member may say in a time, or `off`; five, at least, may come at once [default: 2/s]
    #[arg(long, value_name = "RATE", value_parser = or_off(rate), help_heading = CHAT)]
    pub(super) member_rate: Option<Limit<Rate>>,

    /// A name that the server goes by in browsers, with its port if that matters: `chat.example`; may be given several times
    ///
    /// `localhost` and the address that it listens on always are; whoever asks for another name is told 421.
    #[arg(long, value_name = "NAME", help_heading = CHAT)]
    pub(crate) host: Vec<String>,
}

impl Rooms {
    /// For the other handlers: none of it may have been given.
    pub(crate) fn is_for_chat_alone(&self) -> Result<(), Failure> {
        let mine = [("--member-rate", self.member_rate.is_some()), ("--host", !self.host.is_empty())];
        match first_given(mine) {
            Some(flag) => Err(format!("`{flag}` is for `serve chat` alone: nothing else has members").into()),
            None => Ok(()),
        }
    }
}
