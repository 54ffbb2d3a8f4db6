// SPDX-License-Identifier: GPL-2.0

//! Where new extents come from: segments being filled, and a pool of empty ones.
//!
//! A store has two arenas: one for the cache, one for what is pinned. Each fills several
//! segments at once, so that what differs in size or in prospects does not share one: whole
//! windows and long payloads begin at pages, short ones lie close together, objects have
//! segments of their own; and what has proved its worth lies apart from what came by for the
//! first time.
//!
//! Taking an extent never allocates: that is what the pool is for. The worker fills it.
//!
//! Lock order: an arena's two locks are the innermost of the store; none is taken under one of them.

use super::{
    index::{
        Place,
        ALIGN, //
    },
    policy::Class,
    segments::{
        SegmentId,
        Segments, //
    },
    Full,
    OBJECT_BYTES,
    SEGMENT_BYTES, //
};
use crate::{
    mm::{
        Folios,
        Mapping,
        PAGE_SIZE, //
    },
    sync::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::{
    mem,
    ops::Range, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc, //
    }, //
};

/// Empty segments that are kept ready at least, once an arena is in use: 512 KiB.
const READY_MIN: usize = 8;
/// And at first, when nothing is known of the demand.
const READY_FIRST: usize = 16;
/// And at most: 16 MiB.
const READY_MAX: usize = 256;
/// Of these, how many only the worker takes, to save what is hot from a victim.
const READY_SPARE: usize = 2;

/// What an extent is for, which decides its neighbours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A whole window, or nearly so: two to a segment.
    Window,
    /// A payload of a page and more.
    Part,
    /// A shorter payload.
    Small,
    /// An object.
    Object,
}

const KINDS: usize = 4;

impl Kind {
    /// The kind for a payload of `len` bytes.
    pub(super) fn of_payload(len: u32) -> Self {
        match len as usize {
            0..PAGE_SIZE => Kind::Small,
            len if len > SEGMENT_BYTES / 3 => Kind::Window,
            _ => Kind::Part,
        }
    }
}

impl Kind {
    /// Bytes of a segment that an extent of `len` bytes uses up, its alignment included.
    pub(super) fn cost(self, len: u32) -> u32 {
        match self {
            Kind::Window => len.max(SEGMENT_BYTES as u32 / 2),
            Kind::Part => len.next_multiple_of(PAGE_SIZE as u32),
            Kind::Small => len.next_multiple_of(ALIGN),
            Kind::Object => len,
        }
    }
}

const CLASSES: usize = 2;

/// A new extent, not yet known to anybody.
pub(super) struct Taken {
    pub(super) place: Place,
    /// Keeps the segment in memory while the extent is written.
    pub(super) folios: Arc<Folios>,
    kind: Kind,
    class: Class,
    len: u32,
    /// Published: the room stays taken.
    kept: bool,
}

impl Taken {
    /// The room is used.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Whether the room is used.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// What its user pays for it, bytes.
    pub(super) fn cost(&self) -> u64 {
        self.kind.cost(self.len).into()
    }
}

struct Open {
    segment: SegmentId,
    folios: Arc<Folios>,
    /// Where the next extent goes.
    fill: u32,
}

struct Ready {
    segment: SegmentId,
    folios: Arc<Folios>,
}

struct State {
    open: [[Option<Open>; CLASSES]; KINDS],
    ready: KVec<Ready>,
    /// Segments wanted since the worker last looked.
    taken: usize,
    /// There was one too few since.
    short: bool,
}

/// See the head of this file.
#[pin_data]
pub(super) struct Arena {
    pub(super) mapping: Mapping,
    #[pin]
    state: SpinLockBh<State>,
    /// Held by who writes to an object that is there: one after the other, so that a folio that is
    /// locked is one that the kernel has.
    #[pin]
    pub(super) objects: SpinLockBh<()>,
    /// How many segments the pool should have.
    target: Atomic<usize>,
    /// Times that the pool had nothing.
    pub(super) empty: Atomic<u64>,
}

impl Arena {
    /// An arena without a segment. Context: process, may sleep.
    pub(super) fn new(mapping: Mapping) -> Result<impl PinInit<Self, Error>> {
        let ready = KVec::with_capacity(READY_MAX, GFP_KERNEL)?;
        Ok(try_pin_init!(Self {
            mapping,
            state <- new_spinlock_bh!(State {
                open: [const { [const { None }; CLASSES] }; KINDS],
                ready,
                taken: 0,
                short: false,
            }, "feed_arena"),
            objects <- new_spinlock_bh!((), "feed_objects"),
            target: Atomic::new(READY_FIRST),
            empty: Atomic::new(0),
        }? Error))
    }

    /// Takes room for `len` bytes. `spare`: even if that leaves nothing for the worker.
    /// True beside it when the worker should be called. `seal` gets a segment that is full, after
    /// the lock was dropped. Context: any.
    pub(super) fn take(
        &self,
        kind: Kind,
        class: Class,
        len: u32,
        spare: bool,
        segments: &Segments,
        seal: impl FnOnce(SegmentId, Class),
    ) -> Result<(Taken, bool), Full> {
        let mut sealed = None;
        let mut state = self.state.lock();
        let State {
            open,
            ready,
            taken,
            short,
        } = &mut *state;
        let open = &mut open[kind as usize][class as usize];

        let fits = open.as_ref().and_then(|open| room(kind, open.fill, len));
        let offset = match fits {
            Some(offset) => offset,
            None => {
                let keep = if spare { 0 } else { READY_SPARE };
                let next = if ready.len() > keep {
                    ready.pop()
                } else {
                    None
                };
                // Demand, met or not.
                *taken += 1;
                let Some(next) = next else {
                    *short = true;
                    self.empty.add(1, Relaxed);
                    return Err(Full);
                };
                segments.open(next.segment, class);
                sealed = open.replace(Open {
                    segment: next.segment,
                    folios: next.folios,
                    fill: 0,
                });
                0
            }
        };
        let Some(open) = open else {
            return Err(Full);
        };
        open.fill = offset + len;
        let place = Place {
            segment: open.segment,
            offset,
        };
        let folios = open.folios.clone();
        if let Some(segment) = segments.record(place.segment.slot) {
            segment.reserve();
        }
        let low = self.lacks_half(ready.len());
        drop(state);

        // What comes later writes all of a payload, but only some slots of an object, and nothing
        // behind a payload: a page that one has for itself is not to show what was there before.
        let (from, to) = match kind {
            Kind::Object => (offset, offset + len),
            Kind::Window | Kind::Part => (offset + len, (offset + len).next_multiple_of(PAGE)),
            Kind::Small => (0, 0),
        };
        folios.clear(from as usize, (to - from) as usize);

        // Without the lock, because the last reference to the folios may go with it.
        if let Some(full) = sealed {
            seal(full.segment, class);
        }
        Ok((
            Taken {
                place,
                folios,
                kind,
                class,
                len,
                kept: false,
            },
            low,
        ))
    }

    /// Ends a reservation. If it was not kept, and nothing was taken behind it, its room is used
    /// again: then it says true. Context: any.
    pub(super) fn give_back(&self, taken: &Taken, segments: &Segments) -> bool {
        let mut state = self.state.lock();
        let mut rewound = false;
        // What was written of an object is in use, kept or not.
        if !taken.kept && taken.kind != Kind::Object {
            if let Some(open) = &mut state.open[taken.kind as usize][taken.class as usize] {
                let end = taken.place.offset + taken.len;
                if open.segment == taken.place.segment && open.fill == end {
                    open.fill = taken.place.offset;
                    rewound = true;
                }
            }
        }
        if let Some(segment) = segments.record(taken.place.segment.slot) {
            if taken.kept {
                segment.keep();
            }
            segment.unreserve();
        }
        rewound
    }

    fn lacks_half(&self, ready: usize) -> bool {
        ready * 2 < self.target.load(Relaxed)
    }

    /// Whether the worker should be called. Context: any.
    pub(super) fn is_low(&self) -> bool {
        self.lacks_half(self.state.lock().ready.len())
    }

    /// How many segments the pool lacks, of a target that follows demand and is at most `bound`.
    /// `ticked`: some time has passed since the last such call. Context: process.
    pub(super) fn lacking(&self, bound: usize, ticked: bool) -> usize {
        let (ready, taken, short) = {
            let mut state = self.state.lock();
            let (taken, short) = (mem::take(&mut state.taken), mem::take(&mut state.short));
            (state.ready.len(), taken, short)
        };
        let target = self.target.load(Relaxed);
        // Twice what was wanted since the last look: the pool then outlasts two looks. Looks that
        // come fast see little demand each, but a pool that ran out was too small. It shrinks
        // slowly, because demand comes in bursts.
        let before = match (short, ticked) {
            (true, _) => 2 * target,
            (false, true) => target - target.div_ceil(8),
            (false, false) => target,
        };
        let target = (2 * taken)
            .max(before)
            .clamp(READY_MIN, READY_MAX)
            .min(bound.max(READY_SPARE + 1));

        self.target.store(target, Relaxed);
        target.saturating_sub(ready)
    }

    /// Adds an empty segment to the pool. Gives it back if the pool is full. Context: process.
    pub(super) fn add(&self, segment: SegmentId, folios: Arc<Folios>) -> Result<(), SegmentId> {
        let ready = Ready { segment, folios };
        // Dropped after the lock.
        let refused = self.state.lock().ready.push_within_capacity(ready);
        refused.map_err(|_| segment)
    }

    /// Takes an empty segment out of the pool, to give it up. Context: process.
    pub(super) fn remove(&self) -> Option<SegmentId> {
        let ready = self.state.lock().ready.pop();
        ready.map(|ready| ready.segment)
    }

    /// As [`Arena::remove`], of those that lie in `frames`. Context: process.
    pub(super) fn remove_in(&self, frames: &Range<usize>) -> Option<SegmentId> {
        let mut state = self.state.lock();
        let mut list = state.ready.iter();
        let at = list.position(|ready| ready.folios.lie_in(frames))?;
        let ready = state.ready.remove(at).ok();
        // Before the last reference to the folios goes.
        drop(state);
        ready.map(|ready| ready.segment)
    }

    /// Gives `seal` the segments that are being filled; false if there are none.
    /// Context: process.
    pub(super) fn seal_all(&self, seal: impl FnMut(SegmentId, Class)) -> bool {
        self.seal_if(|_| true, seal)
    }

    /// As [`Arena::seal_all`], of those that lie in `frames`. Context: process.
    pub(super) fn seal_in(&self, frames: &Range<usize>, seal: impl FnMut(SegmentId, Class)) {
        self.seal_if(|folios| folios.lie_in(frames), seal);
    }

    fn seal_if(
        &self,
        which: impl Fn(&Folios) -> bool,
        mut seal: impl FnMut(SegmentId, Class),
    ) -> bool {
        let mut any = false;
        for kind in 0..KINDS {
            for class in [Class::Probation, Class::Main] {
                let open = self.state.lock().open[kind][class as usize]
                    .take_if(|open| which(&open.folios));
                if let Some(open) = open {
                    seal(open.segment, class);
                    any = true;
                }
            }
        }
        any
    }
}

const PAGE: u32 = PAGE_SIZE as u32;

/// Where in a segment that is filled up to `fill` an extent of `len` bytes can go.
fn room(kind: Kind, fill: u32, len: u32) -> Option<u32> {
    let offset = match kind {
        Kind::Window | Kind::Part => fill.next_multiple_of(PAGE),
        Kind::Object => fill.next_multiple_of(OBJECT_BYTES),
        Kind::Small => {
            // Within a page, so that the bytes lie together in memory.
            let offset = fill.next_multiple_of(ALIGN);
            if offset % PAGE + len > PAGE {
                offset.next_multiple_of(PAGE)
            } else {
                offset
            }
        }
    };
    (offset + len <= SEGMENT_BYTES as u32).then_some(offset)
}
