// SPDX-License-Identifier: GPL-2.0

//! feed_bench.ko: what the benchmark needs inside of the kernel. Not part of the product.
//!
//! Loaded without `mode` it offers `/dev/feed_bench`, by which programs order frames: lookups whose
//! answers are counted, the *floor* for the same frames (each one answered without a look at it,
//! by a frame whose payload is a page that is always the same), junk in floods, and its floor.
//! See `orders.rs`.
//!
//! With `mode` loading it is one run, and one line in the log says what came of it: hashes or
//! signatures are made, and timed; or sizes are told.

mod crypto;
mod echo;
mod flood;
mod lookups;
mod net;
mod orders;
mod random;
mod run;
#[path = "../simd/mod.rs"]
mod simd;
mod sink;

use self::{
    crypto::Work,
    net::device::Mac,
    orders::Orders, //
};
use feed_core::engine::{
    Footprint,
    FOOTPRINT, //
};
use kernel::{
    miscdevice::MiscDeviceRegistration,
    prelude::*,
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

/// EtherType of the protocol unless feed.ko was told another one.
const ETHERTYPE: u16 = 0x88b5;
/// The group address of nodes, which a handler has to name.
const GROUP: Mac = *b"\x03\x00FEED";
/// Frames that are handed over at a time at most: so many wait in the kernel's queue for one
/// processor, see net.core.netdev_max_backlog.
const BATCH_MAX: u64 = 500;

module! {
    type: Bench,
    name: "feed_bench",
    authors: ["The AF_FEED authors"],
    description: "One run of AF_FEED's benchmark, or its floor",
    license: "GPL",
    params: {
        mode: u32 { default: 0, description: "0: take orders, 1: hash, 2: sign, 3: verify, 4: sizes of records", },
        size: u32 { default: 1024, description: "bytes that are hashed", },
        count: u64 { default: 1000, description: "hashes or signatures", },
    },
}

struct Bench {
    _orders: Option<Pin<KBox<MiscDeviceRegistration<Orders>>>>,
}

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut orders = None;
        match module_parameters::mode.value() {
            0 => orders = Some(Orders::offer()?),
            1 => make(Work::Hash)?,
            2 => make(Work::Sign)?,
            3 => make(Work::Verify)?,
            4 => tell_sizes(),
            _ => return Err(EINVAL),
        }
        Ok(Self { _orders: orders })
    }
}

/// Times hashes or signatures. Context: process.
fn make(work: Work) -> Result {
    let size = module_parameters::size.value() as usize;
    let count = module_parameters::count.value();
    // Once unmeasured: caches, and the processor's clock.
    crypto::run(work, size, count / 8 + 1)?;
    let begun = Monotonic::ktime_get();
    let first = crypto::run(work, size, count)?;
    let ns = Monotonic::ktime_get() - begun;
    pr_info!("{{\"count\":{count},\"ns\":{ns},\"first\":{first}}}\n");
    Ok(())
}

/// Says what records of feed.ko's tables take, which was built of the same core.
fn tell_sizes() {
    let Footprint { feed, pending, waiting, route } = FOOTPRINT;
    pr_info!(
        "{{\"feed\":{feed},\"pending\":{pending},\"waiting\":{waiting},\"route\":{route}}}\n"
    );
}
