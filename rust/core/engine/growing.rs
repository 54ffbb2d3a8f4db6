// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A hash table that grows while it is in use, by about a quarter of its length at a time. Nothing
//! that lies in it moves: memory is added.
//!
//! Places lie in pieces: four of one length, then four of twice that length, and so on. So few
//! pieces are enough for any length that the list of them stays in the processor's cache, an index
//! leads to its piece by a few instructions, and never more than a quarter lies idle for want of
//! smaller steps. There is a bucket for each place; they come into use one by one (linear hashing):
//! with each value that is added at most [`SPLITS`] chains are divided, so that no call has to go
//! through the whole table.

use super::env::Memory;
use super::limits::Lend;

/// Pieces of one table at most: 2^19 places.
const PIECES: usize = 56;

/// The shortest pieces have 2^4 places, so that those of 256 B fill a page.
const SHORTEST: u32 = 4;

/// Buckets that come into use with one more value. One would do, as pieces are as long as their
/// predecessors; with two all buckets are in use long before the next piece comes.
const SPLITS: u32 = 2;

/// No place; links are one-based indices.
const NONE: u32 = 0;

/// A place in a [`Growing`] table. What a search compares lies in front.
#[derive(Default)]
#[repr(C)]
pub(super) struct Place<T> {
    hash: u32,
    next: u32,
    used: bool,
    value: T,
}

/// Places and buckets that are added at once.
pub(super) struct Piece<T, M: Memory> {
    number: usize,
    places: M::Of<Place<T>>,
    buckets: M::Of<u32>,
}

impl<T: Default, M: Memory> Piece<T, M> {
    fn lend<L: Lend<M>>(number: usize, lend: &mut L) -> Result<Self, L::Error> {
        let len = start(number.saturating_add(1)).saturating_sub(start(number));
        Ok(Piece {
            number,
            places: lend.lend(len)?,
            buckets: lend.lend(len)?,
        })
    }

    /// Memory for a table of less than `len` places to have that many.
    pub(super) fn lend_up_to<L: Lend<M>>(len: usize, lend: &mut L) -> Result<Self, L::Error> {
        let (number, _) = locate(u32::try_from(len).unwrap_or(u32::MAX).saturating_sub(1));
        Self::lend(number, lend)
    }
}

/// The first index of a piece.
fn start(piece: usize) -> usize {
    let (group, part) = (piece >> 2, piece & 3);
    if group == 0 {
        part << SHORTEST
    } else {
        part.wrapping_add(4)
            .checked_shl((group as u32).wrapping_add(SHORTEST).wrapping_sub(1))
            .unwrap_or(usize::MAX)
    }
}

/// The piece of an index, and the place in it.
fn locate(index: u32) -> (usize, usize) {
    // The position of the highest bit, 5 for the first four pieces.
    let high = 31u32.wrapping_sub((index | 32).leading_zeros());
    let shift = high.wrapping_sub(2).max(SHORTEST);
    let part = index.wrapping_shr(shift) & 3;
    let piece = (high.wrapping_sub(5) << 2).wrapping_add(part);
    let offset = index & 1u32.wrapping_shl(shift).wrapping_sub(1);
    (piece as usize, offset as usize)
}

/// All bits that buckets up to `last` have.
fn mask(last: u32) -> u32 {
    u32::MAX.checked_shr(last.leading_zeros()).unwrap_or(0)
}

/// See the head of this file. Values keep their index for life. Hashes must be keyed with a secret,
/// or be numbers that others cannot choose: the chains are walked in softirq.
pub(super) struct Growing<T, M: Memory> {
    pieces: M::Of<Option<Piece<T, M>>>,
    capacity: u32,
    /// Buckets in use.
    buckets: u32,
    free: u32,
    fresh: u32,
    len: u32,
    /// Values that found no place since the table grew last.
    refused: u32,
}

impl<T: Default, M: Memory> Growing<T, M> {
    /// An empty table of at least `len` places.
    pub(super) fn lend<L: Lend<M>>(len: usize, lend: &mut L) -> Result<Self, L::Error> {
        let mut table = Growing {
            pieces: lend.lend(PIECES)?,
            capacity: 0,
            buckets: 0,
            free: NONE,
            fresh: 0,
            len: 0,
            refused: 0,
        };
        for number in 0..PIECES {
            if table.capacity() >= len {
                break;
            }
            table.grow(Piece::lend(number, lend)?);
        }
        Ok(table)
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Number of places.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// How many places the table should have, if more than now: an eighth of them is kept free for
    /// those who cannot wait for memory. Never more than `most`.
    pub(super) fn wanted(&self, most: usize) -> Option<usize> {
        let spare = (self.capacity >> 3).saturating_add(8);
        let crowded = self.refused > 0 || self.capacity.saturating_sub(self.len) < spare;
        if !crowded {
            return None;
        }
        let (next, _) = locate(self.capacity);
        let len = start(next.saturating_add(1));
        (next < PIECES && len <= most).then_some(len)
    }

    /// Adds places. Gives the memory back if it is not the next piece: somebody else was faster.
    pub(super) fn grow(&mut self, piece: Piece<T, M>) -> Option<Piece<T, M>> {
        let (next, _) = locate(self.capacity);
        let len = start(next.saturating_add(1));
        let fits = piece.number == next
            && piece.places.len() == len.saturating_sub(self.capacity())
            && piece.buckets.len() == piece.places.len();
        match self.pieces.get_mut(next) {
            Some(place) if fits => {
                self.capacity = len as u32;
                self.refused = 0;
                place.replace(piece)
            }
            _ => Some(piece),
        }
    }

    fn place(&self, index: u32) -> Option<&Place<T>> {
        let (piece, offset) = locate(index);
        self.pieces.get(piece)?.as_ref()?.places.get(offset)
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place<T>> {
        let (piece, offset) = locate(index);
        self.pieces.get_mut(piece)?.as_mut()?.places.get_mut(offset)
    }

    fn linked_mut(&mut self, link: u32) -> Option<&mut Place<T>> {
        self.place_mut(link.checked_sub(1)?)
    }

    fn bucket_mut(&mut self, number: u32) -> Option<&mut u32> {
        let (piece, offset) = locate(number);
        self.pieces
            .get_mut(piece)?
            .as_mut()?
            .buckets
            .get_mut(offset)
    }

    /// The bucket of a hash, among those in use.
    fn bucket_of(&self, hash: u32) -> Option<u32> {
        let last = self.buckets.checked_sub(1)?;
        let mask = mask(last);
        let number = hash & mask;
        Some(if number <= last {
            number
        } else {
            number & (mask >> 1)
        })
    }

    /// The first value under `hash` that `is` accepts.
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(&T) -> bool) -> Option<u32> {
        let (piece, offset) = locate(self.bucket_of(hash)?);
        let mut link = *self.pieces.get(piece)?.as_ref()?.buckets.get(offset)?;
        for _ in 0..self.capacity {
            let index = link.checked_sub(1)?;
            let place = self.place(index)?;
            if place.hash == hash && is(&place.value) {
                return Some(index);
            }
            link = place.next;
        }
        None
    }

    /// The value at `index`.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.place(index)
            .filter(|place| place.used)
            .map(|place| &place.value)
    }

    /// The value at `index`.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.place_mut(index)
            .filter(|place| place.used)
            .map(|place| &mut place.value)
    }

    /// Stores `value` under `hash`; `None` when full.
    pub(super) fn insert(&mut self, hash: u32, value: T) -> Option<u32> {
        for _ in 0..SPLITS {
            self.split();
        }
        let Some(index) = self.claim() else {
            self.refused = self.refused.saturating_add(1);
            return None;
        };
        let bucket = self.bucket_of(hash)?;
        let head = self.bucket_mut(bucket)?;
        let next = core::mem::replace(head, index.wrapping_add(1));
        let place = self.place_mut(index)?;
        place.hash = hash;
        place.next = next;
        place.used = true;
        place.value = value;
        Some(index)
    }

    /// Takes the value out.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let place = self.place_mut(index).filter(|place| place.used)?;
        place.used = false;
        let value = core::mem::take(&mut place.value);
        let (hash, next) = (place.hash, place.next);
        let link = index.wrapping_add(1);
        let bucket = self.bucket_of(hash)?;
        let head = self.bucket_mut(bucket)?;
        if *head == link {
            *head = next;
        } else {
            let mut at = *head;
            for _ in 0..self.capacity {
                let Some(before) = self.linked_mut(at) else {
                    break;
                };
                if before.next == link {
                    before.next = next;
                    break;
                }
                at = before.next;
            }
        }
        let free = core::mem::replace(&mut self.free, link);
        if let Some(place) = self.place_mut(index) {
            place.next = free;
        }
        self.len = self.len.wrapping_sub(1);
        Some(value)
    }

    /// A place that nobody has.
    fn claim(&mut self) -> Option<u32> {
        let index = match self.free.checked_sub(1) {
            Some(index) => {
                self.free = self.place(index)?.next;
                index
            }
            None if self.fresh < self.capacity => {
                let index = self.fresh;
                self.fresh = index.wrapping_add(1);
                index
            }
            None => return None,
        };
        self.len = self.len.wrapping_add(1);
        Some(index)
    }

    /// Takes one more bucket into use: it gets its part of the chain where its values were so far.
    fn split(&mut self) {
        let new = self.buckets;
        if new >= self.capacity {
            return;
        }
        self.buckets = new.wrapping_add(1);
        if new == 0 {
            return;
        }
        let mask = mask(new);
        let old = new & (mask >> 1);
        let Some(head) = self.bucket_mut(old) else {
            return;
        };
        let mut at = core::mem::replace(head, NONE);
        let (mut stays, mut goes) = (NONE, NONE);
        for _ in 0..self.capacity {
            let Some(place) = self.linked_mut(at) else {
                break;
            };
            let list = if place.hash & mask == new {
                &mut goes
            } else {
                &mut stays
            };
            let next = core::mem::replace(&mut place.next, *list);
            *list = at;
            at = next;
        }
        for (bucket, head) in [(old, stays), (new, goes)] {
            if let Some(bucket) = self.bucket_mut(bucket) {
                *bucket = head;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::vec::Vec;

    struct Vectors;

    impl Memory for Vectors {
        type Of<T> = Vec<T>;
    }

    impl Lend<Vectors> for Vectors {
        type Error = Infallible;

        fn lend<T: Default>(&mut self, len: usize) -> Result<Vec<T>, Infallible> {
            Ok((0..len).map(|_| T::default()).collect())
        }
    }

    fn table(len: usize) -> Growing<u32, Vectors> {
        let Ok(table) = Growing::lend(len, &mut Vectors);
        table
    }

    fn grow(table: &mut Growing<u32, Vectors>, most: usize) -> bool {
        let Some(len) = table.wanted(most) else {
            return false;
        };
        let Ok(piece) = Piece::lend_up_to(len, &mut Vectors);
        assert!(table.grow(piece).is_none());
        assert_eq!(table.capacity(), len);
        true
    }

    #[test]
    fn indices__lie_one_behind_the_other() {
        let mut next = (0, 0);
        for index in 0..1 << 19 {
            let at = locate(index);
            if at.1 == 0 {
                assert_eq!(start(at.0), index as usize);
                assert_eq!(at.0, next.0 + usize::from(index > 0));
            } else {
                assert_eq!(at, next);
            }
            next = (at.0, at.1 + 1);
        }
        assert_eq!(next.0, PIECES - 1);
        assert_eq!(start(PIECES), 1 << 19);
    }

    /// Random work beside a map that is known to be right, while the table grows.
    #[test]
    fn table__is_a_map() {
        let mut table = table(10);
        let mut right: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        let mut random = 1u64;
        for step in 0..200_000u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = (random >> 33) as u32;
            // Many hashes are equal, most are not.
            let hash = if number % 3 == 0 { number % 64 } else { number };
            let grows = step % 1000 < 700;
            if grows || right.is_empty() {
                let index = table.insert(hash, step).unwrap();
                assert!(right.insert(index, (hash, step)).is_none());
                grow(&mut table, usize::MAX);
            } else {
                let at = number % table.capacity() as u32;
                assert_eq!(table.remove(at), right.remove(&at).map(|(_, value)| value));
                assert_eq!(table.get(at), None);
            }
            assert_eq!(table.len(), right.len());
        }
        assert!(right.len() > 30_000);
        assert_eq!(table.buckets, table.capacity);
        for (index, (hash, value)) in &right {
            assert_eq!(table.get(*index), Some(value));
            assert_eq!(table.find(*hash, |other| other == value), Some(*index));
        }
        assert_eq!(table.find(5, |_| false), None);
    }

    /// With one hash all values are in one chain, which stays right while buckets come into use.
    #[test]
    fn chains__of_one_hash() {
        let mut table = table(0);
        assert_eq!(table.capacity(), 0);
        assert_eq!(table.find(7, |_| true), None);
        assert_eq!(table.insert(7, 0), None);
        for value in 0..500 {
            grow(&mut table, usize::MAX);
            assert_eq!(table.insert(7, value), Some(value));
        }
        for value in (0..500).step_by(3) {
            assert_eq!(table.remove(value), Some(value));
            assert_eq!(table.remove(value), None);
        }
        for value in 0..500 {
            let found = table.find(7, |other| *other == value);
            assert_eq!(found, (value % 3 != 0).then_some(value));
        }
    }

    /// It grows to the limit and no further, by the next piece only; chains stay short all the time.
    #[test]
    fn growth__ends_at_the_limit() {
        let mut table = table(16);
        let most = 5000;
        let mut value = 0u32;
        loop {
            let hash = value.wrapping_mul(0x9e37_79b1).rotate_left(16);
            if table.insert(hash, value).is_none() {
                break;
            }
            value += 1;
            let idle = table.capacity() - table.len();
            assert!(value < 64 || idle * 2 < table.capacity());
            if let Some(len) = table.wanted(most) {
                let Ok(wrong) = Piece::lend_up_to(len * 2, &mut Vectors);
                assert!(table.grow(wrong).is_some());
                let Ok(piece) = Piece::lend_up_to(len, &mut Vectors);
                let Ok(again) = Piece::lend_up_to(len, &mut Vectors);
                assert!(table.grow(piece).is_none());
                assert!(table.grow(again).is_some(), "the same memory twice");
            }
            assert!(table.buckets as usize >= table.len().min(table.capacity()));
        }
        // The longest table of whole pieces that is not longer.
        assert_eq!(table.capacity(), 4096);
        assert_eq!(value, 4096);
        assert_eq!(table.wanted(most), None);
        assert_eq!(table.wanted(5120), Some(5120));
    }
}
