// SPDX-License-Identifier: GPL-2.0

//! Page cache in the memory of a program.
//!
//! A program that maps an entry sees the store's own pages. What makes that safe:
//!
//! - The page tables hold no references, as with any `VM_PFNMAP` mapping: [`UserPages`] does, for
//!   as long as a mapping shows them. The kernel then neither reclaims nor moves the folios. The
//!   store may evict them meanwhile: its index forgets them, nothing is written over them, and the
//!   program goes on seeing what it saw. (With references in the page tables, `VM_MIXEDMAP`, a
//!   folio counts as mapped, and must not leave its file before the file's own list of mappings
//!   was walked. That list does not have this one.)
//! - Nobody writes: `VM_WRITE` is refused and `VM_MAYWRITE` taken away, for private mappings too, so
//!   there is no copy on write, and no way for `ptrace()` and the like to force one.
//! - Only whole pages are shown in their place. What fills no page is copied to one of its own,
//!   whose rest is zeroes: behind it in the store lie other bytes. Pages in `ZONE_MOVABLE` are copied,
//!   too: what a program maps cannot be moved, and would keep its block of memory in the machine.
//! - A mapping may outlive the descriptor, and is copied by fork(), cut by munmap() and moved by
//!   mremap(). Each piece holds the socket's file, and that the module, so [`OPS`] is there when
//!   the kernel calls it: it closes a mapping before it lets go of the file.

use super::{
    Folio,
    PAGE_SIZE, //
};
use crate::pairs;
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::{
    bindings,
    error::to_result,
    mm::virt::VmaNew,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// A mapping that a program is making, for the length of the call.
pub(crate) struct NewMapping<'a> {
    vma: &'a VmaNew,
    _call: PhantomData<&'a mut ()>,
}

impl NewMapping<'_> {
    /// # Safety
    ///
    /// `vma` is undergoing its initial setup, in a file's or socket's `mmap` operation, for all of
    /// the lifetime.
    pub(crate) unsafe fn from_raw(vma: *mut feed_bindings::vm_area_struct) -> Self {
        Self {
            // SAFETY: As the caller promises. Both types are of the same C structure.
            vma: unsafe { VmaNew::from_raw(vma.cast()) },
            _call: PhantomData,
        }
    }

    /// Makes sure that it can never be written, nor run.
    ///
    /// # Errors
    /// `EACCES` when that is what was asked for.
    pub(crate) fn read_only(&self) -> Result {
        if self.vma.writable() || self.vma.executable() {
            return Err(EACCES);
        }
        self.vma.try_clear_maywrite()?;
        self.vma.try_clear_mayexec()
    }

    fn pages(&self) -> usize {
        (self.vma.end() - self.vma.start()) / PAGE_SIZE
    }

    /// The offset that was asked for, in pages.
    pub(crate) fn first_page(&self) -> usize {
        // SAFETY: The mapping is valid, and is being set up by the current task alone.
        unsafe { (*self.vma.as_ptr()).vm_pgoff }
    }

    /// Shows `pages` pages of memory from frame `pfn` on, `at` pages from the start.
    fn show(&self, at: usize, pfn: usize, pages: usize) -> Result {
        let vma = self.vma.as_ptr();
        let address = self.vma.start() + at * PAGE_SIZE;

        // SAFETY: The mapping is being set up, with its process's lock held for writing. Nothing
        // was mapped there before, and the caller stays inside.
        to_result(unsafe {
            let prot = (*vma).vm_page_prot;
            bindings::remap_pfn_range(vma, address, pfn, pages * PAGE_SIZE, prot)
        })
    }

    /// Takes back whatever was shown.
    fn clear(&self) {
        self.vma
            .zap_vma_range(self.vma.start(), self.vma.end() - self.vma.start());
    }
}

/// Pages in a row.
struct Run {
    folio: Folio,
    /// The first of them, in the folio.
    first: usize,
    pages: usize,
}

impl Run {
    /// Number of the frame of memory that page `at` lies in.
    fn frame(&self, at: usize) -> usize {
        self.folio.frame() + self.first + at
    }
}

/// Pages that programs map, in order.
///
/// They are paid for as locked memory of the user who had them gathered, and stay as long as this
/// object: until the last mapping of them has gone.
pub(crate) struct UserPages {
    runs: KVVec<Run>,
    pages: usize,
    /// The last page is not full: nothing can follow.
    ended: bool,
    /// Who pays for them.
    pin: bindings::ubuf_info_msgzc_mmpin,
}

// SAFETY: A user's account is reference counted and changed atomically; folios are `Send`.
unsafe impl Send for UserPages {}
// SAFETY: Nothing changes through `&UserPages`.
unsafe impl Sync for UserPages {}

impl UserPages {
    /// No pages yet, but paid for `bytes` bytes of them. Context: process, may sleep.
    ///
    /// # Errors
    /// `ENOBUFS` when the user has more than `RLIMIT_MEMLOCK` then.
    pub(crate) fn for_bytes(bytes: usize) -> Result<Self> {
        // SAFETY: Null and zero are what the call takes for "nothing yet".
        let mut pin = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: `pin` is valid; the current task has credentials and limits.
        to_result(unsafe {
            bindings::mm_account_pinned_pages(&mut pin, bytes.next_multiple_of(PAGE_SIZE))
        })?;
        pairs::USER_PAGES.made();
        Ok(Self {
            runs: KVVec::new(),
            pages: 0,
            ended: false,
            pin,
        })
    }

    /// Adds bytes of a folio that nobody writes to any more. Those that begin at a page go as pages,
    /// but for what fills none; that is copied. So is what lies in memory that is to be able to leave the
    /// machine: a program must not keep that. Context: process, may sleep.
    ///
    /// # Errors
    /// `EINVAL` when that would leave a hole; `ENOMEM`.
    pub(crate) fn add(&mut self, folio: Folio, offset: usize, len: usize) -> Result {
        if self.ended {
            return Err(EINVAL);
        }
        let whole = if offset % PAGE_SIZE == 0 { len / PAGE_SIZE } else { 0 };
        let done = whole * PAGE_SIZE;
        let rest = len - done;
        if rest >= PAGE_SIZE {
            return Err(EINVAL);
        }
        let end = if rest > 0 {
            Some(Self::copied(&folio, offset + done, rest)?)
        } else {
            None
        };
        if folio.may_stay() {
            if whole > 0 {
                self.push(folio, offset / PAGE_SIZE, whole)?;
            }
        } else {
            for at in (offset..offset + done).step_by(PAGE_SIZE) {
                self.push(Self::copied(&folio, at, PAGE_SIZE)?, 0, 1)?;
            }
        }
        if let Some(page) = end {
            self.push(page, 0, 1)?;
            self.ended = true;
        }
        Ok(())
    }

    /// A page that begins with these bytes.
    fn copied(folio: &Folio, offset: usize, len: usize) -> Result<Folio> {
        let page = Folio::zeroed_page()?;
        match folio.lend(offset, len, |bytes| page.write(0, bytes)) {
            Some(true) => Ok(page),
            _ => Err(EINVAL),
        }
    }

    fn push(&mut self, folio: Folio, first: usize, pages: usize) -> Result {
        self.pages += pages;
        if let Some(last) = self.runs.last_mut() {
            if last.folio.is(&folio) && last.first + last.pages == first {
                last.pages += pages;
                return Ok(());
            }
        }
        let run = Run {
            folio,
            first,
            pages,
        };
        Ok(self.runs.push(run, GFP_KERNEL_ACCOUNT)?)
    }

    /// Makes `mapping` show them, from page `first` of them on. Context: process, in the `mmap`
    /// operation.
    ///
    /// # Errors
    /// `EINVAL` when it asks for more than there is; `ENOMEM`.
    pub(crate) fn show(self: &Arc<Self>, mapping: &NewMapping<'_>, first: usize) -> Result {
        if first.checked_add(mapping.pages()).is_none_or(|end| end > self.pages) {
            return Err(EINVAL);
        }
        if let Err(e) = self.show_runs(mapping, first) {
            // What is there already must not be seen without a reference to it.
            mapping.clear();
            return Err(e);
        }
        let vma = mapping.vma.as_ptr();
        // SAFETY: The mapping is being set up by the current task alone. The reference that it
        // gets is dropped by `close`, after which nothing looks at it.
        unsafe {
            (*vma).vm_private_data = Arc::into_raw(self.clone()).cast_mut().cast();
            (*vma).vm_ops = &OPS.0;
        }
        Ok(())
    }

    fn show_runs(&self, mapping: &NewMapping<'_>, first: usize) -> Result {
        let mut skip = first;
        let mut at = 0;
        // Frames that follow each other are shown by one call, whatever folios they are of.
        let mut pending: Option<(usize, usize)> = None;
        for run in &self.runs {
            if skip >= run.pages {
                skip -= run.pages;
                continue;
            }
            let done = at + pending.map_or(0, |(_, pages)| pages);
            let left = mapping.pages() - done;
            if left == 0 {
                break;
            }
            let (frame, pages) = (run.frame(skip), (run.pages - skip).min(left));
            skip = 0;
            pending = match pending {
                Some((start, len)) if start + len == frame => Some((start, len + pages)),
                Some((start, len)) => {
                    mapping.show(at, start, len)?;
                    at += len;
                    Some((frame, pages))
                }
                None => Some((frame, pages)),
            };
        }
        match pending {
            Some((start, len)) => mapping.show(at, start, len),
            None => Ok(()),
        }
    }
}

impl Drop for UserPages {
    fn drop(&mut self) {
        // SAFETY: `for_bytes` has filled it in.
        unsafe { bindings::mm_unaccount_pinned_pages(&mut self.pin) };
        pairs::USER_PAGES.gone(1);
    }
}

// SAFETY: All of it is plain data in C, for which zeroes mean "not there".
const NO_OPS: bindings::vm_operations_struct = unsafe { MaybeUninit::zeroed().assume_init() };

/// What the kernel calls when a mapping is copied or goes. There is nothing to fault in: all pages
/// are there from the beginning, and of such a mapping none is ever taken out alone.
static OPS: Ops = Ops(bindings::vm_operations_struct {
    open: Some(open),
    close: Some(close),
    ..NO_OPS
});

struct Ops(bindings::vm_operations_struct);

// SAFETY: It never changes, and all pointers in it are to code.
unsafe impl Sync for Ops {}

/// # Safety
///
/// Called by the kernel alone, with a copy of a mapping that [`UserPages::show`] has filled.
unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The original holds a reference, and lives during the call.
    let pages = unsafe { ArcBorrow::<'_, UserPages>::from_raw((*vma).vm_private_data.cast()) };

    // The copy's own, for its `close`.
    let _ = Arc::into_raw(Arc::from(pages));
}

/// # Safety
///
/// Called by the kernel alone, once for each mapping that [`UserPages::show`] has filled or that was
/// opened; its page tables are empty.
unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The mapping's reference, which nobody uses any more.
    drop(unsafe { Arc::<UserPages>::from_raw((*vma).vm_private_data.cast()) });
}
