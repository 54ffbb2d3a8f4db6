// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Numbers that tables keep in six bytes.
//!
//! Times in µs need 48 bits for nine years, lengths of trees 37, ages in ms 48 for as long as there
//! will be clocks. What is larger stands for "never" or "any", and is `u64::MAX` when it is read.

/// A number below 2^48 - 1, or `u64::MAX`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct U48([u8; 6]);

impl U48 {
    /// What larger numbers become.
    pub(super) const MAX: U48 = U48([u8::MAX; 6]);

    /// Keeps a number; one that is too large is [`U48::MAX`].
    pub(super) const fn new(number: u64) -> Self {
        match number.to_le_bytes() {
            [a, b, c, d, e, f, 0, 0] => U48([a, b, c, d, e, f]),
            _ => U48::MAX,
        }
    }

    /// The number that is kept.
    pub(super) const fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        match u64::from_le_bytes([a, b, c, d, e, f, 0, 0]) {
            MOST => u64::MAX,
            number => number,
        }
    }
}

/// All bits that are kept.
const MOST: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Nine years of µs, the longest tree, and the ends of the range.
    #[test]
    fn number__comes_back_as_it_was() {
        for number in [0, 1, 255, 256, 1 << 32, 1 << 36, (1 << 48) - 2, u64::MAX] {
            assert_eq!(U48::new(number).get(), number);
        }
        for bit in 0..48 {
            assert_eq!(U48::new(1 << bit).get(), 1 << bit);
        }
    }

    /// What does not fit is never small.
    #[test]
    fn number__too_large_is_the_largest() {
        for number in [(1 << 48) - 1, 1 << 48, (1 << 48) + 5, 1 << 63, u64::MAX - 1] {
            assert_eq!(U48::new(number), U48::MAX);
        }
        assert_eq!(U48::MAX.get(), u64::MAX);
        assert_eq!(U48::default().get(), 0);
    }
}
