/// Choices that a number makes (xorshift64*): the same number, the same choices.
pub(crate) struct Chance(u64);

impl Chance {
    /// Of each who chooses with the same number his own.
    pub(crate) fn new(seed: u64, whose: usize) -> Self {
        let mut new = Self((seed ^ (whose as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1));
        new.below(2);
        new
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
