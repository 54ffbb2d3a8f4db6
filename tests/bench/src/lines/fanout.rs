// SPDX-License-Identifier: GPL-2.0
//! Line 10: one live feed and 1,000 readers on one node, beside one reader.
//!
//! Every reader is a thread in a receive call of its own. The last of them to have an entry says
//! when, so that an append costs all of them together one look at the clock, which is a system
//! call in this bed. One processor does all: what passes is its time. A wake-up is a thread that
//! waits for a counter to rise, is woken together with the others, and waits again.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use feed::{Author, Piece, Reader};

use super::live::{PACE, rest};
use crate::chain::Chain;
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{allow_open_files, cpu_time};
use crate::summary::{micros, quantile};

/// Readers of the larger crowd.
const READERS: usize = 1_000;
const ENTRY: usize = 100;
/// Of a reader's thread, which does next to nothing.
const STACK: usize = 64 << 10;

const ONE: usize = 0;
const ALL: usize = 1;
const EXTRA: usize = 2;
const WAKE: usize = 3;
const SENT: usize = 4;
const FRAMES: usize = 5;
const ONE_FRAME: usize = 6;
const RENEWALS: usize = 7;
const CASES: usize = 8;

/// Counts who has seen the present event; the last says when.
struct Tally {
    count: AtomicUsize,
    of: usize,
    tell: Mutex<Sender<Instant>>,
}

impl Tally {
    fn new(of: usize) -> (Arc<Tally>, Receiver<Instant>) {
        let (tell, done) = channel();
        let tally = Tally {
            count: AtomicUsize::new(0),
            of,
            tell: Mutex::new(tell),
        };
        (Arc::new(tally), done)
    }

    fn note(&self) {
        let before = self.count.fetch_add(1, Ordering::AcqRel);
        if (before + 1) % self.of == 0 {
            let now = Instant::now();
            let tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody listens any more once the line is torn down.
            let _ = tell.send(now);
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.into()).stack_size(STACK);
    Ok(builder.spawn(run)?)
}

/// A live feed and its readers.
struct Crowd {
    author: Author,
    done: Receiver<Instant>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn new(chain: &Chain, readers: usize) -> Result<Crowd> {
        let author = chain.new_author()?;
        let (tally, done) = Tally::new(readers);
        let mut crowd = Crowd {
            author,
            done,
            threads: Vec::new(),
        };
        let name = crowd.author.name();
        let readers: Result<Vec<Reader>> = (0..readers).map(|_| chain.new_reader(name)).collect();
        for reader in readers? {
            let tally = tally.clone();
            crowd
                .threads
                .push(spawn("reader", move || read(&reader, &tally))?);
        }
        Ok(crowd)
    }

    /// One append: how long until the last reader has it, µs.
    fn append(&self) -> Result<f64> {
        let begun = Instant::now();
        self.author.append(&[b'x'; ENTRY])?;
        let done = self
            .done
            .recv_timeout(Duration::from_secs(10))
            .context("some reader has not heard of an append")?;
        rest(begun, PACE);
        Ok(micros(done - begun))
    }

    fn end(self) -> Result<()> {
        self.author.finish()?;
        for thread in self.threads {
            ensure!(thread.join().is_ok(), "a reader has panicked");
        }
        Ok(())
    }
}

fn read(reader: &Reader, tally: &Tally) {
    let mut bytes = [0; ENTRY];
    while let Ok(Piece::Bytes { len: ENTRY, .. }) = reader.read(&mut bytes) {
        tally.note();
    }
}

/// Threads that wait for one counter to rise.
struct Sleepers {
    event: Arc<(Mutex<usize>, Condvar)>,
    done: Receiver<Instant>,
    threads: Vec<JoinHandle<()>>,
}

/// What the counter says when all is over.
const OVER: usize = usize::MAX;

impl Sleepers {
    fn new(number: usize) -> Result<Sleepers> {
        let event = Arc::new((Mutex::new(0), Condvar::new()));
        let (tally, done) = Tally::new(number);
        let mut threads = Vec::new();
        for _ in 0..number {
            let (event, tally) = (event.clone(), tally.clone());
            threads.push(spawn("sleeper", move || sleep(&event, &tally))?);
        }
        // Until all of them sleep.
        thread::sleep(Duration::from_millis(300));
        Ok(Sleepers {
            event,
            done,
            threads,
        })
    }

    fn set(&self, to: impl FnOnce(usize) -> usize) {
        let (counter, rises) = &*self.event;
        let mut counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
        *counter = to(*counter);
        drop(counter);
        rises.notify_all();
    }

    /// Wakes all: how long until the last has seen it, µs.
    fn wake(&self) -> Result<f64> {
        let begun = Instant::now();
        self.set(|counter| counter + 1);
        let done = self
            .done
            .recv_timeout(Duration::from_secs(10))
            .context("some thread was not woken")?;
        rest(begun, PACE);
        Ok(micros(done - begun))
    }

    fn end(self) -> Result<()> {
        self.set(|_| OVER);
        for thread in self.threads {
            ensure!(thread.join().is_ok(), "a thread has panicked");
        }
        Ok(())
    }
}

fn sleep((counter, rises): &(Mutex<usize>, Condvar), tally: &Tally) {
    let mut seen = 0;
    loop {
        let guard = counter.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = rises
            .wait_while(guard, |counter| *counter == seen)
            .unwrap_or_else(PoisonError::into_inner);
        seen = *guard;
        drop(guard);
        if seen == OVER {
            break;
        }
        tally.note();
    }
}

/// What a user would write instead: a program that sends each entry to each of its subscribers, by a
/// socket of this machine.
struct Daemon {
    subscribers: Vec<UnixDatagram>,
    done: Receiver<Instant>,
    threads: Vec<JoinHandle<()>>,
}

impl Daemon {
    fn new(number: usize) -> Result<Daemon> {
        let (tally, done) = Tally::new(number);
        let mut daemon = Daemon {
            subscribers: Vec::new(),
            done,
            threads: Vec::new(),
        };
        for _ in 0..number {
            let (here, there) = UnixDatagram::pair()?;
            let tally = tally.clone();
            daemon.subscribers.push(here);
            daemon.threads.push(spawn("subscriber", move || {
                let mut bytes = [0; ENTRY];
                while let Ok(ENTRY) = there.recv(&mut bytes) {
                    tally.note();
                }
            })?);
        }
        Ok(daemon)
    }

    /// One entry to all: how long until the last has it, µs.
    fn send(&self) -> Result<f64> {
        let begun = Instant::now();
        for subscriber in &self.subscribers {
            subscriber.send(&[b'x'; ENTRY])?;
        }
        let done = self
            .done
            .recv_timeout(Duration::from_secs(10))
            .context("some subscriber has not heard of an entry")?;
        rest(begun, PACE);
        Ok(micros(done - begun))
    }

    fn end(self) -> Result<()> {
        for subscriber in &self.subscribers {
            subscriber.send(&[])?;
        }
        for thread in self.threads {
            ensure!(thread.join().is_ok(), "a subscriber has panicked");
        }
        Ok(())
    }
}

/// See the head of this file.
pub(crate) struct Fanout {
    chain: Chain,
    crowds: Vec<Crowd>,
    sleepers: Vec<Sleepers>,
    daemons: Vec<Daemon>,
    appends: usize,
    /// Of this round.
    seen: [f64; CASES],
    /// CPU time of this program, which is both ends, for each append to either crowd, ns.
    cpu_ns: [f64; 2],
}

impl Fanout {
    pub(crate) fn new() -> Fanout {
        Fanout {
            chain: Chain::new("fan", 4, 1),
            crowds: Vec::new(),
            sleepers: Vec::new(),
            daemons: Vec::new(),
            appends: 0,
            seen: [0.0; CASES],
            cpu_ns: [0.0; 2],
        }
    }

    fn time_crowd(&mut self, which: usize) -> Result<()> {
        let crowd = self.crowds.get(which).context("there are no readers")?;
        let before = self.chain.author_frames()?;
        let mut times = Vec::new();
        let begun = cpu_time()?;
        for _ in 0..self.appends {
            times.push(crowd.append()?);
        }
        self.cpu_ns[which] = (cpu_time()? - begun).as_nanos() as f64 / self.appends as f64;
        let after = self.chain.author_frames()?;
        let each = |frames: u64| frames as f64 / self.appends as f64;
        self.seen[FRAMES] = each(after.0 - before.0);
        self.seen[RENEWALS] = each(after.1 - before.1);
        self.seen[which] = quantile(times, 0.5).context("nothing was timed")?;
        self.seen[EXTRA] = extra(self.seen[ONE], self.seen[ALL]);
        Ok(())
    }

    fn time_wakes(&mut self) -> Result<()> {
        let wakes = self.sleepers.iter().map(|sleepers| {
            let times = (0..self.appends).map(|_| sleepers.wake());
            times.collect::<Result<Vec<_>>>()
        });
        self.seen[WAKE] = further(wakes)?;
        Ok(())
    }

    fn time_daemons(&mut self) -> Result<()> {
        let sends = self.daemons.iter().map(|daemon| {
            let times = (0..self.appends).map(|_| daemon.send());
            times.collect::<Result<Vec<_>>>()
        });
        self.seen[SENT] = further(sends)?;
        Ok(())
    }
}

/// What each further one of a crowd costs, by the times of one alone and of all.
fn further(times: impl Iterator<Item = Result<Vec<f64>>>) -> Result<f64> {
    let mut medians = Vec::new();
    for times in times {
        medians.push(quantile(times?, 0.5).context("nothing was timed")?);
    }
    let [one, all] = medians[..] else {
        bail!("there is no crowd");
    };
    Ok(extra(one, all))
}

/// What each further one costs.
fn extra(one: f64, all: f64) -> f64 {
    (all - one) / (READERS - 1) as f64
}

impl Line for Fanout {
    fn number(&self) -> u32 {
        10
    }

    fn title(&self) -> &'static str {
        "one live feed, 20 appends/s, 1,000 readers on one node"
    }

    fn cases(&self) -> Vec<Case> {
        let ours = |name: &str, unit: &str| Case::cost(Role::Ours, name, unit);
        let floor = |name: &str, unit: &str| Case::cost(Role::Floor, name, unit);
        vec![
            ours("append to the one reader", "µs"),
            ours("append to the last of 1,000 readers", "µs"),
            ours("each further reader", "µs"),
            floor("waking one more thread of 1,000", "µs").natively(Native::Shown),
            Case::cost(
                Role::Rival,
                "a program sends it to one more of 1,000 local sockets",
                "µs",
            )
            .natively(Native::Shown),
            ours("frames pushed per append", "frames"),
            floor("one frame", "frames"),
            ours("frames that renew, per append", "frames"),
        ]
    }

    fn reaches(&self) -> Vec<Reach> {
        let reach = Reach::new;
        vec![
            reach(EXTRA, WAKE, 1.0),
            reach(EXTRA, SENT, 1.0),
            reach(FRAMES, ONE_FRAME, 1.0),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.appends = if how.quick { 6 } else { 40 };
        self.seen[ONE_FRAME] = 1.0;
        // A socket a reader, two a subscriber.
        allow_open_files(4 * READERS as u64)?;
        if !how.native {
            self.chain.set_up(how)?;
        }
        for number in [1, READERS] {
            if !how.native {
                self.crowds.push(Crowd::new(&self.chain, number)?);
            }
            self.sleepers.push(Sleepers::new(number)?);
            self.daemons.push(Daemon::new(number)?);
        }
        for crowd in &self.crowds {
            crowd.append()?;
        }
        for sleepers in &self.sleepers {
            sleepers.wake()?;
        }
        for daemon in &self.daemons {
            daemon.send()?;
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        match case {
            ONE | ALL => self.time_crowd(case)?,
            WAKE => self.time_wakes()?,
            SENT => self.time_daemons()?,
            _ => {}
        }
        let value = *self.seen.get(case).context("no such case")?;
        let cpu_ns = match case {
            ONE | ALL => Some(self.cpu_ns[case]),
            EXTRA => Some(extra(self.cpu_ns[ONE], self.cpu_ns[ALL])),
            WAKE | SENT => Some(value * 1e3),
            _ => None,
        };
        Ok(Sample { value, cpu_ns })
    }

    fn tear_down(&mut self) -> Result<()> {
        for crowd in self.crowds.drain(..) {
            crowd.end()?;
        }
        for sleepers in self.sleepers.drain(..) {
            sleepers.end()?;
        }
        for daemon in self.daemons.drain(..) {
            daemon.end()?;
        }
        self.chain.remove();
        Ok(())
    }
}
