// SPDX-License-Identifier: GPL-2.0

//! What has happened in a namespace: counters by name, and the traffic of each port.
//!
//! Every frame counts several things, so each processor counts for itself. Context of what counts:
//! softirqs off or in one; of what shows: any.

use crate::sync::percpu::Counters;
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

/// The counters of one namespace: drops, events, and for each place of a port what [`Way`]s count.
pub(crate) struct Stats {
    counters: Counters,
    /// The ports in their places, by interface index; 0 if nobody's. Written under the node's list
    /// of ports.
    ports: [Atomic<u32>; PORTS_MAX],
}

/// Where the events begin.
const EVENTS: usize = Drop::ALL.len();
/// Where the ports begin.
const PORTS: usize = EVENTS + Counter::ALL.len();

/// One direction of a port's traffic.
#[derive(Clone, Copy)]
enum Way {
    Received,
    Sent,
}

/// Counters of a way: frames, bytes, drops.
const WAY_LEN: usize = 3;
/// Counters of a port.
const PORT_LEN: usize = 2 * WAY_LEN;

/// What went one way, to be shown.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) drops: u64,
}

impl Stats {
    /// All zero. Context: process, may sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            counters: Counters::new(PORTS + PORTS_MAX * PORT_LEN)?,
            ports: [const { Atomic::new(0) }; PORTS_MAX],
        })
    }

    /// One thing was dropped.
    pub(crate) fn dropped(&self, reason: Drop) {
        self.counters.add(reason as usize, 1);
    }

    /// One thing happened.
    pub(crate) fn count(&self, counter: Counter) {
        self.counters.add(EVENTS + counter as usize, 1);
    }

    /// How much was dropped for `reason`.
    pub(crate) fn drops(&self, reason: Drop) -> u64 {
        self.counters.sum(reason as usize)
    }

    /// How often it happened.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.counters.sum(EVENTS + counter as usize)
    }

    /// Where the counters of a port begin.
    fn port(&self, ifindex: u32) -> Option<usize> {
        let place = self.place(ifindex)?;
        Some(PORTS + place * PORT_LEN)
    }

    fn place(&self, ifindex: u32) -> Option<usize> {
        self.ports.iter().position(|port| port.load(Relaxed) == ifindex)
    }

    /// Begins to count for a new port. Context: process, under the node's list of ports.
    pub(crate) fn port_opened(&self, ifindex: u32) {
        let Some(place) = self.place(0) else { return };
        for counter in 0..PORT_LEN {
            self.counters.reset(PORTS + place * PORT_LEN + counter);
        }
        if let Some(port) = self.ports.get(place) {
            port.store(ifindex, Relaxed);
        }
    }

    /// Forgets the traffic of a port. Context: as for [`Self::port_opened`].
    pub(crate) fn port_closed(&self, ifindex: u32) {
        if let Some(port) = self.place(ifindex).and_then(|place| self.ports.get(place)) {
            port.store(0, Relaxed);
        }
    }

    /// A frame came in by a port. `bytes` are those on the wire.
    pub(crate) fn received(&self, ifindex: u32, bytes: usize, dropped: bool) {
        self.passed(ifindex, Way::Received, bytes, dropped);
    }

    /// A frame was given to the device of a port, which may have had no room for it.
    pub(crate) fn sent(&self, ifindex: u32, bytes: usize, dropped: bool) {
        self.passed(ifindex, Way::Sent, bytes, dropped);
        if dropped {
            self.dropped(Drop::DeviceBusy);
        }
    }

    fn passed(&self, ifindex: u32, way: Way, bytes: usize, dropped: bool) {
        let Some(port) = self.port(ifindex) else { return };
        let way = port + way as usize * WAY_LEN;
        self.counters.add(way, 1);
        self.counters.add(way + 1, bytes as u64);
        if dropped {
            self.counters.add(way + 2, 1);
        }
    }

    /// What came in and what went out by a port.
    pub(crate) fn traffic(&self, ifindex: u32) -> Option<(Figures, Figures)> {
        let port = self.port(ifindex)?;
        let figures = |way: Way| {
            let way = port + way as usize * WAY_LEN;
            Figures {
                frames: self.counters.sum(way),
                bytes: self.counters.sum(way + 1),
                drops: self.counters.sum(way + 2),
            }
        };
        Some((figures(Way::Received), figures(Way::Sent)))
    }
}
