// SPDX-License-Identifier: GPL-2.0
//! Line 9: entries of the own store, read by a program, beside the same bytes of a file in tmpfs.
//!
//! What is mapped is touched, a word of each page, and unmapped again, entry by entry.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use feed::{Append, Author, AuthorOptions, Reader, ReaderOptions, Seed};
use memmap2::MmapOptions;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{MsgFlags, MultiHeaders, recv, recvmmsg};
use nix::sys::uio::preadv;
use nix::unistd::pipe;

use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{inside, load_feed, new_namespace, remove_namespace, sh};

const NODE: &str = "bench-read";
const TMPFS: &str = "/run/bench-read";

/// Entries of one size, and the file of the same bytes.
struct Shelf {
    /// There is none natively.
    author: Option<Author>,
    file: File,
    size: usize,
    entries: usize,
    /// How often all of them are read.
    laps: usize,
    /// Entries that one call with many buffers takes.
    batch: usize,
}

/// How bytes are read.
#[derive(Clone, Copy)]
enum Way {
    Recv,
    Recvmmsg,
    SpliceFeed,
    MapFeed,
    Pread,
    Preadv,
    SpliceFile,
    MapFile,
}

const SMALL: usize = 0;
const LARGE: usize = 1;
const HUGE: usize = 2;

/// In the order of the cases.
const WAYS: [(Way, usize); 14] = [
    (Way::Recv, SMALL),
    (Way::Recvmmsg, SMALL),
    (Way::Pread, SMALL),
    (Way::Preadv, SMALL),
    (Way::Recv, LARGE),
    (Way::Recvmmsg, LARGE),
    (Way::Pread, LARGE),
    (Way::Preadv, LARGE),
    (Way::SpliceFeed, LARGE),
    (Way::SpliceFile, LARGE),
    (Way::MapFeed, LARGE),
    (Way::MapFile, LARGE),
    (Way::MapFeed, HUGE),
    (Way::MapFile, HUGE),
];

/// See the head of this file.
pub(crate) struct Reads {
    shelves: Vec<Shelf>,
}

impl Reads {
    pub(crate) fn new() -> Reads {
        Reads {
            shelves: Vec::new(),
        }
    }
}

impl Shelf {
    fn new(
        author: Option<Author>,
        size: usize,
        entries: usize,
        laps: usize,
        batch: usize,
    ) -> Result<Shelf> {
        let path = format!("{TMPFS}/{size}");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot make {path}"))?;
        for number in 0..entries {
            let payload = number.to_le_bytes().repeat(size / 8);
            file.write_all(&payload)?;
            let how = Append {
                more: number % 64 != 63,
                ..Append::default()
            };
            if let Some(author) = &author {
                author.append_with(&payload, how)?;
            }
        }
        Ok(Shelf {
            author,
            file,
            size,
            entries,
            laps,
            batch,
        })
    }

    fn reader(&self) -> Result<Reader> {
        let name = self.author.as_ref().context("there is no feed")?.name();
        inside(NODE, || Ok(ReaderOptions::new().open(name)?))
    }

    /// Seconds for one entry.
    fn measure(&self, way: Way) -> Result<f64> {
        let mut seconds = 0.0;
        for _ in 0..self.laps {
            seconds += match way {
                Way::Recv => self.by_recv()?,
                Way::Recvmmsg => self.by_recvmmsg()?,
                Way::Pread => self.by_pread()?,
                Way::Preadv => self.by_preadv()?,
                Way::SpliceFeed => self.by_splice(&self.reader()?)?,
                Way::SpliceFile => self.by_splice(&self.file)?,
                Way::MapFeed => self.by_feed_map()?,
                Way::MapFile => self.by_file_map()?,
            };
        }
        Ok(seconds / (self.laps * self.entries) as f64)
    }

    fn by_recv(&self) -> Result<f64> {
        let reader = self.reader()?;
        let mut buffer = vec![0; self.size];
        let begun = Instant::now();
        for number in 0..self.entries {
            let got = recv(reader.as_fd().as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            self.check(number, got, &buffer)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn by_recvmmsg(&self) -> Result<f64> {
        let reader = self.reader()?;
        let mut buffers = vec![vec![0; self.size]; self.batch];
        let mut headers = MultiHeaders::<()>::preallocate(self.batch, None);
        let begun = Instant::now();
        for first in (0..self.entries).step_by(self.batch) {
            let mut lens = Vec::with_capacity(self.batch);
            {
                let mut parts: Vec<_> = buffers
                    .iter_mut()
                    .map(|buffer| [IoSliceMut::new(buffer)])
                    .collect();
                let got = recvmmsg(
                    reader.as_fd().as_raw_fd(),
                    &mut headers,
                    parts.iter_mut(),
                    MsgFlags::empty(),
                    None,
                )?;
                lens.extend(got.map(|message| message.bytes));
            }
            ensure!(lens.len() == self.batch, "recvmmsg gave {}", lens.len());
            for (at, (len, buffer)) in lens.iter().zip(&buffers).enumerate() {
                self.check(first + at, *len, buffer)?;
            }
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn by_pread(&self) -> Result<f64> {
        let mut buffer = vec![0; self.size];
        let begun = Instant::now();
        for number in 0..self.entries {
            let got = self
                .file
                .read_at(&mut buffer, (number * self.size) as u64)?;
            self.check(number, got, &buffer)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn by_preadv(&self) -> Result<f64> {
        let mut buffers = vec![vec![0; self.size]; self.batch];
        let begun = Instant::now();
        for first in (0..self.entries).step_by(self.batch) {
            let mut parts: Vec<_> = buffers
                .iter_mut()
                .map(|buffer| IoSliceMut::new(buffer))
                .collect();
            let got = preadv(&self.file, &mut parts, (first * self.size) as i64)?;
            ensure!(got == self.batch * self.size, "preadv gave {got} bytes");
            for (at, buffer) in buffers.iter().enumerate() {
                self.check(first + at, self.size, buffer)?;
            }
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// From where it stands, or a file from its beginning, through a pipe to nowhere.
    fn by_splice(&self, from: &impl AsFd) -> Result<f64> {
        let (out, into) = roomy_pipe(self.size)?;
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        let is_file = from.as_fd().as_raw_fd() == self.file.as_raw_fd();
        let begun = Instant::now();
        for number in 0..self.entries {
            let mut offset = (number * self.size) as i64;
            let offset = is_file.then_some(&mut offset);
            let flags = SpliceFFlags::empty();
            let got = splice(from, offset, &into, None, self.size, flags)?;
            ensure!(got == self.size, "splice moved {got} bytes");
            let gone = splice(&out, None, &nowhere, None, self.size, flags)?;
            ensure!(gone == self.size, "splice took {gone} bytes");
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn by_feed_map(&self) -> Result<f64> {
        let reader = self.reader()?;
        let begun = Instant::now();
        for number in 0..self.entries {
            let entry = reader.map_at(number as u64, self.size)?;
            self.touch(number, &entry)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    fn by_file_map(&self) -> Result<f64> {
        let begun = Instant::now();
        for number in 0..self.entries {
            let mut how = MmapOptions::new();
            how.offset((number * self.size) as u64).len(self.size);
            // SAFETY: Nobody but us knows the file, and we have written it for the last time.
            let part = unsafe { how.map(&self.file) }?;
            self.touch(number, &part)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Reads a word of every page, which must be what was stored.
    fn touch(&self, number: usize, bytes: &[u8]) -> Result<()> {
        let wanted = number.to_le_bytes();
        let is_right = bytes.chunks(4_096).all(|page| page.starts_with(&wanted));
        ensure!(
            is_right && bytes.len() == self.size,
            "entry {number} is mapped with bytes that are not its own"
        );
        Ok(())
    }

    /// Whether it is what was stored.
    fn check(&self, number: usize, len: usize, bytes: &[u8]) -> Result<()> {
        let wanted = number.to_le_bytes();
        if len != self.size || !bytes.starts_with(&wanted) || !bytes.ends_with(&wanted) {
            bail!("entry {number} came with {len} bytes that are not its own");
        }
        Ok(())
    }
}

/// A pipe with room for so many bytes, and a page that they may begin in.
fn roomy_pipe(bytes: usize) -> Result<(OwnedFd, OwnedFd)> {
    let (out, into) = pipe()?;
    fcntl(&into, FcntlArg::F_SETPIPE_SZ((2 * bytes).try_into()?))?;
    Ok((out, into))
}

impl Line for Reads {
    fn number(&self) -> u32 {
        9
    }

    fn title(&self) -> &'static str {
        "local reads of 1 KiB, 64 KiB and 1 MiB entries"
    }

    fn cases(&self) -> Vec<Case> {
        let case = |(way, shelf)| {
            let size = ["1 KiB", "64 KiB", "1 MiB"][shelf];
            let (role, by) = match way {
                Way::Recv => (Role::Ours, "recv"),
                Way::Recvmmsg => (Role::Ours, "recvmmsg"),
                Way::SpliceFeed => (Role::Ours, "splice"),
                Way::Pread => (Role::Rival, "pread of tmpfs"),
                Way::Preadv => (Role::Rival, "preadv of as many, tmpfs"),
                Way::SpliceFile => (Role::Rival, "splice of tmpfs"),
                Way::MapFeed => (Role::Ours, "mmap"),
                Way::MapFile => (Role::Rival, "mmap of tmpfs"),
            };
            let case = Case::rate(role, &format!("{size} by {by}"), "entries/s");
            match role {
                Role::Rival => case.natively(Native::Shown),
                _ => case,
            }
        };
        WAYS.map(case).into()
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(0, 2, 0.7),
            reach(1, 2, 0.7),
            reach(4, 6, 0.7),
            reach(5, 6, 0.7),
            reach(8, 9, 0.8),
            reach(10, 11, 0.95),
            reach(12, 13, 0.95),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        if !how.native {
            load_feed()?;
            new_namespace(NODE)?;
        }
        let author = || {
            if how.native {
                return Ok(None);
            }
            let author = || Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?);
            inside(NODE, author).map(Some)
        };
        fs::create_dir_all(TMPFS)?;
        sh(&["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", TMPFS])?;
        let laps = if how.quick { 1 } else { 4 };
        self.shelves = vec![
            Shelf::new(author()?, 1 << 10, 4_096, laps, 64)?,
            Shelf::new(author()?, 64 << 10, 512, 2 * laps, 16)?,
            Shelf::new(author()?, 1 << 20, 32, 4 * laps, 4)?,
        ];
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let (way, shelf) = *WAYS.get(case).context("no such case")?;
        let shelf = self.shelves.get(shelf).context("nothing is stored")?;
        let seconds = shelf.measure(way)?;
        Ok(Sample {
            value: 1.0 / seconds,
            cpu_ns: Some(seconds * 1e9),
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.shelves.clear();
        remove_namespace(NODE);
        // What was not mounted need not be unmounted.
        let _ = sh(&["umount", TMPFS]);
        Ok(())
    }
}
