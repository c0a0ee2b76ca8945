use super::{Admitted, Gate, Place, Tried};
use crate::Error;
use crate::connection::Peer;
use crate::datagram::Batch;
use crate::endpoint::Listeners;
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::Run;
use socketserver_sys::Watched;
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// What comes in.
pub(crate) enum Heard {
    Admitted(Admitted),
    /// And what is watched for more room to reply.
    Packets(Batch),
}

/// The accept path of the async engine: the same [`Gate`], and waits that a reactor watches.
pub(crate) struct Ears {
    run: Arc<Run>,
    gate: Arc<Gate>,
    listeners: Arc<Listeners>,
    /// One for each listener; `None`: a source that has to be polled.
    sockets: Vec<Option<Watched>>,
    stop: Watched,
    room: Watched,
    /// Who is looked at first: each in turn.
    turn: usize,
    /// There is no room for another connection. Packets need none.
    full: bool,
    /// Until when nobody is let in.
    rests: Option<Instant>,
    /// It was packets that could not be received: they rest as well.
    packets_rest: bool,
}

impl Ears {
    /// Watched by the runtime that this is called in. `None`: the run is over.
    pub(crate) fn new(run: &Arc<Run>, gate: &Arc<Gate>) -> Result<Option<Self>, Error> {
        let Some(listeners) = run.listeners() else { return Ok(None) };
        let failed = |error| Error::io("cannot wait for connections", error);
        let watch =
            |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().and_then(Watched::for_reading).map_err(failed);
        let watch_both =
            |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().and_then(Watched::for_both).map_err(failed);
        let sockets = listeners.all.iter().map(|listener| {
            // Replies to packets leave through it.
            let is_datagram = listener.packets().is_some();
            listener.descriptor().map(|fd| if is_datagram { watch_both(fd) } else { watch(fd) }).transpose()
        });
        Ok(Some(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
            stop: watch(run.shared.control.stop.as_fd())?,
            room: watch(run.shared.control.room.as_fd())?,
            run: run.clone(),
            gate: gate.clone(),
            listeners,
            turn: 0,
            full: false,
            rests: None,
            packets_rest: false,
        }))
    }

    /// The next connection that may come in, or packets. `None`: the server stops.
    pub(crate) async fn next(&mut self, verify: &dyn Fn(&Peer) -> bool) -> Result<Option<Heard>, Error> {
        let mut place = Place::take(&self.run);
        loop {
            if self.run.is_stopping() {
                return Ok(None);
            }
            let Some(index) = self.hear().await else {
                self.gate.forget_old_wishes();
                continue;
            };
            // Much may have happened before this task came to hear of it.
            if self.run.is_stopping() {
                return Ok(None);
            }
            match self.try_next(index, place, verify)? {
                Tried::Admitted(admitted) => return Ok(Some(Heard::Admitted(admitted))),
                Tried::Packets(batch) => return Ok(Some(Heard::Packets(batch))),
                Tried::Nothing(unused) => place = unused,
                Tried::More(unused) => {
                    place = unused;
                    tokio::task::yield_now().await;
                }
                Tried::Full(unused) => {
                    place = unused;
                    self.full = !self.run.shared.control.want_room();
                }
                Tried::Rest(unused, until) => {
                    place = unused;
                    self.rests = Some(until);
                    self.packets_rest = self.listeners.all[index].packets().is_some();
                }
            }
        }
    }

    /// Has packets handled, and their replies sent.
    pub(crate) async fn handle<S: Service<Async>>(&self, mut batch: Batch, service: &S) {
        let is_full = batch.is_full();
        batch.handle::<Async, S>(service);
        let Some(socket) = &self.sockets[batch.index()] else { return };
        // Nearly always the socket takes all at once, and there is nothing to wait for.
        let mut sent = batch.send();
        while !sent {
            // Taken before the attempt: room that comes after it is not cleared with it.
            let writable = poll_fn(|cx| socket.poll_write_ready(cx));
            let ready = match batch.until() {
                Some(until) => tokio::time::timeout_at(until.into(), writable).await.ok(),
                None => Some(writable.await),
            };
            let Some(Ok(mut ready)) = ready else { return batch.give_up() };
            sent = batch.send();
            if !sent {
                ready.clear_ready();
            }
        }
        if is_full {
            // A flood gives way to others.
            tokio::task::yield_now().await;
        }
    }

    /// Waits for a listener that something may wait at. `None`: the wish to stop, or an old one.
    async fn hear(&mut self) -> Option<usize> {
        let mut rest = pin!(self.rests.map(|until| tokio::time::sleep_until(until.into())));
        poll_fn(|cx| {
            if let Poll::Ready(Ok(mut ready)) = self.stop.poll_read_ready(cx) {
                // Whether it was meant for this run is seen by its number.
                ready.clear_ready();
                return Poll::Ready(None);
            }
            if let (true, Poll::Ready(Ok(mut ready))) = (self.full, self.room.poll_read_ready(cx)) {
                ready.clear_ready();
                self.full = false;
            }
            if let (Some(_), Some(rest)) = (self.rests, rest.as_mut().as_pin_mut())
                && rest.poll(cx).is_ready()
            {
                self.rests = None;
                self.packets_rest = false;
            }
            let lets_in = !self.full && self.rests.is_none();
            let takes_packets = lets_in || !(self.packets_rest || self.run.shared.control.is_suspended());
            let count = self.sockets.len();
            for index in (0..count).map(|at| (self.turn + at) % count) {
                let is_datagram = self.listeners.all[index].packets().is_some();
                if !(if is_datagram { takes_packets } else { lets_in }) {
                    continue;
                }
                let heard = match &self.sockets[index] {
                    Some(socket) => socket.poll_read_ready(cx).is_ready(),
                    None => self.listeners.all[index].poll_ready(cx).is_ready(),
                };
                if heard {
                    self.turn = index + 1;
                    return Poll::Ready(Some(index));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn try_next(&self, index: usize, place: Place, verify: &dyn Fn(&Peer) -> bool) -> Result<Tried, Error> {
        let Some(socket) = &self.sockets[index] else {
            return self.gate.try_next(&self.listeners, index, false, place, verify);
        };
        // Taken before the look: what comes after the look is not cleared with it.
        let ready = socket.poll_read_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let tried = self.gate.try_next(&self.listeners, index, false, place, verify)?;
        let is_empty = match &tried {
            Tried::Nothing(_) => true,
            // Asking again would find that out at the price of a system call.
            Tried::Packets(batch) => !batch.is_full(),
            _ => false,
        };
        if let (true, Poll::Ready(Ok(mut ready))) = (is_empty, ready) {
            ready.clear_ready();
        }
        Ok(tried)
    }
}
