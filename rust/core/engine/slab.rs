// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Tables over borrowed memory: a slab with generations, a hash table and a deadline heap on it.
//!
//! Links are one-based so that zeroed or default memory is an empty table.

use super::env::Memory;
use super::u48::U48;

/// No slot. Slots are numbered from 0, links from 1.
const NONE: u32 = 0;

/// One place of a [`Slab`].
#[derive(Default)]
pub(super) struct Slot<T> {
    value: T,
    /// While the place is free, the next free one; while it is used, the next one of its chain, if
    /// a [`Table`] lies on the slab.
    link: u32,
    generation: u8,
    used: bool,
}

/// Values that keep their index for life.
pub(super) struct Slab<T, M: Memory> {
    slots: M::Of<Slot<T>>,
    free: u32,
    fresh: u32,
    len: u32,
}

impl<T: Default, M: Memory> Slab<T, M> {
    /// An empty slab of the memory's length.
    pub(super) fn new(slots: M::Of<Slot<T>>) -> Self {
        Slab {
            slots,
            free: NONE,
            fresh: 0,
            len: 0,
        }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Number of places.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Takes a place whose value is what its last user left there; `None` when full. For values
    /// that are too large to be moved over a kernel stack.
    pub(super) fn claim(&mut self) -> Option<u32> {
        let index = if self.free != NONE {
            self.free.wrapping_sub(1)
        } else {
            self.fresh
        };
        let slot = self.slots.get_mut(index as usize)?;
        if self.free != NONE {
            self.free = slot.link;
        } else {
            self.fresh = self.fresh.wrapping_add(1);
        }
        slot.used = true;
        slot.link = NONE;
        self.len = self.len.wrapping_add(1);
        Some(index)
    }

    /// Gives a place back and leaves the value there; false if nobody had it. Its next user has
    /// another generation.
    pub(super) fn release(&mut self, index: u32) -> bool {
        let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| slot.used) else {
            return false;
        };
        slot.used = false;
        slot.generation = slot.generation.wrapping_add(1);
        slot.link = self.free;
        self.free = index.wrapping_add(1);
        self.len = self.len.wrapping_sub(1);
        true
    }

    /// Stores `value`; `None` when full.
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        let index = self.claim()?;
        self.slots.get_mut(index as usize)?.value = value;
        Some(index)
    }

    /// Takes the value out.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        if !self.release(index) {
            return None;
        }
        self.slots
            .get_mut(index as usize)
            .map(|slot| core::mem::take(&mut slot.value))
    }

    /// The place at `index`, if it is used.
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.slots.get(index as usize).filter(|slot| slot.used)
    }

    /// The place at `index`, if it is used.
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(index as usize).filter(|slot| slot.used)
    }

    /// The value at `index`.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.slot(index).map(|slot| &slot.value)
    }

    /// The value at `index`.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slot_mut(index).map(|slot| &mut slot.value)
    }

    /// All values with their indices.
    pub(super) fn iter(&self) -> Values<'_, T> {
        Values {
            slots: self.slots.get(..self.fresh as usize).unwrap_or(&[]),
            next: 0,
        }
    }

    /// How often the slot was reused.
    pub(super) fn generation(&self, index: u32) -> u8 {
        self.slots
            .get(index as usize)
            .map_or(0, |slot| slot.generation)
    }

    /// Whether `index` holds a value of this generation.
    pub(super) fn is_live(&self, index: u32, generation: u8) -> bool {
        self.slots
            .get(index as usize)
            .is_some_and(|slot| slot.used && slot.generation == generation)
    }
}

/// All values of a [`Slab`] with their indices. Named, because a chain of closures has a symbol that
/// is too long for the kernel's tools.
pub(super) struct Values<'a, T> {
    slots: &'a [Slot<T>],
    next: u32,
}

impl<'a, T> Iterator for Values<'a, T> {
    type Item = (u32, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (slot, rest) = self.slots.split_first()?;
            let index = self.next;
            self.slots = rest;
            self.next = index.wrapping_add(1);
            if slot.used {
                return Some((index, &slot.value));
            }
        }
    }
}

/// A value in a [`Table`].
#[derive(Default)]
pub(super) struct Keyed<T> {
    value: T,
    hash: u32,
}

/// A hash table's memory: slots and buckets.
pub(super) type Hashed<T, M> = (<M as Memory>::Of<Slot<Keyed<T>>>, <M as Memory>::Of<u32>);

/// A hash table whose values keep their index for life. Hashes must be keyed with a secret: the
/// chains are walked in softirq.
pub(super) struct Table<T, M: Memory> {
    slab: Slab<Keyed<T>, M>,
    buckets: M::Of<u32>,
}

impl<T: Default, M: Memory> Table<T, M> {
    /// An empty table. One bucket per slot is a good length.
    pub(super) fn new(slots: M::Of<Slot<Keyed<T>>>, buckets: M::Of<u32>) -> Self {
        Table {
            slab: Slab::new(slots),
            buckets,
        }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Number of places.
    pub(super) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    fn bucket(&mut self, hash: u32) -> Option<&mut u32> {
        let at = spread(hash, self.buckets.len());
        self.buckets.get_mut(at)
    }

    /// Stores `value` under `hash`; `None` when full.
    pub(super) fn insert(&mut self, hash: u32, value: T) -> Option<u32> {
        let head = *self.bucket(hash)?;
        let index = self.slab.insert(Keyed { value, hash })?;
        if let Some(slot) = self.slab.slot_mut(index) {
            slot.link = head;
        }
        if let Some(bucket) = self.bucket(hash) {
            *bucket = index.wrapping_add(1);
        }
        Some(index)
    }

    /// Takes the value out.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        // Read before the place is free, which links it elsewhere.
        let next = self.slab.slot(index)?.link;
        let keyed = self.slab.remove(index)?;
        let link = index.wrapping_add(1);
        let bucket = self.bucket(keyed.hash)?;
        if *bucket == link {
            *bucket = next;
            return Some(keyed.value);
        }
        let mut at = *bucket;
        for _ in 0..self.slab.capacity() {
            let Some(before) = self.slab.slot_mut(at.wrapping_sub(1)) else {
                break;
            };
            if before.link == link {
                before.link = next;
                break;
            }
            at = before.link;
        }
        Some(keyed.value)
    }

    /// The first value under `hash` that `is` accepts.
    pub(super) fn find(&self, hash: u32, is: impl FnMut(&T) -> bool) -> Option<u32> {
        let at = spread(hash, self.buckets.len());
        self.walk(*self.buckets.get(at)?, hash, is)
    }

    /// The next one behind `index`.
    pub(super) fn find_next(&self, index: u32, is: impl FnMut(&T) -> bool) -> Option<u32> {
        let slot = self.slab.slot(index)?;
        self.walk(slot.link, slot.value.hash, is)
    }

    fn walk(&self, mut link: u32, hash: u32, mut is: impl FnMut(&T) -> bool) -> Option<u32> {
        for _ in 0..self.slab.capacity() {
            if link == NONE {
                return None;
            }
            let index = link.wrapping_sub(1);
            let slot = self.slab.slot(index)?;
            if slot.value.hash == hash && is(&slot.value.value) {
                return Some(index);
            }
            link = slot.link;
        }
        None
    }

    /// The value at `index`.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.slab.get(index).map(|keyed| &keyed.value)
    }

    /// The value at `index`.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slab.get_mut(index).map(|keyed| &mut keyed.value)
    }

    /// How often the slot was reused.
    pub(super) fn generation(&self, index: u32) -> u8 {
        self.slab.generation(index)
    }

    /// Whether `index` holds a value of this generation.
    pub(super) fn is_live(&self, index: u32, generation: u8) -> bool {
        self.slab.is_live(index, generation)
    }
}

/// The place among `places` that a hash means: where it lies between 0 and 2^32, which needs no
/// division.
pub(super) fn spread(hash: u32, places: usize) -> usize {
    let places = u32::try_from(places).unwrap_or(u32::MAX);
    (u64::from(hash).wrapping_mul(u64::from(places)) >> 32) as usize
}

/// One deadline per slot of another table, the earliest on top.
pub(super) struct Heap<M: Memory> {
    items: M::Of<Deadline>,
    /// Where a slot's deadline lies in `items`, one-based.
    places: M::Of<u32>,
    len: u32,
}

/// A deadline in a [`Heap`]. Packed: there is one for each place of the pending table.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(2))]
pub(super) struct Deadline {
    at: U48,
    slot: u32,
}

impl<M: Memory> Heap<M> {
    /// An empty heap; both tables are as long as the table that the slots belong to.
    pub(super) fn new(items: M::Of<Deadline>, places: M::Of<u32>) -> Self {
        Heap {
            items,
            places,
            len: 0,
        }
    }

    /// The earliest deadline and its slot.
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.items
            .first()
            .filter(|_| self.len > 0)
            .map(|item| (item.at.get(), item.slot))
    }

    /// Sets or moves the deadline of `slot`.
    pub(super) fn set(&mut self, slot: u32, at: u64) {
        let Some(place) = self.places.get(slot as usize).copied() else {
            return;
        };
        let position = if place != NONE {
            place.wrapping_sub(1)
        } else {
            let position = self.len;
            if position as usize >= self.items.len() {
                return;
            }
            self.len = self.len.wrapping_add(1);
            position
        };
        if place != NONE && self.at(position) == at {
            return;
        }
        let at = U48::new(at);
        self.put(position, Deadline { at, slot });
        let position = self.up(position);
        self.down(position);
    }

    /// The slot has no deadline any more.
    pub(super) fn clear(&mut self, slot: u32) {
        let Some(place) = self.places.get_mut(slot as usize) else {
            return;
        };
        let place = core::mem::replace(place, NONE);
        if place == NONE {
            return;
        }
        self.len = self.len.wrapping_sub(1);
        let position = place.wrapping_sub(1);
        if position == self.len {
            return;
        }
        let Some(last) = self.items.get(self.len as usize).copied() else {
            return;
        };
        self.put(position, last);
        let position = self.up(position);
        self.down(position);
    }

    fn at(&self, position: u32) -> u64 {
        self.items
            .get(position as usize)
            .map_or(u64::MAX, |item| item.at.get())
    }

    fn put(&mut self, position: u32, item: Deadline) {
        if let Some(to) = self.items.get_mut(position as usize) {
            *to = item;
        }
        if let Some(place) = self.places.get_mut(item.slot as usize) {
            *place = position.wrapping_add(1);
        }
    }

    fn swap(&mut self, a: u32, b: u32) {
        let (Some(x), Some(y)) = (
            self.items.get(a as usize).copied(),
            self.items.get(b as usize).copied(),
        ) else {
            return;
        };
        self.put(a, y);
        self.put(b, x);
    }

    fn up(&mut self, mut position: u32) -> u32 {
        // 32 levels are more than a u32 can count.
        for _ in 0..32 {
            if position == 0 {
                break;
            }
            let parent = position.wrapping_sub(1) >> 1;
            if self.at(parent) <= self.at(position) {
                break;
            }
            self.swap(parent, position);
            position = parent;
        }
        position
    }

    fn down(&mut self, mut position: u32) {
        for _ in 0..32 {
            let left = position.wrapping_mul(2).wrapping_add(1);
            let right = left.wrapping_add(1);
            if left >= self.len {
                break;
            }
            let child = if right < self.len && self.at(right) < self.at(left) {
                right
            } else {
                left
            };
            if self.at(position) <= self.at(child) {
                break;
            }
            self.swap(position, child);
            position = child;
        }
    }
}
