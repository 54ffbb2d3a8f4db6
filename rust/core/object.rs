// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Where tree nodes and leaves lie in a store: objects of 2 KiB with slots.
//!
//! A *tile* (tier T, index i) holds five levels of 32 nodes of level 5T and all between them and the
//! node above, which belongs to tier T + 1: 32 + 16 + 8 + 4 + 2 slots. Edge nodes belong to one length
//! of the tree only and lie apart.
//!
//! A key's `scope` keeps apart what may differ under one owner: the epochs of a feed, whose trees
//! part after a grant's base, and the lengths that somebody claims for a blob, whose proofs hold in
//! part for wrong ones too.

use crate::id::{BlobName, Name};
use crate::leaf::{Leaf, LEAF_FLAGS_MASK, LEAF_LEN};
use crate::tree::{Node, Pos, MAX_LEVEL};
use crate::wire::{WINDOW, WINDOW_HEIGHT};

/// Leaves of an object, 64 bytes each.
pub const LEAF_SLOTS: u16 = 32;

/// Nodes of a tile, 32 bytes each.
pub const TILE_SLOTS: u16 = 62;

/// Edge nodes of one length of a tree, 32 bytes each, by level.
pub const EDGE_SLOTS: u16 = MAX_LEVEL as u16 + 1;

/// What an object holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The leaves of a window.
    Leaves,
    /// Full nodes of a feed's tree.
    Tile,
    /// Edge nodes of a feed's tree of one length.
    Edge,
    /// Full nodes of a blob's tree.
    BlobTile,
    /// Edge nodes of a blob's tree.
    BlobEdge,
}

/// The key of an object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    /// What it holds.
    pub kind: Kind,
    /// Of a tile: which five levels.
    pub tier: u8,
    /// Epoch of the feed, length of the blob.
    pub scope: u32,
    /// Window, tile, or the tree's length.
    pub index: u64,
    /// Name of the feed, hash of the blob.
    pub owner: [u8; 32],
}

/// Which tree a node belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TreeOf {
    /// A feed's, in one epoch.
    Feed {
        /// The feed.
        name: Name,
        /// The epoch.
        epoch: u32,
    },
    /// A blob's.
    Blob(BlobName),
}

/// An object of a tree's nodes, whichever tree that is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Group {
    full: bool,
    tier: u8,
    index: u64,
}

impl Group {
    /// The object that a node lies in, and its slot there.
    pub(crate) fn of(node: Node) -> (Self, u16) {
        match node {
            Node::Full(Pos { level, index }) => {
                let tier = level / WINDOW_HEIGHT;
                let row = u32::from(level % WINDOW_HEIGHT);
                // A row of a tile has 32 >> row nodes; before it lie the rows below.
                let in_row = index & u64::from(WINDOW.wrapping_shr(row).wrapping_sub(1));
                let before = 64u16.saturating_sub(64u16.wrapping_shr(row));
                let slot = before.saturating_add(in_row as u16);
                let height = u32::from(WINDOW_HEIGHT).wrapping_sub(row);
                let group = Group {
                    full: true,
                    tier,
                    index: index.wrapping_shr(height),
                };
                (group, slot)
            }
            Node::Edge { n, level } => {
                let group = Group {
                    full: false,
                    tier: 0,
                    index: n,
                };
                (group, u16::from(level))
            }
        }
    }

    /// Its key in one tree.
    pub(crate) fn key(&self, tree: &TreeOf) -> ObjectKey {
        let (kind, scope, owner) = match (tree, self.full) {
            (TreeOf::Feed { name, epoch }, true) => (Kind::Tile, *epoch, name.0),
            (TreeOf::Feed { name, epoch }, false) => (Kind::Edge, *epoch, name.0),
            (TreeOf::Blob(blob), true) => (Kind::BlobTile, blob.len, blob.hash.0),
            (TreeOf::Blob(blob), false) => (Kind::BlobEdge, blob.len, blob.hash.0),
        };
        ObjectKey {
            kind,
            tier: self.tier,
            scope,
            index: self.index,
            owner,
        }
    }
}

/// The object and slot of a node.
pub fn locate(tree: &TreeOf, node: Node) -> (ObjectKey, u16) {
    let (group, slot) = Group::of(node);
    (group.key(tree), slot)
}

/// How many full nodes, or leaves at level 0, lie slot by slot from that at `pos` on before the next
/// object begins.
pub fn in_a_row(pos: Pos) -> u64 {
    let width = u64::from(WINDOW.wrapping_shr(u32::from(pos.level % WINDOW_HEIGHT)));
    width.saturating_sub(pos.index & width.wrapping_sub(1))
}

/// The object and slot of a leaf.
pub fn locate_leaf(name: &Name, epoch: u32, seq: u64) -> (ObjectKey, u16) {
    let key = ObjectKey {
        kind: Kind::Leaves,
        tier: 0,
        scope: epoch,
        index: seq >> WINDOW_HEIGHT,
        owner: name.0,
    };
    (key, (seq & u64::from(WINDOW.wrapping_sub(1))) as u16)
}

/// A leaf as it is stored: `hops` of its answer lies in the flag bits that are zero on the wire, and
/// the bit above says that the slot is in use.
pub fn pack_leaf(leaf: &Leaf, hops: u8) -> [u8; LEAF_LEN] {
    let flags = leaf.flags & LEAF_FLAGS_MASK | u32::from(hops) << 16 | IN_USE;
    Leaf { flags, ..*leaf }.to_bytes()
}

/// What [`pack_leaf`] stored; `None` of an unused slot.
pub fn unpack_leaf(bytes: &[u8; LEAF_LEN]) -> Option<(Leaf, u8)> {
    let mut leaf = Leaf::read(bytes)?;
    let stored = leaf.flags;
    leaf.flags = stored & LEAF_FLAGS_MASK;
    (stored & IN_USE != 0).then_some((leaf, (stored >> 16) as u8))
}

const IN_USE: u32 = 1 << 24;
