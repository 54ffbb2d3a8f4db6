// SPDX-License-Identifier: GPL-2.0

//! Memory that the kernel wants elsewhere: folios that it moves, and those that it cannot.

use super::*;
use crate::store::{
    index::Key,
    read::Found,
    segments::SegmentId,
    SEGMENT_PAGES, //
};

/// Moves all that is sealed, as the kernel does: from now on the page cache has other folios with the
/// same bytes, and who has a reference to an old one still reads these there.
fn move_all(store: &Store) -> Result {
    let mapping = &store.cache.mapping;
    let mut bytes = KVec::from_elem(0, SEGMENT_BYTES, GFP_KERNEL)?;
    for view in (0..store.segments.len()).map(|slot| store.segments.look(slot)) {
        if !view.sealed() || view.pinned() {
            continue;
        }
        for (page, room) in bytes.chunks_exact_mut(PAGE_SIZE).enumerate() {
            let page = view.page() + page as u64;
            let folio = mapping.get(page).ok_or(ENOENT)?;
            check!(folio.read((page - folio.index()) as usize * PAGE_SIZE, room));
        }
        mapping.truncate(view.page(), SEGMENT_PAGES);
        check!(mapping.populate(view.page(), &store.payer)?.write(0, &bytes));
    }
    Ok(())
}

/// What is written in the course of a call is read there, though its folio has moved since it was
/// looked at.
pub(super) fn moved() -> Result {
    const OBJECTS: u64 = 100;
    let bench = Bench::new()?;
    let store = &bench.store;
    let mut recent = RecentObjects::new()?;
    let mut out = [0; 64];
    for index in 0..OBJECTS {
        patiently(|| bench.slot_put(&mut recent, index, 3, &[3; 64]).ok())?;
        recent.clear();
    }
    store.cache.seal_all(|id, class| store.seal(id, class));
    for index in 0..OBJECTS {
        let key = object(index);
        check!(store.slot_get_again(&mut recent, &key, 3, &mut out) && out == [3; 64]);
        move_all(store)?;
        check!(store.slot_get_again(&mut recent, &key, 3, &mut out) && out == [3; 64]);
        patiently(|| bench.slot_put(&mut recent, index, 4, &[4; 64]).ok())?;
        check!(store.slot_get_again(&mut recent, &key, 4, &mut out) && out == [4; 64]);
        check!(store.slot_get_again(&mut recent, &key, 3, &mut out) && out == [3; 64]);
        recent.clear();
        check!(store.slot_get_again(&mut recent, &key, 4, &mut out) && out == [4; 64]);
        recent.clear();
    }
    drop(recent);
    bench.end()
}

/// Segments that are held: empty, or being filled.
fn held(store: &Store) -> Result<KVec<SegmentId>> {
    let mut list = KVec::new();
    for slot in 0..store.segments.len() {
        let view = store.segments.look(slot);
        if view.alive() && !view.sealed() {
            let generation = view.generation();
            list.push(SegmentId { slot, generation }, GFP_KERNEL)?;
        }
    }
    Ok(list)
}

fn place(store: &Store, blob: &BlobName) -> Result<Found> {
    let key = Key::blob(blob, 0);
    let found = store.find_hashed(&key, store.index.hash(&key), |_| true);
    found.ok_or(ENOENT)
}

/// Nothing is held in memory that is to go, but for what frames on their way will fill.
pub(super) fn vacated() -> Result {
    let bench = Bench::new()?;
    let store = &bench.store;
    let mut recent = RecentObjects::new()?;
    let blob = bench.store_blob(1, 5000)?;
    let coming = made_up(2, 32_768);
    let mut extent = bench.reserve(&coming, 0)?;
    let found = place(store, &blob)?;
    check!(!found.view.sealed());

    // Elsewhere.
    let before = held(store)?;
    store.vacate(&(0..0));
    check!(*held(store)? == *before);
    // A page of a segment that is being filled, and nothing else.
    let frame = store.cache.mapping.get(found.view.page()).ok_or(ENOENT)?.frame();
    store.vacate(&(frame..frame + 1));
    check!(place(store, &blob)?.view.sealed());
    let still = held(store)?;
    check!(before.iter().all(|id| *id == found.place.segment || still.contains(id)));
    // All that there is.
    store.vacate(&(0..usize::MAX));
    let after = held(store)?;
    check!(!before.iter().any(|id| after.contains(id)));
    check!(!store.cache.is_low());

    check!(fill(&mut extent, 2, 0, &mut [0; 512]) && extent.publish(&mut recent, 1));
    check!(bench.reads(1, &blob)? && bench.reads(2, &coming)?);
    check!(bench.store_blob(3, 5000).is_ok());
    drop(recent);
    bench.end()
}
