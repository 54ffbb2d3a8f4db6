// SPDX-License-Identifier: GPL-2.0

//! Finding what is stored, and reading it.
//!
//! A read looks the place up under a shard's lock and lets go of it; then it takes a reference to
//! each folio: where the segment's record says that it was, else from the page cache. Between the two
//! the segment may be evicted or reclaimed: then there is no folio at its index, for ever, and the
//! read has missed. With a reference in hand nothing can change under the reader.

use super::{
    index::{
        Entry,
        Key,
        Place, //
    },
    recent::{
        Object,
        RecentObjects,
        Sought, //
    },
    segments::View,
    BlobInfo,
    Store,
    INFO_HOPS,
    INFO_PUBLIC,
    OBJECT_BYTES, //
};
use crate::mm::{
    Folio,
    FolioHint,
    PAGE_SIZE, //
};
use feed_core::{
    id::BlobName,
    object::ObjectKey, //
};
use kernel::sync::atomic::ordering::Relaxed;

/// A piece of a window, in one folio. It has a reference of its own: for a frame's fragment,
/// hand that over with [`Folio::into_raw`].
pub(crate) struct Piece {
    pub(crate) folio: Folio,
    /// First byte in the folio.
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// What an entry of the index says, without its key.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) info: u64,
    pub(super) place: Place,
    pub(super) view: View,
}

impl Found {
    pub(super) fn new(entry: &Entry, view: View) -> Self {
        Self {
            info: entry.info(),
            place: entry.place(),
            view,
        }
    }
}

/// Segments from which on a store is so large that what lookups want is seldom in a cache: then it
/// pays to ask the memory for what several of them want at the same time.
const LARGE: usize = 256;

/// After how many other segments a hit counts, see [`Segments::settled`]: a fraction of all, well
/// below what may be on probation.
///
/// [`Segments::settled`]: super::segments::Segments::settled
const SETTLE_FRACTION: usize = 32;
const SETTLE_MIN: usize = 2;

/// Pieces of a window at most: 32 KiB that begin at a page.
const PIECES_MAX: usize = (32 << 10) / PAGE_SIZE;

/// All pieces of a range, in order.
pub(crate) struct Pieces {
    list: [Option<Piece>; PIECES_MAX],
}

impl IntoIterator for Pieces {
    type Item = Piece;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<Piece>, PIECES_MAX>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
}

impl Store {
    /// Looks up a published window. Context: any.
    pub(crate) fn blob_find(&self, blob: &BlobName, window: u16) -> Option<BlobInfo> {
        let key = Key::blob(blob, window);
        let hash = self.index.hash(&key);
        self.index.with(hash, |shard| {
            Some(blob_info(shard.find(&key, hash, &self.segments)?.info()))
        })
    }

    /// Lets a host answer with a window: it belongs to a feed that is shared. Context: any.
    pub(crate) fn blob_share(&self, recent: &mut RecentObjects, blob: &BlobName, window: u16) {
        let key = Key::blob(blob, window);
        recent.forget(&key);
        let hash = self.index.hash(&key);
        self.index.with(hash, |shard| {
            if let Some(entry) = shard.find(&key, hash, &self.segments) {
                entry.set_info(INFO_PUBLIC);
            }
        });
    }

    /// Copies bytes of a published window from `offset` on. False if not all of them are here.
    /// Context: as for [`Store::slot_get_again`].
    pub(crate) fn blob_read(
        &self,
        recent: &mut RecentObjects,
        blob: &BlobName,
        window: u16,
        offset: u32,
        out: &mut [u8],
    ) -> bool {
        let Ok(len) = u32::try_from(out.len()) else {
            return false;
        };
        let mut rest = out;
        self.blob_visit_again(recent, blob, window, offset, len, |folio, at, len| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(len);
            rest = later;
            folio.read(at, now)
        })
    }

    /// References to the pages of a range of a published window. Context: any.
    pub(crate) fn blob_pages(
        &self,
        blob: &BlobName,
        window: u16,
        offset: u32,
        len: u32,
    ) -> Option<Pieces> {
        let mut pieces = Pieces {
            list: [const { None }; PIECES_MAX],
        };
        let mut places = pieces.list.iter_mut();
        let all = self.visit(
            &Key::blob(blob, window),
            offset,
            len,
            |folio, offset, len| {
                let Some(place) = places.next() else {
                    return false;
                };
                *place = Some(Piece { folio, offset, len });
                true
            },
        );
        all.then_some(pieces)
    }

    /// Reads one slot of an object. False if it is not here. Context: any.
    pub(crate) fn slot_get(&self, key: &ObjectKey, slot: u8, out: &mut [u8]) -> bool {
        let (Some(key), Some((offset, bit))) = (Key::object(key), slot_place(slot, out.len()))
        else {
            return false;
        };
        let found = self.find_entry(&key, |entry| entry.info() & bit != 0);
        let read = found.is_some_and(|found| {
            self.visit_entry(&key, &found, offset, out.len() as u32, |folio, at, _| {
                folio.read(at, out)
            })
        });
        self.count(read);
        read
    }

    /// As [`Store::slot_get`], for who reads several slots of an object: `recent` remembers it.
    ///
    /// Context: any, the same until [`RecentObjects::clear`].
    pub(crate) fn slot_get_again(
        &self,
        recent: &mut RecentObjects,
        key: &ObjectKey,
        slot: u8,
        out: &mut [u8],
    ) -> bool {
        let (Some(key), Some((offset, bit))) = (Key::object(key), slot_place(slot, out.len()))
        else {
            return false;
        };
        let read = recent
            .get(self, &key)
            .is_some_and(|object| object.read(self, offset, bit, out));
        self.count(read);
        read
    }

    /// As [`Store::slot_get_again`], for `slots` of 32 bytes, one behind the other. False if one is
    /// not here.
    pub(crate) fn slots_get_again(
        &self,
        recent: &mut RecentObjects,
        key: &ObjectKey,
        slots: &[u8],
        out: &mut [u8],
    ) -> bool {
        const LEN: usize = 32;

        let Some(key) = Key::object(key) else {
            return false;
        };
        let read = recent.get(self, &key).is_some_and(|object| {
            let mut rooms = out.chunks_exact_mut(LEN);
            slots.iter().all(|slot| {
                let (Some(room), Some((offset, bit))) = (rooms.next(), slot_place(*slot, LEN))
                else {
                    return false;
                };
                object.read(self, offset, bit, room)
            })
        });
        self.count(read);
        read
    }

    /// As [`Store::blob_find`], for who reads the window next: `recent` remembers it. Context: as for
    /// [`Store::slot_get_again`].
    pub(crate) fn blob_open(
        &self,
        recent: &mut RecentObjects,
        blob: &BlobName,
        window: u16,
    ) -> Option<BlobInfo> {
        let object = recent.get(self, &Key::blob(blob, window))?;
        Some(blob_info(object.found?.info))
    }

    /// Gives `take` a reference to each page of a range of a published window, with the offset in it
    /// and the length, until it returns false. True if that was all of the range. Context: as for
    /// [`Store::slot_get_again`].
    pub(crate) fn blob_visit_again(
        &self,
        recent: &mut RecentObjects,
        blob: &BlobName,
        window: u16,
        offset: u32,
        len: u32,
        take: impl FnMut(Folio, usize, usize) -> bool,
    ) -> bool {
        let key = Key::blob(blob, window);
        let stored = key.stored_len();
        let inside = offset.checked_add(len).is_some_and(|end| end <= stored);
        let seen = inside
            && recent
                .get(self, &key)
                .is_some_and(|object| self.visit_object(object, offset, len, take));
        self.count(seen);
        seen
    }

    /// Whether it pays to say what will be read in a moment. Context: any.
    pub(crate) fn is_large(&self) -> bool {
        self.count.load(Relaxed) >= LARGE
    }

    /// Says that slots of an object, of 32 bytes each, will be read in a moment: the memory of who
    /// reads several objects is asked for all of them at once. First for their places (`near` is
    /// false), then for their bytes. Context: as for [`Store::slot_get_again`].
    pub(crate) fn slots_soon(
        &self,
        recent: &mut RecentObjects,
        key: &ObjectKey,
        slots: &[u8],
        len: usize,
        near: bool,
    ) {
        let Some(key) = Key::object(key) else {
            return;
        };
        if !near {
            return self.place_soon(recent, &key);
        }
        let Some(object) = recent.get(self, &key) else {
            return;
        };
        for slot in slots {
            let Some((offset, bit)) = slot_place(*slot, len) else {
                return;
            };
            object.soon(self, offset, bit);
        }
    }

    /// As [`Store::slots_soon`], for the beginning of a window.
    pub(crate) fn blob_soon(
        &self,
        recent: &mut RecentObjects,
        blob: &BlobName,
        window: u16,
        near: bool,
    ) {
        let key = Key::blob(blob, window);
        if !near {
            return self.place_soon(recent, &key);
        }
        if let Some(object) = recent.get(self, &key) {
            object.soon(self, 0, 0);
        }
    }

    fn place_soon(&self, recent: &mut RecentObjects, key: &Key) {
        if let Some(object) = recent.place(self, key) {
            if object.sought == Sought::Not {
                let hash = object.hash;
                self.index.with(hash, |shard| shard.prefetch(hash));
            }
        }
    }

    /// Gives `look` every piece of a range, with its folio, offset in it and length, until it
    /// returns false. True if that was all of the range.
    fn visit(
        &self,
        key: &Key,
        offset: u32,
        len: u32,
        look: impl FnMut(Folio, usize, usize) -> bool,
    ) -> bool {
        let stored = key.stored_len();
        let inside = offset.checked_add(len).is_some_and(|end| end <= stored);
        let found = if inside {
            self.find_entry(key, |_| true)
        } else {
            None
        };
        let seen =
            found.is_some_and(|found| self.visit_entry(key, &found, offset, len, look));
        self.count(seen);
        seen
    }

    /// Where what `key` names lies, if `wanted`, which counts as a hit for the eviction policy.
    fn find_entry(&self, key: &Key, wanted: impl FnOnce(&Entry) -> bool) -> Option<Found> {
        self.find_hashed(key, self.index.hash(key), wanted)
    }

    pub(super) fn find_hashed(
        &self,
        key: &Key,
        hash: u64,
        wanted: impl FnOnce(&Entry) -> bool,
    ) -> Option<Found> {
        let distance = (self.count.load(Relaxed) / SETTLE_FRACTION).max(SETTLE_MIN) as u64;
        self.index.with(hash, |shard| {
            let entry = shard.find(key, hash, &self.segments)?;
            if !wanted(entry) {
                return None;
            }
            let (segment, view) = self.segments.find(entry.segment())?;
            if self.segments.settled(segment, distance) {
                segment.touch();
                entry.touch();
            }
            Some(Found::new(entry, view))
        })
    }

    fn visit_object(
        &self,
        object: &mut Object,
        offset: u32,
        len: u32,
        mut take: impl FnMut(Folio, usize, usize) -> bool,
    ) -> bool {
        // What lies in one folio, and was looked at before, is at hand.
        if let (Some(found), Some(span)) = (&object.found, &object.span) {
            let (page, at) = Object::page(found, offset);
            if let Some(at) = span.offset(page, at, len as usize) {
                return take(span.folio().clone(), at, len as usize);
            }
        }
        let Some(found) = object.found else {
            return false;
        };
        self.visit_entry(&object.key, &found, offset, len, take)
    }

    pub(super) fn visit_entry(
        &self,
        key: &Key,
        found: &Found,
        offset: u32,
        len: u32,
        mut look: impl FnMut(Folio, usize, usize) -> bool,
    ) -> bool {
        let view = found.view;
        let mut at = (found.place.offset + offset) as usize;
        let end = at + len as usize;
        if at == end {
            return true;
        }
        let first = at / PAGE_SIZE;
        let pages = end.div_ceil(PAGE_SIZE) - first;
        let mapping = &self.arena(view.pinned()).mapping;
        // Whether `look` is content.
        let mut wanted = true;
        let mut piece = |folio: Folio| {
            let page = view.page() + (at / PAGE_SIZE) as u64;
            let inside = page
                .checked_sub(folio.index())
                .map(|pages| pages as usize * PAGE_SIZE + at % PAGE_SIZE)
                .filter(|inside| *inside < folio.len());
            let Some(inside) = inside else {
                return false;
            };
            let now = (folio.len() - inside).min(end - at);
            at += now;
            wanted = look(folio, inside, now);
            wanted
        };
        let start = view.page() + first as u64;
        let all = if pages == 1 {
            self.folio(found, start).is_some_and(&mut piece)
        } else {
            let record = self.segments.record(found.place.segment.slot);
            mapping.visit(start, pages, |page| record?.hint(page), &mut piece)
        };
        if !all && wanted {
            self.forget(key, found.place);
        }
        all
    }

    /// The folio of page `page` of the mapping, which is of the segment that was found.
    #[inline]
    pub(super) fn folio(&self, found: &Found, page: u64) -> Option<Folio> {
        let mapping = &self.arena(found.view.pinned()).mapping;
        match self.hint(found, page) {
            Some(hint) => mapping.get_by(page, hint),
            None => mapping.get(page),
        }
    }

    /// Where that was seen last.
    #[inline]
    pub(super) fn hint(&self, found: &Found, page: u64) -> Option<&FolioHint> {
        self.segments.record(found.place.segment.slot)?.hint(page)
    }

    /// The kernel has taken (some of) what lies at `place`.
    pub(super) fn forget(&self, key: &Key, place: Place) {
        let hash = self.index.hash(key);
        let gone = self
            .index
            .with(hash, |shard| shard.remove(key, hash, place));
        if gone {
            if let Some((segment, _)) = self.segments.find(place.segment) {
                segment.lose(key.stored_len());
            }
        }
    }

    fn count(&self, hit: bool) {
        let counter = if hit {
            &self.counters.hits
        } else {
            &self.counters.misses
        };
        counter.add(1, Relaxed);
    }
}

/// What is known of a stored window.
fn blob_info(info: u64) -> BlobInfo {
    BlobInfo {
        hops: (info & INFO_HOPS) as u8,
        public: info & INFO_PUBLIC != 0,
    }
}

/// Where in an object the slot lies, and its bit.
pub(super) fn slot_place(slot: u8, len: usize) -> Option<(u32, u64)> {
    slots_place(slot, len, len)
}

/// Where in an object slots of `len` bytes lie that `bytes` bytes fill from `first` on, and their
/// bits.
pub(super) fn slots_place(first: u8, len: usize, bytes: usize) -> Option<(u32, u64)> {
    const SLOTS: usize = 62;
    let (first, offset) = (usize::from(first), usize::from(first) * len);
    let count = bytes.checked_div(len).unwrap_or(1);
    let inside = offset + bytes <= OBJECT_BYTES as usize && bytes == count * len;

    (first + count.max(1) <= SLOTS && inside)
        .then_some((offset as u32, ((1 << count) - 1) << first))
}
