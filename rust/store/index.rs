// SPDX-License-Identifier: GPL-2.0

//! The index: where the verified bytes of a name lie.
//!
//! One table for blob windows and objects, in shards with a lock each. A shard is an array of
//! 64-byte entries (one cache line), found by a keyed hash (`table.rs`). A segment that ends takes its
//! entries with it at once, because they name its generation; they are removed when they are met,
//! by a new entry that needs their place, or by the sweeper.
//!
//! A shard grows (and shrinks) in process context: the worker allocates without the lock, puts
//! the new array in, and moves entries over a few at a time. Until that is done both are looked
//! at. When a shard is really full, inserting fails.
//!
//! Lock order: a shard's lock is taken before an arena's. Nothing is allocated under it.

use super::{
    segments::{
        SegmentId,
        Segments, //
    },
    table::Table,
    Full, //
};
use crate::sync::{
    new_spinlock_bh,
    SpinLockBh, //
};
use core::mem;
use feed_core::{
    id::BlobName,
    object::{
        Kind,
        ObjectKey, //
    },
    siphash::{
        siphash13_words,
        SipKey, //
    }, //
};
use kernel::prelude::*;

/// Shards, a power of two.
pub(super) const SHARDS: usize = 16;
/// Entries of a shard before the store is used.
const SHARD_FIRST: usize = 16;
/// Free places that a shard has at least, once it is: what may come in before the worker runs.
const HEADROOM: usize = 64;
/// Entries that are moved or looked at under the lock in one go.
pub(super) const BATCH: usize = 256;

/// What is looked for: a window of a blob, or an object.
///
/// The last word is 48 bits of number, a tier, and a kind that is never 0.
#[derive(Clone, Copy, Debug, Eq)]
pub(super) struct Key {
    words: [u64; 5],
    scope: u32,
}

impl PartialEq for Key {
    /// By words, as a call of memcmp costs more than the comparison; first by that in which the objects
    /// of a feed differ.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([a, b, c, d, last], [e, f, g, h, other_last]) = (self.words, other.words);
        last == other_last
            && (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) | u64::from(self.scope ^ other.scope) == 0
    }
}

const KIND_SHIFT: u32 = 56;
const TIER_SHIFT: u32 = 48;
const KIND_BLOB: u64 = 1;
const KIND_TILE: u64 = KIND_BLOB + 1 + Kind::Tile as u64;
const KIND_EDGE: u64 = KIND_BLOB + 1 + Kind::Edge as u64;

impl Key {
    pub(super) fn blob(blob: &BlobName, window: u16) -> Self {
        let number = u64::from(blob.len) | u64::from(window) << 32;
        Self::new(&blob.hash.0, KIND_BLOB << KIND_SHIFT | number, 0)
    }

    /// `None` for a number that no feed can reach.
    pub(super) fn object(key: &ObjectKey) -> Option<Self> {
        let kind = KIND_BLOB + 1 + key.kind as u64;
        let last = kind << KIND_SHIFT | u64::from(key.tier) << TIER_SHIFT | key.index;

        (key.index >> TIER_SHIFT == 0).then(|| Self::new(&key.owner, last, key.scope))
    }

    fn new(name: &[u8; 32], last: u64, scope: u32) -> Self {
        let mut words = [0, 0, 0, 0, last];
        for (word, bytes) in words.iter_mut().zip(name.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, u64::from_le_bytes);
        }
        Self { words, scope }
    }

    pub(super) fn is_object(&self) -> bool {
        let [.., last] = self.words;
        last >> KIND_SHIFT != KIND_BLOB
    }

    /// Whether it names nodes that lie above the lowest levels of a tree: few, and often wanted.
    pub(super) fn is_high(&self) -> bool {
        let [.., last] = self.words;
        let kind = last >> KIND_SHIFT;
        kind == KIND_EDGE || kind == KIND_TILE && last >> TIER_SHIFT & 0xff != 0
    }

    /// A number below `places` that differs between keys that are used together. Not to be used where
    /// others could choose keys to do harm.
    pub(super) fn mix(&self, places: usize) -> usize {
        // 2^64 by the golden ratio.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let [first, .., last] = self.words;
        let mixed = (first ^ last).wrapping_mul(SPREAD) >> 32;
        (mixed as usize * places) >> 32
    }

    /// Bytes that are stored under it: of the blob's window, or an object's.
    pub(super) fn stored_len(&self) -> u32 {
        let [.., last] = self.words;
        if !self.is_object() {
            feed_core::blob::window_len(last as u32, (last >> 32) as u16)
        } else {
            super::OBJECT_BYTES
        }
    }
}

/// Where something lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) segment: SegmentId,
    /// Bytes from the start of the segment, a multiple of [`ALIGN`].
    pub(super) offset: u32,
}

/// Extents begin at multiples of this.
pub(super) const ALIGN: u32 = 64;

/// Bits of an entry that say where in its segment it begins.
const OFFSET_BITS: u32 = (super::SEGMENT_BYTES as u32 / ALIGN).ilog2();
/// Segments that an entry can name.
pub(super) const SLOTS_MAX: usize = 1 << (32 - OFFSET_BITS);

/// One entry: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    words: [u64; 5],
    /// The user's 62 bits, and the heat above them.
    info: u64,
    scope: u32,
    generation: u32,
    /// Low half of the keyed hash: where probing starts.
    hash: u32,
    /// Slot of the segment, and offset in units of [`ALIGN`].
    place: u32,
}

/// Hits since the entry was stored or moved, up to [`HEAT_MAX`].
const HEAT_SHIFT: u32 = 62;
const HEAT_MAX: u64 = 3;
const INFO: u64 = (1 << HEAT_SHIFT) - 1;

const _: () = assert!(mem::size_of::<Entry>() == 64);

impl Entry {
    pub(super) const NONE: Entry = Entry {
        words: [0; 5],
        info: 0,
        scope: 0,
        generation: 0,
        hash: 0,
        place: 0,
    };

    pub(super) fn new(key: &Key, hash: u64, place: Place, info: u64) -> Self {
        let mut entry = Self {
            words: key.words,
            info: info & INFO,
            scope: key.scope,
            hash: hash as u32,
            ..Self::NONE
        };
        entry.set_place(place);
        entry
    }

    pub(super) fn empty(&self) -> bool {
        let [.., last] = self.words;
        last == 0
    }

    pub(super) fn key(&self) -> Key {
        Key {
            words: self.words,
            scope: self.scope,
        }
    }

    pub(super) fn segment(&self) -> SegmentId {
        SegmentId {
            slot: self.place >> OFFSET_BITS,
            generation: self.generation,
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            segment: self.segment(),
            offset: (self.place & ((1 << OFFSET_BITS) - 1)) * ALIGN,
        }
    }

    /// A moved entry has to earn its next move.
    pub(super) fn set_place(&mut self, place: Place) {
        self.place = place.segment.slot << OFFSET_BITS | place.offset / ALIGN;
        self.generation = place.segment.generation;
        self.info &= INFO;
    }

    /// An object's slots that are written, or what is known of a blob window.
    pub(super) fn info(&self) -> u64 {
        self.info & INFO
    }

    pub(super) fn set_info(&mut self, bits: u64) {
        self.info |= bits & INFO;
    }

    pub(super) fn clear_info(&mut self, bits: u64) {
        self.info &= !(bits & INFO);
    }

    pub(super) fn touch(&mut self) {
        if self.info >> HEAT_SHIFT < HEAT_MAX {
            self.info += 1 << HEAT_SHIFT;
        }
    }

    /// Whether it was looked up since it was stored or moved.
    pub(super) fn hot(&self) -> bool {
        self.info >> HEAT_SHIFT != 0
    }

    pub(super) fn is(&self, key: &Key, hash: u32) -> bool {
        self.hash == hash && self.key() == *key
    }

    /// Low half of the keyed hash: where its table looks for it.
    pub(super) fn hash(&self) -> u32 {
        self.hash
    }
}

/// What becomes of an entry that a scan has looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keep {
    Yes,
    No,
}

/// A shard, seen by who has its lock.
pub(super) struct Shard {
    table: Table,
    /// What has still to be moved to `table`.
    old: Option<Table>,
    /// How far that has got: before it `old` is empty.
    moved: usize,
}

impl Shard {
    fn used(&self) -> usize {
        self.table.used() + self.old.as_ref().map_or(0, Table::used)
    }

    /// The entry of `key`, if its segment is still there. Context: any.
    pub(super) fn find(&mut self, key: &Key, hash: u64, segments: &Segments) -> Option<&mut Entry> {
        let hash = hash as u32;
        let (table, at) = match self.table.find(key, hash) {
            Some(at) => (&mut self.table, at),
            None => {
                let old = self.old.as_mut()?;
                let at = old.find(key, hash)?;
                (old, at)
            }
        };
        if !segments.alive(table.get(at)?.segment()) {
            table.remove(at);
            return None;
        }
        table.get_mut(at)
    }

    /// Asks the memory for where [`Shard::find`] will look first. Context: any.
    pub(super) fn prefetch(&self, hash: u64) {
        self.table.prefetch(hash as u32);
    }

    /// Adds an entry that [`Shard::find`] did not find. Context: any.
    pub(super) fn insert(&mut self, entry: &Entry, segments: &Segments) -> Result<(), Full> {
        // While entries are being moved, room is kept for all of them.
        let crowded = self.old.is_some() && self.used() >= self.table.room();
        if !crowded && self.table.put(entry, segments) {
            Ok(())
        } else {
            Err(Full)
        }
    }

    /// Removes the entry of `key`, if it still points to `place`. Context: any.
    pub(super) fn remove(&mut self, key: &Key, hash: u64, place: Place) -> bool {
        let hash = hash as u32;
        for table in [Some(&mut self.table), self.old.as_mut()]
            .into_iter()
            .flatten()
        {
            if let Some(at) = table.find(key, hash) {
                if table.get(at).is_some_and(|entry| entry.place() == place) {
                    table.remove(at);
                    return true;
                }
            }
        }
        false
    }

    /// Whether the worker should see to its size.
    pub(super) fn is_tight(&self) -> bool {
        let (len, used) = (self.table.len(), self.used());
        self.old.is_none() && (used * 4 >= len * 3 || used + HEADROOM > len)
    }

    /// The length that it should have, if it is another than it has.
    fn wanted_len(&self) -> Option<usize> {
        let (len, used) = (self.table.len(), self.used());
        // Loaded to less than two thirds; any length spreads as well as a power of two.
        let wanted = (used + used / 2 + used / 8).max(used + 2 * HEADROOM);
        let wasteful = len > 3 * wanted;

        (self.old.is_none() && (self.is_tight() || wasteful)).then_some(wanted)
    }
}

/// The index of a store.
pub(super) struct Index {
    /// Boxed, because a lock must not move.
    shards: KVec<Pin<KBox<SpinLockBh<Shard>>>>,
    secret: SipKey,
}

impl Index {
    /// An index with room for a few entries. Context: process, may sleep.
    pub(super) fn new(secret: SipKey) -> Result<Self> {
        let mut shards = KVec::with_capacity(SHARDS, GFP_KERNEL)?;
        for _ in 0..SHARDS {
            let shard = Shard {
                table: Table::allocate(SHARD_FIRST)?,
                old: None,
                moved: 0,
            };
            let shard = KBox::pin_init(new_spinlock_bh!(shard, "feed_index"), GFP_KERNEL)?;
            shards.push(shard, GFP_KERNEL)?;
        }
        Ok(Self { shards, secret })
    }

    /// The keyed hash of `key`. Context: any.
    pub(super) fn hash(&self, key: &Key) -> u64 {
        siphash13_words(&self.secret, &key.words, key.scope)
    }

    /// Runs `action` with the shard of `hash` locked. Context: any.
    #[inline]
    pub(super) fn with<R>(&self, hash: u64, action: impl FnOnce(&mut Shard) -> R) -> R {
        // The low half of the hash is for the place in the shard.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        action(&mut shard.lock())
    }

    /// Entries, dead ones included. Context: any.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().used()).sum()
    }

    /// Bytes of all arrays. Context: any.
    pub(super) fn bytes(&self) -> usize {
        let bytes =
            |shard: &Shard| shard.table.bytes() + shard.old.as_ref().map_or(0, Table::bytes);
        self.shards.iter().map(|shard| bytes(&shard.lock())).sum()
    }

    /// Gives every shard the size that it should have. Context: process, may sleep.
    pub(super) fn resize(&self, segments: &Segments) -> Result {
        for shard in &self.shards {
            let Some(len) = shard.lock().wanted_len() else {
                continue;
            };
            let mut table = Table::allocate(len)?;
            {
                let mut shard = shard.lock();
                // While memory was found, many entries may have come: what authors have stored
                // must not be lost. The next look asks for more.
                if shard.used() + HEADROOM > table.room() {
                    continue;
                }
                mem::swap(&mut shard.table, &mut table);
                shard.old = Some(table);
                shard.moved = 0;
            }
            while Self::move_some(&mut shard.lock(), segments) {}
            // Freed without the lock.
            let old = shard.lock().old.take();
            drop(old);
        }
        Ok(())
    }

    /// Moves some entries to the new array; true while there are more.
    fn move_some(shard: &mut Shard, segments: &Segments) -> bool {
        let Shard { table, old, moved } = shard;
        let Some(old) = old else {
            return false;
        };
        // What is removed closes the gap from behind, so nothing comes to lie before `moved`.
        for _ in 0..BATCH {
            match old.get(*moved) {
                Some(entry) if !entry.empty() => {
                    let entry = *entry;
                    // There is a place: all that is used had room in the new array when that was put in, and
                    // `Shard::insert` refuses what would be more. Whether its segment is alive is for the
                    // sweeper to say: to ask here is a touch of cold memory for each entry.
                    table.put(&entry, segments);
                    old.remove(*moved);
                }
                Some(_) => *moved += 1,
                None => return false,
            }
        }
        true
    }

    /// Makes all shards look full, and as if they were growing, which they then never do.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn jam(&self) -> Result {
        for shard in &self.shards {
            let nothing = Table::allocate(0)?;
            let mut shard = shard.lock();
            shard.table.jam(true);
            shard.old = Some(nothing);
        }
        Ok(())
    }

    /// Undoes [`Index::jam`].
    #[cfg(CONFIG_KUNIT = "y")]
    pub(super) fn clear_jam(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.table.jam(false);
            shard.old = None;
        }
    }

    /// Shows every entry to `look`, a few under the lock at a time, and removes those that it
    /// does not want to keep. Entries that are added or moved meanwhile may be missed.
    ///
    /// Context: process (`look` itself must not sleep).
    pub(super) fn scan(&self, mut look: impl FnMut(&Entry) -> Keep) {
        for shard in 0..SHARDS {
            self.scan_shard(shard, &mut look);
        }
    }

    /// As [`Index::scan`], for one shard.
    pub(super) fn scan_shard(&self, shard: usize, look: &mut impl FnMut(&Entry) -> Keep) {
        let Some(shard) = self.shards.get(shard) else {
            return;
        };
        // `resize` runs in the same worker, so there is no old array.
        let mut at = 0;
        while !shard.lock().table.scan(&mut at, BATCH, look) {}
    }
}
