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
//! shell.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
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

/// What one flood has done to the rest.
#[derive(Clone, Copy)]
struct Seen {
    /// MB/s.
    transfer: f64,
    /// ms, of which a hundredth of all took longer.
    wait: f64,
    /// Per second.
    frames: f64,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Flood {
    content: Vec<u8>,
    chain: Option<Chain>,
    name: Option<Name>,
    /// Whose head the node asks for over the flooded port.
    wanted: Option<feed::Seed>,
    /// How long one flood lasts.
    length: Duration,
    /// Frames per second, of each kind.
    rates: Vec<f64>,
    /// This round's, of floor and ours.
    seen: [Option<Seen>; 2],
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
        let begun = Instant::now();
        while begun.elapsed() < self.length / 4 {
            generator.flood(ORDER)?;
        }
        Ok(swallow.swallowed()? as f64 / begun.elapsed().as_secs_f64())
    }

    /// Transfers, and what else is to be seen, while a flood goes on.
    fn endure(&self, kind: usize, ours: bool) -> Result<Seen> {
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
        let stop = AtomicBool::new(false);
        let begun = Instant::now();
        let (transfer, waits) = thread::scope(|scope| {
            let asker = match junk {
                Junk::Heads if ours => Some(self.ask(scope, &generator)?),
                _ => None,
            };
            let flood = scope.spawn(|| pour(&generator, rate, &stop));
            let waits = scope.spawn(|| start_programs(&stop));
            let transfer = self.transfer();
            stop.store(true, Relaxed);
            let flooded = flood.join();
            let waits = waits.join();
            if let Some(asker) = asker {
                let found = asker.join().map_err(|_| anyhow!("a thread has panicked"))?;
                ensure!(found.is_err(), "a junk head was taken");
            }
            flooded.map_err(|_| anyhow!("the flood has panicked"))??;
            let waits = waits.map_err(|_| anyhow!("a thread has panicked"))??;
            anyhow::Ok((transfer?, waits))
        })?;
        let frames = (handled()? - before) as f64 / begun.elapsed().as_secs_f64();
        Ok(Seen {
            transfer: transfer.value,
            wait: quantile(waits, 0.99).context("no program was started")?,
            frames,
        })
    }

    /// Has a program ask for the feed whose heads are junk; it waits in vain.
    fn ask<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        generator: &Generator,
    ) -> Result<ScopedJoinHandle<'s, Result<Reader>>> {
        let name = self.wanted.as_ref().context("nothing is wanted")?.name()?;
        let patience = self.length * 3;
        let options = ReaderOptions::new().timeout(patience);
        let asker = scope.spawn(move || inside(READER, || Ok(options.open(name)?)));
        let begun = Instant::now();
        while !generator.was_asked()? {
            ensure!(begun.elapsed() < patience, "nobody asks for the feed");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(asker)
    }

    /// As many transfers as fit.
    fn transfer(&self) -> Result<Sample> {
        let (chain, name) = (self.chain.as_ref(), self.name);
        let (chain, name) = chain.zip(name).context("there is no chain")?;
        let (mut bytes, mut time) = (0, Duration::ZERO);
        while time < self.length {
            chain.flush(1)?;
            time += chain.read(name, &self.content, ENTRY)?;
            bytes += self.content.len();
        }
        Ok(sample(bytes, time))
    }
}

/// Sends frames at this rate until told to stop.
fn pour(generator: &Generator, rate: f64, stop: &AtomicBool) -> Result<()> {
    let begun = Instant::now();
    let mut sent = 0;
    while !stop.load(Relaxed) {
        generator.flood(ORDER)?;
        sent += ORDER;
        let due = Duration::from_secs_f64(sent as f64 / rate);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Starts a small program again and again until told to stop: how long it took, ms, from the time
/// when its starter was to be woken.
fn start_programs(stop: &AtomicBool) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    while !stop.load(Relaxed) {
        let due = Instant::now() + PAUSE;
        thread::sleep(PAUSE);
        let status = Command::new("/bin/true").status()?;
        ensure!(status.success(), "/bin/true has failed");
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
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
        self.length = Duration::from_millis(how.work(1_000, 400, 200));
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
        let (kind, what) = (case / PER_KIND, case % PER_KIND);
        ensure!(kind < JUNK.len(), "no such case");
        if what < WAIT {
            self.want()?;
            self.seen[what] = Some(self.endure(kind, what == 1)?);
        }
        let Some(seen) = self.seen[what % 2] else {
            bail!("the transfer was not measured");
        };
        let value = match what - what % 2 {
            TRANSFER => seen.transfer,
            WAIT => seen.wait,
            FRAMES => seen.frames,
            _ => bail!("no such case"),
        };
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
