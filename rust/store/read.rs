// SPDX-License-Identifier: GPL-2.0

//! Finding what is stored, and reading it.
//!
//! A read looks the place up under a shard's lock and lets go of it; then it takes a reference to
//! each folio from the page cache. Between the two the segment may be evicted or reclaimed: then
//! there is no folio at its index, for ever, and the read has missed. With a reference in hand
//! nothing can change under the reader.

use super::{
    index::{
        Entry,
        Key,
        Place, //
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
    PAGE_SIZE, //
};
use feed_core::{
    id::BlobName,
    object::ObjectKey, //
};
use kernel::{
    sync::atomic::ordering::Relaxed, //
};

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
    info: u64,
    place: Place,
    view: View,
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

/// What one answer reads: leaves, the tiles and edge of a proof, and a window.
const RECENT: usize = 8;

/// An object, or a window, that was looked for a moment ago.
///
/// What was found is a copy: slots that were written since are missed, which costs a fetch. What was
/// cleared must be forgotten here by who clears it.
struct Object {
    key: Key,
    /// `None`: it is not here.
    found: Option<Found>,
    /// Where it was last read, so that neither the kernel nor the store takes it meanwhile.
    folio: Option<Folio>,
}

impl Object {
    /// Reads bytes that lie in one page.
    fn read(&mut self, store: &Store, offset: u32, bit: u64, out: &mut [u8]) -> bool {
        let Some(found) = self.found.filter(|found| found.info & bit != 0) else {
            return false;
        };
        let at = (found.place.offset + offset) as usize;
        let page = found.view.page() + (at / PAGE_SIZE) as u64;
        let inside = |folio: &Folio| {
            let pages = page.checked_sub(folio.index())? as usize;
            let offset = pages * PAGE_SIZE + at % PAGE_SIZE;
            (offset + out.len() <= folio.len()).then_some(offset)
        };
        if self.folio.as_ref().and_then(inside).is_none() {
            self.folio = store.arena(found.view.pinned()).mapping.get(page);
        }
        let Some((folio, offset)) = self.folio.as_ref().and_then(|folio| Some((folio, inside(folio)?)))
        else {
            store.forget(&self.key, found.place);
            return false;
        };
        folio.read(offset, out)
    }
}

/// The last objects that were read, for as long as one call to the engine lasts.
pub(crate) struct RecentObjects {
    list: [Option<Object>; RECENT],
    /// The place that is taken next, and whether all behind it are taken, too.
    next: usize,
    full: bool,
    /// Which one was asked for last.
    last: usize,
}

impl RecentObjects {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            list: [const { None }; RECENT],
            next: 0,
            full: false,
            last: 0,
        }
    }

    /// Forgets them. Context: any.
    pub(crate) fn clear(&mut self) {
        // One by one: the whole list is a kilobyte.
        let used = if self.full { RECENT } else { self.next };
        for object in self.list.iter_mut().take(used) {
            *object = None;
        }
        self.next = 0;
        self.full = false;
    }
}

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
    pub(crate) fn blob_share(&self, blob: &BlobName, window: u16) {
        let key = Key::blob(blob, window);
        let hash = self.index.hash(&key);
        self.index.with(hash, |shard| {
            if let Some(entry) = shard.find(&key, hash, &self.segments) {
                entry.set_info(INFO_PUBLIC);
            }
        });
    }

    /// Copies bytes of a published window from `offset` on. False if not all of them are here.
    /// Context: any.
    pub(crate) fn blob_read(
        &self,
        blob: &BlobName,
        window: u16,
        offset: u32,
        out: &mut [u8],
    ) -> bool {
        let Ok(len) = u32::try_from(out.len()) else {
            return false;
        };
        let mut rest = out;
        self.visit(&Key::blob(blob, window), offset, len, |folio, at, len| {
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
        let read = self
            .recent_object(recent, &key)
            .is_some_and(|object| object.read(self, offset, bit, out));
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
        let object = self.recent_object(recent, &Key::blob(blob, window))?;
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
        let found = self.recent_object(recent, &key).and_then(|object| object.found);
        let seen = inside
            && found.is_some_and(|found| self.visit_entry(&key, &found, offset, len, take));
        self.count(seen);
        seen
    }

    fn recent_object<'a>(
        &self,
        recent: &'a mut RecentObjects,
        key: &Key,
    ) -> Option<&'a mut Object> {
        let known = |object: &Option<Object>| object.as_ref().is_some_and(|known| known.key == *key);
        // The nodes of a proof lie next to each other: nearly always it is the last one.
        let last = recent.last;
        let at = if recent.list.get(last).is_some_and(known) {
            Some(last)
        } else {
            recent.list.iter().position(known)
        };
        let at = match at {
            Some(at) => at,
            None => {
                if recent.next == RECENT {
                    recent.next = 0;
                    recent.full = true;
                }
                let at = recent.next;
                recent.next += 1;
                *recent.list.get_mut(at)? = Some(Object {
                    key: *key,
                    found: self.find_entry(key, |_| true),
                    folio: None,
                });
                at
            }
        };
        recent.last = at;
        recent.list.get_mut(at)?.as_mut()
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
        let hash = self.index.hash(key);
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
        while at < end {
            let page = view.page() + (at / PAGE_SIZE) as u64;
            let Some(folio) = self.arena(view.pinned()).mapping.get(page) else {
                self.forget(key, found.place);
                return false;
            };
            let inside = (page - folio.index()) as usize * PAGE_SIZE + at % PAGE_SIZE;
            let now = (folio.len() - inside).min(end - at);
            at += now;
            if !look(folio, inside, now) {
                return false;
            }
        }
        true
    }

    /// The kernel has taken (some of) what lies at `place`.
    fn forget(&self, key: &Key, place: Place) {
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
    let offset = usize::from(slot) * len;
    (slot < 62 && offset + len <= OBJECT_BYTES as usize).then_some((offset as u32, 1 << slot))
}
