// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The leaf: what the tree commits to for each entry.

use crate::bytes::{Reader, Writer};
use crate::error::Drop;
use crate::id::{BlobName, Hash};
use crate::sign::tag32;
use crate::wire::{MAX_BLOB_LEN, MAX_ENTRIES};

/// Length of a leaf, bytes.
pub const LEAF_LEN: usize = 64;

/// The flag bits that belong to the author; the others are zero on the wire.
pub const LEAF_FLAGS_MASK: u32 = 0xffff;

/// The key under which a leaf is hashed.
pub const KEY_LEAF: [u8; 32] = tag32(b"AF_FEED 1 leaf");

/// One record of a feed, without its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// Index from 0.
    pub seq: u64,
    /// Payload bytes of all entries before it.
    pub offset: u64,
    /// Author's time, ms since 1970, 0 if unstated.
    pub time: u64,
    /// Payload length, bytes.
    pub len: u32,
    /// The low 16 bits are the author's and opaque to caches.
    pub flags: u32,
    /// BLAKE3 of the payload.
    pub blob: Hash,
}

impl Leaf {
    /// Reads a leaf and checks what can be checked without the tree.
    pub fn parse(bytes: &[u8; LEAF_LEN]) -> Result<Leaf, Drop> {
        let leaf = Self::read(bytes).ok_or(Drop::BadLeaf)?;
        let end = leaf.offset.checked_add(u64::from(leaf.len));
        let sound = leaf.seq < MAX_ENTRIES
            && leaf.len <= MAX_BLOB_LEN
            && leaf.flags & !LEAF_FLAGS_MASK == 0;
        if !sound || end.is_none() || (leaf.seq == 0 && leaf.offset != 0) {
            return Err(Drop::BadLeaf);
        }
        Ok(leaf)
    }

    /// Reads the fields and checks nothing.
    pub(crate) fn read(bytes: &[u8; LEAF_LEN]) -> Option<Leaf> {
        let mut r = Reader::new(bytes);
        Some(Leaf {
            seq: r.u64()?,
            offset: r.u64()?,
            time: r.u64()?,
            len: r.u32()?,
            flags: r.u32()?,
            blob: Hash(*r.array()?),
        })
    }

    /// The 64 bytes that are hashed and sent.
    pub fn to_bytes(&self) -> [u8; LEAF_LEN] {
        let mut out = [0; LEAF_LEN];
        Writer::new(&mut out)
            .u64(self.seq)
            .u64(self.offset)
            .u64(self.time)
            .u32(self.len)
            .u32(self.flags)
            .put(&self.blob.0);
        out
    }

    /// The leaf's node in the tree.
    pub fn hash(&self) -> Hash {
        Hash(*blake3::keyed_hash(&KEY_LEAF, &self.to_bytes()).as_bytes())
    }

    /// The payload's name.
    pub fn blob_name(&self) -> BlobName {
        BlobName {
            hash: self.blob,
            len: self.len,
        }
    }

    /// Payload bytes of all entries up to and with this one.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }

    /// Whether `next` can be the entry after this one.
    pub fn check_next(&self, next: &Leaf) -> Result<(), Drop> {
        if self.seq.checked_add(1) == Some(next.seq) && self.end() == next.offset {
            Ok(())
        } else {
            Err(Drop::BadOffset)
        }
    }
}
