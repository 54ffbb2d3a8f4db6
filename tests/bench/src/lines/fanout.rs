// SPDX-License-Identifier: GPL-2.0
//! Line 10: one live feed and 1,000 readers on one node, beside one reader.
//!
//! Every reader is a thread in a receive call of its own. The last of them to have an entry says
//! when, so that an append costs all of them together one look at the clock, which is a system
//! call in this bed. One processor does all: what passes is its time. A wake-up is a thread that
//! waits for a counter to rise, is woken together with the others, and waits again.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use feed::{Author, Piece, Reader};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};

use super::live::{PACE, rest};
use crate::chain::Chain;
use crate::line::{Case, How, Line, Native, Reach, Role, Sample};
use crate::machine::{allow_open_files, cpu_time, sh};
use crate::summary::{micros, quantile};

/// Readers of the larger crowd.
const READERS: usize = 1_000;
const ENTRY: usize = 100;
/// Of a reader's thread, which does next to nothing.
const STACK: usize = 64 << 10;
/// Multicast groups of this machine, 239.70.x.y; any would do.
const GROUPS: u32 = 239 << 24 | 70 << 16;
const GROUP_PORT: u16 = 7070;

const ONE: usize = 0;
const ALL: usize = 1;
const EXTRA: usize = 2;
const WAKE: usize = 3;
const SENT: usize = 4;
const GROUPED: usize = 5;
const FRAMES: usize = 6;
const ONE_FRAME: usize = 7;
const RENEWALS: usize = 8;
const CASES: usize = 9;

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

/// What a user could pick instead: subscribers, each with a socket of this machine and a thread in a
/// receive call.
struct Subscribers {
    /// Sends some bytes to all of them.
    send: Box<dyn Fn(&[u8]) -> Result<()>>,
    done: Receiver<Instant>,
    threads: Vec<JoinHandle<()>>,
}

impl Subscribers {
    /// Those of a program that sends each entry to each of them.
    fn of_daemon(number: usize) -> Result<Subscribers> {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..number {
            let (one, other) = UnixDatagram::pair()?;
            here.push(one);
            there.push(other);
        }
        let send = move |bytes: &[u8]| {
            here.iter().try_for_each(|socket| {
                socket.send(bytes)?;
                Ok(())
            })
        };
        Subscribers::new(there, |socket, bytes| socket.recv(bytes), send)
    }

    /// Those of a multicast group: the kernel hands one datagram to all of them.
    fn of_group(number: usize) -> Result<Subscribers> {
        let lo = Ipv4Addr::LOCALHOST;
        // Each crowd has a group of its own.
        let group = SocketAddrV4::new(Ipv4Addr::from_bits(GROUPS + number as u32), GROUP_PORT);
        let mut sockets = Vec::new();
        for _ in 0..number {
            let kind = (AddressFamily::Inet, SockType::Datagram);
            let socket = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, None)?;
            setsockopt(&socket, sockopt::ReuseAddr, &true)?;
            bind(socket.as_raw_fd(), &SockaddrIn::from(group))?;
            let socket = UdpSocket::from(socket);
            socket.join_multicast_v4(group.ip(), &lo)?;
            sockets.push(socket);
        }
        let sender = UdpSocket::bind((lo, 0))?;
        sender.connect(group)?;
        let send = move |bytes: &[u8]| {
            sender.send(bytes)?;
            Ok(())
        };
        Subscribers::new(sockets, |socket, bytes| socket.recv(bytes), send)
    }

    fn new<S: Send + 'static>(
        sockets: Vec<S>,
        receive: fn(&S, &mut [u8]) -> io::Result<usize>,
        send: impl Fn(&[u8]) -> Result<()> + 'static,
    ) -> Result<Subscribers> {
        let (tally, done) = Tally::new(sockets.len());
        let mut subscribers = Subscribers {
            send: Box::new(send),
            done,
            threads: Vec::new(),
        };
        for socket in sockets {
            let tally = tally.clone();
            subscribers.threads.push(spawn("subscriber", move || {
                let mut bytes = [0; ENTRY];
                // An empty datagram ends it.
                while let Ok(ENTRY) = receive(&socket, &mut bytes) {
                    tally.note();
                }
            })?);
        }
        Ok(subscribers)
    }

    /// One entry to all: how long until the last has it, µs.
    fn tell(&self) -> Result<f64> {
        let begun = Instant::now();
        (self.send)(&[b'x'; ENTRY])?;
        let done = self
            .done
            .recv_timeout(Duration::from_secs(10))
            .context("some subscriber has not heard of an entry")?;
        rest(begun, PACE);
        Ok(micros(done - begun))
    }

    fn end(self) -> Result<()> {
        (self.send)(&[])?;
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
    daemons: Vec<Subscribers>,
    groups: Vec<Subscribers>,
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
            groups: Vec::new(),
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

    /// What one more costs of two crowds, of one and of all.
    fn time_subscribers(&self, crowds: &[Subscribers]) -> Result<f64> {
        further(crowds.iter().map(|subscribers| {
            let times = (0..self.appends).map(|_| subscribers.tell());
            times.collect::<Result<Vec<_>>>()
        }))
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
            Case::cost(
                Role::Rival,
                "a UDP multicast reaches one more of 1,000 local sockets",
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
            Reach::told(EXTRA, GROUPED),
            reach(FRAMES, ONE_FRAME, 1.0),
        ]
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        self.appends = if how.quick { 6 } else { 40 };
        self.seen[ONE_FRAME] = 1.0;
        // A socket a reader and a member of the group, two a subscriber of the program.
        allow_open_files(5 * READERS as u64)?;
        sh(&["ip", "link", "set", "lo", "up"])?;
        if !how.native {
            self.chain.set_up(how)?;
        }
        for number in [1, READERS] {
            if !how.native {
                self.crowds.push(Crowd::new(&self.chain, number)?);
            }
            self.sleepers.push(Sleepers::new(number)?);
            self.daemons.push(Subscribers::of_daemon(number)?);
            self.groups.push(Subscribers::of_group(number)?);
        }
        for crowd in &self.crowds {
            crowd.append()?;
        }
        for sleepers in &self.sleepers {
            sleepers.wake()?;
        }
        for subscribers in self.daemons.iter().chain(&self.groups) {
            subscribers.tell()?;
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        match case {
            ONE | ALL => self.time_crowd(case)?,
            WAKE => self.time_wakes()?,
            SENT => self.seen[SENT] = self.time_subscribers(&self.daemons)?,
            GROUPED => self.seen[GROUPED] = self.time_subscribers(&self.groups)?,
            _ => {}
        }
        let value = *self.seen.get(case).context("no such case")?;
        let cpu_ns = match case {
            ONE | ALL => Some(self.cpu_ns[case]),
            EXTRA => Some(extra(self.cpu_ns[ONE], self.cpu_ns[ALL])),
            WAKE | SENT | GROUPED => Some(value * 1e3),
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
        for subscribers in self.daemons.drain(..).chain(self.groups.drain(..)) {
            subscribers.end()?;
        }
        self.chain.remove();
        Ok(())
    }
}
