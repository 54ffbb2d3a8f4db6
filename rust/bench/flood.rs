// SPDX-License-Identifier: GPL-2.0

//! Junk: frames that look good until somebody looks closely, from many addresses.
//!
//! Each is a copy of one frame with other bytes in some places. Lookups that come back to the
//! device are not answered, but the token of the last one is known: junk can have it.

use super::{
    net::{
        device::{
            Device,
            Mac,
            Rtnl, //
        },
        hook::{
            Frame,
            Hook,
            Receive, //
        },
        skb::{
            Drop,
            FrameBuilder,
            Frames, //
        },
        softirq::Off, //
    },
    random::Random,
    BATCH_MAX,
    ETHERTYPE,
    GROUP, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Where a frame's first message begins, behind the Ethernet header (PROTOCOL.md, 12).
const MESSAGE_AT: usize = 24;
/// Of a lookup for a head (PROTOCOL.md, 13).
const LOOKUP_HEAD: u8 = 0x81;
/// Where a lookup has its token, behind the Ethernet header (PROTOCOL.md, 13.1).
const TOKEN_AT: usize = MESSAGE_AT + 8;

/// What differs between frames of a flood.
#[derive(Clone, Copy)]
enum Change {
    Random,
    /// The frame's number.
    Number,
    /// The token of the last lookup for a head that came.
    Token,
    /// A token of a slot that may be in use, random else.
    Guess,
}

/// Bits of a token that say its slot, and how many slots are guessed.
const SLOT_BITS: u64 = 0xff_ffff;
const SLOTS: u64 = 64;

/// A change, and the eight bytes in which it is made.
pub(crate) struct Place {
    at: usize,
    change: Change,
}

impl Place {
    /// `number` is what userspace says for what changes.
    pub(crate) fn new(at: u64, number: u64) -> Option<Self> {
        let change = match number {
            0 => Change::Random,
            1 => Change::Number,
            2 => Change::Token,
            3 => Change::Guess,
            _ => return None,
        };
        Some(Self {
            at: usize::try_from(at).ok()?,
            change,
        })
    }
}

/// Hears what is asked.
struct Listener(Arc<AtomicU64>);

impl Receive for Listener {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let mut kind = [0];
        let mut token = [0; 8];
        if frame.copy(MESSAGE_AT, &mut kind)
            && kind == [LOOKUP_HEAD]
            && frame.copy(TOKEN_AT, &mut token)
        {
            self.0.store(u64::from_le_bytes(token), Relaxed);
        }
        Ok(())
    }
}

/// See the head of this file.
pub(crate) struct Flood {
    device: Device,
    to: Mac,
    /// How many addresses it comes from.
    sources: u64,
    bytes: KVec<u8>,
    places: KVec<Place>,
    token: Arc<AtomicU64>,
    _listener: Pin<KBox<Hook<Listener>>>,
    random: Random,
    sent: u64,
}

impl Flood {
    /// Of copies of `bytes`, which stand behind the Ethernet header. Context: process, may sleep.
    pub(crate) fn new(
        rtnl: &Rtnl,
        device: Device,
        to: Mac,
        sources: u64,
        bytes: KVec<u8>,
        places: KVec<Place>,
    ) -> Result<Self> {
        let fits = |place: &Place| place.at.checked_add(8).is_some_and(|end| end <= bytes.len());
        if sources == 0 || bytes.len() > device.mtu() as usize || !places.iter().all(fits) {
            return Err(EINVAL);
        }
        let token = Arc::new(AtomicU64::new(0), GFP_KERNEL)?;
        let listener = Listener(token.clone());
        Ok(Self {
            _listener: Hook::attach(rtnl, device.clone(), ETHERTYPE, GROUP, listener)?,
            device,
            to,
            sources,
            bytes,
            places,
            token,
            random: Random::of(0),
            sent: 0,
        })
    }

    /// Sends `count` more frames. Context: process.
    pub(crate) fn send(&mut self, count: u64) -> Result {
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH_MAX);
            self.batch(batch)?;
            left -= batch;
        }
        Ok(())
    }

    fn batch(&mut self, count: u64) -> Result {
        let mut frames = Frames::new();
        for _ in 0..count {
            self.sent += 1;
            for place in &self.places {
                let value = match place.change {
                    Change::Random => self.random.next(),
                    Change::Number => self.sent,
                    Change::Token => self.token.load(Relaxed),
                    Change::Guess => {
                        let random = self.random.next();
                        (random & !SLOT_BITS) | (random & SLOT_BITS) % SLOTS
                    }
                };
                self.bytes[place.at..place.at + 8].copy_from_slice(&value.to_le_bytes());
            }
            let mut frame = FrameBuilder::new(None, &self.device, self.bytes.len()).ok_or(ENOMEM)?;
            if !frame.put(&self.bytes) {
                return Err(EMSGSIZE);
            }
            let [.., a, b, c, d] = (self.sent % self.sources).to_be_bytes();
            // Addresses that somebody has given out on his own.
            let from = [0x02, 0xfe, a, b, c, d];
            frames.push(frame.finish_from(Some(&from), &self.to, ETHERTYPE).ok_or(ENOMEM)?);
        }
        let _off = Off::new();
        frames.transmit(|_| ());
        Ok(())
    }

    /// Whether a lookup for a head has come.
    pub(crate) fn was_asked(&self) -> bool {
        self.token.load(Relaxed) != 0
    }
}

/// The floor: takes what comes and drops it.
pub(crate) struct Swallow(pub(crate) Arc<AtomicU64>);

impl Receive for Swallow {
    fn receive(&self, _frame: &Frame<'_>) -> Result<(), Drop> {
        self.0.fetch_add(1, Relaxed);
        Err(Drop::Unwanted)
    }
}
