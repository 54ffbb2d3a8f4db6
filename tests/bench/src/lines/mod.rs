// SPDX-License-Identifier: GPL-2.0
//! The lines of the table, a file each, and how they are gone through.

mod append;
mod bulk;
mod cores;
mod crypto;
mod fanout;
mod flood;
mod hits;
mod hops;
mod latency;
mod live;
mod many;
mod memory;
mod read;

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::line::{How, Line, NATIVE, Native, Outcome, Role, Run, Sample};
use crate::machine;
use crate::profile::{Seen, module_symbols};
use crate::sampler::Sampler;

/// All lines, in the table's order.
fn all() -> Vec<Box<dyn Line>> {
    vec![
        Box::<hits::Hits>::default(),
        Box::<many::Many>::default(),
        Box::new(bulk::Bulk::jumbo()),
        Box::new(bulk::Bulk::ordinary()),
        Box::new(hops::Hops::default()),
        Box::new(latency::Latency::new()),
        Box::new(live::Live::new()),
        Box::new(append::Appends::new()),
        Box::new(read::Reads::new()),
        Box::new(fanout::Fanout::new()),
        Box::<cores::Cores>::default(),
        Box::new(memory::Memory::new()),
        Box::new(crypto::Crypto::new()),
        Box::<flood::Flood>::default(),
    ]
}

/// Whether a line is measured in this kind of machine when nobody asks for it by number. The
/// emulated stock kernel is for what depends on system calls and on a second core.
fn is_for(number: u32, bed: &str) -> bool {
    match bed {
        "stock" => matches!(number, 6..=11),
        _ => number != 11,
    }
}

/// What is to be measured.
pub(crate) struct Wanted {
    /// Lines of these numbers, and these of their cases; all of none.
    pub(crate) lines: Vec<u32>,
    pub(crate) cases: Vec<usize>,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    /// The Debian root with rivals, if there is one.
    pub(crate) rivals: Option<PathBuf>,
    /// Where it is written where the modules' functions lie.
    pub(crate) symbols: Option<PathBuf>,
    /// Where it is written where the time of each case went, as the machine itself sees it.
    pub(crate) profile: Option<PathBuf>,
}

/// Measures in this machine, which is called `bed`, on this processor if that is known.
pub(crate) fn measure(wanted: &Wanted, bed: String, cpu: Option<String>) -> Result<Run> {
    let numbers = &wanted.lines;
    let when = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut run = Run {
        bed,
        kernel: machine::kernel(),
        cpu: cpu.unwrap_or_else(machine::cpu),
        when: u64::try_from(when)?,
        quick: wanted.quick,
        lines: Vec::new(),
    };
    let how = How {
        quick: wanted.quick,
        check: false,
        native: run.bed == NATIVE,
        rivals: wanted.rivals.clone(),
    };
    if !how.native {
        machine::touch_memory().context("touching memory")?;
    }
    let lines = all();
    // Not every bed has something to measure of every line.
    for number in numbers {
        let known = lines.iter().any(|line| line.number() == *number);
        ensure!(known, "no line has the number {number}");
    }
    for mut line in lines {
        let number = line.number();
        let is_wanted = numbers.is_empty() || numbers.contains(&number);
        let cases = measured(line.as_ref(), &how, &wanted.cases);
        if !is_wanted || !is_for(number, &run.bed) || cases.is_empty() {
            continue;
        }
        eprintln!("line {}: {}", line.number(), line.title());
        let mut outcome = Outcome {
            number: line.number(),
            title: line.title().into(),
            judged: line.bed() == run.bed,
            cases: line.cases(),
            reaches: line.reaches(),
            samples: vec![Vec::new(); line.cases().len()],
            failure: None,
        };
        let measured = go_through(line.as_mut(), &cases, wanted, &how, &mut outcome.samples);
        let cleaned = line.tear_down();
        if let Err(error) = measured.and(cleaned) {
            eprintln!("  failed: {error:#}");
            outcome.failure = Some(format!("{error:#}"));
        }
        run.lines.push(outcome);
    }
    Ok(run)
}

/// Has AF_FEED do what these lines measure, once and with little work, in a kernel that checks
/// itself meanwhile. A line that fails ends it.
pub(crate) fn check(numbers: &[u32]) -> Result<()> {
    let how = How {
        quick: true,
        check: true,
        native: false,
        rivals: None,
    };
    let wanted = Wanted {
        lines: numbers.to_vec(),
        cases: Vec::new(),
        rounds: 1,
        quick: how.quick,
        rivals: None,
        symbols: None,
        profile: None,
    };
    let mut checked = 0;
    for mut line in all() {
        if !numbers.contains(&line.number()) {
            continue;
        }
        eprintln!("line {}: {}", line.number(), line.title());
        let cases = line.cases();
        let ours = (0..cases.len()).filter(|index| cases[*index].role == Role::Ours);
        let mut samples = vec![Vec::new(); cases.len()];
        let ours: Vec<usize> = ours.collect();
        let done = go_through(line.as_mut(), &ours, &wanted, &how, &mut samples);
        done.and(line.tear_down())?;
        checked += 1;
    }
    ensure!(checked == numbers.len(), "not all of {numbers:?} are lines");
    Ok(())
}

/// The cases that are measured, of those that are wanted: all of none.
fn measured(line: &dyn Line, how: &How, only: &[usize]) -> Vec<usize> {
    let cases = line.cases().into_iter().enumerate();
    cases
        .filter(|(index, _)| only.is_empty() || only.contains(index))
        .filter(|(_, case)| !how.native || case.native != Native::None)
        .filter(|(_, case)| !case.foreign || how.rivals.is_some())
        .map(|(index, _)| index)
        .collect()
}

/// Interleaved: what the machine does beside this meets all cases alike.
fn go_through(
    line: &mut dyn Line,
    measured: &[usize],
    wanted: &Wanted,
    how: &How,
    samples: &mut [Vec<Sample>],
) -> Result<()> {
    line.set_up(how).context("set-up")?;
    let cases = line.cases();
    let rounds = wanted.rounds;
    // Modules that come later are known at the end, those of a line that fails from now on.
    if let Some(path) = &wanted.symbols {
        fs::write(path, module_symbols()?)?;
        eprintln!("  measuring begins");
    }
    let mut seen = Seen::default();
    for round in 1..=rounds {
        for (index, (case, samples)) in cases.iter().zip(samples.iter_mut()).enumerate() {
            if !measured.contains(&index) {
                continue;
            }
            line.arrange(index).with_context(|| case.name.clone())?;
            let sampler = wanted
                .profile
                .as_ref()
                .map(|_| Sampler::start())
                .transpose()?;
            let sample = line.measure(index).with_context(|| case.name.clone())?;
            if let Some(sampler) = sampler {
                seen.add(&case.name, sampler.stop()?, sample.cpu_ns);
            }
            eprintln!(
                "  {round}/{rounds} {}: {:.1} {}",
                case.name, sample.value, case.unit
            );
            samples.push(sample);
        }
    }
    if let Some(path) = &wanted.symbols {
        eprintln!("  measuring ends");
        fs::write(path, module_symbols()?)?;
    }
    if let Some(path) = &wanted.profile {
        fs::write(path, seen.table()?)?;
    }
    Ok(())
}
