use std::ops::Range;

/// What was read and not yet taken. Holds no memory until something is read, and grows with the traffic.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buf: Box<[u8]>,
    filled: Range<usize>,
}

impl Input {
    /// The first size: what a busy request/response connection needs.
    const FIRST: usize = 4 * 1024;
    /// The last: beyond it a read costs no less a byte.
    pub(crate) const LAST: usize = 64 * 1024;

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.filled.clone()]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.filled.start = (self.filled.start + count).min(self.filled.end);
    }

    pub(crate) fn clear(&mut self) {
        self.filled = 0..0;
    }

    /// Room to read into, at least one byte. What is kept moves to the front when there is none behind it.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.filled.is_empty() {
            self.filled = 0..0;
            if self.buf.len() > Self::LAST {
                // What a single long line needed is not kept for the next.
                self.buf = vec![0; Self::LAST].into_boxed_slice();
            }
        }
        if self.filled.end == self.buf.len() {
            if self.filled.start > 0 {
                self.buf.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                // A line or a frame is longer than the buffer; its reader bounds it.
                self.grow();
            }
        }
        &mut self.buf[self.filled.end..]
    }

    /// `count` bytes were read into [`room`](Self::room).
    pub(crate) fn fill(&mut self, count: usize) {
        let full = self.filled.end + count == self.buf.len();
        self.filled.end += count;
        // A read that filled all there was: more waits than fits, so the next one gets more room.
        if full && self.filled.start == 0 && self.buf.len() < Self::LAST {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let mut larger = vec![0; (self.buf.len() * 2).max(Self::FIRST)];
        larger[..self.filled.len()].copy_from_slice(&self.buf[self.filled.clone()]);
        self.filled = 0..self.filled.len();
        self.buf = larger.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &mut Input, bytes: &[u8]) -> usize {
        let room = input.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        input.fill(count);
        count
    }

    #[test]
    fn nothing_is_lost_while_it_moves_and_grows() {
        let sent: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let (mut input, mut at, mut taken) = (Input::default(), 0, Vec::new());
        assert_eq!(input.buf.len(), 0);
        while taken.len() < sent.len() {
            at += read(&mut input, &sent[at..]);
            let some = input.bytes().len() - input.bytes().len() / 7;
            taken.extend_from_slice(&input.bytes()[..some]);
            input.consume(some);
        }
        assert!(taken == sent);
        assert!(input.buf.len() <= 2 * Input::LAST, "{}", input.buf.len());
    }
}
