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

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::line::{How, Line, NATIVE, Native, Outcome, Run, Sample};
use crate::machine;

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

/// Measures the lines of these numbers, and these of their cases; all of none.
pub(crate) fn measure(
    numbers: &[u32],
    only: &[usize],
    rounds: u32,
    quick: bool,
    bed: String,
) -> Result<Run> {
    let when = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut run = Run {
        bed,
        kernel: machine::kernel(),
        cpu: machine::cpu(),
        when: u64::try_from(when)?,
        quick,
        lines: Vec::new(),
    };
    let how = How {
        quick,
        native: run.bed == NATIVE,
    };
    let lines = all();
    // Not every bed has something to measure of every line.
    for number in numbers {
        let known = lines.iter().any(|line| line.number() == *number);
        ensure!(known, "no line has the number {number}");
    }
    for mut line in lines {
        let number = line.number();
        let wanted = numbers.is_empty() || numbers.contains(&number);
        let cases = measured(line.as_ref(), how, only);
        if !wanted || !is_for(number, &run.bed) || cases.is_empty() {
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
        let measured = go_through(line.as_mut(), &cases, rounds, how, &mut outcome.samples);
        let cleaned = line.tear_down();
        if let Err(error) = measured.and(cleaned) {
            eprintln!("  failed: {error:#}");
            outcome.failure = Some(format!("{error:#}"));
        }
        run.lines.push(outcome);
    }
    Ok(run)
}

/// The cases that are measured, of those that are wanted: all of none.
fn measured(line: &dyn Line, how: How, only: &[usize]) -> Vec<usize> {
    let cases = line.cases().into_iter().enumerate();
    cases
        .filter(|(index, _)| only.is_empty() || only.contains(index))
        .filter(|(_, case)| !how.native || case.native != Native::None)
        .map(|(index, _)| index)
        .collect()
}

/// Interleaved: what the machine does beside this meets all cases alike.
fn go_through(
    line: &mut dyn Line,
    measured: &[usize],
    rounds: u32,
    how: How,
    samples: &mut [Vec<Sample>],
) -> Result<()> {
    line.set_up(how).context("set-up")?;
    let cases = line.cases();
    for round in 1..=rounds {
        for (index, (case, samples)) in cases.iter().zip(samples.iter_mut()).enumerate() {
            if !measured.contains(&index) {
                continue;
            }
            let sample = line.measure(index).with_context(|| case.name.clone())?;
            eprintln!(
                "  {round}/{rounds} {}: {:.1} {}",
                case.name, sample.value, case.unit
            );
            samples.push(sample);
        }
    }
    Ok(())
}
