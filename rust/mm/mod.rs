// SPDX-License-Identifier: GPL-2.0

//! Page cache that belongs to no file: what the kernel crate lacks of it.
//!
//! A [`PseudoFs`] is a file system that nobody can mount, a [`Mapping`] one file in it that
//! nobody can open. Clean, uptodate folios of it are ordinary page cache: the kernel counts
//! them as `Cached`, charges them to a memory control group, and takes them back without
//! swap when it needs memory. What must stay is held by a [`Folio`] reference.
//!
//! No address-space operation of ours exists, so no folio can call into the module after it
//! is gone. Programs see pages by [`UserPages`] only.

mod folio;
mod hint;
mod mapping;
mod memcg;
pub(crate) mod removal;
mod user;

pub(crate) use folio::{
    Folio,
    Span, //
};
pub(crate) use hint::FolioHint;
pub(crate) use mapping::{
    Folios,
    Mapping,
    PseudoFs,
    RUN_BYTES,
    RUN_PAGES, //
};
pub(crate) use memcg::MemCgroup;
pub(crate) use user::{
    NewMapping,
    UserPages, //
};

use feed_bindings as bindings;
use kernel::prelude::*;

/// Bytes of a page.
pub(crate) const PAGE_SIZE: usize = kernel::page::PAGE_SIZE;

/// Pages of this machine's memory.
pub(crate) fn total_pages() -> usize {
    // SAFETY: It reads a counter.
    unsafe { bindings::totalram_pages() as usize }
}

/// Asks for the cache line at `at`, and does not wait for it. Any address will do.
#[inline]
pub(crate) fn prefetch<T>(at: *const T) {
    // SAFETY: The memory is not touched: an address without any is ignored.
    unsafe { bindings::prefetch_line(at.cast()) };
}

/// The effective user of the current task, as the initial user namespace numbers it.
///
/// Context: process.
pub(crate) fn current_uid() -> u32 {
    // SAFETY: The caller is in process context, so `current` has credentials.
    unsafe { bindings::current_euid() }
}

/// `len` default values, made where they stay: elements may be too large for the stack. Charged to
/// the current task's memory control group.
///
/// Context: process, may sleep.
pub(crate) fn defaults<T: Default>(len: usize) -> Result<KVVec<T>> {
    let mut table = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
    for place in table.spare_capacity_mut().iter_mut().take(len) {
        place.write(T::default());
    }
    // SAFETY: The capacity is at least `len`, and so many elements were written just now.
    unsafe { table.inc_len(len) };
    Ok(table)
}
