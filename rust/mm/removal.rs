// SPDX-License-Identifier: GPL-2.0

//! Memory that is taken out of the machine while it runs, a block at a time.
//!
//! The kernel moves what is in the block elsewhere. It cannot move a folio that somebody holds, and
//! goes on trying until nobody does.

use crate::sync::notifier::{
    Listener,
    Notifier, //
};
use core::ops::Range;
use feed_bindings as bindings;
use kernel::prelude::*;

/// What becomes of some of the machine's memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Removal {
    /// These frames are to go. No page is allocated there from now on: what is held there for long is
    /// to be let go of.
    Going(Range<usize>),
    /// Some are marked as gone, and go when this was heard.
    Marked,
}

/// Whom memory is watched for.
pub(crate) trait Watch: Send + Sync + 'static {
    /// It is to go, or goes. Context: process, may sleep. No CPU can come or go meanwhile, and nobody
    /// can begin or end watching.
    fn removal(&self, what: Removal);
}

/// A watch that lasts as long as this object.
pub(crate) type MemoryWatch<W> = Pin<KBox<Notifier<Chain<W>>>>;

/// Begins to watch. Context: process, may sleep; under no lock that a watcher takes.
pub(crate) fn watch<W: Watch>(watcher: W) -> Result<MemoryWatch<W>> {
    Notifier::register(Chain(watcher))
}

/// The kernel's chain for that.
pub(crate) struct Chain<W>(W);

// SAFETY: A blocking chain: who unregisters waits for calls in progress. A kernel whose memory stays
// calls nobody.
unsafe impl<W: Watch> Listener for Chain<W> {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: By the safety requirements.
        unsafe { bindings::watch_memory(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: By the safety requirements.
        unsafe { bindings::unwatch_memory(block) };
    }

    unsafe fn called(&self, action: c_ulong, data: *mut c_void) {
        const GOING: c_ulong = bindings::MEM_GOING_OFFLINE as c_ulong;
        const MARKED: c_ulong = bindings::MEM_OFFLINE as c_ulong;
        match action {
            GOING => {
                // SAFETY: The chain passes a `memory_notify`, valid for the call.
                let block = unsafe { &*data.cast::<bindings::memory_notify>() };
                let first = block.start_pfn as usize;
                let end = first.saturating_add(block.nr_pages as usize);
                self.0.removal(Removal::Going(first..end));
            }
            MARKED => self.0.removal(Removal::Marked),
            _ => {}
        }
    }
}
