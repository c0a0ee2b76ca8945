//! The peers' side: what they send is shown.

use super::book::{Book, Entry};
use super::screen::Screen;
use crate::args::Log;
use socketserver::{AsyncMessageHandler, Carrier, Channel, MessageHandler, Result};
use std::sync::Arc;

/// What is done with each peer.
pub(super) struct Conversation {
    pub(super) book: Arc<Book>,
    pub(super) screen: Screen,
    pub(super) log: Log,
}

impl Conversation {
    fn begins(&self, channel: &mut Channel) -> Result<String> {
        let (id, peer) = (channel.id(), channel.peer().to_string());
        let label = format!("[{id} {peer}]");
        let (outbox, in_packets) = (channel.outbox(), channel.carrier() == Carrier::Packets);
        if self.book.enter(Entry { id, peer: peer.clone(), outbox, in_packets }) {
            self.log.note(&format!("what you type goes to {id} {peer}; `/help` tells more"));
        }
        Ok(label)
    }

    fn ends(&self, channel: &Channel) {
        if self.book.strike(channel.id()) {
            let (id, peer) = (channel.id(), channel.peer());
            self.log.note(&format!("{id} {peer}, to whom you talked, has left; nobody is chosen: `/to N` chooses"));
        }
    }
}

impl MessageHandler for Conversation {
    type State = String;

    fn open(&self, channel: &mut Channel) -> Result<String> {
        self.begins(channel)
    }
    fn message(&self, label: &mut String, message: &[u8], _: &mut Channel) -> Result {
        self.screen.blocking_show(label, message);
        Ok(())
    }
    fn close(&self, _: String, channel: &mut Channel) {
        self.ends(channel);
    }
}

/// The same where a thread has many peers: while the screen has no room it waits for that without the thread.
pub(super) struct Waiting(pub(super) Conversation);

impl AsyncMessageHandler for Waiting {
    type State = String;

    async fn open(&self, channel: &mut Channel) -> Result<String> {
        self.0.begins(channel)
    }
    async fn message(&self, label: &mut String, message: &[u8], _: &mut Channel) -> Result {
        self.0.screen.show(label, message).await;
        Ok(())
    }
    fn close(&self, _: String, channel: &mut Channel) {
        self.0.ends(channel);
    }
}
