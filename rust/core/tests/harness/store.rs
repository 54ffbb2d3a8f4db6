// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! One node's world: a store in memory, an outbox, a queue of signatures, counters.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use feed_core::blob::{window_len, WindowHasher};
use feed_core::engine::{
    BlobInfo, Charge, Counter, Dest, Env, Event, Full, Payload, Proved, Rest, VerifyJob,
};
use feed_core::id::{BlobName, DiscoveryId, Hash};
use feed_core::object::ObjectKey;
use feed_core::Drop;

use super::Rng;

pub struct Extent {
    pub blob: BlobName,
    pub window: u16,
    pub public: bool,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub rng: Rng,
    pub wall: Option<u64>,
    pub slots: HashMap<(ObjectKey, u8), Vec<u8>>,
    pub blobs: HashMap<(BlobName, u16), (Vec<u8>, BlobInfo)>,
    /// Refuse everything new.
    pub full: bool,
    /// Refuse every n-th reservation or slot (0: none).
    pub fail_every: u64,
    writes: u64,
    /// Windows of blobs that were looked for.
    pub looks: u64,
    /// Frames that came in.
    pub taken: u64,
    pub out: Vec<(Dest, Vec<u8>)>,
    pub jobs: Vec<VerifyJob>,
    pub jobs_max: usize,
    pub woken: HashSet<DiscoveryId>,
    pub drops: HashMap<Drop, u64>,
    pub counts: HashMap<Counter, u64>,
    pub proved: Vec<(Proved, bool, u64)>,
    pub forks: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        World {
            rng: Rng(seed),
            wall: Some(1_800_000_000_000),
            slots: HashMap::new(),
            blobs: HashMap::new(),
            full: false,
            fail_every: 0,
            writes: 0,
            looks: 0,
            taken: 0,
            out: Vec::new(),
            jobs: Vec::new(),
            jobs_max: 64,
            woken: HashSet::new(),
            drops: HashMap::new(),
            counts: HashMap::new(),
            proved: Vec::new(),
            forks: 0,
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counts.get(&counter).copied().unwrap_or(0)
    }

    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops.get(&reason).copied().unwrap_or(0)
    }

    /// Everything cached goes, as the kernel may do at any moment.
    pub fn flush(&mut self) {
        self.slots.clear();
        self.blobs.clear();
    }

    fn may_write(&mut self) -> bool {
        self.writes += 1;
        !self.full && (self.fail_every == 0 || self.writes % self.fail_every != 0)
    }

    /// Every stored window must hash to its name: checks one-window blobs whole.
    pub fn check_blobs(&self) {
        for ((blob, window), (bytes, _)) in &self.blobs {
            assert_eq!(bytes.len() as u32, window_len(blob.len, *window));
            if feed_core::blob::window_count(blob.len) == 1 {
                assert_eq!(
                    blake3::hash(bytes).as_bytes(),
                    &blob.hash.0,
                    "a wrong blob was stored"
                );
            }
        }
    }
}

impl Env for World {
    type Extent = Extent;

    fn random(&mut self) -> u64 {
        self.rng.next()
    }

    fn wall_ms(&mut self) -> Option<u64> {
        self.wall
    }

    fn slot_get(&mut self, key: &ObjectKey, slot: u8, out: &mut [u8]) -> bool {
        match self.slots.get(&(*key, slot)) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    fn slot_put(&mut self, key: &ObjectKey, slot: u8, bytes: &[u8], _: Charge) -> Result<(), Full> {
        if self.slots.contains_key(&(*key, slot)) {
            return Ok(());
        }
        if !self.may_write() {
            return Err(Full);
        }
        self.slots.insert((*key, slot), bytes.to_vec());
        Ok(())
    }

    fn slot_clear(&mut self, key: &ObjectKey, slot: u8) {
        self.slots.remove(&(*key, slot));
    }

    fn blob_find(&mut self, blob: &BlobName, window: u16) -> Option<BlobInfo> {
        self.looks += 1;
        self.blobs.get(&(*blob, window)).map(|(_, info)| *info)
    }

    fn blob_share(&mut self, blob: &BlobName, window: u16) {
        if let Some((_, info)) = self.blobs.get_mut(&(*blob, window)) {
            info.public = true;
        }
    }

    fn blob_read(&mut self, blob: &BlobName, window: u16, offset: u32, out: &mut [u8]) -> bool {
        let Some((bytes, _)) = self.blobs.get(&(*blob, window)) else {
            return false;
        };
        match bytes.get(offset as usize..offset as usize + out.len()) {
            Some(part) => {
                out.copy_from_slice(part);
                true
            }
            None => false,
        }
    }

    fn blob_reserve(
        &mut self,
        blob: &BlobName,
        window: u16,
        len: u32,
        charge: Charge,
    ) -> Result<Extent, Full> {
        assert_eq!(len, window_len(blob.len, window));
        if !self.may_write() {
            return Err(Full);
        }
        Ok(Extent {
            blob: *blob,
            window,
            public: charge.public,
            bytes: vec![0; len as usize],
        })
    }

    fn extent_write(&mut self, extent: &mut Extent, offset: u32, bytes: &[u8]) {
        extent.bytes[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn extent_take(&mut self, extent: &mut Extent, offset: u32, len: u32, rest: &dyn Rest) -> bool {
        rest.copy(
            0,
            &mut extent.bytes[offset as usize..(offset + len) as usize],
        )
    }

    fn extent_cv(
        &mut self,
        extent: &Extent,
        chunks: Range<u8>,
        first_chunk: u64,
        root: bool,
    ) -> Hash {
        assert_eq!(first_chunk, u64::from(extent.window) * 32);
        let start = usize::from(chunks.start) * 1024;
        let end = (usize::from(chunks.end) * 1024).min(extent.bytes.len());
        let mut hasher = WindowHasher::new();
        if chunks.start == 0 && end == extent.bytes.len() && chunks.end > 1 {
            assert_eq!(root, extent.blob.len <= 32 << 10);
            hasher.window(extent.blob.len, extent.window).unwrap();
        } else {
            hasher
                .chunk(
                    extent.blob.len,
                    first_chunk as u32 + u32::from(chunks.start),
                )
                .unwrap();
        }
        hasher.update(&extent.bytes[start..end]).unwrap();
        hasher.finish().unwrap()
    }

    fn blob_publish(&mut self, extent: Extent, hops: u8) {
        let info = BlobInfo {
            hops,
            public: extent.public,
        };
        self.blobs
            .entry((extent.blob, extent.window))
            .or_insert((extent.bytes, info));
    }

    fn send(&mut self, to: Dest, linear: &[u8], payload: Option<Payload>) -> bool {
        let mut frame = linear.to_vec();
        if let Some(p) = payload {
            let Some((bytes, _)) = self.blobs.get(&(p.blob, p.window)) else {
                return false;
            };
            let Some(part) = bytes.get(p.offset as usize..(p.offset + p.len) as usize) else {
                return false;
            };
            frame.extend_from_slice(part);
        }
        self.out.push((to, frame));
        true
    }

    fn verify(&mut self, job: &VerifyJob) -> bool {
        if self.jobs.len() >= self.jobs_max {
            return false;
        }
        self.jobs.push(*job);
        true
    }

    fn wake(&mut self, feed: &DiscoveryId) {
        self.woken.insert(*feed);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Drop { reason, .. } => *self.drops.entry(reason).or_default() += 1,
            Event::Count(counter) => *self.counts.entry(counter).or_default() += 1,
            Event::Verify { what, ok, n, .. } => self.proved.push((what, ok, n)),
            Event::Fork { .. } => self.forks += 1,
        }
    }
}
