// SPDX-License-Identifier: GPL-2.0
//! Lookups that are answered from the store of one node, made and counted by feed_bench.ko; and the
//! floor for the same frames.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use feed::{Append, Author, AuthorOptions, Seed};

use crate::line::Sample;
use crate::machine::{bench_module, cable, ifindex, inside, load_feed, mac, sh, sh_in};

const NODE: &str = "bench-node";
/// Room for an answer with its proof in one frame: one lookup, one answer.
const MTU: u32 = 9000;
/// Entries under one head, as the kernel takes them at most.
const BATCH: u64 = 64;

/// What the asker says it holds of an entry's window, as feed_bench.ko takes it.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    Nothing = 0,
    PathAndPage = 3,
}

/// In which order entries are asked for, as feed_bench.ko takes it.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Uniform = 1,
    Zipf = 2,
}

/// A node with one feed, a cable to it, and another cable for the floor.
pub(crate) struct Bed {
    author: Author,
    entries: u64,
}

impl Bed {
    /// Makes the cables, and the feed: `entries` of `size` bytes, a multiple of 8.
    pub(crate) fn new(entries: u64, size: usize) -> Result<Bed> {
        load_feed()?;
        sh(&["ip", "netns", "add", NODE])?;
        cable("bench0", "bench1", Some(NODE), MTU)?;
        cable("floor0", "floor1", None, MTU)?;
        sh_in(NODE, &["feedctl", "port", "add", "bench1"])?;
        let author = inside(NODE, || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })?;
        for seq in 0..entries {
            let text = seq.to_le_bytes().repeat(size / 8);
            let more = (seq + 1) % BATCH != 0 && seq + 1 < entries;
            let how = Append {
                more,
                ..Append::default()
            };
            author.append_with(&text, how)?;
        }
        Ok(Bed { author, entries })
    }

    /// Lookups for the feed's entries: their rate, and the bytes of one answer behind the Ethernet
    /// header.
    pub(crate) fn ours(&self, holds: Holds, access: Access, count: u64) -> Result<(Sample, u64)> {
        let id = feed_core::id::Name(self.author.name().0).id().0;
        let words = id
            .chunks_exact(8)
            .map(|word| word.try_into().map(u64::from_be_bytes));
        let words = words.collect::<Result<Vec<u64>, _>>()?;
        let [id0, id1, id2, id3] = words.try_into().ok().context("an id has four words")?;
        let seen = bench_module(&[
            ("device", u64::from(ifindex("bench0")?)),
            ("to", mac("bench1", Some(NODE))?),
            ("id0", id0),
            ("id1", id1),
            ("id2", id2),
            ("id3", id3),
            ("entries", self.entries),
            ("have", holds as u64),
            ("access", access as u64),
            ("count", count),
        ])?;
        sample(&seen)
    }

    /// Frames like those lookups, each answered by one of `answer` bytes without a look at it.
    pub(crate) fn floor(&self, answer: u64, count: u64) -> Result<Sample> {
        let seen = bench_module(&[
            ("device", u64::from(ifindex("floor0")?)),
            ("echo", u64::from(ifindex("floor1")?)),
            ("to", mac("floor1", None)?),
            ("answer", answer),
            ("entries", self.entries),
            ("count", count),
        ])?;
        Ok(sample(&seen)?.0)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for words in [["netns", "del", NODE], ["link", "del", "floor0"]] {
            if let Err(error) = Command::new("ip").args(words).output() {
                eprintln!("ip {}: {error}", words.join(" "));
            }
        }
    }
}

/// A rate, and the bytes of one answer. One processor does all: what passes is its time.
fn sample(seen: &serde_json::Value) -> Result<(Sample, u64)> {
    let figure = |name: &str| {
        seen[name]
            .as_u64()
            .with_context(|| format!("no {name} in {seen}"))
    };
    let (sent, answers) = (figure("sent")?, figure("answers")?);
    let (bytes, ns) = (figure("bytes")?, figure("ns")?);
    ensure!(answers == sent, "{sent} lookups, {answers} answers");
    let sample = Sample {
        value: sent as f64 * 1e9 / ns as f64,
        cpu_ns: Some(ns as f64 / sent as f64),
    };
    Ok((sample, bytes / answers))
}
