// SPDX-License-Identifier: GPL-2.0
//! Line 11: what a second core adds, on a kernel that has one: lookups by a generator on each, and
//! bulk by a program on each.
//!
//! With one core the second one is taken offline, and both generators or programs share the first.
//! How much the machine itself gains by its second core at that moment is what the floor and BLAKE3
//! gain: under an emulator on a busy host that is less than two.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use feed::Name;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::generator::{Access, Answered, Asked, Holds};
use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::lookups::{Bed, Stored};
use crate::machine::load_feed;
use crate::transfer::{Chain, content, hash, sample};

const CORES: usize = 2;
const FEEDS: usize = 8;
/// Of each feed that is looked into, and their bytes.
const ENTRIES: u64 = 64 + 7;
const ENTRY: usize = 1024;
/// Of a lookup's answer, for the floor: a bare answer has a header, a leaf and the payload.
const ANSWER: u64 = 1_200;
const MTU: u32 = 9000;
const BULK_ENTRY: usize = 64 << 10;
/// Bytes of a feed that is read, and lookups by each generator: half a second and more, as what an
/// emulator does in a tenth of one depends on what its host does beside it.
const BULK_FEED: usize = 4 << 20;
const LOOKUPS_EACH: u64 = 40_000;

const ASKED: Asked = Asked {
    entries: ENTRIES,
    holds: Holds::PathAndPage,
    access: Access::Uniform,
};

const LOOKUPS: usize = 0;
const ECHO: usize = 2;
const BULK: usize = 4;
const BLAKE3: usize = 6;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Cores {
    bed: Option<Bed>,
    chain: Option<Chain>,
    names: Vec<Name>,
    /// Of all feeds, one after the other: equal entries of two feeds would be fetched once.
    content: Vec<u8>,
}

/// Cores that a case has.
fn cores(case: usize) -> usize {
    case % 2 + 1
}

/// Switches the second core on or off.
fn second_core(on: bool) -> Result<()> {
    let path = "/sys/devices/system/cpu/cpu1/online";
    ensure!(Path::new(path).exists(), "this machine has one core");
    if fs::read_to_string(path)?.trim() != if on { "1" } else { "0" } {
        fs::write(path, if on { "1" } else { "0" })?;
    }
    Ok(())
}

/// Has the calling thread stay on one core.
fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Runs `work` once for each core, all at the same time, on as many cores: what comes of it.
fn at_once<T: Send>(cores: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CORES)
            .map(|at| {
                scope.spawn(move || {
                    pin(at % cores)?;
                    work(at)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let mut results = Vec::new();
        for result in joined {
            results.push(result.map_err(|_| anyhow!("a thread has panicked"))??);
        }
        Ok(results)
    })
}

impl Cores {
    fn look_up(&self, cores: usize) -> Result<Sample> {
        let bed = self.bed.as_ref().context("there is no bed")?;
        let answered = at_once(cores, |at| bed.ask(at, ASKED, LOOKUPS_EACH))?;
        self.rate(cores, &answered)
    }

    fn echo(&self, cores: usize) -> Result<Sample> {
        let bed = self.bed.as_ref().context("there is no bed")?;
        let count = LOOKUPS_EACH;
        let answered = at_once(cores, |at| bed.echo(at, ASKED, ANSWER, count))?;
        self.rate(cores, &answered)
    }

    /// From when the first generator began until the last one had its last answer: how they are told
    /// what to do, and how their packet handlers come and go, is no part of it.
    fn rate(&self, cores: usize, answered: &[Answered]) -> Result<Sample> {
        let lookups: u64 = answered.iter().map(|one| one.lookups).sum();
        let begun = answered.iter().map(|one| one.begun).min();
        let ended = answered.iter().map(|one| one.begun + one.ns).max();
        let ns = ended.zip(begun).context("nobody was asked")?;
        let each = (ns.0 - ns.1) as f64 / lookups as f64;
        Ok(Sample {
            value: 1e9 / each,
            // Of all cores, whether they had something to do or not.
            cpu_ns: Some(cores as f64 * each),
        })
    }

    fn read(&self, cores: usize) -> Result<Sample> {
        let chain = self.chain.as_ref().context("there is no chain")?;
        let begun = Instant::now();
        at_once(cores, |at| {
            let feeds = self.names.iter().zip(self.content.chunks_exact(BULK_FEED));
            for (name, content) in feeds.skip(at).step_by(CORES) {
                chain.read(*name, content, BULK_ENTRY)?;
            }
            Ok(())
        })?;
        Ok(self.bulk(cores, begun.elapsed()))
    }

    fn hash(&self, cores: usize) -> Result<Sample> {
        let begun = Instant::now();
        at_once(cores, |at| {
            for content in self.content.chunks_exact(BULK_FEED).skip(at).step_by(CORES) {
                hash(content, BULK_ENTRY);
            }
            Ok(())
        })?;
        Ok(self.bulk(cores, begun.elapsed()))
    }

    fn bulk(&self, cores: usize, took: Duration) -> Sample {
        let sample = sample(self.content.len(), took);
        Sample {
            cpu_ns: sample.cpu_ns.map(|ns| ns * cores as f64),
            ..sample
        }
    }
}

impl Line for Cores {
    fn number(&self) -> u32 {
        11
    }

    fn title(&self) -> &'static str {
        "a second core: lookups (links deliver by NAPI) and bulk of 8 feeds"
    }

    fn bed(&self) -> &'static str {
        "stock"
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (role, name, unit) in [
            (Role::Ours, "lookups of 1 KiB entries", "lookups/s"),
            (Role::Floor, "echo of such frames", "lookups/s"),
            (Role::Ours, "bulk, entries of 64 KiB", "MB/s"),
            (Role::Floor, "BLAKE3, pieces of 64 KiB", "MB/s"),
        ] {
            for cores in [
                "two generators or programs, one core",
                "one on each of two cores",
            ] {
                cases.push(Case::rate(role, &format!("{name}, {cores}"), unit));
            }
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let gain = |first| Reach::new(first + 1, first, 1.7);
        let told = |first| Reach::told(first + 1, first);
        vec![gain(LOOKUPS), told(ECHO), gain(BULK), told(BLAKE3)]
    }

    fn set_up(&mut self, _: &How) -> Result<()> {
        load_feed()?;
        let stored = Stored {
            feeds: FEEDS as u64,
            entries: ENTRIES,
            size: ENTRY,
        };
        self.bed = Some(Bed::with("cores", CORES, stored)?);
        self.content = content(FEEDS * BULK_FEED);
        let mut chain = Chain::new(&["cores-author", "cores-reader"], MTU)?;
        for content in self.content.chunks_exact(BULK_FEED) {
            self.names.push(chain.append(content, BULK_ENTRY)?);
        }
        self.chain = Some(chain);
        Ok(())
    }

    fn arrange(&mut self, case: usize) -> Result<()> {
        second_core(cores(case) > 1)?;
        let chain = self.chain.as_ref().context("there is no chain")?;
        if case - case % 2 == BULK {
            chain.flush(1)?;
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let cores = cores(case);
        match case - case % 2 {
            LOOKUPS => self.look_up(cores),
            ECHO => self.echo(cores),
            BULK => self.read(cores),
            BLAKE3 => self.hash(cores),
            _ => Err(anyhow!("no such case")),
        }
    }

    fn tear_down(&mut self) -> Result<()> {
        self.bed = None;
        self.chain = None;
        self.names.clear();
        second_core(true)
    }
}
