// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Blob windows in flight: what has come of each, and how it is going to be checked.
//!
//! *Window mode*: ranges are copied to the extent as they come and the window is hashed once, when
//! nothing is missing. If that hash does not fit, or a page came first, *chunk mode*: the page is
//! checked against the path and the name, and each chunk against the page.

use super::env::Memory;
use super::slab::Table;
use crate::blob::{window_len, CHUNK};
use crate::id::{BlobName, Hash};
use crate::siphash::{siphash13, SipKey};
use crate::wire::{MAX_BLOB_PATH, RANGE_UNIT, WINDOW};

/// Range units of a chunk.
const UNITS: u32 = CHUNK / RANGE_UNIT;

/// Range units that so many bytes begin.
fn units(bytes: u32) -> u32 {
    bytes.saturating_add(RANGE_UNIT.wrapping_sub(1)) / RANGE_UNIT
}

/// One window in flight.
pub(super) struct Transfer<X> {
    pub blob: BlobName,
    pub window: u16,
    /// Entries that wait for it.
    pub entries: u16,
    pub len: u32,
    pub extent: Option<X>,
    /// One bit for each 64 B that came.
    covered: [u64; 8],
    /// How many bits are set.
    count: u32,
    /// Unverified siblings; meaningless without `path_len`.
    pub path: [Hash; MAX_BLOB_PATH],
    pub path_len: u8,
    /// The path led from a page or window to the name.
    pub path_verified: bool,
    pub chunk_mode: bool,
    /// Held record with the verified page.
    pub page: u32,
    /// Largest hops of the parts.
    pub hops: u8,
    /// Only whole windows are public or not.
    pub public: bool,
}

impl<X> Default for Transfer<X> {
    fn default() -> Self {
        Transfer {
            blob: BlobName::default(),
            window: 0,
            entries: 0,
            len: 0,
            extent: None,
            covered: [0; 8],
            count: 0,
            path: [Hash::ZERO; MAX_BLOB_PATH],
            path_len: 0,
            path_verified: false,
            chunk_mode: false,
            page: 0,
            hops: 0,
            public: false,
        }
    }
}

impl<X> Transfer<X> {
    pub(super) fn new(blob: BlobName, window: u16) -> Self {
        Transfer {
            blob,
            window,
            len: window_len(blob.len, window),
            ..Transfer::default()
        }
    }

    /// Marks bytes that were written. A range that ends with the window may end anywhere.
    pub(super) fn cover(&mut self, offset: u32, len: u32) {
        let last = units(offset.saturating_add(len));
        for (word, bits) in words_between(&mut self.covered, offset / RANGE_UNIT, last) {
            let added = (bits & !*word).count_ones();
            *word |= bits;
            self.count = self.count.saturating_add(added);
        }
    }

    /// Forgets bytes that are wrong, or may be.
    pub(super) fn uncover(&mut self, offset: u32, len: u32) {
        let last = units(offset.saturating_add(len));
        for (word, bits) in words_between(&mut self.covered, offset / RANGE_UNIT, last) {
            let taken = (bits & *word).count_ones();
            *word &= !bits;
            self.count = self.count.saturating_sub(taken);
        }
    }

    /// Forgets everything that came.
    pub(super) fn uncover_all(&mut self) {
        self.covered = [0; 8];
        self.count = 0;
    }

    /// Chunks of which a byte is missing.
    pub(super) fn missing(&self) -> u32 {
        let mut missing = 0u32;
        for chunk in 0..WINDOW {
            let start = chunk.saturating_mul(CHUNK);
            let bytes = self.len.saturating_sub(start).min(CHUNK);
            if bytes == 0 {
                break;
            }
            let want = u64::MAX
                .checked_shr(64u32.saturating_sub(units(bytes)))
                .unwrap_or(0);
            let unit = chunk.saturating_mul(UNITS);
            let have = self
                .covered
                .get((unit >> 6) as usize)
                .copied()
                .unwrap_or(0)
                .wrapping_shr(unit & 63);
            if have & want != want {
                missing |= 1u32.wrapping_shl(chunk);
            }
        }
        missing
    }

    /// Whether all of a range is there already.
    pub(super) fn has(&mut self, offset: u32, len: u32) -> bool {
        let last = units(offset.saturating_add(len));
        words_between(&mut self.covered, offset / RANGE_UNIT, last)
            .all(|(word, bits)| *word & bits == bits)
    }

    /// Whether no byte is missing.
    pub(super) fn is_complete(&self) -> bool {
        self.count >= units(self.len)
    }
}

/// Units of a word of a transfer's map.
const WORD: u32 = 64;

/// The words of a map that have units from `first` up to `last`, and their bits in each.
fn words_between(
    map: &mut [u64; 8],
    first: u32,
    last: u32,
) -> impl Iterator<Item = (&mut u64, u64)> {
    let below = |unit: u32, start: u32| {
        let bits = unit.saturating_sub(start).min(WORD);
        u64::MAX.checked_shr(WORD.saturating_sub(bits)).unwrap_or(0)
    };
    let range = first / WORD..last.div_ceil(WORD);
    let words = map
        .get_mut(range.start as usize..range.end as usize)
        .unwrap_or(&mut []);
    // A range without an end would panic at it.
    let starts = range.map(|word| word.saturating_mul(WORD));
    words
        .iter_mut()
        .zip(starts)
        .map(move |(word, start)| (word, below(last, start) & !below(first, start)))
}

pub(super) struct Transfers<X, M: Memory> {
    pub table: Table<Transfer<X>, M>,
    key: SipKey,
}

impl<X, M: Memory> Transfers<X, M> {
    pub(super) fn new(table: Table<Transfer<X>, M>, key: SipKey) -> Self {
        Transfers { table, key }
    }

    fn hash(&self, blob: &BlobName, window: u16) -> u32 {
        siphash13(
            &self.key,
            &[&blob.hash.0, &blob.len.to_le_bytes(), &window.to_le_bytes()],
        ) as u32
    }

    pub(super) fn find(&self, blob: &BlobName, window: u16) -> Option<u32> {
        self.table.find(self.hash(blob, window), |t| {
            t.blob == *blob && t.window == window
        })
    }

    pub(super) fn insert(&mut self, transfer: Transfer<X>) -> Option<u32> {
        let hash = self.hash(&transfer.blob, transfer.window);
        self.table.insert(hash, transfer)
    }
}
