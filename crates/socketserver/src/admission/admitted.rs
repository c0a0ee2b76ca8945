use super::rules::Rules;
#[cfg(feature = "tokio")]
use crate::connection::AsyncTransport;
use crate::connection::pipeline::Ending;
use crate::connection::{Connection, Peer, Reason, Record, Steer};
use crate::endpoint::{Accepted, Transport};
use crate::events::{Closed, Observer, Refused};
use crate::lifecycle::Run;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A place for one connection, taken before there is one: so a drain that finds no place taken can be sure that none is
/// about to come. Once there is one it holds the permit for it and its number among its peer's.
#[derive(Debug)]
pub(crate) struct Place {
    run: Arc<Run>,
    peer: Option<IpAddr>,
    has_permit: bool,
    /// It is one for packets, or sessions, of that endpoint.
    packets: Option<u32>,
}

impl Place {
    pub(crate) fn take(run: &Arc<Run>) -> Self {
        run.shared.control.enter(run.number);
        Self { run: run.clone(), peer: None, has_permit: false, packets: None }
    }

    /// From now on it is one for packets, or sessions, of that endpoint.
    pub(crate) fn for_packets(mut self, index: usize) -> Self {
        self.run.packets_begin(index);
        // There are not as many endpoints, and each connection has room for this.
        self.packets = u32::try_from(index).ok();
        self
    }

    /// The run that it is a place of.
    pub(crate) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// A connection that finds room is about to take it.
    pub(super) fn take_permit(&mut self) {
        self.run.shared.control.take_permit();
        self.has_permit = true;
    }

    /// Counts it among the connections of its peer. `false`: that has too many.
    pub(super) fn enter(&mut self, peer: &Peer, rules: &Rules) -> bool {
        let entered = self.run.shared.door.enter(peer, rules);
        self.peer = entered.unwrap_or_default();
        entered.is_ok()
    }

    /// The connection is no more, or was turned away.
    pub(super) fn vacate(&mut self) {
        if let Some(peer) = self.peer.take() {
            self.run.shared.door.leave(peer);
        }
        if std::mem::take(&mut self.has_permit) {
            self.run.shared.control.give_back_permit();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.vacate();
        if let Some(index) = self.packets {
            self.run.packets_end(index as usize);
        }
        self.run.shared.control.leave(self.run.number);
    }
}

/// A connection that was let in: its place in the registry, the counters and the events, for exactly as long as it is
/// open. Dropping it closes the connection (this process' part of it) and tells.
pub(crate) struct Admitted {
    /// `None` only in `drop`.
    connection: Option<Arc<Connection>>,
    /// Where the registry keeps it.
    pub(crate) at: usize,
    pub(crate) ending: Option<Ending>,
    /// What it comes over, if that is not its socket.
    #[cfg(feature = "tokio")]
    pub(crate) transport: Option<Box<dyn AsyncTransport>>,
    place: Place,
}

impl Admitted {
    /// Of one that is `proxied` it is not known yet who it is from: it is told of once that is so.
    pub(crate) fn new(accepted: Accepted, endpoint: usize, place: Place, proxied: bool) -> Self {
        let run = place.run.clone();
        let shared = &run.shared;
        let id = shared.control.next_id();
        if !proxied {
            shared.control.count_accepted();
        }
        let Accepted { transport, peer } = accepted;
        // What another server has found out about it says nothing here.
        let peer = peer.bare();
        #[cfg(feature = "tokio")]
        let (socket, transport) = match transport {
            Transport::Socket(socket) => (Some(socket), None),
            Transport::Own(own) => (None, Some(own)),
        };
        #[cfg(not(feature = "tokio"))]
        let Transport::Socket(socket) = transport;
        #[cfg(not(feature = "tokio"))]
        let socket = Some(socket);
        let (at, connection) = shared.registry.add(|slot| {
            if proxied {
                slot.await_header();
            }
            Record::new(id, peer, endpoint, slot).of_run(run.number).with(socket)
        });
        // In this order: without anybody to watch over the keeper does not look.
        shared.control.count_held();
        shared.control.watch();
        // The drain may have gone through the registry just before.
        if run.is_stopping() {
            connection.drain();
        }
        if !proxied {
            run.tell_opened(&connection);
        }
        Self {
            connection: Some(connection),
            at,
            ending: None,
            #[cfg(feature = "tokio")]
            transport,
            place,
        }
    }

    #[inline]
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("it is taken in `drop` alone"))
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let run = &self.place.run;
        // A model that drops a job turns the peer away.
        let ending = self.ending.take().unwrap_or_else(|| Ending::of(Reason::Refused));
        let (read, written) = (connection.slot.read(), connection.slot.written());
        // An exempted one has given its permit back. Seen before the slot can be another connection's.
        self.place.has_permit &= connection.slot.exempt();
        if self.place.has_permit {
            run.shared.control.count_let_go();
        }
        let is_known = !connection.slot.awaits_header();
        run.shared.registry.remove(self.at, || {
            if is_known {
                run.shared.control.count_closed(ending.reason, read, written);
            }
        });
        if let Some(key) = connection.peer().counted_as() {
            run.shared.door.leave(key);
        }
        if let Some((hook, failure)) = ending.broken_hook() {
            run.hook_failed(hook, failure);
        }
        let (peer, endpoint) = (connection.peer(), &run.shared.endpoints[connection.endpoint()]);
        if let Some(why) = ending.refusal() {
            run.shared.control.count_refused(why);
            let failure = ending.failure();
            run.observe(|observer| observer.refused(&Refused { peer, endpoint, why, failure }));
        }
        let tell = |observer: &dyn Observer| {
            observer.closed(&Closed {
                id: connection.id,
                peer,
                endpoint,
                read,
                written,
                duration: connection.age(),
                reason: ending.reason,
                failure: ending.failure(),
            });
        };
        if is_known {
            run.observe(tell);
        }
        // The socket closes here, before the place is free: whoever counts the places counts the descriptors too.
        drop(connection);
    }
}
