use crate::connection::{Connection, Steer};
use crate::datagram::session::Mailbox;
use crate::{Peer, Reason};
use socketserver_proto::queue::{Queue, Room, Senders};
use std::cell::Cell;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    overflow: Overflow,
    end: End,
    queue: Mutex<Queue>,
    /// Room, for threads that wait for it.
    room: Condvar,
}

/// Whose connection it is, to cut it.
pub(super) enum End {
    Connection(Weak<Connection>),
    Session(Weak<Mailbox>),
}

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
        let (queue, room) = (Mutex::new(Queue::new(max_messages, max_bytes)), Condvar::new());
        Self(Arc::new(Inner { number, joined, overflow, end, queue, room }))
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

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nobody's code but ours runs under it.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into the queue; it never waits.
    ///
    /// # Errors
    /// `Closed` once the connection is over. `Full` when there is no room: the message is dropped, and under
    /// [`Overflow::Disconnect`] the connection is cut, under [`Overflow::DropOldest`] others make room. A message that is longer
    /// than the whole queue may be never finds room, which is no fault of the peer: it is dropped, and that is all.
    pub fn push(&self, message: impl Into<Arc<[u8]>>) -> Result<(), PushError> {
        let message = message.into();
        let mut queue = self.queue();
        let was_crowded = queue.is_crowded();
        if self.0.overflow == Overflow::DropOldest {
            queue.make_room(message.len());
        }
        let room = queue.room(message.len());
        match room {
            Room::Enough => {
                if put(queue, message) && !was_crowded {
                    CROWDED.set(true);
                }
                return Ok(());
            }
            Room::Closed => return Err(PushError::Closed),
            Room::None | Room::Never => queue.count_dropped(),
        }
        drop(queue);
        if room == Room::None && self.0.overflow == Overflow::Disconnect {
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
            let queue = self.queue();
            Poll::Ready(match queue.room(message.len()) {
                Room::Enough => {
                    put(queue, message.clone());
                    Ok(())
                }
                Room::None => {
                    place.wait(queue, cx.waker());
                    return Poll::Pending;
                }
                Room::Never => Err(PushError::Full),
                Room::Closed => Err(PushError::Closed),
            })
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
        let mut queue = self.queue();
        loop {
            match queue.room(message.len()) {
                Room::Enough => {
                    put(queue, message);
                    return Ok(());
                }
                Room::None => {}
                Room::Never => return Err(PushError::Full),
                Room::Closed => return Err(PushError::Closed),
            }
            queue.thread_waits();
            queue = self.0.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.thread_is_back();
        }
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
        self.queue().is_closed()
    }

    /// How many messages were dropped: for want of room, or because the framing or the carrier cannot carry them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue().dropped()
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
        let (receiver, senders) = self.queue().end();
        self.tell(senders);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// Takes what was pushed, so many bytes or a little more. `true`: there is nothing, nor will there be.
    pub(super) fn take(&self, enough: usize, taken: &mut Vec<Arc<[u8]>>) -> bool {
        self.take_of(self.queue(), enough, taken)
    }

    /// As [`take`](Self::take), ready when there was something to take, or never will be.
    #[inline]
    pub(super) fn poll_take(&self, enough: usize, taken: &mut Vec<Arc<[u8]>>, waker: &Waker) -> Poll<()> {
        let mut queue = self.queue();
        if queue.wait_for_messages(waker) {
            return Poll::Pending;
        }
        self.take_of(queue, enough, taken);
        Poll::Ready(())
    }

    fn take_of(&self, mut queue: MutexGuard<'_, Queue>, enough: usize, taken: &mut Vec<Arc<[u8]>>) -> bool {
        if taken.capacity() == 0 {
            *taken = TAKEN.take();
        }
        let (over, senders) = queue.take(enough, taken);
        drop(queue);
        self.tell(senders);
        over
    }

    /// Those who wait for room look again.
    fn tell(&self, senders: Senders) {
        if senders.wake() {
            self.0.room.notify_all();
        }
    }

    /// One of those taken could not be sent.
    pub(super) fn count_dropped(&self) {
        self.queue().count_dropped();
    }

    /// The connection is over.
    pub(super) fn close(&self) {
        let (_receiver, senders) = self.queue().close();
        self.tell(senders);
    }
}

/// Puts a message for which there is room into the queue. Tells whether that is half full now.
fn put(mut queue: MutexGuard<'_, Queue>, message: Arc<[u8]>) -> bool {
    let receiver = queue.put(message);
    let is_crowded = queue.is_crowded();
    drop(queue);
    if let Some(receiver) = receiver {
        receiver.wake();
    }
    is_crowded
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
    fn wait(&mut self, mut queue: MutexGuard<'_, Queue>, waker: &Waker) {
        let before = queue.wait_for_room(&mut self.number, waker);
        drop(queue);
        drop(before);
    }
}

#[cfg(feature = "tokio")]
impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.outbox.queue().give_up(number);
        drop(waker);
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("Outbox")
            .field("messages", &queue.len())
            .field("bytes", &queue.bytes())
            .field("closed", &queue.is_closed())
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
        let waiting = || outbox.queue().waiting();
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
