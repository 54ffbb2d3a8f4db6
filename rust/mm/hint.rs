// SPDX-License-Identifier: GPL-2.0

//! Where in memory a folio of a [`Mapping`](super::Mapping) was seen, so that it is not looked up again.
//!
//! The page cache finds folios by a tree. When there are many of them, its nodes are memory that no
//! cache of the processor has. Who remembers the place can ask what lies there instead, as the page cache
//! does with what its tree says: memory has a `struct page` whatever it is used for, so a reference is
//! tried first, and then the folio is asked whether it is the one that is wanted. What it answers is true
//! for as long as the reference is held; a folio that was freed, moved or given to others says no.
//!
//! So a hint holds nothing: the kernel takes the folio as if there were none.

use super::{
    folio::Folio,
    removal::{
        Removal,
        Watch, //
    },
    PAGE_SIZE,
    RUN_PAGES, //
};
use core::ptr::NonNull;
use feed_bindings as bindings;
use kernel::{
    prelude::*,
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    }, //
};

/// Where the folio of one page was seen last, if anywhere.
///
/// It is for the index of that page in one mapping, in which no index that was in use is ever used again
/// for other bytes.
pub(crate) struct FolioHint {
    /// Twice the number of the folio's first frame of memory, and one more if the folio is 64 KiB. Zero
    /// for none: nobody gets the first frame of a machine. The number of a frame beyond 8 TiB is not
    /// remembered.
    place: Atomic<u32>,
}

impl FolioHint {
    /// It was seen nowhere.
    pub(crate) const fn none() -> Self {
        Self {
            place: Atomic::new(0),
        }
    }

    /// Remembers where it is, or that it is nowhere. Context: any.
    #[inline]
    pub(super) fn set(&self, folio: Option<&Folio>) {
        let place = folio.and_then(|folio| {
            u32::try_from(folio.frame() << 1 | usize::from(folio.len() > PAGE_SIZE)).ok()
        });
        self.place.store(place.unwrap_or(0), Relaxed);
    }

    /// The folio of page `index` of `mapping`, if it is where it was. For reading: a folio that the
    /// kernel is moving may be the one from which it has moved, whose bytes are the same until the
    /// new one is unlocked.
    ///
    /// Context: any.
    ///
    /// # Safety
    ///
    /// `mapping` is that of a [`Mapping`](super::Mapping), which lives.
    #[inline]
    pub(super) unsafe fn find(
        &self,
        mapping: *mut bindings::address_space,
        index: u64,
    ) -> Option<Folio> {
        let place = self.place.load(Relaxed);
        if place == 0 {
            return None;
        }
        let frame = (place >> 1) as c_ulong;
        // SAFETY: By the safety requirements; any number will do for the frame.
        let folio = unsafe { bindings::folio_if_at(mapping, index as c_ulong, frame) };
        let folio = NonNull::new(folio)?;

        // SAFETY: A folio of the mapping, with a reference that is ours.
        Some(unsafe { Folio::from_raw(folio) })
    }

    /// Asks the memory for what [`FolioHint::find`] will look at, and for byte `at` of page `index`.
    /// Context: any.
    #[inline]
    pub(crate) fn prefetch(&self, index: u64, at: usize) {
        let place = self.place.load(Relaxed);
        if place == 0 {
            return;
        }
        let inside = if place & 1 == 0 {
            at
        } else {
            index as usize % RUN_PAGES * PAGE_SIZE + at
        };
        // SAFETY: Any numbers will do.
        unsafe { bindings::prefetch_frame((place >> 1) as c_ulong, inside as c_ulong) };
    }
}

/// Who follows a hint to memory that leaves the machine is waited for: those that begin later see that
/// it is gone.
pub(super) struct Followers;

impl Watch for Followers {
    fn removal(&self, what: Removal) {
        if what == Removal::Marked {
            // SAFETY: Waiting is allowed here.
            unsafe { bindings::synchronize_rcu() };
        }
    }
}
