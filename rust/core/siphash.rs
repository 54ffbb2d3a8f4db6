// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! SipHash, a keyed hash of short inputs: [`siphash24`] behind tokens and cookies, [`siphash13`] for the
//! places in hash tables.
//!
//! After Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). A hash table only has to
//! keep others from finding collisions, which they never see: one round and three are what the
//! kernel itself takes for that (include/linux/siphash.h, hsiphash).

/// A 128-bit key, as two little-endian words.
#[derive(Clone, Copy)]
pub struct SipKey(pub [u64; 2]);

struct State([u64; 4]);

impl State {
    #[inline]
    fn new(key: &SipKey) -> Self {
        let [k0, k1] = key.0;
        State([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    /// The hash, with what is left of `count` bytes.
    #[inline]
    fn finish<const ROUNDS: usize, const LAST: usize>(mut self, rest: u64, count: u64) -> u64 {
        self.word::<ROUNDS>(rest | count.wrapping_shl(56));
        let [_, _, c, _] = &mut self.0;
        *c ^= 0xff;
        for _ in 0..LAST {
            self.round();
        }
        self.0.iter().fold(0, |all, word| all ^ word)
    }

    #[inline]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }

    #[inline]
    fn word<const ROUNDS: usize>(&mut self, word: u64) {
        let [_, _, _, d] = &mut self.0;
        *d ^= word;
        for _ in 0..ROUNDS {
            self.round();
        }
        let [a, _, _, _] = &mut self.0;
        *a ^= word;
    }
}

/// SipHash-2-4 of the concatenation of `parts`.
pub fn siphash24(key: &SipKey, parts: &[&[u8]]) -> u64 {
    siphash::<2, 4>(key, parts)
}

/// SipHash-1-3 of the concatenation of `parts`.
pub fn siphash13(key: &SipKey, parts: &[&[u8]]) -> u64 {
    siphash::<1, 3>(key, parts)
}

/// SipHash-1-3 of whole words and a half, all little-endian.
#[inline]
pub fn siphash13_words<const WORDS: usize>(key: &SipKey, words: &[u64; WORDS], half: u32) -> u64 {
    let mut state = State::new(key);
    for word in words {
        state.word::<1>(*word);
    }
    let count = const { (WORDS as u64).wrapping_mul(8).wrapping_add(4) };
    state.finish::<1, 3>(u64::from(half), count)
}

#[inline(always)]
fn siphash<const ROUNDS: usize, const LAST: usize>(key: &SipKey, parts: &[&[u8]]) -> u64 {
    let mut state = State::new(key);
    // Bytes that do not fill a word yet, the first of them lowest.
    let mut word = 0u64;
    let mut count = 0u32;
    for part in parts {
        let mut rest = *part;
        // Whole words, wherever they begin: what is hashed here is often a number and an id behind it.
        while let Some((whole, behind)) = rest.split_first_chunk() {
            let whole = u64::from_le_bytes(*whole);
            let shift = (count & 7).wrapping_mul(8);
            state.word::<ROUNDS>(word | whole.wrapping_shl(shift));
            // Nothing is left of it where nothing was waiting; a shift by 64 is none.
            word = whole
                .wrapping_shr(8)
                .wrapping_shr(56u32.wrapping_sub(shift));
            count = count.wrapping_add(8);
            rest = behind;
        }
        for byte in rest {
            let shift = (count & 7).wrapping_mul(8);
            word |= u64::from(*byte).wrapping_shl(shift);
            count = count.wrapping_add(1);
            if count & 7 == 0 {
                state.word::<ROUNDS>(word);
                word = 0;
            }
        }
    }
    state.finish::<ROUNDS, LAST>(word, u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper's appendix A and two further lengths of its test program.
    #[test]
    fn siphash24__reference() {
        let key = SipKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let input: std::vec::Vec<u8> = (0..64).collect();
        assert_eq!(siphash24(&key, &[&input[..15]]), 0xa129_ca61_49be_45e5);
        assert_eq!(siphash24(&key, &[&input[..0]]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash24(&key, &[&input[..8]]), 0x93f5_f579_9a93_2462);
    }

    /// Beside the standard library's, which has no key to choose.
    #[test]
    fn siphash13__reference() {
        use std::hash::{DefaultHasher, Hasher};
        let input: std::vec::Vec<u8> = (0..64).collect();
        for len in 0..input.len() {
            let mut reference = DefaultHasher::new();
            reference.write(&input[..len]);
            for cut in 0..=len {
                let hash = siphash13(&SipKey([0, 0]), &[&input[..cut], &input[cut..len]]);
                assert_eq!(hash, reference.finish(), "{cut} of {len} bytes");
            }
        }
    }

    #[test]
    fn siphash13_words__is_the_hash_of_their_bytes() {
        let key = SipKey([3, 4]);
        let words = [1, u64::MAX, 0x0123_4567_89ab_cdef];
        let mut bytes = std::vec::Vec::new();
        words
            .iter()
            .for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(0xfeed_beefu32.to_le_bytes());
        let hash = siphash13_words(&key, &words, 0xfeed_beef);
        assert_eq!(hash, siphash13(&key, &[&bytes]));
    }

    #[test]
    fn siphash24__parts_are_concatenated() {
        let key = SipKey([1, 2]);
        let whole = siphash24(&key, &[b"abcdefghijklmnop"]);
        assert_eq!(
            whole,
            siphash24(&key, &[b"abc", b"", b"defghijklm", b"nop"])
        );
    }
}
