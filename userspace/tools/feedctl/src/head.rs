// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `head`: what is signed about a feed.

use std::fmt;
use std::fs;
use std::time::Duration;

use feed::{Fork, ReaderOptions};
use serde::Serialize;

use crate::cli::Head;
use crate::failure::{Failure, Result};
use crate::output::{Hex, Output};

#[derive(Serialize)]
struct Shown<'a> {
    feed: String,
    epoch: u32,
    entries: u64,
    time: u64,
    next_by: u64,
    r#final: bool,
    root: Hex<'a>,
    head: Hex<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<ForkShown<'a>>,
}

#[derive(Serialize)]
struct ForkShown<'a> {
    a: Hex<'a>,
    b: Hex<'a>,
    #[serde(skip_serializing_if = "Hex::is_empty")]
    proof: Hex<'a>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} entries {} epoch {}",
            self.feed, self.entries, self.epoch
        )?;
        if self.time != 0 {
            write!(f, " time {}", self.time)?;
        }
        if self.next_by != 0 {
            write!(f, " next-by {}", self.next_by)?;
        }
        if self.r#final {
            write!(f, " final")?;
        }
        writeln!(f, "\n    root {}", self.root)?;
        if let Some(fork) = &self.fork {
            writeln!(
                f,
                "    FORKED: two heads that exclude each other were signed"
            )?;
            writeln!(f, "    held  {}\n    other {}", fork.a, fork.b)?;
            if !fork.proof.is_empty() {
                writeln!(f, "    proof {}", fork.proof)?;
            }
        }
        Ok(())
    }
}

/// `head`
pub fn run(args: &Head, output: Output) -> Result<()> {
    let reader = ReaderOptions::new()
        .timeout(Duration::from_millis(args.timeout))
        .open(args.feed)?;
    let head = reader.head()?;
    let root = head.root();
    if let Some(path) = &args.save {
        fs::write(path, head.as_bytes()).map_err(|e| Failure::file("write", path, &e))?;
    }
    let fork = reader.fork()?;
    let shown = |fork: &Fork| (*fork.held.as_bytes(), *fork.other.as_bytes());
    let pair = fork.as_ref().map(shown);
    let proof = fork.as_ref().map_or(&[][..], |fork| &fork.proof);
    output.show(&Shown {
        feed: head.name().to_string(),
        epoch: head.epoch(),
        entries: head.n(),
        time: head.time(),
        next_by: head.next_by(),
        r#final: head.is_final(),
        root: Hex(&root),
        head: Hex(head.as_bytes()),
        fork: pair.as_ref().map(|(a, b)| ForkShown {
            a: Hex(a),
            b: Hex(b),
            proof: Hex(proof),
        }),
    })
}
