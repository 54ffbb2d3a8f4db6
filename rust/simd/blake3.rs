// SPDX-License-Identifier: GPL-2.0

//! BLAKE3 of pieces of a blob that lie in memory, without a hasher.
//!
//! The crate's `Hasher` holds 2 KiB of state and recurses, both of which a softirq's stack had
//! better be spared. A window is 32 chunks at most, so its tree is built here by hand, level by
//! level, in 1 KiB: chunks by the crate's assembly where the FPU may be used and it pays, else by
//! its portable code.

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

/// A hash, or a chaining value.
pub(crate) type Cv = [u8; 32];

/// Chunks of a window.
pub(crate) const WINDOW_CHUNKS: usize = 32;

/// Fewer chunks than this are not worth saving the vector registers for.
const SIMD_CHUNKS: usize = 4;

/// BLAKE3's key for plain hashing: the initial words of SHA-256.
const KEY: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const CHUNK_START: u8 = 1 << 0;
const CHUNK_END: u8 = 1 << 1;
const PARENT: u8 = 1 << 2;
const ROOT: u8 = 1 << 3;

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

/// Hashes a window, or one chunk of it, that comes in pieces.
pub(crate) struct WindowHash<'a> {
    /// The caller's: a kilobyte that is moved about would be two of stack.
    cvs: &'a mut [Cv; WINDOW_CHUNKS],
    len: usize,
    first_chunk: u64,
    root: bool,
}

impl<'a> WindowHash<'a> {
    /// `first_chunk` is the blob's chunk that the first piece begins with. `root`: the pieces are
    /// the whole blob.
    #[inline]
    pub(crate) fn new(cvs: &'a mut [Cv; WINDOW_CHUNKS], first_chunk: u64, root: bool) -> Self {
        Self {
            cvs,
            len: 0,
            first_chunk,
            root,
        }
    }

    /// Takes a piece: whole chunks, unless it is the last. False if there is more than a window.
    ///
    /// Context: any.
    pub(crate) fn update(&mut self, bytes: &[u8], last: bool) -> bool {
        let whole = bytes.len() / CHUNK_LEN;
        let tail = bytes.len() % CHUNK_LEN;
        let Some(room) = self.cvs.get_mut(self.len..) else {
            return false;
        };
        if room.len() < whole + usize::from(tail != 0) || (tail != 0 && !last) {
            return false;
        }
        let counter = self.first_chunk + self.len as u64;
        let (chunks, rest) = bytes.split_at(whole * CHUNK_LEN);
        let alone = last && self.len == 0 && bytes.len() <= CHUNK_LEN;

        if alone {
            // The one chunk may be the root; an empty blob is one empty chunk.
            room[0] = chunk(bytes, counter, self.root);
            self.len = 1;
            return true;
        }
        whole_chunks(chunks, counter, &mut room[..whole]);
        if tail != 0 {
            room[whole] = chunk(rest, counter + whole as u64, false);
        }
        self.len += whole + usize::from(tail != 0);
        true
    }

    /// The chaining value, or the hash of the blob. Context: any.
    pub(crate) fn finish(&mut self) -> Cv {
        // Neighbours merge level by level; one left over at the end goes up as it is. That is
        // BLAKE3's tree: its left subtrees are full, and as large as can be.
        let mut len = self.len;
        while len > 1 {
            let flags = if self.root && len == 2 {
                PARENT | ROOT
            } else {
                PARENT
            };
            for pair in 0..len / 2 {
                self.cvs[pair] = parent(&self.cvs[2 * pair], &self.cvs[2 * pair + 1], flags);
            }
            if len % 2 == 1 {
                self.cvs[len / 2] = self.cvs[len - 1];
            }
            len = len.div_ceil(2);
        }
        self.cvs[0]
    }
}

fn parent(left: &Cv, right: &Cv, flags: u8) -> Cv {
    let mut block = [0; BLOCK_LEN];
    let mut cv = KEY;

    block[..32].copy_from_slice(left);
    block[32..].copy_from_slice(right);
    Platform::Portable.compress_in_place(&mut cv, &block, BLOCK_LEN as u8, 0, flags);
    to_bytes(&cv)
}

/// One chunk of any length, portable.
fn chunk(bytes: &[u8], counter: u64, root: bool) -> Cv {
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

fn to_bytes(words: &[u32; 8]) -> Cv {
    let mut bytes = [0; 32];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// `bytes` is `cvs.len()` chunks, none of them a root.
fn whole_chunks(bytes: &[u8], counter: u64, cvs: &mut [Cv]) {
    if cvs.len() >= SIMD_CHUNKS && vector_chunks(bytes, counter, cvs) {
        return;
    }
    for (index, (bytes, cv)) in bytes.chunks_exact(CHUNK_LEN).zip(cvs).enumerate() {
        if let Ok(bytes) = bytes.try_into() {
            Platform::Portable.hash_many::<CHUNK_LEN>(
                &[bytes],
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
}

/// False if there is no vector unit to be had.
#[cfg(CONFIG_X86_64)]
fn vector_chunks(bytes: &[u8], counter: u64, cvs: &mut [Cv]) -> bool {
    let Some(level) = Level::of_machine() else {
        return false;
    };
    let mut inputs = [core::ptr::null(); WINDOW_CHUNKS];
    let count = cvs.len().min(WINDOW_CHUNKS);
    for (input, bytes) in inputs.iter_mut().zip(bytes.chunks_exact(CHUNK_LEN)) {
        *input = bytes.as_ptr();
    }
    let Some(_fpu) = Fpu::begin() else {
        return false;
    };

    macro_rules! hash_many {
        ($function:ident) => {
            // SAFETY: `inputs` points to `count` chunks of 16 blocks each, `cvs` has room for
            // their 32 bytes each; the processor has what the function needs, and `_fpu` says
            // that its registers are ours. The call is direct: the function has no ENDBR.
            unsafe {
                $function(
                    inputs.as_ptr(),
                    count,
                    CHUNK_LEN / BLOCK_LEN,
                    KEY.as_ptr(),
                    counter,
                    true,
                    0,
                    CHUNK_START,
                    CHUNK_END,
                    cvs.as_mut_ptr().cast(),
                )
            }
        };
    }
    match level {
        Level::Sse41 => hash_many!(blake3_hash_many_sse41),
        Level::Avx2 => hash_many!(blake3_hash_many_avx2),
        Level::Avx512 => hash_many!(blake3_hash_many_avx512),
    }
    true
}

/// Only x86 has assembly for it.
#[cfg(not(CONFIG_X86_64))]
fn vector_chunks(_bytes: &[u8], _counter: u64, _cvs: &mut [Cv]) -> bool {
    false
}
