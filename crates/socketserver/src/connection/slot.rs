use super::Reason;
use socketserver_sys::SharedWords;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the side that serves a connection and the side that watches over it both look at: whether the handler waits
/// for its peer, whether the connection is to be cut, bytes each way, how it ended.
///
/// Nothing but words, so that it can live in memory that a child process shares.
#[derive(Debug)]
pub(crate) struct Slot(Words);

#[derive(Debug)]
enum Words {
    Own([AtomicU64; OWN]),
    Mapped { map: Arc<SharedWords>, at: usize },
}

const STATE: usize = 0;
const CUT: usize = 1;
const READ: usize = 2;
const WRITTEN: usize = 3;
const REASON: usize = 4;
const OWN: usize = 5;
/// A child's words about a failure: their length, then the bytes. In one process they need not travel.
const TEXT_LEN: usize = 5;
/// What a child that was there before the connection has to be told about it.
const ID: usize = 6;
const ENDPOINT: usize = 7;
const TEXT: usize = 8;
const TEXT_WORDS: usize = 24;
/// How many words a mapped slot takes.
pub(crate) const SLOT_WORDS: usize = TEXT + TEXT_WORDS;

/// The handler works, or input waits that it has not taken: not to be disturbed.
const BUSY: u64 = 0;
/// The handler waits for the next bytes, and none are left over.
const WAITING: u64 = 1;
/// It was waiting, and was given the end of input.
const WOKEN: u64 = 2;

impl Slot {
    pub(crate) fn own() -> Self {
        Self(Words::Own(Default::default()))
    }

    /// The `index`th slot of a mapping, wiped.
    pub(crate) fn mapped(map: Arc<SharedWords>, index: usize) -> Self {
        let slot = Self::adopt(map, index);
        slot.words().iter().for_each(|word| word.store(0, SeqCst));
        slot
    }

    /// The `index`th slot of a mapping as it is: the child's side.
    pub(crate) fn adopt(map: Arc<SharedWords>, index: usize) -> Self {
        Self(Words::Mapped { map, at: index * SLOT_WORDS })
    }

    /// Writes down which connection it is, for a child that is handed it.
    pub(crate) fn introduce(&self, id: u64, endpoint: usize) {
        if let Words::Mapped { .. } = &self.0 {
            self.words()[ID].store(id, SeqCst);
            self.words()[ENDPOINT].store(endpoint as u64, SeqCst);
        }
    }

    /// What [`introduce`](Self::introduce) wrote down.
    pub(crate) fn introduction(&self) -> Option<(u64, usize)> {
        match &self.0 {
            Words::Own(_) => None,
            Words::Mapped { .. } => {
                let endpoint = usize::try_from(self.words()[ENDPOINT].load(SeqCst)).ok()?;
                Some((self.words()[ID].load(SeqCst), endpoint))
            }
        }
    }

    fn words(&self) -> &[AtomicU64] {
        match &self.0 {
            Words::Own(words) => words,
            Words::Mapped { map, at } => &map[*at..*at + SLOT_WORDS],
        }
    }

    /// The handler is about to wait for its peer. The caller looks for a stop *after* this: either it sees the stop, or
    /// whoever stops sees it waiting.
    pub(crate) fn begin_wait(&self) {
        self.words()[STATE].store(WAITING, SeqCst);
    }

    /// The wait is over. `true`: somebody ended it with [`wake`](Self::wake).
    pub(crate) fn end_wait(&self) -> bool {
        self.words()[STATE].swap(BUSY, SeqCst) == WOKEN
    }

    /// Claims the end of a wait. `false`: there is none, the connection is busy.
    pub(crate) fn wake(&self) -> bool {
        self.words()[STATE].compare_exchange(WAITING, WOKEN, SeqCst, SeqCst).is_ok()
    }

    /// From now on the connection is lost: every wait in it fails.
    pub(crate) fn cut(&self) {
        self.words()[CUT].store(1, SeqCst);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.words()[CUT].load(Ordering::Acquire) != 0
    }

    pub(crate) fn add_read(&self, bytes: usize) {
        add(&self.words()[READ], bytes);
    }

    pub(crate) fn add_written(&self, bytes: usize) {
        add(&self.words()[WRITTEN], bytes);
    }

    pub(crate) fn read(&self) -> u64 {
        self.words()[READ].load(Relaxed)
    }

    pub(crate) fn written(&self) -> u64 {
        self.words()[WRITTEN].load(Relaxed)
    }

    /// Records how it ended, for the process that watches.
    pub(crate) fn end(&self, reason: Reason, text: Option<&str>) {
        let words = self.words();
        if let (Words::Mapped { .. }, Some(text)) = (&self.0, text) {
            let text = &text.as_bytes()[..text.floor_char_boundary_at(TEXT_WORDS * 8)];
            for (word, bytes) in words[TEXT..].iter().zip(text.chunks(8)) {
                let mut padded = [0; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_ne_bytes(padded), Relaxed);
            }
            words[TEXT_LEN].store(text.len() as u64, Relaxed);
        }
        words[REASON].store(reason.to_word(), Ordering::Release);
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<(Reason, Option<String>)> {
        let words = self.words();
        let reason = Reason::from_word(words[REASON].load(Ordering::Acquire))?;
        let text = match &self.0 {
            Words::Own(_) => None,
            Words::Mapped { .. } => {
                let bytes: Vec<u8> = words[TEXT..].iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
                // A child's memory is not to be trusted with a length.
                let len = usize::try_from(words[TEXT_LEN].load(Relaxed)).unwrap_or(0).min(bytes.len());
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

trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    /// `str::floor_char_boundary`, which the oldest compiler that we build with lacks.
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_ended_once_and_a_busy_connection_is_left_alone() {
        let slot = Slot::own();
        assert!(!slot.wake());
        slot.begin_wait();
        assert!(slot.wake());
        assert!(!slot.wake());
        assert!(slot.end_wait());
        slot.begin_wait();
        assert!(!slot.end_wait());
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let map = Arc::new(SharedWords::new(2 * SLOT_WORDS).unwrap());
        let child = Slot::adopt(map.clone(), 1);
        child.end(Reason::Failed, Some(&"字".repeat(100)));
        let (reason, text) = Slot::adopt(map.clone(), 1).ended().unwrap();
        assert_eq!(reason, Reason::Failed);
        assert_eq!(text.unwrap(), "字".repeat(TEXT_WORDS * 8 / 3));
        assert!(Slot::mapped(map, 1).ended().is_none());
    }
}
