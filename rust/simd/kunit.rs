// SPDX-License-Identifier: GPL-2.0

//! Tests of vector code inside a kernel: the same hashes as the portable code's, one by one.

use super::many::{
    block_hashes,
    small_hashes,
    LANES, //
};
use feed_core::{
    blob::WindowHasher,
    id::{
        Hash,
        Hashes, //
    },
    leaf::{
        Leaf,
        KEY_LEAF,
        LEAF_LEN, //
    },
    tree::{
        FeedTree,
        TreeHasher,
        KEY_NODE, //
    }, //
};
use kernel::prelude::*;

const CHUNK: usize = 1024;
/// More than vectors have lanes.
const MESSAGES: usize = 2 * LANES + 3;

/// Numbers that look like chance, the same each time.
struct Dice(u32);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % end
    }
}

/// Whether `count` blobs, the lengths of which `len` gives, have the hashes that they have alone.
fn as_alone(
    bytes: &[u8],
    hasher: &mut WindowHasher,
    count: usize,
    mut len: impl FnMut(usize) -> usize,
) -> Result {
    let mut blobs: [&[u8]; LANES] = [&[]; LANES];
    for (place, blob) in blobs.iter_mut().enumerate() {
        *blob = &bytes[place * 7..][..len(place)];
    }
    let mut hashes = [[0xaa; 32]; LANES];
    small_hashes(&blobs[..count], &mut hashes);
    for (place, (blob, hash)) in blobs.iter().zip(&hashes).enumerate() {
        if place >= count {
            if *hash != [0xaa; 32] {
                return Err(EOVERFLOW);
            }
            continue;
        }
        hasher
            .window(blob.len() as u32, 0)
            .and_then(|()| hasher.update(blob))
            .map_err(|_| EINVAL)?;
        if hasher.finish().map_err(|_| EINVAL)?.0 != *hash {
            pr_err!("the hash of {} bytes, {place} of {count}, is wrong\n", blob.len());
            return Err(EINVAL);
        }
    }
    Ok(())
}

fn blobs() -> Result {
    let mut bytes = KVec::from_elem(0u8, CHUNK + 7 * LANES, GFP_KERNEL)?;
    let mut dice = Dice(1);
    for byte in bytes.iter_mut() {
        *byte = dice.below(256) as u8;
    }
    let mut hasher = KBox::new(WindowHasher::new(), GFP_KERNEL)?;
    for len in 0..=CHUNK {
        as_alone(&bytes, &mut hasher, 1 + len % LANES, |_| len)?;
        as_alone(&bytes, &mut hasher, LANES, |place| len.saturating_sub(place))?;
    }
    for round in 0..500 {
        let shapes = 1 + round % 5;
        let lens = [(); 5].map(|()| dice.below(CHUNK + 1));
        let count = dice.below(LANES + 1);
        as_alone(&bytes, &mut hasher, count, |_| lens[dice.below(shapes)])?;
    }
    Ok(())
}

fn nodes_and_leaves() -> Result {
    let mut dice = Dice(2);
    let mut pairs = KVec::from_elem([0u8; 32], 2 * MESSAGES, GFP_KERNEL)?;
    for byte in pairs.iter_mut().flatten() {
        *byte = dice.below(256) as u8;
    }
    let mut hashes = KVec::from_elem([0; 32], MESSAGES, GFP_KERNEL)?;
    let mut leaves = KVec::from_elem([0; LEAF_LEN], MESSAGES, GFP_KERNEL)?;
    for count in 0..=MESSAGES {
        let (now, rest) = hashes.split_at_mut(count);
        rest.fill([0; 32]);
        let views = Hashes::of(&pairs[..2 * count]);
        block_hashes(&KEY_NODE, views.as_bytes(), now);
        for (index, hash) in now.iter().enumerate() {
            let (left, right) = (views.get(2 * index), views.get(2 * index + 1));
            let (left, right) = (left.ok_or(EINVAL)?, right.ok_or(EINVAL)?);
            if FeedTree.node(&left, &right).0 != *hash {
                return Err(EINVAL);
            }
        }
        for (seq, leaf) in (0..).zip(leaves.iter_mut()) {
            let (offset, blob) = (seq * 1000, Hash([seq as u8; 32]));
            *leaf = Leaf { seq, offset, time: 5, len: 6, flags: 7, blob }.to_bytes();
        }
        block_hashes(&KEY_LEAF, leaves[..count].as_flattened(), now);
        for (leaf, hash) in leaves.iter().zip(now) {
            if Leaf::parse(leaf).map_err(|_| EINVAL)?.hash().0 != *hash {
                return Err(EINVAL);
            }
        }
        if rest.iter().any(|hash| *hash != [0; 32]) {
            return Err(EOVERFLOW);
        }
    }
    Ok(())
}

#[kunit_tests(feed_simd)]
mod tests {
    use super::*;

    #[test]
    fn blobs() -> Result {
        super::blobs()
    }

    #[test]
    fn nodes_and_leaves() -> Result {
        super::nodes_and_leaves()
    }
}
