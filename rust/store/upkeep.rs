// SPDX-License-Identifier: GPL-2.0

//! The worker of a store, and what authors and administrators make it do at once.
//!
//! It keeps the pool filled, sizes the index, evicts at the limit, tells the kernel which folios
//! are in use, and finds out which ones it has taken. It is called when the pool runs low or a
//! shard gets tight, and once a second while anything is stored.
//!
//! Eviction takes the oldest segments, several at a time, because it looks through the whole
//! index once for all of them: what was looked up since it was stored is copied to a segment
//! that is being filled, the rest is remembered as a ghost and removed. Room for the copies is
//! kept in the pool for that ([`Arena::take`]'s `spare`), so the limit holds at every moment.
//!
//! Lock order: the `upkeep` mutex is taken first of all.

use super::{
    arena::{
        Kind,
        Taken, //
    },
    index::{
        Entry,
        Keep,
        Key, //
    },
    policy::Class,
    read::Found,
    segments::{
        Segment,
        SegmentId, //
    },
    Folios,
    Store,
    LIMIT_MIN,
    SEGMENT_BYTES,
    SEGMENT_PAGES, //
};
use crate::{
    mm::RUN_BYTES,
    sync::queue, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    },
    time::msecs_to_jiffies,
    workqueue::WorkItem, //
};

/// How often the worker looks without being called.
const TICK_MS: u32 = 1000;
/// Segments that one tick looks at, to see whether the kernel has taken them.
const SWEEP: u32 = 4096;
/// Eviction takes at least this many, and a fraction of all: see the head of this file.
const VICTIMS_MIN: usize = 4;
const VICTIMS_FRACTION: usize = 32;
/// Of victims' bytes, at most this fraction is saved.
const RESCUE_FRACTION: usize = 2;
/// Dead entries are searched for when they are this fraction of all.
const DEAD_FRACTION: usize = 8;

/// What the worker remembers between two runs.
pub(super) struct Upkeep {
    /// Where the sweeper goes on.
    sweep: u32,
    /// The store is being shut down.
    closed: bool,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            sweep: 0,
            closed: false,
        }
    }
}

impl WorkItem<0> for Store {
    type Pointer = Arc<Store>;

    fn run(this: Arc<Store>) {
        this.called.store(false, Relaxed);
        this.work_once(false);
    }
}

impl WorkItem<1> for Store {
    type Pointer = Arc<Store>;

    fn run(this: Arc<Store>) {
        let mut upkeep = this.upkeep.lock();
        if upkeep.closed {
            return;
        }
        this.segments.tick();
        this.sweep(&mut upkeep);
        this.reap();
        if this.ground.take_complaint() || this.ground.excess() > 0 {
            let above = this.count.load(Relaxed).saturating_sub(this.ground.share());
            this.evict(above.min(this.ground.excess().max(VICTIMS_MIN)));
        }
        drop(upkeep);
        this.work_once(true);
    }
}

impl Store {
    /// Calls the worker. Context: any.
    #[inline]
    pub(super) fn kick(self: &Arc<Self>) {
        if !self.called.load(Relaxed)
            && !self.called.xchg(true, kernel::sync::atomic::ordering::Full)
        {
            self.ground.queue.kick::<_, 0>(self);
        }
    }

    /// Fills the pool if it runs low: for who would else have to wait until the worker has.
    /// Context: process, may sleep.
    pub(crate) fn refill(self: &Arc<Self>) {
        if self.cache.is_low() {
            self.work_once(false);
        }
    }

    /// Everything that the worker is called for, by itself if it `ticked`. Context: process, may
    /// sleep.
    pub(super) fn work_once(self: &Arc<Self>, ticked: bool) {
        let upkeep = self.upkeep.lock();
        if upkeep.closed {
            return;
        }
        self.tend_index();
        if self.active.load(Relaxed) {
            self.fill(ticked);
        }
        drop(upkeep);
        if self.count.load(Relaxed) > 0 {
            // An error says that it waits already.
            let _ = self
                .ground
                .queue
                .enqueue_delayed::<_, 1>(self.clone(), msecs_to_jiffies(TICK_MS));
        }
    }

    /// Sees to the index at once, for an author who found it full. Context: process, may sleep.
    pub(super) fn upkeep_now(&self) {
        let _upkeep = self.upkeep.lock();
        self.tend_index();
    }

    fn tend_index(&self) {
        let entries = self.index.len();
        let dead = self.counters.dead_entries.load(Relaxed).max(0) as usize;
        if dead > 0 && dead >= entries / DEAD_FRACTION {
            self.counters.dead_entries.store(0, Relaxed);
            self.index.scan(|entry| {
                if self.segments.alive(entry.segment()) {
                    Keep::Yes
                } else {
                    Keep::No
                }
            });
        }
        // If memory is short, the next run tries again.
        let _ = self.payer.charge(|| self.index.resize(&self.segments));
    }

    fn fill(&self, ticked: bool) {
        // A small store is not all pool.
        let limit = self.limit.load(Relaxed).min(self.ground.cap());
        for _ in 0..self.cache.lacking(limit / 8, ticked) {
            match self.add_or_evict(false) {
                Ok((id, folios)) => {
                    if let Err(id) = self.cache.add(id, folios) {
                        self.end_segment(id);
                        break;
                    }
                }
                Err(_) => break,
            }
        }
    }

    /// An empty segment for an author. Context: process, may sleep.
    pub(super) fn make_room(&self) -> Result<(SegmentId, Arc<Folios>)> {
        let upkeep = self.upkeep.lock();
        if upkeep.closed {
            return Err(ENODEV);
        }
        self.add_or_evict(true)
    }

    fn add_or_evict(&self, pinned: bool) -> Result<(SegmentId, Arc<Folios>)> {
        loop {
            match self.add_segment(pinned) {
                Err(error) if error == ENOSPC => {
                    let mine = self.count.load(Relaxed);
                    if mine < self.limit.load(Relaxed) && mine < self.ground.share() {
                        self.ground.complain();
                    }
                    if self.evict(1) == 0 {
                        return Err(ENOSPC);
                    }
                }
                made => return made,
            }
        }
    }

    /// Evicts at least `wanted` segments of the cache, if there are so many that can go. Says
    /// how many went. The caller holds the `upkeep` mutex.
    fn evict(&self, wanted: usize) -> usize {
        if wanted == 0 {
            return 0;
        }
        let Ok(victims) = self.choose(wanted) else {
            return 0;
        };
        let hot = self.condemned_entries(victims.len());
        let mut budget = victims.len() * SEGMENT_BYTES / RESCUE_FRACTION;
        for entry in &hot {
            let len = entry.key().stored_len() as usize;
            if len > budget || !self.rescue(entry) {
                break;
            }
            budget -= len;
        }
        let gone = victims.iter().filter(|id| self.end_segment(**id)).count();
        self.counters.evicted.add(gone as u64, Relaxed);
        gone
    }

    /// Has the policy choose the victims.
    fn choose(&self, wanted: usize) -> Result<KVec<SegmentId>> {
        for slot in 0..self.segments.len() {
            self.tell_touches(slot);
        }
        let all = self.policy.lock().len();
        let count = (all / VICTIMS_FRACTION)
            .max(VICTIMS_MIN)
            .max(wanted)
            .min(all);
        let mut victims = KVec::with_capacity(count, GFP_KERNEL)?;
        // Those in use go to the end of the queue: once round, and it ends.
        for _ in 0..all {
            if victims.len() == count {
                break;
            }
            let chosen = self.policy.lock().next_victim();
            let Some(slot) = chosen else {
                break;
            };
            let id = SegmentId {
                slot,
                generation: self.segments.look(slot).generation(),
            };
            if self.segments.condemn(id) {
                victims.push_within_capacity(id).map_err(|_| ENOMEM)?;
            } else if let Some(segment) = self.segments.record(slot) {
                self.policy.lock().insert(slot, segment.class());
            }
        }
        Ok(victims)
    }

    /// Tells the policy whether a segment was hit since the last call.
    fn tell_touches(&self, slot: u32) -> bool {
        let touched = self
            .segments
            .record(slot)
            .is_some_and(Segment::take_touched);
        if touched {
            self.policy.lock().touch(slot);
        }
        touched
    }

    /// Removes what is cold in the victims from the index, and lists what is hot.
    fn condemned_entries(&self, victims: usize) -> KVVec<Entry> {
        let room = victims * SEGMENT_BYTES / RESCUE_FRACTION / 1024;
        let mut hot = KVVec::with_capacity(room, GFP_KERNEL).unwrap_or_default();
        self.index.scan(|entry| {
            let Some((segment, view)) = self.segments.find(entry.segment()) else {
                return Keep::No;
            };
            if !view.victim() {
                return Keep::Yes;
            }
            if entry.hot() && hot.push_within_capacity(*entry).is_ok() {
                return Keep::Yes;
            }
            self.policy.lock().remember(self.index.hash(&entry.key()));
            segment.lose(entry.key().stored_len());
            Keep::No
        });
        hot
    }

    /// Copies what an entry points to to a main segment. False if there is no room.
    fn rescue(&self, entry: &Entry) -> bool {
        let key = entry.key();
        let len = key.stored_len();
        let kind = if key.is_object() {
            Kind::Object
        } else {
            Kind::of_payload(len)
        };
        let Ok((mut taken, _)) =
            self.cache
                .take(kind, Class::Main, len, true, &self.segments, |id, class| {
                    self.seal(id, class);
                })
        else {
            return false;
        };
        if self.copy_extent(entry, &taken, len) && self.repoint(&key, entry, &taken) {
            taken.keep();
            self.counters.rescued.add(1, Relaxed);
        }
        self.give_back(&taken);
        true
    }

    fn copy_extent(&self, entry: &Entry, taken: &Taken, len: u32) -> bool {
        let Some((_, view)) = self.segments.find(entry.segment()) else {
            return false;
        };
        let mut to = taken.place.offset as usize;
        let found = Found::new(entry, view);
        self.visit_entry(&entry.key(), &found, 0, len, |folio, at, len| {
            let copied = folio.lend(at, len, |bytes| taken.folios.write(to, bytes));
            to += len;
            copied == Some(true)
        })
    }

    /// Points the index at the copy, unless the original has changed meanwhile: a slot that was
    /// written after the copying began is not in it.
    fn repoint(&self, key: &Key, before: &Entry, taken: &Taken) -> bool {
        let hash = self.index.hash(key);
        let len = key.stored_len();
        self.index.with(hash, |shard| {
            let Some(entry) = shard.find(key, hash, &self.segments) else {
                return false;
            };
            if entry.place() != before.place() || entry.info() != before.info() {
                return false;
            }
            if let Some((segment, _)) = self.segments.find(entry.segment()) {
                segment.lose(len);
            }
            entry.set_place(taken.place);
            if let Some((segment, _)) = self.segments.find(taken.place.segment) {
                segment.gain(len);
            }
            true
        })
    }

    /// Looks which segments the kernel has taken, and tells it which ones are in use.
    fn sweep(&self, upkeep: &mut Upkeep) {
        let len = self.segments.len();
        for _ in 0..SWEEP.min(len) {
            let slot = upkeep.sweep % len;
            upkeep.sweep = slot + 1;
            let view = self.segments.look(slot);
            if !view.sealed() || view.pinned() {
                continue;
            }
            let touched = self.tell_touches(slot);
            // With part of its pages gone a segment is a burden: less than half, and it goes.
            if self.resident_bytes(view.page(), touched) < SEGMENT_BYTES / 2 {
                let id = SegmentId {
                    slot,
                    generation: view.generation(),
                };
                if self.end_segment(id) {
                    self.counters.reclaimed.add(1, Relaxed);
                }
            }
        }
    }

    fn resident_bytes(&self, page: u64, touched: bool) -> usize {
        let mut resident = 0;
        let mut at = page;
        while at < page + SEGMENT_PAGES as u64 {
            let Some(folio) = self.cache.mapping.get(at) else {
                at += 1;
                continue;
            };
            if touched {
                folio.mark_accessed();
            }
            resident += folio.len();
            at = folio.index() + (folio.len() / crate::mm::PAGE_SIZE) as u64;
        }
        resident.min(RUN_BYTES)
    }

    /// Gives up all that is cached; what is pinned stays. Context: process, may sleep.
    pub(crate) fn flush(&self) {
        let _upkeep = self.upkeep.lock();
        self.cache.seal_all(|id, class| self.seal(id, class));
        for slot in 0..self.segments.len() {
            let view = self.segments.look(slot);
            if view.sealed() && !view.pinned() {
                self.end_segment(SegmentId {
                    slot,
                    generation: view.generation(),
                });
            }
        }
        self.counters.dead_entries.store(0, Relaxed);
        self.index.scan(|entry| {
            if self.segments.alive(entry.segment()) {
                Keep::Yes
            } else {
                Keep::No
            }
        });
        let _ = self.payer.charge(|| self.index.resize(&self.segments));
    }

    /// Lets go of what is held in these frames of memory, and would keep them in the machine: of empty
    /// segments, and of those that are being filled, which then are full. Their successors lie
    /// elsewhere. What frames on their way are to fill stays until they have come, or are given up.
    /// Context: process, may sleep.
    pub(super) fn vacate(self: &Arc<Self>, frames: &Range<usize>) {
        // None is on its way to the pool meanwhile.
        let upkeep = self.upkeep.lock();
        while let Some(id) = self.cache.remove_in(frames) {
            self.end_segment(id);
        }
        // Now: in place of what is sealed another one is begun at once, out of the pool.
        self.cache.seal_in(frames, |id, class| self.seal(id, class));
        drop(upkeep);
        self.refill();
    }

    /// Sets the limit in bytes, and evicts what is above it before it returns. EBUSY says that
    /// more than that is pinned. Context: process, may sleep.
    pub(crate) fn set_limit(&self, bytes: usize) -> Result {
        if bytes < LIMIT_MIN {
            return Err(EINVAL);
        }
        let limit = bytes / SEGMENT_BYTES;
        let _upkeep = self.upkeep.lock();
        let before = self.limit.xchg(limit, kernel::sync::atomic::ordering::Full);
        while self.count.load(Relaxed) > limit {
            if self.evict(self.count.load(Relaxed) - limit) > 0 {
                continue;
            }
            // Nothing is sealed but what is in use: give up the pool, then what is being filled.
            match self.cache.remove() {
                Some(id) => {
                    self.end_segment(id);
                }
                None if self.cache.seal_all(|id, class| self.seal(id, class)) => {}
                None => {
                    self.limit.store(before, Relaxed);
                    return Err(EBUSY);
                }
            }
        }
        Ok(())
    }

    /// Ends all work of the store, for the end of its namespace. What is left goes with the last
    /// reference, which must be dropped in process context. Context: process, may sleep.
    pub(crate) fn shutdown(self: &Arc<Self>) {
        // Dropped without the lock: it waits for who is in `vacate`.
        let watch = self.memory.lock().take();
        drop(watch);
        self.upkeep.lock().closed = true;
        queue::disable::<_, 0>(self);
        queue::disable_delayed::<_, 1>(self);
    }
}
