// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Blobs by windows against the whole-input hash of the blake3 crate.
#![allow(non_snake_case)]

mod common;

use std::collections::HashMap;

use common::*;
use feed_core::blob::{self, BlobHasher, BlobTree, WindowHasher};
use feed_core::id::{BlobName, Hash, Hashes};
use feed_core::proof::{verify_blob_page, verify_blob_path};
use feed_core::tree::{self, Node};
use feed_core::Drop;

const LENGTHS: &[usize] = &[
    0,
    1,
    63,
    64,
    65,
    1023,
    1024,
    1025,
    2048,
    2049,
    3072,
    31 * 1024 + 1,
    32767,
    32768,
    32769,
    33792,
    65535,
    65536,
    65537,
    3 * 32768,
    3 * 32768 + 1,
    4 * 32768 + 1024,
    7 * 32768 + 12345,
    16 * 32768,
    33 * 32768 + 1,
];

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn name_of(bytes: &[u8]) -> BlobName {
    BlobName {
        hash: Hash(*blake3::hash(bytes).as_bytes()),
        len: bytes.len() as u32,
    }
}

/// All that a node could hold of a blob, from its bytes.
struct Whole {
    name: BlobName,
    windows: Vec<Hash>,
    pages: Vec<Vec<u8>>,
    nodes: HashMap<Node, Hash>,
}

impl Whole {
    fn new(bytes: &[u8]) -> Whole {
        let len = bytes.len() as u32;
        let mut hasher = WindowHasher::new();
        let mut nodes = HashMap::new();
        let mut author = BlobHasher::new();
        // Pieces of a length that fits nothing.
        for piece in bytes.chunks(5000) {
            author
                .update(piece, |node, hash| {
                    assert!(nodes.insert(node, *hash).is_none())
                })
                .unwrap();
        }
        assert_eq!(author.len(), len);
        let name = author.finish(|node, hash| assert!(nodes.insert(node, *hash).is_none()));
        let mut windows = Vec::new();
        let mut pages = Vec::new();
        for window in 0..blob::window_count(len) {
            let start = blob::window_start(window) as usize;
            let end = start + blob::window_len(len, window) as usize;
            hasher.window(len, window).unwrap();
            for piece in bytes[start..end].chunks(1400) {
                hasher.update(piece).unwrap();
            }
            windows.push(hasher.finish().unwrap());
            let page: Vec<u8> = (0..blob::window_chunks(len, window))
                .flat_map(|chunk| {
                    let first = start + chunk as usize * 1024;
                    let bytes = &bytes[first..end.min(first + 1024)];
                    let index = u32::from(window) * 32 + chunk;
                    hasher.chunk_cv(len, index, bytes).unwrap().0
                })
                .collect();
            pages.push(page);
        }
        Whole {
            name,
            windows,
            pages,
            nodes,
        }
    }

    fn path(&self, window: u16) -> Vec<u8> {
        let get = |node| {
            tree::resolve(&BlobTree, &mut |node| self.nodes.get(&node).copied(), node).unwrap()
        };
        blob::path_nodes(self.name.len, window)
            .flat_map(|node| get(node).0)
            .collect()
    }
}

#[test]
fn blob__hashes_as_the_crate_does() {
    for &len in LENGTHS {
        let bytes = payload(len);
        let whole = Whole::new(&bytes);
        assert_eq!(whole.name, name_of(&bytes), "length {len}");
        assert_eq!(whole.windows.len(), len.div_ceil(32768).max(1));
        for (window, (hash, page)) in (0u16..).zip(whole.windows.iter().zip(&whole.pages)) {
            let path = whole.path(window);
            assert!(path.len() <= 9 * 32);
            verify_blob_path(hash, window, view(&path), &whole.name, |node, hash| {
                assert_eq!(
                    whole.nodes.get(&node).unwrap_or(hash),
                    hash,
                    "{node:?} of {len}"
                );
            })
            .unwrap();
            assert_eq!(
                blob::page_hash(len as u32, view(page)),
                *hash,
                "length {len}"
            );
            let verdict = verify_blob_page(view(page), window, view(&path), &whole.name, |_, _| ());
            let expected = if len <= 1024 {
                Err(Drop::ProofLength)
            } else {
                Ok(())
            };
            assert_eq!(verdict, expected);
        }
    }
}

#[test]
fn blob__sixteen_mebibytes() {
    let bytes = payload(16 << 20);
    let whole = Whole::new(&bytes);
    assert_eq!(whole.name, name_of(&bytes));
    for window in [0u16, 1, 255, 256, 511] {
        let path = whole.path(window);
        assert_eq!(path.len(), 9 * 32);
        let hash = &whole.windows[usize::from(window)];
        verify_blob_path(hash, window, view(&path), &whole.name, |_, _| ()).unwrap();
    }
    let mut author = BlobHasher::new();
    author.update(&bytes, |_, _| ()).unwrap();
    assert_eq!(author.update(&[0], |_, _| ()), Err(Drop::OutOfRange));
    assert_eq!(author.finish(|_, _| ()), whole.name);
}

#[test]
fn blob__nodes_told_serve_every_page() {
    let bytes = payload(7 * 32768 + 12345);
    let whole = Whole::new(&bytes);
    for (window, page) in (0u16..).zip(&whole.pages) {
        let mut told = HashMap::new();
        let path = whole.path(window);
        let mut sink = |node: Node, hash: &Hash| {
            told.insert(node, *hash);
        };
        verify_blob_page(view(page), window, view(&path), &whole.name, &mut sink).unwrap();
        assert!(
            !told.contains_key(&Node::top(231 + 6).unwrap()),
            "the top has no chaining value"
        );
        for (chunk, cv) in (0u32..).zip(view(page).iter()) {
            let pos = blob::chunk_pos(window, chunk);
            assert_eq!(told[&Node::Full(pos)], cv);
        }
        for (node, hash) in told {
            if let Some(known) = whole.nodes.get(&node) {
                assert_eq!(*known, hash, "{node:?}");
            }
        }
    }
}

#[test]
fn blob__wrong_bytes_length_or_place_are_rejected() {
    let bytes = payload(3 * 32768 + 1);
    let whole = Whole::new(&bytes);
    let never = |_: Node, _: &Hash| unreachable!();
    let path = whole.path(1);
    let cv = whole.windows[1];
    for flipped in flips(&path) {
        let verdict = verify_blob_path(&cv, 1, view(&flipped), &whole.name, never);
        assert_eq!(verdict, Err(Drop::BlobMismatch));
    }
    for flipped in flips(&cv.0) {
        let cv = Hash(flipped.try_into().unwrap());
        assert_eq!(
            verify_blob_path(&cv, 1, view(&path), &whole.name, never),
            Err(Drop::BlobMismatch)
        );
    }
    for flipped in flips(&whole.pages[1]) {
        let verdict = verify_blob_page(view(&flipped), 1, view(&path), &whole.name, never);
        assert_eq!(verdict, Err(Drop::BlobMismatch));
    }
    for flipped in flips(&whole.name.hash.0) {
        let hash = Hash(flipped.try_into().unwrap());
        let claimed = BlobName { hash, ..whole.name };
        let verdict = verify_blob_path(&cv, 1, view(&path), &claimed, never);
        assert_eq!(verdict, Err(Drop::BlobMismatch));
    }
    assert_eq!(
        verify_blob_path(&cv, 4, view(&path), &whole.name, never),
        Err(Drop::OutOfRange)
    );
    assert_eq!(
        verify_blob_path(&cv, 0, view(&path), &whole.name, never),
        Err(Drop::BlobMismatch)
    );
    assert_eq!(
        verify_blob_path(&cv, 1, Hashes::NONE, &whole.name, never),
        Err(Drop::ProofLength)
    );
    // Where the path has another number of hashes a wrong length is noticed. Elsewhere it is not,
    // which is why a blob's name includes the length.
    for (windows, verdict) in [
        (2, Err(Drop::ProofLength)),
        (3, Ok(())),
        (5, Err(Drop::ProofLength)),
    ] {
        let claimed = BlobName {
            len: windows * 32768,
            ..whole.name
        };
        assert_eq!(
            verify_blob_path(&cv, 1, view(&path), &claimed, |_, _| ()),
            verdict
        );
    }
    let mut hasher = WindowHasher::new();
    let window = &bytes[32768..65536];
    for bit in [0, 7, 100_000, window.len() * 8 - 1] {
        let mut copy = window.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        hasher.window(whole.name.len, 1).unwrap();
        hasher.update(&copy).unwrap();
        assert_ne!(hasher.finish().unwrap(), cv);
    }
}

#[test]
fn window_hasher__refuses_too_little_and_too_much() {
    let mut hasher = WindowHasher::new();
    assert_eq!(hasher.window(100, 1), Err(Drop::OutOfRange));
    assert_eq!(hasher.window((16 << 20) + 1, 0), Err(Drop::OutOfRange));
    assert_eq!(hasher.chunk(100, 1), Err(Drop::OutOfRange));
    assert_eq!(hasher.chunk(u32::MAX, 0), Err(Drop::OutOfRange));
    hasher.window(100, 0).unwrap();
    assert_eq!(hasher.update(&[0; 101]), Err(Drop::OutOfRange));
    hasher.update(&[0; 99]).unwrap();
    assert_eq!(hasher.finish(), Err(Drop::Truncated));
    hasher.update(&[0]).unwrap();
    assert_eq!(hasher.finish().unwrap(), name_of(&[0; 100]).hash);
}

#[test]
fn sizes__of_blobs() {
    // len, chunks, windows, bytes and chunks and bits of the last window
    for (len, chunks, windows, last, last_chunks, bits) in [
        (0, 1, 1, 0, 1, 1),
        (1, 1, 1, 1, 1, 1),
        (1024, 1, 1, 1024, 1, 1),
        (1025, 2, 1, 1025, 2, 3),
        (32768, 32, 1, 32768, 32, u32::MAX),
        (32769, 33, 2, 1, 1, 1),
        (16 << 20, 16384, 512, 32768, 32, u32::MAX),
        (u32::MAX, 4194304, 65535, 32768, 32, u32::MAX),
    ] {
        assert_eq!(blob::chunk_count(len), chunks);
        assert_eq!(blob::window_count(len), windows);
        assert_eq!(blob::window_len(len, windows - 1), last);
        assert_eq!(blob::window_chunks(len, windows - 1), last_chunks);
        assert_eq!(blob::window_bits(len, windows - 1), bits);
        if len <= 16 << 20 {
            assert_eq!(blob::window_len(len, windows), 0);
            assert_eq!(blob::window_bits(len, windows), 0);
        }
    }
}
