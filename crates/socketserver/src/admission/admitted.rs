use super::rules::Rules;
use crate::connection::pipeline::Ending;
use crate::connection::{Connection, Peer, Reason};
use crate::endpoint::{Accepted, Transport};
use crate::events::{Closed, Opened};
use crate::lifecycle::{Run, Shared};
use std::net::IpAddr;
use std::sync::Arc;

/// A place for one connection, taken before there is one: so a drain that finds no place taken can be sure that none is
/// about to come.
#[derive(Debug)]
pub(crate) struct Place {
    run: Arc<Run>,
}

impl Place {
    pub(crate) fn take(run: &Arc<Run>) -> Self {
        run.shared.control.enter(run.number);
        Self { run: run.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.run.shared.control.leave(self.run.number);
    }
}

/// The right to hold a connection, under the limits of the server and of its peer.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    peer: Option<IpAddr>,
    /// It was given back before: the connection was exempted.
    spent: bool,
}

impl Permit {
    pub(crate) fn take(run: &Run) -> Option<Self> {
        run.shared.control.take_permit().then(|| Self { shared: run.shared.clone(), peer: None, spent: false })
    }

    /// Counts it among the connections of its peer. `false`: that has too many.
    pub(crate) fn enter(&mut self, peer: &Peer, rules: &Rules) -> bool {
        let entered = self.shared.door.enter(peer, rules);
        self.peer = entered.unwrap_or_default();
        entered.is_ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(peer) = self.peer {
            self.shared.door.leave(peer);
        }
        if !self.spent {
            self.shared.control.give_back_permit();
        }
    }
}

/// A connection that was let in: its place in the registry, the counters and the events, for exactly as long as it is
/// open. Dropping it closes the connection (this process' part of it) and tells.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// `None` only in `drop`.
    connection: Option<Arc<Connection>>,
    /// Where the registry keeps it.
    pub(crate) at: usize,
    pub(crate) ending: Option<Ending>,
    /// What it comes over, if that is not its socket.
    pub(crate) transport: Option<Transport>,
    permit: Permit,
    place: Place,
}

impl Admitted {
    pub(crate) fn new(accepted: Accepted, endpoint: usize, place: Place, permit: Permit) -> Self {
        let shared = &place.run.shared;
        let id = shared.control.count_accepted();
        let Accepted { transport, peer } = accepted;
        let (socket, transport) = match transport {
            Transport::Socket(socket) => (Some(socket), None),
            #[cfg(feature = "tokio")]
            own @ Transport::Own(_) => (None, Some(own)),
        };
        let (at, connection) =
            shared.registry.add(|slot| Connection::new(id, socket, peer, endpoint, slot).of_run(place.run.number));
        shared.control.watch();
        // The drain may have gone through the registry just before.
        if place.run.is_stopping() {
            connection.drain();
        }
        place.run.observe(|observer| {
            observer.opened(&Opened { id, peer: &connection.peer, endpoint: &shared.endpoints[endpoint] });
        });
        Self { connection: Some(connection), at, ending: None, transport, permit, place }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("it is taken in `drop` alone"))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let run = &self.place.run;
        // A model that drops a job turns the peer away.
        let ending = self.ending.take().unwrap_or_else(|| Ending::of(Reason::Refused));
        let (read, written) = (connection.slot.read(), connection.slot.written());
        run.shared.control.count_closed(ending.reason, read, written);
        run.shared.registry.remove(self.at);
        if let Some((hook, failure)) = ending.broken_hook() {
            run.hook_failed(hook, failure);
        }
        run.observe(|observer| {
            observer.closed(&Closed {
                id: connection.id,
                peer: &connection.peer,
                endpoint: &run.shared.endpoints[connection.endpoint],
                read,
                written,
                duration: connection.age(),
                reason: ending.reason,
                failure: ending.failure(),
            });
        });
        self.permit.spent = !connection.slot.exempt();
        // The socket closes here, before the place is free: whoever counts the places counts the descriptors too.
        drop(connection);
    }
}
