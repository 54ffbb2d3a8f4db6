// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! One feed, one blob and one message of every type, all from fixed seeds.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use feed_core::blob::{self, BlobHasher, BlobTree, WindowHasher};
use feed_core::grant::{Grant, SignedGrant};
use feed_core::head::{Head, SignedHead, HEAD_FINAL};
use feed_core::id::{BlobName, DiscoveryId, Hash, Hashes, Name};
use feed_core::leaf::Leaf;
use feed_core::sign::{PublicKey, Seed};
use feed_core::siphash::SipKey;
use feed_core::token::{Binding, Token};
use feed_core::tree::{self, FeedTree, Node, Peaks};
use feed_core::wire::{self, Answer, Message, Payload, Preamble, Reason, Refusal};

use std::collections::HashMap;

pub const NAME_SEED: [u8; 32] = [0x11; 32];
pub const WORK_SEED: [u8; 32] = [0x22; 32];
pub const SECRET: SipKey = SipKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
pub const PORT: u32 = 7;
pub const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x2a];
/// 2024-01-01, ms.
pub const TIME: u64 = 1_704_067_200_000;

pub fn seed(bytes: [u8; 32]) -> Seed {
    Seed::new(bytes).unwrap()
}

pub fn name() -> Name {
    Name(seed(NAME_SEED).public_key().0)
}

pub fn work_key() -> PublicKey {
    seed(WORK_SEED).public_key()
}

/// Entry `seq` is the text "entry SEQ", but every tenth is empty.
pub fn entry(seq: u64) -> Vec<u8> {
    if seq % 10 == 9 {
        Vec::new()
    } else {
        format!("entry {seq}").into_bytes()
    }
}

pub fn leaves(n: u64) -> Vec<Leaf> {
    let mut offset = 0;
    (0..n)
        .map(|seq| {
            let payload = entry(seq);
            let leaf = Leaf {
                seq,
                offset,
                time: TIME + seq * 1000,
                len: payload.len() as u32,
                flags: (seq % 4) as u32,
                blob: Hash(*blake3::hash(&payload).as_bytes()),
            };
            offset = leaf.end();
            leaf
        })
        .collect()
}

/// The feed's tree of `n` leaves, with all nodes that proofs in it need.
pub struct Feed {
    pub leaves: Vec<Leaf>,
    pub peaks: Peaks,
    pub nodes: HashMap<Node, Hash>,
}

impl Feed {
    pub fn new(n: u64) -> Feed {
        let leaves = leaves(n);
        let mut peaks = Peaks::new();
        let mut nodes = HashMap::new();
        for leaf in &leaves {
            let sink = |pos, hash: &Hash| {
                nodes.insert(Node::Full(pos), *hash);
            };
            peaks.push(&leaf.hash(), sink).unwrap();
        }
        Feed {
            leaves,
            peaks,
            nodes,
        }
    }

    pub fn n(&self) -> u64 {
        self.peaks.n()
    }

    pub fn proof(&self, nodes: impl Iterator<Item = Node>) -> Vec<u8> {
        let mut held = |node: Node| self.nodes.get(&node).copied();
        nodes
            .flat_map(|node| tree::resolve(&FeedTree, &mut held, node).unwrap().0)
            .collect()
    }

    pub fn page(&self, window: u64) -> Vec<u8> {
        let first = window as usize * 32;
        let last = self.leaves.len().min(first + 32);
        self.leaves[first..last]
            .iter()
            .flat_map(|leaf| leaf.hash().0)
            .collect()
    }

    pub fn head(&self) -> SignedHead {
        let head = Head {
            flags: 0,
            epoch: 0,
            n: self.n(),
            time: TIME + self.n() * 1000,
            next_by: 0,
            name: name(),
            root: self.peaks.root(),
        };
        head.sign(&seed(NAME_SEED)).unwrap()
    }
}

/// The grant of epoch 1, which keeps the first 40 entries.
pub fn grant() -> SignedGrant {
    let grant = Grant {
        flags: 0,
        epoch: 1,
        base_n: 40,
        time: TIME + 100_000,
        not_after: TIME + 31_536_000_000,
        name: name(),
        base_root: Feed::new(40).peaks.root(),
        key: work_key(),
    };
    grant.sign(&seed(NAME_SEED)).unwrap()
}

/// The final head of epoch 1.
pub fn final_head() -> SignedHead {
    let feed = Feed::new(45);
    let head = Head {
        flags: HEAD_FINAL,
        epoch: 1,
        n: 45,
        time: TIME + 200_000,
        next_by: TIME + 300_000,
        name: name(),
        root: feed.peaks.root(),
    };
    head.sign(&seed(WORK_SEED)).unwrap()
}

/// Byte `i` of every sample blob is `i % 251`, as in BLAKE3's own vectors.
pub fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub fn blob_of(bytes: &[u8]) -> (BlobName, HashMap<Node, Hash>) {
    let mut hasher = BlobHasher::new();
    let mut nodes = HashMap::new();
    hasher
        .update(bytes, |node, hash| {
            nodes.insert(node, *hash);
        })
        .unwrap();
    let name = hasher.finish(|node, hash| {
        nodes.insert(node, *hash);
    });
    (name, nodes)
}

pub fn blob_path(name: &BlobName, nodes: &HashMap<Node, Hash>, window: u16) -> Vec<u8> {
    let mut held = |node: Node| nodes.get(&node).copied();
    let siblings = blob::path_nodes(name.len, window);
    siblings
        .flat_map(|node| tree::resolve(&BlobTree, &mut held, node).unwrap().0)
        .collect()
}

pub fn blob_page(bytes: &[u8], window: u16) -> Vec<u8> {
    let len = bytes.len() as u32;
    let mut hasher = WindowHasher::new();
    let first = u32::from(window) * 32;
    (first..first + blob::window_chunks(len, window))
        .flat_map(|chunk| {
            let start = chunk as usize * 1024;
            let end = bytes.len().min(start + 1024);
            hasher.chunk_cv(len, chunk, &bytes[start..end]).unwrap().0
        })
        .collect()
}

pub fn id() -> DiscoveryId {
    name().id()
}

pub fn token() -> Token {
    Token::new(
        &SECRET,
        &Binding {
            port: PORT,
            mac: MAC,
            id: id().as_bytes(),
        },
        0x01_0203,
        0x44,
    )
}

fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn hashes(bytes: Vec<u8>) -> Hashes<'static> {
    Hashes::new(keep(bytes)).unwrap()
}

/// One message of every type, and its variants. Answers are about the feed of 70 entries and a blob
/// of 100,000 bytes.
pub fn messages() -> Vec<(&'static str, Message<'static>)> {
    let feed = keep(Feed::new(70));
    let bytes: &'static Vec<u8> = keep(payload(100_000));
    let (blob, nodes) = blob_of(bytes);
    let pre = Preamble {
        nonce: 0xdead_beef,
        token: token(),
        life_ms: 4000,
        hop_limit: 8,
        id: id(),
    };
    let answer = Answer {
        hops: 1,
        token: token(),
    };
    let (n, epoch) = (feed.n(), 0);
    let entry_of = |seq: u64, alone: bool, full: bool| {
        Message::Entry(wire::Entry {
            answer,
            epoch,
            n,
            leaf: feed.leaves[seq as usize],
            siblings: alone.then(|| hashes(feed.proof(tree::inclusion_nodes(n, seq)))),
            payload: full.then(|| Payload::Bytes(keep(entry(seq)))),
        })
    };
    vec![
        (
            "refusal",
            Message::Refusal(Refusal {
                reason: Reason::Busy,
                token: token(),
            }),
        ),
        (
            "head",
            Message::Head(wire::Head {
                answer,
                unchecked: false,
                bytes: keep(feed.head().bytes),
            }),
        ),
        (
            "head-unchecked",
            Message::Head(wire::Head {
                answer,
                unchecked: true,
                bytes: keep(feed.head().bytes),
            }),
        ),
        (
            "grant",
            Message::Grant(wire::Grant {
                answer,
                bytes: keep(grant().bytes),
            }),
        ),
        (
            "cons",
            Message::Cons(wire::Cons {
                answer,
                epoch,
                m: 40,
                n,
                hashes: hashes(feed.proof(tree::consistency_nodes(40, n))),
            }),
        ),
        (
            "path",
            Message::Path(wire::Path {
                answer,
                epoch,
                n,
                window: 1,
                siblings: hashes(feed.proof(tree::path_nodes(n, 1))),
            }),
        ),
        (
            "page",
            Message::Page(wire::Page {
                answer,
                epoch,
                n,
                window: 2,
                leaves: hashes(feed.page(2)),
            }),
        ),
        ("entry", entry_of(33, true, true)),
        ("entry-empty", entry_of(39, true, true)),
        ("entry-without-siblings", entry_of(34, false, true)),
        ("entry-without-payload", entry_of(69, true, false)),
        ("entry-leaf", entry_of(0, false, false)),
        (
            "blob-path",
            Message::BlobPath(wire::BlobPath {
                answer,
                window: 3,
                siblings: hashes(blob_path(&blob, &nodes, 3)),
            }),
        ),
        (
            "blob-page",
            Message::BlobPage(wire::BlobPage {
                answer,
                window: 3,
                chunks: hashes(blob_page(bytes, 3)),
            }),
        ),
        (
            "blob-data",
            Message::BlobData(wire::BlobData {
                answer,
                window: 3,
                offset: 1024,
                payload: Payload::Bytes(&bytes[3 * 32768 + 1024..]),
            }),
        ),
        (
            "lookup-head",
            Message::LookupHead(wire::LookupHead {
                pre,
                at_least_epoch: 0,
                held_epoch: 0,
                at_least_n: 71,
                held_n: 70,
                max_age_ms: 60_000,
            }),
        ),
        (
            "lookup-range",
            Message::LookupRange(wire::LookupRange {
                pre,
                leaf_only: false,
                epoch: 0,
                want: 0x8000_0006,
                n: 70,
                window: 1,
                have_path: true,
                have_page: false,
            }),
        ),
        (
            "lookup-range-leaves",
            Message::LookupRange(wire::LookupRange {
                pre,
                leaf_only: true,
                epoch: 0,
                want: u32::MAX,
                n: 0,
                window: 0,
                have_path: false,
                have_page: false,
            }),
        ),
        (
            "lookup-cons",
            Message::LookupCons(wire::LookupCons {
                pre,
                epoch: 0,
                m: 40,
                n: 70,
            }),
        ),
        (
            "lookup-blob",
            Message::LookupBlob(wire::LookupBlob {
                pre,
                chunk_mode: false,
                blob,
                window: 2,
                have_path: false,
                have_page: false,
                want: u32::MAX,
            }),
        ),
        (
            "lookup-blob-chunks",
            Message::LookupBlob(wire::LookupBlob {
                pre,
                chunk_mode: true,
                blob,
                window: 3,
                have_path: true,
                have_page: true,
                want: 0b10,
            }),
        ),
        (
            "follow",
            Message::Follow(wire::Follow {
                pre,
                epoch: 0,
                grant_bytes: 65_536,
                n: 70,
            }),
        ),
    ]
}

/// A frame with one message.
pub fn frame_of(message: &Message<'_>) -> Vec<u8> {
    let mut buf = vec![0xaa; 9000];
    let mut builder = wire::FrameBuilder::new(&mut buf, 9000).unwrap();
    assert!(message.emit(&mut builder));
    let built = builder.finish(&frame_header(message));
    assert_eq!(built.trailing, 0);
    buf.truncate(built.linear);
    buf
}

/// Lookups echo a cookie, answers give one.
pub fn frame_header(message: &Message<'_>) -> wire::FrameHeader {
    let cookie = feed_core::cookie::cookie(&SECRET, PORT, &MAC, TIME);
    let is_lookup = matches!(
        message,
        Message::LookupHead(_)
            | Message::LookupRange(_)
            | Message::LookupCons(_)
            | Message::LookupBlob(_)
            | Message::Follow(_)
    );
    wire::FrameHeader {
        limited: false,
        cookie_echo: if is_lookup { cookie } else { 0 },
        cookie_give: if is_lookup { 0 } else { cookie },
    }
}
