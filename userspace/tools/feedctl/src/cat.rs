// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `cat`: entries to standard output, or into files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::Cat;
use crate::extract::Extract;
use crate::failure::{Failure, Result};
use crate::output::{Output, json_line};
use crate::range::Range;
use crate::reading::{EntryJson, Source, Taken};

/// `cat`
pub fn run(args: &Cat, output: Output) -> Result<()> {
    let mut source = Source::open(args.feed.name, range(args)?, args.timeout, args.wait)?;
    let mut stats = Stats::open(args)?;
    let mut sink = match &args.out {
        Some(dir) => Sink::Files(Extract::new(dir)?),
        None if output.json => Sink::Json,
        None => Sink::Raw { lines: args.lines },
    };
    // A bar among the entries on one terminal would help nobody.
    let shared = args.out.is_none() && io::stdout().is_terminal();
    let quiet = shared || matches!(args.stats, Some(None)) || output.quiet;
    let bar = Output { quiet, ..output }.progress_entries(source.expected(), "read");
    let mut out = BufWriter::new(io::stdout().lock());
    let mut data = Vec::new();
    while let Some(taken) = source.next_into(&mut data)? {
        stats.entry(&taken)?;
        sink.entry(&mut out, &taken, &data)?;
        bar.inc(1);
        let left = source.expected();
        bar.set_length(bar.position() + left);
    }
    out.flush().map_err(|e| Failure::output(&e))?;
    bar.finish_and_clear();
    if let Sink::Files(files) = sink {
        files.finish()?;
    }
    stats.finish()
}

fn range(args: &Cat) -> Result<Range> {
    match (args.feed.seq, args.range) {
        (Some(_), Some(_)) => Err(Failure::Said(
            "give either feed:HEX/SEQ or a range, not both".to_owned(),
        )),
        (Some(seq), None) => Ok(Range::one(seq)),
        (None, range) => Ok(range.unwrap_or_default()),
    }
}

/// Where entries go.
enum Sink {
    Raw { lines: bool },
    Json,
    Files(Extract),
}

impl Sink {
    fn entry(&mut self, out: &mut impl Write, taken: &Taken, data: &[u8]) -> Result<()> {
        match self {
            Sink::Files(files) => return files.entry(taken.info.seq, data),
            Sink::Json => json_line(out, &EntryJson::new(&taken.info, data)),
            Sink::Raw { lines } => out.write_all(data).and_then(|()| match lines {
                true => out.write_all(b"\n"),
                false => Ok(()),
            }),
        }
        .map_err(|e| Failure::output(&e))
    }
}

#[derive(Serialize)]
struct EntryStats {
    seq: u64,
    bytes: u32,
    hops: u16,
    network: bool,
    stale: bool,
    ms: f64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Total {
    entries: u64,
    bytes: u64,
    ms: f64,
    /// Entries by the number of nodes that handed them over.
    hops: BTreeMap<u16, u64>,
}

#[derive(Serialize)]
struct TotalLine<'a> {
    total: &'a Total,
}

/// `--stats`: one line of JSON for each entry and one at the end.
struct Stats {
    to: Option<(Box<dyn Write>, PathBuf)>,
    begin: Instant,
    total: Total,
}

impl Stats {
    fn open(args: &Cat) -> Result<Stats> {
        let to: Option<(Box<dyn Write>, PathBuf)> = match &args.stats {
            None => None,
            Some(None) => Some((Box::new(io::stderr()), PathBuf::from("standard error"))),
            Some(Some(path)) => {
                let file = File::create(path).map_err(|e| Failure::file("make", path, &e))?;
                Some((Box::new(BufWriter::new(file)), path.clone()))
            }
        };
        Ok(Stats {
            to,
            begin: Instant::now(),
            total: Total::default(),
        })
    }

    fn entry(&mut self, taken: &Taken) -> Result<()> {
        self.total.entries += 1;
        self.total.bytes += u64::from(taken.info.len);
        *self.total.hops.entry(taken.info.hops).or_default() += 1;
        let line = EntryStats {
            seq: taken.info.seq,
            bytes: taken.info.len,
            hops: taken.info.hops,
            network: taken.info.network,
            stale: taken.info.stale,
            ms: millis(taken.time),
        };
        match &mut self.to {
            Some((to, path)) => json_line(to, &line).map_err(|e| Failure::file("write", path, &e)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<()> {
        self.total.ms = millis(self.begin.elapsed());
        match &mut self.to {
            Some((to, path)) => json_line(to, &TotalLine { total: &self.total })
                .and_then(|()| to.flush())
                .map_err(|e| Failure::file("write", path, &e)),
            None => Ok(()),
        }
    }
}

/// Milliseconds with the microseconds behind the point.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
