// SPDX-License-Identifier: GPL-2.0

//! feed_bench.ko: what the benchmark needs inside of the kernel. Not part of the product.
//!
//! Loading it is one run: lookups are made and sent from `device`, the answers that come back are
//! counted there, and one line in the log says how long it took. With `echo` another device gets
//! the *floor* for the same frames: each one is answered without a look at it, by a frame of
//! `answer` bytes whose payload is a page that is always the same.
//!
//! With `mode` nothing is sent: hashes or signatures are made, and timed; or sizes are told.
//!
//! Frames are handed over `batch` at a time with softirqs held off, as a network card would.

mod crypto;
mod echo;
mod lookups;
mod net;
#[path = "../simd/mod.rs"]
mod simd;
mod sink;

use self::{
    crypto::Work,
    echo::Echo,
    lookups::{
        Access,
        Lookups, //
    },
    net::{
        device::{
            Device,
            Mac,
            Rtnl, //
        },
        hook::Hook,
        net::Net,
        skb::{
            FrameBuilder,
            Frames, //
        },
        softirq::Off, //
    },
    sink::{
        Seen,
        Sink, //
    },
};
use feed_core::engine::{
    Footprint,
    FOOTPRINT, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

/// EtherType of the protocol unless feed.ko was told another one.
const ETHERTYPE: u16 = 0x88b5;
/// The group address of nodes, which a handler has to name.
const GROUP: Mac = *b"\x03\x00FEED";
/// Frames that wait in the kernel's queue for one processor: see net.core.netdev_max_backlog.
const BATCH_MAX: u64 = 500;

module! {
    type: Bench,
    name: "feed_bench",
    authors: ["The AF_FEED authors"],
    description: "One run of AF_FEED's benchmark, or its floor",
    license: "GPL",
    params: {
        mode: u32 { default: 0, description: "0: lookups, 1: hash, 2: sign, 3: verify, 4: sizes of records", },
        size: u32 { default: 1024, description: "bytes that are hashed", },
        device: u32 { default: 0, description: "ifindex of the device that lookups leave by", },
        echo: u32 { default: 0, description: "ifindex of a device that answers all without looking", },
        answer: u32 { default: 1024, description: "bytes of its answers behind the Ethernet header", },
        to: u64 { default: 0, description: "MAC address that lookups are sent to", },
        id0: u64 { default: 0, description: "the feed's discovery id, bytes 0 to 7, big-endian", },
        id1: u64 { default: 0, description: "bytes 8 to 15", },
        id2: u64 { default: 0, description: "bytes 16 to 23", },
        id3: u64 { default: 0, description: "bytes 24 to 31", },
        entries: u64 { default: 1, description: "length of the feed, and of the head that is said to be held", },
        have: u32 { default: 0, description: "1: the window's path is held, 2: its page is", },
        access: u32 { default: 0, description: "0: one entry after the other, 1: uniform, 2: Zipf", },
        count: u64 { default: 1000, description: "lookups, hashes or signatures", },
        batch: u64 { default: 64, description: "lookups handed over at a time", },
    },
}

struct Bench;

impl kernel::Module for Bench {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        match module_parameters::mode.value() {
            0 => send_lookups(),
            1 => make(Work::Hash),
            2 => make(Work::Sign),
            3 => make(Work::Verify),
            4 => tell_sizes(),
            _ => Err(EINVAL),
        }
        .map(|()| Self)
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
fn tell_sizes() -> Result {
    let Footprint { feed, pending, waiting, route } = FOOTPRINT;
    pr_info!(
        "{{\"feed\":{feed},\"pending\":{pending},\"waiting\":{waiting},\"route\":{route}}}\n"
    );
    Ok(())
}

/// Sets the generator, the sink and the floor up, and runs. Context: process, may sleep.
fn send_lookups() -> Result {
    let rtnl = Rtnl::lock();
    let find = |ifindex: u32| Device::by_index(&rtnl, Net::initial(), ifindex).ok_or(ENODEV);
    let device = find(module_parameters::device.value())?;
    let seen = Arc::pin_init(Seen::new(), GFP_KERNEL)?;
    let sink = Hook::attach(&rtnl, device.clone(), ETHERTYPE, GROUP, Sink(seen.clone()))?;
    let echo = match module_parameters::echo.value() {
        0 => None,
        ifindex => {
            let device = find(ifindex)?;
            let echo = Echo::new(device.clone(), module_parameters::answer.value())?;
            Some(Hook::attach(&rtnl, device, ETHERTYPE, GROUP, echo)?)
        }
    };
    drop(rtnl);
    let done = run(&device, &seen);
    // Taking a handler away waits for the calls in progress.
    drop(echo);
    drop(sink);
    done
}

/// Sends all lookups, and says what came of them. Context: process, may sleep in between.
fn run(device: &Device, seen: &Seen) -> Result {
    let mac = module_parameters::to.value().to_be_bytes();
    let to = Mac::try_from(&mac[2..]).map_err(|_| EINVAL)?;
    let batch = (module_parameters::batch.value()).clamp(1, BATCH_MAX);
    let count = module_parameters::count.value();
    let mut lookups = Lookups::new(
        [
            module_parameters::id0.value(),
            module_parameters::id1.value(),
            module_parameters::id2.value(),
            module_parameters::id3.value(),
        ],
        module_parameters::entries.value(),
        module_parameters::have.value(),
        Access::new(module_parameters::access.value()).ok_or(EINVAL)?,
    )?;
    // The first one fetches a cookie; it is not counted.
    send(device, &to, &mut lookups, 1, 0)?;
    let cookie = seen.cookie();
    let (frames, bytes) = seen.figures();
    let begun = Monotonic::ktime_get();
    let mut sent = 0;
    while sent < count {
        let now = batch.min(count - sent);
        send(device, &to, &mut lookups, now, cookie)?;
        sent += now;
    }
    let ns = Monotonic::ktime_get() - begun;
    let (frames, bytes) = (seen.figures().0 - frames, seen.figures().1 - bytes);
    pr_info!("{{\"sent\":{sent},\"answers\":{frames},\"bytes\":{bytes},\"ns\":{ns}}}\n");
    Ok(())
}

/// One batch. Softirqs run when it ends.
fn send(device: &Device, to: &Mac, lookups: &mut Lookups, count: u64, cookie: u64) -> Result {
    let mut frames = Frames::new();
    for _ in 0..count {
        let bytes = lookups.next(cookie);
        let mut frame = FrameBuilder::new(device, bytes.len()).ok_or(ENOMEM)?;
        if !frame.put(bytes) {
            return Err(EMSGSIZE);
        }
        frames.push(frame.finish(to, ETHERTYPE).ok_or(EIO)?);
    }
    let _off = Off::new();
    frames.transmit(|_| ());
    Ok(())
}
