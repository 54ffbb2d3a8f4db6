// SPDX-License-Identifier: GPL-2.0

//! `/dev/feed_bench`: programs say what frames they want, and the kernel makes them.
//!
//! A write is an order: words of 64 bits, little-endian, of which the first says what for. It
//! returns when the order was carried out, by the program that gave it, on the processor that it is
//! bound to. A read at 0 then tells what came of it, in words. Each open file has its own devices,
//! feeds and figures; several can be at work at the same time.

use super::{
    echo::{
        Echo,
        Relay, //
    },
    flood::{
        Flood,
        Place,
        Swallow, //
    },
    lookups::{
        Access,
        Asked, //
    },
    net::{
        device::{
            Device,
            Mac,
            Rtnl, //
        },
        hook::Hook,
        net::Net, //
    },
    ETHERTYPE,
    GROUP, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};
use feed_core::id::DiscoveryId;
use kernel::{
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// What an order is for: the first word of a write.
mod order {
    /// Which feeds are asked for: discovery ids of 32 bytes follow.
    pub(super) const FEEDS: u64 = 1;
    /// `device, to, entries, have, access, count, batch`: lookups are sent, answers counted.
    pub(super) const LOOKUPS: u64 = 2;
    /// `device, answer`: from here on all that arrives there is answered without a look at it.
    pub(super) const ECHO: u64 = 3;
    /// `device`: from here on all that arrives there is dropped without a look at it.
    pub(super) const SWALLOW: u64 = 4;
    /// `device, to, sources, places`, as many pairs of `at, change`, and the frame.
    pub(super) const JUNK: u64 = 5;
    /// `count`: so many frames of it.
    pub(super) const FLOOD: u64 = 6;
    /// `device, out, to`: from here on all that arrives there goes on by another device without a
    /// look at it. One file has as many of these as it orders.
    pub(super) const RELAY: u64 = 7;
}

/// Figures of an order.
pub(crate) type Figures = [u64; 5];

/// What a file is about.
#[derive(Default)]
struct Desk {
    feeds: KVVec<DiscoveryId>,
    echo: Option<Pin<KBox<Hook<Echo>>>>,
    relays: KVec<Pin<KBox<Hook<Relay>>>>,
    swallow: Option<(Pin<KBox<Hook<Swallow>>>, Arc<AtomicU64>)>,
    flood: Option<Flood>,
    figures: Figures,
}

/// An open file.
#[pin_data]
pub(crate) struct Orders {
    #[pin]
    desk: Mutex<Desk>,
}

impl Orders {
    /// Makes the device; it goes with what is returned. Context: process, may sleep.
    pub(crate) fn offer() -> Result<Pin<KBox<MiscDeviceRegistration<Self>>>> {
        let options = MiscDeviceOptions {
            name: c"feed_bench",
        };
        KBox::pin_init(MiscDeviceRegistration::register(options), GFP_KERNEL)
    }
}

#[vtable]
impl MiscDevice for Orders {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _device: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        KBox::pin_init(
            pin_init!(Self {
                desk <- new_mutex!(Desk::default(), "feed_bench_desk"),
            }),
            GFP_KERNEL,
        )
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        let mut bytes = KVVec::new();
        let len = from.copy_from_iter_vec(&mut bytes, GFP_KERNEL)?;
        kiocb.file().desk.lock().carry_out(Words(&bytes))?;
        Ok(len)
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        let mut bytes = [0; size_of::<Figures>()];
        let figures = kiocb.file().desk.lock().figures();
        for (place, figure) in bytes.chunks_exact_mut(8).zip(figures) {
            place.copy_from_slice(&figure.to_le_bytes());
        }
        to.simple_read_from_buffer(kiocb.ki_pos_mut(), &bytes)
    }
}

/// What is left of an order.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Result<u64> {
        let (word, rest) = self.0.split_first_chunk().ok_or(EINVAL)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*word))
    }

    fn mac(&mut self) -> Result<Mac> {
        let bytes = self.next()?.to_be_bytes();
        bytes.last_chunk().copied().ok_or(EINVAL)
    }

    fn device(&mut self, rtnl: &Rtnl) -> Result<Device> {
        let ifindex = u32::try_from(self.next()?).map_err(|_| EINVAL)?;
        Device::by_index(rtnl, Net::initial(), ifindex).ok_or(ENODEV)
    }
}

impl Desk {
    /// Context: process, may sleep.
    fn carry_out(&mut self, mut words: Words<'_>) -> Result {
        match words.next()? {
            order::FEEDS => self.take_feeds(words.0),
            order::LOOKUPS => self.send_lookups(words),
            order::ECHO => self.start_echo(words),
            order::RELAY => self.start_relay(words),
            order::SWALLOW => self.start_swallowing(words),
            order::JUNK => self.prepare_flood(words),
            order::FLOOD => self.flood.as_mut().ok_or(EINVAL)?.send(words.next()?),
            _ => Err(EINVAL),
        }
    }

    /// Of lookups: frames sent, answers, bytes of those behind their Ethernet headers, ns,
    /// and when it began, ns since the machine did.
    /// Of a flood: whether somebody has asked for a head. Of what swallows: frames.
    fn figures(&self) -> Figures {
        match (&self.swallow, &self.flood) {
            (Some((_, seen)), _) => [seen.load(Relaxed), 0, 0, 0, 0],
            (None, Some(flood)) => [u64::from(flood.was_asked()), 0, 0, 0, 0],
            (None, None) => self.figures,
        }
    }

    fn take_feeds(&mut self, bytes: &[u8]) -> Result {
        let mut feeds = KVVec::with_capacity(bytes.len() / 32, GFP_KERNEL)?;
        for id in bytes.chunks_exact(32) {
            let id = id.try_into().map_err(|_| EINVAL)?;
            feeds.push(DiscoveryId(id), GFP_KERNEL)?;
        }
        self.feeds = feeds;
        Ok(())
    }

    fn send_lookups(&mut self, mut words: Words<'_>) -> Result {
        let device = words.device(&Rtnl::lock())?;
        let to = words.mac()?;
        let asked = Asked {
            entries: words.next()?,
            have: words.next()?,
            access: Access::new(words.next()?).ok_or(EINVAL)?,
        };
        let (count, batch) = (words.next()?, words.next()?);
        self.figures = super::run::lookups(device, &to, &self.feeds, asked, count, batch)?;
        Ok(())
    }

    fn start_echo(&mut self, mut words: Words<'_>) -> Result {
        let rtnl = Rtnl::lock();
        let device = words.device(&rtnl)?;
        let answer = usize::try_from(words.next()?).map_err(|_| EINVAL)?;
        let echo = Echo::new(device.clone(), answer)?;
        self.echo = Some(Hook::attach(&rtnl, device, ETHERTYPE, GROUP, echo)?);
        Ok(())
    }

    fn start_relay(&mut self, mut words: Words<'_>) -> Result {
        let rtnl = Rtnl::lock();
        let device = words.device(&rtnl)?;
        let relay = Relay::new(words.device(&rtnl)?, words.mac()?);
        let hook = Hook::attach(&rtnl, device, ETHERTYPE, GROUP, relay)?;
        drop(rtnl);
        Ok(self.relays.push(hook, GFP_KERNEL)?)
    }

    fn start_swallowing(&mut self, mut words: Words<'_>) -> Result {
        let rtnl = Rtnl::lock();
        let device = words.device(&rtnl)?;
        let seen = Arc::new(AtomicU64::new(0), GFP_KERNEL)?;
        let hook = Hook::attach(&rtnl, device, ETHERTYPE, GROUP, Swallow(seen.clone()))?;
        self.swallow = Some((hook, seen));
        Ok(())
    }

    fn prepare_flood(&mut self, mut words: Words<'_>) -> Result {
        let rtnl = Rtnl::lock();
        let device = words.device(&rtnl)?;
        let to = words.mac()?;
        let sources = words.next()?;
        let mut places = KVec::new();
        for _ in 0..words.next()? {
            let (at, change) = (words.next()?, words.next()?);
            places.push(Place::new(at, change).ok_or(EINVAL)?, GFP_KERNEL)?;
        }
        let mut bytes = KVec::new();
        bytes.extend_from_slice(words.0, GFP_KERNEL)?;
        self.flood = Some(Flood::new(&rtnl, device, to, sources, bytes, places)?);
        Ok(())
    }
}
