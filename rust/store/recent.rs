// SPDX-License-Identifier: GPL-2.0

//! What was looked for in the store a moment ago, for as long as one call to the engine lasts.

use super::{
    index::Key,
    read::Found,
    Full,
    Store, //
};
use crate::mm::{
    Span,
    PAGE_SIZE, //
};
use kernel::prelude::*;

/// Objects and windows that are remembered, a power of two: each lookup of a batch reads three of its
/// own, and those high in the tree that all read.
const RECENT: usize = 64;

/// Whether an object was looked for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Sought {
    Not,
    /// By who wrote to it, which is no hit.
    ToWrite,
    ToRead,
}

/// An object, or a window, that was looked for a moment ago.
///
/// What was found is a copy: slots that others have written since are missed, which costs a fetch. Who
/// changes something in the same call says so here, by [`RecentObjects::put`] or [`RecentObjects::forget`].
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) hash: u64,
    /// `None`: it was not looked for yet, or is not here.
    pub(super) found: Option<Found>,
    pub(super) sought: Sought,
    /// Where it was last read, so that neither the kernel nor the store takes it meanwhile.
    pub(super) span: Option<Span>,
}

impl Object {
    /// Where byte `offset` lies: its page in the mapping, and where in that.
    pub(super) fn page(found: &Found, offset: u32) -> (u64, usize) {
        let at = (found.place.offset + offset) as usize;
        (found.view.page() + (at / PAGE_SIZE) as u64, at % PAGE_SIZE)
    }

    /// Reads bytes that lie in one page.
    #[inline]
    pub(super) fn read(&mut self, store: &Store, offset: u32, bit: u64, out: &mut [u8]) -> bool {
        match self.open(store, offset, bit, out.len()) {
            Some((span, at)) => span.read(at, out),
            None => false,
        }
    }

    /// Where bytes are that lie in one page.
    #[inline]
    fn open(
        &mut self,
        store: &Store,
        offset: u32,
        bit: u64,
        len: usize,
    ) -> Option<(&Span, usize)> {
        let found = self.found.filter(|found| found.info & bit == bit)?;
        let (page, at) = Self::page(&found, offset);
        if self.span.as_ref().and_then(|span| span.offset(page, at, len)).is_none() {
            self.fetch(store, &found, page);
        }
        let span = self.span.as_ref()?;
        Some((span, span.offset(page, at, len)?))
    }

    /// Asks the memory for bytes, and for what has to be looked at before they are read.
    #[inline]
    pub(super) fn soon(&self, store: &Store, offset: u32, bit: u64) {
        let Some(found) = self.found.filter(|found| found.info & bit == bit) else {
            return;
        };
        let (page, at) = Self::page(&found, offset);
        if let Some(span) = &self.span {
            if let Some(at) = span.offset(page, at, 1) {
                return span.prefetch(at);
            }
        }
        if let Some(hint) = store.hint(&found, page) {
            hint.prefetch(page, at);
        }
    }

    /// Asks the page cache.
    #[inline(never)]
    fn fetch(&mut self, store: &Store, found: &Found, page: u64) {
        self.span = store.folio(found, page).and_then(Span::new);
        if self.span.is_none() {
            store.forget(&self.key, found.place);
            // Who writes to it now must not take it for one that is here.
            self.found = None;
        }
    }
}

/// The last objects that were read, for as long as one call to the engine lasts.
pub(crate) struct RecentObjects {
    list: KVec<Option<Object>>,
    /// A bit for each that is taken.
    used: u64,
    /// Which one was asked for last.
    last: usize,
    /// Whether all places are used: a few of them stay in the processor's nearest cache.
    wide: bool,
}

/// Places of nodes high in a tree: each lookup of a burst wants them, so that leaves and payloads must
/// not drive them out.
const HIGH: usize = 8;
/// Places of all else, unless there is much to remember.
const NARROW: usize = 8;

const _: () = assert!(RECENT == u64::BITS as usize && HIGH + NARROW <= RECENT);

impl RecentObjects {
    /// None. Context: process, may sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut list = KVec::with_capacity(RECENT, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..RECENT {
            list.push(None, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            list,
            used: 0,
            last: 0,
            wide: false,
        })
    }

    /// From here on, until [`RecentObjects::clear`], more is remembered. Context: any.
    pub(crate) fn widen(&mut self) {
        self.wide = true;
    }

    /// Forgets them. Context: any.
    pub(crate) fn clear(&mut self) {
        self.wide = false;
        while self.used != 0 {
            let at = self.used.trailing_zeros() as usize;
            self.used &= self.used - 1;
            if let Some(place) = self.list.get_mut(at) {
                *place = None;
            }
        }
    }

    /// The object `key`, looked for if it was not yet; where it goes another one may have to leave.
    #[inline]
    pub(super) fn get(&mut self, store: &Store, key: &Key) -> Option<&mut Object> {
        let object = self.place(store, key)?;
        if object.sought != Sought::ToRead {
            object.found = store.find_hashed(&object.key, object.hash, |_| true);
            object.sought = Sought::ToRead;
        }
        Some(object)
    }

    /// Has `put` write to the object `key`, with its hash, unless `bits` of it are known to be written.
    /// What `put` then finds there is remembered.
    #[inline]
    pub(super) fn put(
        &mut self,
        store: &Store,
        key: &Key,
        bits: u64,
        put: impl FnOnce(u64, &mut Option<Found>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let object = self.place(store, key).ok_or(Full)?;
        if object.found.is_some_and(|found| found.info & bits == bits) {
            return Ok(());
        }
        object.found = None;
        object.sought = Sought::ToWrite;
        // A folio that was found by its hint may be one that has moved since: what is written now is not
        // in it.
        object.span = None;
        put(object.hash, &mut object.found)
    }

    /// Forgets the object `key`, of which something else than more slots has changed.
    pub(super) fn forget(&mut self, key: &Key) {
        let at = self.home(key);
        for at in [at, at ^ 1] {
            if self.knows(at, key) {
                // It keeps its place: who finds its first place empty does not look at the other one.
                if let Some(Some(object)) = self.list.get_mut(at) {
                    object.found = None;
                    object.sought = Sought::Not;
                    object.span = None;
                }
            }
        }
    }

    /// The object `key`, which may not have been looked for yet.
    #[inline]
    pub(super) fn place(&mut self, store: &Store, key: &Key) -> Option<&mut Object> {
        // The nodes of a proof lie next to each other: nearly always it is the last one.
        if !self.knows(self.last, key) {
            let at = self.home(key);
            self.last = if self.used & 1 << at == 0 {
                self.begin(store, at, key)
            } else if self.knows(at, key) {
                at
            } else if self.knows(at ^ 1, key) {
                at ^ 1
            } else {
                self.begin(store, at ^ 1, key)
            };
        }
        self.list.get_mut(self.last)?.as_mut()
    }

    /// One of the two places of `key`; its neighbour is the other.
    #[inline]
    fn home(&self, key: &Key) -> usize {
        if key.is_high() {
            key.mix(HIGH)
        } else if self.wide {
            HIGH + key.mix(RECENT - HIGH)
        } else {
            HIGH + key.mix(NARROW)
        }
    }

    #[inline]
    fn knows(&self, at: usize, key: &Key) -> bool {
        matches!(self.list.get(at), Some(Some(object)) if object.key == *key)
    }

    /// Begins to remember an object in place `at`.
    #[inline]
    fn begin(&mut self, store: &Store, at: usize, key: &Key) -> usize {
        if let Some(place) = self.list.get_mut(at) {
            *place = Some(Object {
                key: *key,
                hash: store.index.hash(key),
                found: None,
                sought: Sought::Not,
                span: None,
            });
            self.used |= 1 << at;
        }
        at
    }
}
