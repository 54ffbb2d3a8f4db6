// SPDX-License-Identifier: GPL-2.0

//! Lookups that are sent, answers that come back, and how long it takes.
//!
//! Frames are handed over some at a time with softirqs held off, as a network card would.

use super::{
    lookups::{
        Asked,
        Lookups, //
    },
    net::{
        device::{
            Device,
            Mac,
            Rtnl, //
        },
        hook::Hook,
        skb::{
            FrameBuilder,
            Frames, //
        },
        softirq::Off, //
    },
    orders::Figures,
    sink::{
        Seen,
        Sink, //
    },
    BATCH_MAX,
    ETHERTYPE,
    GROUP, //
};
use feed_core::id::DiscoveryId;
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        ClockSource,
        Monotonic, //
    }, //
};

/// Sends `count` lookups from `device`, `batch` at a time: frames sent, answers, their bytes behind
/// the Ethernet header, ns, and when it began. Context: process, may sleep in between.
pub(crate) fn lookups(
    device: Device,
    to: &Mac,
    feeds: &[DiscoveryId],
    asked: Asked,
    count: u64,
    batch: u64,
) -> Result<Figures> {
    let seen = Arc::pin_init(Seen::new(), GFP_KERNEL)?;
    let rtnl = Rtnl::lock();
    let sink = Hook::attach(&rtnl, device.clone(), ETHERTYPE, GROUP, Sink(seen.clone()))?;
    drop(rtnl);
    let mut lookups = Lookups::new(feeds, asked, device.ifindex())?;
    // The first one fetches a cookie; it is not counted.
    send(&device, to, &mut lookups, 1, 0)?;
    seen.wait(1);
    let cookie = seen.cookie();
    let (frames, bytes) = seen.figures();
    let begun = Monotonic::ktime_get();
    let mut sent = 0;
    while sent < count {
        let now = batch.clamp(1, BATCH_MAX).min(count - sent);
        send(&device, to, &mut lookups, now, cookie)?;
        sent += now;
    }
    seen.wait(frames + sent);
    let ns = Monotonic::ktime_get() - begun;
    let (frames, bytes) = (seen.figures().0 - frames, seen.figures().1 - bytes);
    // Taking a handler away waits for the calls in progress.
    drop(sink);
    let [ns, begun] = [ns, begun].map(|time| u64::try_from(time).map_err(|_| EINVAL));
    Ok([sent, frames, bytes, ns?, begun?])
}

/// Sends some lookups; what they cause on this processor is mostly done when this returns.
fn send(
    device: &Device,
    to: &Mac,
    lookups: &mut Lookups<'_>,
    count: u64,
    cookie: u64,
) -> Result {
    let mut frames = Frames::new();
    for _ in 0..count {
        let bytes = lookups.next(cookie);
        let mut frame = FrameBuilder::new(None, device, bytes.len()).ok_or(ENOMEM)?;
        if !frame.put(bytes) {
            return Err(EMSGSIZE);
        }
        frames.push(frame.finish(to, ETHERTYPE).ok_or(ENOMEM)?);
    }
    let _off = Off::new();
    frames.transmit(|_| ());
    Ok(())
}
