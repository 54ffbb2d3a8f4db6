// SPDX-License-Identifier: GPL-2.0
//! Line 1: lookups of 1 KiB entries that are answered from the store, in softirq.
//!
//! A module makes the lookups and counts the answers, so that no program is in the way. The floor
//! is the same module, which answers frames of the same sizes without looking at them.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use feed::{Append, Author, AuthorOptions, Name, Seed};

use crate::line::{Case, Line, Reach, Role, Sample};
use crate::machine::{bench_module, cable, ifindex, inside, load_feed, mac, sh, sh_in};

const NODE: &str = "bench-node";
/// Room for an answer with its proof in one frame: one lookup, one answer.
const MTU: u32 = 9000;
/// What NFD, the NDN forwarder, does in one second of CPU for the same: Data of 1 KiB from its store.
const NFD_PER_S: f64 = 45_000.0;
/// Entries under one head, as the kernel takes them at most.
const BATCH: u64 = 64;

/// What the asker says it holds of an entry's window, as feed_bench.ko takes it.
const NOTHING: u64 = 0;
const PATH_AND_PAGE: u64 = 3;

const PROVED: usize = 0;
const FLOOR_PROVED: usize = 1;
const BARE: usize = 2;
const FLOOR_BARE: usize = 3;
const NFD: usize = 4;

/// See the head of this file.
pub(crate) struct Hits {
    author: Option<Author>,
    entries: u64,
    lookups: u64,
    /// Bytes of our answers behind the Ethernet header, which the floor's have, too.
    answers: [u64; 2],
}

impl Hits {
    pub(crate) fn new() -> Hits {
        Hits {
            author: None,
            entries: 8_192 + 17,
            lookups: 0,
            answers: [1_500, 1_100],
        }
    }

    fn name(&self) -> Result<Name> {
        Ok(self.author.as_ref().context("there is no feed")?.name())
    }

    /// Lookups for the feed's entries.
    fn ours(&mut self, have: u64) -> Result<Sample> {
        let id = feed_core::id::Name(self.name()?.0).id().0;
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
            ("have", have),
            ("access", 1),
            ("count", self.lookups),
        ])?;
        let (sample, answer) = sample(&seen)?;
        ensure!(answer > 1024, "answers of {answer} bytes have no payload");
        self.answers[usize::from(have != NOTHING)] = answer;
        Ok(sample)
    }

    fn floor(&self, answer: u64) -> Result<Sample> {
        let seen = bench_module(&[
            ("device", u64::from(ifindex("floor0")?)),
            ("echo", u64::from(ifindex("floor1")?)),
            ("to", mac("floor1", None)?),
            ("answer", answer),
            ("entries", self.entries),
            ("count", self.lookups),
        ])?;
        Ok(sample(&seen)?.0)
    }
}

/// A rate, and the bytes of one answer. One processor does all: what passes is its time.
fn sample(seen: &serde_json::Value) -> Result<(Sample, u64)> {
    let figure = |name: &str| {
        seen[name]
            .as_u64()
            .with_context(|| format!("no {name} in {seen}"))
    };
    let (sent, answers, bytes, ns) = (
        figure("sent")?,
        figure("answers")?,
        figure("bytes")?,
        figure("ns")?,
    );
    ensure!(answers == sent, "{sent} lookups, {answers} answers");
    let sample = Sample {
        value: sent as f64 * 1e9 / ns as f64,
        cpu_ns: Some(ns as f64 / sent as f64),
    };
    Ok((sample, bytes / answers))
}

impl Line for Hits {
    fn number(&self) -> u32 {
        1
    }

    fn title(&self) -> &'static str {
        "lookups of 1 KiB entries, answered from the store in softirq"
    }

    fn cases(&self) -> Vec<Case> {
        let unit = "lookups/s";
        vec![
            Case::rate(Role::Ours, "entry with its proof", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Ours, "entry, proof held by the asker", unit),
            Case::rate(Role::Floor, "echo of frames of that size", unit),
            Case::rate(Role::Quoted, "NFD, per second of CPU", unit),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = |of, over, bound| Reach { of, over, bound };
        vec![
            reach(PROVED, FLOOR_PROVED, 0.5),
            reach(BARE, FLOOR_BARE, 0.5),
            reach(PROVED, NFD, 20.0),
            reach(BARE, NFD, 20.0),
        ]
    }

    fn set_up(&mut self, quick: bool) -> Result<()> {
        self.lookups = if quick { 50_000 } else { 500_000 };
        load_feed()?;
        sh(&["ip", "netns", "add", NODE])?;
        cable("bench0", "bench1", Some(NODE), MTU)?;
        cable("floor0", "floor1", None, MTU)?;
        sh_in(NODE, &["feedctl", "port", "add", "bench1"])?;
        let author = inside(NODE, || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })?;
        for seq in 0..self.entries {
            let text = seq.to_le_bytes().repeat(128);
            let more = (seq + 1) % BATCH != 0 && seq + 1 < self.entries;
            author.append_with(
                &text,
                Append {
                    more,
                    ..Append::default()
                },
            )?;
        }
        self.author = Some(author);
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        match case {
            PROVED => self.ours(NOTHING),
            BARE => self.ours(PATH_AND_PAGE),
            FLOOR_PROVED => self.floor(self.answers[0]),
            FLOOR_BARE => self.floor(self.answers[1]),
            _ => Ok(Sample {
                value: NFD_PER_S,
                cpu_ns: Some(1e9 / NFD_PER_S),
            }),
        }
    }

    fn tear_down(&mut self) -> Result<()> {
        self.author = None;
        for words in [["netns", "del", NODE], ["link", "del", "floor0"]] {
            // What was not made need not go.
            let _ = Command::new("ip").args(words).output();
        }
        Ok(())
    }
}
