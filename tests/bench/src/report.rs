// SPDX-License-Identifier: GPL-2.0
//! The table and the chart of what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use comfy_table::{Table, presets};
use plotters::prelude::*;

use crate::line::{NATIVE, Outcome, Reach, Role, Run};
use crate::summary::{Summary, summary, values};
use crate::verdict::Seen;

const HEADINGS: [&str; 7] = [
    "",
    "measure",
    "bed",
    "median",
    "quartiles",
    "unit",
    "CPU each",
];

/// A line with what each run saw of it.
struct Section<'a> {
    number: u32,
    title: &'a str,
    seen: Vec<(&'a Run, &'a Outcome)>,
}

/// All lines, by their numbers.
fn sections(runs: &[Run]) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for run in runs {
        for line in &run.lines {
            match sections.iter_mut().find(|one| one.number == line.number) {
                Some(section) => section.seen.push((run, line)),
                None => sections.push(Section {
                    number: line.number,
                    title: &line.title,
                    seen: vec![(run, line)],
                }),
            }
        }
    }
    sections.sort_by_key(|section| section.number);
    sections
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{:.2} G", value / 1e9),
        v if v >= 1e6 => format!("{:.2} M", value / 1e6),
        v if v >= 1e4 => format!("{:.1} k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}

fn nanoseconds(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} ms", v / 1e6),
        v if v >= 1e3 => format!("{:.2} µs", v / 1e3),
        v => format!("{v:.0} ns"),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Ours => "AF_FEED",
        Role::Floor => "floor",
        Role::Rival => "rival",
        Role::Quoted => "quoted",
    }
}

fn verdict(seen: Seen<'_>, reach: &Reach) -> String {
    let line = seen.line;
    let name = |at: usize| line.cases.get(at).map_or("?", |case| case.name.as_str());
    let beside = |at: &usize| match seen.counting(*at) {
        Some((_, true)) => format!("{} ({NATIVE})", name(*at)),
        _ => name(*at).to_owned(),
    };
    let over: Vec<String> = reach.over.iter().map(beside).collect();
    let found = seen.quotient(reach).map_or("-".to_owned(), |found| {
        let Summary { median, low, high } = found;
        format!("{median:.2} ({low:.2} to {high:.2})")
    });
    let quotient = format!("{} / {} = {found}", name(reach.of), over.join(", then "));
    let Some(bound) = reach.bound.filter(|_| line.judged) else {
        return format!("told: {quotient}");
    };
    let said = match seen.is_met(reach) {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    };
    let more = line
        .cases
        .get(reach.of)
        .is_none_or(|case| case.more_is_better);
    let sign = if more { "≥" } else { "≤" };
    format!("{said}: {quotient}, to be {sign} {bound}")
}

/// What is said below a line's table.
fn remarks(section: &Section<'_>, runs: &[Run]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (run, line) in &section.seen {
        let seen = Seen::new(line, runs);
        let bed = if line.judged {
            String::new()
        } else {
            format!("bed {}, ", run.bed)
        };
        for reach in &line.reaches {
            if line.judged || seen.quotient(reach).is_some() {
                remarks.push(format!("{bed}{}", verdict(seen, reach)));
            }
        }
        if let Some(failure) = &line.failure {
            remarks.push(format!("bed {}, FAILED: {failure}", run.bed));
        }
    }
    remarks
}

/// Each case as each run saw it.
fn rows(section: &Section<'_>) -> Vec<[String; 7]> {
    let cases = section.seen.iter().map(|(_, line)| line.cases.len()).max();
    let mut rows = Vec::new();
    for index in 0..cases.unwrap_or(0) {
        for (run, line) in &section.seen {
            let Some((case, samples)) = line.cases.get(index).zip(line.samples.get(index)) else {
                continue;
            };
            if samples.is_empty() && !line.judged {
                continue;
            }
            let (median, spread) = values(samples).map_or(("-".into(), "-".into()), |seen| {
                (
                    short(seen.median),
                    format!("{} to {}", short(seen.low), short(seen.high)),
                )
            });
            let cpu = summary(samples.iter().filter_map(|sample| sample.cpu_ns));
            rows.push([
                role(case.role).into(),
                case.name.clone(),
                run.bed.clone(),
                median,
                spread,
                case.unit.clone(),
                cpu.map_or("-".into(), |cpu| nanoseconds(cpu.median)),
            ]);
        }
    }
    rows
}

fn about(run: &Run) -> String {
    let size = if run.quick { "quick run" } else { "full run" };
    format!(
        "bed {}, kernel {}, {}, {size}",
        run.bed, run.kernel, run.cpu
    )
}

/// Prints all tables.
pub(crate) fn print(runs: &[Run]) {
    for run in runs {
        println!("{}", about(run));
    }
    for section in sections(runs) {
        println!("\n{}. {}", section.number, section.title);
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_HORIZONTAL_ONLY)
            .set_header(HEADINGS);
        for row in rows(&section) {
            table.add_row(row);
        }
        println!("{table}");
        for remark in remarks(&section, runs) {
            println!("   {remark}");
        }
    }
}

/// Writes all tables as Markdown.
pub(crate) fn markdown(runs: &[Run], path: &Path) -> Result<()> {
    let mut text = String::new();
    for run in runs {
        writeln!(text, "- {}", about(run))?;
    }
    for section in sections(runs) {
        writeln!(text, "\n### {}. {}\n", section.number, section.title)?;
        writeln!(text, "| {} |", HEADINGS.join(" | "))?;
        writeln!(text, "{}|", "|---".repeat(HEADINGS.len()))?;
        for row in rows(&section) {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
        writeln!(text)?;
        for remark in remarks(&section, runs) {
            writeln!(text, "- {remark}")?;
        }
    }
    fs::write(path, text)?;
    Ok(())
}

/// Draws what is to be reached and what was: each quotient over its bound, on a logarithmic scale.
/// Beyond the line at 1 it is met.
pub(crate) fn chart(runs: &[Run], path: &Path) -> Result<()> {
    let mut bars = Vec::new();
    let lines = runs.iter().flat_map(|run| &run.lines);
    for line in lines.filter(|line| line.judged) {
        let seen = Seen::new(line, runs);
        for reach in &line.reaches {
            let name = |at: &usize| Some(line.cases.get(*at)?.name.as_str());
            let (Some(of), Some(over)) = (
                line.cases.get(reach.of),
                reach.over.iter().map(name).collect::<Option<Vec<_>>>(),
            ) else {
                continue;
            };
            let (Some(found), Some(bound)) = (seen.quotient(reach), reach.bound) else {
                continue;
            };
            let score = found.median / bound;
            let score = if of.more_is_better {
                score
            } else {
                1.0 / score
            };
            let name = format!("{}. beside {}", line.number, over.join(", then "));
            bars.push((name, score));
        }
    }
    let height = 80 + 34 * bars.len() as u32;
    let area = SVGBackend::new(path, (900, height)).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", path.display());
    area.fill(&WHITE).map_err(|e| failed(&e))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "what was reached of what is to be reached",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(30)
        .build_cartesian_2d((0.01f64..10.0).log_scale(), 0.0..bars.len().max(1) as f64)
        .map_err(|e| failed(&e))?;
    chart
        .configure_mesh()
        .disable_y_axis()
        .disable_y_mesh()
        .draw()
        .map_err(|e| failed(&e))?;
    for (index, (name, score)) in bars.iter().enumerate() {
        let y = index as f64;
        let color = if *score >= 1.0 { &GREEN } else { &RED };
        let bar = Rectangle::new(
            [(0.01, y + 0.2), (score.clamp(0.01, 10.0), y + 0.8)],
            color.mix(0.5).filled(),
        );
        let label = Text::new(
            format!("{name}: {score:.2}"),
            (0.011, y + 0.65),
            ("sans-serif", 13),
        );
        chart.draw_series([bar]).map_err(|e| failed(&e))?;
        chart.draw_series([label]).map_err(|e| failed(&e))?;
    }
    let top = bars.len().max(1) as f64;
    chart
        .draw_series([PathElement::new([(1.0, 0.0), (1.0, top)], BLACK)])
        .map_err(|e| failed(&e))?;
    area.present().map_err(|e| failed(&e))?;
    Ok(())
}
