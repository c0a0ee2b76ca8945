//! The operator's side: what is typed is done.

use super::book::{Book, Entry};
use super::chunks::Chunks;
use super::typed::{HELP, Typed};
use crate::connect::line::{self, Line, MAX_PACKET};
use socketserver::{Handle, PushError};
use std::io::BufRead;
use std::sync::Arc;

pub(super) struct Operator {
    pub(super) book: Arc<Book>,
    pub(super) server: Handle,
    /// Where a peer takes its messages too slowly input waits: nobody sits there who would rather do something else.
    pub(super) waits: bool,
}

impl Operator {
    /// Does what a line says, and says what there is to say. The line has no newline at its end.
    pub(super) fn obey(&self, line: &[u8], say: &mut dyn FnMut(&str)) {
        match Typed::parse(line) {
            Typed::Nothing => {}
            Typed::Text(text) => match self.book.chosen() {
                Some(peer) => self.send(&peer, text, say),
                None => say("nobody is chosen, so this was not sent; `/to N` chooses, `/who` tells who is there"),
            },
            Typed::All(text) => self.book.all().iter().for_each(|peer| self.send(peer, text, say)),
            Typed::To(id) => match self.book.choose(id) {
                Some(Entry { id, peer, .. }) => say(&format!("what you type goes to {id} {peer}")),
                None => say(&nobody(id)),
            },
            Typed::Close(Some(id)) => match self.book.find(id) {
                Some(peer) => peer.outbox.end(),
                None => say(&nobody(id)),
            },
            Typed::Close(None) => match self.book.chosen() {
                Some(peer) => peer.outbox.end(),
                None => say("nobody is chosen; `/close N` closes N"),
            },
            Typed::Who => say(&self.who()),
            Typed::Help => say(HELP),
            Typed::Quit => self.server.shutdown(),
            Typed::Wrong(why) => say(&why),
        }
    }

    fn send(&self, to: &Entry, text: &[u8], say: &mut dyn FnMut(&str)) {
        let Entry { id, peer, outbox, in_packets } = to;
        if *in_packets && text.len() > MAX_PACKET {
            let len = text.len();
            say(&format!("not sent to {id} {peer}: {len} bytes are too long for a packet, which holds {MAX_PACKET}"));
            return;
        }
        let sent = if self.waits { outbox.blocking_send(text) } else { outbox.push(text) };
        match sent {
            Ok(()) => {}
            Err(PushError::Closed) => say(&format!("not sent: {id} {peer} has left")),
            Err(error) => say(&format!("not sent to {id} {peer}: {error}")),
        }
    }

    fn who(&self) -> String {
        let (there, chosen) = (self.book.all(), self.book.chosen());
        if there.is_empty() {
            return "nobody is there".into();
        }
        let is_chosen = |id| chosen.as_ref().is_some_and(|chosen| chosen.id == id);
        let line = |e: &Entry| format!("{} {} {}", if is_chosen(e.id) { '>' } else { ' ' }, e.id, e.peer);
        there.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Does what lines say, until there are no more.
    pub(super) fn read(&self, mut input: impl BufRead, say: &mut dyn FnMut(&str)) {
        let mut text = Vec::new();
        let mut is_too_long = false;
        loop {
            match line::next(&mut input, &mut text, Chunks::MAX) {
                // The end of one that was.
                Ok(Line::Whole) if is_too_long => is_too_long = false,
                Ok(Line::Whole) => self.obey(&text, say),
                Ok(Line::TooLong) if is_too_long => {}
                Ok(Line::TooLong) => {
                    is_too_long = true;
                    say(&format!("a line of more than {} bytes was not sent", Chunks::MAX));
                }
                Ok(Line::End) => return,
                Err(error) => return say(&format!("standard input: {error}")),
            }
        }
    }
}

fn nobody(id: u64) -> String {
    format!("there is no peer {id}; `/who` tells who is there")
}
