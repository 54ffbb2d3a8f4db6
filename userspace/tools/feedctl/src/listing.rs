// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The entry that lists a directory, in front of the entries that are its files.
//!
//! Text, one line for each file:
//!
//! ```text
//! AF_FEED directory 1
//! SEQ PARTS SIZE PATH
//! ```
//!
//! SEQ is the entry in which the file begins, PARTS the number of entries it takes (one, unless
//! it is longer than 16 MiB), SIZE its length in bytes: decimal, one blank between. PATH is
//! relative, with `/` between its components, and goes up to the end of the line; control
//! characters, `%`, and bytes that are not UTF-8 are written `%` and two upper-case hex digits.
//! Files are sorted by the bytes of their paths and follow the listing without a gap.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use crate::failure::{Failure, Result};

const MAGIC: &str = "AF_FEED directory 1";

/// One file of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// The entry in which it begins.
    pub seq: u64,
    /// Entries that it takes.
    pub parts: u64,
    /// Bytes.
    pub size: u64,
    /// Relative to the directory.
    pub path: PathBuf,
}

/// Lays out `files` (path, size; sorted) behind a listing at entry `at`.
pub fn plan(at: u64, files: Vec<(PathBuf, u64)>) -> Vec<Item> {
    let mut seq = at + 1;
    files
        .into_iter()
        .map(|(path, size)| {
            let parts = size.div_ceil(feed::ENTRY_MAX as u64).max(1);
            let item = Item {
                seq,
                parts,
                size,
                path,
            };
            seq += parts;
            item
        })
        .collect()
}

/// The listing's bytes.
pub fn format(items: &[Item]) -> String {
    let mut text = format!("{MAGIC}\n");
    for item in items {
        let path = escape(item.path.as_os_str());
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {} {} {path}", item.seq, item.parts, item.size);
    }
    text
}

/// Reads entry `at`. `None` when it is no listing; a failure when it says it is one and breaks
/// the format, or names a place outside the directory.
pub fn parse(at: u64, bytes: &[u8]) -> Result<Option<Vec<Item>>> {
    let Some(rest) = bytes
        .strip_prefix(MAGIC.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"\n"))
    else {
        return Ok(None);
    };
    let broken = |line: usize| {
        Failure::Said(format!(
            "entry {at} is a broken directory listing (line {line})"
        ))
    };
    let text = std::str::from_utf8(rest).map_err(|_| broken(2))?;
    let mut items = Vec::new();
    let mut next = at + 1;
    for (index, line) in text.split_terminator('\n').enumerate() {
        let item = parse_line(line)
            .filter(|item| item.seq == next)
            .ok_or_else(|| broken(index + 2))?;
        next += item.parts;
        items.push(item);
    }
    Ok(Some(items))
}

fn parse_line(line: &str) -> Option<Item> {
    let mut words = line.splitn(4, ' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (seq, parts, size) = (number()?, number()?, number()?);
    let path = unescape(words.next()?)?;
    let fits =
        parts == size.div_ceil(feed::ENTRY_MAX as u64).max(1) && seq.checked_add(parts).is_some();
    (fits && is_inside(&path)).then_some(Item {
        seq,
        parts,
        size,
        path,
    })
}

/// Whether `path` stays in the directory it is relative to.
fn is_inside(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    // A stray "//", "./" or trailing "/" would give one file two names.
    let plain = bytes
        .split(|byte| *byte == b'/')
        .all(|part| !part.is_empty() && part != b"." && part != b"..");
    plain
        && !bytes.contains(&0)
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

fn escape(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                let mut bytes = [0; 4];
                escape_bytes(c.encode_utf8(&mut bytes).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        escape_bytes(chunk.invalid(), &mut text);
    }
    text
}

fn escape_bytes(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

fn unescape(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> PathBuf {
        PathBuf::from(OsStr::from_bytes(bytes))
    }

    #[test]
    fn listing__round_trip() {
        let files = vec![
            (path(b"a b/c.txt"), 0),
            (path(b"big"), (16 << 20) + 1),
            (path(b"exact"), 16 << 20),
            (path(b"odd\n\xff%\x7f\xc3\xa9"), 5),
        ];
        let items = plan(7, files);
        assert_eq!(
            items.iter().map(|i| (i.seq, i.parts)).collect::<Vec<_>>(),
            [(8, 1), (9, 2), (11, 1), (12, 1)]
        );
        let text = format(&items);
        assert_eq!(
            text,
            "AF_FEED directory 1\n8 1 0 a b/c.txt\n9 2 16777217 big\n11 1 16777216 exact\n\
             12 1 5 odd%0A%FF%25%7Fé\n"
        );
        assert_eq!(parse(7, text.as_bytes()).unwrap(), Some(items));
    }

    #[test]
    fn listing__empty_directory() {
        let text = format(&plan(0, Vec::new()));
        assert_eq!(parse(0, text.as_bytes()).unwrap(), Some(Vec::new()));
    }

    #[test]
    fn listing__other_entries_are_none() {
        for other in [
            &b""[..],
            b"hello",
            b"AF_FEED directory 1",
            b"AF_FEED directory 2\n",
            b"af_feed directory 1\n",
        ] {
            assert_eq!(parse(0, other).unwrap(), None);
        }
    }

    #[test]
    fn listing__refuses_ways_out() {
        for bad in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "./a",
            "",
            "..",
            "a%00b",
            "%2E%2E/x",
            "%2Fetc",
        ] {
            let text = format!("{MAGIC}\n1 1 5 {bad}\n");
            assert!(parse(0, text.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn listing__refuses_broken_lines() {
        for bad in [
            "1 1 5",
            "2 1 5 a",
            "1 2 5 a",
            "1 0 0 a",
            "x 1 5 a",
            "1 1 5 a%2",
            "1 1 5 a%zz",
            "1 1 5 a%+1",
            "-1 1 5 a",
        ] {
            let text = format!("{MAGIC}\n{bad}\n");
            let said = parse(0, text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains("line 2"), "{bad}: {said}");
        }
    }
}
