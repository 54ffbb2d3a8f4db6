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
    PAGE_SIZE,
    RUN_PAGES, //
};
use core::ptr::NonNull;
use feed_bindings as bindings;
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    types::Opaque, //
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

/// What makes memory that is taken out of the machine wait for who follows a hint to it: those that
/// begin later see that it is gone.
///
/// # Invariants
///
/// `block` is registered.
#[pin_data(PinnedDrop)]
pub(super) struct Removal {
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The block belongs to C, and nothing else is in it.
unsafe impl Send for Removal {}
// SAFETY: As above.
unsafe impl Sync for Removal {}

impl Removal {
    /// From now on it waits. Context: process, may sleep.
    pub(super) fn watch() -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                    // SAFETY: `slot` is valid for writes, pinned, and unregistered on drop.
                    unsafe {
                        slot.write(bindings::notifier_block {
                            notifier_call: Some(Self::called),
                            ..Default::default()
                        });
                        to_result(bindings::watch_memory(slot))
                    }
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// Context: process, may sleep.
    unsafe extern "C" fn called(
        _block: *mut bindings::notifier_block,
        action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        if action == bindings::MEM_OFFLINE as c_ulong {
            // SAFETY: Waiting is allowed here. The memory is marked, and not yet gone.
            unsafe { bindings::synchronize_rcu() };
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl PinnedDrop for Removal {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered. C waits for calls in progress.
        unsafe { bindings::unwatch_memory(self.block.get()) };
    }
}
