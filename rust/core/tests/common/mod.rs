// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A second, naive implementation of the trees, and small helpers. Recursive, allocating, obvious.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::cell::RefCell;
use std::collections::HashMap;

use feed_core::id::{Hash, HashBuf, Hashes};
use feed_core::leaf::Leaf;
use feed_core::tree::{Node, Pos};

/// An ASCII tag, zero-padded.
pub fn tag(text: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key[..text.len()].copy_from_slice(text.as_bytes());
    key
}

pub fn keyed(text: &str, message: &[u8]) -> Hash {
    Hash(*blake3::keyed_hash(&tag(text), message).as_bytes())
}

pub fn node(left: &Hash, right: &Hash) -> Hash {
    keyed("AF_FEED 1 node", &[left.0, right.0].concat())
}

pub fn root(n: u64, top: &Hash) -> Hash {
    keyed("AF_FEED 1 root", &[&n.to_le_bytes()[..], &top.0].concat())
}

/// The largest power of two below `n`.
pub fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// The trees of the prefixes of one list of leaves, by the recursive definitions. Remembers what it
/// has computed, or the tests would take minutes.
pub struct Naive {
    pub leaves: Vec<Hash>,
    known: RefCell<HashMap<(usize, usize), Hash>>,
}

impl Naive {
    pub fn new(leaves: Vec<Hash>) -> Self {
        Naive {
            leaves,
            known: RefCell::default(),
        }
    }

    /// RFC 9162 section 2.1.1: MTH(D[start:end]).
    pub fn mth(&self, start: usize, end: usize) -> Hash {
        if end - start == 1 {
            return self.leaves[start];
        }
        if let Some(known) = self.known.borrow().get(&(start, end)) {
            return *known;
        }
        let middle = start + split(end - start);
        let hash = node(&self.mth(start, middle), &self.mth(middle, end));
        self.known.borrow_mut().insert((start, end), hash);
        hash
    }

    pub fn root(&self, n: usize) -> Hash {
        if n == 0 {
            Hash::ZERO
        } else {
            root(n as u64, &self.mth(0, n))
        }
    }

    /// RFC 9162 section 2.1.3.1: PATH(m, D[0:n]).
    pub fn path(&self, m: usize, n: usize) -> Vec<Hash> {
        self.subpath(m, 0, n)
    }

    fn subpath(&self, m: usize, start: usize, end: usize) -> Vec<Hash> {
        if end - start < 2 {
            return Vec::new();
        }
        let middle = start + split(end - start);
        let (mut proof, sibling) = if m < middle {
            (self.subpath(m, start, middle), self.mth(middle, end))
        } else {
            (self.subpath(m, middle, end), self.mth(start, middle))
        };
        proof.push(sibling);
        proof
    }

    /// RFC 9162 section 2.1.4.1: SUBPROOF(m, D[0:n], whole).
    pub fn subproof(&self, m: usize, n: usize, whole: bool) -> Vec<Hash> {
        self.subsubproof(m, 0, n, whole)
    }

    fn subsubproof(&self, m: usize, start: usize, end: usize, whole: bool) -> Vec<Hash> {
        if m == end {
            return if whole {
                Vec::new()
            } else {
                vec![self.mth(start, end)]
            };
        }
        let middle = start + split(end - start);
        let (mut proof, sibling) = if m <= middle {
            (
                self.subsubproof(m, start, middle, whole),
                self.mth(middle, end),
            )
        } else {
            (
                self.subsubproof(m, middle, end, false),
                self.mth(start, middle),
            )
        };
        proof.push(sibling);
        proof
    }

    /// The hash of a node.
    pub fn node(&self, at: Node) -> Hash {
        let Pos { level, index } = at.pos();
        let start = (index << level) as usize;
        let end = match at {
            Node::Full(_) => start + (1 << level),
            Node::Edge { n, .. } => n as usize,
        };
        self.mth(start, end)
    }
}

pub fn leaf(seq: u64) -> Leaf {
    let payload = format!("entry {seq}");
    Leaf {
        seq,
        offset: seq * 16,
        time: 1_700_000_000_000 + seq,
        len: 16,
        flags: (seq & 3) as u32,
        blob: Hash(*blake3::hash(payload.as_bytes()).as_bytes()),
    }
}

pub fn leaf_hashes(n: u64) -> Vec<Hash> {
    (0..n).map(|seq| leaf(seq).hash()).collect()
}

pub fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// A tree that is far too large to have all its leaves: only the named ones are their own, all full
/// nodes without any of them hash by place.
pub struct Sparse {
    pub n: u64,
    pub leaves: HashMap<u64, Hash>,
}

impl Sparse {
    pub fn hash(&self, start: u64, len: u64) -> Hash {
        let mine: Vec<_> = self
            .leaves
            .keys()
            .filter(|seq| (start..start + len).contains(seq))
            .collect();
        if mine.is_empty() && len.is_power_of_two() {
            return keyed("filler", &[start.to_le_bytes(), len.to_le_bytes()].concat());
        }
        if len == 1 {
            return self.leaves[&start];
        }
        let left = len.next_power_of_two() / 2;
        node(
            &self.hash(start, left),
            &self.hash(start + left, len - left),
        )
    }

    pub fn at(&self, node: Node) -> Hash {
        let Pos { level, index } = node.pos();
        let start = index << level;
        let len = match node {
            Node::Full(_) => 1 << level,
            Node::Edge { n, .. } => n - start,
        };
        self.hash(start, len)
    }

    pub fn root(&self) -> Hash {
        root(self.n, &self.hash(0, self.n))
    }

    pub fn proof(&self, nodes: impl Iterator<Item = Node>) -> Vec<u8> {
        nodes.flat_map(|node| self.at(node).0).collect()
    }
}

pub fn buf<const N: usize>(hashes: impl IntoIterator<Item = Hash>) -> HashBuf<N> {
    let mut buf = HashBuf::default();
    for hash in hashes {
        assert!(buf.push(&hash));
    }
    buf
}

pub fn view(bytes: &[u8]) -> Hashes<'_> {
    Hashes::new(bytes).expect("whole hashes")
}

/// Each copy of `bytes` with one bit flipped.
pub fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    })
}
