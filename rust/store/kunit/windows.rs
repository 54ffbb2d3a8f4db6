// SPDX-License-Identifier: GPL-2.0

//! Windows of blobs: reserved, filled, hashed, published, found and sent.

use super::*;
use feed_core::blob::WindowHasher;

/// Lengths at which something changes: block, chunk, page, window, and both sides of them.
const LENGTHS: [u32; 14] = [
    1, 63, 64, 65, 1000, 1024, 1025, 4095, 4096, 4097, 20_000, 32_768, 32_769, 100_001,
];

/// What is published is found and reads back, in copies and in pages.
pub(super) fn fill_and_find() -> Result {
    let bench = Bench::new()?;
    let mut recent = RecentObjects::new()?;
    for (seed, len) in LENGTHS.iter().enumerate() {
        let seed = seed as u32;
        let blob = made_up(seed, *len);
        check!(bench.store.blob_find(&blob, 0).is_none());
        check!(bench.store_blob(seed, *len)? == blob);
        check!(bench
            .store
            .blob_find(&blob, 0)
            .is_some_and(|info| info.hops == 1 && !info.public));
        bench.store.blob_share(&mut recent, &blob, 0);
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
pub(super) fn frames() -> Result {
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
pub(super) fn hashes() -> Result {
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
pub(super) fn unpublished() -> Result {
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
pub(super) fn dedup() -> Result {
    let bench = Bench::new()?;
    let blob = made_up(1, 20_000);
    let mut buffer = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
    let mut recent = RecentObjects::new()?;
    let mut first = bench.reserve(&blob, 0)?;
    let mut second = bench.reserve(&blob, 0)?;
    check!(fill(&mut first, 1, 0, &mut buffer) && fill(&mut second, 1, 0, &mut buffer));
    check!(second.publish(&mut recent, 3) && first.publish(&mut recent, 1));
    check!(bench
        .store
        .blob_find(&blob, 0)
        .is_some_and(|info| info.hops == 3));
    check!(bench.store.figures().bytes_live == 20_000);
    check!(bench.store.figures().entries == 1);
    check!(bench.reads(1, &blob)?);
    bench.end()
}
