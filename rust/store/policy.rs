// SPDX-License-Identifier: GPL-2.0

//! The eviction policy: feed_core's, with tables of kernel memory.
//!
//! It knows the sealed segments of the cache, by their slots. Hits are gathered in the segments'
//! records and told to it before it chooses, so that a hit takes no lock of the policy.

use crate::mm;
use feed_core::engine::{
    env::{
        Memory,
        PortId, //
    },
    evict::{
        self,
        Victim, //
    },
    Lend, //
};
use kernel::prelude::*;

pub(super) use feed_core::engine::evict::Class;

/// Segments that a new store has room for in its tables.
const SEGMENTS_FIRST: usize = 256;
/// Evicted keys that are remembered for each segment, and at most: 512 KiB.
const GHOSTS_PER_SEGMENT: usize = 8;
const GHOSTS_MAX: usize = 1 << 17;

/// Memory of the kernel for tables of feed_core.
struct Tables;

impl Memory for Tables {
    type Of<T> = KVVec<T>;
}

impl Lend<Tables> for Tables {
    type Error = Error;

    fn lend<T: Default>(&mut self, len: usize) -> Result<KVVec<T>> {
        mm::defaults(len)
    }
}

/// See the head of this file.
pub(super) struct Policy {
    core: evict::Policy<Tables>,
    /// Slots that its table has.
    slots: usize,
}

impl Policy {
    /// For a new store. Context: process, may sleep.
    pub(super) fn new() -> Result<Self> {
        Self::with_room(SEGMENTS_FIRST)
    }

    /// Knows nothing yet, but has room for `slots` segments. Context: process, may sleep.
    pub(super) fn with_room(slots: usize) -> Result<Self> {
        let ghosts = (slots * GHOSTS_PER_SEGMENT).min(GHOSTS_MAX);
        Ok(Self {
            core: evict::Policy::lend(slots, ghosts, &mut Tables)?,
            slots,
        })
    }

    /// Whether `slot` is too high for its table. Context: any.
    pub(super) fn lacks(&self, slot: u32) -> bool {
        slot as usize >= self.slots
    }

    /// Where a new extent of this key goes. Context: any.
    pub(super) fn admit(&mut self, hash: u64) -> Class {
        self.core.admit(hash)
    }

    /// A key was evicted without having been looked up. Context: any.
    pub(super) fn remember(&mut self, hash: u64) {
        self.core.remember(hash);
    }

    /// A segment was sealed. Context: any.
    pub(super) fn insert(&mut self, slot: u32, class: Class) {
        // Whose segment it is does not matter: hits right after the storing, which any port
        // could cause, are not told.
        self.core.insert(slot, class, PortId::default());
    }

    /// A segment was hit since the last call. Context: any.
    pub(super) fn touch(&mut self, slot: u32) {
        self.core.touch(slot, PortId::LOCAL);
    }

    /// A segment has gone. Context: any.
    pub(super) fn remove(&mut self, slot: u32) {
        self.core.remove(slot);
    }

    /// The slot of the segment to go next, which is not known any more from now on. What is hot in
    /// it is saved either way, because hits are known for each entry. Context: any.
    pub(super) fn next_victim(&mut self) -> Option<u32> {
        let (Victim::Evict(slot) | Victim::Rescue(slot)) = self.core.victim()?;
        self.core.remove(slot);
        Some(slot)
    }

    /// Segments that it knows. Context: any.
    pub(super) fn len(&self) -> usize {
        self.core.len()
    }
}
