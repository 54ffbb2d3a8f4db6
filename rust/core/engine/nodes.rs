// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Leaves and tree nodes in the store, by the places that `object` gives them.
//!
//! The functions are kept out of line: several hold a proof on the stack, and the sum of two would
//! be more than one frame may have.

use core::ops::Range;

use super::env::{BlobInfo, Charge, Env};
use crate::blob::{self, BlobTree, WindowHasher, CHUNK};
use crate::id::{BlobName, Hash, Hashes, Name};
use crate::leaf::{Leaf, LEAF_LEN};
use crate::object::{locate, locate_leaf, pack_leaf, unpack_leaf, Group, TreeOf};
use crate::tree::{self, resolve, FeedTree, Node, Pos};
use crate::wire::{MAX_CONS, MAX_INLINE_LEN, WINDOW};

/// A proof that is being put together, in memory that is too much for the stack.
pub(super) struct Proof<'a> {
    memory: &'a mut [u8],
    len: usize,
}

/// Bytes that any proof or page fits.
pub(super) const PROOF_BYTES: usize = MAX_CONS * 32;

impl<'a> Proof<'a> {
    pub(super) fn new(memory: &'a mut [u8]) -> Self {
        Proof { memory, len: 0 }
    }

    /// One that lies in `memory` already, of so many bytes.
    pub(super) fn made(memory: &'a mut [u8], len: usize) -> Self {
        Proof { memory, len }
    }

    /// Its length, bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a hash; false if there is no room.
    pub(super) fn push(&mut self, hash: &Hash) -> bool {
        let end = self.len.saturating_add(32);
        let Some(room) = self.memory.get_mut(self.len..end) else {
            return false;
        };
        super::copy(room, &hash.0);
        self.len = end;
        true
    }

    pub(super) fn hashes(&self) -> Hashes<'_> {
        Hashes::new(self.memory.get(..self.len).unwrap_or(&[])).unwrap_or(Hashes::NONE)
    }
}

/// By words: a call of memcmp costs more than the comparison.
fn is_zero(hash: &[u8; 32]) -> bool {
    let words = hash.chunks_exact(8);
    words.fold(0, |all, word| {
        all | word.try_into().map_or(1, u64::from_ne_bytes)
    }) == 0
}

fn read<E: Env>(env: &mut E, of: &TreeOf, node: Node) -> Option<Hash> {
    let (key, slot) = locate(of, node);
    let mut hash = [0; 32];
    // No node hashes to zeros: a store may use them for an empty slot.
    (env.slot_get(&key, slot as u8, &mut hash) && !is_zero(&hash)).then_some(Hash(hash))
}

/// A node's hash, held or computed from held ones.
pub(super) fn node<E: Env>(env: &mut E, of: &TreeOf, node: Node) -> Option<Hash> {
    read(env, of, node).or_else(|| compute(env, of, node))
}

// Out of line: what a computation needs on the stack is more than a lookup may pay for.
#[inline(never)]
fn compute<E: Env>(env: &mut E, of: &TreeOf, node: Node) -> Option<Hash> {
    let mut nodes = |node| read(env, of, node);
    match of {
        TreeOf::Feed { .. } => resolve(&FeedTree, &mut nodes, node),
        TreeOf::Blob(_) => resolve(&BlobTree, &mut nodes, node),
    }
}

/// Stores a proven node. A full store only means that a proof must be fetched again some day.
#[inline(never)]
pub(super) fn put_node<E: Env>(env: &mut E, of: &TreeOf, node: Node, hash: &Hash, charge: Charge) {
    let (key, slot) = locate(of, node);
    let _ = env.slot_put(&key, slot as u8, &hash.0, charge);
}

/// Nodes of one object that are read at once: a way through a tile has five.
const RUN: usize = 8;

/// Appends the hashes of `wanted` to `proof` if all of them are held: those that lie in one object at
/// once, for what costs is to find it.
#[inline(never)]
fn collect_held<E: Env>(
    env: &mut E,
    of: &TreeOf,
    wanted: impl Iterator<Item = Node>,
    proof: &mut Proof<'_>,
) -> bool {
    let mut slots = [0; RUN];
    let mut count = 0usize;
    let mut group = None;
    for node in wanted {
        let (next, slot) = Group::of(node);
        if count == RUN || group.is_some_and(|group| group != next) {
            if !read_run(env, of, group, slots.get(..count).unwrap_or(&[]), proof) {
                return false;
            }
            count = 0;
        }
        group = Some(next);
        if let Some(place) = slots.get_mut(count) {
            *place = slot as u8;
        }
        count = count.saturating_add(1);
    }
    read_run(env, of, group, slots.get(..count).unwrap_or(&[]), proof)
}

fn read_run<E: Env>(
    env: &mut E,
    of: &TreeOf,
    group: Option<Group>,
    slots: &[u8],
    proof: &mut Proof<'_>,
) -> bool {
    let Some(group) = group else {
        return true;
    };
    let end = proof.len.saturating_add(slots.len().saturating_mul(32));
    let Some(room) = proof.memory.get_mut(proof.len..end) else {
        return false;
    };
    let all = env.slots_get(&group.key(of), slots, room)
        && room
            .chunks_exact(32)
            .all(|hash| hash.try_into().is_ok_and(|hash| !is_zero(hash)));
    if all {
        proof.len = end;
    }
    all
}

/// Appends the hashes of `wanted` to `proof`; false if one is missing. With `keep` edge nodes that
/// had to be computed are stored for the next time.
#[inline(never)]
pub(super) fn collect<E: Env>(
    env: &mut E,
    of: &TreeOf,
    wanted: impl Iterator<Item = Node> + Clone,
    keep: Option<Charge>,
    proof: &mut Proof<'_>,
) -> bool {
    let begun = proof.len;
    if collect_held(env, of, wanted.clone(), proof) {
        return true;
    }
    proof.len = begun;
    for want in wanted {
        let held = read(env, of, want);
        let Some(hash) = held.or_else(|| compute(env, of, want)) else {
            return false;
        };
        if !proof.push(&hash) {
            return false;
        }
        if let (None, Node::Edge { .. }, Some(charge)) = (held, want, keep) {
            put_node(env, of, want, &hash, charge);
        }
    }
    true
}

/// How many; [`Iterator::count`] has a panic path where overflow is checked.
pub(super) fn length(nodes: impl Iterator<Item = Node>) -> usize {
    nodes.fold(0, |length: usize, _| length.saturating_add(1))
}

fn all_held<E: Env>(env: &mut E, of: &TreeOf, wanted: impl Iterator<Item = Node>) -> bool {
    for want in wanted {
        if node(env, of, want).is_none() {
            return false;
        }
    }
    true
}

/// Whether entry `seq` can be proved alone in tree `n`.
pub(super) fn can_include<E: Env>(env: &mut E, of: &TreeOf, n: u64, seq: u64) -> bool {
    all_held(env, of, &mut tree::inclusion_nodes(n, seq))
}

/// Whether the path of a window is held.
pub(super) fn has_path<E: Env>(env: &mut E, of: &TreeOf, n: u64, window: u64) -> bool {
    all_held(env, of, &mut tree::path_nodes(n, window))
}

/// Whether all leaf hashes of a window are held.
pub(super) fn has_page<E: Env>(env: &mut E, of: &TreeOf, n: u64, window: u64) -> bool {
    let start = window.saturating_mul(u64::from(WINDOW));
    let len = tree::page_len(n, window) as u64;
    len > 0
        && (0..len).all(|index| {
            read(env, of, Node::Full(Pos::leaf(start.saturating_add(index)))).is_some()
        })
}

/// Whether a consistency proof can be given.
pub(super) fn can_cons<E: Env>(env: &mut E, of: &TreeOf, m: u64, n: u64) -> bool {
    let mut nodes = tree::consistency_nodes(m, n);
    nodes.clone().next().is_some() && all_held(env, of, &mut nodes)
}

/// A stored leaf and the hops that it had come.
pub(super) fn leaf<E: Env>(env: &mut E, name: &Name, epoch: u32, seq: u64) -> Option<(Leaf, u8)> {
    let (key, slot) = locate_leaf(name, epoch, seq);
    let mut bytes = [0; LEAF_LEN];
    if !env.slot_get(&key, slot as u8, &mut bytes) {
        return None;
    }
    unpack_leaf(&bytes).filter(|(leaf, _)| leaf.seq == seq)
}

/// A verified leaf's hash, if its node is held.
pub(super) fn leaf_hash<E: Env>(env: &mut E, of: &TreeOf, seq: u64) -> Option<Hash> {
    read(env, of, Node::Full(Pos::leaf(seq)))
}

/// Stores a verified leaf.
pub(super) fn put_leaf<E: Env>(
    env: &mut E,
    name: &Name,
    epoch: u32,
    leaf: &Leaf,
    hops: u8,
    charge: Charge,
) -> bool {
    let (key, slot) = locate_leaf(name, epoch, leaf.seq);
    env.slot_put(&key, slot as u8, &pack_leaf(leaf, hops), charge)
        .is_ok()
}

/// Whether the payload of this leaf travels inside its ENTRY.
pub(super) fn is_inline(leaf: &Leaf) -> bool {
    leaf.len <= MAX_INLINE_LEN
}

/// Whether an inline payload is here. An empty one always is.
pub(super) fn inline_info<E: Env>(env: &mut E, leaf: &Leaf) -> Option<BlobInfo> {
    if leaf.len == 0 {
        Some(BlobInfo {
            hops: 0,
            public: true,
        })
    } else {
        env.blob_find(&leaf.blob_name(), 0)
    }
}

/// The chaining values of a published window's chunks: held, or hashed from the bytes.
#[inline(never)]
pub(super) fn blob_page<E: Env>(
    env: &mut E,
    blob: &BlobName,
    window: u16,
    hasher: &mut WindowHasher,
    bytes: &mut [u8],
    page: &mut Proof<'_>,
) -> bool {
    let first = u32::from(window).wrapping_mul(WINDOW);
    for index in 0..blob::window_chunks(blob.len, window) {
        let held = read(
            env,
            &TreeOf::Blob(*blob),
            Node::Full(blob::chunk_pos(window, index)),
        );
        let cv = match held {
            Some(cv) => cv,
            None => {
                let offset = index.wrapping_mul(CHUNK);
                let len = blob::window_len(blob.len, window)
                    .saturating_sub(offset)
                    .min(CHUNK);
                let Some(bytes) = bytes.get_mut(..len as usize) else {
                    return false;
                };
                if !env.blob_read(blob, window, offset, bytes) {
                    return false;
                }
                let Ok(cv) = hasher.chunk_cv(blob.len, first.wrapping_add(index), bytes) else {
                    return false;
                };
                cv
            }
        };
        if !page.push(&cv) {
            return false;
        }
    }
    true
}

/// Empties the places of entries, and of the nodes that they complete.
#[inline(never)]
pub(super) fn forget<E: Env>(env: &mut E, name: &Name, epoch: u32, entries: Range<u64>) {
    let tree = TreeOf::Feed { name: *name, epoch };
    for seq in entries {
        let (key, slot) = locate_leaf(name, epoch, seq);
        env.slot_clear(&key, slot as u8);
        let mut pos = Pos::leaf(seq);
        loop {
            let (key, slot) = locate(&tree, Node::Full(pos));
            env.slot_clear(&key, slot as u8);
            if !pos.is_right() {
                break;
            }
            pos = pos.parent();
        }
    }
}
