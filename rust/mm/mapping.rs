// SPDX-License-Identifier: GPL-2.0

//! Files that nobody can open, and the file system that they are in.

use super::{
    folio::Folio,
    hint::{
        FolioHint,
        Followers, //
    },
    memcg::MemCgroup,
    removal::{
        self,
        MemoryWatch, //
    },
    PAGE_SIZE, //
};
use core::{
    mem::MaybeUninit,
    ops::Range,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    types::Opaque, //
};

/// Bytes of the largest folio that is asked for, and the alignment of [`Mapping::populate`].
pub(crate) const RUN_BYTES: usize = 64 << 10;
/// Pages of it.
pub(crate) const RUN_PAGES: usize = RUN_BYTES / PAGE_SIZE;

/// "feed", seen in no `statfs()`, as nobody can reach the file system.
const MAGIC: c_ulong = 0x6665_6564;

// SAFETY: All of it is plain data in C, for which zeroes mean "not there".
const ZEROED: bindings::file_system_type = unsafe { MaybeUninit::zeroed().assume_init() };

/// The type behind every [`PseudoFs`].
struct FsType(Opaque<bindings::file_system_type>);

// SAFETY: Only the kernel changes it, under locks of its own.
unsafe impl Sync for FsType {}

// The owner stays NULL: a mount would pin the module, which could then never unmount it.
static FS_TYPE: FsType = FsType(Opaque::new(bindings::file_system_type {
    name: c"feed".as_ptr().cast_mut().cast(),
    init_fs_context: Some(init_fs_context),
    kill_sb: Some(bindings::kill_anon_super),
    ..ZEROED
}));

/// # Safety
///
/// Called by `kern_mount()` alone, with a context that is being set up.
unsafe extern "C" fn init_fs_context(context: *mut bindings::fs_context) -> c_int {
    // SAFETY: `context` is valid by the safety requirements.
    if unsafe { bindings::init_pseudo(context, MAGIC) }.is_null() {
        ENOMEM.to_errno()
    } else {
        0
    }
}

/// A mounted file system of ours. All its mappings must be gone before it is dropped.
///
/// # Invariants
///
/// `mount` is a mount that `kern_mount()` made for us.
pub(crate) struct PseudoFs {
    mount: NonNull<bindings::vfsmount>,
    /// For those who follow hints to the mappings' folios.
    _followers: MemoryWatch<Followers>,
}

// SAFETY: A mount is used from any thread.
unsafe impl Send for PseudoFs {}
// SAFETY: As above.
unsafe impl Sync for PseudoFs {}

impl PseudoFs {
    /// Mounts it. Context: process, may sleep.
    pub(crate) fn mount() -> Result<Self> {
        let followers = removal::watch(Followers)?;
        // SAFETY: The type lives as long as the module, and unmounting waits for all its users.
        let mount = from_err_ptr(unsafe { bindings::kern_mount(FS_TYPE.0.get()) })?;

        // INVARIANT: Just made.
        Ok(Self {
            mount: NonNull::new(mount).ok_or(ENOMEM)?,
            _followers: followers,
        })
    }

    /// Makes an empty file. `pinned` says that its folios will be held for good, so that
    /// reclaim need not look at them. Context: process, may sleep.
    pub(crate) fn mapping(&self, pinned: bool) -> Result<Mapping> {
        // SAFETY: By the type invariant. `new_inode()` (and none of its cousins) puts the inode
        // on the superblock's list, where `drop_caches` looks.
        let inode = unsafe { bindings::new_inode((*self.mount.as_ptr()).mnt_sb) };
        let inode = NonNull::new(inode).ok_or(ENOMEM)?;

        // SAFETY: `inode` is new and ours alone.
        unsafe { bindings::inode_set_private_file(inode.as_ptr(), pinned) };
        // INVARIANT: The inode is ours; its mapping is the one inside it.
        Ok(Mapping {
            inode,
            // SAFETY: `inode` is valid.
            mapping: unsafe { bindings::inode_mapping(inode.as_ptr()) },
            pinned,
        })
    }
}

impl Drop for PseudoFs {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; the caller has dropped all mappings.
        unsafe { bindings::kern_unmount(self.mount.as_ptr()) };
        // The superblock and its inodes are freed by RCU callbacks that look at their type.
        // SAFETY: Waiting is always allowed here.
        unsafe { bindings::rcu_barrier() };
    }
}

/// The page cache of one file. Indices are in pages.
///
/// # Invariants
///
/// `inode` is an inode that we hold the only reference of, `mapping` its mapping.
pub(crate) struct Mapping {
    inode: NonNull<bindings::inode>,
    mapping: *mut bindings::address_space,
    pinned: bool,
}

// SAFETY: Page cache has its own locks.
unsafe impl Send for Mapping {}
// SAFETY: As above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Adds 64 KiB at `index`, which must be a multiple of [`RUN_PAGES`] and empty: one folio where
    /// the kernel has such, else one per page. They are clean and uptodate. What is in them is left
    /// over from others: nobody may be shown a byte that was not written.
    ///
    /// Context: process, may sleep.
    pub(crate) fn populate(&self, index: u64, payer: &MemCgroup) -> Result<Folios> {
        if index as usize % RUN_PAGES != 0 {
            return Err(EINVAL);
        }
        payer.charge(|| self.populate_charged(index))
    }

    fn populate_charged(&self, index: u64) -> Result<Folios> {
        const ORDER: c_uint = RUN_PAGES.ilog2();
        // Compaction and retries for a large folio are not worth it: pages do as well. And no
        // process is worth killing for a cache, in this machine or in the payer's group.
        const EASY: bindings::gfp_t = bindings::__GFP_NORETRY | bindings::__GFP_NOWARN;

        let mut list = KVec::new();
        // SAFETY: It reads a constant.
        if unsafe { bindings::has_large_folios() } {
            if let Ok(folio) = self.add(index, ORDER, EASY) {
                list.push(folio, GFP_KERNEL)?;
                return Ok(Folios { list });
            }
        }
        list.reserve(RUN_PAGES, GFP_KERNEL)?;
        for page in 0..RUN_PAGES {
            match self.add(index + page as u64, 0, EASY) {
                Ok(folio) => list.push(folio, GFP_KERNEL)?,
                Err(error) => {
                    drop(list);
                    self.truncate(index, RUN_PAGES);
                    return Err(error);
                }
            }
        }
        Ok(Folios { list })
    }

    fn add(&self, index: u64, order: c_uint, extra: bindings::gfp_t) -> Result<Folio> {
        // SAFETY: It computes flags.
        let gfp = unsafe { bindings::cache_gfp(!self.pinned) } | extra;
        // SAFETY: Process context, as the caller promises; the flags are complete.
        let folio = unsafe { bindings::filemap_alloc_folio(gfp, order) };
        let folio = NonNull::new(folio).ok_or(ENOMEM)?;

        // SAFETY: By the type invariant; the folio is new, and the index aligned to its order.
        let added = to_result(unsafe {
            bindings::filemap_add_folio(self.mapping, folio.as_ptr(), index as c_ulong, gfp)
        });
        if added.is_ok() {
            // SAFETY: The folio was locked for us when it was added. There is nothing to be read
            // into it.
            unsafe {
                bindings::folio_mark_uptodate(folio.as_ptr());
                bindings::folio_unlock(folio.as_ptr());
            }
        }
        // SAFETY: The reference of the allocation becomes the object's: after a failure, dropping
        // it frees the folio.
        let folio = unsafe { Folio::from_raw(folio) };
        added.map(|()| folio)
    }

    /// The folio that holds page `index`, if the kernel has not taken it. Context: any.
    #[inline]
    pub(crate) fn get(&self, index: u64) -> Option<Folio> {
        // SAFETY: By the type invariant. The lookup takes a reference under RCU.
        let folio = unsafe { bindings::filemap_get_folio(self.mapping, index as c_ulong) };
        let folio = NonNull::new(from_err_ptr(folio).ok()?)?;

        // SAFETY: All folios of the mapping come from `add`; the lookup's reference is ours. One
        // that is still being added is nobody's yet, and nobody looks for it.
        Some(unsafe { Folio::from_raw(folio) })
    }

    /// As [`Mapping::get`], for who reads: without looking where `hint` says that it is, and else with
    /// that hint for the next time. Context: any.
    #[inline]
    pub(crate) fn get_by(&self, index: u64, hint: &FolioHint) -> Option<Folio> {
        let folio = self.get_at(index, hint);
        if folio.is_some() {
            return folio;
        }
        let folio = self.get(index);
        hint.set(folio.as_ref());
        folio
    }

    /// The folio that holds page `index`, if it is where `hint` says, for who reads. Context: any.
    #[inline]
    pub(crate) fn get_at(&self, index: u64, hint: &FolioHint) -> Option<Folio> {
        // SAFETY: By the type invariant; all folios of the mapping come from `add`.
        unsafe { hint.find(self.mapping, index) }
    }

    /// Gives `look` the folios of `pages` pages from `index` on, in order, until it returns false:
    /// those that are where `hint` says of their first page, and from the first one that is not, which
    /// the page cache has, with those hints for the next time. True if that was all of them: the kernel
    /// has taken none. For who reads. Context: any.
    pub(crate) fn visit<'h>(
        &self,
        index: u64,
        pages: usize,
        hint: impl Fn(u64) -> Option<&'h FolioHint>,
        mut look: impl FnMut(Folio) -> bool,
    ) -> bool {
        let end = index + pages as u64;
        let mut next = index;
        while next < end {
            let Some(folio) = hint(next).and_then(|hint| self.get_at(next, hint)) else {
                return self.visit_unknown(next as c_ulong, end, hint, look);
            };
            next = folio.index() + (folio.len() / PAGE_SIZE) as u64;
            if !look(folio) {
                return false;
            }
        }
        true
    }

    /// As [`Mapping::visit`], from `next` to `end`, without asking hints.
    #[inline(never)]
    fn visit_unknown<'h>(
        &self,
        mut next: c_ulong,
        end: u64,
        hint: impl Fn(u64) -> Option<&'h FolioHint>,
        mut look: impl FnMut(Folio) -> bool,
    ) -> bool {
        while (next as u64) < end {
            let first = next as u64;
            // SAFETY: An empty batch is all zeroes.
            let mut batch: bindings::folio_batch = unsafe { MaybeUninit::zeroed().assume_init() };
            // SAFETY: By the type invariant; both places are valid. The lookup takes references under
            // RCU, as many as it says, and moves `next` behind them.
            let count = unsafe {
                bindings::filemap_get_folios_contig(
                    self.mapping,
                    &mut next,
                    (end - 1) as c_ulong,
                    &mut batch,
                )
            };
            if count == 0 {
                return false;
            }
            let mut goes_on = true;
            for folio in batch.folios.iter().take(count as usize) {
                let Some(folio) = NonNull::new(*folio) else {
                    return false;
                };
                // SAFETY: As in `get`: each reference is ours, and dropped with the object.
                let folio = unsafe { Folio::from_raw(folio) };
                if let Some(hint) = hint(folio.index().max(first)) {
                    hint.set(Some(&folio));
                }
                goes_on = goes_on && look(folio);
            }
            if !goes_on {
                return false;
            }
        }
        true
    }

    /// Takes `pages` pages from `index` on out of the cache, and what the kernel remembers of
    /// those that it took itself. References keep their folios. Context: process, may sleep.
    pub(crate) fn truncate(&self, index: u64, pages: usize) {
        let first = index * PAGE_SIZE as u64;
        let last = first + (pages * PAGE_SIZE) as u64 - 1;

        // SAFETY: By the type invariant. The range is whole pages.
        #[expect(
            clippy::as_underscore,
            reason = "the offsets' type differs between kernels"
        )]
        unsafe {
            bindings::truncate_inode_pages_range(self.mapping, first as _, last as _)
        };
    }

    /// Drops what nobody uses, as `drop_caches` does. Context: process, may sleep.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn invalidate(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::invalidate_mapping_pages(self.mapping, 0, c_ulong::MAX) };
    }

    /// Pages that are in the cache now. Context: any.
    pub(crate) fn cached_pages(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { bindings::inode_cached_pages(self.inode.as_ptr()) as usize }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is the last reference: the inode and all its page
        // cache go. May sleep, and owners are dropped in process context.
        unsafe { bindings::iput(self.inode.as_ptr()) };
    }
}

/// References to all of a run of 64 KiB: it stays in memory as long as this object.
///
/// # Invariants
///
/// `list` is one folio of [`RUN_BYTES`], or [`RUN_PAGES`] folios of a page, in order.
pub(crate) struct Folios {
    list: KVec<Folio>,
}

impl Folios {
    /// Remembers where they are, by the hints to their pages in order. Context: any.
    pub(crate) fn remember<'h>(&self, hints: impl IntoIterator<Item = &'h FolioHint>) {
        let pages = (RUN_PAGES / self.list.len().max(1)).max(1);
        for (page, hint) in hints.into_iter().enumerate() {
            hint.set(self.list.get(page / pages));
        }
    }

    /// Whether some of it lies in one of these frames of memory. Context: any.
    pub(crate) fn lie_in(&self, frames: &Range<usize>) -> bool {
        self.list.iter().any(|folio| {
            let first = folio.frame();
            first < frames.end && frames.start < first + folio.len() / PAGE_SIZE
        })
    }

    /// The folio that byte `offset` is in, where in it, and how many bytes follow there.
    #[inline]
    fn at(&self, offset: usize) -> Option<(&Folio, usize, usize)> {
        let size = if self.list.len() == 1 {
            RUN_BYTES
        } else {
            PAGE_SIZE
        };
        let folio = self.list.get(offset / size)?;

        Some((folio, offset % size, size - offset % size))
    }

    /// Copies bytes in. False if the range is not inside. Context: any.
    #[inline]
    pub(crate) fn write(&self, mut offset: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let Some((folio, at, room)) = self.at(offset) else {
                return false;
            };
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            folio.write(at, now);
            offset += now.len();
            bytes = rest;
        }
        true
    }

    /// Makes bytes zero. False if the range is not inside. Context: any.
    pub(crate) fn clear(&self, offset: usize, len: usize) -> bool {
        self.fill(offset, len, |_, bytes| {
            bytes.fill(0);
            true
        })
    }

    /// Lends bytes to `fill` to be written, piece by piece as they lie in memory, with how many come
    /// before it, until it returns false. True if that was all of the range. Nobody else uses them.
    /// Context: as `fill`.
    #[inline]
    pub(crate) fn fill(
        &self,
        offset: usize,
        len: usize,
        mut fill: impl FnMut(usize, &mut [u8]) -> bool,
    ) -> bool {
        let mut done = 0;
        while done < len {
            let Some((folio, at, room)) = self.at(offset + done) else {
                return false;
            };
            let now = room.min(len - done);
            if folio.fill(at, now, |bytes| fill(done, bytes)) != Some(true) {
                return false;
            }
            done += now;
        }
        true
    }

    /// Bytes that lie in one piece. Nobody may be writing them.
    pub(crate) fn piece(&self, offset: usize, len: usize) -> Option<&[u8]> {
        let (folio, at, room) = self.at(offset)?;
        if len > room {
            return None;
        }
        // SAFETY: The folio is held by this object; the caller says that they are not written.
        unsafe { folio.slice(at, len) }
    }

    /// Lends bytes to `look`, in the pieces in which they lie in memory, no more than
    /// [`RUN_PAGES`]. Nobody may be writing them. `None` if the range is not inside.
    /// Context: as `look`.
    pub(crate) fn lend<R>(
        &self,
        offset: usize,
        len: usize,
        look: impl FnOnce(&[&[u8]]) -> R,
    ) -> Option<R> {
        let mut pieces: [&[u8]; RUN_PAGES] = [&[]; RUN_PAGES];
        let mut count = 0;
        let mut done = 0;
        while done < len {
            let (folio, at, room) = self.at(offset + done)?;
            let piece = room.min(len - done);
            // SAFETY: The folio is held by this object, so its bytes outlive `look`; the caller
            // says that they are not written.
            *pieces.get_mut(count)? = unsafe { folio.slice(at, piece) }?;
            count += 1;
            done += piece;
        }
        pieces.get(..count).map(look)
    }
}
