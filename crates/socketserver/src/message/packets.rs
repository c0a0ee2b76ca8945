use super::carrier::{Carries, Event, give_way};
use super::out::Out;
use crate::Result;
use crate::datagram::session::{Heard, Talk};
use std::io;
use std::task::{Poll, Waker};

/// A packet a message, in a session.
pub(crate) struct Packets<'a, S> {
    session: &'a mut S,
    /// The one that has come, and whether it was given out.
    packet: Option<Vec<u8>>,
    given: bool,
    max: usize,
}

impl<'a, S: Talk> Packets<'a, S> {
    pub(crate) fn new(session: &'a mut S, max: usize) -> Self {
        Self { session, packet: None, given: false, max }
    }
}

impl<S: Talk> Carries for Packets<'_, S> {
    fn next(&mut self) -> Result<Option<&[u8]>> {
        if std::mem::replace(&mut self.given, true) {
            self.packet = None;
        }
        Ok(self.packet.as_deref())
    }

    fn last(&mut self) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    async fn wait(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Event> {
        self.packet = None;
        Ok(match self.session.hear(pushed).await? {
            // Whoever forges a sender's address must not be able to end its session, so it is passed over.
            Heard::Packet(packet) if packet.len() > self.max => Event::Input,
            Heard::Packet(packet) => {
                (self.packet, self.given) = (Some(packet), false);
                Event::Input
            }
            Heard::Push => Event::Pushed,
            Heard::End => Event::Ended,
        })
    }

    async fn send(&mut self, out: &mut Out) -> io::Result<()> {
        let mut sent = Ok(());
        for packet in out.each() {
            match self.session.say(packet).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    sent = Err(error);
                    break;
                }
                // Packets may be lost; that this one was is counted.
                _ => {}
            }
        }
        out.clear();
        sent
    }

    async fn give_way(&mut self) {
        give_way(S::WAITS_INSIDE).await;
    }
}
