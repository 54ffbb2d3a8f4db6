// SPDX-License-Identifier: GPL-2.0

//! What bounds a store and what is taken from it: limits, eviction, quota, flushes, the kernel.

use super::*;
use crate::store::{
    index::{
        Entry,
        Index,
        Key,
        Place, //
    },
    segments::{
        SegmentId,
        Segments, //
    }, //
};

/// The limit holds at every moment, and what is used stays when ten times as much passes by.
pub(super) fn limit_and_eviction() -> Result {
    const LIMIT: usize = 4 << 20;
    const HOT: u32 = 20;
    let bench = Bench::new()?;
    bench.store.set_limit(LIMIT)?;
    check!(bench.store.set_limit(LIMIT_MIN - 1) == Err(EINVAL));
    for seed in 0..HOT {
        bench.store_blob(seed, 32_768)?;
    }
    let mut hot = 0;
    let mut asked = 0;
    for seed in HOT..HOT + 1280 {
        bench.store_blob(seed, 32_768)?;
        check!(bench.store.figures().bytes <= LIMIT as u64);
        check!(bench.store.figures().bytes_resident <= LIMIT as u64);
        // Each of the hot ones is asked for once per 640 KiB that pass.
        let one = seed % HOT;
        asked += 1;
        if bench.reads(one, &made_up(one, 32_768))? {
            hot += 1;
        } else {
            bench.store_blob(one, 32_768)?;
        }
    }
    pr_info!("store test: {hot} of {asked} reads of the hot set hit\n");
    check!(hot * 10 >= asked * 9);
    let figures = bench.store.figures();
    check!(figures.evicted >= 600 && figures.rescued > 0);
    // Half the limit, with everything in use.
    bench.store.set_limit(LIMIT / 2)?;
    check!(bench.store.figures().bytes <= LIMIT as u64 / 2);
    bench.end()
}

/// A scan goes by: all that is stored is handed on at once, and never asked for again. A small
/// set is asked for again and again, but so seldom that more than the whole store passes in
/// between: keeping what was used last would never have it.
pub(super) fn scan() -> Result {
    const LIMIT: usize = 4 << 20;
    const HOT: u32 = 20;
    // Windows of the scan between two questions: each is asked for every 160, which is 5 MiB.
    const GAP: u32 = 8;
    let bench = Bench::new()?;
    bench.store.set_limit(LIMIT)?;
    let (mut asked, mut hot) = (0, 0);
    for turn in 0..HOT * 20 {
        for step in 0..GAP {
            let seed = 1000 + turn * GAP + step;
            let blob = bench.store_blob(seed, 32_768)?;
            check!(bench.reads(seed, &blob)?);
        }
        let one = turn % HOT;
        let here = bench.reads(one, &made_up(one, 32_768))?;
        if !here {
            bench.store_blob(one, 32_768)?;
        }
        // The first two times it has to be learned.
        if turn >= 2 * HOT {
            asked += 1;
            hot += u32::from(here);
        }
    }
    pr_info!("store test: {hot} of {asked} reads of the seldom set hit during a scan\n");
    check!(hot * 10 >= asked * 8);
    bench.end()
}

/// What authors store survives a flush, and is bounded by quota and limit.
pub(super) fn pinned() -> Result {
    let bench = Bench::new()?;
    let owner = Owner::of_current();
    let blob = made_up(1, 32_768);
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    let pin = |buffer: &mut [u8], seed: u32| -> Result<bool> {
        let mut extent = bench.store.pinned_reserve(32_768, true, owner)?;
        check!(fill(&mut extent, seed, 0, buffer));
        Ok(extent.publish_as(&made_up(seed, 32_768), 0, 0))
    };
    // Cached first, then pinned, then offered to the cache again.
    bench.store_blob(1, 32_768)?;
    check!(!bench.store.is_pinned(&blob, 0));
    check!(pin(&mut buffer, 1)?);
    check!(bench.store.is_pinned(&blob, 0));
    bench.store_blob(1, 32_768)?;
    check!(bench.store.is_pinned(&blob, 0));

    // An object that was cached keeps its slots.
    let mut out = [0; 64];
    let mut recent = RecentObjects::new()?;
    patiently(|| bench.slot_put(&mut recent, 1, 3, &[3; 64]).ok())?;
    bench
        .store
        .pinned_slots_put(&object(1), 4, 64, &[4; 64], owner)?;
    bench.store.flush();
    check!(bench.reads(1, &blob)?);
    check!(bench.store.slot_get(&object(1), 3, &mut out) && out == [3; 64]);
    check!(bench.store.slot_get(&object(1), 4, &mut out) && out == [4; 64]);

    // The cap is 64 segments, so the quota is 48; the cache gives way, the limit does not.
    bench.ground.set_cap(64 * SEGMENT_BYTES)?;
    for seed in 100..150 {
        bench.store_blob(seed, 32_768)?;
    }
    let mut pinned = 1;
    let error = loop {
        match pin(&mut buffer, pinned + 1) {
            Ok(stored) => check!(stored),
            Err(error) => break error,
        }
        pinned += 1;
    };
    check!(error.to_errno() == -(kernel::bindings::EDQUOT as c_int));
    check!((90..=96).contains(&pinned));
    check!(bench.store.set_limit(LIMIT_MIN) == Err(EBUSY));
    bench.ground.set_cap(1 << 24)?;
    bench.store.set_limit(60 * SEGMENT_BYTES)?;
    let error = loop {
        match pin(&mut buffer, pinned + 1) {
            Ok(stored) => check!(stored),
            Err(error) => break error,
        }
        pinned += 1;
    };
    check!(error == ENOSPC);
    for seed in 1..=pinned {
        check!(bench.reads(seed, &made_up(seed, 32_768))?);
    }
    bench.end()
}

/// Room that an author reserves and does not use comes back, and nothing that he keeps goes with it.
pub(super) fn wasted() -> Result {
    let bench = Bench::new()?;
    let owner = Owner::of_current();
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    bench.ground.set_cap(64 * SEGMENT_BYTES)?;
    // Many times the quota of 48 segments, now and then with something that stays.
    const ROUNDS: u32 = 1000;
    for round in 0..ROUNDS {
        let first = bench.store.pinned_reserve(32_768, true, owner)?;
        let mut second = bench.store.pinned_reserve(32_768, true, owner)?;
        // Not the last one, so it cannot be used again at once.
        drop(first);
        if round % 50 == 0 {
            check!(fill(&mut second, round, 0, &mut buffer));
            check!(second.publish_as(&made_up(round, 32_768), 0, 0));
        }
    }
    check!(bench.ground.count() <= 64);
    for round in (0..ROUNDS).step_by(50) {
        check!(bench.reads(round, &made_up(round, 32_768))?);
    }
    bench.end()
}

/// A flush takes all that is cached, also from under a reservation.
pub(super) fn flush() -> Result {
    let bench = Bench::new()?;
    for seed in 0..100 {
        bench.store_blob(seed, 10_000)?;
    }
    let late = made_up(1000, 10_000);
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    let mut extent = bench.reserve(&late, 0)?;
    let pieces = bench
        .store
        .blob_pages(&made_up(5, 10_000), 0, 0, 10_000)
        .ok_or(ENOENT)?;
    bench.store.flush();
    for seed in 0..100 {
        check!(bench.store.blob_find(&made_up(seed, 10_000), 0).is_none());
    }
    check!(bench.store.figures().bytes_live == 0);
    check!(bench.store.figures().entries == 0);
    // References outlive the flush.
    let mut at = 0;
    for piece in pieces {
        let right = piece.folio.lend(piece.offset, piece.len, |bytes| {
            bytes
                .iter()
                .zip(at..)
                .all(|(byte, at)| *byte == content(5, 0, at))
        });
        check!(right == Some(true));
        at += piece.len as u32;
    }
    check!(at == 10_000);
    check!(fill(&mut extent, 1000, 0, &mut buffer));
    check!(extent.publish(&mut RecentObjects::new()?, 1));
    check!(bench.store.blob_find(&late, 0).is_none());
    bench.store_blob(1000, 10_000)?;
    check!(bench.reads(1000, &late)?);
    bench.end()
}

/// What the kernel takes is noticed, and what it leaves is right.
pub(super) fn reclaim() -> Result {
    const COUNT: u32 = 200;
    let bench = Bench::new()?;
    for seed in 0..COUNT {
        bench.store_blob(seed, 32_768)?;
    }
    let before = bench.store.figures();
    bench.store.cache.mapping.invalidate();
    let mut left = 0;
    for seed in 0..COUNT {
        left += u32::from(bench.reads(seed, &made_up(seed, 32_768))?);
    }
    pr_info!("store test: {left} of {COUNT} windows outlived an invalidation\n");
    check!(left < COUNT);
    check!(bench.store.figures().bytes_resident < before.bytes_resident);
    // The sweeper finds out within a few ticks.
    patiently(|| (bench.store.figures().reclaimed_by_kernel > 0).then_some(()))?;
    check!(bench.store.figures().segments < before.segments);
    for seed in 0..COUNT {
        bench.store_blob(seed, 32_768)?;
        check!(bench.reads(seed, &made_up(seed, 32_768))?);
    }
    bench.end()
}

/// The index grows while it is used, and shrinks again.
pub(super) fn index_growth() -> Result {
    const COUNT: u32 = 20_000;
    let bench = Bench::new()?;
    let started = monotonic_us();
    for seed in 0..COUNT {
        bench.store_blob(seed, 100)?;
    }
    let stored = monotonic_us();
    for seed in 0..COUNT {
        check!(bench.store.blob_find(&made_up(seed, 100), 0).is_some());
    }
    let found = monotonic_us();
    let figures = bench.store.figures();
    check!(figures.entries == COUNT.into());
    let index = figures.bytes_index / u64::from(COUNT);
    let store_ns = (stored - started) * 1000 / u64::from(COUNT);
    let find_ns = (found - stored) * 1000 / u64::from(COUNT);
    pr_info!(
        "store test: {index} index bytes per entry; {store_ns} ns to store, {find_ns} ns to find\n"
    );
    check!(figures.bytes_index / u64::from(COUNT) <= 128);
    bench.store.flush();
    check!(bench.store.figures().bytes_index < figures.bytes_index / 8);
    bench.end()
}

/// A table that is full takes new entries in the places of those whose segment has ended, and no others.
pub(super) fn index_of_the_lost() -> Result {
    let segments = KBox::pin_init(Segments::new(64 << 20)?, GFP_KERNEL)?;
    let index = Index::new(SipKey([1, 2]))?;
    let fill = |segment: SegmentId, first: u32| {
        let inserts = (first..first + 2_000).map(|seed| {
            let key = Key::blob(&made_up(seed, 1_000), 0);
            let hash = index.hash(&key);
            let place = Place { segment, offset: 0 };
            let entry = Entry::new(&key, hash, place, 0);
            index.with(hash, |shard| {
                let inserted = shard.insert(&entry, &segments).is_ok();
                let found = shard.find(&key, hash, &segments).is_some();
                (inserted == found).then_some(inserted)
            })
        });
        inserts.map(|inserted| inserted.map(u32::from)).sum::<Option<u32>>()
    };
    let (lost, _) = segments.create(false)?;
    let (kept, _) = segments.create(false)?;
    let before = fill(lost, 0).ok_or(EINVAL)?;
    check!(before > 0 && before < 2_000);
    check!(fill(kept, 10_000) == Some(0));
    segments.end(lost);
    let after = fill(kept, 20_000).ok_or(EINVAL)?;
    check!(after > before * 3 / 4 && after <= before);
    check!(fill(kept, 30_000) == Some(0));
    Ok(())
}
