// SPDX-License-Identifier: GPL-2.0

//! Hashes and signatures inside of the kernel, as feed.ko makes them, with nothing around them.

use super::simd::blake3::{
    window_cv,
    Cv,
    WINDOW_CHUNKS, //
};
use core::hint::black_box;
use ed25519_compact::{
    KeyPair,
    Noise,
    Seed, //
};
use feed_core::{
    blob::BlobTree,
    id::Hash,
    tree::TreeHasher, //
};
use kernel::prelude::*;

/// Bytes of a chunk.
const CHUNK: usize = 1024;
/// Bytes of a window.
const WINDOW: usize = WINDOW_CHUNKS * CHUNK;
/// The largest blob that is hashed, in windows.
const WINDOWS_MAX: usize = 32;
/// A head with its tag.
const MESSAGE: [u8; 128] = [7; 128];
/// Whose keys are used.
const SEED: [u8; 32] = [9; 32];

/// What is done.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Hash,
    Sign,
    Verify,
}

/// Does it `count` times, of `size` bytes. Gives the first bytes of the result, so that who asked
/// can tell that it was done. Context: process.
pub(crate) fn run(work: Work, size: usize, count: u64) -> Result<u64> {
    let mut bytes = KVVec::from_elem(0, size, GFP_KERNEL)?;
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (index % 251) as u8;
    }
    let keys = KeyPair::from_seed(Seed::new(SEED));
    let signature = keys.sk.sign(MESSAGE, None::<Noise>);
    let mut result = [0; 8];
    for _ in 0..count {
        result = match work {
            Work::Hash => first(&hash(black_box(&bytes))?),
            Work::Sign => first(&*keys.sk.sign(black_box(MESSAGE), None)),
            Work::Verify => {
                let checked = keys.pk.verify(black_box(MESSAGE), &signature);
                checked.map_err(|_| EBADMSG)?;
                first(&*signature)
            }
        };
    }
    Ok(u64::from_be_bytes(result))
}

fn first(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// A blob of up to a window, or of a power of two of windows.
fn hash(bytes: &[u8]) -> Result<Cv> {
    if bytes.len() <= WINDOW {
        return window_cv(&[bytes], 0, true).ok_or(EINVAL);
    }
    let mut cvs = [Hash::ZERO; WINDOWS_MAX];
    let mut len = 0;
    for window in bytes.chunks(WINDOW) {
        let cv = window_cv(&[window], (len * WINDOW_CHUNKS) as u64, false).ok_or(EINVAL)?;
        *cvs.get_mut(len).ok_or(EINVAL)? = Hash(cv);
        len += 1;
    }
    if !len.is_power_of_two() {
        return Err(EINVAL);
    }
    while len > 1 {
        for pair in 0..len / 2 {
            let (left, right) = (cvs[2 * pair], cvs[2 * pair + 1]);
            cvs[pair] = if len == 2 {
                BlobTree.top(&left, &right)
            } else {
                BlobTree.node(&left, &right)
            };
        }
        len /= 2;
    }
    Ok(cvs[0].0)
}
