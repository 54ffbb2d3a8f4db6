// SPDX-License-Identifier: GPL-2.0
//! Where the time goes, by function.
//!
//! `perf` outside of User-Mode Linux sees the kernel and its modules as code of one process. It finds
//! the kernel's functions in its file; those of the modules have no names outside, so they are looked
//! up in what the kernel itself says of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets};
use rustc_demangle::demangle;

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
                let (kind, name, module) = (words.next()?, words.next()?, words.next()?);
                let module = module.trim_matches(['[', ']']);
                // Labels that the compiler has made are inside of functions.
                let is_function = kind.eq_ignore_ascii_case("t") && !name.starts_with(".L");
                is_function.then(|| (address, name.to_owned(), module.to_owned()))
            })
            .collect();
        symbols.sort();
        Symbols(symbols)
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
}
