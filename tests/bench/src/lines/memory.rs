// SPDX-License-Identifier: GPL-2.0
//! Line 12: memory for what is stored and for what is known.
//!
//! Of entries and of idle feeds it is what the machine lost: segments of the store, and what the
//! kernel allocated beside them (slab and vmalloc: index, tables, authors' state); of idle feeds at
//! several fills of their tables, of which the worst is told. Lookups in flight and routes lie in
//! tables of a fixed length, so one more costs nothing that could be seen; theirs is the size of a
//! record, which feed_bench.ko tells of the same build. A lookup counts with one who waits for it.

use std::fs;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use feed::{Append, AuthorOptions, Name, ReaderOptions, Seed};

use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::machine::{bench_module, inside, load_feed, new_namespace, remove_namespace, sh_in};

const NODE: &str = "bench-memory";
/// Tells sizes of records.
const SIZES: u64 = 4;
/// Feeds that are known when the memory is measured. The table grows by steps of a quarter at most,
/// so that among any such row of fills some are just behind a step: the worst one counts.
const FEEDS: [usize; 10] = [
    4_000, 4_300, 4_600, 4_900, 5_200, 5_500, 6_000, 6_600, 7_200, 8_000,
];

const SMALL: usize = 0;
const LARGE: usize = 2;
const FEED: usize = 4;
const PENDING: usize = 6;
const ROUTE: usize = 8;

/// What each may take: the payload or the bound, bytes; how much of it is allowed.
const BESIDE: [(&str, f64, f64); 5] = [
    ("its payload", 1024.0, 1.25),
    ("its payload", 65536.0, 1.05),
    ("bound", 512.0, 1.0),
    ("bound", 256.0, 1.0),
    ("bound", 128.0, 1.0),
];

/// See the head of this file.
pub(crate) struct Memory {
    bytes: u64,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory { bytes: 0 }
    }

    /// Bytes for one stored entry of `size` bytes, in a store that holds nothing else.
    fn stored(&self, size: usize) -> Result<f64> {
        new_namespace(NODE)?;
        let each = self.stored_in(NODE, size);
        remove_namespace(NODE);
        each
    }

    fn stored_in(&self, node: &str, size: usize) -> Result<f64> {
        let author = inside(node, || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })?;
        let append = |from: u64, count: u64| -> Result<()> {
            for number in from..from + count {
                let payload = number.to_le_bytes().repeat(size / 8);
                let how = Append {
                    more: (number + 1) % 64 != 0,
                    ..Append::default()
                };
                author.append_with(&payload, how)?;
            }
            Ok(())
        };
        // What the first entries bring is not for each: pools, the tree's first objects.
        append(0, 64)?;
        let count = self.bytes / size as u64 / 64 * 64;
        let before = used(Some(node))?;
        append(64, count)?;
        Ok((used(Some(node))? - before) / count as f64)
    }

    /// Bytes for a feed that a node knows and nobody has open, at the worst fill of its tables.
    fn idle_feed(&self) -> Result<f64> {
        new_namespace(NODE)?;
        let worst = self.idle_feed_in(NODE);
        remove_namespace(NODE);
        worst
    }

    fn idle_feed_in(&self, node: &str) -> Result<f64> {
        let known = |numbers: Range<usize>| {
            inside(node, || {
                for number in numbers {
                    let name = Name(*blake3::hash(&number.to_le_bytes()).as_bytes());
                    // It stays known, whether or not there is a way to it.
                    let opened = ReaderOptions::new().nonblocking().open(name);
                    ensure!(opened.is_err(), "a made-up feed was found");
                }
                Ok(())
            })
        };
        known(0..1)?;
        let before = used(None)?;
        let mut worst = 0.0f64;
        let mut next = 1;
        for count in FEEDS {
            known(next..count + 1)?;
            next = count + 1;
            worst = worst.max((used(None)? - before) / count as f64);
        }
        // None of them was forgotten to make room for another.
        let said = sh_in(node, &["feedctl", "-j", "feed", "ls"])?;
        let here = said.lines().count();
        ensure!(here == next, "{here} of {next} feeds are known");
        Ok(worst)
    }
}

/// Bytes of one record, as the module was built.
fn record(names: &[&str]) -> Result<f64> {
    let seen = bench_module(&[("mode", SIZES)])?;
    let mut bytes = 0;
    for name in names {
        bytes += seen[*name]
            .as_u64()
            .with_context(|| format!("no {name} in {seen}"))?;
    }
    Ok(bytes as f64)
}

/// Bytes that are in use: of the kernel, and of the store in a namespace.
fn used(node: Option<&str>) -> Result<f64> {
    let mut bytes = 0.0;
    if let Some(node) = node {
        let said = sh_in(node, &["feedctl", "-j", "store", "show"])?;
        let said: serde_json::Value = serde_json::from_str(&said)?;
        bytes += said["used"]
            .as_f64()
            .with_context(|| format!("no figure in {said}"))?;
    }
    let info = fs::read_to_string("/proc/meminfo")?;
    for name in ["Slab:", "VmallocUsed:"] {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        let kib: f64 = kib
            .with_context(|| format!("no {name} in meminfo"))?
            .parse()?;
        bytes += kib * 1024.0;
    }
    Ok(bytes)
}

impl Line for Memory {
    fn number(&self) -> u32 {
        12
    }

    fn title(&self) -> &'static str {
        "memory for what is stored and known"
    }

    fn cases(&self) -> Vec<Case> {
        let names = [
            "stored 1 KiB entry",
            "stored 64 KiB entry",
            "idle feed",
            "pending lookup",
            "route",
        ];
        let mut cases = Vec::new();
        for (name, (beside, ..)) in names.into_iter().zip(BESIDE) {
            cases.push(Case::cost(Role::Ours, name, "B"));
            cases.push(Case::cost(Role::Floor, &format!("{name}: {beside}"), "B"));
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach =
            |(at, (.., bound)): (usize, (&str, f64, f64))| Reach::new(2 * at, 2 * at + 1, bound);
        BESIDE.into_iter().enumerate().map(reach).collect()
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.bytes = if how.quick { 16 << 20 } else { 32 << 20 };
        load_feed()
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let bytes = match case {
            SMALL => self.stored(1 << 10)?,
            LARGE => self.stored(64 << 10)?,
            FEED => self.idle_feed()?,
            PENDING => record(&["pending", "waiting"])?,
            ROUTE => record(&["route"])?,
            _ => BESIDE.get(case / 2).context("no such case")?.1,
        };
        Ok(Sample {
            value: bytes,
            cpu_ns: None,
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        remove_namespace(NODE);
        Ok(())
    }
}
