//! What waits to be sent to one peer, who waits for it, and who waits for room: bounded, and without losing a wake-up.
//!
//! Nothing here locks, waits or wakes. Whoever has a [`Queue`] keeps it under a lock, does one thing with it at a time, and
//! wakes those whom that gives once it has let go of the lock: what is woken, or dropped with a waker, may want the lock itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

/// Messages on their way from many to one.
///
/// ```
/// use socketserver_proto::queue::{Queue, Room};
/// use std::task::Waker;
/// let mut queue = Queue::new(2, 1000);
/// // There is nothing yet, so the receiver waits,
/// assert!(queue.wait_for_messages(Waker::noop()));
/// // and has to be woken by whoever sends.
/// assert_eq!(queue.room(5), Room::Enough);
/// assert!(queue.put(*b"hello").is_some());
/// assert!(queue.put(*b"world").is_none());
/// assert_eq!(queue.room(5), Room::None);
/// let mut taken = Vec::new();
/// let (over, senders) = queue.take(1000, &mut taken);
/// assert!(!over && taken.len() == 2);
/// // No thread waits for room.
/// assert!(!senders.wake());
/// ```
#[derive(Debug)]
pub struct Queue {
    max_messages: usize,
    max_bytes: usize,
    messages: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// It waits, and is woken so.
    receiver: Option<Waker>,
    /// Tasks that wait for room, each by its number: those who came first are told first.
    senders: BTreeMap<u64, Waker>,
    last_sender: u64,
    /// Threads that wait for room.
    threads: usize,
    closed: bool,
    dropped: u64,
}

/// Whether a message may be put into a [`Queue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Enough,
    /// Not now.
    None,
    /// It is longer than the whole queue may be.
    Never,
    /// The queue is closed.
    Closed,
}

/// Those who wait for room and are to look again.
#[derive(Debug)]
#[must_use = "they wait to be woken"]
pub struct Senders {
    tasks: BTreeMap<u64, Waker>,
    threads: bool,
}

impl Senders {
    /// Wakes the tasks. `true`: threads wait too, for the owner of the queue to wake.
    #[must_use]
    pub fn wake(self) -> bool {
        self.tasks.into_values().for_each(Waker::wake);
        self.threads
    }
}

/// A queue that is empty keeps room for so many messages.
const KEPT: usize = 32;

impl Queue {
    /// For so many messages, of so many bytes together.
    #[must_use]
    pub fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            max_messages,
            max_bytes,
            messages: VecDeque::new(),
            bytes: 0,
            receiver: None,
            senders: BTreeMap::new(),
            last_sender: 0,
            threads: 0,
            closed: false,
            dropped: 0,
        }
    }

    /// Whether there is room for a message of so many bytes.
    #[inline]
    #[must_use]
    pub fn room(&self, bytes: usize) -> Room {
        if self.closed {
            Room::Closed
        } else if bytes > self.max_bytes {
            Room::Never
        } else if self.messages.len() < self.max_messages && bytes <= self.max_bytes.saturating_sub(self.bytes) {
            Room::Enough
        } else {
            Room::None
        }
    }

    /// Whether it is at least half full.
    #[inline]
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.messages.len() >= self.max_messages.div_ceil(2) || self.bytes >= self.max_bytes.div_ceil(2)
    }

    /// Drops those that have waited for longest until there is room for so many bytes, unless there never will be.
    pub fn make_room(&mut self, bytes: usize) {
        while self.room(bytes) == Room::None && self.take_one().is_some() {
            self.dropped += 1;
        }
    }

    /// Puts a message behind the others, for which there has to be [room](Self::room). Gives the receiver if it waits.
    #[inline]
    #[must_use = "it waits to be woken"]
    pub fn put(&mut self, message: impl Into<Arc<[u8]>>) -> Option<Waker> {
        let message = message.into();
        self.bytes += message.len();
        self.messages.push_back(message);
        self.receiver.take()
    }

    /// The receiver is about to wait. `false`: there is something to take, or never will be, so it had better not.
    ///
    /// It looks and is written down under one lock: either it sees the message, or whoever puts that finds the receiver.
    #[inline]
    #[must_use]
    pub fn wait_for_messages(&mut self, waker: &Waker) -> bool {
        if !self.messages.is_empty() || self.closed {
            return false;
        }
        if !self.receiver.as_ref().is_some_and(|receiver| receiver.will_wake(waker)) {
            self.receiver = Some(waker.clone());
        }
        true
    }

    /// Takes so many bytes or a little more, and gives those who wait for room. `true`: nothing was taken, now or before, and
    /// there will be nothing any more.
    pub fn take(&mut self, enough: usize, taken: &mut Vec<Arc<[u8]>>) -> (bool, Senders) {
        let mut bytes = 0;
        while bytes < enough
            && let Some(message) = self.take_one()
        {
            bytes += message.len();
            taken.push(message);
        }
        if self.messages.is_empty() && self.messages.capacity() > KEPT {
            self.messages = VecDeque::new();
        }
        (self.closed && taken.is_empty(), self.senders())
    }

    fn take_one(&mut self) -> Option<Arc<[u8]>> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    fn senders(&mut self) -> Senders {
        Senders { tasks: std::mem::take(&mut self.senders), threads: self.threads > 0 }
    }

    /// A task waits for room, for which it has just looked; `number` is its place in the line, which it keeps for the next
    /// wait. Gives what it left there before.
    pub fn wait_for_room(&mut self, number: &mut Option<u64>, waker: &Waker) -> Option<Waker> {
        let number = *number.get_or_insert_with(|| {
            self.last_sender += 1;
            self.last_sender
        });
        self.senders.insert(number, waker.clone())
    }

    /// A task waits for room no more. Gives what it left there.
    pub fn give_up(&mut self, number: u64) -> Option<Waker> {
        self.senders.remove(&number)
    }

    /// A thread waits for room, for which it has just looked.
    pub fn thread_waits(&mut self) {
        self.threads += 1;
    }

    /// It does not any more.
    pub fn thread_is_back(&mut self) {
        self.threads -= 1;
    }

    /// From now on nothing is put into it; what is in it is still taken. Gives all who wait.
    #[must_use = "they wait to be woken"]
    pub fn end(&mut self) -> (Option<Waker>, Senders) {
        self.closed = true;
        (self.receiver.take(), self.senders())
    }

    /// As [`end`](Self::end), and what is in it is dropped.
    #[must_use = "they wait to be woken"]
    pub fn close(&mut self) -> (Option<Waker>, Senders) {
        self.messages = VecDeque::new();
        self.bytes = 0;
        self.end()
    }

    /// Whether nothing is put into it any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// A message was dropped.
    pub fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    /// How many messages were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many messages are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Of how many bytes together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many tasks wait for room.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.senders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_by_messages_and_by_bytes() {
        let mut queue = Queue::new(3, 10);
        assert_eq!((queue.room(11), queue.room(10), queue.is_crowded()), (Room::Never, Room::Enough, false));
        assert!(queue.put(*b"12345678").is_none());
        assert_eq!((queue.room(3), queue.room(2), queue.is_crowded()), (Room::None, Room::Enough, true));
        queue.make_room(3);
        assert_eq!((queue.len(), queue.bytes(), queue.dropped()), (0, 0, 1));
        (0..3).for_each(|_| assert!(queue.put([]).is_none()));
        assert_eq!(queue.room(0), Room::None);
        queue.make_room(0);
        assert_eq!((queue.len(), queue.dropped()), (2, 2));
        queue.make_room(11);
        assert_eq!(queue.len(), 2, "for what never finds room nothing is dropped");
        queue.count_dropped();
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn a_queue_that_was_overfilled_has_no_room() {
        let mut queue = Queue::new(3, 5);
        assert!(queue.put(*b"12345678").is_none());
        assert_eq!((queue.room(0), queue.room(1), queue.room(6)), (Room::Enough, Room::None, Room::Never));
        queue.make_room(1);
        assert_eq!((queue.len(), queue.room(5)), (0, Room::Enough));
    }

    #[test]
    fn a_queue_that_was_long_keeps_no_memory() {
        let mut queue = Queue::new(10 * KEPT, 100);
        (0..10 * KEPT).for_each(|_| drop(queue.put([])));
        let mut taken = Vec::new();
        assert!(!queue.take(1, &mut taken).1.wake() && queue.messages.capacity() == 0);
        assert_eq!(taken.len(), 10 * KEPT);
    }

    #[test]
    fn what_was_put_before_the_end_is_taken_and_what_is_closed_is_empty() {
        let mut queue = Queue::new(4, 100);
        assert!(queue.put(*b"one").is_none() && queue.put(*b"two").is_none());
        let (receiver, senders) = queue.end();
        assert!(receiver.is_none() && !senders.wake());
        assert!(queue.is_closed() && queue.room(1) == Room::Closed);
        let mut taken = Vec::new();
        for word in [b"one", b"two"] {
            assert!(!queue.wait_for_messages(Waker::noop()));
            assert!(!queue.take(1, &mut taken).0);
            assert_eq!(*taken.pop().unwrap(), *word);
        }
        assert!(queue.take(1, &mut taken).0, "nor will there be more");
        let mut queue = Queue::new(4, 100);
        let _ = queue.put(*b"one");
        let _ = queue.close();
        assert!(queue.is_empty() && queue.bytes() == 0 && queue.take(1, &mut taken).0);
    }

    #[test]
    fn who_waits_is_given_once() {
        let mut queue = Queue::new(1, 100);
        assert!(queue.wait_for_messages(Waker::noop()) && queue.wait_for_messages(Waker::noop()));
        assert!(queue.put(*b"one").is_some() && queue.put(*b"two").is_none());
        let (mut first, mut second) = (None, None);
        assert!(queue.wait_for_room(&mut first, Waker::noop()).is_none());
        assert!(queue.wait_for_room(&mut second, Waker::noop()).is_none());
        assert!(queue.wait_for_room(&mut first, Waker::noop()).is_some(), "it keeps its place");
        assert!(queue.give_up(second.unwrap()).is_some() && queue.give_up(second.unwrap()).is_none());
        queue.thread_waits();
        assert_eq!(queue.waiting(), 1);
        assert!(queue.take(1, &mut Vec::new()).1.wake(), "a thread waits");
        assert_eq!(queue.waiting(), 0);
        queue.thread_is_back();
        assert!(!queue.take(1, &mut Vec::new()).1.wake());
    }
}

/// Every order in which threads can come through.
#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::word::model::Bell;
    use loom::sync::{Arc as Shared, Condvar, Mutex};
    use loom::thread;

    struct Outbox {
        queue: Mutex<Queue>,
        room: Condvar,
    }

    impl Outbox {
        fn new(messages: usize) -> Shared<Self> {
            Shared::new(Self { queue: Mutex::new(Queue::new(messages, 100)), room: Condvar::new() })
        }

        fn push(&self) {
            let receiver = self.queue.lock().unwrap().put(*b"message");
            receiver.map(Waker::wake);
        }

        /// As a thread does it. `false`: it is closed.
        fn blocking_send(&self) -> bool {
            let mut queue = self.queue.lock().unwrap();
            loop {
                match queue.room(7) {
                    Room::Enough => break,
                    Room::Closed => return false,
                    _ => {}
                }
                queue.thread_waits();
                queue = self.room.wait(queue).unwrap();
                queue.thread_is_back();
            }
            let receiver = queue.put(*b"message");
            drop(queue);
            receiver.map(Waker::wake);
            true
        }

        /// As a task does it.
        fn send(&self) {
            let (bell, mut number) = (Arc::new(Bell::default()), None);
            let waker = Waker::from(bell.clone());
            loop {
                let mut queue = self.queue.lock().unwrap();
                if queue.room(7) == Room::Enough {
                    let receiver = queue.put(*b"message");
                    drop(queue);
                    receiver.map(Waker::wake);
                    return;
                }
                let before = queue.wait_for_room(&mut number, &waker);
                drop(queue);
                drop(before);
                bell.wait();
                bell.clear();
            }
        }

        /// As a connection does it. `false`: there are no more.
        fn receive(&self) -> bool {
            let bell = Arc::new(Bell::default());
            let waker = Waker::from(bell.clone());
            loop {
                let mut queue = self.queue.lock().unwrap();
                if queue.wait_for_messages(&waker) {
                    drop(queue);
                    bell.wait();
                    bell.clear();
                    continue;
                }
                let (over, senders) = queue.take(1, &mut Vec::new());
                drop(queue);
                self.tell(senders);
                return !over;
            }
        }

        fn tell(&self, senders: Senders) {
            if senders.wake() {
                self.room.notify_all();
            }
        }
    }

    /// It is seen to fail when `wait_for_messages` does not look, and when `put` leaves the receiver where it is.
    #[test]
    fn whoever_waits_for_messages_gets_them() {
        loom::model(|| {
            let outbox = Outbox::new(2);
            let pushing: Vec<_> = (0..2)
                .map(|_| {
                    let outbox = outbox.clone();
                    thread::spawn(move || outbox.push())
                })
                .collect();
            assert!(outbox.receive() && outbox.receive());
            pushing.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    /// It is seen to fail when `take` gives no tasks, or `wait_for_room` writes none down.
    #[test]
    fn a_task_that_waits_for_room_gets_it() {
        loom::model(|| {
            let outbox = Outbox::new(1);
            outbox.push();
            let sender = outbox.clone();
            let sender = thread::spawn(move || sender.send());
            assert!(outbox.receive() && outbox.receive());
            sender.join().unwrap();
        });
    }

    /// It is seen to fail when `take` says of no threads that they wait.
    #[test]
    fn a_thread_that_waits_for_room_gets_it() {
        loom::model(|| {
            let outbox = Outbox::new(1);
            outbox.push();
            let sender = outbox.clone();
            let sender = thread::spawn(move || sender.blocking_send());
            assert!(outbox.receive() && outbox.receive());
            assert!(sender.join().unwrap());
        });
    }

    /// It is seen to fail when `end` gives either side alone.
    #[test]
    fn an_end_is_seen_by_all_who_wait() {
        loom::model(|| {
            let (full, empty) = (Outbox::new(1), Outbox::new(1));
            full.push();
            let (sender, receiver) = (full.clone(), empty.clone());
            let sender = thread::spawn(move || sender.blocking_send());
            let receiver = thread::spawn(move || receiver.receive());
            for outbox in [full, empty] {
                let (receiver, senders) = outbox.queue.lock().unwrap().end();
                receiver.map(Waker::wake);
                outbox.tell(senders);
            }
            assert!(!sender.join().unwrap() && !receiver.join().unwrap());
        });
    }
}
