use super::lookout::Lookout;
use super::{Gate, Place, Tried};
use crate::datagram::{Batch, Datagram, DatagramSocket, Dispatch};
use crate::engine::Async;
use crate::handler::Service;
use crate::lifecycle::Run;
use crate::{Error, clock};
use socketserver_sys::{Outbox, Watched};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Where packets come to one shard of the async engine: the same [`Gate`], and waits that a reactor watches.
pub(crate) struct Inlet {
    run: Arc<Run>,
    gate: Arc<Gate>,
    socket: Arc<DatagramSocket>,
    lookout: Lookout,
    /// So many batches came one right after the other.
    in_a_row: Cell<usize>,
    /// Watched anew for each wait for room: once the runtime has seen an error (of a packet that did not arrive, say) it
    /// takes the socket for writable, whatever comes.
    room: RefCell<Option<Watched>>,
    /// Which of the server's endpoints it is of.
    index: usize,
}

/// How many batches are handled in one go, at most; with as many nobody need watch for others.
const IN_A_ROW: usize = 8;

impl Inlet {
    /// Watched by the runtime that this is called in.
    pub(crate) fn new(
        run: &Arc<Run>,
        gate: &Arc<Gate>,
        socket: &Arc<DatagramSocket>,
        index: usize,
    ) -> Result<Self, Error> {
        let lookout = Lookout::new(run, socket, index).map_err(|error| Error::io("cannot wait for packets", error))?;
        let (run, gate, socket) = (run.clone(), gate.clone(), socket.clone());
        Ok(Self { run, gate, socket, lookout, in_a_row: Cell::default(), room: RefCell::default(), index })
    }

    /// Has the packets handled as they come, until the server stops. The end of the run ends it too, while it waits.
    pub(crate) async fn serve<S: Service<Async>>(&self, service: &S) -> Result<(), Error> {
        while let Some(mut batch) = self.next().await? {
            batch.handle::<Async, S>(service);
            self.send(&mut batch).await;
        }
        Ok(())
    }

    /// The next packets. `None`: the server stops.
    pub(crate) async fn next(&self) -> Result<Option<Batch>, Error> {
        if self.in_a_row.get() >= IN_A_ROW {
            // A flood gives way to others.
            self.in_a_row.set(0);
            self.lookout.unwatch();
            tokio::task::yield_now().await;
        }
        loop {
            if poll_fn(|cx| self.lookout.poll(cx)).await.is_err() {
                return Ok(None);
            }
            let place = Place::take(&self.run);
            if self.run.is_stopping() {
                // Replies may leave even so, and some not arrive.
                let _ = self.lookout.watch();
                return Ok(None);
            }
            let tried = self.try_next(place)?;
            if let Tried::Packets(batch) = tried {
                let goes_on = batch.is_busy() || !self.lookout.is_watched();
                self.in_a_row.set(if goes_on { self.in_a_row.get() + 1 } else { 0 });
                return Ok(Some(batch));
            }
            self.in_a_row.set(0);
            let watched = self.lookout.watch();
            match tried {
                Tried::Rest(place, until) => {
                    drop(place);
                    tokio::time::sleep_until(until.into()).await;
                }
                Tried::Full(place) => {
                    drop(place);
                    self.run.shared.until_resumed().await;
                }
                Tried::More(_) => tokio::task::yield_now().await,
                Tried::Nothing(place) if watched.is_err() => {
                    drop(place);
                    // Out of memory, say: whether packets are there is found by looking.
                    tokio::time::sleep(self.gate.next_delay()).await;
                }
                Tried::Nothing(_) | Tried::Admitted(_) | Tried::Packets(_) => {}
            }
        }
    }

    fn try_next(&self, place: Place) -> Result<Tried, Error> {
        let receive = || self.gate.receive(&self.socket, self.index, place);
        self.lookout.look(receive, |tried| match tried {
            Ok(Tried::Nothing(_)) => true,
            // Asking again would find that out at the price of a system call.
            Ok(Tried::Packets(batch)) => !batch.is_busy(),
            _ => false,
        })
    }

    /// As [`next`](Self::next), without waiting. `None`: the server stops.
    pub(crate) fn try_once(&self) -> Result<Option<Tried>, Error> {
        let place = Place::take(&self.run);
        if self.run.is_stopping() { Ok(None) } else { self.try_next(place).map(Some) }
    }

    /// Waits for packets.
    pub(crate) fn poll_packets(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lookout.poll(cx).map(drop)
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
