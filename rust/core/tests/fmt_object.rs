// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Where nodes and leaves lie in a store.
#![allow(non_snake_case)]

#[path = "common/samples.rs"]
mod samples;

use std::collections::HashMap;

use feed_core::leaf::Leaf;
use feed_core::object::{self, Kind, TreeOf};
use feed_core::tree::{Node, Pos};
use feed_core::Drop;
use samples::*;

#[test]
fn objects__every_node_has_its_own_slot() {
    let tree = TreeOf::Feed {
        name: name(),
        epoch: 3,
    };
    let mut seen = HashMap::new();
    for level in 0..=12u8 {
        for index in 0..4096u64 >> level {
            let node = Node::Full(Pos { level, index });
            let (key, slot) = object::locate(&tree, node);
            assert_eq!((key.kind, key.scope, key.owner), (Kind::Tile, 3, name().0));
            assert!(slot < object::TILE_SLOTS, "{node:?}");
            assert_eq!(key.tier, level / 5);
            assert_eq!(key.index, index << level >> (5 * (u32::from(key.tier) + 1)));
            assert_eq!(seen.insert((key, slot), node), None);
        }
    }
    for (n, level) in [(3, 2), (100, 7), ((1 << 36) - 1, 36)] {
        let (key, slot) = object::locate(&tree, Node::Edge { n, level });
        assert_eq!((key.kind, key.index), (Kind::Edge, n));
        assert!(slot == u16::from(level) && slot < object::EDGE_SLOTS);
    }
    let blob = blob_of(&payload(100_000)).0;
    let (key, slot) = object::locate(
        &TreeOf::Blob(blob),
        Node::Full(Pos {
            level: 0,
            index: 33,
        }),
    );
    assert_eq!(
        (key.kind, key.scope, key.index, slot),
        (Kind::BlobTile, 100_000, 1, 1)
    );
    let (key, slot) = object::locate_leaf(&name(), 3, 70);
    assert_eq!(
        (key.kind, key.scope, key.index, slot),
        (Kind::Leaves, 3, 2, 6)
    );
    assert!(slot < object::LEAF_SLOTS);
}

#[test]
fn objects__nodes_in_a_row() {
    let tree = TreeOf::Feed {
        name: name(),
        epoch: 0,
    };
    for level in 0..=12u8 {
        for index in 0..200u64 {
            let place = |index| object::locate(&tree, Node::Full(Pos { level, index }));
            let follows = |index| {
                let ((key, slot), (next, after)) = (place(index), place(index + 1));
                key == next && slot + 1 == after
            };
            let row = (index..).take_while(|index| follows(*index)).count() as u64 + 1;
            assert_eq!(
                object::in_a_row(Pos { level, index }),
                row,
                "{level} {index}"
            );
        }
    }
    for seq in 0..100 {
        let (key, slot) = object::locate_leaf(&name(), 0, seq);
        let row = object::in_a_row(Pos::leaf(seq));
        let (same, last) = object::locate_leaf(&name(), 0, seq + row - 1);
        assert_eq!((same, u64::from(last)), (key, u64::from(slot) + row - 1));
        assert_ne!(object::locate_leaf(&name(), 0, seq + row).0, key);
    }
}

#[test]
fn objects__leaf_with_hops() {
    let leaf = Leaf {
        flags: 0xfffe,
        ..leaves(5)[4]
    };
    for hops in [0, 1, 255] {
        let stored = object::pack_leaf(&leaf, hops);
        assert_eq!(object::unpack_leaf(&stored), Some((leaf, hops)));
        assert_eq!(
            Leaf::parse(&stored),
            Err(Drop::BadLeaf),
            "the stored form never leaves the store"
        );
    }
    assert_eq!(object::unpack_leaf(&[0; 64]), None);
    assert_eq!(object::unpack_leaf(&leaf.to_bytes()), None);
}
