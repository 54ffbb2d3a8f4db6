// SPDX-License-Identifier: GPL-2.0

//! Where answers end: counted, and looked into no further than for the cookie.

use super::net::{
    hook::{
        Frame,
        Receive, //
    },
    skb::Drop, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        ClockSource,
        Delta,
        Monotonic, //
    }, //
};

/// How long answers may keep their asker waiting, ns, and how often he looks.
const PATIENCE_NS: i64 = 1_000_000_000;
const LOOK_EVERY: Delta = Delta::from_micros(50);

/// Where a frame gives its receiver a cookie, behind the Ethernet header (PROTOCOL.md, 12).
const COOKIE_AT: usize = 16;

/// What has come back.
pub(crate) struct Seen {
    frames: AtomicU64,
    bytes: AtomicU64,
    cookie: AtomicU64,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            cookie: AtomicU64::new(0),
        }
    }

    /// Frames, and their bytes behind the Ethernet headers.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.frames.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// Waits until so many frames have come, or for a second: softirqs that have run for long go on
    /// in a thread. Context: process.
    pub(crate) fn wait(&self, frames: u64) {
        let begun = Monotonic::ktime_get();
        while self.figures().0 < frames && Monotonic::ktime_get() - begun < PATIENCE_NS {
            fsleep(LOOK_EVERY);
        }
    }

    /// The first cookie that came, 0 for none.
    pub(crate) fn cookie(&self) -> u64 {
        self.cookie.load(Relaxed)
    }
}

/// The generator's packet handler.
pub(crate) struct Sink(pub(crate) Arc<Seen>);

impl Receive for Sink {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let seen = &*self.0;
        seen.frames.fetch_add(1, Relaxed);
        seen.bytes.fetch_add(frame.len() as u64, Relaxed);
        if seen.cookie() == 0 {
            let mut cookie = [0; 8];
            if frame.copy(COOKIE_AT, &mut cookie) {
                seen.cookie.store(u64::from_le_bytes(cookie), Relaxed);
            }
        }
        Ok(())
    }
}
