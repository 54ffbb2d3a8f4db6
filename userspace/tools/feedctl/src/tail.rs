// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `tail`: the last entries, and all that follow.

use std::io::{self, Write};
use std::time::Duration;

use feed::{EntryInfo, ReaderOptions};

use crate::cli::Tail;
use crate::failure::{Failure, Result};
use crate::output::{Output, json_line};
use crate::range::Range;
use crate::reading::{EntryJson, Source};

/// At the end of what is known, how long a newer head is waited for without `--follow`.
const WAIT_MS: u64 = 300;

/// `tail`
pub fn run(args: &Tail, output: Output) -> Result<()> {
    if args.follow {
        follow(args, output)
    } else {
        last(args, output)
    }
}

fn last(args: &Tail, output: Output) -> Result<()> {
    let probe = ReaderOptions::new()
        .timeout(Duration::from_millis(args.timeout))
        .open(args.feed)?;
    let start = probe.info()?.known.saturating_sub(args.number);
    let range = Range { start, end: None };
    let mut source = Source::open(args.feed, range, args.timeout, WAIT_MS)?;
    let mut data = Vec::new();
    while let Some(taken) = source.next_into(&mut data)? {
        print(&taken.info, &data, output)?;
    }
    Ok(())
}

fn follow(args: &Tail, output: Output) -> Result<()> {
    let reader = ReaderOptions::new()
        .timeout(Duration::from_millis(args.timeout))
        .open(args.feed)?;
    reader.seek(reader.info()?.known.saturating_sub(args.number), 0)?;
    let mut data = Vec::new();
    while let Some(info) = reader.next_into(&mut data)? {
        print(&info, &data, output)?;
    }
    Ok(())
}

/// One entry on lines of its own, at once: somebody is waiting for it.
fn print(info: &EntryInfo, data: &[u8], output: Output) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = if output.json {
        json_line(&mut out, &EntryJson::new(info, data))
    } else {
        out.write_all(data).and_then(|()| match data.last() {
            Some(b'\n') => Ok(()),
            _ => out.write_all(b"\n"),
        })
    };
    written
        .and_then(|()| out.flush())
        .map_err(|e| Failure::output(&e))
}
