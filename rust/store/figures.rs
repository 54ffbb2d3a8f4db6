// SPDX-License-Identifier: GPL-2.0

//! What a store counts.

use super::{
    Store,
    SEGMENT_BYTES, //
};
use kernel::sync::atomic::{
    ordering::Relaxed,
    Atomic, //
};

/// Counters that go up, from any context.
pub(super) struct Counters {
    pub(super) segments_created: Atomic<u64>,
    pub(super) segments_freed: Atomic<u64>,
    pub(super) extents_reserved: Atomic<u64>,
    pub(super) extents_released: Atomic<u64>,
    pub(super) hits: Atomic<u64>,
    pub(super) misses: Atomic<u64>,
    pub(super) evicted: Atomic<u64>,
    pub(super) reclaimed: Atomic<u64>,
    pub(super) rescued: Atomic<u64>,
    pub(super) index_full: Atomic<u64>,
    pub(super) busy: Atomic<u64>,
    /// Entries of the index whose segment is gone, as far as nobody has met them. An estimate.
    pub(super) dead_entries: Atomic<i64>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            segments_created: Atomic::new(0),
            segments_freed: Atomic::new(0),
            extents_reserved: Atomic::new(0),
            extents_released: Atomic::new(0),
            hits: Atomic::new(0),
            misses: Atomic::new(0),
            evicted: Atomic::new(0),
            reclaimed: Atomic::new(0),
            rescued: Atomic::new(0),
            index_full: Atomic::new(0),
            busy: Atomic::new(0),
            dead_entries: Atomic::new(0),
        }
    }
}

/// How a store is doing. Each figure is true for itself; together they are of about one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Segments, pinned ones and pools included.
    pub(crate) segments: u64,
    /// Bytes of these segments: what counts against the limit.
    pub(crate) bytes: u64,
    /// Bytes that may be used.
    pub(crate) bytes_limit: u64,
    /// Bytes that can be found.
    pub(crate) bytes_live: u64,
    /// Bytes of pinned segments.
    pub(crate) bytes_pinned: u64,
    /// Bytes that are in the page cache at the moment.
    pub(crate) bytes_resident: u64,
    /// Bytes of the index.
    pub(crate) bytes_index: u64,
    /// Entries of the index.
    pub(crate) entries: u64,
    /// Segments evicted at the limit.
    pub(crate) evicted: u64,
    /// Segments that the kernel took.
    pub(crate) reclaimed_by_kernel: u64,
    /// Windows and objects that were saved from evicted segments because they were in use.
    pub(crate) rescued: u64,
    /// Writes that found no empty segment.
    pub(crate) pool_empty: u64,
    /// Writes that found no room in the index.
    pub(crate) index_full: u64,
    /// Writes to an object that the kernel was moving.
    pub(crate) busy: u64,
    /// Reads that found what they looked for.
    pub(crate) hits: u64,
    /// Reads that did not.
    pub(crate) misses: u64,
}

impl Store {
    /// How the store is doing. Context: any, but it looks at every segment's record.
    pub(crate) fn figures(&self) -> Figures {
        let counters = &self.counters;
        let bytes = |segments: usize| (segments as u64).saturating_mul(SEGMENT_BYTES as u64);
        let mut live = 0;
        let mut pinned = 0;
        for slot in 0..self.segments.len() {
            let view = self.segments.look(slot);
            if view.alive() {
                pinned += usize::from(view.pinned());
                live += self
                    .segments
                    .record(slot)
                    .map_or(0, |segment| segment.live().into());
            }
        }
        let count = self.count.load(Relaxed);
        Figures {
            segments: count as u64,
            bytes: bytes(count),
            bytes_limit: bytes(self.limit.load(Relaxed).min(self.ground.cap())),
            bytes_live: live,
            bytes_pinned: bytes(pinned),
            bytes_resident: ((self.cache.mapping.cached_pages()
                + self.pinned.mapping.cached_pages())
                * crate::mm::PAGE_SIZE) as u64,
            bytes_index: self.index.bytes() as u64,
            entries: self.index.len() as u64,
            evicted: counters.evicted.load(Relaxed),
            reclaimed_by_kernel: counters.reclaimed.load(Relaxed),
            rescued: counters.rescued.load(Relaxed),
            pool_empty: self.cache.empty.load(Relaxed),
            index_full: counters.index_full.load(Relaxed),
            busy: counters.busy.load(Relaxed),
            hits: counters.hits.load(Relaxed),
            misses: counters.misses.load(Relaxed),
        }
    }
}
