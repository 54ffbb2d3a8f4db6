// SPDX-License-Identifier: GPL-2.0

//! What has happened in a namespace: counters by name, and the traffic of each port.
//!
//! Counters are only ever read to be shown, so they order nothing: all accesses are relaxed.
//! Context of everything here: any, unless it says otherwise.

use feed_core::{
    engine::{
        limits::PORTS_MAX,
        Counter, //
    },
    Drop, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The counters of one namespace.
pub(crate) struct Stats {
    drops: KVec<Atomic<u64>>,
    counters: KVec<Atomic<u64>>,
    ports: KVec<Traffic>,
}

/// What went by one port.
struct Traffic {
    /// Whose place this is; 0 if nobody's. Written under the node's list of ports.
    ifindex: Atomic<u32>,
    received: Way,
    sent: Way,
}

/// One direction of it.
struct Way {
    frames: Atomic<u64>,
    bytes: Atomic<u64>,
    drops: Atomic<u64>,
}

/// What went one way, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) drops: u64,
}

impl Way {
    fn new() -> Self {
        Self {
            frames: Atomic::new(0),
            bytes: Atomic::new(0),
            drops: Atomic::new(0),
        }
    }

    fn reset(&self) {
        for counter in [&self.frames, &self.bytes, &self.drops] {
            counter.store(0, Relaxed);
        }
    }

    fn count(&self, bytes: usize, dropped: bool) {
        self.frames.add(1, Relaxed);
        self.bytes.add(bytes as u64, Relaxed);
        if dropped {
            self.drops.add(1, Relaxed);
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            drops: self.drops.load(Relaxed),
        }
    }
}

fn zeros(len: usize) -> Result<KVec<Atomic<u64>>> {
    let mut all = KVec::with_capacity(len, GFP_KERNEL)?;
    for _ in 0..len {
        all.push(Atomic::new(0), GFP_KERNEL)?;
    }
    Ok(all)
}

impl Stats {
    /// All zero. Context: process, may sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut ports = KVec::with_capacity(PORTS_MAX, GFP_KERNEL)?;
        for _ in 0..PORTS_MAX {
            let traffic = Traffic {
                ifindex: Atomic::new(0),
                received: Way::new(),
                sent: Way::new(),
            };
            ports.push(traffic, GFP_KERNEL)?;
        }
        Ok(Self {
            drops: zeros(Drop::ALL.len())?,
            counters: zeros(Counter::ALL.len())?,
            ports,
        })
    }

    /// One thing was dropped.
    pub(crate) fn dropped(&self, reason: Drop) {
        if let Some(count) = self.drops.get(reason as usize) {
            count.add(1, Relaxed);
        }
    }

    /// One thing happened.
    pub(crate) fn count(&self, counter: Counter) {
        if let Some(count) = self.counters.get(counter as usize) {
            count.add(1, Relaxed);
        }
    }

    /// How much was dropped for `reason`.
    pub(crate) fn drops(&self, reason: Drop) -> u64 {
        let count = self.drops.get(reason as usize);
        count.map_or(0, |count| count.load(Relaxed))
    }

    /// How often it happened.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        let count = self.counters.get(counter as usize);
        count.map_or(0, |count| count.load(Relaxed))
    }

    fn port(&self, ifindex: u32) -> Option<&Traffic> {
        self.ports
            .iter()
            .find(|port| port.ifindex.load(Relaxed) == ifindex)
    }

    /// Begins to count for a new port. Context: process, under the node's list of ports.
    pub(crate) fn port_opened(&self, ifindex: u32) {
        if let Some(port) = self.port(0) {
            port.received.reset();
            port.sent.reset();
            port.ifindex.store(ifindex, Relaxed);
        }
    }

    /// Forgets the traffic of a port. Context: as for [`Self::port_opened`].
    pub(crate) fn port_closed(&self, ifindex: u32) {
        if let Some(port) = self.port(ifindex) {
            port.ifindex.store(0, Relaxed);
        }
    }

    /// A frame came in by a port. `bytes` are those on the wire.
    pub(crate) fn received(&self, ifindex: u32, bytes: usize, dropped: bool) {
        if let Some(port) = self.port(ifindex) {
            port.received.count(bytes, dropped);
        }
    }

    /// A frame was given to the device of a port, which may have had no room for it.
    pub(crate) fn sent(&self, ifindex: u32, bytes: usize, dropped: bool) {
        if let Some(port) = self.port(ifindex) {
            port.sent.count(bytes, dropped);
        }
        if dropped {
            self.dropped(Drop::DeviceBusy);
        }
    }

    /// What came in and what went out by a port.
    pub(crate) fn traffic(&self, ifindex: u32) -> Option<(Figures, Figures)> {
        let port = self.port(ifindex)?;
        Some((port.received.figures(), port.sent.figures()))
    }
}
