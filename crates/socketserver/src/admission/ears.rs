use super::{Admitted, Gate, Place, Tried};
use crate::Error;
use crate::connection::Peer;
use crate::endpoint::Listeners;
use crate::lifecycle::Run;
use socketserver_sys::Watched;
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// The accept path of the async engine: the same [`Gate`], and waits that a reactor watches.
pub(crate) struct Ears {
    run: Arc<Run>,
    gate: Arc<Gate>,
    listeners: Arc<Listeners>,
    /// One for each listener; `None`: a source that has to be polled, or no connections come there.
    sockets: Vec<Option<Watched>>,
    stop: Watched,
    room: Watched,
    /// Who is looked at first: each in turn.
    turn: usize,
    /// There is no room for another connection.
    full: bool,
    /// Until when nobody is let in.
    rests: Option<Instant>,
}

impl Ears {
    /// Watched by the runtime that this is called in. `None`: the run is over.
    pub(crate) fn new(run: &Arc<Run>, gate: &Arc<Gate>) -> Result<Option<Self>, Error> {
        let Some(listeners) = run.listeners() else { return Ok(None) };
        let failed = |error| Error::io("cannot wait for connections", error);
        let watch =
            |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().and_then(Watched::for_reading).map_err(failed);
        let sockets = listeners.all.iter().map(|listener| {
            let descriptor = listener.descriptor().filter(|_| listener.packets().is_none());
            descriptor.map(watch).transpose()
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
        }))
    }

    /// The next connection that may come in. `None`: the server stops.
    pub(crate) async fn next(&mut self, verify: &dyn Fn(&Peer) -> bool) -> Result<Option<Admitted>, Error> {
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
                Tried::Admitted(admitted) => return Ok(Some(admitted)),
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
                }
                Tried::Packets(_) => unreachable!("they come in by an inlet"),
            }
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
            }
            if self.full || self.rests.is_some() {
                return Poll::Pending;
            }
            let count = self.sockets.len();
            for index in (0..count).map(|at| (self.turn + at) % count) {
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
        if let (Tried::Nothing(_), Poll::Ready(Ok(mut ready))) = (&tried, ready) {
            ready.clear_ready();
        }
        Ok(tried)
    }
}
