// SPDX-License-Identifier: GPL-2.0

//! A reserved extent: bytes that come in, are checked, and only then can be found.
//!
//! Whoever holds an [`Extent`] is the only one who knows where it is. Its bytes may be anything
//! until a hash over them has been compared; publishing is what makes them findable, and is for
//! verified bytes only.

use super::{
    arena::Taken,
    index::{
        Entry,
        Key, //
    },
    Owner,
    RecentObjects,
    Store,
    INFO_PUBLIC, //
};
use crate::simd::blake3::{
    window_cv,
    Cv, //
};
use core::ops::Range;
use feed_core::{
    blob::CHUNK,
    id::BlobName, //
};
use kernel::{
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    }, //
};

/// Room for one window of a blob. Dropping it gives the room back.
///
/// Context of all methods and of dropping: any; but the last reference to a [`Store`] may only
/// be dropped in process context, so no extent outlives what the store belongs to.
pub(crate) struct Extent {
    store: Arc<Store>,
    taken: Taken,
    len: u32,
    name: Option<(BlobName, u16)>,
    public: bool,
    /// Who pays, if it is pinned.
    owner: Option<Owner>,
}

impl Extent {
    pub(super) fn new(
        store: Arc<Store>,
        taken: Taken,
        len: u32,
        name: Option<(BlobName, u16)>,
        public: bool,
        owner: Option<Owner>,
    ) -> Self {
        store.counters.extents_reserved.add(1, Relaxed);
        Self {
            store,
            taken,
            len,
            name,
            public,
            owner,
        }
    }

    /// Bytes of the window.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Copies unverified bytes to their place. False if they would not be inside.
    pub(crate) fn write(&mut self, offset: u32, bytes: &[u8]) -> bool {
        let inside = (offset as usize)
            .checked_add(bytes.len())
            .is_some_and(|end| end <= self.len as usize);

        inside
            && self
                .taken
                .folios
                .write((self.taken.place.offset + offset) as usize, bytes)
    }

    /// Has `fill` write unverified bytes to their place, piece by piece, see [`Folios::fill`]. False
    /// if they would not be inside, or `fill` says so.
    ///
    /// [`Folios::fill`]: crate::mm::Folios::fill
    pub(crate) fn fill(
        &mut self,
        offset: u32,
        len: u32,
        fill: impl FnMut(usize, &mut [u8]) -> bool,
    ) -> bool {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let start = self.taken.place.offset as usize + offset as usize;

        inside && self.taken.folios.fill(start, len as usize, fill)
    }

    /// Lends the bytes from `offset` on, in the pieces in which they lie in memory: every one but
    /// the last is whole chunks. `None` if they are not inside.
    pub(crate) fn lend<R>(
        &self,
        offset: u32,
        len: u32,
        look: impl FnOnce(&[&[u8]]) -> R,
    ) -> Option<R> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let start = (self.taken.place.offset + offset) as usize;

        if !inside {
            return None;
        }
        self.taken.folios.lend(start, len as usize, look)
    }

    /// All of the bytes, if they lie in one piece, as those of less than a page do.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.taken
            .folios
            .piece(self.taken.place.offset as usize, self.len as usize)
    }

    /// The chaining value of `chunks`, counted in the window: all of them, or one. `first_chunk`
    /// is the blob's number of the window's chunk 0. `root`: they are the whole blob, and its
    /// hash is wanted.
    pub(crate) fn cv(&self, chunks: Range<u8>, first_chunk: u64, root: bool) -> Option<Cv> {
        let start = u32::from(chunks.start) * CHUNK;
        let end = (u32::from(chunks.end) * CHUNK).min(self.len);
        let len = end.checked_sub(start)?;
        let first_chunk = first_chunk + u64::from(chunks.start);
        self.lend(start, len, |pieces| window_cv(pieces, first_chunk, root))?
    }

    /// Makes the window findable, which must be verified. If it is so already the extent is not
    /// needed. False if the index has no room.
    pub(crate) fn publish(mut self, recent: &mut RecentObjects, hops: u8) -> bool {
        match self.name {
            Some((blob, window)) => {
                recent.forget(&Key::blob(&blob, window));
                self.publish_as(&blob, window, hops)
            }
            None => false,
        }
    }

    /// As [`Extent::publish`], for an author who learns the name last, and may try again.
    pub(crate) fn publish_as(&mut self, blob: &BlobName, window: u16, hops: u8) -> bool {
        let key = Key::blob(blob, window);
        if key.stored_len() != self.len {
            return false;
        }
        let info = u64::from(hops) | if self.public { INFO_PUBLIC } else { 0 };
        let store = &self.store;
        let hash = store.index.hash(&key);
        let mut published = self.point_at(&key, hash, info);
        // An author is not to be told that the store is full because the worker has not come to
        // enlarge the index. Context: process, may sleep; unlike the cache's.
        for _ in 0..TRIES {
            if !matches!(published, Published::Full) || self.owner.is_none() {
                break;
            }
            store.upkeep_now();
            published = self.point_at(&key, hash, info);
        }
        match published {
            Published::Yes(tight) => {
                // The room is used, and paid for as long as the store lives.
                self.taken.keep();
                if tight {
                    self.store.kick();
                }
                true
            }
            Published::Dropped => true,
            Published::Full => {
                store.counters.index_full.add(1, Relaxed);
                store.kick();
                false
            }
        }
    }

    /// Points the index at it, unless that finds the same bytes already. Context: any.
    fn point_at(&self, key: &Key, hash: u64, info: u64) -> Published {
        let store = &self.store;
        let place = self.taken.place;
        store.index.with(hash, |shard| {
            let pinned = self.owner.is_some();
            let Some((segment, _)) = store.segments.find(place.segment) else {
                // Flushed meanwhile: verified all the same, but there is nothing to find.
                return Published::Dropped;
            };
            if let Some(entry) = shard.find(key, hash, &store.segments) {
                let before = store.segments.find(entry.segment());
                if !pinned || before.as_ref().is_some_and(|(_, view)| view.pinned()) {
                    entry.set_info(info & INFO_PUBLIC);
                    return Published::Dropped;
                }
                // What was cached becomes pinned.
                if let Some((before, _)) = before {
                    before.lose(self.len);
                }
                entry.set_place(place);
                entry.set_info(info & INFO_PUBLIC);
            } else if shard
                .insert(&Entry::new(key, hash, place, info), &store.segments)
                .is_err()
            {
                return Published::Full;
            }
            segment.gain(self.len);
            Published::Yes(shard.is_tight())
        })
    }
}

/// How often an author's window is tried when the index has no room.
const TRIES: usize = 4;

enum Published {
    Yes(bool),
    Dropped,
    Full,
}

impl Drop for Extent {
    fn drop(&mut self) {
        match self.owner {
            Some(owner) => self.store.give_back_pinned(&self.taken, owner),
            None => self.store.give_back(&self.taken),
        }
        self.store.counters.extents_released.add(1, Relaxed);
    }
}
