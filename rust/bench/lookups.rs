// SPDX-License-Identifier: GPL-2.0

//! Lookups for entries of one feed, in an order that says how well caches work.

use feed_core::{
    id::DiscoveryId,
    token::Token,
    wire::{
        FrameBuilder,
        FrameHeader,
        LookupRange,
        Preamble,
        WINDOW, //
    },
};
use kernel::prelude::*;

/// More than a frame with one lookup has.
const LOOKUP_MAX: usize = 256;
const MTU: usize = 1500;

/// In which order entries are asked for.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// One after the other.
    Sequential,
    /// Each with the same probability.
    Uniform,
    /// The k-th with a probability of about 1/k: the logarithm is uniform.
    Zipf,
}

impl Access {
    pub(crate) fn new(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Sequential,
            1 => Self::Uniform,
            2 => Self::Zipf,
            _ => return None,
        })
    }
}

/// Makes one lookup after the other.
pub(crate) struct Lookups {
    id: DiscoveryId,
    entries: u64,
    have: u32,
    access: Access,
    made: u64,
    state: u64,
    bytes: [u8; LOOKUP_MAX],
}

impl Lookups {
    pub(crate) fn new(id: [u64; 4], entries: u64, have: u32, access: Access) -> Result<Self> {
        if entries == 0 {
            return Err(EINVAL);
        }
        let mut name = [0; 32];
        for (place, word) in name.chunks_exact_mut(8).zip(id) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        Ok(Self {
            id: DiscoveryId(name),
            entries,
            have,
            access,
            made: 0,
            state: 0x9e37_79b9_7f4a_7c15,
            bytes: [0; LOOKUP_MAX],
        })
    }

    /// splitmix64 (Steele, Lea, Flood 2014): the same order in every run.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn seq(&mut self) -> u64 {
        let random = self.random();
        match self.access {
            Access::Sequential => self.made % self.entries,
            Access::Uniform => random % self.entries,
            Access::Zipf => {
                // A power of two at random, then a place below it: 1/k up to a factor of two.
                let bits = 64 - self.entries.leading_zeros();
                let octave = (random >> 32) % u64::from(bits);
                let first = (1 << octave) - 1;
                (first + random % (1 << octave)) % self.entries
            }
        }
    }

    /// The next one, as the bytes behind the Ethernet header.
    pub(crate) fn next(&mut self, cookie: u64) -> &[u8] {
        let seq = self.seq();
        self.made += 1;
        let lookup = LookupRange {
            pre: Preamble {
                nonce: self.made as u32,
                token: Token::from_u64(self.made),
                life_ms: 1000,
                hop_limit: 0,
                id: self.id,
            },
            leaf_only: false,
            epoch: 0,
            want: 1 << (seq % u64::from(WINDOW)),
            n: self.entries,
            window: seq / u64::from(WINDOW),
            have_path: self.have & 1 != 0,
            have_page: self.have & 2 != 0,
        };
        let mut linear = 0;
        if let Some(mut frame) = FrameBuilder::new(&mut self.bytes, MTU) {
            let _ = lookup.emit(&mut frame);
            let header = FrameHeader {
                cookie_echo: cookie,
                ..FrameHeader::default()
            };
            linear = frame.finish(&header).linear;
        }
        &self.bytes[..linear]
    }
}
