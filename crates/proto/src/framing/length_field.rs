/// The length field of a [`LengthPrefix`](super::LengthPrefix).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// 1 to 8 bytes.
    pub(super) width: u8,
    pub(super) big_endian: bool,
    pub(super) signed: bool,
}

impl Field {
    pub(super) const fn new(width: u8, big_endian: bool) -> Self {
        Self { width, big_endian, signed: false }
    }

    /// The most that can be in it.
    pub(super) const fn greatest(self) -> u64 {
        u64::MAX >> self.unused_bits() >> (self.signed as u32)
    }

    /// Of a `u64`.
    const fn unused_bits(self) -> u32 {
        64 - 8 * self.width as u32
    }

    /// What is in the field at the front of `bytes`, which are not fewer than it has.
    #[inline]
    pub(super) fn read(self, bytes: &[u8]) -> u64 {
        let word = bytes.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            word
        });
        if self.big_endian {
            u64::from_be_bytes(word) >> self.unused_bits()
        } else {
            u64::from_le_bytes(word) & (u64::MAX >> self.unused_bits())
        }
    }

    /// The field is the first bytes of this, as many as it has.
    #[inline]
    pub(super) fn write(self, length: u64) -> [u8; 8] {
        if self.big_endian { (length << self.unused_bits()).to_be_bytes() } else { length.to_le_bytes() }
    }
}
