// SPDX-License-Identifier: GPL-2.0
//! Line 14: a good transfer over one port while another one is flooded with junk.
//!
//! The reader's node is a cache with two ports: one leads to the author, the other to whoever floods.
//! Beside it the same transfer runs while the same flood goes into a packet handler that drops all
//! without a look. There is one processor: who floods is a program as any other, and pays for what
//! its frames cost. So the flood has a rate, which is half of what the floor can take when it has the
//! processor for itself; frames that were handled are counted, for who cannot take them has slowed
//! the flood down.
//!
//! Junk is good but for one thing. Heads answer a lookup that a program of the node keeps asking, and
//! have a signature that is a good one of another head. Answers are full frames whose tokens are
//! guessed, of slots that are in use. Lookups are for feeds that nobody has.
//!
//! Meanwhile a small program is started again and again: as long as that takes somebody waits at a
//! shell. Floor and ours take turns, some starts each: the slowest of a hundred are what the machine's
//! host does beside, which is to meet both alike.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use feed::{Name, Reader, ReaderOptions};
use feed_core::head::Head;
use feed_core::id::{DiscoveryId, Hash};
use feed_core::sign::Seed;
use feed_core::token::Token;
use feed_core::wire;
use feed_core::wire::{Answer, BlobData, FrameBuilder, FrameHeader, LookupHead, Preamble};
use serde_json::Value;

use crate::generator::{self, Change, Generator};
use crate::line::{Case, How, Line, Reach, Role, Sample};
use crate::machine::{cable, inside, load_feed, mac, sh, sh_in};
use crate::summary::quantile;
use crate::transfer::{Chain, content, sample};

const AUTHOR: &str = "flood-author";
const READER: &str = "flood-reader";
const MTU: u32 = 1500;
const ENTRY: usize = 64 << 10;
/// The devices of the cable to the node's second port, and of the floor's.
const OURS: [&str; 2] = ["junk0", "junk1"];
const FLOOR: [&str; 2] = ["swallow0", "swallow1"];
/// Addresses that junk comes from: more than a node remembers.
const SOURCES: u64 = 4096;
/// Frames of one order: a fraction of a millisecond.
const ORDER: u64 = 128;
/// How long a flood goes on that has the processor for itself.
const ALONE: Duration = Duration::from_millis(250);
/// How long a program asks in vain at most, which is longer than any flood.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before a flood. The bed is preferred by its host, but when it has been busy for a second the host
/// gives the processor to whoever else wants it, for 50 ms, and the slowest starts would tell of
/// nothing else. A flood takes half a second; who rests between them keeps the processor.
const REST: Duration = Duration::from_millis(80);
/// Between two starts of the small program.
const PAUSE: Duration = Duration::from_millis(10);

/// Where things stand in a frame, behind the Ethernet header.
mod at {
    use feed_core::wire::{ANSWER_PREAMBLE_LEN, FRAME_HEADER_LEN, LOOKUP_PREAMBLE_LEN};

    /// Of a lookup.
    pub(super) const NONCE: usize = FRAME_HEADER_LEN + 4;
    pub(super) const LOOKUP_TOKEN: usize = FRAME_HEADER_LEN + 8;
    pub(super) const ID: usize = FRAME_HEADER_LEN + LOOKUP_PREAMBLE_LEN - 32;
    /// Of an answer.
    pub(super) const TOKEN: usize = FRAME_HEADER_LEN + 8;
    /// Of a head in an answer.
    pub(super) const LENGTH: usize = FRAME_HEADER_LEN + ANSWER_PREAMBLE_LEN + 8;
    pub(super) const ROOT: usize = FRAME_HEADER_LEN + ANSWER_PREAMBLE_LEN + 64;
}

/// The kinds of junk.
#[derive(Clone, Copy)]
enum Junk {
    Heads,
    Answers,
    Lookups,
}

const JUNK: [(Junk, &str); 3] = [
    (Junk::Heads, "heads"),
    (Junk::Answers, "answers"),
    (Junk::Lookups, "lookups"),
];

/// Cases of one kind.
const PER_KIND: usize = 6;
const TRANSFER: usize = 0;
const WAIT: usize = 2;
const FRAMES: usize = 4;

/// What was seen beside floods.
#[derive(Default)]
struct Seen {
    /// Of all transfers.
    bytes: usize,
    reading: Duration,
    /// How long each program took to start, ms.
    waits: Vec<f64>,
    /// Frames that were handled.
    frames: u64,
    flooded: Duration,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Flood {
    content: Vec<u8>,
    chain: Option<Chain>,
    name: Option<Name>,
    /// Whose head the node asks for over the flooded port.
    wanted: Option<feed::Seed>,
    /// Floods of one round and kind, for floor and ours each, and programs that are started beside one.
    turns: usize,
    starts: usize,
    /// Frames per second, of each kind.
    rates: Vec<f64>,
    /// What was seen and not told yet, by case: all that is of one flood is measured together.
    told: [Option<f64>; JUNK.len() * PER_KIND],
}

impl Flood {
    /// Chooses whose head is asked for next. Each time another one: who was answered with junk
    /// does not ask that way again for a while.
    fn want(&mut self) -> Result<()> {
        let seed = feed::Seed::generate()?;
        let text = seed.name()?.to_string();
        sh_in(READER, &["feedctl", "route", "add", &text, "dev", OURS[1]])?;
        self.wanted = Some(seed);
        Ok(())
    }

    fn frame(&self, junk: Junk) -> Result<(Vec<u8>, Vec<(usize, Change)>)> {
        let mut bytes = vec![0; MTU as usize];
        let mut frame = FrameBuilder::new(&mut bytes, MTU as usize).context("no room")?;
        let answer = Answer {
            hops: 1,
            token: Token::default(),
        };
        let random = |first: usize| (0..4).map(move |word| (first + 8 * word, Change::Random));
        let (fits, places) = match junk {
            Junk::Heads => {
                let seed = self.wanted.as_ref().context("nothing is wanted")?;
                let seed = Seed::new(*seed.as_bytes()).map_err(|e| anyhow!("no key: {e:?}"))?;
                let head = Head {
                    flags: 0,
                    epoch: 0,
                    n: 1,
                    time: 0,
                    next_by: 0,
                    name: feed_core::id::Name(seed.public_key().0),
                    root: Hash([7; 32]),
                };
                let head = head
                    .sign(&seed)
                    .map_err(|e| anyhow!("cannot sign: {e:?}"))?;
                let message = wire::Head {
                    answer,
                    unchecked: false,
                    bytes: &head.bytes,
                };
                let mut places = vec![(at::TOKEN, Change::Token), (at::LENGTH, Change::Number)];
                places.extend(random(at::ROOT));
                (message.emit(&mut frame), places)
            }
            Junk::Answers => {
                let data = [0x5a; 1_408];
                let message = BlobData {
                    answer,
                    window: 0,
                    offset: 0,
                    payload: wire::Payload::Bytes(&data),
                };
                (message.emit(&mut frame), vec![(at::TOKEN, Change::Guess)])
            }
            Junk::Lookups => {
                let message = LookupHead {
                    pre: Preamble {
                        nonce: 0,
                        token: Token::default(),
                        life_ms: 4_000,
                        hop_limit: 32,
                        id: DiscoveryId([0; 32]),
                    },
                    at_least_epoch: 0,
                    held_epoch: 0,
                    at_least_n: 0,
                    held_n: 0,
                    max_age_ms: wire::ANY_AGE,
                };
                let mut places = vec![
                    (at::NONCE, Change::Random),
                    (at::LOOKUP_TOKEN, Change::Random),
                ];
                places.extend(random(at::ID));
                (message.emit(&mut frame), places)
            }
        };
        ensure!(fits, "a frame has no room for one message");
        let built = frame.finish(&FrameHeader::default());
        bytes.truncate(built.linear);
        Ok((bytes, places))
    }

    /// Makes a flood ready that goes to the node's port or to the floor.
    fn generator(&self, junk: Junk, ours: bool) -> Result<Generator> {
        let (bytes, places) = self.frame(junk)?;
        let generator = Generator::new()?;
        let ([near, far], namespace) = if ours {
            (OURS, Some(READER))
        } else {
            (FLOOR, None)
        };
        generator.junk(near, mac(far, namespace)?, SOURCES, &places, &bytes)?;
        Ok(generator)
    }

    /// What the floor takes of it when nothing else is done, frames per second.
    fn most(&self, junk: Junk) -> Result<f64> {
        let swallow = Generator::new()?;
        swallow.swallow(FLOOR[1])?;
        let generator = self.generator(junk, false)?;
        thread::sleep(REST);
        let begun = Instant::now();
        while begun.elapsed() < ALONE {
            generator.flood(ORDER)?;
        }
        Ok(swallow.swallowed()? as f64 / begun.elapsed().as_secs_f64())
    }

    /// What is to be seen while a flood goes on: of floor and ours in turn, or of ours alone.
    fn endure(&mut self, kind: usize, with_floor: bool) -> Result<()> {
        let mut seen = [Seen::default(), Seen::default()];
        for _ in 0..self.turns {
            if with_floor {
                self.turn(kind, false, &mut seen[0])?;
            }
            self.want()?;
            self.turn(kind, true, &mut seen[1])?;
        }
        for (whose, seen) in seen.into_iter().enumerate().skip(usize::from(!with_floor)) {
            let first = kind * PER_KIND + whose;
            self.told[first + TRANSFER] = Some(sample(seen.bytes, seen.reading).value);
            self.told[first + WAIT] = quantile(seen.waits, 0.99);
            self.told[first + FRAMES] = Some(seen.frames as f64 / seen.flooded.as_secs_f64());
        }
        Ok(())
    }

    /// Programs are started, one after the other, beside a flood and transfers.
    fn turn(&self, kind: usize, ours: bool, seen: &mut Seen) -> Result<()> {
        let (junk, _) = JUNK[kind];
        let rate = self.rates[kind];
        let swallow = Generator::new()?;
        swallow.swallow(FLOOR[1])?;
        let generator = self.generator(junk, ours)?;
        let handled = || {
            if ours {
                received()
            } else {
                swallow.swallowed()
            }
        };
        let before = handled()?;
        thread::sleep(REST);
        let asker = match junk {
            Junk::Heads if ours => Some(self.ask(&generator)?),
            _ => None,
        };
        let (enough, dry) = (AtomicBool::new(false), AtomicBool::new(false));
        let (waits, transfer, flooded) = thread::scope(|scope| {
            let flood = scope.spawn(|| pour(&generator, rate, &dry));
            let transfer = scope.spawn(|| self.transfer(&enough));
            // Each start has both beside it, from its beginning to its end.
            let waits = start_programs(self.starts);
            enough.store(true, Relaxed);
            let transfer = join(transfer);
            dry.store(true, Relaxed);
            (waits, transfer, join(flood))
        });
        seen.waits.extend(waits?);
        let (bytes, reading) = transfer?;
        seen.bytes += bytes;
        seen.reading += reading;
        seen.frames += handled()? - before;
        seen.flooded += flooded?;
        if let Some(asker) = asker {
            ensure!(asker.head().is_err(), "a junk head was taken");
        }
        Ok(())
    }

    /// Has a program ask for the feed whose heads are junk, as long as what is returned is kept.
    fn ask(&self, generator: &Generator) -> Result<Reader> {
        let name = self.wanted.as_ref().context("nothing is wanted")?.name()?;
        let options = ReaderOptions::new().nonblocking().timeout(PATIENCE);
        let asker = inside(READER, || Ok(options.open(name)?))?;
        let begun = Instant::now();
        while !generator.was_asked()? {
            ensure!(begun.elapsed() < PATIENCE, "nobody asks for the feed");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(asker)
    }

    /// Transfers until it is enough, at least one: bytes, and the time that reading took.
    fn transfer(&self, enough: &AtomicBool) -> Result<(usize, Duration)> {
        let (chain, name) = (self.chain.as_ref(), self.name);
        let (chain, name) = chain.zip(name).context("there is no chain")?;
        let (mut bytes, mut time) = (0, Duration::ZERO);
        while bytes == 0 || !enough.load(Relaxed) {
            chain.flush(1)?;
            time += chain.read(name, &self.content, ENTRY)?;
            bytes += self.content.len();
        }
        Ok((bytes, time))
    }
}

/// Sends frames at this rate until told to stop: for how long.
fn pour(generator: &Generator, rate: f64, dry: &AtomicBool) -> Result<Duration> {
    let begun = Instant::now();
    let mut sent = 0;
    while !dry.load(Relaxed) {
        generator.flood(ORDER)?;
        sent += ORDER;
        let due = Duration::from_secs_f64(sent as f64 / rate);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(begun.elapsed())
}

/// Starts a small program so many times: how long it took, ms, from the time when its starter was to
/// be woken.
fn start_programs(count: usize) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let due = Instant::now() + PAUSE;
        thread::sleep(PAUSE);
        let status = Command::new("/bin/true").status()?;
        ensure!(status.success(), "/bin/true has failed");
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread
        .join()
        .map_err(|_| anyhow!("a thread has panicked"))?
}

/// Frames that came by the node's second port.
fn received() -> Result<u64> {
    let said = sh_in(READER, &["feedctl", "-j", "port", "show"])?;
    let ports: Vec<Value> = serde_json::Deserializer::from_str(&said)
        .into_iter()
        .collect::<Result<_, _>>()?;
    let port = ports.iter().find(|port| port["dev"] == OURS[1]);
    let frames = port.and_then(|port| port["rx"]["frames"].as_u64());
    frames.with_context(|| format!("no frames of {} in {said}", OURS[1]))
}

impl Line for Flood {
    fn number(&self) -> u32 {
        14
    }

    fn title(&self) -> &'static str {
        "a good transfer while another port is flooded with junk"
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (_, name) in JUNK {
            for (role, whose) in [(Role::Floor, "all dropped"), (Role::Ours, "AF_FEED")] {
                cases.push(Case::rate(
                    role,
                    &format!("transfer beside junk {name}, {whose}"),
                    "MB/s",
                ));
            }
            for (role, whose) in [(Role::Floor, "all dropped"), (Role::Ours, "AF_FEED")] {
                cases.push(Case::cost(
                    role,
                    &format!("a program started beside junk {name}, p99, {whose}"),
                    "ms",
                ));
            }
            for (role, whose) in [(Role::Floor, "all dropped"), (Role::Ours, "AF_FEED")] {
                cases.push(Case::rate(
                    role,
                    &format!("junk {name} handled, {whose}"),
                    "frames/s",
                ));
            }
        }
        cases
    }

    fn reaches(&self) -> Vec<Reach> {
        let mut reaches = Vec::new();
        for kind in 0..JUNK.len() {
            let first = kind * PER_KIND;
            for (case, bound) in [(TRANSFER, 0.7), (WAIT, 2.0)] {
                reaches.push(Reach::new(first + case + 1, first + case, bound));
            }
            reaches.push(Reach::told(first + FRAMES + 1, first + FRAMES));
        }
        reaches
    }

    fn set_up(&mut self, how: &How) -> Result<()> {
        load_feed()?;
        generator::load()?;
        (self.turns, self.starts) = how.work((6, 18), (3, 10), (1, 10));
        self.content = content(how.work(64 << 20, 16 << 20, 1 << 20));
        let mut chain = Chain::new(&[AUTHOR, READER], MTU)?;
        self.name = Some(chain.append(&self.content, ENTRY)?);
        self.chain = Some(chain);
        sh_in(READER, &["feedctl", "role", "set", "cache"])?;
        cable(OURS[0], OURS[1], Some(READER), MTU)?;
        cable(FLOOR[0], FLOOR[1], None, MTU)?;
        sh_in(READER, &["feedctl", "port", "add", OURS[1]])?;
        self.want()?;
        for (junk, _) in JUNK {
            let rate = self.most(junk)? / 2.0;
            self.rates.push(rate);
        }
        Ok(())
    }

    fn measure(&mut self, case: usize) -> Result<Sample> {
        if self.told.get(case).context("no such case")?.is_none() {
            self.endure(case / PER_KIND, case % 2 == 0)?;
        }
        let value = self.told[case].take().context("nothing was seen")?;
        Ok(Sample {
            value,
            cpu_ns: None,
        })
    }

    fn tear_down(&mut self) -> Result<()> {
        self.wanted = None;
        self.chain = None;
        // What was not made need not go.
        let _ = sh(&["ip", "link", "del", FLOOR[0]]);
        Ok(())
    }
}
