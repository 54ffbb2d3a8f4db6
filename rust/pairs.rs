// SPDX-License-Identifier: GPL-2.0

//! How many objects were made since the module was loaded, and how many have gone.
//!
//! One line at unload says it, so that a leak shows. Namespaces do not say it at their end: whoever
//! may make namespaces could fill the log with it.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Objects of one kind. Context of all methods: any.
pub(crate) struct Pair {
    made: Atomic<u64>,
    gone: Atomic<u64>,
}

/// Ports of nodes.
pub(crate) static PORTS: Pair = Pair::new();
/// Sockets of the family.
pub(crate) static SOCKETS: Pair = Pair::new();
/// Segments of stores.
pub(crate) static SEGMENTS: Pair = Pair::new();
/// Reservations in segments.
pub(crate) static EXTENTS: Pair = Pair::new();
/// Entries that programs map, or are about to.
pub(crate) static USER_PAGES: Pair = Pair::new();

impl Pair {
    const fn new() -> Self {
        Self {
            made: Atomic::new(0),
            gone: Atomic::new(0),
        }
    }

    /// One was made.
    pub(crate) fn made(&self) {
        self.add(1, 0);
    }

    /// `count` have gone.
    pub(crate) fn gone(&self, count: u64) {
        self.add(0, count);
    }

    /// So many of both: for who counts for himself.
    pub(crate) fn add(&self, made: u64, gone: u64) {
        self.made.add(made, Relaxed);
        self.gone.add(gone, Relaxed);
    }
}

/// Says it when it is dropped; then everything else must be gone.
pub(crate) struct Account(());

impl Account {
    /// Nothing was made yet.
    pub(crate) fn open() -> Self {
        Self(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let [ports, sockets, segments, extents, pages] =
            [&PORTS, &SOCKETS, &SEGMENTS, &EXTENTS, &USER_PAGES]
                .map(|pair| (pair.made.load(Relaxed), pair.gone.load(Relaxed)));
        pr_info!(
            "unloaded: ports created {} freed {}, sockets opened {} closed {}, segments created {} freed {}, extents reserved {} released {}, mappings created {} freed {}\n",
            ports.0, ports.1, sockets.0, sockets.1, segments.0, segments.1, extents.0, extents.1,
            pages.0, pages.1,
        );
    }
}
