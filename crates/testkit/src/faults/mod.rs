//! Transports and sources that fail as the kernel's do, once in a blue moon: here as often as you like, and the same way
//! each time.
//!
//! [`Faulty`] is a stream, blocking or async, that follows a plan of [`Faults`]: a script of them in order, or as many as a
//! seed gives. [`FaultyAccept`] is a source of connections, for either engine, whose `accept` fails in any order.

mod accept;
mod stream;

pub use accept::{FaultyAccept, Turn};
pub use stream::Faulty;

use crate::dice::Dice;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// What happens to one call that reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing does.
    None,
    /// It transfers at most so many bytes, at least one.
    Short(usize),
    /// A signal comes in (`EINTR`). Blocking: the call fails with `Interrupted`. Async: the task is woken for nothing, since
    /// a transport does not let its user know of signals.
    Interrupted,
    /// It is not ready after all (`EAGAIN`). Blocking: the call fails with `WouldBlock`, as that of a non-blocking socket or
    /// of one whose timeout is over. Async: the task is woken for nothing.
    WouldBlock,
    /// It takes so long, and then happens. Async: by the runtime's clock, which a test can [pause](crate::paused).
    Delay(Duration),
    /// It fails so, and transfers nothing; the next one may go.
    Error(io::ErrorKind),
}

/// What goes wrong with a stream, in each direction: first what a script says, then what a seed gives. A plan does the same
/// each time that it is followed.
///
/// ```
/// use socketserver_testkit::faults::{Fault, Faults, Faulty};
/// use std::io::{ErrorKind, Read};
///
/// let plan = Faults::none().reading([Fault::Short(2), Fault::Interrupted]).reset_after_reading(4);
/// let mut stream = Faulty::new(&b"hello, world"[..], plan);
/// let mut buf = [0; 100];
/// assert_eq!(stream.read(&mut buf)?, 2);
/// assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::Interrupted);
/// // Two are left of four.
/// assert_eq!(stream.read(&mut buf)?, 2);
/// assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::ConnectionReset);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults {
    read: Side,
    write: Side,
}

impl Faults {
    /// Nothing goes wrong, until more is said.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Nearly every call meets a fault that it should get over: short reads and writes, and signals. Each seed has
    /// faults of its own; all bytes arrive in the end.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let side = |seed| Side { dice: Some(Dice::new(seed)), ..Side::default() };
        // Each direction has its own, so that what one does changes nothing for the other.
        Self { read: side(seed), write: side(!seed) }
    }

    /// What happens to the first reads, one after the other.
    #[must_use]
    pub fn reading(mut self, script: impl IntoIterator<Item = Fault>) -> Self {
        self.read.script.extend(script);
        self
    }

    /// What happens to the first writes, one after the other.
    #[must_use]
    pub fn writing(mut self, script: impl IntoIterator<Item = Fault>) -> Self {
        self.write.script.extend(script);
        self
    }

    /// Every read that meets no other fault takes so long.
    #[must_use]
    pub fn slow_to_read(mut self, each: Duration) -> Self {
        self.read.delay = Some(each);
        self
    }

    /// Every write that meets no other fault takes so long.
    #[must_use]
    pub fn slow_to_write(mut self, each: Duration) -> Self {
        self.write.delay = Some(each);
        self
    }

    /// The peer resets the connection when so many bytes were read of it.
    #[must_use]
    pub fn reset_after_reading(mut self, bytes: u64) -> Self {
        self.read.reset_after = Some(bytes);
        self
    }

    /// The peer resets the connection when so many bytes were written to it.
    #[must_use]
    pub fn reset_after_writing(mut self, bytes: u64) -> Self {
        self.write.reset_after = Some(bytes);
        self
    }
}

/// One direction.
#[derive(Debug, Clone, Default)]
struct Side {
    script: VecDeque<Fault>,
    dice: Option<Dice>,
    delay: Option<Duration>,
    reset_after: Option<u64>,
    /// So many bytes went.
    done: u64,
}

impl Side {
    /// What happens to the call that comes now.
    fn next(&mut self) -> Fault {
        match (self.script.pop_front(), &mut self.dice, self.delay) {
            (Some(fault), ..) if fault != Fault::None => fault,
            (None, Some(dice), _) => match dice.below(16) {
                0..=7 => Fault::Short(1 + dice.below(8)),
                8..=9 => Fault::Short(1 + dice.below(300)),
                10..=13 => Fault::Interrupted,
                _ => Fault::None,
            },
            (.., Some(time)) => Fault::Delay(time),
            _ => Fault::None,
        }
    }

    /// How many bytes may still go before the reset. `None`: it has come.
    fn left(&self) -> Option<usize> {
        match self.reset_after {
            Some(end) if self.done >= end => None,
            Some(end) => Some(usize::try_from(end - self.done).unwrap_or(usize::MAX)),
            None => Some(usize::MAX),
        }
    }
}
