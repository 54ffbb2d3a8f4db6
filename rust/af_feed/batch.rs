// SPDX-License-Identifier: GPL-2.0

//! Entries that no head covers yet.
//!
//! Until a head is signed over them they are in nobody's tree, so what is done for each can be done
//! for all at once: payloads of a chunk at most, leaves and nodes are hashed side by side, and
//! leaves and nodes that lie side by side in the store are written in one go.
//!
//! What such an entry needs is in the store or paid for before the program is told that it was
//! sent: its payload, and room for its leaf and for the nodes above.

#[cfg(CONFIG_KUNIT = "y")]
mod kunit;

use super::{
    author::Appended,
    uapi::*, //
};
use crate::{
    node::Node,
    simd::many::{
        block_hashes,
        small_hashes,
        LANES, //
    },
    store::{
        Extent,
        Owner, //
    },
};
use feed_core::{
    blob::CHUNK,
    id::{
        BlobName,
        Hash,
        Hashes,
        Name, //
    },
    leaf::{
        Leaf,
        KEY_LEAF,
        LEAF_LEN, //
    },
    object::pack_leaf,
    tree::{
        FeedTree,
        Mark,
        Peaks,
        TreeHasher,
        EXTEND_MAX,
        KEY_NODE, //
    },
    wire::WINDOW, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

const _: () = assert!(FEED_BATCH_MAX as usize <= EXTEND_MAX);

/// Room for so many entries is kept while there are none.
const IDLE: usize = 4;

/// The payload of an entry on its way.
pub(super) enum Payload {
    /// In the store, to be found by this hash.
    Stored(Hash),
    /// In the store, one window at most, but nothing points to it: its hash is not known yet.
    Unhashed(Extent),
}

/// An entry that waits for a head.
struct Entry {
    payload: Payload,
    len: u32,
    time: u64,
    flags: u32,
}

/// See the head of this file.
pub(super) struct Batch {
    entries: KVVec<Entry>,
    bytes: u64,
    /// When the first of them is to be signed at the latest, µs.
    due: u64,
}

/// What [`Batch::settle`] has done to a tree.
pub(super) struct Settled {
    mark: Mark,
    /// Payload bytes of all entries of the tree.
    pub(super) offset: u64,
}

impl Settled {
    /// Makes the tree what it was.
    pub(super) fn undo(&self, peaks: &mut Peaks) {
        peaks.undo(&self.mark);
    }
}

/// The hashes of a feed's tree, made side by side.
struct SideBySide;

impl TreeHasher for SideBySide {
    const TOP_IS_NODE: bool = FeedTree::TOP_IS_NODE;

    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        FeedTree.node(left, right)
    }

    fn nodes(&self, pairs: Hashes<'_>, parents: &mut [[u8; 32]]) {
        block_hashes(&KEY_NODE, pairs.as_bytes(), parents);
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            entries: KVVec::new(),
            bytes: 0,
            due: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of their payloads.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// See [`Batch::set_due`].
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// Says when the first of them is to be signed at the latest, µs.
    pub(super) fn set_due(&mut self, due: u64) {
        self.due = due;
    }

    /// Adds an entry. Context: process, may sleep.
    ///
    /// # Errors
    /// `ENOSPC` when it cannot be found by its hash, `ENOMEM`; then it was not added.
    pub(super) fn push(&mut self, entry: Appended) -> Result {
        let Appended { payload, len, time, flags } = entry;
        let payload = match payload {
            // Alone it is hashed as fast, and nearer to when it was written.
            Payload::Unhashed(mut extent) if len > CHUNK => {
                let chunks = len.div_ceil(CHUNK).min(WINDOW) as u8;
                let hash = Hash(extent.cv(0..chunks, 0, true).ok_or(EIO)?);
                publish(&mut extent, hash, len)?;
                Payload::Stored(hash)
            }
            payload => payload,
        };
        let entry = Entry { payload, len, time, flags };
        if self.entries.len() == IDLE {
            self.entries.reserve(FEED_BATCH_MAX as usize - IDLE, GFP_KERNEL_ACCOUNT)?;
        }
        self.entries.push(entry, GFP_KERNEL_ACCOUNT)?;
        self.bytes = self.bytes.saturating_add(u64::from(len));
        Ok(())
    }

    /// Takes back what was added last.
    pub(super) fn pop(&mut self) {
        if let Some(last) = self.entries.pop() {
            self.bytes = self.bytes.saturating_sub(u64::from(last.len));
        }
    }

    /// Forgets all: a head covers them, or nobody will ever see them. Context: process, may sleep.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        if self.entries.capacity() > IDLE {
            self.entries = KVVec::new();
        } else {
            self.entries.clear();
        }
    }

    /// Puts all of them into the tree, and that into the store. Context: process, may sleep.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`, `ENOMEM` when there is no room; then the tree has not changed.
    #[inline(never)]
    pub(super) fn settle(
        &mut self,
        node: &Arc<Node>,
        name: &Name,
        peaks: &mut Peaks,
        offset: u64,
        uid: Owner,
    ) -> Result<Settled> {
        for entries in self.entries.chunks_mut(LANES) {
            store_payloads(entries)?;
        }
        let first = peaks.n();
        let mut offset = offset;
        let mut leaves = KVVec::with_capacity(self.len(), GFP_KERNEL_ACCOUNT)?;
        for (seq, entry) in (first..).zip(&self.entries) {
            let Payload::Stored(blob) = entry.payload else { return Err(EIO) };
            let Entry { len, time, flags, .. } = *entry;
            leaves.push(Leaf { seq, offset, time, len, flags, blob }, GFP_KERNEL_ACCOUNT)?;
            offset = offset.checked_add(u64::from(len)).ok_or(EFBIG)?;
        }
        let mut bytes = KVVec::from_elem([0; LEAF_LEN], self.len(), GFP_KERNEL_ACCOUNT)?;
        for (bytes, leaf) in bytes.iter_mut().zip(&leaves) {
            *bytes = leaf.to_bytes();
        }
        let mut level = KVVec::from_elem([0; 32], self.len() + 1, GFP_KERNEL_ACCOUNT)?;
        if let Some((_, hashes)) = level.split_first_mut() {
            block_hashes(&KEY_LEAF, bytes.as_flattened(), hashes);
        }
        for (bytes, leaf) in bytes.iter_mut().zip(&leaves) {
            *bytes = pack_leaf(leaf, 0);
        }
        node.pin_leaves(name, first, &bytes, uid)?;
        let mut full = Ok(());
        let mark = peaks
            .extend(&SideBySide, &mut level, |first, hashes| {
                if full.is_ok() {
                    full = node.pin_nodes(name, first, hashes, uid);
                }
            })
            .map_err(|_| EFBIG)?;
        let settled = Settled { mark, offset };
        full.inspect_err(|_| settled.undo(peaks))?;
        Ok(settled)
    }
}

/// Hashes the payloads of up to [`LANES`] entries that were not, and makes them findable.
// Not inlined: stack.
#[inline(never)]
fn store_payloads(entries: &mut [Entry]) -> Result {
    let mut payloads: [&[u8]; LANES] = [&[]; LANES];
    let mut places = payloads.iter_mut();
    let mut count = 0;
    for entry in entries.iter() {
        if let Payload::Unhashed(extent) = &entry.payload {
            *places.next().ok_or(EIO)? = extent.bytes().ok_or(EIO)?;
            count += 1;
        }
    }
    let mut hashes = [[0; 32]; LANES];
    small_hashes(payloads.get(..count).unwrap_or_default(), &mut hashes);
    let mut hashes = hashes.iter();
    for entry in entries {
        if let Payload::Unhashed(extent) = &mut entry.payload {
            let hash = Hash(*hashes.next().ok_or(EIO)?);
            publish(extent, hash, entry.len)?;
            entry.payload = Payload::Stored(hash);
        }
    }
    Ok(())
}

fn publish(extent: &mut Extent, hash: Hash, len: u32) -> Result {
    if extent.publish_as(&BlobName { hash, len }, 0, 0) {
        Ok(())
    } else {
        Err(ENOSPC)
    }
}
