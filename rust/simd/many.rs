// SPDX-License-Identifier: GPL-2.0

//! BLAKE3 of many short messages side by side: payloads of a chunk at most, and what a feed's tree
//! is made of, whose messages are one block.
//!
//! One by one each of them is a chain of blocks, which vectors are of no use for.

use super::blake3::{
    chunk,
    to_bytes,
    Cv,
    Vector,
    CHUNK_END,
    CHUNK_START,
    KEY,
    ROOT,
    SIMD_INPUTS, //
};
use ::blake3::{
    platform::Platform,
    BLOCK_LEN, //
};

/// Messages that are hashed side by side at most.
pub(crate) const LANES: usize = 16;

const KEYED_HASH: u8 = 1 << 4;

/// The hashes of up to [`LANES`] blobs of a chunk at most each. Those that have as many whole blocks
/// are hashed side by side.
///
/// Context: any.
// Not inlined: stack.
#[inline(never)]
pub(crate) fn small_hashes(blobs: &[&[u8]], hashes: &mut [Cv]) {
    let count = blobs.len().min(hashes.len()).min(LANES);
    let mut done = [false; LANES];

    for (first, blob) in blobs.iter().enumerate().take(count) {
        if done.get(first) == Some(&true) {
            continue;
        }
        let shape = Shape::of(blob);
        let mut alike: [&[u8]; LANES] = [&[]; LANES];
        let mut places = [0; LANES];
        let mut slots = alike.iter_mut().zip(&mut places);
        let mut found = 0;
        let rest = blobs.iter().zip(&mut done).enumerate();
        for (place, (blob, done)) in rest.take(count).skip(first) {
            if Shape::of(blob) != shape {
                continue;
            }
            if let Some((same, at)) = slots.next() {
                (*same, *at, *done) = (*blob, place, true);
                found += 1;
            }
        }
        let mut cvs = [[0; 32]; LANES];
        shape.hashes(alike.get(..found).unwrap_or_default(), &mut cvs);
        for (place, cv) in places.iter().zip(cvs).take(found) {
            if let Some(hash) = hashes.get_mut(*place) {
                *hash = cv;
            }
        }
    }
}

/// What blobs of a chunk at most must have in common to be hashed side by side.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Shape {
    /// Whole blocks before the last, or with it if all are whole.
    blocks: usize,
    /// Whether the last block is whole, too.
    even: bool,
}

impl Shape {
    fn of(blob: &[u8]) -> Self {
        Self {
            blocks: blob.len() / BLOCK_LEN,
            even: blob.len() % BLOCK_LEN == 0 && !blob.is_empty(),
        }
    }

    /// The hashes of blobs of this shape.
    fn hashes(self, blobs: &[&[u8]], hashes: &mut [Cv]) {
        let vector = if self.blocks > 0 && blobs.len() >= SIMD_INPUTS {
            Vector::begin()
        } else {
            None
        };
        let Some(vector) = vector else {
            for (blob, hash) in blobs.iter().zip(hashes) {
                *hash = chunk(blob, 0, true);
            }
            return;
        };
        let last = if self.even { CHUNK_END | ROOT } else { 0 };
        vector.hash_starts(&KEY, blobs, self.blocks, [0, CHUNK_START, last], hashes);
        drop(vector);
        if self.even {
            return;
        }
        for (blob, hash) in blobs.iter().zip(hashes) {
            let rest = blob.chunks_exact(BLOCK_LEN).remainder();
            let mut block = [0; BLOCK_LEN];
            for (to, from) in block.iter_mut().zip(rest) {
                *to = *from;
            }
            let mut cv = to_words(hash);
            let len = rest.len() as u8;
            Platform::Portable.compress_in_place(&mut cv, &block, len, 0, CHUNK_END | ROOT);
            *hash = to_bytes(&cv);
        }
    }
}

/// The hashes under `key` of messages of one block each, which lie one after the other.
///
/// Context: any.
// Not inlined: stack.
#[inline(never)]
pub(crate) fn block_hashes(key: &Cv, messages: &[u8], hashes: &mut [Cv]) {
    const FLAGS: u8 = KEYED_HASH | CHUNK_START | CHUNK_END | ROOT;
    let key = to_words(key);

    for (messages, hashes) in messages
        .chunks(LANES * BLOCK_LEN)
        .zip(hashes.chunks_mut(LANES))
    {
        let mut blocks: [&[u8]; LANES] = [&[]; LANES];
        let mut count = 0;
        for (place, block) in blocks.iter_mut().zip(messages.chunks_exact(BLOCK_LEN)) {
            *place = block;
            count += 1;
        }
        let count = count.min(hashes.len());
        let vector = if count >= SIMD_INPUTS { Vector::begin() } else { None };
        if let Some(vector) = vector {
            vector.hash_starts(&key, blocks.get(..count).unwrap_or_default(), 1, [FLAGS, 0, 0], hashes);
            continue;
        }
        for (block, hash) in blocks.iter().zip(hashes).take(count) {
            if let Ok(block) = (*block).try_into() {
                let mut cv = key;
                Platform::Portable.compress_in_place(&mut cv, block, BLOCK_LEN as u8, 0, FLAGS);
                *hash = to_bytes(&cv);
            }
        }
    }
}

fn to_words(bytes: &Cv) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, from) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        if let Ok(from) = from.try_into() {
            *word = u32::from_le_bytes(from);
        }
    }
    words
}

impl Vector {
    /// Hashes the first `blocks` blocks of up to [`LANES`] inputs side by side, as their first
    /// chunk; of none if one is shorter. `flags` as in [`Vector::hash_many`].
    fn hash_starts(
        &self,
        key: &[u32; 8],
        inputs: &[&[u8]],
        blocks: usize,
        flags: [u8; 3],
        cvs: &mut [Cv],
    ) {
        let mut starts = [core::ptr::null(); LANES];
        let mut count = 0;
        for (start, input) in starts.iter_mut().zip(inputs) {
            if input.len() < blocks * BLOCK_LEN {
                return;
            }
            *start = input.as_ptr();
            count += 1;
        }
        let count = count.min(cvs.len());
        // SAFETY: `starts` are `count` pointers to at least `blocks` blocks each. `cvs` has room for
        // `count` results.
        unsafe { self.hash(key, starts.as_ptr(), count, blocks, 0, false, flags, cvs) };
    }
}
