//! What is remembered of a stream between two looks at it.

/// What a connection remembers between two looks of a [`Framing`](super::Framing): how far the search has come in vain,
/// and whether the tail of an oversized frame is being passed over.
///
/// The default is for a new stream. A framing with nothing to search for leaves it alone; the setters are for those who
/// write one of their own.
///
/// ```
/// use socketserver_proto::framing::{Framing, Line, Scan, Step};
///
/// let mut scan = Scan::default();
/// assert_eq!(Line::new().decode(b"no line y", &mut scan)?, Step::More(10));
/// // Nobody looks at these again.
/// assert_eq!(scan.searched(), 9);
/// # Ok::<(), socketserver_proto::framing::FrameError>(())
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    searched: usize,
    skipping: bool,
}

impl Scan {
    /// For a new stream.
    pub(super) const NEW: Self = Self { searched: 0, skipping: false };

    /// How many bytes from the front of the input on need not be searched again.
    #[inline]
    #[must_use]
    pub const fn searched(&self) -> usize {
        self.searched
    }

    /// Whether the front of the input belongs to an oversized frame that is being passed over.
    #[inline]
    #[must_use]
    pub const fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// The first `count` bytes of the input need not be searched again.
    #[inline]
    pub const fn set_searched(&mut self, count: usize) {
        self.searched = count;
    }

    /// The front of the input belongs, or no longer belongs, to an oversized frame.
    #[inline]
    pub const fn set_skipping(&mut self, skipping: bool) {
        self.skipping = skipping;
    }
}
