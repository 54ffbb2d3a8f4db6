// SPDX-License-Identifier: GPL-2.0

//! BLAKE3 of pieces of a blob that lie in memory, without a hasher.
//!
//! The crate's `Hasher` holds 2 KiB of state and recurses, both of which a softirq's stack had
//! better be spared. A window is 32 chunks at most, so its tree is built here by hand, level by
//! level, in 1 KiB: by the crate's assembly where the FPU may be used and it pays, else by its
//! portable code. The assembly hashes up to 16 inputs side by side, so it gets all chunks of a
//! window at once, wherever they lie, and then all parents of a level. What is no window is hashed side by side in
//! [`many`](super::many).

use super::fpu::{
    Fpu,
    Level, //
};
use ::blake3::{
    platform::Platform,
    IncrementCounter,
    BLOCK_LEN,
    CHUNK_LEN, //
};
use core::mem;

/// A hash, or a chaining value.
pub(crate) type Cv = [u8; 32];

/// Chunks of a window.
pub(crate) const WINDOW_CHUNKS: usize = 32;

/// Fewer chunks than this are not worth saving the vector registers for.
const SIMD_CHUNKS: usize = 4;

/// Fewer inputs of a few blocks than this are faster one by one.
pub(super) const SIMD_INPUTS: usize = 4;

/// BLAKE3's key for plain hashing: the initial words of SHA-256.
pub(super) const KEY: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

pub(super) const CHUNK_START: u8 = 1 << 0;
pub(super) const CHUNK_END: u8 = 1 << 1;
const PARENT: u8 = 1 << 2;
pub(super) const ROOT: u8 = 1 << 3;

#[cfg(CONFIG_X86_64)]
extern "C" {
    fn blake3_hash_many_sse41(
        inputs: *const *const u8,
        num_inputs: usize,
        blocks: usize,
        key: *const u32,
        counter: u64,
        increment_counter: bool,
        flags: u8,
        flags_start: u8,
        flags_end: u8,
        out: *mut u8,
    );
    fn blake3_hash_many_avx2(
        inputs: *const *const u8,
        num_inputs: usize,
        blocks: usize,
        key: *const u32,
        counter: u64,
        increment_counter: bool,
        flags: u8,
        flags_start: u8,
        flags_end: u8,
        out: *mut u8,
    );
    fn blake3_hash_many_avx512(
        inputs: *const *const u8,
        num_inputs: usize,
        blocks: usize,
        key: *const u32,
        counter: u64,
        increment_counter: bool,
        flags: u8,
        flags_start: u8,
        flags_end: u8,
        out: *mut u8,
    );
}

/// The chaining value of a window, or of one chunk of it, whose bytes lie in `pieces`; the hash of
/// the blob, if they are the whole of it (`root`). `first_chunk` is the blob's chunk that the first
/// piece begins with.
///
/// `None` if there is more than a window, or a piece before the last is not whole chunks.
/// Context: any.
// Not inlined: its two kilobytes of stack are not to be its callers', too.
#[inline(never)]
pub(crate) fn window_cv(pieces: &[&[u8]], first_chunk: u64, root: bool) -> Option<Cv> {
    static NOTHING: [u8; CHUNK_LEN] = [0; CHUNK_LEN];
    let mut chunks = [&NOTHING; WINDOW_CHUNKS];
    let mut whole = 0;
    let mut tail: &[u8] = &[];
    for piece in pieces {
        if !tail.is_empty() {
            return None;
        }
        let full = piece.chunks_exact(CHUNK_LEN);
        tail = full.remainder();
        for chunk in full {
            *chunks.get_mut(whole)? = chunk.try_into().ok()?;
            whole += 1;
        }
    }
    // The one chunk may be the root; an empty blob is one empty chunk.
    match (whole, tail) {
        (0, tail) => return Some(chunk(tail, first_chunk, root)),
        (1, []) => return Some(chunk(chunks[0], first_chunk, root)),
        _ => {}
    }
    let mut cvs = [[0; 32]; WINDOW_CHUNKS];
    let mut others = [[0; 32]; WINDOW_CHUNKS / 2];
    let mut len = whole + usize::from(!tail.is_empty());
    if !tail.is_empty() {
        *cvs.get_mut(whole)? = chunk(tail, first_chunk + whole as u64, false);
    }
    let vector = if whole >= SIMD_CHUNKS {
        Vector::begin()
    } else {
        None
    };
    leaves(vector.as_ref(), chunks.get(..whole)?, first_chunk, &mut cvs);
    let (mut from, mut to) = (&mut cvs[..], &mut others[..]);
    while len > 1 {
        len = level(vector.as_ref(), from.get(..len)?, to, root);
        mem::swap(&mut from, &mut to);
    }
    from.first().copied()
}

/// The chaining values of whole chunks, none of them a root.
fn leaves(vector: Option<&Vector>, chunks: &[&[u8; CHUNK_LEN]], counter: u64, cvs: &mut [Cv]) {
    if let Some(vector) = vector {
        return vector.hash_many(chunks, counter, true, [0, CHUNK_START, CHUNK_END], cvs);
    }
    for (index, (chunk, cv)) in chunks.iter().zip(cvs).enumerate() {
        Platform::Portable.hash_many::<CHUNK_LEN>(
            &[*chunk],
            &KEY,
            counter + index as u64,
            IncrementCounter::No,
            0,
            CHUNK_START,
            CHUNK_END,
            cv,
        );
    }
}

/// Merges neighbours into `to`; gives how many there are then. One left over at the end goes up as
/// it is. That is BLAKE3's tree: its left subtrees are full, and as large as can be.
// Not inlined: stack.
#[inline(never)]
fn level(vector: Option<&Vector>, from: &[Cv], to: &mut [Cv], root: bool) -> usize {
    static NOTHING: [u8; BLOCK_LEN] = [0; BLOCK_LEN];
    let flags = if root && from.len() == 2 {
        PARENT | ROOT
    } else {
        PARENT
    };
    let mut pairs = [&NOTHING; WINDOW_CHUNKS / 2];
    let mut count = 0;
    for (place, pair) in pairs
        .iter_mut()
        .zip(from.as_flattened().chunks_exact(BLOCK_LEN))
    {
        if let Ok(pair) = pair.try_into() {
            *place = pair;
            count += 1;
        }
    }
    let pairs = &pairs[..count];
    match vector {
        Some(vector) if count >= SIMD_INPUTS => {
            vector.hash_many(pairs, 0, false, [flags, 0, 0], to);
        }
        _ => {
            for (pair, cv) in pairs.iter().zip(to.iter_mut()) {
                *cv = parent(pair, flags);
            }
        }
    }
    if from.len() % 2 == 1 {
        if let (Some(last), Some(place)) = (from.last(), to.get_mut(count)) {
            *place = *last;
        }
    }
    from.len().div_ceil(2)
}

fn parent(pair: &[u8; BLOCK_LEN], flags: u8) -> Cv {
    let mut cv = KEY;
    Platform::Portable.compress_in_place(&mut cv, pair, BLOCK_LEN as u8, 0, flags);
    to_bytes(&cv)
}

/// One chunk of any length.
pub(super) fn chunk(bytes: &[u8], counter: u64, root: bool) -> Cv {
    let blocks = bytes.len().div_ceil(BLOCK_LEN).max(1);
    let mut cv = KEY;

    for index in 0..blocks {
        let from = &bytes[(index * BLOCK_LEN).min(bytes.len())..];
        let len = from.len().min(BLOCK_LEN);
        let mut block = [0; BLOCK_LEN];
        block[..len].copy_from_slice(&from[..len]);

        let mut flags = if index == 0 { CHUNK_START } else { 0 };
        if index + 1 == blocks {
            flags |= CHUNK_END | if root { ROOT } else { 0 };
        }
        Platform::Portable.compress_in_place(&mut cv, &block, len as u8, counter, flags);
    }
    to_bytes(&cv)
}

pub(super) fn to_bytes(words: &[u32; 8]) -> Cv {
    let mut bytes = [0; 32];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The vector unit, while it is ours.
pub(super) struct Vector {
    level: Level,
    _fpu: Fpu,
}

#[cfg(CONFIG_X86_64)]
impl Vector {
    /// `None` if there is no vector unit to be had.
    pub(super) fn begin() -> Option<Self> {
        Some(Self {
            level: Level::of_machine()?,
            _fpu: Fpu::begin()?,
        })
    }

    /// Hashes inputs side by side. `flags` are those of every block, and what the first and the
    /// last block of an input have beside them.
    fn hash_many<const N: usize>(
        &self,
        inputs: &[&[u8; N]],
        counter: u64,
        count_up: bool,
        flags: [u8; 3],
        cvs: &mut [Cv],
    ) {
        const { assert!(N % BLOCK_LEN == 0) };
        let count = inputs.len().min(cvs.len());
        let inputs = inputs.as_ptr().cast();
        // SAFETY: A reference to an array is the address of its first byte: `inputs` are `count`
        // pointers to as many blocks as the call says. `cvs` has room for `count` results.
        unsafe { self.hash(&KEY, inputs, count, N / BLOCK_LEN, counter, count_up, flags, cvs) };
    }

    /// # Safety
    ///
    /// `inputs` are `count` pointers to `blocks` blocks each; `cvs` has room for `count`.
    #[expect(clippy::too_many_arguments)]
    pub(super) unsafe fn hash(
        &self,
        key: &[u32; 8],
        inputs: *const *const u8,
        count: usize,
        blocks: usize,
        counter: u64,
        count_up: bool,
        flags: [u8; 3],
        cvs: &mut [Cv],
    ) {
        let [flags, first, last] = flags;
        let (key, cvs) = (key.as_ptr(), cvs.as_mut_ptr().cast());
        macro_rules! hash_many {
            ($function:ident) => {
                // SAFETY: As the caller promises. The processor has what the function needs, and
                // `_fpu` says that its registers are ours. The call is direct: the function has
                // no ENDBR.
                unsafe {
                    $function(
                        inputs, count, blocks, key, counter, count_up, flags, first, last, cvs,
                    )
                }
            };
        }
        match self.level {
            Level::Sse41 => hash_many!(blake3_hash_many_sse41),
            Level::Avx2 => hash_many!(blake3_hash_many_avx2),
            Level::Avx512 => hash_many!(blake3_hash_many_avx512),
        }
    }
}

/// Only x86 has assembly for it.
#[cfg(not(CONFIG_X86_64))]
impl Vector {
    pub(super) fn begin() -> Option<Self> {
        None
    }

    fn hash_many<const N: usize>(
        &self,
        _inputs: &[&[u8; N]],
        _counter: u64,
        _count_up: bool,
        _flags: [u8; 3],
        _cvs: &mut [Cv],
    ) {
    }

    #[expect(clippy::too_many_arguments)]
    pub(super) unsafe fn hash(
        &self,
        _key: &[u32; 8],
        _inputs: *const *const u8,
        _count: usize,
        _blocks: usize,
        _counter: u64,
        _count_up: bool,
        _flags: [u8; 3],
        _cvs: &mut [Cv],
    ) {
    }
}
