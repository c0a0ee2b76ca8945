use super::{DatagramSocket, tell_bounces};
use crate::Peer;
use crate::events::Unsent;
use crate::lifecycle::Run;
use rustix::net::SocketAddrAny;
use socketserver_sys::Outbox;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Sends what has gathered, counts it, and tells what could not be sent.
pub(crate) struct Dispatch<'a> {
    pub(crate) run: &'a Run,
    pub(crate) socket: &'a DatagramSocket,
    /// Which of the server's endpoints it is of.
    pub(crate) index: usize,
    /// A child's own copy of the socket; in a child nobody listens to events.
    pub(crate) own: Option<BorrowedFd<'a>>,
}

impl Dispatch<'_> {
    /// Does not wait. `false`: the rest has to wait until the socket takes more.
    pub(crate) fn send(&self, outbox: &mut Outbox) -> bool {
        let (before, mut lost) = (outbox.len(), 0);
        let mut failed = |to: Option<&SocketAddrAny>, error: io::Error| {
            lost += 1;
            self.unsent(to, &error);
        };
        let socket = self.own.unwrap_or_else(|| self.socket.as_fd());
        let mut all = outbox.send(socket, &mut failed);
        // Over Unix sockets it is the peer's queue that is full. Nobody waits for a peer that does not read.
        while !all && self.socket.bound().is_none() {
            let to = outbox.give_up();
            failed(to.as_ref(), io::ErrorKind::WouldBlock.into());
            all = outbox.send(socket, &mut failed);
        }
        if outbox.take_refused() {
            self.socket.trains.refused();
        }
        self.run.shared.control.count_replies(before - outbox.len() - lost);
        // A child leaves it to its parent. With errors to tell the socket would seem to have room.
        if self.own.is_none() && (outbox.has_stumbled() || !all) {
            tell_bounces(self.run, self.socket, self.index);
        }
        all
    }

    /// The socket takes nothing any more: what is left is lost.
    pub(crate) fn give_up(&self, outbox: &mut Outbox) {
        let error = io::ErrorKind::TimedOut.into();
        while !outbox.is_empty() {
            let to = outbox.give_up();
            self.unsent(to.as_ref(), &error);
        }
    }

    fn unsent(&self, to: Option<&SocketAddrAny>, error: &io::Error) {
        self.run.shared.control.count_unsent();
        if self.own.is_none() {
            let peer = to.and_then(|to| SocketAddr::try_from(to.clone()).ok()).map_or_else(Peer::unnamed, Peer::from);
            let endpoint = &self.run.shared.endpoints[self.index];
            self.run.observe(|observer| observer.unsent(&Unsent { peer: &peer, endpoint, error }));
        }
    }
}
