use super::{Gate, Place, Tried};
use crate::datagram::{self, Batch, Datagram, DatagramSocket, Dispatch};
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::{Error, clock};
use socketserver_sys::{Outbox, Watched};
use std::cell::RefCell;
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::task::JoinSet;

/// Where packets come to one shard of the async engine: the same [`Gate`], and waits that a reactor watches.
pub(crate) struct Inlet {
    run: Arc<Run>,
    gate: Arc<Gate>,
    socket: Arc<DatagramSocket>,
    watched: Rc<Watched>,
    /// Watched anew for each wait for room: once the runtime has seen an error (of a packet that did not arrive, say) it
    /// takes the socket for writable, whatever comes.
    room: RefCell<Option<Watched>>,
    /// Tells of packets that did not arrive, and ends with this.
    _teller: JoinSet<()>,
    /// Which of the server's endpoints it is of.
    index: usize,
}

/// How many batches are handled in one go, at most.
const IN_A_ROW: usize = 8;

impl Inlet {
    /// Watched by the runtime that this is called in.
    pub(crate) fn new(
        run: &Arc<Run>,
        gate: &Arc<Gate>,
        socket: &Arc<DatagramSocket>,
        index: usize,
    ) -> Result<Self, Error> {
        let watched = socket.as_fd().try_clone_to_owned().and_then(Watched::for_reading);
        let watched = Rc::new(watched.map_err(|error| Error::io("cannot wait for packets", error))?);
        let mut teller = JoinSet::new();
        if socket.bound().is_some() {
            teller.spawn_local(tell_bounces(run.clone(), socket.clone(), index, watched.clone()));
        }
        let (run, gate, socket, room) = (run.clone(), gate.clone(), socket.clone(), RefCell::default());
        Ok(Self { run, gate, socket, watched, room, _teller: teller, index })
    }

    /// Has the packets handled as they come, until the server stops. The end of the run ends it too, while it waits.
    pub(crate) async fn serve<S: Service<Async>>(&self, service: &S) -> Result<(), Error> {
        let mut in_a_row = 0;
        while let Some(mut batch) = self.next().await? {
            in_a_row = if batch.is_busy() { in_a_row + 1 } else { 0 };
            batch.handle::<Async, S>(service);
            self.send(&mut batch).await;
            drop(batch);
            if in_a_row >= IN_A_ROW {
                // A flood gives way to others.
                in_a_row = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// The next packets. `None`: the server stops.
    pub(crate) async fn next(&self) -> Result<Option<Batch>, Error> {
        loop {
            if poll_fn(|cx| self.watched.poll_read_ready(cx)).await.is_err() {
                return Ok(None);
            }
            let place = Place::take(&self.run);
            if self.run.is_stopping() {
                return Ok(None);
            }
            match self.try_next(place)? {
                Tried::Packets(batch) => return Ok(Some(batch)),
                Tried::Rest(place, until) => {
                    drop(place);
                    tokio::time::sleep_until(until.into()).await;
                }
                Tried::Full(place) => {
                    drop(place);
                    self.run.shared.until_resumed().await;
                }
                Tried::More(_) => tokio::task::yield_now().await,
                Tried::Nothing(_) | Tried::Admitted(_) => {}
            }
        }
    }

    fn try_next(&self, place: Place) -> Result<Tried, Error> {
        // Taken before the look: what comes after the look is not cleared with it.
        let ready = self.watched.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        let tried = self.gate.receive(&self.socket, self.index, place)?;
        let is_empty = match &tried {
            Tried::Nothing(_) => true,
            // Asking again would find that out at the price of a system call.
            Tried::Packets(batch) => !batch.is_busy(),
            _ => false,
        };
        if let (true, Poll::Ready(Ok(mut ready))) = (is_empty, ready) {
            ready.clear_ready();
        }
        Ok(tried)
    }

    /// As [`next`](Self::next), without waiting. `None`: the server stops.
    pub(crate) fn try_once(&self) -> Result<Option<Tried>, Error> {
        let place = Place::take(&self.run);
        if self.run.is_stopping() { Ok(None) } else { self.try_next(place).map(Some) }
    }

    /// Waits for packets.
    pub(crate) fn poll_packets(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.watched.poll_read_ready(cx).map(drop)
    }

    /// Waits for room to send, after there was none.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &*self.room.borrow() {
            Some(room) => room.poll_write_ready(cx).map(drop),
            // Out of descriptors, say: the deadline ends it.
            None => Poll::Pending,
        }
    }

    /// Watches for room, after there was none. `None`: out of descriptors.
    fn watch_room(&self) -> Option<Watched> {
        self.socket.as_fd().try_clone_to_owned().and_then(Watched::for_writing).ok()
    }

    /// Sends what has gathered, without waiting. What the socket does not take within the write deadline is lost.
    pub(crate) fn dispatch(&self, outbox: &mut Outbox, stuck: &mut Option<Instant>) {
        if outbox.is_empty() {
            return;
        }
        let dispatch = Dispatch { run: &self.run, socket: &self.socket, index: self.index, own: None };
        let before = outbox.len();
        if dispatch.send(outbox) {
            *stuck = None;
            return;
        }
        *self.room.borrow_mut() = self.watch_room();
        if outbox.len() < before {
            *stuck = None;
        }
        let now = clock::now();
        let deadline = |since: Instant| self.run.settings.write.and_then(|time| since.checked_add(time));
        match *stuck {
            Some(until) if until <= now => {
                dispatch.give_up(outbox);
                *stuck = None;
            }
            Some(_) => {}
            None => *stuck = deadline(now),
        }
    }

    /// Sends the replies of a batch, and waits for the socket to take them for as long as the write deadline allows.
    pub(crate) async fn send(&self, batch: &mut Batch) {
        // Nearly always the socket takes all at once, and there is nothing to wait for.
        if !batch.send() && !self.send_on(|| batch.send()).await {
            batch.give_up();
        }
    }

    /// As [`send`](Self::send), the replies to one packet.
    pub(crate) async fn send_alone(&self, datagram: &mut Datagram) {
        let dispatch = Dispatch { run: &self.run, socket: &self.socket, index: self.index, own: None };
        let outbox = &mut datagram.outbox;
        if !dispatch.send(outbox) && !self.send_on(|| dispatch.send(outbox)).await {
            dispatch.give_up(outbox);
        }
    }

    /// Attempts it until all is sent, whenever the socket takes more. `false`: it took nothing for too long.
    async fn send_on(&self, mut attempt: impl FnMut() -> bool) -> bool {
        loop {
            // One of its own, for others may wait beside it.
            let Some(room) = self.watch_room() else { return false };
            let writable = poll_fn(|cx| room.poll_write_ready(cx).map_ok(drop));
            let until = self.run.settings.write.and_then(|time| clock::now().checked_add(time));
            let ready = match until {
                Some(until) => tokio::time::timeout_at(until.into(), writable).await.ok(),
                None => Some(writable.await),
            };
            let Some(Ok(())) = ready else { return false };
            if attempt() {
                return true;
            }
        }
    }

    /// Which of the server's endpoints it is of.
    pub(crate) fn index(&self) -> usize {
        self.index
    }
}

/// Tells of packets that did not arrive as soon as the socket hears of them, whether or not others come in.
async fn tell_bounces(run: Arc<Run>, socket: Arc<DatagramSocket>, index: usize, watched: Rc<Watched>) {
    // The runtime has ended otherwise.
    while let Ok(mut ready) = watched.error_ready().await {
        if datagram::tell_bounces(&run, &socket, index) {
            ready.clear_ready();
        } else {
            tokio::task::yield_now().await;
        }
    }
}
