// SPDX-License-Identifier: GPL-2.0
//! Line 7: from an append to a reader who waits for it on the next node.
//!
//! Both ends are in one machine and have one clock: the time goes from before the append call to
//! after the receive call. What stands beside it does at the same pace what cannot be left out: a
//! datagram there and back, a signature made, a signature checked. Both take turns within a pace, for
//! the slowest of a hundred are what the machine's host does, which is to meet both alike.

use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use feed::{Author, Reader};

use crate::chain::Chain;
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::cpu_time;
use crate::ping::{Course, PING_BYTES, Signing};
use crate::summary::{micros, quantile};

/// From one append to the next.
pub(super) const PACE: Duration = Duration::from_millis(50);

const PARTS: usize = 0;
const MADE: usize = 1;
const FLOOR: usize = 3;
const OURS: usize = 5;
const CASES: usize = 7;

/// See the head of this file.
pub(crate) struct Live {
    course: Course,
    signing: Option<Signing>,
    author: Option<Author>,
    arrivals: Option<Receiver<Instant>>,
    reader: Option<JoinHandle<()>>,
    appends: usize,
    /// What was seen and not told yet, µs: all cases of a round are measured together.
    seen: [Option<f64>; CASES],
    /// CPU time of this program, which is all ends, for each of the floor's turns and our appends, ns.
    cpu_ns: [f64; 2],
}

impl Live {
    pub(crate) fn new() -> Live {
        Live {
            course: Course::new(Chain::new("live", 3, 1)),
            signing: None,
            author: None,
            arrivals: None,
            reader: None,
            appends: 0,
            seen: [None; CASES],
            cpu_ns: [0.0; 2],
        }
    }

    /// Both in turn, half a pace apart; or ours alone.
    fn time(&mut self, with_floor: bool) -> Result<()> {
        let mut parts: [Vec<f64>; 3] = Default::default();
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        let mut cpu = [Duration::ZERO; 2];
        for _ in 0..self.appends {
            let begun = Instant::now();
            let before = cpu_time()?;
            if with_floor {
                let times = self.time_floor()?;
                for (part, time) in parts.iter_mut().zip(times) {
                    part.push(micros(time));
                }
                floor.push(micros(times.iter().sum()));
            }
            rest(begun, PACE / 2);
            let between = cpu_time()?;
            if self.author.is_some() {
                ours.push(micros(self.time_append()?));
            }
            rest(begun, PACE);
            cpu[0] += between - before;
            cpu[1] += cpu_time()? - between;
        }
        for (to, time) in self.cpu_ns.iter_mut().zip(cpu) {
            *to = time.as_nanos() as f64 / self.appends as f64;
        }
        for (at, part) in parts.into_iter().enumerate() {
            self.seen[PARTS + at] = quantile(part, 0.5);
        }
        for (first, times) in [(FLOOR, floor), (OURS, ours)] {
            for (at, tau) in [0.5, 0.99].into_iter().enumerate() {
                self.seen[first + at] = quantile(times.clone(), tau);
            }
        }
        Ok(())
    }

    /// A ping, a signature made, a signature checked.
    fn time_floor(&mut self) -> Result<[Duration; 3]> {
        let signing = self.signing.as_mut().context("there is no key")?;
        let begun = Instant::now();
        self.course.ping()?;
        let pinged = Instant::now();
        let head = signing.sign()?;
        let signed = Instant::now();
        signing.check(&head)?;
        Ok([pinged - begun, signed - pinged, signed.elapsed()])
    }

    /// From before an append to after the reader's call.
    fn time_append(&self) -> Result<Duration> {
        let author = self.author.as_ref().context("there is no feed")?;
        let arrivals = self.arrivals.as_ref().context("there is no reader")?;
        let begun = Instant::now();
        author.append(&[b'x'; PING_BYTES])?;
        let came = arrivals
            .recv_timeout(Duration::from_secs(5))
            .context("the reader has not heard of an append")?;
        Ok(came - begun)
    }
}

/// Sleeps until so long after `begun`.
pub(super) fn rest(begun: Instant, long: Duration) {
    thread::sleep(long.saturating_sub(begun.elapsed()));
}

/// Reads to the end of the feed and says when each entry came.
fn read(reader: Reader) -> Result<(JoinHandle<()>, Receiver<Instant>)> {
    let (tell, arrivals) = channel();
    let thread = thread::Builder::new()
        .name("reader".into())
        .spawn(move || {
            let mut bytes = [0; PING_BYTES];
            while let Ok(feed::Piece::Bytes {
                len: PING_BYTES,
                end: true,
                ..
            }) = reader.read(&mut bytes)
            {
                if tell.send(Instant::now()).is_err() {
                    break;
                }
            }
        })?;
    Ok((thread, arrivals))
}

impl Line for Live {
    fn number(&self) -> u32 {
        7
    }

    fn title(&self) -> &'static str {
        "100 B append to a live reader on the next node, 20 appends/s"
    }

    fn cases(&self) -> Vec<Case> {
        let floor = |name: &str| Case::cost(Role::Floor, name, "µs").natively(Native::Shown);
        let ours = |name: &str| Case::cost(Role::Ours, name, "µs");
        vec![
            floor("UDP ping-pong"),
            floor("signature made"),
            floor("signature checked"),
            floor("the three one after the other, p50"),
            floor("the three one after the other, p99"),
            ours("append to reader, p50"),
            ours("append to reader, p99"),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![reach(OURS, FLOOR, 1.3), reach(OURS + 1, FLOOR + 1, 1.3)]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.appends = if how.quick { 40 } else { 200 };
        self.course.set_up(how)?;
        self.signing = Some(Signing::new()?);
        if how.native {
            return Ok(());
        }
        let author = self.course.chain.new_author()?;
        let reader = self.course.chain.new_reader(author.name())?;
        let (thread, arrivals) = read(reader)?;
        self.author = Some(author);
        self.reader = Some(thread);
        self.arrivals = Some(arrivals);
        // The first append finds a FOLLOW on its way and caches that are empty.
        for _ in 0..5 {
            let begun = Instant::now();
            self.time_append()?;
            rest(begun, PACE);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        if self.seen.get(case).context("no such case")?.is_none() {
            self.time(case < OURS)?;
        }
        let value = self.seen[case].take().context("nothing was timed")?;
        let cpu_ns = match case {
            // The thread at the other end has to be woken first.
            PARTS => None,
            // Nothing but this program's work.
            MADE..FLOOR => Some(value * 1e3),
            FLOOR..OURS => Some(self.cpu_ns[0]),
            _ => Some(self.cpu_ns[1]),
        };
        Ok(Sample { value, cpu_ns })
    }

    fn tear_down(&mut self) -> Result<()> {
        // The reader's call ends with the feed.
        let ended = self.author.take().map(|author| author.finish());
        let reader = self.reader.take();
        if let (Some(Ok(())), Some(reader)) = (ended, reader) {
            ensure!(reader.join().is_ok(), "the reader has panicked");
        }
        self.course.remove();
        Ok(())
    }
}
