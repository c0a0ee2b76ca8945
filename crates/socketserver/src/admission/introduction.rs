//! The second step of admission, where proxies speak for others: it comes once the peer is known.

use super::OverLimit;
use super::gate::judge;
use crate::Peer;
use crate::connection::{Connection, Steer};
use crate::endpoint::Transport;
use crate::events::{Opened, Refusal};
use crate::lifecycle::Run;
use socketserver_proto::proxy::Header;

impl Run {
    /// Whether this is nobody who may speak for others, where somebody has to.
    pub(super) fn distrusts(&self, peer: &Peer) -> bool {
        !self.settings.proxies.iter().any(|source| source.is(peer))
    }

    /// Lets in the peer that the proxy at the other end speaks for, if it may come in. It is the connection's from now on, in
    /// any case.
    pub(crate) fn let_in(
        &self,
        connection: &Connection,
        header: Header,
        verify: &dyn Fn(&Peer) -> bool,
    ) -> Result<(), Refusal> {
        let door = &self.shared.door;
        let mut peer = Peer::behind(connection.peer(), header);
        let mut entered = None;
        let judged = judge(self, &peer, &door.rules(), true, verify, &mut |peer, rules| {
            door.enter(peer, rules).map(|key| entered = key).is_ok()
        });
        match (&judged, entered) {
            (Ok(()), Some(key)) => peer.count_as(key),
            (Err(_), Some(key)) => door.leave(key),
            (_, None) => {}
        }
        connection.introduce(peer);
        if let Err(why) = judged {
            self.say_why(connection, why);
            return Err(why);
        }
        connection.slot.let_in();
        self.shared.control.count_accepted();
        self.tell_opened(connection);
        // A drain may have found that it waited for nothing that was asked.
        if self.is_stopping() {
            connection.drain();
        }
        Ok(())
    }

    /// Tells of a connection that was let in.
    pub(super) fn tell_opened(&self, connection: &Connection) {
        let (id, endpoint) = (connection.id, &self.shared.endpoints[connection.endpoint()]);
        self.observe(|observer| observer.opened(&Opened { id, peer: connection.peer(), endpoint }));
    }

    /// A peer that has too many connections is told so, if that is the policy, and it can be told in plain words. Nobody
    /// waits until it has read them, but the keeper.
    fn say_why(&self, connection: &Connection, why: Refusal) {
        let rules = self.shared.door.rules();
        if let (Refusal::PeerLimit, OverLimit::Reply(words)) = (why, &rules.over)
            && !self.shared.endpoints[connection.endpoint()].is_tls()
            && let Some(Ok(socket)) = connection.descriptor().map(|socket| socket.try_clone_to_owned())
        {
            self.bid_farewell(Transport::Socket(socket), words);
        }
    }
}
