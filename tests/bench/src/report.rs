// SPDX-License-Identifier: GPL-2.0
//! The table and the chart of what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow};
use comfy_table::{Table, presets};
use plotters::prelude::*;

use crate::line::{Outcome, Reach, Role, Run};
use crate::summary::{Summary, is_met, quotient, summary, values};

const HEADINGS: [&str; 6] = ["", "measure", "median", "quartiles", "unit", "CPU each"];

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

fn verdict(line: &Outcome, reach: &Reach) -> String {
    let name = |at: usize| line.cases.get(at).map_or("?", |case| case.name.as_str());
    let more = line
        .cases
        .get(reach.of)
        .is_none_or(|case| case.more_is_better);
    let (said, found) = match (is_met(line, reach), quotient(line, reach)) {
        (Some(met), Some(Summary { median, low, high })) => (
            if met { "met" } else { "MISSED" },
            format!("{median:.2} ({low:.2} to {high:.2})"),
        ),
        _ => ("not measured", String::from("-")),
    };
    let sign = if more { "≥" } else { "≤" };
    format!(
        "{said}: {} / {} = {found}, to be {sign} {}",
        name(reach.of),
        name(reach.over),
        reach.bound
    )
}

fn rows(line: &Outcome) -> Vec<[String; 6]> {
    let mut rows = Vec::new();
    for (case, samples) in line.cases.iter().zip(&line.samples) {
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
            median,
            spread,
            case.unit.clone(),
            cpu.map_or("-".into(), |cpu| nanoseconds(cpu.median)),
        ]);
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
        for line in &run.lines {
            println!("\n{}. {}", line.number, line.title);
            let mut table = Table::new();
            table
                .load_preset(presets::UTF8_HORIZONTAL_ONLY)
                .set_header(HEADINGS);
            for row in rows(line) {
                table.add_row(row);
            }
            println!("{table}");
            for reach in &line.reaches {
                println!("   {}", verdict(line, reach));
            }
            if let Some(failure) = &line.failure {
                println!("   FAILED: {failure}");
            }
        }
    }
}

/// Writes all tables as Markdown.
pub(crate) fn markdown(runs: &[Run], path: &Path) -> Result<()> {
    let mut text = String::new();
    for run in runs {
        writeln!(text, "{}\n", about(run))?;
        for line in &run.lines {
            writeln!(text, "### {}. {}\n", line.number, line.title)?;
            writeln!(
                text,
                "| {} |\n|---|---|---|---|---|---|",
                HEADINGS.join(" | ")
            )?;
            for row in rows(line) {
                writeln!(text, "| {} |", row.join(" | "))?;
            }
            writeln!(text)?;
            for reach in &line.reaches {
                writeln!(text, "- {}", verdict(line, reach))?;
            }
            if let Some(failure) = &line.failure {
                writeln!(text, "- FAILED: {failure}")?;
            }
            writeln!(text)?;
        }
    }
    fs::write(path, text)?;
    Ok(())
}

/// Draws what is to be reached and what was: each quotient over its bound, on a logarithmic scale.
/// Beyond the line at 1 it is met.
pub(crate) fn chart(runs: &[Run], path: &Path) -> Result<()> {
    let mut bars = Vec::new();
    for line in runs.iter().flat_map(|run| &run.lines) {
        for reach in &line.reaches {
            let more = line
                .cases
                .get(reach.of)
                .is_some_and(|case| case.more_is_better);
            let (Some(found), Some(case)) = (quotient(line, reach), line.cases.get(reach.over))
            else {
                continue;
            };
            let score = found.median / reach.bound;
            let score = if more { score } else { 1.0 / score };
            bars.push((format!("{}. beside {}", line.number, case.name), score));
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
