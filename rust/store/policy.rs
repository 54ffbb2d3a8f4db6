// SPDX-License-Identifier: GPL-2.0

//! What is worth keeping: admission by what was evicted not long ago.
//!
//! After S3-FIFO (Yang et al., 2023), with segments for queues: what is new goes to segments on
//! probation, which are evicted soon; a key that comes back shortly after its eviction goes to a
//! main segment, as does what was looked up while on probation. So a scan passes through
//! probation and leaves the main segments alone. Both queues are in the order in which their segments
//! were opened; see `upkeep` for the choice between them.

use super::arena::Class;
use kernel::prelude::*;

/// Keys that are remembered at most; 256 KiB.
const GHOSTS_MAX: usize = 1 << 16;
/// Keys that are remembered by a store that has evicted nothing yet.
const GHOSTS_MIN: usize = 1 << 10;

/// The keys that were evicted last, as fingerprints in a table where a new one replaces an old.
pub(super) struct Policy {
    ghosts: KVVec<u32>,
}

impl Policy {
    /// Context: process, may sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            ghosts: KVVec::from_elem(0, GHOSTS_MIN, GFP_KERNEL)?,
        })
    }

    /// Where a new extent of this key goes; it is forgotten with that. Context: any.
    pub(super) fn admit(&mut self, hash: u64) -> Class {
        match self.ghost(hash) {
            Some(ghost) if *ghost == fingerprint(hash) => {
                *ghost = 0;
                Class::Main
            }
            _ => Class::Probation,
        }
    }

    /// A key was evicted without having been looked up. Context: any.
    pub(super) fn remember(&mut self, hash: u64) {
        if let Some(ghost) = self.ghost(hash) {
            *ghost = fingerprint(hash);
        }
    }

    /// A longer table for a store of `entries` entries, if it should have one: several for
    /// each entry, because a ghost takes the place of another one. Context: process, may sleep.
    pub(super) fn larger(len: usize, entries: usize) -> Option<KVVec<u32>> {
        let wanted = (4 * entries)
            .next_power_of_two()
            .clamp(GHOSTS_MIN, GHOSTS_MAX);
        if wanted <= len {
            return None;
        }
        KVVec::from_elem(0, wanted, GFP_KERNEL).ok()
    }

    /// Replaces the table by an empty one, and gives the old one back. Context: any.
    pub(super) fn replace(&mut self, ghosts: KVVec<u32>) -> KVVec<u32> {
        core::mem::replace(&mut self.ghosts, ghosts)
    }

    /// Its length. Context: any.
    pub(super) fn len(&self) -> usize {
        self.ghosts.len()
    }

    fn ghost(&mut self, hash: u64) -> Option<&mut u32> {
        let at = hash as usize & (self.ghosts.len() - 1);
        self.ghosts.get_mut(at)
    }
}

fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}
