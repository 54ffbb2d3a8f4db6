// SPDX-License-Identifier: GPL-2.0

//! One array of a shard of the index: entries, found by open addressing.
//!
//! An entry lies at the first free place from where its hash points, and removal moves later entries
//! up, so there are no tombstones.
//!
//! Context: whatever the shard's lock allows; allocation in process context.

use super::{
    index::{
        Entry,
        Keep,
        Key, //
    },
    segments::Segments, //
};
use crate::mm;
use kernel::prelude::*;

/// Entries that are allocated together: 16 KiB.
const CHUNK: usize = 256;

/// An array of entries. In one piece the kernel would round it up to a power of two of pages, which
/// is a fifth of the index.
struct Entries {
    chunks: KVVec<KVec<Entry>>,
    len: usize,
}

impl Entries {
    fn new(len: usize) -> Result<Self> {
        let mut chunks = KVVec::with_capacity(len.div_ceil(CHUNK), GFP_KERNEL_ACCOUNT)?;
        for first in (0..len).step_by(CHUNK) {
            let chunk = KVec::from_elem(Entry::NONE, CHUNK.min(len - first), GFP_KERNEL_ACCOUNT)?;
            chunks.push(chunk, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self { chunks, len })
    }

    #[inline]
    fn get(&self, at: usize) -> Option<&Entry> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    #[inline]
    fn get_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }
}

/// One array of a shard. Its length need not be a power of two.
pub(super) struct Table {
    entries: Entries,
    used: usize,
}

impl Table {
    /// One with `len` places. Context: process, may sleep.
    pub(super) fn allocate(len: usize) -> Result<Self> {
        Ok(Self {
            entries: Entries::new(len)?,
            used: 0,
        })
    }

    /// Places.
    pub(super) fn len(&self) -> usize {
        self.entries.len
    }

    /// Entries.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Bytes.
    pub(super) fn bytes(&self) -> usize {
        self.len() * size_of::<Entry>()
    }

    /// Says that all places are taken, which they are not, or takes that back.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn jam(&mut self, jammed: bool) {
        if jammed {
            self.used += self.len();
        } else {
            self.used -= self.len();
        }
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&Entry> {
        self.entries.get(at)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.entries.get_mut(at)
    }

    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) * self.len() as u64 >> 32) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.len() {
            0
        } else {
            at + 1
        }
    }

    /// Where the entry is; else where it would go: an empty place.
    #[inline]
    fn probe(&self, key: &Key, hash: u32) -> Result<usize, Option<usize>> {
        let mut at = self.home(hash);
        for _ in 0..self.len() {
            let Some(entry) = self.get(at) else {
                break;
            };
            if entry.empty() {
                return Err(Some(at));
            }
            if entry.is(key, hash) {
                return Ok(at);
            }
            at = self.next(at);
        }
        Err(None)
    }

    /// The first place on the way from where `hash` points whose segment is gone. Asked for only when
    /// there is no other: segments' records are memory that no cache has.
    #[inline(never)]
    fn dead(&self, hash: u32, segments: &Segments) -> Option<usize> {
        let mut at = self.home(hash);
        for _ in 0..self.len() {
            let entry = self.get(at)?;
            if entry.empty() {
                return None;
            }
            if !segments.alive(entry.segment()) {
                return Some(at);
            }
            at = self.next(at);
        }
        None
    }

    /// Where the entry is.
    pub(super) fn find(&self, key: &Key, hash: u32) -> Option<usize> {
        self.probe(key, hash).ok()
    }

    /// Asks the memory for where [`Table::find`] will look first.
    pub(super) fn prefetch(&self, hash: u32) {
        if let Some(entry) = self.get(self.home(hash)) {
            mm::prefetch(entry);
        }
    }

    /// Entries that it may have: probing slows to a crawl before the last place is taken.
    pub(super) fn room(&self) -> usize {
        self.len() - self.len() / 16
    }

    /// Puts an entry that is not there yet; false if there is no place.
    pub(super) fn put(&mut self, entry: &Entry, segments: &Segments) -> bool {
        let at = match self.probe(&entry.key(), entry.hash()) {
            Err(Some(at)) if self.used < self.room() => Some(at),
            Err(_) => self.dead(entry.hash(), segments),
            Ok(at) => Some(at),
        };
        let Some(place) = at.and_then(|at| self.get_mut(at)) else {
            return false;
        };
        let is_new = place.empty();
        *place = *entry;
        self.used += usize::from(is_new);
        true
    }

    /// Removes an entry and closes the gap.
    pub(super) fn remove(&mut self, at: usize) {
        let len = self.len();
        let mut gap = at;
        let mut from = self.next(at);
        // Distances go round the end of the array.
        let distance = |to: usize, from: usize| {
            if to >= from {
                to - from
            } else {
                to + len - from
            }
        };
        for _ in 1..len {
            let Some(entry) = self.get(from).filter(|entry| !entry.empty()).copied() else {
                break;
            };
            // It may move up if that does not put it before its home.
            if distance(from, self.home(entry.hash())) >= distance(from, gap) {
                if let Some(place) = self.get_mut(gap) {
                    *place = entry;
                }
                gap = from;
            }
            from = self.next(from);
        }
        if let Some(place) = self.get_mut(gap) {
            *place = Entry::NONE;
        }
        self.used -= 1;
    }

    /// Looks at up to `count` places from `at` on; true when that was the end.
    pub(super) fn scan(
        &mut self,
        at: &mut usize,
        count: usize,
        look: &mut impl FnMut(&Entry) -> Keep,
    ) -> bool {
        for _ in 0..count {
            let Some(entry) = self.get(*at) else {
                return true;
            };
            if !entry.empty() && look(entry) == Keep::No {
                // Another entry may have come here: look again.
                self.remove(*at);
            } else {
                *at += 1;
            }
        }
        *at >= self.len()
    }
}
