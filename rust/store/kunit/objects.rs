// SPDX-License-Identifier: GPL-2.0

//! Objects, and what is remembered of the store for the length of a call.

use super::*;
use crate::store::SEGMENT_PAGES;

/// Slots of objects are there or not one by one.
pub(super) fn objects() -> Result {
    let bench = Bench::new()?;
    let mut recent = RecentObjects::new()?;
    let mut out = [0; 64];
    for index in 0..200 {
        let key = object(index);
        for slot in (0..32).step_by(3) {
            let bytes = [slot ^ index as u8; 64];
            patiently(|| bench.slot_put(&mut recent, index, slot, &bytes).ok())?;
            // The first stays, as whatever is stored is verified.
            let other = [0xff; 64];
            check!(bench.slot_put(&mut recent, index, slot, &other).is_ok());
            if index % 2 == 0 {
                recent.clear();
            }
            check!(bench.slot_put(&mut recent, index, slot, &other).is_ok());
            check!(bench.store.slot_get_again(&mut recent, &key, slot, &mut out) && out == bytes);
        }
    }
    for index in 0..200 {
        for slot in 0..32 {
            let here = bench.store.slot_get(&object(index), slot, &mut out);
            check!(here == (slot % 3 == 0));
            check!(!here || out == [slot ^ index as u8; 64]);
        }
    }
    check!(!bench.store.slot_get(&object(1000), 0, &mut out));
    check!(bench.slot_put(&mut recent, 0, 63, &[0; 64]) == Err(Full));
    bench.end()
}

/// What is remembered for the length of a call says nothing else than the store.
pub(super) fn remembered() -> Result {
    let bench = Bench::new()?;
    let store = &bench.store;
    let mut recent = RecentObjects::new()?;
    let mut out = [0; 64];
    // An object that was not there, is there, and has a slot less.
    for index in 0..100 {
        let key = object(index);
        for slot in [3, 4] {
            check!(!store.slot_get_again(&mut recent, &key, slot, &mut out));
            patiently(|| bench.slot_put(&mut recent, index, slot, &[slot; 64]).ok())?;
            check!(store.slot_get_again(&mut recent, &key, slot, &mut out) && out == [slot; 64]);
        }
        store.slot_clear(&mut recent, &key, 3);
        check!(!store.slot_get_again(&mut recent, &key, 3, &mut out));
        check!(store.slot_get_again(&mut recent, &key, 4, &mut out) && out == [4; 64]);
        patiently(|| bench.slot_put(&mut recent, index, 3, &[5; 64]).ok())?;
        check!(store.slot_get_again(&mut recent, &key, 3, &mut out) && out == [5; 64]);
    }
    // A window likewise, and whether a host may answer with it.
    for seed in 0..100 {
        let blob = made_up(seed, 8192);
        check!(store.blob_open(&mut recent, &blob, 0).is_none());
        let mut extent = bench.reserve(&blob, 0)?;
        check!(fill(&mut extent, seed, 0, &mut [0; 512]));
        check!(extent.publish(&mut recent, 1));
        check!(store.blob_open(&mut recent, &blob, 0).is_some_and(|info| !info.public));
        store.blob_share(&mut recent, &blob, 0);
        check!(store.blob_open(&mut recent, &blob, 0).is_some_and(|info| info.public));
    }
    // What the kernel has taken is missed by who reads it, who can store it again at once.
    recent.clear();
    store.cache.seal_all(|id, class| store.seal(id, class));
    for view in (0..store.segments.len()).map(|slot| store.segments.look(slot)) {
        if view.sealed() && !view.pinned() {
            store.cache.mapping.truncate(view.page(), SEGMENT_PAGES);
        }
    }
    for index in 0..100 {
        let key = object(index);
        check!(!store.slot_get_again(&mut recent, &key, 3, &mut out));
        patiently(|| bench.slot_put(&mut recent, index, 4, &[7; 64]).ok())?;
        recent.clear();
        check!(store.slot_get(&key, 4, &mut out) && out == [7; 64]);
        check!(!store.slot_get(&key, 3, &mut out));
        patiently(|| bench.slot_put(&mut recent, index, 3, &[5; 64]).ok())?;
    }
    // What has gone since is missed by the next call at the latest, and can be stored again.
    store.flush();
    recent.clear();
    for index in 0..100 {
        check!(!store.slot_get_again(&mut recent, &object(index), 3, &mut out));
        patiently(|| bench.slot_put(&mut recent, index, 3, &[6; 64]).ok())?;
        check!(store.slot_get(&object(index), 3, &mut out) && out == [6; 64]);
    }
    drop(recent);
    bench.end()
}
