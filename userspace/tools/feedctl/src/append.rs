// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `append`: files, lines, a directory or standard input become entries.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use feed::{Append as How, Author, AuthorOptions, ENTRY_MAX};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::cli::{Append, When};
use crate::failure::{Failure, Result};
use crate::headfile::HeadFile;
use crate::key;
use crate::listing;
use crate::output::Output;

/// Entries that one head covers, when many are at hand.
const BATCH: u64 = 64;

/// How often to try again while the node fetches what the last head covers.
const STALE_RETRY: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Appended {
    feed: String,
    first: u64,
    entries: u64,
    bytes: u64,
    r#final: bool,
}

impl fmt::Display for Appended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entries {
            0 => writeln!(f, "{}", self.feed),
            1 => writeln!(f, "{}/{}", self.feed, self.first),
            n => writeln!(f, "{}/{} and {} more", self.feed, self.first, n - 1),
        }
    }
}

/// `append`
pub fn run(args: &Append, output: Output) -> Result<()> {
    let mut writer = Writer::open(args)?;
    let appended = if let Some(dir) = &args.dir {
        append_dir(&mut writer, dir, output)
    } else if args.files.is_empty() {
        append_stream(
            &mut writer,
            args.lines,
            &mut BufReader::new(io::stdin()),
            Path::new("standard input"),
        )
    } else {
        append_files(&mut writer, args, output)
    };
    if appended.is_err() && writer.entries > 0 {
        // What was appended before the failure is appended: the head must not be forgotten.
        writer.keep_head()?;
    }
    appended?;
    if args.finish {
        writer.author.finish()?;
        writer.keep_head()?;
    }
    output.show(&Appended {
        feed: writer.author.name().to_string(),
        first: writer.first,
        entries: writer.entries,
        bytes: writer.bytes,
        r#final: args.finish,
    })
}

/// An author that keeps its head.
struct Writer {
    author: Author,
    file: HeadFile,
    how: How,
    /// Until when a node that knows too little may still learn.
    deadline: Option<Instant>,
    first: u64,
    entries: u64,
    bytes: u64,
}

impl Writer {
    fn open(args: &Append) -> Result<Writer> {
        let seed = key::read(&args.key)?;
        let file = HeadFile::beside(&args.key);
        let head = file.load(seed.name()?)?;
        if let (true, Some(head)) = (args.new, &head) {
            return Err(Failure::Said(format!(
                "{} says that this feed has {} entries already; leave out --new",
                file.path().display(),
                head.n()
            )));
        }
        let mut options = AuthorOptions::new();
        if args.new {
            options = options.new_feed();
        }
        if let Some(head) = head {
            options = options.head(head);
        }
        let author = options.open(&seed).map_err(|e| not_known(e, &file))?;
        let writer = Writer {
            first: author.info()?.next,
            author,
            file,
            how: How {
                time: match args.time {
                    When::Now => None,
                    When::At(ms) => Some(ms),
                },
                app_flags: args.bits,
                more: false,
            },
            deadline: head.map(|_| Instant::now() + Duration::from_millis(args.timeout)),
            entries: 0,
            bytes: 0,
        };
        if args.new {
            // Binding has signed the head of the empty feed. From here on --new would be wrong.
            writer.keep_head()?;
        }
        Ok(writer)
    }

    /// The seq of the next entry.
    fn next(&self) -> u64 {
        self.first + self.entries
    }

    /// Appends one entry. With `more`, the head is left to a later entry of the batch.
    fn append(&mut self, data: &[u8], more: bool) -> Result<()> {
        let more = more && (self.entries + 1) % BATCH != 0;
        let how = How { more, ..self.how };
        loop {
            match self.author.append_with(data, how) {
                Ok(()) => break,
                Err(e) if e.is_stale() && self.deadline.is_some_and(|end| Instant::now() < end) => {
                    thread::sleep(STALE_RETRY);
                }
                Err(e) => return Err(not_known(e, &self.file)),
            }
        }
        if self.entries == 0 {
            // What the head file did not know, the node may have learnt by now.
            self.first = self.author.info()?.next.saturating_sub(1);
        }
        self.entries += 1;
        self.bytes += data.len() as u64;
        if more { Ok(()) } else { self.keep_head() }
    }

    fn keep_head(&self) -> Result<()> {
        self.file.save(&self.author.head()?)
    }
}

/// A node that does not know how far the feed has got needs another word from the person.
fn not_known(error: feed::Error, file: &HeadFile) -> Failure {
    if !error.is_stale() {
        return error.into();
    }
    Failure::Said(if file.path().exists() {
        format!(
            "the entries that {} covers are neither in this node's store nor found in the network; \
             check links and routes, or wait longer (--timeout MS)",
            file.path().display()
        )
    } else {
        format!(
            "this node knows nothing of the feed: if it was never appended to, say --new; else restore {}",
            file.path().display()
        )
    })
}

fn append_files(writer: &mut Writer, args: &Append, output: Output) -> Result<()> {
    let bar = output.progress_entries(args.files.len() as u64, "append");
    for (index, path) in args.files.iter().enumerate() {
        if path.as_os_str() == "-" {
            append_stream(
                writer,
                args.lines,
                &mut BufReader::new(io::stdin()),
                Path::new("standard input"),
            )?;
        } else {
            let file = File::open(path).map_err(|e| Failure::file("open", path, &e))?;
            if args.lines {
                append_stream(writer, true, &mut BufReader::new(file), path)?;
            } else {
                let more = index + 1 < args.files.len();
                let data = read_entry(file, path)?;
                writer.append(&data, more)?;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn append_stream(
    writer: &mut Writer,
    lines: bool,
    from: &mut BufReader<impl Read>,
    path: &Path,
) -> Result<()> {
    if !lines {
        let data = read_entry(from, path)?;
        return writer.append(&data, false);
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = ENTRY_MAX as u64 + 2;
        let got = from
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(|e| Failure::file("read", path, &e))?;
        if got == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        check_len(line.len() as u64, path)?;
        // A line that is at hand already joins the batch; one that may take its time does not
        // hold this one back.
        let more = from.buffer().contains(&b'\n');
        writer.append(&line, more)?;
    }
}

/// Reads what becomes one entry.
fn read_entry(from: impl Read, path: &Path) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    from.take(ENTRY_MAX as u64 + 1)
        .read_to_end(&mut data)
        .map_err(|e| Failure::file("read", path, &e))?;
    check_len(data.len() as u64, path)?;
    Ok(data)
}

fn check_len(len: u64, path: &Path) -> Result<()> {
    if len <= ENTRY_MAX as u64 {
        return Ok(());
    }
    Err(Failure::Said(format!(
        "{} is too long: an entry is at most 16 MiB; put the file in a directory and use --dir, which \
         splits it",
        path.display()
    )))
}

fn append_dir(writer: &mut Writer, dir: &Path, output: Output) -> Result<()> {
    let files = walk(dir)?;
    let total = files.iter().map(|(_, size)| size).sum();
    let items = listing::plan(writer.next(), files);
    let text = listing::format(&items);
    if text.len() > ENTRY_MAX {
        return Err(Failure::Said(format!(
            "{} has too many files for one listing (16 MiB); append its parts one by one",
            dir.display()
        )));
    }
    let at = writer.next();
    let bar = output.progress(total, "append");
    writer.append(text.as_bytes(), !items.is_empty())?;
    if writer.first != at {
        // The node knew of more entries than the head file; the listing points to wrong places.
        return Err(Failure::Said(format!(
            "the feed had got further than {} said; the head is kept now: run the command again",
            writer.file.path().display()
        )));
    }
    for (index, item) in items.iter().enumerate() {
        let last_file = index + 1 == items.len();
        append_parts(writer, &dir.join(&item.path), item, last_file, &bar)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Appends one file of a directory, in parts of 16 MiB.
fn append_parts(
    writer: &mut Writer,
    path: &Path,
    item: &listing::Item,
    last: bool,
    bar: &ProgressBar,
) -> Result<()> {
    let mut file = File::open(path).map_err(|e| Failure::file("open", path, &e))?;
    let mut left = item.size;
    for part in 0..item.parts {
        let len = left.min(ENTRY_MAX as u64);
        left -= len;
        let mut data = Vec::new();
        file.by_ref()
            .take(len)
            .read_to_end(&mut data)
            .map_err(|e| Failure::file("read", path, &e))?;
        let last_part = part + 1 == item.parts;
        let grown = last_part
            && file
                .read(&mut [0])
                .map_err(|e| Failure::file("read", path, &e))?
                != 0;
        if data.len() as u64 != len || grown {
            return Err(Failure::Said(format!(
                "{} changed while it was being appended; the listing in entry {} does not hold: run the \
                 command again",
                path.display(),
                writer.first
            )));
        }
        writer.append(&data, !(last && last_part))?;
        bar.inc(len);
    }
    Ok(())
}

/// Every regular file below `dir`, with its size, sorted by the bytes of its path.
fn walk(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for found in walkdir::WalkDir::new(dir) {
        let cannot = |e: walkdir::Error| {
            Failure::Said(format!("cannot walk through {}: {e}", dir.display()))
        };
        let found = found.map_err(cannot)?;
        let kind = found.file_type();
        if kind.is_dir() {
            continue;
        }
        let path = found
            .path()
            .strip_prefix(dir)
            .unwrap_or(found.path())
            .to_owned();
        if path.as_os_str().is_empty() {
            return Err(Failure::Said(format!(
                "{} is no directory; leave out --dir",
                dir.display()
            )));
        }
        if !kind.is_file() {
            eprintln!(
                "feedctl: {} is no regular file and is left out",
                found.path().display()
            );
            continue;
        }
        let size = found.metadata().map_err(cannot)?.len();
        files.push((path, size));
    }
    files.sort_unstable_by(|a, b| a.0.as_os_str().cmp(b.0.as_os_str()));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn walk__sorted_by_bytes_without_links() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a/z", "a-", "a/b/c", "A"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        std::os::unix::fs::symlink("b", dir.path().join("link")).unwrap();
        let found = walk(dir.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|(path, size)| (path.to_str().unwrap(), *size))
            .collect();
        assert_eq!(
            names,
            [("A", 1), ("a-", 2), ("a/b/c", 5), ("a/z", 3), ("b", 1)]
        );
    }

    #[test]
    fn walk__a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = walk(file.path()).unwrap_err().to_string();
        assert!(said.contains("leave out --dir"), "{said}");
    }

    #[test]
    fn entry__too_long_says_what_to_do() {
        let said = read_entry(io::repeat(0), Path::new("big.iso"))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("big.iso") && said.contains("16 MiB") && said.contains("--dir"),
            "{said}"
        );
        assert_eq!(
            read_entry(io::repeat(7).take(ENTRY_MAX as u64), Path::new("x"))
                .unwrap()
                .len(),
            ENTRY_MAX
        );
    }
}
