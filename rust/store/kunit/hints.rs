// SPDX-License-Identifier: GPL-2.0

//! Hints to folios, by themselves: what they find is what the page cache would say.

use super::*;
use crate::mm::{
    FolioHint,
    Mapping,
    MemCgroup,
    RUN_PAGES, //
};

/// A mapping with segments that are remembered page by page.
struct Remembered {
    mapping: Mapping,
    hints: KVec<FolioHint>,
}

impl Remembered {
    /// `segments` of them, whose pages begin with their index.
    fn new(ground: &Ground, segments: usize) -> Result<Self> {
        let mapping = ground.fs.mapping(false)?;
        let mut hints = KVec::new();
        for page in 0..segments * RUN_PAGES {
            if page % RUN_PAGES == 0 {
                let folios = mapping.populate(page as u64, &MemCgroup::of_current())?;
                for at in 0..RUN_PAGES {
                    check!(folios.write(at * PAGE_SIZE, &((page + at) as u64).to_le_bytes()));
                }
            }
            hints.push(FolioHint::none(), GFP_KERNEL)?;
        }
        Ok(Self { mapping, hints })
    }

    /// Whether each page is found where it was, or nothing if the page cache has nothing either.
    /// Says how many were.
    fn found(&self) -> Result<usize> {
        let mut found = 0;
        for (page, hint) in self.hints.iter().enumerate() {
            let cached = self.mapping.get(page as u64);
            let hinted = self.mapping.get_at(page as u64, hint);
            check!(cached.is_some() == hinted.is_some());
            let (Some(cached), Some(hinted)) = (cached, hinted) else {
                continue;
            };
            check!(cached.index() == hinted.index() && cached.page(0) == hinted.page(0));
            let inside = page - hinted.index() as usize;
            let mut bytes = [0; 8];
            check!(hinted.read(inside * PAGE_SIZE, &mut bytes));
            check!(u64::from_le_bytes(bytes) == page as u64);
            found += 1;
        }
        Ok(found)
    }

    /// Looks each page up, and remembers it.
    fn look_up(&self) -> usize {
        let pages = self.hints.iter().enumerate();
        pages
            .filter(|(page, hint)| self.mapping.get_by(*page as u64, hint).is_some())
            .count()
    }
}

/// A hint finds the folio of its page, of no other page and of no other mapping.
pub(super) fn hints() -> Result {
    const SEGMENTS: usize = 16;
    let ground = Ground::new()?;
    let one = Remembered::new(&ground, SEGMENTS)?;
    let other = Remembered::new(&ground, SEGMENTS)?;
    for (page, hint) in one.hints.iter().enumerate() {
        check!(one.mapping.get_at(page as u64, hint).is_none());
    }
    check!(one.look_up() == SEGMENTS * RUN_PAGES);
    check!(one.found()? == SEGMENTS * RUN_PAGES);
    // As if the slot had been given to another segment.
    for (page, hint) in one.hints.iter().enumerate() {
        let wrong = (page + RUN_PAGES) % (SEGMENTS * RUN_PAGES);
        check!(one.mapping.get_at(wrong as u64, hint).is_none());
        check!(other.mapping.get_at(page as u64, hint).is_none());
        let folio = one.mapping.get_by(wrong as u64, hint).ok_or(ENOENT)?;
        check!((folio.index()..).take(RUN_PAGES).any(|index| index == wrong as u64));
        check!(one.mapping.get_at(wrong as u64, hint).is_some());
        check!(one.mapping.get_at(page as u64, hint).is_none());
    }
    // What was refused is held by nobody.
    check!(one.look_up() == SEGMENTS * RUN_PAGES);
    one.mapping.invalidate();
    check!(one.found()? <= SEGMENTS * RUN_PAGES / 2);
    check!(one.found()? == one.look_up());
    drop((one, other));
    Ok(())
}

/// What was truncated, or dropped by the kernel, is not found, whoever has the memory now.
pub(super) fn hints_of_the_lost() -> Result {
    const SEGMENTS: usize = 64;
    let ground = Ground::new()?;
    let lost = Remembered::new(&ground, SEGMENTS)?;
    check!(lost.look_up() == SEGMENTS * RUN_PAGES);
    // Somebody, a frame for example, still has one.
    let held = lost.mapping.get(0).ok_or(ENOENT)?;
    lost.mapping.truncate(0, SEGMENTS / 2 * RUN_PAGES);
    check!(lost.found()? == SEGMENTS / 2 * RUN_PAGES);
    // The same memory, of another mapping and of this one.
    let next = Remembered::new(&ground, SEGMENTS / 2)?;
    check!(next.look_up() == SEGMENTS / 2 * RUN_PAGES);
    check!(lost.found()? == SEGMENTS / 2 * RUN_PAGES);
    let later = (2 * SEGMENTS * RUN_PAGES) as u64;
    for segment in 0..SEGMENTS as u64 / 2 {
        let at = later + segment * RUN_PAGES as u64;
        lost.mapping.populate(at, &MemCgroup::of_current())?;
    }
    check!(lost.found()? == SEGMENTS / 2 * RUN_PAGES);
    check!(next.found()? == SEGMENTS / 2 * RUN_PAGES);
    // What nobody uses the kernel drops, hints or not: all but what lies in its lists of new folios.
    lost.mapping.invalidate();
    check!(lost.found()? <= SEGMENTS / 2 * RUN_PAGES / 2);
    check!(lost.found()? == lost.look_up());
    check!(next.found()? == SEGMENTS / 2 * RUN_PAGES);
    drop(held);
    drop((lost, next));
    Ok(())
}
