use super::pool;
use std::ops::Range;

/// What was read and not yet taken. It holds no memory while there is nothing in it, and little while the connection
/// [rests](Self::rest) with less than a line or a frame.
#[derive(Debug, Default)]
pub(crate) struct Input {
    buf: Box<[u8]>,
    filled: Range<usize>,
}

impl Input {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[self.filled.clone()]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.filled.start = (self.filled.start + count).min(self.filled.end);
        if self.filled.is_empty() {
            self.give_back();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.give_back();
    }

    /// Nothing is in it: whatever comes next, others need the buffer meanwhile.
    fn give_back(&mut self) {
        pool::give_input(std::mem::take(&mut self.buf));
        self.filled = 0..0;
    }

    /// Room to read into, at least one byte. What is kept moves to the front when there is none behind it.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.buf.is_empty() {
            self.buf = pool::take_input();
            return &mut self.buf;
        }
        self.room_behind()
    }

    /// Where there is a buffer.
    fn room_behind(&mut self) -> &mut [u8] {
        if self.filled.is_empty() {
            self.filled = 0..0;
        }
        if self.buf.len() < pool::SIZE {
            self.move_to(pool::take_input());
        } else if self.filled.is_empty() && self.buf.len() > pool::SIZE {
            // What a single long line needed is not kept for the next.
            self.buf = pool::take_input();
        }
        if self.filled.end == self.buf.len() {
            if self.filled.start > 0 {
                self.buf.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                // A line or a frame is longer than the buffer; its reader bounds it.
                self.move_to(vec![0; self.buf.len() * 2].into_boxed_slice());
            }
        }
        &mut self.buf[self.filled.end..]
    }

    /// `count` bytes were read into [`room`](Self::room).
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled.end += count;
    }

    /// The connection waits: what it holds is cut down to what is in it.
    #[inline]
    pub(crate) fn rest(&mut self) {
        if self.filled.is_empty() {
            if !self.buf.is_empty() {
                self.give_back();
            }
        } else if self.filled.len() <= self.buf.len() / 4 {
            self.move_to(vec![0; self.filled.len().next_power_of_two().max(64)].into_boxed_slice());
        }
    }

    fn move_to(&mut self, mut other: Box<[u8]>) {
        other[..self.filled.len()].copy_from_slice(&self.buf[self.filled.clone()]);
        self.filled = 0..self.filled.len();
        pool::give_input(std::mem::replace(&mut self.buf, other));
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        pool::give_input(std::mem::take(&mut self.buf));
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
    fn nothing_is_lost_while_it_moves_and_grows_and_rests() {
        let sent: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let (mut input, mut at, mut taken) = (Input::default(), 0, Vec::new());
        assert_eq!(input.buf.len(), 0);
        while taken.len() < sent.len() {
            let piece = 1 + at % 70_000;
            at += read(&mut input, &sent[at..(at + piece).min(sent.len())]);
            let some = input.bytes().len() - input.bytes().len() / 7;
            taken.extend_from_slice(&input.bytes()[..some]);
            input.consume(some);
            if at % 3 == 0 {
                input.rest();
            }
        }
        assert!(taken == sent);
        assert!(input.buf.len() <= 2 * pool::SIZE, "{}", input.buf.len());
    }

    #[test]
    fn at_rest_it_holds_what_is_in_it() {
        let mut input = Input::default();
        read(&mut input, &[7; 10_000]);
        input.consume(9_900);
        input.rest();
        assert_eq!((input.bytes(), input.buf.len()), (&[7; 100][..], 128));
        read(&mut input, &[8; 3]);
        assert_eq!(input.bytes(), [[7; 100].as_slice(), &[8; 3]].concat());
        input.consume(103);
        input.rest();
        assert_eq!(input.buf.len(), 0);
    }
}
