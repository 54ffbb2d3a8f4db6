// SPDX-License-Identifier: GPL-2.0

//! The world as the engine sees it: the store, ports to send by, clocks, and who to wake.
//!
//! Context: every method runs with the engine's lock held, mostly in softirq. Frames and signature
//! jobs are put aside for [`Node::with_engine`](super::Node::with_engine) to see to when the lock
//! is dropped.

use super::{
    wait_key,
    World, //
};
use crate::{
    egress,
    net::{
        device::Device,
        random,
        skb::{
            Frames,
            Spare, //
        }, //
    },
    store::{
        Extent,
        RecentObjects, //
    },
    sync::{
        clock,
        shared, //
    },
    trace, //
};
use core::ops::Range;
use feed_core::{
    engine::{
        env::Env,
        BlobInfo,
        Charge,
        Counter,
        Dest,
        Event,
        Full,
        Payload,
        PortId,
        Rest,
        VerifyJob, //
    },
    id::{
        BlobName,
        DiscoveryId,
        Hash, //
    },
    object::ObjectKey,
    Drop as DropReason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A clock that shows an earlier time than this was never set: 2026-01-01, ms since 1970.
const CLOCK_SET_AFTER_MS: u64 = 1_767_225_600_000;

/// The wall clock, ms since 1970; `None` while it is not set. Context: any.
pub(crate) fn wall_ms() -> Option<u64> {
    let now = clock::real_ms();
    (now >= CLOCK_SET_AFTER_MS).then_some(now)
}

/// Whether signatures came up in a call that are to be checked.
#[derive(Clone, Copy, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum JobsWait {
    #[default]
    No,
    /// Nobody waits for the verdicts: what others wait for goes first.
    Patiently,
    Eagerly,
}

/// See the head of this file.
pub(crate) struct KernelEnv {
    world: Arc<World>,
    /// Few enough to be searched in order.
    devices: KVec<(PortId, Device)>,
    frames: Frames,
    /// The buffer of the frame that is looked at, if its bytes are not needed any more.
    spare: Option<Spare>,
    jobs_wait: JobsWait,
    recent: RecentObjects,
}

impl KernelEnv {
    pub(super) fn new(world: Arc<World>) -> Result<Self> {
        Ok(Self {
            world,
            devices: KVec::new(),
            frames: Frames::new(),
            spare: None,
            jobs_wait: JobsWait::No,
            recent: RecentObjects::new()?,
        })
    }

    /// Makes room for one more device, so that [`KernelEnv::add_device`] need not allocate.
    /// Returns the longer list's memory to swap in. Context: process.
    pub(super) fn device_room(count: usize) -> Result<KVec<(PortId, Device)>> {
        Ok(KVec::with_capacity(count, GFP_KERNEL)?)
    }

    /// Adds a device with `room` for all of them; gives the old list's memory back, to be freed
    /// when the lock is dropped.
    pub(super) fn add_device(
        &mut self,
        port: PortId,
        device: Device,
        mut room: KVec<(PortId, Device)>,
    ) -> Result<KVec<(PortId, Device)>> {
        if room.capacity() <= self.devices.len() {
            return Err(EAGAIN);
        }
        while let Some(known) = self.devices.pop() {
            room.push_within_capacity(known).map_err(|_| ENOMEM)?;
        }
        room.push_within_capacity((port, device)).map_err(|_| ENOMEM)?;
        Ok(core::mem::replace(&mut self.devices, room))
    }

    /// Forgets one device.
    pub(super) fn forget_device(&mut self, port: PortId) -> Option<Device> {
        let at = self.devices.iter().position(|(id, _)| *id == port)?;
        self.devices.remove(at).ok().map(|(_, device)| device)
    }

    /// Forgets all devices.
    pub(super) fn forget_devices(&mut self) {
        self.devices.clear();
    }

    pub(super) fn take_frames(&mut self) -> Frames {
        core::mem::replace(&mut self.frames, Frames::new())
    }

    /// Lends a buffer for what is sent until [`KernelEnv::free_spare`].
    #[inline]
    pub(super) fn lend(&mut self, spare: Option<Spare>) {
        self.spare = spare;
    }

    /// Frees what was lent and not used.
    #[inline]
    pub(super) fn free_spare(&mut self) {
        self.spare = None;
    }

    /// What was remembered for the length of one call holds folios.
    pub(super) fn forget_objects(&mut self) {
        self.recent.clear();
    }

    pub(super) fn take_jobs_wait(&mut self) -> JobsWait {
        core::mem::replace(&mut self.jobs_wait, JobsWait::No)
    }
}

impl Env for KernelEnv {
    type Extent = Extent;

    fn random(&mut self) -> u64 {
        random::number()
    }

    fn wall_ms(&mut self) -> Option<u64> {
        wall_ms()
    }

    fn slot_get(&mut self, key: &ObjectKey, slot: u8, out: &mut [u8]) -> bool {
        self.world.store.slot_get_again(&mut self.recent, key, slot, out)
    }

    fn slots_get(&mut self, key: &ObjectKey, slots: &[u8], out: &mut [u8]) -> bool {
        self.world.store.slots_get_again(&mut self.recent, key, slots, out)
    }

    fn may_look_ahead(&mut self) -> bool {
        let pays = self.world.store.is_large();
        if pays {
            self.recent.widen();
        }
        pays
    }

    fn slots_soon(&mut self, key: &ObjectKey, slots: &[u8], len: usize, near: bool) {
        self.world.store.slots_soon(&mut self.recent, key, slots, len, near);
    }

    fn blob_soon(&mut self, blob: &BlobName, window: u16, near: bool) {
        self.world.store.blob_soon(&mut self.recent, blob, window, near);
    }

    fn slot_put(
        &mut self,
        key: &ObjectKey,
        slot: u8,
        bytes: &[u8],
        charge: Charge,
    ) -> Result<(), Full> {
        self.world.store.slot_put(&mut self.recent, key, slot, bytes, charge)
    }

    fn slot_clear(&mut self, key: &ObjectKey, slot: u8) {
        self.world.store.slot_clear(&mut self.recent, key, slot);
    }

    fn blob_find(&mut self, blob: &BlobName, window: u16) -> Option<BlobInfo> {
        self.world.store.blob_find(blob, window)
    }

    fn blob_open(&mut self, blob: &BlobName, window: u16) -> Option<BlobInfo> {
        self.world.store.blob_open(&mut self.recent, blob, window)
    }

    fn blob_share(&mut self, blob: &BlobName, window: u16) {
        self.world.store.blob_share(&mut self.recent, blob, window);
    }

    fn blob_read(&mut self, blob: &BlobName, window: u16, offset: u32, out: &mut [u8]) -> bool {
        self.world.store.blob_read(&mut self.recent, blob, window, offset, out)
    }

    fn blob_reserve(
        &mut self,
        blob: &BlobName,
        window: u16,
        len: u32,
        charge: Charge,
    ) -> Result<Extent, Full> {
        self.world.store.blob_reserve(blob, window, len, charge)
    }

    fn extent_write(&mut self, extent: &mut Extent, offset: u32, bytes: &[u8]) {
        // The engine stays inside; if it did not, the hash would be wrong and nothing published.
        let _ = extent.write(offset, bytes);
    }

    fn extent_take(
        &mut self,
        extent: &mut Extent,
        offset: u32,
        len: u32,
        rest: &dyn Rest,
    ) -> bool {
        extent.fill(offset, len, |done, bytes| rest.copy(done, bytes))
    }

    fn extent_cv(
        &mut self,
        extent: &Extent,
        chunks: Range<u8>,
        first_chunk: u64,
        root: bool,
    ) -> Hash {
        // Nothing hashes to zeros: a failure is a mismatch.
        extent
            .cv(chunks, first_chunk, root)
            .map_or(Hash::ZERO, |cv| Hash(cv))
    }

    fn blob_publish(&mut self, extent: Extent, hops: u8) {
        if !extent.publish(&mut self.recent, hops) {
            self.world.stats.dropped(DropReason::StoreFull);
        }
    }

    fn send(&mut self, to: Dest, linear: &[u8], payload: Option<Payload>) -> bool {
        let Some((_, device)) = self.devices.iter().find(|(id, _)| *id == to.port) else {
            // Unplugged a moment ago: nothing to be sent, nothing wrong with the payload.
            return true;
        };
        let port = to.port.0;
        let to = to.mac.map_or(self.world.group, |mac| mac.0);
        let bytes = payload.as_ref().map_or(0, |payload| payload.len);
        let ethertype = shared::ethertype();
        let store = &self.world.store;
        let (recent, spare) = (&mut self.recent, self.spare.take());
        match egress::build(store, recent, spare, device, ethertype, to, linear, payload) {
            Some(frame) => {
                trace::sent(port, &to, linear, bytes);
                self.frames.push(frame);
                true
            }
            None => false,
        }
    }

    fn verify(&mut self, job: &VerifyJob) -> bool {
        self.jobs_wait = self.jobs_wait.max(if job.patient {
            JobsWait::Patiently
        } else {
            JobsWait::Eagerly
        });
        self.world.jobs.push(job)
    }

    fn wake(&mut self, feed: &DiscoveryId) {
        self.world.waits.wake(wait_key(feed));
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Drop { reason, port, mac } => {
                self.world.stats.dropped(reason);
                trace::dropped(port.0, &mac.0, reason);
            }
            Event::Count(counter) => self.world.stats.count(counter),
            Event::Verify { what, ok, feed, n } => trace::verified(what, ok, &feed.0, n),
            Event::Fork { feed } => {
                self.world.stats.count(Counter::Forks);
                trace::forked(&feed.0);
            }
        }
    }
}
