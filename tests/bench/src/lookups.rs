// SPDX-License-Identifier: GPL-2.0
//! Lookups that are answered from the store of one node, made and counted by feed_bench.ko; and the
//! floor for the same frames.

use std::process::Command;

use anyhow::Result;
use feed::{Append, Author, AuthorOptions, Seed};
use feed_core::id::{DiscoveryId, Name};

use crate::generator::{Answered, Asked, Generator};
use crate::line::Sample;
use crate::machine::{cable, inside, load_feed, mac, sh, sh_in};

const NODE: &str = "bench-node";
/// Room for an answer with its proof in one frame: one lookup, one answer.
const MTU: u32 = 9000;
/// Entries under one head, as the kernel takes them at most.
const BATCH: u64 = 64;

/// A node with feeds, cables to it, and as many cables for the floor.
pub(crate) struct Bed {
    authors: Vec<Author>,
    cables: usize,
}

/// The devices of a cable that leads to the node, and of one that leads to the floor.
fn ends(of: &str, cable: usize) -> (String, String) {
    (format!("{of}{cable}"), format!("{of}-to{cable}"))
}

impl Bed {
    /// One cable, and one feed: `entries` of `size` bytes, a multiple of 8.
    pub(crate) fn new(entries: u64, size: usize) -> Result<Bed> {
        Bed::with(1, 1, entries, size)
    }

    /// The same with several of both.
    pub(crate) fn with(cables: usize, feeds: usize, entries: u64, size: usize) -> Result<Bed> {
        load_feed()?;
        let mut bed = Bed {
            authors: Vec::new(),
            cables,
        };
        sh(&["ip", "netns", "add", NODE])?;
        for at in 0..cables {
            let (near, far) = ends("bench", at);
            cable(&near, &far, Some(NODE), MTU)?;
            sh_in(NODE, &["feedctl", "port", "add", &far])?;
            let (near, far) = ends("floor", at);
            cable(&near, &far, None, MTU)?;
        }
        for _ in 0..feeds {
            let author = inside(NODE, || {
                Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
            })?;
            append(&author, entries, size)?;
            bed.authors.push(author);
        }
        Ok(bed)
    }

    fn ids(&self) -> Vec<DiscoveryId> {
        let id = |author: &Author| Name(author.name().0).id();
        self.authors.iter().map(id).collect()
    }

    /// Lookups for the feeds' entries by one of the cables.
    pub(crate) fn ask(&self, cable: usize, asked: Asked, count: u64) -> Result<Answered> {
        let (near, far) = ends("bench", cable);
        let generator = Generator::new()?;
        generator.feeds(&self.ids())?;
        generator.lookups(&near, mac(&far, Some(NODE))?, asked, count)
    }

    /// Frames like those lookups, each answered by one of `answer` bytes without a look at it.
    pub(crate) fn echo(
        &self,
        cable: usize,
        asked: Asked,
        answer: u64,
        count: u64,
    ) -> Result<Answered> {
        let (near, far) = ends("floor", cable);
        let generator = Generator::new()?;
        generator.feeds(&self.ids())?;
        generator.echo(&far, answer)?;
        generator.lookups(&near, mac(&far, None)?, asked, count)
    }

    /// The rate of lookups by the first cable, and the bytes of one answer behind the Ethernet
    /// header.
    pub(crate) fn ours(&self, asked: Asked, count: u64) -> Result<(Sample, u64)> {
        let answered = self.ask(0, asked, count)?;
        Ok((answered.sample(), answered.bytes))
    }

    /// The rate of the floor.
    pub(crate) fn floor(&self, asked: Asked, answer: u64, count: u64) -> Result<Sample> {
        Ok(self.echo(0, asked, answer, count)?.sample())
    }
}

/// Appends `entries` of `size` bytes, all different.
fn append(author: &Author, entries: u64, size: usize) -> Result<()> {
    for seq in 0..entries {
        let text = seq.to_le_bytes().repeat(size / 8);
        let more = (seq + 1) % BATCH != 0 && seq + 1 < entries;
        let how = Append {
            more,
            ..Append::default()
        };
        author.append_with(&text, how)?;
    }
    Ok(())
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.authors.clear();
        let mut words = vec![["netns", "del", NODE].map(String::from)];
        for at in 0..self.cables {
            words.push(["link".into(), "del".into(), ends("floor", at).0]);
        }
        for words in words {
            // What was not made need not go.
            let _ = Command::new("ip").args(words).output();
        }
    }
}
