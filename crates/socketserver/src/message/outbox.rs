use crate::connection::{Connection, Steer};
use crate::datagram::session::Mailbox;
use crate::{Peer, Reason};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

/// What becomes of a message that finds an [`Outbox`] full, for its peer takes what it is sent more slowly than others push.
///
/// ```
/// use socketserver::{Channel, MessageHandler, Overflow, framing::Line};
/// let latest_only = (|_: &[u8], _: &mut Channel| Ok(())).framed(Line::new()).outbox(1, 1024).overflow(Overflow::DropOldest);
/// # let _ = latest_only;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The connection is cut, for [`Reason::Overflow`]: whoever is there sees all messages, or none after a certain one.
    #[default]
    Disconnect,
    /// Those that have waited for longest make room.
    DropOldest,
    /// It is dropped itself, and whoever pushed it is told.
    DropNewest,
}

/// Why a message was not taken by an [`Outbox`].
///
/// ```
/// assert_eq!(socketserver::PushError::Closed.to_string(), "the connection is over");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// There is no room, or none for a message as long as this.
    Full,
    /// The connection is over, or about to be.
    Closed,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full: the peer takes what it is sent more slowly than others push",
            Self::Closed => "the connection is over",
        })
    }
}

impl Error for PushError {}

/// Sends messages to one peer from anywhere: other connections, other threads, timers. [`Channel::outbox`](crate::Channel::outbox)
/// gives it.
///
/// It is a queue between whoever pushes and the connection, which sends what is in it as soon as its handler is not at work.
/// Cloning it gives another way into the same queue. It is bounded, by messages and by bytes
/// ([`Framed::outbox`](crate::Framed::outbox)); what becomes of a message that finds no room is the server's
/// [`Overflow`] policy. It closes with the connection: then every push fails, and what was in it is dropped.
///
/// A message is shared, not copied, among the outboxes that it is pushed to as an `Arc<[u8]>`.
///
/// ```
/// use socketserver::framing::Line;
/// use socketserver::{Channel, MessageHandler, Server, Threads, client};
/// # use std::time::Duration;
///
/// // The answer comes later, from another thread.
/// let oracle = |question: &[u8], c: &mut Channel| {
///     let (answer, outbox) = (question.to_ascii_uppercase(), c.outbox());
///     std::thread::spawn(move || outbox.push(answer));
///     Ok(())
/// };
/// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), oracle.framed(Line::new()))?;
/// let mut c = client::connect(&server.handle().endpoints()[0])?;
/// c.write_all(b"why?\n")?;
/// assert_eq!(c.read_line(100)?.as_deref(), Some("WHY?"));
/// # drop(c);
/// # server.stop()?;
/// # Ok::<_, socketserver::Failure>(())
/// ```
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    number: u64,
    /// In how many rooms of hubs it is.
    joined: AtomicUsize,
    max_messages: usize,
    max_bytes: usize,
    overflow: Overflow,
    end: End,
    state: Mutex<State>,
    /// Room, for threads that wait for it.
    room: Condvar,
}

/// Whose connection it is, to cut it.
pub(super) enum End {
    Connection(Weak<Connection>),
    Session(Weak<Mailbox>),
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// The connection waits, and is woken so.
    waiter: Option<Waker>,
    /// Tasks that wait for room, each by its number: those who came first are told first.
    pushers: BTreeMap<u64, Waker>,
    #[cfg(feature = "tokio")]
    last_pusher: u64,
    /// Threads that wait for room.
    threads: usize,
    closed: bool,
    dropped: u64,
}

impl State {
    fn has_room(&self, outbox: &Inner, bytes: usize) -> bool {
        self.queue.len() < outbox.max_messages && bytes <= outbox.max_bytes.saturating_sub(self.bytes)
    }

    /// Whether it is less than half full.
    fn is_low(&self, outbox: &Inner) -> bool {
        self.queue.len() < outbox.max_messages.div_ceil(2) && self.bytes < outbox.max_bytes.div_ceil(2)
    }

    fn take(&mut self) -> Option<Arc<[u8]>> {
        let message = self.queue.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}

/// The queue of a connection that waits keeps room for so many messages.
const KEPT: usize = 32;
/// For so many there is room on a thread.
const KEPT_TAKEN: usize = 4096;

thread_local! {
    /// Room for what is taken: a connection holds none while it waits.
    static TAKEN: Cell<Vec<Arc<[u8]>>> = const { Cell::new(Vec::new()) };
    /// An outbox has become half full by a push on this thread.
    static CROWDED: Cell<bool> = const { Cell::new(false) };
}

/// What was taken is used up: others may take into it.
pub(super) fn spare(taken: &mut Vec<Arc<[u8]>>) {
    let taken = std::mem::take(taken);
    if taken.is_empty() && taken.capacity() <= KEPT_TAKEN {
        TAKEN.set(taken);
    }
}

/// Whether an outbox has become half full by a push on this thread, since this was asked for the last time. One that stays so
/// for long, for nobody takes anything out of it, makes this true once.
pub(super) fn take_crowded() -> bool {
    CROWDED.take()
}

impl Outbox {
    pub(super) fn new(max_messages: usize, max_bytes: usize, overflow: Overflow, end: End) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (number, joined) = (LAST.fetch_add(1, Relaxed) + 1, AtomicUsize::new(0));
        let (state, room) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Inner { number, joined, max_messages, max_bytes, overflow, end, state, room }))
    }

    /// Of no connection, for so many messages.
    #[cfg(test)]
    pub(super) fn nobodys(messages: usize) -> Self {
        Self::new(messages, 1 << 20, Overflow::DropNewest, End::Connection(Weak::new()))
    }

    /// Which no other in this process has or has had.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// In how many rooms of hubs it is.
    pub(super) fn joined(&self) -> &AtomicUsize {
        &self.0.joined
    }

    /// Whose it is, by number and name; `None` when that one is gone.
    pub(super) fn whose(&self) -> Option<(u64, Peer)> {
        match &self.0.end {
            End::Connection(connection) => connection.upgrade().map(|c| (c.id, c.peer().clone())),
            End::Session(mailbox) => mailbox.upgrade().map(|mailbox| (mailbox.id(), mailbox.peer().clone())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody's code but ours runs under it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into the queue; it never waits.
    ///
    /// # Errors
    /// `Closed` once the connection is over. `Full` when there is no room: the message is dropped, and under
    /// [`Overflow::Disconnect`] the connection is cut, under [`Overflow::DropOldest`] others make room. A message that is longer
    /// than the whole queue may be never finds room, which is no fault of the peer: it is dropped, and that is all.
    pub fn push(&self, message: impl Into<Arc<[u8]>>) -> Result<(), PushError> {
        let message = message.into();
        let mut state = self.state();
        if state.closed {
            return Err(PushError::Closed);
        }
        if message.len() > self.0.max_bytes {
            state.dropped += 1;
            return Err(PushError::Full);
        }
        let was_low = state.is_low(&self.0);
        if self.0.overflow == Overflow::DropOldest {
            while !state.has_room(&self.0, message.len()) {
                state.take();
                state.dropped += 1;
            }
        }
        if state.has_room(&self.0, message.len()) {
            if self.put(state, message) && was_low {
                CROWDED.set(true);
            }
            return Ok(());
        }
        state.dropped += 1;
        drop(state);
        if self.0.overflow == Overflow::Disconnect {
            self.cut();
        }
        Err(PushError::Full)
    }

    /// As [`push`](Self::push), and waits for room if there is none, whatever the policy is. A peer that takes nothing is
    /// cut at the write deadline ([`Server::write_timeout`](crate::Server::write_timeout)), which ends the wait.
    ///
    /// Cancel-safe: dropped before it is ready it has pushed nothing.
    ///
    /// In the handler of the very connection that the outbox is of nobody makes room meanwhile: there, use
    /// [`Channel::send`](crate::Channel::send). Nor does anybody where two handlers wait for room in each other's: to peers of
    /// others a handler pushes.
    ///
    /// # Errors
    /// `Closed` once the connection is over, `Full` for a message that is longer than the whole queue may be.
    #[cfg(feature = "tokio")]
    pub async fn send(&self, message: impl Into<Arc<[u8]>>) -> Result<(), PushError> {
        let message = message.into();
        let mut place = Place { outbox: self, number: None };
        std::future::poll_fn(|cx| {
            let state = self.state();
            if state.closed {
                return Poll::Ready(Err(PushError::Closed));
            }
            if message.len() > self.0.max_bytes {
                return Poll::Ready(Err(PushError::Full));
            }
            if !state.has_room(&self.0, message.len()) {
                place.wait(state, cx.waker());
                return Poll::Pending;
            }
            self.put(state, message.clone());
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// As [`push`](Self::push), and the thread waits for room if there is none, whatever the policy is. A peer that takes
    /// nothing is cut at the write deadline ([`Server::write_timeout`](crate::Server::write_timeout)), which ends the wait.
    ///
    /// Not for async code. In the handler of the very connection that the outbox is of nobody makes room meanwhile, and it
    /// waits for ever, a kick or the drain's deadline notwithstanding: there, use [`Channel::send`](crate::Channel::send). So it
    /// is where two handlers wait for room in each other's: to peers of others a handler [pushes](Self::push).
    ///
    /// # Errors
    /// `Closed` once the connection is over, `Full` for a message that is longer than the whole queue may be.
    pub fn blocking_send(&self, message: impl Into<Arc<[u8]>>) -> Result<(), PushError> {
        let message = message.into();
        if message.len() > self.0.max_bytes {
            return Err(PushError::Full);
        }
        let mut state = self.state();
        loop {
            if state.closed {
                return Err(PushError::Closed);
            }
            if state.has_room(&self.0, message.len()) {
                self.put(state, message);
                return Ok(());
            }
            state.threads += 1;
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.threads -= 1;
        }
    }

    /// Tells whether it is half full now.
    fn put(&self, mut state: MutexGuard<'_, State>, message: Arc<[u8]>) -> bool {
        state.bytes += message.len();
        state.queue.push_back(message);
        let is_low = state.is_low(&self.0);
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        !is_low
    }

    /// Cuts the connection: nobody waits for it any more.
    fn cut(&self) {
        match &self.0.end {
            End::Connection(connection) => {
                if let Some(connection) = connection.upgrade() {
                    connection.cut(Reason::Overflow);
                }
            }
            End::Session(mailbox) => {
                if let Some(mailbox) = mailbox.upgrade() {
                    mailbox.close(Reason::Overflow);
                }
            }
        }
        self.close();
    }

    /// Whether the connection is over, or about to be: every push fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many messages were dropped: for want of room, or because the framing or the carrier cannot carry them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Ends the conversation, as [`Channel::end`](crate::Channel::end) does, once what was pushed before has left. From now
    /// on every push fails. The second time, and once the connection is over, it does nothing.
    ///
    /// ```
    /// use socketserver::framing::Line;
    /// use socketserver::{Channel, MessageHandler, Server, Threads, client};
    ///
    /// let once = |_: &[u8], c: &mut Channel| {
    ///     let outbox = c.outbox();
    ///     std::thread::spawn(move || outbox.push(*b"bye").map(|()| outbox.end()));
    ///     Ok(())
    /// };
    /// let server = Server::bind("tcp://127.0.0.1:0")?.spawn(Threads::default(), once.framed(Line::new()))?;
    /// let mut c = client::connect(&server.handle().endpoints()[0])?;
    /// c.write_all(b"hello\n")?;
    /// assert_eq!(c.read_to_end(100)?, b"bye\n");
    /// # drop(c);
    /// # server.stop()?;
    /// # Ok::<_, socketserver::Failure>(())
    /// ```
    pub fn end(&self) {
        let mut state = self.state();
        state.closed = true;
        let waiter = state.waiter.take();
        self.tell_pushers(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Takes what was pushed, so many bytes or a little more. `true`: there is nothing, nor will there be.
    pub(super) fn take(&self, enough: usize, taken: &mut Vec<Arc<[u8]>>) -> bool {
        self.take_of(self.state(), enough, taken)
    }

    /// As [`take`](Self::take), ready when there was something to take, or never will be.
    #[inline]
    pub(super) fn poll_take(&self, enough: usize, taken: &mut Vec<Arc<[u8]>>, waker: &Waker) -> Poll<()> {
        let mut state = self.state();
        if state.queue.is_empty() && !state.closed {
            if !state.waiter.as_ref().is_some_and(|waiter| waiter.will_wake(waker)) {
                state.waiter = Some(waker.clone());
            }
            return Poll::Pending;
        }
        self.take_of(state, enough, taken);
        Poll::Ready(())
    }

    fn take_of(&self, mut state: MutexGuard<'_, State>, enough: usize, taken: &mut Vec<Arc<[u8]>>) -> bool {
        if taken.capacity() == 0 {
            *taken = TAKEN.take();
        }
        let mut bytes = 0;
        while bytes < enough
            && let Some(message) = state.take()
        {
            bytes += message.len();
            taken.push(message);
        }
        if state.queue.is_empty() && state.queue.capacity() > KEPT {
            state.queue = VecDeque::new();
        }
        let over = state.closed && taken.is_empty();
        self.tell_pushers(state);
        over
    }

    /// Those who wait for room look again.
    fn tell_pushers(&self, mut state: MutexGuard<'_, State>) {
        let pushers = std::mem::take(&mut state.pushers);
        let threads = state.threads > 0;
        drop(state);
        pushers.into_values().for_each(Waker::wake);
        if threads {
            self.0.room.notify_all();
        }
    }

    /// One of those taken could not be sent.
    pub(super) fn count_dropped(&self) {
        self.state().dropped += 1;
    }

    /// The connection is over.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.queue = VecDeque::new();
        state.bytes = 0;
        state.waiter = None;
        self.tell_pushers(state);
    }
}

/// The place of a task among those that wait for room; it is given up with the wait. What drops a waker may drop a task that
/// waits here too, so that is not done under the lock.
#[cfg(feature = "tokio")]
struct Place<'a> {
    outbox: &'a Outbox,
    number: Option<u64>,
}

#[cfg(feature = "tokio")]
impl Place<'_> {
    fn wait(&mut self, mut state: MutexGuard<'_, State>, waker: &Waker) {
        let number = *self.number.get_or_insert_with(|| {
            state.last_pusher += 1;
            state.last_pusher
        });
        let old = state.pushers.insert(number, waker.clone());
        drop(state);
        drop(old);
    }
}

#[cfg(feature = "tokio")]
impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.outbox.state().pushers.remove(&number);
        drop(waker);
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Outbox")
            .field("messages", &state.queue.len())
            .field("bytes", &state.bytes)
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Wake};

    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let outbox = Outbox::nobodys(1);
        outbox.push(*b"one").unwrap();
        let waiting = || outbox.state().pushers.len();
        let mut patient = pin!(outbox.send(*b"two"));
        assert!(patient.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        for _ in 0..100 {
            let waker = Waker::from(Arc::new(Task));
            let mut cx = Context::from_waker(&waker);
            let mut given_up = pin!(outbox.send(*b"three"));
            assert!(given_up.as_mut().poll(&mut cx).is_pending());
            assert!(given_up.as_mut().poll(&mut cx).is_pending());
            assert!(waiting() <= 2);
        }
        assert_eq!(waiting(), 1);
        let mut taken = Vec::new();
        outbox.take(1, &mut taken);
        assert_eq!((taken.len(), waiting()), (1, 0));
        assert_eq!(patient.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        outbox.take(1, &mut taken);
        assert_eq!(*taken[1], *b"two");
    }
}
