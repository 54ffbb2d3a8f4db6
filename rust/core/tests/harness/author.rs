// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Appends to a feed and puts everything into a node's store, as the kernel's author side does.

use feed_core::blob::BlobHasher;
use feed_core::engine::BlobInfo;
use feed_core::head::{Head, SignedHead, HEAD_FINAL};
use feed_core::id::{BlobName, DiscoveryId, Name};
use feed_core::leaf::Leaf;
use feed_core::object::{locate, locate_leaf, pack_leaf, TreeOf};
use feed_core::sign::Seed;
use feed_core::tree::{Node, Peaks};

use super::{Node as NetNode, World};

pub struct Author {
    pub seed: [u8; 32],
    pub name: Name,
    pub id: DiscoveryId,
    pub peaks: Peaks,
    pub offset: u64,
    pub time: u64,
    pub payloads: Vec<Vec<u8>>,
    pub head: Option<SignedHead>,
}

impl Author {
    pub fn new(seed: u8) -> Self {
        let bytes = [seed; 32];
        let key = Seed::new(bytes).unwrap().public_key();
        let name = Name(key.0);
        Author {
            seed: bytes,
            name,
            id: name.id(),
            peaks: Peaks::new(),
            offset: 0,
            time: 1_800_000_000_000,
            payloads: Vec::new(),
            head: None,
        }
    }

    fn tree(&self) -> TreeOf {
        TreeOf::Feed {
            name: self.name,
            epoch: 0,
        }
    }

    /// Stores an entry without signing a head.
    pub fn write(&mut self, world: &mut World, payload: &[u8]) {
        let mut hasher = BlobHasher::new();
        let mut nodes = Vec::new();
        hasher
            .update(payload, |node, hash| nodes.push((node, *hash)))
            .unwrap();
        let blob = hasher.finish(|node, hash| nodes.push((node, *hash)));
        for (node, hash) in nodes {
            put(world, &TreeOf::Blob(blob), node, &hash.0);
        }
        for (window, bytes) in payload.chunks(32 << 10).enumerate() {
            let info = BlobInfo {
                hops: 0,
                public: true,
            };
            world
                .blobs
                .insert((blob, window as u16), (bytes.to_vec(), info));
        }
        let seq = self.peaks.n();
        let BlobName { hash, len } = blob;
        let leaf = Leaf {
            seq,
            offset: self.offset,
            time: self.time,
            len,
            flags: 7,
            blob: hash,
        };
        let (key, slot) = locate_leaf(&self.name, 0, seq);
        world
            .slots
            .insert((key, slot as u8), pack_leaf(&leaf, 0).to_vec());
        let tree = self.tree();
        self.peaks
            .push(&leaf.hash(), |pos, hash| {
                put(world, &tree, Node::Full(pos), &hash.0)
            })
            .unwrap();
        self.offset += u64::from(len);
        self.payloads.push(payload.to_vec());
    }

    /// The head of what was written.
    pub fn sign(&mut self, flags: u16) -> SignedHead {
        self.time += 1;
        let head = Head {
            flags,
            epoch: 0,
            n: self.peaks.n(),
            time: self.time,
            next_by: 0,
            name: self.name,
            root: self.peaks.root(),
        };
        let head = head.sign(&Seed::new(self.seed).unwrap()).unwrap();
        self.head = Some(head);
        head
    }

    /// Signs and publishes.
    pub fn publish(&mut self, now: u64, node: &mut NetNode, is_final: bool) {
        let tree = self.tree();
        self.peaks
            .edges(|edge, hash| put(&mut node.world, &tree, edge, &hash.0));
        let head = self.sign(if is_final { HEAD_FINAL } else { 0 });
        let (engine, world) = node.of(&self.id);
        engine.own_head(now, &self.id, &head.bytes, world).unwrap();
    }

    pub fn append(&mut self, now: u64, node: &mut NetNode, payload: &[u8]) {
        self.write(&mut node.world, payload);
        self.publish(now, node, false);
    }
}

fn put(world: &mut World, tree: &TreeOf, node: Node, hash: &[u8; 32]) {
    let (key, slot) = locate(tree, node);
    world.slots.insert((key, slot as u8), hash.to_vec());
}
