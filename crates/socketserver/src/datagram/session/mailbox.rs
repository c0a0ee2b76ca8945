use super::Budget;
use super::table::Key;
use crate::clock::Moment;
use crate::connection::pipeline::Ending;
use crate::datagram::Standing;
use crate::events::Cut;
use crate::lifecycle::Handle;
use crate::{Peer, Reason};
use rustix::net::SocketAddrAny;
use socketserver_proto::Endpoint;
use socketserver_sys::Local;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Between whoever sorts the packets and the handler of one session.
#[derive(Debug)]
pub struct Mailbox {
    /// Its number among the connections of its server.
    pub(super) id: u64,
    pub(super) peer: Peer,
    /// Over Unix sockets, where replies go.
    unix: Option<Box<SocketAddrAny>>,
    /// Our end, where there are several: shared by all that have the same.
    local: Option<Arc<Local>>,
    pub(super) begun: Moment,
    /// Its place with whoever sorts.
    pub(crate) index: u32,
    /// It is on the list already.
    listed: AtomicBool,
    common: Arc<Common>,
    /// Of the packet that began it.
    standing: Standing,
    state: Mutex<State>,
}

/// What the mailboxes of one socket have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) ready: Arc<Ready>,
    pub(super) budget: Arc<Budget>,
    /// IPv4 peers are `::ffff:a.b.c.d` to the socket.
    pub(super) is_v6: bool,
    pub(super) handle: Handle,
}

#[derive(Debug, Default)]
struct State {
    /// A packet has come, and more than one.
    is_begun: bool,
    is_known: bool,
    /// The packet that is next, and those after it: most queues hold one at most.
    first: Option<Vec<u8>>,
    #[expect(clippy::box_collection, reason = "most have none, and there are many of this")]
    others: Option<Box<VecDeque<Vec<u8>>>>,
    /// The handler waits for a packet, and is woken so.
    waiter: Option<Waker>,
    /// Why nothing more comes.
    closed: Option<Reason>,
    /// The handler was told so.
    told: bool,
    /// It is being run, or about to be.
    is_started: bool,
    /// It has returned.
    is_over: bool,
    /// It does not count any more among the sessions that there may be.
    is_uncounted: bool,
    /// How it ended; `None`: it was dropped.
    ending: Option<Box<Ending>>,
    /// Bytes that were given to the handler, and bytes that it sent.
    read: u64,
    written: u64,
    /// How many packets were in the queue that nobody will take.
    untaken: u64,
}

impl State {
    /// How many packets wait.
    fn waiting(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }
}

/// Whom a session is with, and how that one is reached.
#[derive(Debug)]
pub(super) struct End {
    pub(super) peer: Peer,
    /// Over Unix sockets, where replies go.
    pub(super) unix: Option<Box<SocketAddrAny>>,
    /// Our end, where there are several.
    pub(super) local: Option<Arc<Local>>,
    /// Of the packet that it begins with.
    pub(super) standing: Standing,
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Queued,
    Full,
    /// The handler has returned: it is another session's.
    Over,
}

impl Mailbox {
    pub(super) fn new(id: u64, end: End, index: u32, common: Arc<Common>) -> Self {
        let End { peer, unix, local, standing } = end;
        let (begun, listed, state) = (Moment::now(), AtomicBool::new(false), Mutex::default());
        Self { id, peer, unix, local, begun, index, listed, common, standing, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody's code but ours runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who sent the packets.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its number among the connections of its server.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn local(&self) -> Option<Local> {
        self.local.as_deref().copied()
    }

    /// Where replies go.
    pub(super) fn with_address<R>(&self, send: impl FnOnce(Option<&SocketAddrAny>) -> R) -> R {
        match &self.unix {
            Some(addr) => send(Some(addr)),
            None => send(self.source().map(SocketAddrAny::from).as_ref()),
        }
    }

    /// The peer as the socket has it.
    fn source(&self) -> Option<SocketAddr> {
        self.peer.addr().map(|addr| match addr {
            SocketAddr::V4(v4) if self.common.is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            addr => addr,
        })
    }

    /// A packet came.
    pub(super) fn deliver(&self, packet: &[u8]) -> Delivered {
        let mut state = self.state();
        if state.is_over {
            return Delivered::Over;
        }
        state.is_known = state.is_begun;
        state.is_begun = true;
        if state.closed.is_some() || state.waiting() >= self.common.budget.options.queue {
            return Delivered::Full;
        }
        if !self.common.budget.take(packet.len()) {
            return Delivered::Full;
        }
        let packet = packet.to_vec();
        if state.first.is_none() {
            state.first = Some(packet);
        } else {
            state.others.get_or_insert_default().push_back(packet);
        }
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        Delivered::Queued
    }

    /// Nothing more comes, for that reason; the first one stays.
    pub(crate) fn close(&self, why: Reason) {
        let mut state = self.state();
        if why == Reason::Aborted {
            // What waits is not waited for any more, and whatever the handler tries fails.
            state.closed = Some(why);
            self.forget(&mut state);
        }
        let closed = *state.closed.get_or_insert(why);
        // Then its outbox tells the handler, which need not come back here.
        state.told |= closed == Reason::Overflow;
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// The handler waits for a packet no more.
    #[cfg(feature = "tokio")]
    pub(super) fn stop_waiting(&self) {
        self.state().waiter = None;
    }

    /// Whether the server has stopped waiting for the handler.
    pub(super) fn is_aborted(&self) -> bool {
        self.state().closed == Some(Reason::Aborted)
    }

    /// Whether the handler does nothing but wait for a packet.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        state.waiter.is_some() && state.first.is_none()
    }

    /// The next packet; `None`: there is no other.
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        let mut state = self.state();
        if let Some(packet) = state.first.take() {
            state.first = state.others.as_mut().and_then(|others| others.pop_front());
            if state.first.is_none() {
                // One that is silent again costs no memory for what it said once.
                state.others = None;
            }
            self.common.budget.give_back(packet.len());
            state.read += packet.len() as u64;
            return Poll::Ready(Ok(Some(packet)));
        }
        match state.closed {
            Some(Reason::Aborted) => {
                state.told = true;
                Poll::Ready(Err(aborted()))
            }
            Some(_) => {
                state.told = true;
                Poll::Ready(Ok(None))
            }
            None => {
                if !state.waiter.as_ref().is_some_and(|waiter| waiter.will_wake(cx.waker())) {
                    state.waiter = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The handler is about to send so many bytes.
    ///
    /// # Errors
    /// It has no time left; it may not send so much yet.
    pub(super) fn sends(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        if state.closed == Some(Reason::Aborted) {
            state.told = true;
            return Err(aborted());
        }
        if !state.is_known {
            self.standing.permit_reply(&self.common.handle, self.peer.addr(), bytes)?;
        }
        state.written += bytes as u64;
        Ok(())
    }

    /// Why the handler got no more, if it was told.
    pub(crate) fn told(&self) -> Option<Reason> {
        let state = self.state();
        state.closed.filter(|_| state.told)
    }

    /// How it ended, what was read and written, and how many packets nobody took.
    pub(super) fn outcome(&self) -> (Ending, u64, u64, u64) {
        let mut state = self.state();
        let ending = state.ending.take().map_or_else(|| Ending::of(Reason::Aborted), |ending| *ending);
        (ending, state.read, state.written, state.untaken)
    }

    /// The handler has returned; [`end`](Self::end) follows.
    pub(super) fn conclude(&self, ending: Ending) {
        self.state().ending = Some(Box::new(ending));
    }

    /// What is told when the drain's deadline finds it open.
    pub(crate) fn cut(&self, endpoint: &Endpoint, abandoned: bool) -> Cut {
        let (peer, age) = (self.peer.clone(), self.begun.elapsed());
        Cut { id: self.id, peer, endpoint: endpoint.clone(), age, abandoned }
    }

    /// Whom it is with.
    pub(super) fn key(&self) -> Key {
        match (&self.unix, self.source()) {
            (Some(addr), _) => Key::unix(addr),
            (None, Some(source)) => Key::Ip(source, self.local().map(|local| local.to)),
            (None, None) => Key::Unix(Box::default()),
        }
    }

    /// Whether it is with that one.
    pub(super) fn is_with(&self, key: &Key) -> bool {
        match key {
            Key::Ip(source, local) => self.source() == Some(*source) && self.local().map(|local| local.to) == *local,
            Key::Unix(_) => self.key() == *key,
        }
    }

    /// The handler has returned, or was dropped.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        // It may be this mailbox that it wakes, which would keep itself for ever.
        state.waiter = None;
        state.closed.get_or_insert(Reason::Finished);
        self.forget(&mut state);
        drop(state);
        self.common.ready.add(self);
    }

    /// Its handler is about to be run. `false`: it is not to be any more.
    pub(super) fn start(&self) -> bool {
        let mut state = self.state();
        state.is_started = true;
        !state.is_over
    }

    /// It counts no more among the sessions that there may be. `false`: it did not.
    pub(super) fn uncount(&self) -> bool {
        !std::mem::replace(&mut self.state().is_uncounted, true)
    }

    /// If its handler does not run yet it never does.
    pub(crate) fn cancel(&self) {
        let mut state = self.state();
        if !state.is_started {
            state.ending = state.closed.map(|why| Box::new(Ending::of(why)));
            // Before the lock is let go: whoever is about to run it sees that.
            state.is_over = true;
            drop(state);
            self.end();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().is_over
    }

    fn forget(&self, state: &mut State) {
        state.untaken += state.waiting() as u64;
        let others = state.others.take().into_iter().flat_map(|others| *others);
        let bytes = state.first.take().into_iter().chain(others).map(|packet| packet.len()).sum();
        self.common.budget.give_back(bytes);
    }

    /// It is being looked at: what happens from now on lists it again.
    #[cfg(feature = "tokio")]
    pub(crate) fn unlist(&self) {
        // What whoever listed it did before is seen by what is done now.
        self.listed.swap(false, AcqRel);
    }
}

pub(super) fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server has stopped waiting for this session")
}

/// What a task is woken by whose future is polled by whoever sorts the packets.
impl Wake for Mailbox {
    fn wake(self: Arc<Self>) {
        self.common.ready.add(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.common.ready.add(self);
    }
}

/// Those that whoever sorts the packets has to look at.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    indices: Vec<u32>,
    /// The drain's deadline has passed.
    is_cut: bool,
    waker: Option<Waker>,
}

impl Ready {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mailbox: &Mailbox) {
        if mailbox.listed.swap(true, AcqRel) {
            return;
        }
        let mut list = self.list();
        list.indices.push(mailbox.index);
        let waker = list.waker.take();
        drop(list);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Those on the list, in exchange for an empty one.
    pub(crate) fn take(&self, list: &mut Vec<u32>) {
        list.clear();
        std::mem::swap(&mut self.list().indices, list);
    }

    /// The drain's deadline has passed: all are to be cut.
    pub(crate) fn cut(&self) {
        let mut list = self.list();
        list.is_cut = true;
        let waker = list.waker.take();
        drop(list);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nobody waits any more.
    pub(super) fn forget_waker(&self) {
        let waker = self.list().waker.take();
        // It may be the last of its runtime: that is taken down with nothing locked.
        drop(waker);
    }

    /// Whether all are to be cut; once.
    pub(super) fn take_cut(&self) -> bool {
        std::mem::take(&mut self.list().is_cut)
    }

    /// Waits until there is somebody on the list.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut list = self.list();
        if !list.indices.is_empty() || list.is_cut {
            return Poll::Ready(());
        }
        if !list.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            list.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
