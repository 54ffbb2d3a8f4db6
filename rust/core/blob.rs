// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Blobs: BLAKE3 by windows of 32 chunks.
//!
//! BLAKE3's own tree over chunks has the same shape as the tree of a feed, so the two share places
//! and proofs. What differs: the parent function, and that the topmost hash is made with another flag
//! than the rest, which is why a window must know whether it is the whole blob.

use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root, HasherExt, Mode};
use blake3::Hasher;

use crate::error::Drop;
use crate::id::{BlobName, Hash, HashBuf, Hashes};
use crate::tree::{self, Node, Pos, Siblings, TreeHasher};
use crate::wire::{MAX_BLOB_LEN, MAX_BLOB_PATH, WINDOW, WINDOW_BYTES, WINDOW_HEIGHT};

/// Bytes of a chunk.
pub const CHUNK: u32 = 1024;

/// The most that goes into BLAKE3 at once, bytes: more would recurse deeper than kernel stacks like.
const PIECE: usize = 4096;

/// Chunks of a blob. An empty blob has one empty chunk.
pub const fn chunk_count(len: u32) -> u32 {
    let chunks = len.div_ceil(CHUNK);
    if chunks == 0 {
        1
    } else {
        chunks
    }
}

/// Windows of a blob, at least one.
pub const fn window_count(len: u32) -> u16 {
    let windows = chunk_count(len).div_ceil(WINDOW);
    // Past the longest blob the count means nothing; it only must not wrap.
    if windows > u16::MAX as u32 {
        u16::MAX
    } else {
        windows as u16
    }
}

/// Where a window begins in the blob, bytes.
pub const fn window_start(window: u16) -> u32 {
    (window as u32).wrapping_mul(WINDOW_BYTES)
}

/// Bytes of a window, 0 outside of the blob.
pub fn window_len(len: u32, window: u16) -> u32 {
    len.saturating_sub(window_start(window)).min(WINDOW_BYTES)
}

/// Chunks of a window, 0 outside of the blob.
pub fn window_chunks(len: u32, window: u16) -> u32 {
    let before = u32::from(window).wrapping_mul(WINDOW);
    chunk_count(len).saturating_sub(before).min(WINDOW)
}

/// A want-bitmap for all chunks of a window.
pub fn window_bits(len: u32, window: u16) -> u32 {
    match window_chunks(len, window) {
        0 => 0,
        chunks => u32::MAX >> WINDOW.saturating_sub(chunks),
    }
}

/// The hashes of a BLOB_PATH, in order; none if the blob is one window.
pub fn path_nodes(len: u32, window: u16) -> Siblings {
    tree::path_nodes(u64::from(chunk_count(len)), u64::from(window))
}

/// BLAKE3's parent function.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlobTree;

impl TreeHasher for BlobTree {
    const TOP_IS_NODE: bool = false;

    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        Hash(merge_subtrees_non_root(&left.0, &right.0, Mode::Hash))
    }

    fn top(&self, left: &Hash, right: &Hash) -> Hash {
        Hash(*merge_subtrees_root(&left.0, &right.0, Mode::Hash).as_bytes())
    }
}

/// Hashes one window or one chunk. Two KiB: keep it off the stack and use it again.
#[derive(Clone, Debug)]
pub struct WindowHasher {
    hasher: Hasher,
    /// Bytes that are still to come.
    left: u32,
    is_root: bool,
    /// Asking the hasher for its count would bring in arithmetic that can panic.
    is_empty: bool,
}

impl Default for WindowHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl WindowHasher {
    /// Ready for [`WindowHasher::window`] or [`WindowHasher::chunk`].
    pub fn new() -> Self {
        WindowHasher {
            hasher: Hasher::new(),
            left: 0,
            is_root: true,
            is_empty: true,
        }
    }

    /// Begins a window of a blob of `len` bytes.
    pub fn window(&mut self, len: u32, window: u16) -> Result<(), Drop> {
        if len > MAX_BLOB_LEN || window >= window_count(len) {
            return Err(Drop::OutOfRange);
        }
        self.begin(
            window_start(window),
            window_len(len, window),
            len <= WINDOW_BYTES,
        );
        Ok(())
    }

    /// Begins one chunk of a blob of `len` bytes.
    pub fn chunk(&mut self, len: u32, chunk: u32) -> Result<(), Drop> {
        if len > MAX_BLOB_LEN || chunk >= chunk_count(len) {
            return Err(Drop::OutOfRange);
        }
        let start = chunk.wrapping_mul(CHUNK);
        self.begin(start, len.saturating_sub(start).min(CHUNK), len <= CHUNK);
        Ok(())
    }

    #[inline(never)]
    fn begin(&mut self, start: u32, left: u32, is_root: bool) {
        // Not reset(): that keeps the old input offset, and counts below zero from there.
        self.hasher = Hasher::new();
        self.hasher.set_input_offset(u64::from(start));
        self.left = left;
        self.is_root = is_root;
        self.is_empty = true;
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.is_empty &= bytes.is_empty();
        for piece in bytes.chunks(PIECE) {
            self.hasher.update(piece);
        }
    }

    /// Takes the next bytes; more than the window has are refused.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Drop> {
        let len = u32::try_from(bytes.len()).map_err(|_| Drop::OutOfRange)?;
        self.left = self.left.checked_sub(len).ok_or(Drop::OutOfRange)?;
        self.feed(bytes);
        Ok(())
    }

    /// The window's chaining value, or the blob's hash if the window (or chunk) is the whole blob.
    pub fn finish(&self) -> Result<Hash, Drop> {
        if self.left > 0 {
            return Err(Drop::Truncated);
        }
        Ok(self.hash(self.is_root))
    }

    fn hash(&self, is_root: bool) -> Hash {
        // Only a blob of no bytes has an empty chunk, and that is a root.
        if is_root || self.is_empty {
            Hash(*self.hasher.finalize().as_bytes())
        } else {
            Hash(self.hasher.finalize_non_root())
        }
    }

    /// All of [`WindowHasher::chunk`], [`WindowHasher::update`] and [`WindowHasher::finish`].
    pub fn chunk_cv(&mut self, len: u32, chunk: u32, bytes: &[u8]) -> Result<Hash, Drop> {
        self.chunk(len, chunk)?;
        self.update(bytes)?;
        self.finish()
    }
}

/// Hashes a whole payload whose length is not known before its end: the author's side.
///
/// Two and a half KiB: keep it off the stack.
#[derive(Clone, Debug)]
pub struct BlobHasher {
    hasher: WindowHasher,
    /// Bytes that went into the present window.
    filled: u32,
    /// Windows before the present one.
    windows: u16,
    /// Roots of full subtrees of those windows, largest first.
    peaks: HashBuf<{ MAX_BLOB_PATH + 1 }>,
}

impl Default for BlobHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl BlobHasher {
    /// Ready for the first byte.
    pub fn new() -> Self {
        BlobHasher {
            hasher: WindowHasher::new(),
            filled: 0,
            windows: 0,
            peaks: HashBuf::default(),
        }
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u32 {
        window_start(self.windows).wrapping_add(self.filled)
    }

    /// Whether no byte was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next bytes. `sink` gets the nodes from window roots upwards as they become complete.
    pub fn update(&mut self, bytes: &[u8], mut sink: impl FnMut(Node, &Hash)) -> Result<(), Drop> {
        let len = u32::try_from(bytes.len())
            .ok()
            .and_then(|len| self.len().checked_add(len));
        if len.is_none_or(|len| len > MAX_BLOB_LEN) {
            return Err(Drop::OutOfRange);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.filled == WINDOW_BYTES {
                // Now that more follows, the window is known not to be the whole blob.
                self.close_window(&mut sink)?;
            }
            // Both fit usize: a window is 32 KiB.
            let room = WINDOW_BYTES.saturating_sub(self.filled) as usize;
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.hasher.feed(now);
            self.filled = self.filled.saturating_add(now.len() as u32);
            rest = later;
        }
        Ok(())
    }

    fn close_window(&mut self, sink: &mut impl FnMut(Node, &Hash)) -> Result<(), Drop> {
        let mut pos = tree::window_pos(u64::from(self.windows));
        let mut hash = self.hasher.hash(false);
        sink(Node::Full(pos), &hash);
        while pos.is_right() {
            let left = self.peaks.pop().ok_or(Drop::OutOfRange)?;
            hash = BlobTree.node(&left, &hash);
            pos = pos.parent();
            sink(Node::Full(pos), &hash);
        }
        if !self.peaks.push(&hash) {
            return Err(Drop::OutOfRange);
        }
        self.windows = self.windows.saturating_add(1);
        self.filled = 0;
        self.hasher.begin(window_start(self.windows), 0, false);
        Ok(())
    }

    /// The payload's name. `sink` gets the remaining nodes but the top, which no proof needs.
    pub fn finish(&mut self, mut sink: impl FnMut(Node, &Hash)) -> BlobName {
        let len = self.len();
        let chunks = u64::from(chunk_count(len));
        let mut hash = self.hasher.hash(self.windows == 0);
        let mut node = Node::at(chunks, tree::window_pos(u64::from(self.windows)));
        for peak in tree::peaks(u64::from(self.windows)).rev() {
            let Some(left) = self.peaks.pop() else { break };
            if let Some(node) = node {
                sink(node, &hash);
            }
            hash = if self.peaks.is_empty() {
                BlobTree.top(&left, &hash)
            } else {
                BlobTree.node(&left, &hash)
            };
            let Pos { level, index } = peak.parent();
            node = Node::at(
                chunks,
                Pos {
                    level: level.saturating_add(WINDOW_HEIGHT),
                    index,
                },
            );
        }
        BlobName { hash, len }
    }
}

/// A window's hash from its page: chaining value, or the blob's hash if it is the only window.
pub fn page_hash(len: u32, page: Hashes<'_>) -> Hash {
    tree::fold_page(&BlobTree, page, window_count(len) == 1, |_, _| ())
}

/// The place of a chunk among the nodes of its blob.
pub fn chunk_pos(window: u16, chunk: u32) -> Pos {
    Pos::leaf(
        u64::from(window)
            .wrapping_mul(u64::from(WINDOW))
            .wrapping_add(u64::from(chunk)),
    )
}
