//! Words that processes share: where they lie, and texts in them.

use socketserver_sys::SharedWords;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Memory for the [slots](super::Slot) of so many connections.
#[derive(Debug, Clone)]
pub(crate) struct Chunk(Arc<Words>);

#[derive(Debug)]
enum Words {
    Mapped(SharedWords),
    /// Of a connection that nobody watches over: on the client's side.
    Own(Box<[AtomicU64]>),
}

/// How many words of each connection are touched all the time: a cache line.
pub(super) const HOT: usize = 8;
/// How many are seldom touched.
pub(super) const COLD: usize = 36;
const SIZE: usize = HOT + COLD;

impl Chunk {
    pub(crate) const SLOTS: u8 = 64;

    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Words::Mapped(SharedWords::new(usize::from(Self::SLOTS) * SIZE)?))))
    }

    /// For one connection, in this process alone.
    pub(super) fn own() -> Self {
        Self(Arc::new(Words::Own(Box::new([const { AtomicU64::new(0) }; SIZE]))))
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        match &*self.0 {
            Words::Mapped(words) => words,
            Words::Own(words) => words,
        }
    }

    #[inline]
    pub(super) fn hot(&self, at: u8) -> &[AtomicU64] {
        &self.words()[usize::from(at) * HOT..][..HOT]
    }

    pub(super) fn cold(&self, at: u8) -> &[AtomicU64] {
        let words = self.words();
        let lines = words.len() / SIZE * HOT;
        &words[lines + usize::from(at) * COLD..][..COLD]
    }
}

/// As much of a text as there is room for, and how many bytes that was.
pub(super) fn store_text(words: &[AtomicU64], text: &str) -> u64 {
    let text = &text.as_bytes()[..floor_char_boundary(text, words.len() * 8)];
    for (word, bytes) in words.iter().zip(text.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(padded), Relaxed);
    }
    text.len() as u64
}

/// What [`store_text`] stored.
pub(super) fn load_text(words: &[AtomicU64], len: u64) -> Option<String> {
    if len == 0 {
        return None;
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    // A child's memory is not to be trusted with a length.
    let len = usize::try_from(len).unwrap_or(0).min(bytes.len());
    Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// `str::floor_char_boundary`, which the oldest compiler that we build with lacks.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
