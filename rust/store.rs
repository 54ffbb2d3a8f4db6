// SPDX-License-Identifier: GPL-2.0

//! The store: verified bytes of a network namespace, in the page cache.
//!
//! What is here may vanish at any moment, because the kernel takes cached segments when it needs
//! memory; what is found is what was published, whole. Nothing is ever overwritten in place.
//!
//! | file | holds |
//! |---|---|
//! | `segments` | the table of segments of 64 KiB |
//! | `arena` | segments being filled, and the pool of empty ones |
//! | `extent` | a reserved piece, until it is published |
//! | `index` | where the bytes of a name lie |
//! | `table` | one array of it |
//! | `read` | finding and reading: blob windows, slots of objects |
//! | `recent` | what was looked for a moment ago |
//! | `write` | reserving and writing, for the network and for authors |
//! | `pinned` | room for authors, and who pays for it |
//! | `policy` | feed_core's choice of what goes, with tables of kernel memory |
//! | `upkeep` | the worker: pools, eviction, sweeping, limits |
//! | `ground` | what the namespaces share: file system, work queue, the cap, users' quotas |
//! | `figures` | counters |
//!
//! Locks, in the order in which they are taken: `memory` mutex; `upkeep` mutex; `wasted` mutex; slot mutex or
//! users' mutex (both innermost of the sleeping ones); a shard of the index; an arena, its `objects`, or the
//! policy. The latter four are taken with softirqs off, for a few hundred nanoseconds (an arena for some
//! microseconds when memory leaves the machine), and nothing is allocated under them.
//!
//! Life: [`Store::new`] when the namespace comes, [`Store::activate`] when it gets its first port
//! or feed, [`Store::shutdown`] when it goes; by then all extents have been dropped. The last
//! reference is dropped in process context.

mod arena;
mod extent;
mod figures;
mod ground;
mod index;
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) mod kunit;
mod pinned;
mod policy;
mod read;
mod recent;
mod segments;
mod table;
mod upkeep;
mod write;

pub(crate) use extent::Extent;
pub(crate) use figures::Figures;
pub(crate) use ground::{
    Ground,
    Owner, //
};
pub(crate) use read::Piece;
pub(crate) use recent::RecentObjects;

use self::{
    arena::{
        Arena,
        Taken, //
    },
    figures::Counters,
    index::Index,
    pinned::Wasted,
    policy::{
        Class,
        Policy, //
    },
    segments::{
        SegmentId,
        Segments, //
    },
    upkeep::Upkeep, //
};
use crate::{
    mm::{
        self,
        removal::{
            self,
            MemoryWatch,
            Removal, //
        },
        Folios,
        MemCgroup, //
    },
    pairs,
    sync::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use feed_core::siphash::SipKey;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        Mutex, //
    },
    workqueue::{
        new_delayed_work,
        new_work,
        DelayedWork,
        Work, //
    }, //
};

/// Bytes of a segment.
pub(crate) const SEGMENT_BYTES: usize = mm::RUN_BYTES;
/// Pages of a segment.
const SEGMENT_PAGES: usize = mm::RUN_PAGES;
/// Bytes of an object, whatever its slots.
const OBJECT_BYTES: u32 = 2048;
/// The smallest limit of a store: less would leave nothing beside the pool.
pub(crate) const LIMIT_MIN: usize = 32 * SEGMENT_BYTES;

/// What the index remembers of a blob window: hops in the low byte, and whether a host may
/// answer with it.
const INFO_HOPS: u64 = 0xff;
const INFO_PUBLIC: u64 = 1 << 8;

pub(crate) use feed_core::engine::env::{
    BlobInfo,
    Charge,
    Full, //
};

/// The store of one network namespace.
#[pin_data(PinnedDrop)]
pub(crate) struct Store {
    index: Index,
    #[pin]
    segments: Segments,
    #[pin]
    cache: Arena,
    #[pin]
    pinned: Arena,
    /// Keeps pinned segments in memory. Grows by one for each.
    #[pin]
    pinned_folios: Mutex<KVVec<(SegmentId, Arc<Folios>)>>,
    /// Pinned room that nobody can use before its segment ends.
    #[pin]
    wasted: Mutex<KVVec<Wasted>>,
    #[pin]
    policy: SpinLockBh<Policy>,
    #[pin]
    upkeep: Mutex<Upkeep>,
    #[pin]
    work: Work<Store, 0>,
    #[pin]
    tick: DelayedWork<Store, 1>,
    /// From when on it is in use until its end: has it give way to memory that leaves the machine.
    #[pin]
    memory: Mutex<Option<MemoryWatch<Resident>>>,
    /// Whether the worker was called and has not begun.
    called: Atomic<bool>,
    /// Whether the pool is kept filled.
    active: Atomic<bool>,
    /// Segments there are, in both arenas, pools included.
    count: Atomic<usize>,
    /// Segments there may be.
    limit: Atomic<usize>,
    counters: Counters,
    /// What authors have pinned, for the refund.
    #[pin]
    owners: Mutex<KVec<(Owner, u64)>>,
    /// The namespace creator's: pays for all pages.
    payer: MemCgroup,
    // Last, because it holds the file system that the mappings are in.
    ground: Arc<Ground>,
}

/// A store that is told of memory that goes.
struct Resident(Arc<Store>);

impl removal::Watch for Resident {
    fn removal(&self, what: Removal) {
        if let Removal::Going(frames) = what {
            self.0.vacate(&frames);
        }
    }
}

kernel::impl_has_work! {
    impl HasWork<Store, 0> for Store { self.work }
}

kernel::impl_has_delayed_work! {
    impl HasDelayedWork<Store, 1> for Store { self.tick }
}

impl Store {
    /// An empty store. The current task's memory control group pays for it: page cache that is
    /// added in process context on behalf of the store is charged to it, and its limit is one
    /// more limit of the store.
    ///
    /// `secret` keys the index: names are chosen by strangers. Context: process, may sleep.
    pub(crate) fn new(ground: Arc<Ground>, secret: SipKey) -> Result<Arc<Self>> {
        let memory = mm::total_pages() * mm::PAGE_SIZE;
        let segments = Segments::new(memory.min(index::SLOTS_MAX * SEGMENT_BYTES))?;
        let cache = Arena::new(ground.fs.mapping(false)?)?;
        let pinned = Arena::new(ground.fs.mapping(true)?)?;
        let index = Index::new(secret)?;
        let policy = Policy::new()?;

        let store = Arc::pin_init(
            try_pin_init!(Self {
                index,
                segments <- segments,
                cache <- cache,
                pinned <- pinned,
                pinned_folios <- new_mutex!(KVVec::new(), "feed_pinned"),
                wasted <- new_mutex!(KVVec::new(), "feed_wasted"),
                policy <- new_spinlock_bh!(policy, "feed_policy"),
                upkeep <- new_mutex!(Upkeep::new(), "feed_upkeep"),
                work <- new_work!("feed_store"),
                tick <- new_delayed_work!(),
                memory <- new_mutex!(None, "feed_memory"),
                called: Atomic::new(false),
                active: Atomic::new(false),
                count: Atomic::new(0),
                limit: Atomic::new(usize::MAX),
                counters: Counters::new(),
                owners <- new_mutex!(KVec::new(), "feed_owners"),
                payer: MemCgroup::of_current(),
                ground,
            }? Error),
            GFP_KERNEL,
        )?;
        Ok(store)
    }

    /// Fills the pool, from now on until [`Store::shutdown`]: the namespace is in use. Context:
    /// process, may sleep.
    pub(crate) fn activate(self: &Arc<Self>) -> Result {
        if self.active.load(Relaxed) {
            return Ok(());
        }
        let mut memory = self.memory.lock();
        if memory.is_none() {
            *memory = Some(removal::watch(Resident(self.clone()))?);
            self.active.store(true, Relaxed);
            // From now on it counts when the cap is shared.
            self.ground.enter();
        }
        drop(memory);
        self.work_once(false);
        Ok(())
    }

    /// The arena that a segment is of.
    fn arena(&self, pinned: bool) -> &Arena {
        if pinned {
            &self.pinned
        } else {
            &self.cache
        }
    }

    /// Ends a reservation in the cache. Context: any.
    fn give_back(&self, taken: &Taken) {
        self.cache.give_back(taken, &self.segments);
    }

    /// Makes an empty segment, within all limits. ENOSPC says that a limit is reached, other
    /// errors that memory is short. Context: process, may sleep.
    fn add_segment(&self, pinned: bool) -> Result<(SegmentId, Arc<Folios>)> {
        self.charge()?;
        let made = self.segments.create(pinned).and_then(|(id, view)| {
            if !pinned {
                self.room_in_policy(id.slot);
            }
            let folios = self
                .arena(pinned)
                .mapping
                .populate(view.page(), &self.payer)
                .and_then(|folios| Ok(Arc::new(folios, GFP_KERNEL)?));
            if folios.is_err() {
                self.segments.end(id);
                self.arena(pinned)
                    .mapping
                    .truncate(view.page(), SEGMENT_PAGES);
            }
            let folios = folios?;
            if let Some(segment) = self.segments.record(id.slot) {
                folios.remember(segment.hints());
            }
            Ok((id, folios))
        });
        match &made {
            Ok(_) => self.counters.segments_created.add(1, Relaxed),
            Err(_) => self.uncharge(),
        }
        made
    }

    /// Ends a segment and frees its pages. What the index has of it is dead from now on.
    /// Context: process, may sleep.
    fn end_segment(&self, id: SegmentId) -> bool {
        // Before the slot is free for another.
        if self.segments.alive(id) {
            self.policy.lock().remove(id.slot);
        }
        let Some((view, entries)) = self.segments.end(id) else {
            return false;
        };
        self.arena(view.pinned())
            .mapping
            .truncate(view.page(), SEGMENT_PAGES);
        self.uncharge();
        self.counters.dead_entries.add(i64::from(entries), Relaxed);
        self.counters.segments_freed.add(1, Relaxed);
        true
    }

    /// A segment is full. Context: any.
    fn seal(&self, id: SegmentId, class: Class) {
        let pinned = self.segments.look(id.slot).pinned();
        if self.segments.seal(id) && !pinned {
            self.policy.lock().insert(id.slot, class);
        }
    }

    /// Gives the policy a larger table if `slot` asks for one. If there is no memory for it the
    /// segment is not known to the policy, and only the kernel takes it. Context: process, may
    /// sleep.
    fn room_in_policy(&self, slot: u32) {
        if !self.policy.lock().lacks(slot) {
            return;
        }
        let room = (slot as usize + 1).next_power_of_two();
        let Ok(mut policy) = self.payer.charge(|| Policy::with_room(room)) else {
            return;
        };
        // Slots are used in order until the first segment is freed, so this is their age. The
        // lock keeps the old table until the new one knows all: none is sealed in between.
        let mut current = self.policy.lock();
        for slot in 0..self.segments.len() {
            let view = self.segments.look(slot);
            if view.sealed() && !view.pinned() {
                if let Some(segment) = self.segments.record(slot) {
                    policy.insert(slot, segment.class());
                }
            }
        }
        core::mem::swap(&mut *current, &mut policy);
        drop(current);
        // The old table is freed without the lock.
        drop(policy);
    }

    /// Pays for a segment: limit of the store, then the cap of the machine.
    fn charge(&self) -> Result {
        let limit = self.limit.load(Relaxed);
        let mut count = self.count.load(Relaxed);
        loop {
            if count >= limit {
                return Err(ENOSPC);
            }
            match self.count.cmpxchg(count, count + 1, Relaxed) {
                Ok(_) => break,
                Err(now) => count = now,
            }
        }
        self.ground.charge().inspect_err(|_| {
            self.count.fetch_sub(1, Relaxed);
        })
    }

    fn uncharge(&self) {
        self.count.fetch_sub(1, Relaxed);
        self.ground.uncharge();
    }
}

#[pinned_drop]
impl PinnedDrop for Store {
    fn drop(self: Pin<&mut Self>) {
        // Let go of all folios, then of all segments, for the account of what was made.
        for arena in [&self.cache, &self.pinned] {
            arena.seal_all(|id, class| self.seal(id, class));
            while arena.remove().is_some() {}
        }
        let pinned = core::mem::take(&mut *self.pinned_folios.lock());
        drop(pinned);
        for slot in 0..self.segments.len() {
            let view = self.segments.look(slot);
            if view.alive() {
                self.end_segment(SegmentId {
                    slot,
                    generation: view.generation(),
                });
            }
        }
        for (owner, bytes) in self.owners.lock().iter() {
            self.ground.refund(*owner, *bytes);
        }
        if self.active.load(Relaxed) {
            self.ground.leave();
        }
        let counters = &self.counters;
        pairs::SEGMENTS.add(
            counters.segments_created.load(Relaxed),
            counters.segments_freed.load(Relaxed),
        );
        pairs::EXTENTS.add(
            counters.extents_reserved.load(Relaxed),
            counters.extents_released.load(Relaxed),
        );
    }
}
