// SPDX-License-Identifier: GPL-2.0

//! Lookups for entries of feeds, in an order that says how well caches work.

use super::random::Random;
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
    pub(crate) fn new(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Sequential,
            1 => Self::Uniform,
            2 => Self::Zipf,
            _ => return None,
        })
    }

    /// One of `count`, which is not 0: the `made`-th choice.
    fn one_of(self, count: u64, made: u64, random: u64) -> u64 {
        match self {
            Self::Sequential => made % count,
            Self::Uniform => random % count,
            Self::Zipf => {
                // A power of two at random, then a place below it: 1/k up to a factor of two.
                let bits = 64 - count.leading_zeros();
                let octave = (random >> 32) % u64::from(bits);
                let first = (1 << octave) - 1;
                (first + random % (1 << octave)) % count
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Length of each feed, and of the head that is said to be held.
    pub(crate) entries: u64,
    /// Bit 0: the window's path is held. Bit 1: its page is.
    pub(crate) have: u64,
    /// Among feeds if there are several, else among entries.
    pub(crate) access: Access,
}

/// Makes one lookup after the other.
pub(crate) struct Lookups<'a> {
    feeds: &'a [DiscoveryId],
    asked: Asked,
    made: u64,
    random: Random,
    bytes: [u8; LOOKUP_MAX],
}

impl<'a> Lookups<'a> {
    /// `who` asks: each asker chooses for himself.
    pub(crate) fn new(feeds: &'a [DiscoveryId], asked: Asked, who: u32) -> Result<Self> {
        if asked.entries == 0 || feeds.is_empty() {
            return Err(EINVAL);
        }
        Ok(Self {
            feeds,
            asked,
            made: 0,
            random: Random::of(who),
            bytes: [0; LOOKUP_MAX],
        })
    }

    /// The next feed and entry.
    fn choose(&mut self) -> (DiscoveryId, u64) {
        let (count, entries) = (self.feeds.len() as u64, self.asked.entries);
        let access = self.asked.access;
        let (feed, seq) = if count == 1 {
            (0, access.one_of(entries, self.made, self.random.next()))
        } else {
            let feed = access.one_of(count, self.made, self.random.next());
            (feed, self.random.next() % entries)
        };
        (self.feeds.get(feed as usize).copied().unwrap_or_default(), seq)
    }

    /// The next one, as the bytes behind the Ethernet header.
    pub(crate) fn next(&mut self, cookie: u64) -> &[u8] {
        let (id, seq) = self.choose();
        self.made += 1;
        let lookup = LookupRange {
            pre: Preamble {
                nonce: self.made as u32,
                token: Token::from_u64(self.made),
                life_ms: 1000,
                hop_limit: 0,
                id,
            },
            leaf_only: false,
            epoch: 0,
            want: 1 << (seq % u64::from(WINDOW)),
            n: self.asked.entries,
            window: seq / u64::from(WINDOW),
            have_path: self.asked.have & 1 != 0,
            have_page: self.asked.have & 2 != 0,
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
        self.bytes.get(..linear).unwrap_or(&[])
    }
}
