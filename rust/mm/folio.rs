// SPDX-License-Identifier: GPL-2.0

//! A reference to a folio, nearly always one of a [`Mapping`](super::Mapping).

use super::PAGE_SIZE;
use core::{
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    }, //
};
use feed_bindings as bindings;
use kernel::prelude::*;

/// A reference to an uptodate folio. The folio stays as long as this object, even if the kernel
/// or its mapping gives it up meanwhile.
///
/// Memory of a folio is shared: it is read by frames on their way, and bytes beside those that
/// are read may be written at the same time. So nothing here hands out a long-lived slice;
/// bytes are copied in and out, or lent for one call.
///
/// # Invariants
///
/// `folio` is a folio that we hold a reference of; it lies in the kernel's linear mapping.
#[repr(transparent)]
pub(crate) struct Folio {
    folio: NonNull<bindings::folio>,
}

// SAFETY: Folios are reference counted and used from any thread.
unsafe impl Send for Folio {}
// SAFETY: As above; all access through `&Folio` is by copying or by atomic operations.
unsafe impl Sync for Folio {}

impl Folio {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `folio` is valid, uptodate page cache of ours (never high memory), and the caller hands
    /// over one reference.
    pub(super) unsafe fn from_raw(folio: NonNull<bindings::folio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { folio }
    }

    /// A page of zeroes that is in no file. It is charged to the current task's memory control
    /// group. Context: process, may sleep.
    pub(super) fn zeroed_page() -> Result<Self> {
        // SAFETY: It computes flags.
        let gfp = unsafe { bindings::cache_gfp(false) } | bindings::__GFP_ACCOUNT;
        // SAFETY: Process context, as the caller promises; the flags are complete.
        let folio = unsafe { bindings::filemap_alloc_folio(gfp | bindings::__GFP_ZERO, 0) };
        let folio = NonNull::new(folio).ok_or(ENOMEM)?;

        // INVARIANT: The reference of the allocation; `GFP_USER` is never high memory.
        Ok(Self { folio })
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::folio {
        self.folio.as_ptr()
    }

    /// Whether both are of the same folio.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.folio == other.folio
    }

    /// Whether a program may keep it where it is for as long as it likes. Context: any.
    pub(super) fn may_stay(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_may_stay(self.as_ptr()) }
    }

    /// Number of the frame of memory that its first page lies in.
    pub(crate) fn frame(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_frame(self.as_ptr()) as usize }
    }

    /// Its length in bytes: a page, or 64 KiB.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_size(self.as_ptr()) }
    }

    /// Index of its first page in the mapping.
    #[inline]
    pub(crate) fn index(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_index(self.as_ptr()) as u64 }
    }

    /// Address of byte `offset`, if `len` bytes from there are inside.
    #[inline]
    fn bytes(&self, offset: usize, len: usize) -> Option<NonNull<u8>> {
        if offset.checked_add(len)? > self.len() {
            return None;
        }
        // SAFETY: By the type invariant the folio is in the linear mapping.
        let start = unsafe { bindings::folio_address(self.as_ptr()) }.cast::<u8>();
        // SAFETY: `offset` is inside the folio, as checked above.
        NonNull::new(unsafe { start.add(offset) })
    }

    /// Copies bytes out. False if the range is not inside. Context: any.
    #[inline]
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        let Some(from) = self.bytes(offset, out.len()) else {
            return false;
        };
        let (from, to) = (from.as_ptr(), out.as_mut_ptr());
        // SAFETY: `from` is valid for that many bytes, and `out` is memory of the caller alone.
        // The store does not point readers at bytes that are still being written.
        unsafe { ptr::copy_nonoverlapping(from, to, out.len()) };
        true
    }

    /// Copies bytes in. False if the range is not inside. Context: any.
    ///
    /// The folio stays clean: what is written here is lost when the kernel takes the folio. The
    /// kernel may also be moving it, unless the caller holds references for longer than this
    /// call or its lock ([`Folio::try_lock`]).
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.bytes(offset, bytes.len()) else {
            return false;
        };
        // SAFETY: `to` is valid for that many bytes. Only who reserved the bytes writes them, and
        // readers are not pointed at them before.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        true
    }

    /// Lends bytes to `fill`, to be written. `None` if the range is not inside. As for
    /// [`Folio::write`], nobody else writes or reads them meanwhile. Context: as `fill`.
    #[inline]
    pub(crate) fn fill<R>(
        &self,
        offset: usize,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        let to = self.bytes(offset, len)?;
        // SAFETY: Valid for `len` bytes by `bytes()`, as long as the reference is held, and any
        // bytes are bytes. Only who reserved them uses them.
        Some(fill(unsafe { core::slice::from_raw_parts_mut(to.as_ptr(), len) }))
    }

    /// Lends bytes that nobody writes at present to `look`. Context: as `look`.
    #[inline]
    pub(crate) fn lend<R>(
        &self,
        offset: usize,
        len: usize,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        // SAFETY: The caller says that the bytes are not written.
        unsafe { self.slice(offset, len) }.map(look)
    }

    /// Bytes in their place, if they are inside.
    ///
    /// # Safety
    ///
    /// Nobody writes them while the slice is in use.
    #[inline]
    pub(super) unsafe fn slice(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let from = self.bytes(offset, len)?;
        // SAFETY: Valid for `len` bytes by `bytes()`, as long as the reference is held.
        Some(unsafe { core::slice::from_raw_parts(from.as_ptr(), len) })
    }

    /// Tells the kernel that the folio is in use, so that it is reclaimed later than others.
    ///
    /// Context: process. Not softirq: the kernel's per-CPU lists of folios to activate are
    /// guarded against preemption only.
    pub(crate) fn mark_accessed(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_mark_accessed(self.as_ptr()) };
    }

    /// Locks the folio if nobody has it locked. While it is locked the kernel neither moves nor
    /// reclaims it. Context: any.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<FolioLock<'_>> {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_trylock(self.as_ptr()) }.then_some(FolioLock { folio: self })
    }

    /// The page that byte `offset` is in, for fragments of frames.
    #[inline]
    pub(crate) fn page(&self, offset: usize) -> *mut bindings::page {
        debug_assert!(offset < self.len());
        // SAFETY: By the type invariant; the caller stays inside the folio.
        unsafe { bindings::folio_page(self.as_ptr(), (offset / PAGE_SIZE) as c_ulong) }
    }

    /// Gives the reference away, to be dropped by `folio_put()`: by a frame, for example.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::folio {
        ManuallyDrop::new(self).as_ptr()
    }
}

/// A folio whose bytes are read more than once: what a read has to know of it is asked for once.
///
/// # Invariants
///
/// `start` is the address of the folio's first byte, `len` its length, and `index` that of its first
/// page.
pub(crate) struct Span {
    folio: Folio,
    start: NonNull<u8>,
    len: usize,
    index: u64,
}

// SAFETY: As for `Folio`.
unsafe impl Send for Span {}
// SAFETY: As for `Folio`.
unsafe impl Sync for Span {}

impl Span {
    /// Takes over the reference. Context: any.
    #[inline]
    pub(crate) fn new(folio: Folio) -> Option<Self> {
        let (len, index) = (folio.len(), folio.index());
        // INVARIANT: As just asked for.
        Some(Self {
            start: folio.bytes(0, 0)?,
            len,
            index,
            folio,
        })
    }

    /// Where the byte `at` of page `page` of the mapping is, if it and `len` bytes from there are inside.
    #[inline]
    pub(crate) fn offset(&self, page: u64, at: usize, len: usize) -> Option<usize> {
        let pages = usize::try_from(page.checked_sub(self.index)?).ok()?;
        let offset = pages.checked_mul(PAGE_SIZE)?.checked_add(at)?;
        (offset.checked_add(len)? <= self.len).then_some(offset)
    }

    /// The folio.
    #[inline]
    pub(crate) fn folio(&self) -> &Folio {
        &self.folio
    }

    /// Asks the memory for the bytes at `offset`.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        if offset < self.len {
            // SAFETY: Inside of the folio by the type invariant and the check above.
            super::prefetch(unsafe { self.start.as_ptr().add(offset) });
        }
    }

    /// As [`Folio::read`].
    #[inline]
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        if offset.checked_add(out.len()).is_none_or(|end| end > self.len) {
            return false;
        }
        let to = out.as_mut_ptr();
        // SAFETY: Inside of the folio by the type invariant and the check above, and `out` is memory
        // of the caller alone. The store does not point readers at bytes that are still being written.
        unsafe {
            let from = self.start.as_ptr().add(offset);
            // Hashes and leaves are most of what is read: without a call for a known length.
            match out.len() {
                32 => ptr::copy_nonoverlapping(from, to, 32),
                64 => ptr::copy_nonoverlapping(from, to, 64),
                len => ptr::copy_nonoverlapping(from, to, len),
            }
        }
        true
    }
}

impl Clone for Folio {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant.
        unsafe { bindings::folio_get(self.as_ptr()) };
        // INVARIANT: With the reference just taken.
        Self { folio: self.folio }
    }
}

impl Drop for Folio {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours. The last one frees the folio,
        // which is allowed in softirq.
        unsafe { bindings::folio_put(self.as_ptr()) };
    }
}

/// A locked folio.
///
/// # Invariants
///
/// The folio is locked by this object.
pub(crate) struct FolioLock<'a> {
    folio: &'a Folio,
}

impl Drop for FolioLock<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is locked by us.
        unsafe { bindings::folio_unlock(self.folio.as_ptr()) };
    }
}
