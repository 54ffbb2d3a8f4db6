// SPDX-License-Identifier: GPL-2.0
//! Line 6: the first byte of an entry of 100 bytes that no node on the way holds.
//!
//! The reader's socket is connected and its cursor is where the entry is to be; what is timed is
//! one receive call. Beside it stands a UDP ping-pong over the same hops, which IP forwards. Both
//! chains take turns, so that their difference is that of the hops and not of the moment.
//!
//! Two hops more are hardly seen beside system calls and a clock that shows quarters of a
//! microsecond. So the same is told of sixteen hops more, with the floor of such a chain:
//! handlers that hand all frames on without a look at them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use feed::{Append, EntryInfo, Piece, Reader, ReaderOptions};

use crate::chain::Chain;
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::inside;
use crate::ping::{Course, PING_BYTES, Signing};
use crate::relays::Relays;
use crate::summary::{micros, quantile};

/// Hops of the two chains that are judged.
const HOPS: [usize; 2] = [1, 3];
/// Hops of the one that tells what a hop costs.
const LONG: usize = 17;
/// Bytes of what answers a FOLLOW: a head, and an entry with one hash.
const PUSH_BYTES: u64 = 428;

const UDP: usize = 0;
const UDP_HOP: usize = 2;
const SIGNATURE: usize = 3;
const BOUND: usize = 4;
const NEWER: usize = 6;
const NEWER_HOP: usize = 8;
const COVERED: usize = 9;
const COVERED_HOP: usize = 11;
const UNKNOWN: usize = 12;
const UNKNOWN_HOP: usize = 14;
const LONG_UDP: usize = 15;
const RELAYED: usize = 16;
const LONG_NEWER: usize = 17;
const LONG_COVERED: usize = 18;
const CASES: usize = 19;

/// Times of one round, µs, a list for each of the two chains.
type Times = [Vec<f64>; 2];

/// Medians of one round's times, µs.
fn medians(times: Times) -> Result<[f64; 2]> {
    let mut medians = [0.0; 2];
    for (median, times) in medians.iter_mut().zip(times) {
        *median = quantile(times, 0.5).context("nothing was timed")?;
    }
    Ok(medians)
}

/// What each hop costs that the second chain has more.
fn each_more([few, many]: [f64; 2], hops: [usize; 2]) -> f64 {
    (many - few) / (hops[1] - hops[0]) as f64
}

/// See the head of this file.
pub(crate) struct Latency {
    courses: [Course; 2],
    long: Course,
    relays: Option<[Relays; 2]>,
    signing: Option<Signing>,
    samples: usize,
    /// Of this round, µs.
    seen: [f64; CASES],
}

impl Latency {
    pub(crate) fn new() -> Latency {
        Latency {
            courses: [
                Course::new(Chain::new("one", 1, HOPS[0])),
                Course::new(Chain::new("three", 2, HOPS[1])),
            ],
            long: Course::new(Chain::new("long", 3, LONG)),
            relays: None,
            signing: None,
            samples: 0,
            seen: [0.0; CASES],
        }
    }

    /// The chain of one hop, and another one.
    fn beside_one(&self, is_long: bool) -> [&Course; 2] {
        let [one, three] = &self.courses;
        [one, if is_long { &self.long } else { three }]
    }

    fn note(&mut self, first: usize, extra: usize, times: Times) -> Result<()> {
        let medians = medians(times)?;
        self.seen[first] = medians[0];
        self.seen[first + 1] = medians[1];
        self.seen[extra] = each_more(medians, HOPS);
        Ok(())
    }

    fn note_long(&mut self, extra: usize, times: Times) -> Result<()> {
        self.seen[extra] = each_more(medians(times)?, [HOPS[0], LONG]);
        Ok(())
    }

    fn time_udp(&self, is_long: bool) -> Result<Times> {
        let courses = self.beside_one(is_long);
        let mut times = Times::default();
        for _ in 0..self.samples * 4 {
            for (times, course) in times.iter_mut().zip(courses) {
                times.push(micros(course.ping()?));
            }
        }
        Ok(times)
    }

    fn time_relays(&mut self) -> Result<()> {
        let relays = self.relays.as_ref().context("there are no relays")?;
        let mut times = Times::default();
        for _ in 0..self.samples {
            for (times, relays) in times.iter_mut().zip(relays) {
                times.push(relays.there_and_back(16)? / 1e3);
            }
        }
        self.note_long(RELAYED, times)
    }

    fn time_signature(&mut self) -> Result<()> {
        let signing = self.signing.as_mut().context("there is no key")?;
        let head = signing.sign()?;
        let mut times = Vec::new();
        for _ in 0..self.samples {
            let begun = Instant::now();
            signing.check(&head)?;
            times.push(micros(begun.elapsed()));
        }
        self.seen[SIGNATURE] = quantile(times, 0.5).context("nothing was timed")?;
        for chain in 0..HOPS.len() {
            self.seen[BOUND + chain] = 2.0 * self.seen[UDP + chain] + self.seen[SIGNATURE];
        }
        Ok(())
    }

    fn time_entries(&self, is_long: bool) -> Result<Entries> {
        let courses = self.beside_one(is_long);
        let mut entries = Entries::default();
        for _ in 0..self.samples {
            for (at, course) in courses.into_iter().enumerate() {
                let feed = first_bytes(&course.chain)?;
                entries.unknown[at].push(micros(feed.unknown));
                entries.covered[at].push(micros(feed.covered));
                entries.newer[at].push(micros(feed.newer));
            }
        }
        Ok(entries)
    }
}

/// What one round has seen of entries.
#[derive(Default)]
struct Entries {
    newer: Times,
    covered: Times,
    unknown: Times,
}

/// What one feed is good for: each of these can be seen only once.
struct FirstBytes {
    /// Nobody has heard of the feed: socket, connect, receive.
    unknown: Duration,
    /// A head that covers the entry is held at every hop: hashes only.
    covered: Duration,
    /// An older head is held at every hop, the entry was appended since.
    newer: Duration,
}

fn first_bytes(chain: &Chain) -> Result<FirstBytes> {
    let author = chain.new_author()?;
    let name = author.name();
    let text = [b'x'; PING_BYTES];
    let more = Append {
        more: true,
        ..Append::default()
    };
    author.append_with(&text, more)?;
    author.append(&text)?;
    // At entry 1, so that entry 0 stays where it is.
    let (reader, unknown) = inside(&chain.reader(), || {
        let begun = Instant::now();
        let reader = ReaderOptions::new().from(1).open(name)?;
        let info = read(&reader)?;
        let took = begun.elapsed();
        ensure!(info.hops > 0, "entry 1 was here already");
        Ok((reader, took))
    })?;
    reader.seek(0, 0)?;
    let begun = Instant::now();
    let info = read(&reader)?;
    let covered = begun.elapsed();
    ensure!(info.hops > 0, "entry 0 was here already");
    reader.seek(2, 0)?;
    author.append(&text)?;
    // Nobody has followed the feed until now, so nobody was told.
    ensure!(reader.info()?.known == 2, "the newer head was here already");
    let begun = Instant::now();
    read(&reader)?;
    let newer = begun.elapsed();
    Ok(FirstBytes {
        unknown,
        covered,
        newer,
    })
}

fn read(reader: &Reader) -> Result<EntryInfo> {
    let mut bytes = [0; PING_BYTES];
    let Piece::Bytes { len, info, .. } = reader.read(&mut bytes)? else {
        bail!("the feed has ended");
    };
    ensure!(len == PING_BYTES, "{len} bytes were read");
    Ok(info)
}

impl Line for Latency {
    fn number(&self) -> u32 {
        6
    }

    fn title(&self) -> &'static str {
        "first byte of a 100 B entry that is not stored on the way"
    }

    fn cases(&self) -> Vec<Case> {
        let floor = |name: &str| Case::cost(Role::Floor, name, "µs").natively(Native::Shown);
        let ours = |name: &str| Case::cost(Role::Ours, name, "µs");
        vec![
            floor("UDP ping-pong, 1 hop"),
            floor("UDP ping-pong, 3 hops"),
            floor("IP forwarding, each further hop"),
            floor("one signature checked"),
            floor("two UDP ping-pongs and a signature, 1 hop"),
            floor("two UDP ping-pongs and a signature, 3 hops"),
            ours("older head known, 1 hop"),
            ours("older head known, 3 hops"),
            ours("older head known, each further hop"),
            ours("head over it known, 1 hop"),
            ours("head over it known, 3 hops"),
            ours("head over it known, each further hop"),
            ours("unknown feed with connect, 1 hop"),
            ours("unknown feed with connect, 3 hops"),
            ours("unknown feed with connect, each further hop"),
            floor("IP forwarding, each of sixteen further hops"),
            Case::cost(
                Role::Floor,
                "frames handed on without a look, each of sixteen further hops",
                "µs",
            ),
            ours("older head known, each of sixteen further hops"),
            ours("head over it known, each of sixteen further hops"),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(NEWER, BOUND, 1.0),
            reach(NEWER + 1, BOUND + 1, 1.0),
            reach(NEWER_HOP, UDP_HOP, 2.0),
            Reach::told(LONG_NEWER, LONG_UDP),
            Reach::told(LONG_NEWER, RELAYED),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.samples = if how.quick { 50 } else { 200 };
        for course in self.courses.iter_mut().chain([&mut self.long]) {
            course.set_up(how)?;
        }
        self.signing = Some(Signing::new()?);
        if how.native {
            return Ok(());
        }
        self.relays = Some([
            Relays::new("relay", HOPS[0], PUSH_BYTES)?,
            Relays::new("relays", LONG, PUSH_BYTES)?,
        ]);
        // Neighbours, cookies and the store's first segments.
        self.time_entries(false)?;
        self.time_entries(true)?;
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        match case {
            UDP => self.note(UDP, UDP_HOP, self.time_udp(false)?)?,
            SIGNATURE => self.time_signature()?,
            NEWER => {
                let seen = self.time_entries(false)?;
                self.note(NEWER, NEWER_HOP, seen.newer)?;
                self.note(COVERED, COVERED_HOP, seen.covered)?;
                self.note(UNKNOWN, UNKNOWN_HOP, seen.unknown)?;
            }
            LONG_UDP => self.note_long(LONG_UDP, self.time_udp(true)?)?,
            RELAYED => self.time_relays()?,
            LONG_NEWER => {
                let seen = self.time_entries(true)?;
                self.note_long(LONG_NEWER, seen.newer)?;
                self.note_long(LONG_COVERED, seen.covered)?;
            }
            _ => {}
        }
        let value = *self.seen.get(case).context("no such case")?;
        // One processor does all and waits for nothing: what passes is its time.
        Ok(Sample {
            value,
            cpu_ns: Some(value * 1e3),
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.relays = None;
        for course in self.courses.iter_mut().chain([&mut self.long]) {
            course.remove();
        }
        Ok(())
    }
}
