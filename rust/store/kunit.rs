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
        new_spinlock_bh,
        queue,
        OwnedQueue,
        SpinLockBh, //
    }, //
};
use feed_core::{
    blob::{
        window_count,
        window_len, //
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

// Behind the macro that they use.
mod hints;
mod limits;
mod moves;
mod objects;
mod windows;

/// A store with its surroundings, taken down in the right order.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    ground: Arc<Ground>,
}

impl Bench {
    pub(crate) fn new() -> Result<Self> {
        let ground = Ground::new()?;
        let store = Store::new(ground.clone(), SipKey([1, 2]))?;
        store.activate()?;
        Ok(Self { store, ground })
    }

    /// Reserves as a softirq does, but waits for the worker when the pool is empty.
    fn reserve(&self, blob: &BlobName, window: u16) -> Result<Extent> {
        let len = window_len(blob.len, window);
        patiently(|| self.store.blob_reserve(blob, window, len, CHARGE).ok())
    }

    /// Writes a slot of [`object`] `index`, as a call does that remembers.
    fn slot_put(
        &self,
        recent: &mut RecentObjects,
        index: u64,
        slot: u8,
        bytes: &[u8],
    ) -> Result<(), Full> {
        self.store.slot_put(recent, &object(index), slot, bytes, CHARGE)
    }

    /// Stores bytes made from `seed` under a name that is not their hash: publishing does not
    /// check, its callers do.
    pub(crate) fn store_blob(&self, seed: u32, len: u32) -> Result<BlobName> {
        let blob = made_up(seed, len);
        let mut recent = RecentObjects::new()?;
        let mut buffer = [0; 512];
        for window in 0..window_count(len) {
            patiently(|| {
                let mut extent = self.reserve(&blob, window).ok()?;
                let whole = fill(&mut extent, seed, window, &mut buffer);
                (whole && extent.publish(&mut recent, 1)).then_some(())
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

    /// Until [`Bench::clear_jam`] the index takes nothing new, as if it were full and there were no
    /// memory to enlarge it.
    pub(crate) fn jam(&self) -> Result {
        self.store.index.jam()
    }

    /// Undoes [`Bench::jam`].
    pub(crate) fn clear_jam(&self) {
        self.store.index.clear_jam();
    }

    /// Shuts down, and checks that every object that was made has been freed.
    pub(crate) fn end(self) -> Result {
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
    #[pin]
    recent: SpinLockBh<RecentObjects>,
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
        let mut recent = self.recent.lock();
        let (key, one) = (object(seed.into()), [1; 64]);
        let _ = self.store.slot_put(&mut recent, &key, 1, &one, CHARGE);
        recent.clear();
        let mut out = [0; 64];
        self.store.slot_get(&object(seed.into()), 1, &mut out);
        filled
            && hashed
            && extent.publish(&mut recent, 1)
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
    let recent = RecentObjects::new()?;
    let item = Arc::pin_init(
        pin_init!(Softirq {
            store,
            work <- new_work!("feed_test"),
            runs: Atomic::new(0),
            failures: Atomic::new(0),
            recent <- new_spinlock_bh!(recent, "feed_test_recent"),
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
        windows::fill_and_find()
    }

    #[test]
    fn frames() -> Result {
        windows::frames()
    }

    #[test]
    fn hashes() -> Result {
        windows::hashes()
    }

    #[test]
    fn unpublished() -> Result {
        windows::unpublished()
    }

    #[test]
    fn dedup() -> Result {
        windows::dedup()
    }

    #[test]
    fn objects() -> Result {
        objects::objects()
    }

    #[test]
    fn remembered() -> Result {
        objects::remembered()
    }

    #[test]
    fn limit_and_eviction() -> Result {
        limits::limit_and_eviction()
    }

    #[test]
    fn scan() -> Result {
        limits::scan()
    }

    #[test]
    fn pinned() -> Result {
        limits::pinned()
    }

    #[test]
    fn wasted() -> Result {
        limits::wasted()
    }

    #[test]
    fn flush() -> Result {
        limits::flush()
    }

    #[test]
    fn reclaim() -> Result {
        limits::reclaim()
    }

    #[test]
    fn hints() -> Result {
        hints::hints()
    }

    #[test]
    fn hints_of_the_lost() -> Result {
        hints::hints_of_the_lost()
    }

    #[test]
    fn moved() -> Result {
        moves::moved()
    }

    #[test]
    fn vacated() -> Result {
        moves::vacated()
    }

    #[test]
    fn index_growth() -> Result {
        limits::index_growth()
    }

    #[test]
    fn index_of_the_lost() -> Result {
        limits::index_of_the_lost()
    }

    #[test]
    fn softirq() -> Result {
        super::softirq()
    }
}
