// SPDX-License-Identifier: GPL-2.0
//! AF_FEED beside what a user could pick instead, in one run.
//!
//! `run` measures inside of a machine (see tests/bench/run, which boots one) and writes what it saw
//! as JSON; `report` makes the table and the chart of such files.

mod chain;
mod generator;
mod line;
mod lines;
mod lookups;
mod machine;
mod ping;
mod profile;
mod relays;
mod report;
mod rivals;
mod sampler;
mod summary;
mod transfer;
mod verdict;
mod wire;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::line::Run;
use crate::lines::Wanted;

#[derive(Parser)]
#[command(about = "AF_FEED beside what a user could pick instead")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, in this machine; as root.
    Run {
        /// Only these lines of the table.
        #[arg(long, value_delimiter = ',')]
        lines: Vec<u32>,
        /// Only these cases of each line, counted from 0: for a profile.
        #[arg(long, value_delimiter = ',')]
        cases: Vec<usize>,
        /// Rounds: in each, every case of a line is measured once, one after the other.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Less work.
        #[arg(long)]
        quick: bool,
        /// What the machine is called in the results: uml, stock, …; native means without AF_FEED,
        /// only rivals and floors.
        #[arg(long)]
        bed: String,
        /// The processor's name, if the machine cannot tell it.
        #[arg(long)]
        cpu: Option<String>,
        /// The Debian root with rivals (qemu/setup rivals); without it they are left out.
        #[arg(long)]
        rivals: Option<PathBuf>,
        /// Where the results go, as JSON.
        #[arg(long)]
        out: PathBuf,
        /// Write where the modules' functions lie, and say when measuring begins and ends.
        #[arg(long)]
        symbols: Option<PathBuf>,
        /// Write where the time of each case of the line went, as the machine itself sees it: for an
        /// emulated one, which perf cannot see into.
        #[arg(long)]
        profile: Option<PathBuf>,
    },
    /// Author feeds and print their names; `run` has other users do so, for each may have so many.
    Author {
        #[arg(long)]
        feeds: u64,
        #[arg(long)]
        entries: u64,
        /// Bytes of an entry.
        #[arg(long)]
        size: usize,
    },
    /// Tell where the time went, of what perf has seen.
    Profile {
        /// What `perf script -F ip,sym,dso` says.
        #[arg(long)]
        samples: PathBuf,
        /// What `run` has written.
        #[arg(long)]
        symbols: PathBuf,
        /// Where it is written, too.
        #[arg(long)]
        out: PathBuf,
    },
    /// Do once what these lines measure, with little work; fail where AF_FEED does.
    Check {
        #[arg(long, value_delimiter = ',', required = true)]
        lines: Vec<u32>,
    },
    /// Print the table of results, and say which lines are met.
    Report {
        /// What `run` has written, in each of the machines.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Write all of them into one file.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Draw the chart, too.
        #[arg(long)]
        svg: Option<PathBuf>,
        /// Write the table as Markdown.
        #[arg(long)]
        markdown: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run {
            lines,
            cases,
            rounds,
            quick,
            bed,
            cpu,
            rivals,
            out,
            symbols,
            profile,
        } => {
            let wanted = Wanted {
                lines,
                cases,
                rounds,
                quick,
                rivals,
                symbols,
                profile,
            };
            let run = lines::measure(&wanted, bed, cpu)?;
            write(&[run], &out)
        }
        Command::Author {
            feeds,
            entries,
            size,
        } => lookups::author(feeds, entries, size),
        Command::Profile {
            samples,
            symbols,
            out,
        } => profile::tell(&samples, &symbols, &out),
        Command::Check { lines } => lines::check(&lines),
        Command::Report {
            results,
            json,
            svg,
            markdown,
        } => {
            let mut runs = Vec::new();
            for path in &results {
                runs.extend(read(path)?);
            }
            report::print(&runs);
            if let Some(path) = json {
                write(&runs, &path)?;
            }
            if let Some(path) = markdown {
                report::markdown(&runs, &path)?;
            }
            if let Some(path) = svg {
                report::chart(&runs, &path)?;
            }
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<Vec<Run>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_reader(file)
        .with_context(|| format!("{} is no result of this program", path.display()))
}

fn write(runs: &[Run], path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(serde_json::to_writer_pretty(file, runs)?)
}
