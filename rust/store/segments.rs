// SPDX-License-Identifier: GPL-2.0

//! The table of segments: which pieces of page cache there are, and whose they are.
//!
//! A segment is 64 KiB of consecutive page indices. Its index in the mapping is a serial number
//! that is never used again, so whoever still holds an old reference finds nothing, and never
//! other bytes. (Serials grow with time and die in about that order: neighbours share the page
//! cache's tree nodes. An index made of slot and generation would spread them.) The slot is where
//! its record lies, to be used again; the low half of the serial, the generation, tells its users
//! apart.
//!
//! State of a segment, all changes in process context but the last of OPEN:
//!
//! ```text
//!   FREE --> OPEN (ready, or being filled) --> SEALED --> VICTIM --> FREE
//!             `------------------------------------------------------^
//! ```
//!
//! While a segment is OPEN, or an extent of it is reserved, somebody has its folios by reference
//! ([`Folios`](crate::mm::Folios)). A SEALED one of the cache is held by nobody: from then on the
//! kernel may take it.
//!
//! Lock order: `slots` is taken under the store's upkeep mutex, and no lock under it.

use super::{
    policy::Class,
    SEGMENT_BYTES,
    SEGMENT_PAGES, //
};
use crate::mm::FolioHint;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::{
                Acquire,
                Relaxed,
                Release, //
            },
            Atomic, //
        },
        Mutex,
        SetOnce, //
    }, //
};

/// Records that are allocated together: those of 64 MiB of data.
const CHUNK: usize = 1024;

const STATE_BITS: u32 = 8;
const PINNED: u64 = 1 << 7;
const FREE: u64 = 0;
const OPEN: u64 = 1;
const SEALED: u64 = 2;
const VICTIM: u64 = 3;

/// Names a segment for as long as it lives, and nothing afterwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SegmentId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// See [`Segments::settled`].
const SETTLE_TICKS: u32 = 2;

/// One record.
pub(super) struct Segment {
    /// Serial, pinned flag and state: one word, so that a look at it is consistent.
    word: Atomic<u64>,
    /// Extents that are reserved and neither published nor dropped.
    reserved: Atomic<u32>,
    /// Hit since the worker last looked.
    touched: Atomic<bool>,
    /// Whether it is filled with what has proved its worth.
    main: Atomic<bool>,
    /// How many segments had been opened when this one was, itself included: its age.
    opened: Atomic<u64>,
    /// The worker's tick at that time.
    opened_tick: Atomic<u32>,
    /// Bytes that the index points at.
    live: Atomic<i32>,
    /// Extents of authors that were published here: exact, and they never go. Unused in the cache.
    kept: Atomic<u32>,
    /// Index entries that point here. Like `live` it is a figure: a segment that ends while an
    /// entry of it is being removed may leave its successor one too few.
    entries: Atomic<i32>,
    /// Where its folios were seen. Those of whom had the slot before are of other indices.
    hints: [FolioHint; SEGMENT_PAGES],
}

impl Segment {
    fn new() -> Self {
        Self {
            word: Atomic::new(FREE),
            reserved: Atomic::new(0),
            touched: Atomic::new(false),
            main: Atomic::new(false),
            opened: Atomic::new(0),
            opened_tick: Atomic::new(0),
            live: Atomic::new(0),
            kept: Atomic::new(0),
            entries: Atomic::new(0),
            hints: [const { FolioHint::none() }; SEGMENT_PAGES],
        }
    }

    /// Where page `page` of the mapping was seen, which is one of the segment's. Context: any.
    #[inline]
    pub(super) fn hint(&self, page: u64) -> Option<&FolioHint> {
        self.hints.get(page as usize % SEGMENT_PAGES)
    }

    /// The same for all of its pages.
    pub(super) fn hints(&self) -> &[FolioHint; SEGMENT_PAGES] {
        &self.hints
    }

    /// There was a hit. Context: any.
    #[inline]
    pub(super) fn touch(&self) {
        // Looked at first: most hits leave the cache line shared.
        if !self.touched.load(Relaxed) {
            self.touched.store(true, Relaxed);
        }
    }

    /// Whether there was a hit since the last call. Context: any.
    pub(super) fn take_touched(&self) -> bool {
        self.touched.load(Relaxed) && self.touched.xchg(false, Relaxed)
    }

    /// What it is filled with. Context: any.
    pub(super) fn class(&self) -> Class {
        if self.main.load(Relaxed) {
            Class::Main
        } else {
            Class::Probation
        }
    }

    /// An extent was reserved. Context: any.
    #[inline]
    pub(super) fn reserve(&self) {
        self.reserved.fetch_add(1, Relaxed);
    }

    /// An extent was published or dropped. Context: any.
    #[inline]
    pub(super) fn unreserve(&self) {
        self.reserved.fetch_sub(1, Release);
    }

    /// A reserved extent of an author will stay. Before [`Segment::unreserve`]. Context: any.
    #[inline]
    pub(super) fn keep(&self) {
        self.kept.fetch_add(1, Relaxed);
    }

    /// Whether an author's extent stays here. Context: any.
    pub(super) fn keeps(&self) -> bool {
        self.kept.load(Relaxed) > 0
    }

    /// The index got an entry for `bytes` here. Context: any.
    #[inline]
    pub(super) fn gain(&self, bytes: u32) {
        self.live.fetch_add(bytes as i32, Relaxed);
        self.entries.fetch_add(1, Relaxed);
    }

    /// The index lost one. Context: any.
    #[inline]
    pub(super) fn lose(&self, bytes: u32) {
        self.live.fetch_sub(bytes as i32, Relaxed);
        self.entries.fetch_sub(1, Relaxed);
    }

    /// Bytes that the index points at. Context: any.
    pub(super) fn live(&self) -> u32 {
        self.live.load(Relaxed).max(0) as u32
    }
}

/// What one look at a segment's word says.
#[derive(Clone, Copy, Debug)]
pub(super) struct View(u64);

impl View {
    fn state(self) -> u64 {
        self.0 & ((1 << STATE_BITS) - 1) & !PINNED
    }

    fn serial(self) -> u64 {
        self.0 >> STATE_BITS
    }

    /// Whether there is a segment.
    pub(super) fn alive(self) -> bool {
        self.state() != FREE
    }

    /// Whether it is full, and so may be evicted (or taken by the kernel) if it is not pinned.
    pub(super) fn sealed(self) -> bool {
        self.state() == SEALED
    }

    /// Whether it is about to go.
    pub(super) fn victim(self) -> bool {
        self.state() == VICTIM
    }

    /// Whether it is of the mapping of pinned segments.
    pub(super) fn pinned(self) -> bool {
        self.0 & PINNED != 0
    }

    /// The low half of its serial.
    pub(super) fn generation(self) -> u32 {
        self.serial() as u32
    }

    /// Index of its first page.
    pub(super) fn page(self) -> u64 {
        self.serial() * SEGMENT_PAGES as u64
    }
}

struct Slots {
    free: KVVec<u32>,
    /// Slots that were ever used: the sweeper stops here.
    len: u32,
    next_serial: u64,
}

/// All segments of a store, pinned ones and cache.
#[pin_data]
pub(super) struct Segments {
    chunks: KVVec<SetOnce<KVVec<Segment>>>,
    len: Atomic<u32>,
    /// Segments that were ever opened.
    opened: Atomic<u64>,
    /// Ticks of the worker.
    tick: Atomic<u32>,
    #[pin]
    slots: Mutex<Slots>,
}

impl Segments {
    /// A table that can grow to `max_bytes` of data. Context: process, may sleep.
    pub(super) fn new(max_bytes: usize) -> Result<impl PinInit<Self, Error>> {
        let count = max_bytes.div_ceil(SEGMENT_BYTES * CHUNK).max(1);
        let mut chunks = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            chunks.push(SetOnce::new(), GFP_KERNEL)?;
        }
        Ok(try_pin_init!(Self {
            chunks,
            len: Atomic::new(0),
            opened: Atomic::new(0),
            tick: Atomic::new(0),
            slots <- new_mutex!(Slots {
                free: KVVec::new(),
                len: 0,
                next_serial: 1,
            }, "feed_slots"),
        }? Error))
    }

    /// Slots that were ever used. Context: any.
    pub(super) fn len(&self) -> u32 {
        self.len.load(Acquire)
    }

    /// A second has passed. Context: process.
    pub(super) fn tick(&self) {
        self.tick.fetch_add(1, Relaxed);
    }

    /// A segment begins to be filled. Context: any.
    pub(super) fn open(&self, id: SegmentId, class: Class) {
        let opened = self.opened.fetch_add(1, Relaxed) + 1;
        if let Some(segment) = self.record(id.slot) {
            segment.main.store(class == Class::Main, Relaxed);
            segment.opened.store(opened, Relaxed);
            segment.opened_tick.store(self.tick.load(Relaxed), Relaxed);
        }
    }

    /// Whether a hit in this segment says that its bytes are wanted again. A cache hands on what
    /// it stores, so right after the storing it does not: some time must have passed, or as many
    /// segments as `distance`. Context: any.
    #[inline]
    pub(super) fn settled(&self, segment: &Segment, distance: u64) -> bool {
        let ticks = self
            .tick
            .load(Relaxed)
            .wrapping_sub(segment.opened_tick.load(Relaxed));
        ticks >= SETTLE_TICKS
            || self
                .opened
                .load(Relaxed)
                .saturating_sub(segment.opened.load(Relaxed))
                >= distance
    }

    /// The record in `slot`, whoever has it now. Context: any.
    #[inline]
    pub(super) fn record(&self, slot: u32) -> Option<&Segment> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.as_ref()?.get(slot % CHUNK)
    }

    /// What `slot` holds now. Context: any.
    #[inline]
    pub(super) fn look(&self, slot: u32) -> View {
        View(
            self.record(slot)
                .map_or(FREE, |segment| segment.word.load(Acquire)),
        )
    }

    /// The segment `id`, if it is still there. Context: any.
    #[inline]
    pub(super) fn find(&self, id: SegmentId) -> Option<(&Segment, View)> {
        let segment = self.record(id.slot)?;
        let view = View(segment.word.load(Acquire));
        (view.alive() && view.generation() == id.generation).then_some((segment, view))
    }

    /// Whether the segment `id` is still there. Context: any.
    #[inline]
    pub(super) fn alive(&self, id: SegmentId) -> bool {
        self.find(id).is_some()
    }

    /// Makes an OPEN segment of which nobody knows yet; its pages are for the caller to add.
    ///
    /// Context: process, may sleep.
    pub(super) fn create(&self, pinned: bool) -> Result<(SegmentId, View)> {
        let mut slots = self.slots.lock();
        // A segment that was ended under a reserved extent leaves its slot unusable until that
        // extent is dropped, because its count would be taken for the successor's.
        let idle = slots.free.iter().rposition(|slot| self.idle(*slot));
        let slot = match idle {
            Some(at) => swap_out(&mut slots.free, at).ok_or(EINVAL)?,
            None => self.extend(&mut slots)?,
        };
        let serial = slots.next_serial;
        slots.next_serial += 1;
        let view = View(serial << STATE_BITS | OPEN | if pinned { PINNED } else { 0 });

        let segment = self.record(slot).ok_or(ENOSPC)?;
        segment.touched.store(false, Relaxed);
        segment.live.store(0, Relaxed);
        segment.kept.store(0, Relaxed);
        segment.entries.store(0, Relaxed);
        segment.word.store(view.0, Release);
        Ok((
            SegmentId {
                slot,
                generation: view.generation(),
            },
            view,
        ))
    }

    fn idle(&self, slot: u32) -> bool {
        self.record(slot)
            .is_some_and(|segment| segment.reserved.load(Acquire) == 0)
    }

    fn extend(&self, slots: &mut Slots) -> Result<u32> {
        let slot = slots.len;
        let chunk = self.chunks.get(slot as usize / CHUNK).ok_or(ENOSPC)?;
        if chunk.as_ref().is_none() {
            let mut records = KVVec::with_capacity(CHUNK, GFP_KERNEL)?;
            for _ in 0..CHUNK {
                records.push(Segment::new(), GFP_KERNEL)?;
            }
            // Freeing a slot must not fail: there is room for all of them.
            slots.free.reserve(slot as usize + CHUNK, GFP_KERNEL)?;
            chunk.populate(records);
        }
        slots.len += 1;
        self.len.store(slots.len, Release);
        Ok(slot)
    }

    fn change(&self, id: SegmentId, from: u64, to: u64) -> bool {
        let Some((segment, view)) = self.find(id) else {
            return false;
        };
        let flags = view.0 & !((1 << STATE_BITS) - 1) | view.0 & PINNED;
        segment
            .word
            .cmpxchg(
                flags | from,
                flags | to,
                kernel::sync::atomic::ordering::Full,
            )
            .is_ok()
    }

    /// It is full: OPEN to SEALED. Context: any.
    pub(super) fn seal(&self, id: SegmentId) -> bool {
        self.change(id, OPEN, SEALED)
    }

    /// It was chosen to go: SEALED to VICTIM, unless extents of it are reserved.
    ///
    /// No new extent is reserved in a segment that is sealed, so none comes in between.
    /// Context: process.
    pub(super) fn condemn(&self, id: SegmentId) -> bool {
        self.idle(id.slot) && self.change(id, SEALED, VICTIM)
    }

    /// As [`Segments::condemn`], if `unused` says so of a segment in which nothing is reserved.
    /// Context: process.
    pub(super) fn condemn_idle(&self, id: SegmentId, unused: impl FnOnce() -> bool) -> bool {
        self.look(id.slot).sealed() && self.idle(id.slot) && unused() && self.condemn(id)
    }

    /// Ends a segment: from now on nothing finds it. Gives its pages' place, and how many entries
    /// the index still has of it. Context: process, may sleep.
    pub(super) fn end(&self, id: SegmentId) -> Option<(View, u32)> {
        let mut slots = self.slots.lock();
        let (segment, view) = self.find(id)?;

        segment.word.store(FREE, Release);
        // There is room: see `extend`.
        let _ = slots.free.push_within_capacity(id.slot);
        Some((view, segment.entries.load(Relaxed).max(0) as u32))
    }
}

fn swap_out(list: &mut KVVec<u32>, at: usize) -> Option<u32> {
    let last = list.pop()?;
    match list.get_mut(at) {
        Some(place) => Some(core::mem::replace(place, last)),
        None => Some(last),
    }
}
