use super::Reason;
use socketserver_sys::SharedWords;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the side that serves a connection and the side that watches over it both look at: whether the handler waits
/// for its peer, whether the connection is to be cut, bytes each way, how it ended.
///
/// Nothing but words, so that it can live in memory that a child process shares. Those that every read and write touches
/// fill one cache line, and the lines of many connections lie side by side: that keeps the pages few that a server with
/// many connections walks through.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Words);

#[derive(Debug, Clone)]
enum Words {
    /// Of a connection that nobody watches over: on the client's side.
    Own(Arc<[AtomicU64; HOT]>),
    Mapped {
        chunk: Chunk,
        at: usize,
    },
}

/// Memory for the slots of so many connections.
#[derive(Debug, Clone)]
pub(crate) struct Chunk(Arc<SharedWords>);

impl Chunk {
    pub(crate) const SLOTS: usize = 64;

    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(SharedWords::new(Self::SLOTS * (HOT + TEXT))?)))
    }

    /// The slot at `at`, as it is.
    pub(crate) fn slot(&self, at: usize) -> Slot {
        Slot(Words::Mapped { chunk: self.clone(), at })
    }

    fn hot(&self, at: usize) -> &[AtomicU64] {
        &self.0[at * HOT..][..HOT]
    }

    fn text(&self, at: usize) -> &[AtomicU64] {
        &self.0[Self::SLOTS * HOT + at * TEXT..][..TEXT]
    }
}

const STATE: usize = 0;
const FLAGS: usize = 1;
const READ: usize = 2;
const WRITTEN: usize = 3;
const REASON: usize = 4;
/// What a child that was there before the connection has to be told about it.
const ID: usize = 5;
const ENDPOINT: usize = 6;
/// A child's words about a failure, in bytes. In one process they need not travel.
const TEXT_LEN: usize = 7;
/// The epoch of a wait that does not expire.
pub(crate) const NEVER: u64 = u64::MAX / STATES;
/// A cache line.
const HOT: usize = 8;
/// Room for a child's words about a failure.
const TEXT: usize = 24;

/// The connection is lost: every wait in it fails.
const CUT: u64 = 1;
/// The server drains: who would wait for the next request is given the end of input.
const DRAINING: u64 = 2;

// The state, in the lowest bits of its word. Above them stands since when the handler waits.

/// The handler works.
const BUSY: u64 = 0;
/// The handler waits for its next request: nothing that was read is left over.
const WAITING: u64 = 1;
/// The handler waits in the middle of a request: a drain lets it.
const HALFWAY: u64 = 2;
/// It was waiting for its next request, and the drain gave it the end of input.
const DRAINED: u64 = 3;
/// It was waiting for too long.
const EXPIRED: u64 = 4;
const STATES: u64 = 8;

/// What ended a wait, other than the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    No,
    ByDrain,
    ByIdle,
}

impl Slot {
    pub(crate) fn own() -> Self {
        Self(Words::Own(Arc::default()))
    }

    /// As for a new connection.
    pub(crate) fn wipe(&self) {
        self.hot().iter().for_each(|word| word.store(0, SeqCst));
    }

    #[inline]
    fn hot(&self) -> &[AtomicU64] {
        match &self.0 {
            Words::Own(words) => &words[..],
            Words::Mapped { chunk, at } => chunk.hot(*at),
        }
    }

    /// Writes down which connection it is, for a child that is handed it.
    pub(crate) fn introduce(&self, id: u64, endpoint: usize) {
        self.hot()[ID].store(id, SeqCst);
        self.hot()[ENDPOINT].store(endpoint as u64, SeqCst);
    }

    /// What [`introduce`](Self::introduce) wrote down.
    pub(crate) fn introduction(&self) -> Option<(u64, usize)> {
        let endpoint = usize::try_from(self.hot()[ENDPOINT].load(SeqCst)).ok()?;
        Some((self.hot()[ID].load(SeqCst), endpoint))
    }

    /// The handler is about to wait for its peer, since the `epoch` that it is; for its next request, or `halfway` through
    /// one. Tells whether the server drains, so that it had better not wait for a next one.
    ///
    /// The look comes after the word: either this side sees the drain, or the drain sees it waiting.
    #[inline]
    pub(crate) fn begin_wait(&self, halfway: bool, epoch: u64) -> bool {
        let words = self.hot();
        words[STATE].store(epoch * STATES + if halfway { HALFWAY } else { WAITING }, SeqCst);
        !halfway && words[FLAGS].load(SeqCst) & DRAINING != 0
    }

    /// The wait is over.
    #[inline]
    pub(crate) fn end_wait(&self) -> Woken {
        match self.hot()[STATE].swap(BUSY, SeqCst) % STATES {
            DRAINED => Woken::ByDrain,
            EXPIRED => Woken::ByIdle,
            _ => Woken::No,
        }
    }

    /// Claims the end of a wait that is in one of the states, and whose epoch is before this.
    fn claim(&self, states: &[u64], before: u64, as_state: u64) -> bool {
        let word = &self.hot()[STATE];
        word.fetch_update(SeqCst, SeqCst, |now| {
            (states.contains(&(now % STATES)) && now / STATES < before).then_some(as_state)
        })
        .is_ok()
    }

    /// Claims the end of a wait that began before this epoch.
    pub(crate) fn expire(&self, before: u64) -> bool {
        self.claim(&[WAITING, HALFWAY], before, EXPIRED)
    }

    /// The server drains. Claims the end of a wait; `false`: there is none, the connection is busy.
    pub(crate) fn drain(&self) -> bool {
        self.hot()[FLAGS].fetch_or(DRAINING, SeqCst);
        self.claim(&[WAITING], u64::MAX, DRAINED)
    }

    /// From now on every wait in the connection fails.
    pub(crate) fn cut(&self) {
        self.hot()[FLAGS].fetch_or(CUT, SeqCst);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.hot()[FLAGS].load(Ordering::Acquire) & CUT != 0
    }

    pub(crate) fn add_read(&self, bytes: usize) {
        add(&self.hot()[READ], bytes);
    }

    pub(crate) fn add_written(&self, bytes: usize) {
        add(&self.hot()[WRITTEN], bytes);
    }

    pub(crate) fn read(&self) -> u64 {
        self.hot()[READ].load(Relaxed)
    }

    pub(crate) fn written(&self) -> u64 {
        self.hot()[WRITTEN].load(Relaxed)
    }

    /// Records how it ended, for the process that watches.
    pub(crate) fn end(&self, reason: Reason, text: Option<&str>) {
        if let (Words::Mapped { chunk, at }, Some(text)) = (&self.0, text) {
            let text = &text.as_bytes()[..floor_char_boundary(text, TEXT * 8)];
            for (word, bytes) in chunk.text(*at).iter().zip(text.chunks(8)) {
                let mut padded = [0; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_ne_bytes(padded), Relaxed);
            }
            self.hot()[TEXT_LEN].store(text.len() as u64, Relaxed);
        }
        self.hot()[REASON].store(reason.to_word(), Ordering::Release);
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<(Reason, Option<String>)> {
        let reason = Reason::from_word(self.hot()[REASON].load(Ordering::Acquire))?;
        let text = match &self.0 {
            Words::Own(_) => None,
            Words::Mapped { chunk, at } => {
                let bytes: Vec<u8> = chunk.text(*at).iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
                // A child's memory is not to be trusted with a length.
                let len = usize::try_from(self.hot()[TEXT_LEN].load(Relaxed)).unwrap_or(0).min(bytes.len());
                (len > 0).then(|| String::from_utf8_lossy(&bytes[..len]).into_owned())
            }
        };
        Some((reason, text))
    }
}

/// One side alone counts, so no read-modify-write is needed.
fn add(word: &AtomicU64, bytes: usize) {
    word.store(word.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
}

/// `str::floor_char_boundary`, which the oldest compiler that we build with lacks.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_ended_once_and_a_busy_connection_is_left_alone() {
        let slot = Slot::own();
        assert!(!slot.begin_wait(false, 7));
        assert_eq!(slot.end_wait(), Woken::No);
        assert!(!slot.drain(), "busy");
        assert!(!slot.begin_wait(true, 7), "halfway through a request");
        assert!(!slot.drain());
        assert!(slot.begin_wait(false, 7), "it had better not wait");
        assert!(slot.drain());
        assert!(!slot.drain());
        assert_eq!(slot.end_wait(), Woken::ByDrain);
        assert!(!slot.is_cut());
        slot.cut();
        assert!(slot.is_cut() && slot.begin_wait(false, 7));
    }

    #[test]
    fn a_wait_expires_by_its_epoch() {
        let slot = Slot::own();
        assert!(!slot.expire(100), "busy");
        for halfway in [false, true] {
            slot.begin_wait(halfway, 7);
            assert!(!slot.expire(7));
            assert!(slot.expire(8));
            assert_eq!(slot.end_wait(), Woken::ByIdle);
        }
        slot.begin_wait(false, NEVER);
        assert!(!slot.expire(NEVER));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let chunk = Chunk::new().unwrap();
        let child = chunk.slot(1);
        child.end(Reason::Failed, Some(&"字".repeat(100)));
        let (reason, text) = chunk.slot(1).ended().unwrap();
        assert_eq!(reason, Reason::Failed);
        assert_eq!(text.unwrap(), "字".repeat(TEXT * 8 / 3));
        assert!(chunk.slot(0).ended().is_none() && chunk.slot(2).ended().is_none());
        child.wipe();
        assert!(chunk.slot(1).ended().is_none());
    }
}
