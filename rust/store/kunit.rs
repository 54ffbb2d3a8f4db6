// SPDX-License-Identifier: GPL-2.0

//! Tests of the store inside a kernel, each with a file system and a store of its own.
//!
//! They run when the module is loaded into a kernel that has KUnit. Each is a function that says
//! on which line it failed.

use super::{
    Charge,
    Extent,
    Full,
    Ground,
    Owner,
    RecentObjects,
    Store,
    LIMIT_MIN,
    SEGMENT_BYTES, //
};
use crate::{
    mm::PAGE_SIZE,
    sync::{
        clock::monotonic_us,
        queue,
        OwnedQueue, //
    }, //
};
use feed_core::{
    blob::{
        window_count,
        window_len,
        WindowHasher, //
    },
    engine::env::PortId,
    id::{
        BlobName,
        Hash, //
    },
    object::{
        Kind,
        ObjectKey, //
    },
    siphash::SipKey, //
};
use kernel::{
    new_work,
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

const CHARGE: Charge = Charge {
    port: PortId(1),
    public: false,
};

/// Fails the test that it stands in, with the line.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            pr_err!(
                "store test, line {}: not {}\n",
                line!(),
                stringify!($condition)
            );
            return Err(EINVAL);
        }
    };
}

/// A store with its surroundings, taken down in the right order.
struct Bench {
    store: Arc<Store>,
    ground: Arc<Ground>,
}

impl Bench {
    fn new() -> Result<Self> {
        let ground = Ground::new()?;
        let store = Store::new(ground.clone(), SipKey([1, 2]))?;
        store.activate();
        Ok(Self { store, ground })
    }

    /// Reserves as a softirq does, but waits for the worker when the pool is empty.
    fn reserve(&self, blob: &BlobName, window: u16) -> Result<Extent> {
        let len = window_len(blob.len, window);
        patiently(|| self.store.blob_reserve(blob, window, len, CHARGE).ok())
    }

    /// Stores bytes made from `seed` under a name that is not their hash: publishing does not
    /// check, its callers do.
    fn store_blob(&self, seed: u32, len: u32) -> Result<BlobName> {
        let blob = made_up(seed, len);
        let mut buffer = [0; 512];
        for window in 0..window_count(len) {
            patiently(|| {
                let mut extent = self.reserve(&blob, window).ok()?;
                let whole = fill(&mut extent, seed, window, &mut buffer);
                (whole && extent.publish(1)).then_some(())
            })?;
        }
        Ok(blob)
    }

    /// Whether all of a blob reads back right; `Err` if it reads back wrong.
    fn reads(&self, seed: u32, blob: &BlobName) -> Result<bool> {
        let mut buffer = [0; 512];
        let mut all = true;
        for window in 0..window_count(blob.len) {
            let len = window_len(blob.len, window);
            let mut at = 0;
            while at < len {
                let now = (len - at).min(buffer.len() as u32);
                let out = buffer.get_mut(..now as usize).ok_or(EINVAL)?;
                if read(&self.store, blob, window, at, out) {
                    let right = out
                        .iter()
                        .enumerate()
                        .all(|(index, byte)| *byte == content(seed, window, at + index as u32));
                    check!(right);
                } else {
                    all = false;
                }
                at += now;
            }
        }
        Ok(all)
    }

    /// Shuts down, and checks that every object that was made has been freed.
    fn end(self) -> Result {
        let ground = self.ground.clone();
        drop(self);
        check!(ground.count() == 0);
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.store.shutdown();
    }
}

fn patiently<R>(mut attempt: impl FnMut() -> Option<R>) -> Result<R> {
    for _ in 0..2000 {
        if let Some(done) = attempt() {
            return Ok(done);
        }
        fsleep(Delta::from_millis(1));
    }
    Err(ETIMEDOUT)
}

fn made_up(seed: u32, len: u32) -> BlobName {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = content(seed, u16::MAX, at as u32);
    }
    BlobName {
        hash: Hash(hash),
        len,
    }
}

/// Bytes that differ by seed, window and place.
fn content(seed: u32, window: u16, at: u32) -> u8 {
    // SplitMix64: every bit of the seed matters to every byte.
    let mut x = u64::from(seed) << 32 | u64::from(window) << 16 ^ u64::from(at);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ x >> 31) as u8
}

fn fill(extent: &mut Extent, seed: u32, window: u16, buffer: &mut [u8]) -> bool {
    let mut at = 0;
    while at < extent.len() {
        let now = (extent.len() - at).min(buffer.len() as u32);
        let Some(bytes) = buffer.get_mut(..now as usize) else {
            return false;
        };
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = content(seed, window, at + index as u32);
        }
        if !extent.write(at, bytes) {
            return false;
        }
        at += now;
    }
    true
}

fn object(index: u64) -> ObjectKey {
    ObjectKey {
        kind: Kind::Leaves,
        tier: 0,
        scope: 0,
        index,
        owner: [7; 32],
    }
}

/// Lengths at which something changes: block, chunk, page, window, and both sides of them.
const LENGTHS: [u32; 14] = [
    1, 63, 64, 65, 1000, 1024, 1025, 4095, 4096, 4097, 20_000, 32_768, 32_769, 100_001,
];

/// What is published is found and reads back, in copies and in pages.
fn fill_and_find() -> Result {
    let bench = Bench::new()?;
    for (seed, len) in LENGTHS.iter().enumerate() {
        let seed = seed as u32;
        let blob = made_up(seed, *len);
        check!(bench.store.blob_find(&blob, 0).is_none());
        check!(bench.store_blob(seed, *len)? == blob);
        check!(bench
            .store
            .blob_find(&blob, 0)
            .is_some_and(|info| info.hops == 1 && !info.public));
        bench.store.blob_share(&blob, 0);
        check!(bench
            .store
            .blob_find(&blob, 0)
            .is_some_and(|info| info.public));
        check!(bench.reads(seed, &blob)?);
        let pages = bench.store.blob_pages(&blob, 0, 0, window_len(*len, 0));
        let total: usize = pages
            .ok_or(ENOENT)?
            .into_iter()
            .map(|piece| piece.len)
            .sum();
        check!(total == window_len(*len, 0) as usize);
        // The same hash with another length is another name.
        let other = BlobName {
            len: *len + 1,
            ..blob
        };
        check!(bench.store.blob_find(&other, 0).is_none());
        check!(bench
            .store
            .blob_pages(&blob, 0, window_len(*len, 0), 1)
            .is_none());
    }
    bench.end()
}

/// Gives `check` the bytes of a range as a frame takes them. Whether all were there.
fn send(
    store: &Store,
    recent: &mut RecentObjects,
    blob: &BlobName,
    (window, offset, len): (u16, u32, u32),
    mut check: impl FnMut(u32, u8),
) -> bool {
    let mut at = offset;
    store.blob_visit_again(recent, blob, window, offset, len, |folio, inside, len| {
        let seen = folio.lend(inside, len, |bytes| {
            for (byte, at) in bytes.iter().zip(at..) {
                check(at, *byte);
            }
        });
        at += len as u32;
        seen.is_some()
    })
}

/// A window is sent in pieces of any size, in order or not, among pieces of others; and not when it
/// has gone.
fn frames() -> Result {
    let bench = Bench::new()?;
    let mut recent = RecentObjects::new()?;
    for (seed, len) in LENGTHS.iter().enumerate() {
        let seed = seed as u32;
        let blob = bench.store_blob(seed, *len)?;
        let other = bench.store_blob(seed + 100, 9_000)?;
        for size in [300, 1408, 4096, 8936, 32_768] {
            for window in 0..window_count(*len) {
                let all = window_len(*len, window);
                let (mut sum, mut wrong) = (0, 0);
                for step in [size, size * 3] {
                    for at in (0..all).step_by(step as usize) {
                        let range = (window, at, size.min(all - at));
                        check!(send(&bench.store, &mut recent, &blob, range, |at, byte| {
                            sum += 1;
                            wrong += u32::from(byte != content(seed, window, at));
                        }));
                        if at % 5 == 0 {
                            let range = (0, 500, 2_000);
                            check!(send(&bench.store, &mut recent, &other, range, |at, byte| {
                                wrong += u32::from(byte != content(seed + 100, 0, at));
                            }));
                        }
                    }
                }
                check!(wrong == 0 && sum >= all);
                check!(!send(&bench.store, &mut recent, &blob, (window, 1, all), |_, _| {}));
            }
        }
        recent.clear();
        bench.store.flush();
        check!(!send(&bench.store, &mut recent, &blob, (0, 0, 1), |_, _| {}));
    }
    drop(recent);
    bench.end()
}

/// Hashes of extents are what feed_core's hasher says, whole windows and single chunks.
fn hashes() -> Result {
    let bench = Bench::new()?;
    let mut hasher = KBox::new(WindowHasher::new(), GFP_KERNEL)?;
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    for (seed, len) in LENGTHS.iter().enumerate() {
        let blob = made_up(seed as u32, *len);
        for window in 0..window_count(*len) {
            let mut extent = bench.reserve(&blob, window)?;
            check!(fill(&mut extent, seed as u32, window, &mut buffer));
            let chunks = extent.len().div_ceil(1024) as u8;
            let first = u64::from(window) * 32;
            let root = window_count(*len) == 1;

            hasher.window(*len, window).map_err(|_| EINVAL)?;
            let fed = extent.lend(0, extent.len(), |pieces| {
                pieces.iter().all(|bytes| hasher.update(bytes).is_ok())
            });
            check!(fed == Some(true));
            let wanted = hasher.finish().map_err(|_| EINVAL)?;
            check!(extent.cv(0..chunks, first, root) == Some(wanted.0));

            let chunk = chunks - 1;
            let start = u32::from(chunk) * 1024;
            let end = extent.len();
            hasher
                .chunk(*len, first as u32 + u32::from(chunk))
                .map_err(|_| EINVAL)?;
            let fed = extent.lend(start, end - start, |pieces| {
                pieces.iter().all(|bytes| hasher.update(bytes).is_ok())
            });
            check!(fed == Some(true));
            let wanted = hasher.finish().map_err(|_| EINVAL)?;
            check!(extent.cv(chunk..chunks, first, root && chunks == 1) == Some(wanted.0));
        }
    }
    bench.end()
}

/// Nothing finds what was not published, and its room is used again.
fn unpublished() -> Result {
    let bench = Bench::new()?;
    let blob = made_up(1, 1000);
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    for _ in 0..10_000 {
        let mut extent = bench.reserve(&blob, 0)?;
        check!(fill(&mut extent, 1, 0, &mut buffer));
        check!(bench.store.blob_find(&blob, 0).is_none());
    }
    check!(bench.store.blob_find(&blob, 0).is_none());
    // 10 MB went through one segment; the others are the pool.
    check!(bench.store.figures().segments <= 32);
    check!(bench.store.figures().bytes_live == 0);
    bench.end()
}

/// Of two reservations of one window the first to be published stays.
fn dedup() -> Result {
    let bench = Bench::new()?;
    let blob = made_up(1, 20_000);
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    let mut first = bench.reserve(&blob, 0)?;
    let mut second = bench.reserve(&blob, 0)?;
    check!(fill(&mut first, 1, 0, &mut buffer) && fill(&mut second, 1, 0, &mut buffer));
    check!(second.publish(3) && first.publish(1));
    check!(bench
        .store
        .blob_find(&blob, 0)
        .is_some_and(|info| info.hops == 3));
    check!(bench.store.figures().bytes_live == 20_000);
    check!(bench.store.figures().entries == 1);
    check!(bench.reads(1, &blob)?);
    bench.end()
}

/// Slots of objects are there or not one by one.
fn objects() -> Result {
    let bench = Bench::new()?;
    let mut out = [0; 64];
    for index in 0..200 {
        let key = object(index);
        for slot in (0..32).step_by(3) {
            let bytes = [slot ^ index as u8; 64];
            patiently(|| bench.store.slot_put(&key, slot, &bytes, CHARGE).ok())?;
            // The first stays, as whatever is stored is verified.
            check!(bench
                .store
                .slot_put(&key, slot, &[0xff; 64], CHARGE)
                .is_ok());
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
    check!(bench.store.slot_put(&object(0), 63, &[0; 64], CHARGE) == Err(Full));
    bench.end()
}

/// The limit holds at every moment, and what is used stays when ten times as much passes by.
fn limit_and_eviction() -> Result {
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
fn scan() -> Result {
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
fn pinned() -> Result {
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
    patiently(|| bench.store.slot_put(&object(1), 3, &[3; 64], CHARGE).ok())?;
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
fn wasted() -> Result {
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
fn flush() -> Result {
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
    check!(extent.publish(1));
    check!(bench.store.blob_find(&late, 0).is_none());
    bench.store_blob(1000, 10_000)?;
    check!(bench.reads(1000, &late)?);
    bench.end()
}

/// What the kernel takes is noticed, and what it leaves is right.
fn reclaim() -> Result {
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
fn index_growth() -> Result {
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

/// Copies bytes of a published window out; false if not all of them are here.
fn read(store: &Store, blob: &BlobName, window: u16, offset: u32, out: &mut [u8]) -> bool {
    let Some(pieces) = store.blob_pages(blob, window, offset, out.len() as u32) else {
        return false;
    };
    let mut rest = out;
    pieces.into_iter().all(|piece| {
        let (now, later) = core::mem::take(&mut rest).split_at_mut(piece.len);
        rest = later;
        piece.folio.read(piece.offset, now)
    })
}

/// Everything that the packet handler does, in softirq context.
#[pin_data]
struct Softirq {
    store: Arc<Store>,
    #[pin]
    work: Work<Softirq, 0>,
    runs: Atomic<u32>,
    failures: Atomic<u32>,
}

kernel::impl_has_work! {
    impl HasWork<Softirq, 0> for Softirq { self.work }
}

impl Softirq {
    fn once(&self, seed: u32) -> bool {
        let blob = made_up(seed, 8192);
        let Ok(mut extent) = self.store.blob_reserve(&blob, 0, 8192, CHARGE) else {
            // The pool is empty: no failure, the worker is at it.
            return true;
        };
        let mut buffer = [0; 256];
        let filled = fill(&mut extent, seed, 0, &mut buffer);
        let hashed = extent.cv(0..8, 0, true).is_some();
        let _ = self
            .store
            .slot_put(&object(seed.into()), 1, &[1; 64], CHARGE);
        let mut out = [0; 64];
        self.store.slot_get(&object(seed.into()), 1, &mut out);
        filled
            && hashed
            && extent.publish(1)
            && read(&self.store, &blob, 0, 0, &mut buffer)
            && buffer
                .iter()
                .zip(0..)
                .all(|(byte, at)| *byte == content(seed, 0, at))
            && self.store.blob_pages(&blob, 0, 100, 8000).is_some()
    }
}

impl WorkItem<0> for Softirq {
    type Pointer = Arc<Softirq>;

    fn run(this: Arc<Softirq>) {
        let run = this.runs.load(Relaxed);
        for seed in 0..16 {
            if !this.once(run * 16 + seed) {
                this.failures.add(1, Relaxed);
            }
        }
        this.runs.store(run + 1, Relaxed);
    }
}

fn softirq() -> Result {
    let bench = Bench::new()?;
    bench.store.set_limit(4 << 20)?;
    let queue = OwnedQueue::bh(c"feed_test")?;
    let store = bench.store.clone();
    let item = Arc::pin_init(
        pin_init!(Softirq {
            store,
            work <- new_work!("feed_test"),
            runs: Atomic::new(0),
            failures: Atomic::new(0),
        }),
        GFP_KERNEL,
    )?;
    for run in 1..=100 {
        queue.kick::<_, 0>(&item);
        patiently(|| (item.runs.load(Relaxed) >= run).then_some(()))?;
        // Process context at the same time, for lockdep's eyes.
        bench.store_blob(1 << 20 | run, 5000)?;
    }
    queue::disable::<_, 0>(&item);
    check!(item.failures.load(Relaxed) == 0);
    drop(item);
    drop(queue);
    bench.end()
}

#[kunit_tests(feed_store)]
mod tests {
    use super::*;

    #[test]
    fn fill_and_find() -> Result {
        super::fill_and_find()
    }

    #[test]
    fn frames() -> Result {
        super::frames()
    }

    #[test]
    fn hashes() -> Result {
        super::hashes()
    }

    #[test]
    fn unpublished() -> Result {
        super::unpublished()
    }

    #[test]
    fn dedup() -> Result {
        super::dedup()
    }

    #[test]
    fn objects() -> Result {
        super::objects()
    }

    #[test]
    fn limit_and_eviction() -> Result {
        super::limit_and_eviction()
    }

    #[test]
    fn scan() -> Result {
        super::scan()
    }

    #[test]
    fn pinned() -> Result {
        super::pinned()
    }

    #[test]
    fn wasted() -> Result {
        super::wasted()
    }

    #[test]
    fn flush() -> Result {
        super::flush()
    }

    #[test]
    fn reclaim() -> Result {
        super::reclaim()
    }

    #[test]
    fn index_growth() -> Result {
        super::index_growth()
    }

    #[test]
    fn softirq() -> Result {
        super::softirq()
    }
}
