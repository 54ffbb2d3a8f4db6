// SPDX-License-Identifier: GPL-2.0
//! Frames that the kernel makes: orders to feed_bench.ko (see rust/bench/orders.rs).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use feed_core::id::DiscoveryId;

use crate::line::Sample;
use crate::machine::{ifindex, sh};

/// Words of what comes of an order.
const FIGURES: usize = 5;
/// Frames that are handed over at a time, as a network card does.
const BATCH: u64 = 64;

/// What an order is for.
#[derive(Clone, Copy)]
enum Order {
    Feeds = 1,
    Lookups = 2,
    Echo = 3,
    Swallow = 4,
    Junk = 5,
    Flood = 6,
    Relay = 7,
}

/// What the asker says it holds of an entry's window.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    Nothing = 0,
    PathAndPage = 3,
}

/// In which order feeds, or a feed's entries, are asked for.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Uniform = 1,
    Zipf = 2,
}

/// What differs between the frames of a flood, in eight bytes.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Random = 0,
    /// The frame's number.
    Number = 1,
    /// The token of the last lookup for a head that came by the flood's device.
    Token = 2,
    /// A token that somebody has guessed: of a slot that may be in use, random else.
    Guess = 3,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Length of each feed.
    pub(crate) entries: u64,
    pub(crate) holds: Holds,
    pub(crate) access: Access,
}

/// What came of lookups.
pub(crate) struct Answered {
    pub(crate) lookups: u64,
    /// Bytes of one answer behind the Ethernet header.
    pub(crate) bytes: u64,
    pub(crate) ns: u64,
    /// When it began, ns since the machine did.
    pub(crate) begun: u64,
}

impl Answered {
    /// A rate. One processor does all: what passes is its time.
    pub(crate) fn sample(&self) -> Sample {
        Sample {
            value: self.lookups as f64 * 1e9 / self.ns as f64,
            cpu_ns: Some(self.ns as f64 / self.lookups as f64),
        }
    }
}

/// Loads feed_bench.ko unless it is loaded.
pub(crate) fn load() -> Result<()> {
    if !fs::exists("/sys/module/feed_bench")? {
        sh(&["insmod", "/lib/feed/feed_bench.ko"])?;
    }
    Ok(())
}

/// Takes orders, one after the other, and carries them out in the thread that gives them. What it
/// was told to do with the frames of a device ends with it.
pub(crate) struct Generator(File);

impl Generator {
    /// feed_bench.ko must be there, see [`load`].
    pub(crate) fn new() -> Result<Generator> {
        let device = "/dev/feed_bench";
        let file = File::options().read(true).write(true).open(device);
        Ok(Generator(
            file.with_context(|| format!("cannot open {device}"))?,
        ))
    }

    fn order(&self, order: Order, words: &[u64], rest: &[u8]) -> Result<()> {
        let words = [&[order as u64], words].concat();
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(rest);
        let written = (&self.0).write(&bytes).context("feed_bench.ko refuses")?;
        ensure!(written == bytes.len(), "an order was cut off");
        Ok(())
    }

    fn figures(&self) -> Result<[u64; FIGURES]> {
        let mut bytes = [0; FIGURES * 8];
        self.0.read_exact_at(&mut bytes, 0)?;
        let mut figures = [0; FIGURES];
        for (figure, word) in figures.iter_mut().zip(bytes.chunks_exact(8)) {
            *figure = u64::from_le_bytes(word.try_into()?);
        }
        Ok(figures)
    }

    /// Whose entries are asked for from here on.
    pub(crate) fn feeds(&self, ids: &[DiscoveryId]) -> Result<()> {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
        self.order(Order::Feeds, &[], &bytes)
    }

    /// Sends lookups from a device of the first namespace and counts the answers.
    pub(crate) fn lookups(
        &self,
        device: &str,
        to: u64,
        asked: Asked,
        count: u64,
    ) -> Result<Answered> {
        self.lookups_by(device, to, asked, count, BATCH)
    }

    /// The same, `batch` at a time.
    pub(crate) fn lookups_by(
        &self,
        device: &str,
        to: u64,
        asked: Asked,
        count: u64,
        batch: u64,
    ) -> Result<Answered> {
        let Asked {
            entries,
            holds,
            access,
        } = asked;
        let device = u64::from(ifindex(device)?);
        let words = [
            device,
            to,
            entries,
            holds as u64,
            access as u64,
            count,
            batch,
        ];
        self.order(Order::Lookups, &words, &[])?;
        let [lookups, answers, bytes, ns, begun] = self.figures()?;
        ensure!(answers == lookups, "{lookups} lookups, {answers} answers");
        Ok(Answered {
            lookups,
            bytes: bytes / answers.max(1),
            ns,
            begun,
        })
    }

    /// Has all that arrives at a device answered by frames of this size, without a look at it.
    pub(crate) fn echo(&self, device: &str, answer: u64) -> Result<()> {
        let device = u64::from(ifindex(device)?);
        self.order(Order::Echo, &[device, answer], &[])
    }

    /// Has all that arrives at a device handed on by another one, without a look at it.
    pub(crate) fn relay(&self, device: &str, out: &str, to: u64) -> Result<()> {
        let (device, out) = (u64::from(ifindex(device)?), u64::from(ifindex(out)?));
        self.order(Order::Relay, &[device, out, to], &[])
    }

    /// Has all that arrives at a device dropped without a look at it.
    pub(crate) fn swallow(&self, device: &str) -> Result<()> {
        let device = u64::from(ifindex(device)?);
        self.order(Order::Swallow, &[device], &[])
    }

    /// Frames that were swallowed.
    pub(crate) fn swallowed(&self) -> Result<u64> {
        Ok(self.figures()?[0])
    }

    /// Has a flood made ready: copies of `frame` with changes at some places, from as many
    /// addresses.
    pub(crate) fn junk(
        &self,
        device: &str,
        to: u64,
        sources: u64,
        places: &[(usize, Change)],
        frame: &[u8],
    ) -> Result<()> {
        let device = u64::from(ifindex(device)?);
        let mut words = vec![device, to, sources, places.len() as u64];
        for (at, change) in places {
            words.extend([*at as u64, *change as u64]);
        }
        self.order(Order::Junk, &words, frame)
    }

    /// Sends so many frames of it.
    pub(crate) fn flood(&self, count: u64) -> Result<()> {
        self.order(Order::Flood, &[count], &[])
    }

    /// Whether somebody has asked the flood's device for a head.
    pub(crate) fn was_asked(&self) -> Result<bool> {
        Ok(self.figures()?[0] != 0)
    }
}
