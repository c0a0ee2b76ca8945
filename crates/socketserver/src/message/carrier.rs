use super::out::Out;
use super::reading::{Found, Reading};
use crate::Result;
use crate::connection::{Core, PollIo};
use crate::framing::Framing;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

/// One way that messages come and go.
pub(crate) trait Carries {
    /// The next message of what has come in. `None`: none is whole.
    ///
    /// # Errors
    /// What came in is no message.
    fn next(&mut self) -> Result<Option<&[u8]>>;

    /// What is left after the end of input, if that is a message.
    ///
    /// # Errors
    /// It is part of one.
    fn last(&mut self) -> Result<Option<&[u8]>>;

    /// Waits for more to come in, or for a push, if there may be some.
    fn wait(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> impl Future<Output = io::Result<Event>>;

    /// Sends all of it.
    fn send(&mut self, out: &mut Out) -> impl Future<Output = io::Result<()>>;

    /// Lets others go first who are ready.
    fn give_way(&mut self) -> impl Future<Output = ()>;
}

/// Lets those go first who are ready: other tasks of the shard, or other threads.
pub(super) async fn give_way(is_thread: bool) {
    if is_thread {
        return std::thread::yield_now();
    }
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Input,
    Pushed,
    /// Nothing more comes in.
    Ended,
}

/// Waits until `receive` comes to something, or for a push, if there may be some: then it gives `push`.
pub(super) async fn either<T: PollIo, E: Copy>(
    core: &mut Core<T>,
    mut pushed: Option<impl FnMut(&Waker) -> Poll<()>>,
    push: E,
    mut receive: impl FnMut(&mut Core<T>, &mut Context<'_>) -> Poll<io::Result<E>>,
) -> io::Result<E> {
    // The blocking engine waits in the system, where only a descriptor wakes it.
    let waker = if pushed.is_some() { core.waker()? } else { None };
    poll_fn(|cx| {
        // Input goes first, for pushes have their turn after each: so neither keeps the other waiting.
        let is_pushed = match &mut pushed {
            Some(pushed) => pushed(waker.as_ref().unwrap_or(cx.waker())).is_ready(),
            None => false,
        };
        if let (true, Some(waker)) = (is_pushed, &waker) {
            waker.wake_by_ref();
        }
        match receive(core, cx) {
            Poll::Pending if is_pushed => {
                core.skip_turn();
                Poll::Ready(Ok(push))
            }
            Poll::Ready(Err(error)) if waker.is_some() && error.kind() == io::ErrorKind::Interrupted => {
                Poll::Ready(Ok(push))
            }
            received => received,
        }
    })
    .await
}

/// Frames in a stream of bytes.
pub(crate) struct Frames<'a, T, C> {
    core: &'a mut Core<T>,
    framing: &'a C,
    reading: Reading,
    /// What the last message took of the input.
    taken: usize,
}

impl<'a, T: PollIo, C: Framing> Frames<'a, T, C> {
    pub(crate) fn new(core: &'a mut Core<T>, framing: &'a C) -> Self {
        Self { core, framing, reading: Reading::default(), taken: 0 }
    }

    #[inline]
    fn give(&mut self, found: Option<Found>) -> Option<&[u8]> {
        let Found { body, len } = found?;
        self.taken = len;
        Some(&self.core.buffered()[body])
    }
}

impl<T: PollIo, C: Framing> Carries for Frames<'_, T, C> {
    #[inline]
    fn next(&mut self) -> Result<Option<&[u8]>> {
        let gone = std::mem::take(&mut self.taken);
        if gone > 0 {
            self.core.consume(gone);
        }
        let found = self.reading.next(self.core, self.framing)?;
        Ok(self.give(found))
    }

    fn last(&mut self) -> Result<Option<&[u8]>> {
        let found = self.reading.last(self.core, self.framing)?;
        Ok(self.give(found))
    }

    async fn wait(&mut self, pushed: Option<impl FnMut(&Waker) -> Poll<()>>) -> io::Result<Event> {
        let filled = |count| if count > 0 { Event::Input } else { Event::Ended };
        either(self.core, pushed, Event::Pushed, |core, cx| core.poll_fill(cx).map_ok(filled)).await
    }

    fn send(&mut self, out: &mut Out) -> impl Future<Output = io::Result<()>> {
        let mut sent = 0;
        poll_fn(move |cx| {
            let mut rest = &out.bytes()[sent..];
            let polled = self.core.poll_send_all(cx, &mut rest);
            sent = out.bytes().len() - rest.len();
            if polled.is_ready() {
                out.clear();
            }
            polled
        })
    }

    async fn give_way(&mut self) {
        give_way(T::WAITS_INSIDE).await;
    }
}
