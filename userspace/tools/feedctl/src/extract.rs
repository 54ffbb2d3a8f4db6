// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `cat --out`: entries into files.
//!
//! An entry that lists a directory makes the entries behind it files of their listed names; every
//! other entry becomes a file named by its number.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::listing::{self, Item};

/// Writes entries, in order, below a directory.
pub struct Extract {
    dir: PathBuf,
    /// Files that are still to come.
    due: VecDeque<Item>,
    open: Option<Open>,
}

/// The file whose parts are coming.
struct Open {
    file: File,
    path: PathBuf,
    item: Item,
    written: u64,
}

impl Extract {
    /// Makes `dir` where it is missing.
    pub fn new(dir: &Path) -> Result<Extract> {
        fs::create_dir_all(dir).map_err(|e| Failure::file("make the directory", dir, &e))?;
        Ok(Extract {
            dir: dir.to_owned(),
            due: VecDeque::new(),
            open: None,
        })
    }

    /// Takes the next entry.
    pub fn entry(&mut self, seq: u64, data: &[u8]) -> Result<()> {
        if self.open.is_none() {
            match self.due.pop_front() {
                Some(item) => self.open = Some(self.begin(item)?),
                None => return self.outside(seq, data),
            }
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.file
            .write_all(data)
            .map_err(|e| Failure::file("write", &open.path, &e))?;
        open.written += data.len() as u64;
        if seq + 1 < open.item.seq + open.item.parts {
            return Ok(());
        }
        let (written, size) = (open.written, open.item.size);
        let path = self.open.take().map(|open| open.path).unwrap_or_default();
        if written != size {
            return Err(Failure::Said(format!(
                "{} has {written} bytes and not {size} as the feed's listing says: its author's mistake",
                path.display()
            )));
        }
        Ok(())
    }

    /// An entry that no listing claims: a listing itself, or a file by its number.
    fn outside(&mut self, seq: u64, data: &[u8]) -> Result<()> {
        if let Some(items) = listing::parse(seq, data)? {
            self.due = items.into();
            return Ok(());
        }
        let path = self.dir.join(seq.to_string());
        let mut file = create(&path)?;
        file.write_all(data)
            .map_err(|e| Failure::file("write", &path, &e))
    }

    fn begin(&self, item: Item) -> Result<Open> {
        // listing::parse() takes only paths that stay inside.
        let path = self.dir.join(&item.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .map_err(|e| Failure::file("make the directory", parent, &e))?;
        }
        Ok(Open {
            file: create(&path)?,
            path,
            item,
            written: 0,
        })
    }

    /// Nothing more comes: was it all?
    pub fn finish(self) -> Result<()> {
        let missing = self.due.len() + usize::from(self.open.is_some());
        if missing == 0 {
            return Ok(());
        }
        Err(Failure::Said(format!(
            "{missing} of the listed files are not in the entries that were read; read a longer range"
        )))
    }
}

/// A new file in place of whatever has that name: written through no link.
fn create(path: &Path) -> Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(Failure::file("replace", path, &e));
        }
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| Failure::file("make", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing_of(at: u64, files: &[(&str, u64)]) -> Vec<u8> {
        let files = files
            .iter()
            .map(|(path, size)| (PathBuf::from(path), *size))
            .collect();
        listing::format(&listing::plan(at, files)).into_bytes()
    }

    #[test]
    fn extract__files_of_a_listing_and_others() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut extract = Extract::new(&out).unwrap();
        extract.entry(4, b"before").unwrap();
        extract
            .entry(5, &listing_of(5, &[("a/b.txt", 3), ("empty", 0)]))
            .unwrap();
        extract.entry(6, b"abc").unwrap();
        extract.entry(7, b"").unwrap();
        extract.entry(8, b"after").unwrap();
        extract.finish().unwrap();
        for (name, content) in [
            ("4", "before"),
            ("a/b.txt", "abc"),
            ("empty", ""),
            ("8", "after"),
        ] {
            assert_eq!(
                fs::read_to_string(out.join(name)).unwrap(),
                content,
                "{name}"
            );
        }
    }

    #[test]
    fn extract__joins_parts() {
        let dir = tempfile::tempdir().unwrap();
        let part = vec![7; 16 << 20];
        let mut extract = Extract::new(dir.path()).unwrap();
        extract
            .entry(0, &listing_of(0, &[("big", (16 << 20) + 2)]))
            .unwrap();
        extract.entry(1, &part).unwrap();
        extract.entry(2, b"xy").unwrap();
        extract.finish().unwrap();
        let big = fs::read(dir.path().join("big")).unwrap();
        assert_eq!((big.len(), &big[16 << 20..]), ((16 << 20) + 2, &b"xy"[..]));
    }

    #[test]
    fn extract__wrong_size_and_missing_files_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut extract = Extract::new(dir.path()).unwrap();
        extract
            .entry(0, &listing_of(0, &[("a", 3), ("b", 1)]))
            .unwrap();
        let said = extract.entry(1, b"four").unwrap_err().to_string();
        assert!(said.contains("4 bytes and not 3"), "{said}");
        let said = extract.finish().unwrap_err().to_string();
        assert!(said.starts_with("1 of the listed files"), "{said}");
    }

    #[test]
    fn extract__replaces_a_link_instead_of_following_it() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "safe").unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        std::os::unix::fs::symlink(&victim, out.join("9")).unwrap();
        Extract::new(&out).unwrap().entry(9, b"new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
        assert_eq!(fs::read_to_string(out.join("9")).unwrap(), "new");
    }
}
