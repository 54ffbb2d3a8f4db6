// SPDX-License-Identifier: GPL-2.0
//! Line 8: appends of 100 B and 1 KiB, one by one and in batches of 64 under one head.
//!
//! *In the kernel* is what a send call takes, less what a system call that does nothing takes in
//! the same machine (getppid, measured before and after): User-Mode Linux needs 7 µs for one, which
//! says nothing about us. It is set beside a signature made by feed_bench.ko, in the same kernel.
//! One processor does all, so what passes is its time.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use feed::{Append, Author, AuthorOptions, Seed};
use io_uring::IoUring;
use io_uring::opcode::Send;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use nix::libc;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};
use nix::unistd::getppid;

use super::crypto;
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{inside, load_feed, new_namespace, remove_namespace};
use crate::rivals::{Appender, Root};

const NODE: &str = "bench-append";
/// Entries under one head, as the kernel takes them at most.
const BATCH: usize = 64;
/// What hypercore 11 does in a program of Node, appends/s: one by one at best, and 100 at a time.
const HYPERCORE_PER_S: f64 = 8_000.0;
const HYPERCORE_BATCH_PER_S: f64 = 77_000.0;

/// Batches that hypercore appends before it is measured.
const WARM_UP: usize = 50;

const SIZES: [usize; 2] = [100, 1024];

const KERNEL: usize = 0;
const SIGN: usize = 2;
const PROGRAM: usize = 3;
const MORE: usize = 5;
const MMSG: usize = 7;
const URING: usize = 9;
const HYPERCORE: usize = 11;
const HYPERCORE_BATCH: usize = 13;
const QUOTED: usize = 15;

/// See the head of this file.
pub(crate) struct Appends {
    author: Option<Author>,
    payload: [u8; 1024],
    singles: usize,
    batches: usize,
    rivals: Option<PathBuf>,
    hypercore: Option<(Appender, Root)>,
}

impl Appends {
    pub(crate) fn new() -> Appends {
        Appends {
            author: None,
            payload: [0; 1024],
            singles: 0,
            batches: 0,
            rivals: None,
            hypercore: None,
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.author = None;
        remove_namespace(NODE);
        new_namespace(NODE)?;
        self.author = Some(inside(NODE, || {
            Ok(AuthorOptions::new().new_feed().open(&Seed::generate()?)?)
        })?);
        Ok(())
    }

    /// A payload that was not stored before: the same bytes would be found in the store.
    fn next_payload(&mut self, size: usize) -> &[u8] {
        let mut number = [0; 8];
        number.copy_from_slice(&self.payload[..8]);
        let next = u64::from_le_bytes(number) + 1;
        self.payload[..8].copy_from_slice(&next.to_le_bytes());
        &self.payload[..size]
    }

    fn append(&mut self, size: usize, more: bool) -> Result<()> {
        let how = Append {
            more,
            ..Append::default()
        };
        self.next_payload(size);
        let author = self.author.as_ref().context("there is no feed")?;
        Ok(author.append_with(&self.payload[..size], how)?)
    }

    /// Seconds for one send of its own.
    fn single(&mut self, size: usize) -> Result<f64> {
        let begun = Instant::now();
        for _ in 0..self.singles {
            self.append(size, false)?;
        }
        Ok(begun.elapsed().as_secs_f64() / self.singles as f64)
    }

    fn by_more(&mut self, size: usize) -> Result<f64> {
        let begun = Instant::now();
        for _ in 0..self.batches {
            for at in 1..=BATCH {
                self.append(size, at != BATCH)?;
            }
        }
        Ok(begun.elapsed().as_secs_f64() / (self.batches * BATCH) as f64)
    }

    fn by_sendmmsg(&mut self, size: usize) -> Result<f64> {
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut payloads = vec![[0; 1024]; BATCH];
        let mut seconds = 0.0;
        for _ in 0..self.batches {
            for payload in &mut payloads {
                payload[..size].copy_from_slice(self.next_payload(size));
            }
            let author = self.author.as_ref().context("there is no feed")?;
            let begun = Instant::now();
            let parts: Vec<_> = payloads
                .iter()
                .map(|payload| [IoSlice::new(&payload[..size])])
                .collect();
            let sent = sendmmsg(
                author.as_fd().as_raw_fd(),
                &mut headers,
                &parts,
                [None; BATCH],
                [],
                MsgFlags::empty(),
            )?
            .count();
            seconds += begun.elapsed().as_secs_f64();
            ensure!(sent == BATCH, "sendmmsg sent {sent} of {BATCH}");
        }
        Ok(seconds / (self.batches * BATCH) as f64)
    }

    /// One submission of as many linked sends, so that they are made one after the other; all but
    /// the last with MSG_MORE, which a ring does not add by itself.
    fn by_io_uring(&mut self, size: usize) -> Result<f64> {
        let mut ring = IoUring::new(BATCH as u32)?;
        let mut payloads = vec![[0; 1024]; BATCH];
        let mut seconds = 0.0;
        for _ in 0..self.batches {
            for payload in &mut payloads {
                payload[..size].copy_from_slice(self.next_payload(size));
            }
            let author = self.author.as_ref().context("there is no feed")?;
            let fd = Fd(author.as_fd().as_raw_fd());
            let begun = Instant::now();
            for (at, payload) in payloads.iter().enumerate() {
                let (more, link) = if at + 1 < BATCH {
                    (libc::MSG_MORE, Flags::IO_LINK)
                } else {
                    (0, Flags::empty())
                };
                let send = Send::new(fd, payload.as_ptr(), size as u32)
                    .flags(more)
                    .build()
                    .flags(link);
                // SAFETY: The payloads stay where they are until all have been sent.
                unsafe { ring.submission().push(&send) }?;
            }
            ring.submit_and_wait(BATCH)?;
            let sent = ring
                .completion()
                .filter(|done| done.result() == size as i32)
                .count();
            seconds += begun.elapsed().as_secs_f64();
            ensure!(sent == BATCH, "io_uring sent {sent} of {BATCH}");
        }
        Ok(seconds / (self.batches * BATCH) as f64)
    }

    /// Seconds for one of hypercore's, which is started when it is first needed, and stays.
    fn by_hypercore(&mut self, size: usize, batch: usize) -> Result<f64> {
        let (appender, _) = match &mut self.hypercore {
            Some(hypercore) => hypercore,
            none => {
                let root = Root::enter(self.rivals.as_deref())?;
                let mut appender = Appender::new(&root)?;
                // Compiled is what has run often.
                appender.append(size, BATCH, WARM_UP * BATCH)?;
                none.insert((appender, root))
            }
        };
        let count = if batch == 1 {
            self.singles / 5
        } else {
            self.batches * BATCH
        };
        appender.append(size, batch, count)
    }

    /// Seconds for a system call that does nothing.
    fn null_call(&self) -> f64 {
        let begun = Instant::now();
        for _ in 0..self.singles {
            std::hint::black_box(getppid());
        }
        begun.elapsed().as_secs_f64() / self.singles as f64
    }

    fn in_kernel(&mut self, size: usize) -> Result<f64> {
        let before = self.null_call();
        let whole = self.single(size)?;
        let null = (before + self.null_call()) / 2.0;
        ensure!(
            whole > null,
            "a send took less than a call that does nothing"
        );
        Ok(whole - null)
    }
}

impl Line for Appends {
    fn number(&self) -> u32 {
        8
    }

    fn title(&self) -> &'static str {
        "appends of 100 B and 1 KiB: one by one, and 64 under one head"
    }

    fn cases(&self) -> Vec<Case> {
        let case = |role, name: &str| Case::rate(role, name, "appends/s");
        let hypercore = |name: &str| {
            let name = format!("{name}, hypercore");
            Case::of_rival(&name, "appends/s").natively(Native::Shown)
        };
        vec![
            case(Role::Ours, "100 B, one send, in the kernel"),
            case(Role::Ours, "1 KiB, one send, in the kernel"),
            Case::rate(Role::Floor, "Ed25519 sign, in the kernel", "/s"),
            case(Role::Ours, "100 B, one send, by a program"),
            case(Role::Ours, "1 KiB, one send, by a program"),
            case(Role::Ours, "100 B, 64 by MSG_MORE"),
            case(Role::Ours, "1 KiB, 64 by MSG_MORE"),
            case(Role::Ours, "100 B, 64 by sendmmsg"),
            case(Role::Ours, "1 KiB, 64 by sendmmsg"),
            case(Role::Ours, "100 B, 64 by io_uring"),
            case(Role::Ours, "1 KiB, 64 by io_uring"),
            hypercore("100 B, one by one"),
            hypercore("1 KiB, one by one"),
            hypercore("100 B, 64 at a time"),
            hypercore("1 KiB, 64 at a time"),
            case(Role::Quoted, "hypercore on another machine, one by one"),
            case(Role::Quoted, "hypercore on another machine, 100 at a time"),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(KERNEL, SIGN, 0.8),
            reach(KERNEL + 1, SIGN, 0.8),
            reach(MMSG, HYPERCORE_BATCH, 5.0),
            reach(MMSG + 1, HYPERCORE_BATCH + 1, 5.0),
            reach(URING, HYPERCORE_BATCH, 5.0),
            reach(URING + 1, HYPERCORE_BATCH + 1, 5.0),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        (self.singles, self.batches) = if how.quick { (1_000, 30) } else { (5_000, 150) };
        self.rivals.clone_from(&how.rivals);
        if how.native {
            return Ok(());
        }
        load_feed()
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        let ours = case < HYPERCORE;
        if case == KERNEL || ours && self.author.is_none() {
            // What is appended stays: a new store for each round.
            self.begin()?;
        }
        let size = |first: usize| SIZES.get(case - first).copied().context("no such case");
        let seconds = match case {
            KERNEL..SIGN => self.in_kernel(size(KERNEL)?)?,
            SIGN => crypto::signature_in_kernel(self.singles as u64)?,
            PROGRAM..MORE => self.single(size(PROGRAM)?)?,
            MORE..MMSG => self.by_more(size(MORE)?)?,
            MMSG..URING => self.by_sendmmsg(size(MMSG)?)?,
            URING..HYPERCORE => self.by_io_uring(size(URING)?)?,
            HYPERCORE..HYPERCORE_BATCH => self.by_hypercore(size(HYPERCORE)?, 1)?,
            HYPERCORE_BATCH..QUOTED => self.by_hypercore(size(HYPERCORE_BATCH)?, BATCH)?,
            QUOTED => 1.0 / HYPERCORE_PER_S,
            _ => 1.0 / HYPERCORE_BATCH_PER_S,
        };
        Ok(Sample {
            value: 1.0 / seconds,
            cpu_ns: (case < QUOTED).then_some(seconds * 1e9),
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.hypercore = None;
        self.author = None;
        remove_namespace(NODE);
        Ok(())
    }
}
