// SPDX-License-Identifier: GPL-2.0
//! Where the time goes, by function.
//!
//! `perf` outside of User-Mode Linux sees the kernel and its modules as code of one process. It finds
//! the kernel's functions in its file; those of the modules have no names outside, so they are looked
//! up in what the kernel itself says of them.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets};
use rustc_demangle::demangle;

use crate::sampler::Place;

/// Functions that are told.
const TOLD: usize = 60;
/// No function is longer: what is further behind one is none of its.
const FUNCTION_MAX: u64 = 1 << 16;
/// What has no name: programs in the machine, mostly.
const PROGRAMS: &str = "programs";

/// The modules' lines of the running kernel's symbols.
pub(crate) fn module_symbols() -> Result<String> {
    let all = fs::read_to_string("/proc/kallsyms").context("cannot read /proc/kallsyms")?;
    let lines = all.lines().filter(|line| line.ends_with(']'));
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// All functions of the running kernel and its modules.
fn kernel_symbols() -> Result<Symbols> {
    let all = fs::read_to_string("/proc/kallsyms").context("cannot read /proc/kallsyms")?;
    Ok(Symbols::parse(&all))
}

/// Whether a function of the kernel takes or waits for a lock.
fn is_of_lock(name: &str) -> bool {
    name.contains("spin_lock") || name.contains("spin_trylock")
}

/// Functions by address.
struct Symbols(Vec<(u64, String, String)>);

impl Symbols {
    /// Of lines as `/proc/kallsyms` has them.
    fn parse(text: &str) -> Symbols {
        let mut symbols: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                let (kind, name) = (words.next()?, words.next()?);
                let module = words.next().unwrap_or("kernel");
                let module = module.trim_matches(['[', ']']);
                // Labels that the compiler has made are inside of functions.
                let is_function = matches!(kind, "t" | "T" | "w" | "W") && !name.starts_with(".L");
                is_function.then(|| (address, name.to_owned(), module.to_owned()))
            })
            .collect();
        symbols.sort();
        Symbols(symbols)
    }

    /// What a sample is told as, and whose it is. Who waits for a lock is told with who wants it.
    fn name(&self, place: &Place) -> (String, String) {
        let mut names = place.iter().filter_map(|address| self.find(*address));
        let Some((first, owner)) = names.next() else {
            return (PROGRAMS.into(), String::new());
        };
        let plain = |name: &str| format!("{:#}", demangle(name));
        if !is_of_lock(first) {
            return (plain(first), owner.into());
        }
        let (by, owner) = names
            .find(|(name, _)| !is_of_lock(name))
            .unwrap_or(("?", owner));
        (format!("{} of {}", plain(first), plain(by)), owner.into())
    }

    /// Function and module that an address is in.
    fn find(&self, address: u64) -> Option<(&str, &str)> {
        let after = self.0.partition_point(|(begin, ..)| *begin <= address);
        let (begin, name, module) = self.0.get(after.checked_sub(1)?)?;
        (address - begin < FUNCTION_MAX).then_some((name, module))
    }
}

/// A sample's function, and whose it is. A line says address, perhaps function, and in brackets the
/// file that it is in.
fn place(line: &str, symbols: &Symbols) -> Option<(String, String)> {
    let line = line.trim();
    let (address, rest) = line.split_once(' ')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let (name, file) = rest.trim().rsplit_once(" (").unwrap_or((rest.trim(), ""));
    if let Some((name, module)) = symbols.find(address) {
        return Some((format!("{:#}", demangle(name)), module.to_owned()));
    }
    let file = file.trim_end_matches(')');
    if name.starts_with("[unknown]") || name.is_empty() {
        return Some((PROGRAMS.into(), String::new()));
    }
    let owner = match file.rsplit('/').next().unwrap_or(file) {
        "linux" => "kernel",
        // The host's own kernel.
        "[kernel.kallsyms]" => "host",
        file => file,
    };
    Some((format!("{:#}", demangle(name)), owner.into()))
}

/// What a sampler has seen of the cases of a line.
#[derive(Default)]
pub(crate) struct Seen(Vec<Column>);

/// Of one case.
struct Column {
    name: String,
    places: Vec<Place>,
    /// Processor time for each unit of work, ns, of as many rounds.
    cpu_ns: f64,
    rounds: u32,
}

impl Seen {
    /// Adds a round of a case.
    pub(crate) fn add(&mut self, case: &str, places: Vec<Place>, cpu_ns: Option<f64>) {
        let at = self.0.iter().position(|column| column.name == case);
        let at = at.unwrap_or_else(|| {
            self.0.push(Column {
                name: case.into(),
                places: Vec::new(),
                cpu_ns: 0.0,
                rounds: 0,
            });
            self.0.len() - 1
        });
        let column = &mut self.0[at];
        column.places.extend(places);
        column.cpu_ns += cpu_ns.unwrap_or_default();
        column.rounds += 1;
    }

    /// Functions in the order of their largest share, a column for each case: its share, and
    /// what that is of a unit's processor time where that is known.
    pub(crate) fn table(&self) -> Result<String> {
        self.told(&kernel_symbols()?)
    }

    fn told(&self, symbols: &Symbols) -> Result<String> {
        let mut rows: HashMap<(String, String), Vec<usize>> = HashMap::new();
        for (at, column) in self.0.iter().enumerate() {
            ensure!(!column.places.is_empty(), "{}: no samples", column.name);
            for place in &column.places {
                let row = symbols.name(place);
                rows.entry(row).or_insert_with(|| vec![0; self.0.len()])[at] += 1;
            }
        }
        let part = |counts: &[usize], at: usize| counts[at] as f64 / self.0[at].places.len() as f64;
        let largest = |counts: &[usize]| {
            (0..counts.len())
                .map(|at| part(counts, at))
                .fold(0.0, f64::max)
        };
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by(|a, b| {
            largest(&b.1)
                .total_cmp(&largest(&a.1))
                .then_with(|| a.0.cmp(&b.0))
        });
        let mut text = String::new();
        for (at, column) in self.0.iter().enumerate() {
            let (name, count) = (&column.name, column.places.len());
            writeln!(text, "{at}: {name}, {count} samples")?;
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header((0..self.0.len()).map(|at| at.to_string()));
        for ((name, owner), counts) in rows.into_iter().take(TOLD) {
            let mut cells: Vec<String> = Vec::new();
            for (at, column) in self.0.iter().enumerate() {
                let part = part(&counts, at);
                let each = part * column.cpu_ns / f64::from(column.rounds);
                cells.push(match column.cpu_ns > 0.0 {
                    true => format!("{:.1} %, {each:.0} ns", 100.0 * part),
                    false => format!("{:.1} %", 100.0 * part),
                });
            }
            table.add_row(cells.into_iter().chain([owner, name]));
        }
        writeln!(text, "\n{}", table.trim_fmt())?;
        Ok(text)
    }
}

fn share(count: usize, all: usize) -> String {
    format!("{:.1} %", 100.0 * count as f64 / all as f64)
}

/// Samples in few lines: by owner, and by function.
fn digest(samples: &str, symbols: &Symbols) -> Result<String> {
    let mut functions: HashMap<(String, String), usize> = HashMap::new();
    let mut owners: HashMap<String, usize> = HashMap::new();
    let mut all = 0;
    for line in samples.lines() {
        if let Some((name, owner)) = place(line, symbols) {
            *owners.entry(owner.clone()).or_default() += 1;
            *functions.entry((name, owner)).or_default() += 1;
            all += 1;
        }
    }
    ensure!(all > 0, "there are no samples");
    let mut owners: Vec<_> = owners.into_iter().collect();
    owners.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for (owner, count) in owners {
        let owner = if owner.is_empty() { PROGRAMS } else { &owner };
        table.add_row([share(count, all), owner.into(), String::new()]);
    }
    table.add_row(["", "", ""]);
    for ((name, owner), count) in functions.into_iter().take(TOLD) {
        table.add_row([share(count, all), owner, name]);
    }
    Ok(format!("{all} samples\n\n{}\n", table.trim_fmt()))
}

/// Prints where the time goes, and writes it to a file.
pub(crate) fn tell(samples: &Path, symbols: &Path, out: &Path) -> Result<()> {
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("no {}", path.display()));
    let text = digest(&read(samples)?, &Symbols::parse(&read(symbols)?))?;
    print!("{text}");
    fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "\
0000000070000000 t _RNvNtCs1234_4feed4node7receive\t[feed]
0000000070000010 t .Ltmp1\t[feed]
0000000070000100 d table\t[feed]
0000000070000200 T other\t[feed_bench]
";

    #[test]
    fn functions_of_modules_are_found_by_address() {
        let symbols = Symbols::parse(SYMBOLS);
        let found = |address| symbols.find(address).map(|(_, module)| module);
        assert_eq!(found(0x7000_0011), Some("feed"));
        assert_eq!(found(0x7000_0200), Some("feed_bench"));
        assert_eq!(found(0x6fff_ffff), None);
        assert_eq!(found(0x7100_0000), None);
    }

    #[test]
    fn samples_are_counted_by_function() {
        let samples = "\
    70000012 [unknown] ([unknown])
    70000004 [unknown] ([unknown])
    60012345 memcpy (/cache/uml/linux)
    7f0000000000 [unknown] (/dev/shm/#1085 (deleted))
";
        let text = digest(samples, &Symbols::parse(SYMBOLS)).unwrap();
        let line = |name: &str| {
            let line = text.lines().find(|line| line.ends_with(name));
            line.map(|line| line.trim().to_owned()).unwrap()
        };
        assert!(text.starts_with("4 samples"));
        assert!(line("node::receive").starts_with("50.0 %"));
        assert!(line("memcpy").contains("kernel"));
        assert!(line("programs").starts_with("25.0 %"));
        assert!(digest("", &Symbols::parse(SYMBOLS)).is_err());
    }

    #[test]
    fn cases_stand_beside_each_other() {
        let mut seen = Seen::default();
        let (ours, other) = (|| vec![0x7000_0012], || vec![0x7000_0204]);
        let first = vec![ours(), other(), other(), vec![]];
        seen.add("one", first, Some(90.0));
        let second = vec![ours(), vec![], vec![], vec![]];
        seen.add("one", second, Some(110.0));
        seen.add("two", vec![other()], None);
        let waits = vec![0x6000_0004, 0x6000_0010, 0x7000_0012, 0x7000_0204];
        seen.add("waits", vec![waits], None);
        let symbols = format!(
            "{SYMBOLS}\
            0000000060000000 t queued_spin_lock_slowpath\n\
            0000000060000008 T _raw_spin_lock_bh\n"
        );
        let text = seen.told(&Symbols::parse(&symbols)).unwrap();
        let rows: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        for row in [
            "25.0 %, 25 ns 0.0 % 0.0 % feed feed::node::receive",
            "25.0 %, 25 ns 100.0 % 0.0 % feed_bench other",
            "50.0 %, 50 ns 0.0 % 0.0 % programs",
            "0.0 %, 0 ns 0.0 % 100.0 % feed queued_spin_lock_slowpath of feed::node::receive",
        ] {
            assert!(rows.iter().any(|other| other == row), "{row}:\n{text}");
        }
        seen.add("three", Vec::new(), None);
        assert!(seen.told(&Symbols::parse(SYMBOLS)).is_err());
    }
}
