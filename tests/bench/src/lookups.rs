// SPDX-License-Identifier: GPL-2.0
//! Lookups that are answered from the store of one node, made and counted by feed_bench.ko; and the
//! floor for the same frames.

use std::env::current_exe;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use feed::{Append, Author, AuthorOptions, Name, Seed};
use feed_core::id::DiscoveryId;

use crate::generator::{self, Answered, Asked, Generator};
use crate::line::Sample;
use crate::machine::{inside, load_feed, mac, polled_cable, sh, sh_in};

/// Room for an answer with its proof in one frame: one lookup, one answer.
const MTU: u32 = 9000;
/// Entries under one head, as the kernel takes them at most.
const BATCH: u64 = 64;

/// Feeds of one user at most, as the kernel has it.
const USER_FEEDS: u64 = 8_192;
/// The first of the users who author where one may not author as many.
const USER: u32 = 60_000;

/// What a node stores.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) feeds: u64,
    /// Of each feed.
    pub(crate) entries: u64,
    /// Bytes of an entry, a multiple of 8.
    pub(crate) size: usize,
}

/// A node with feeds, cables to it, and as many cables for the floor.
pub(crate) struct Bed {
    /// Its namespace, and what its devices are called after.
    name: &'static str,
    ids: Vec<DiscoveryId>,
    /// The far ends' addresses, of each cable to the node and to the floor.
    cables: Vec<(u64, u64)>,
}

impl Bed {
    /// With one cable. Names are short: devices have them, too.
    pub(crate) fn new(name: &'static str, stored: Stored) -> Result<Bed> {
        Bed::with(name, 1, stored)
    }

    /// With several cables.
    pub(crate) fn with(name: &'static str, cables: usize, stored: Stored) -> Result<Bed> {
        load_feed()?;
        generator::load()?;
        let mut bed = Bed {
            name,
            ids: Vec::new(),
            cables: Vec::new(),
        };
        sh(&["ip", "netns", "add", name])?;
        for at in 0..cables {
            let (near, far) = bed.cable(at);
            polled_cable(&near, &far, Some(name), MTU)?;
            sh_in(name, &["feedctl", "port", "add", &far])?;
            let (floor_near, floor_far) = bed.floor_cable(at);
            polled_cable(&floor_near, &floor_far, None, MTU)?;
            let macs = (mac(&far, Some(name))?, mac(&floor_far, None)?);
            bed.cables.push(macs);
        }
        inside(name, || bed.store(stored))?;
        Ok(bed)
    }

    /// The devices of a cable that leads to the node.
    fn cable(&self, at: usize) -> (String, String) {
        (
            format!("{}{at}", self.name),
            format!("{}-to{at}", self.name),
        )
    }

    /// The devices of a cable that leads to the floor.
    fn floor_cable(&self, at: usize) -> (String, String) {
        (
            format!("{}-f{at}", self.name),
            format!("{}-g{at}", self.name),
        )
    }

    /// Has users author what is to be stored, each as many feeds as he may.
    fn store(&mut self, stored: Stored) -> Result<()> {
        let mut left = stored.feeds;
        let mut user = USER;
        while left > 0 {
            let feeds = left.min(USER_FEEDS);
            let done = Command::new(current_exe()?)
                .args(["author", "--feeds", &feeds.to_string()])
                .args(["--entries", &stored.entries.to_string()])
                .args(["--size", &stored.size.to_string()])
                .uid(user)
                .stderr(Stdio::inherit())
                .output()?;
            ensure!(done.status.success(), "the author has failed");
            for name in String::from_utf8(done.stdout)?.lines() {
                let name: Name = name.parse()?;
                self.ids.push(feed_core::id::Name(name.0).id());
            }
            left -= feeds;
            user += 1;
        }
        Ok(())
    }

    /// Lookups for the feeds' entries by one of the cables.
    pub(crate) fn ask(&self, cable: usize, asked: Asked, count: u64) -> Result<Answered> {
        let (near, _) = self.cable(cable);
        let (to, _) = self.cables.get(cable).context("no such cable")?;
        let generator = Generator::new()?;
        generator.feeds(&self.ids)?;
        generator.lookups(&near, *to, asked, count)
    }

    /// Frames like those lookups, each answered by one of `answer` bytes without a look at it.
    pub(crate) fn echo(
        &self,
        cable: usize,
        asked: Asked,
        answer: u64,
        count: u64,
    ) -> Result<Answered> {
        let (near, far) = self.floor_cable(cable);
        let (_, to) = self.cables.get(cable).context("no such cable")?;
        let generator = Generator::new()?;
        generator.feeds(&self.ids)?;
        generator.echo(&far, answer)?;
        generator.lookups(&near, *to, asked, count)
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

/// Appends `entries` of `size` bytes, all different, to as many new feeds, and prints the names.
pub(crate) fn author(feeds: u64, entries: u64, size: usize) -> Result<()> {
    for feed in 0..feeds {
        let author = AuthorOptions::new().new_feed().open(&Seed::generate()?)?;
        append(&author, feed, entries, size).with_context(|| format!("feed {feed}"))?;
        println!("{}", author.name());
    }
    Ok(())
}

fn append(author: &Author, feed: u64, entries: u64, size: usize) -> Result<()> {
    for seq in 0..entries {
        let text = (feed << 32 | seq).to_le_bytes().repeat(size / 8);
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
        let mut words = vec![["netns", "del", self.name].map(String::from)];
        for at in 0..self.cables.len() {
            words.push(["link".into(), "del".into(), self.floor_cable(at).0]);
        }
        for words in words {
            // What was not made need not go.
            let _ = Command::new("ip").args(words).output();
        }
    }
}
