// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Links with a rate: readers find it, leave no queue standing before it, share it, and ask for nothing
//! twice that is only slow.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader, Status};
use feed_core::engine::{Counter, Role};
use harness::{ms, s, Author, Net, Rng};

const CREDIT: Credit = Credit {
    windows: 32,
    bytes: 1 << 20,
};
/// What waits before a link at most, bytes: as much as a device with a thousand places holds.
const QUEUE: u64 = 1 << 20;
const ENTRY: usize = 256 << 10;

/// An author with a feed for each reader, all of them on one cable.
struct Cable {
    net: Net,
    link: usize,
    author: usize,
    readers: Vec<(usize, Author, Reader)>,
    rate: u64,
}

impl Cable {
    /// `rate` in bytes per second, `delay_ms` one way, `bytes` of content for each reader.
    fn new(seed: u64, readers: usize, rate: u64, delay_ms: u64, bytes: usize) -> Self {
        let mut net = Net::new(seed);
        let author = net.add(Role::Host);
        let nodes: Vec<_> = (0..readers).map(|_| net.add(Role::Host)).collect();
        let all: Vec<_> = [author].iter().chain(&nodes).copied().collect();
        let link = net.link(&all, 1500);
        net.links[link].rate = Some((rate, QUEUE));
        net.links[link].delay_us = ms(delay_ms);
        let mut rng = Rng(seed);
        let mut cable = Cable {
            link,
            author,
            rate,
            readers: Vec::new(),
            net,
        };
        for node in nodes {
            cable.net.route(node, link, Some(author));
            let mut feed = Author::new(node as u8);
            for _ in 0..bytes / ENTRY {
                feed.write(&mut cable.net.nodes[author].world, &rng.bytes(ENTRY));
            }
            let now = cable.net.now;
            feed.publish(now, &mut cable.net.nodes[author], false);
            let len = feed.payloads.len() as u64;
            assert!(cable.net.get_head(node, feed.id, len, s(5)));
            let reader = Reader::new(feed.id, 0);
            cable.readers.push((node, feed, reader));
        }
        cable
    }

    /// Has those of `active` read until the time is over or all is read. Gives when each was through.
    fn read(&mut self, active: std::ops::Range<usize>, for_us: u64) -> Vec<Option<u64>> {
        let until = self.net.now + for_us;
        let mut through = vec![None; active.len()];
        while self.net.now < until && through.contains(&None) {
            for (place, at) in active.clone().enumerate() {
                let (node, _, reader) = &mut self.readers[at];
                if through[place].is_some() {
                    continue;
                }
                let now = self.net.now;
                loop {
                    let status = self.net.with(*node, |engine, now, world| {
                        reader.pump(engine, now, &CREDIT, world)
                    });
                    match status {
                        Status::Ready { leaf, .. } => {
                            let (_, offset) = reader.position();
                            let piece = (leaf.len - offset).min(32 << 10);
                            reader.advance(piece, leaf.len);
                        }
                        Status::End | Status::NotYet => {
                            through[place] = Some(now);
                            break;
                        }
                        _ => break,
                    }
                }
            }
            let woken = |net: &mut Net, cable: &[(usize, Author, Reader)]| {
                cable
                    .iter()
                    .any(|(node, feed, _)| net.nodes[*node].world.woken.remove(&feed.id))
            };
            let left = (until - self.net.now).min(s(1));
            let readers = &self.readers;
            self.net.run_until(left, |net| woken(net, readers));
        }
        through
    }

    /// Bytes that a reader has read.
    fn read_by(&self, at: usize) -> u64 {
        let (seq, offset) = self.readers[at].2.position();
        seq * ENTRY as u64 + u64::from(offset)
    }

    /// How long frames waited before the cable, µs: half of them less.
    fn median_wait(&mut self) -> u64 {
        let mut waits = std::mem::take(&mut self.net.links[self.link].waits);
        waits.sort();
        waits[waits.len() / 2]
    }

    /// What went over the cable, by what is read.
    fn overhead(&self) -> f64 {
        let read: u64 = (0..self.readers.len()).map(|at| self.read_by(at)).sum();
        self.net.links[self.link].seen.bytes as f64 / read as f64
    }

    fn resent(&self) -> u64 {
        let nodes = self.readers.iter();
        nodes
            .map(|(node, ..)| self.net.nodes[*node].world.count(Counter::Resent))
            .sum()
    }
}

/// Reads ten seconds' worth alone: how many times as long it took, and how long frames waited.
fn alone(rate: u64, delay_ms: u64) -> (f64, u64, Cable) {
    let bytes = (rate as usize * 10).next_multiple_of(ENTRY);
    let mut cable = Cable::new(1, 1, rate, delay_ms, bytes);
    let begun = cable.net.now;
    let through = cable.read(0..1, s(60));
    let took = through[0].expect("it takes too long") - begun;
    assert_eq!(cable.read_by(0), bytes as u64);
    let wait = cable.median_wait();
    let ideal = bytes as u64 * 1_000_000 / rate;
    (took as f64 / ideal as f64, wait, cable)
}

#[test]
fn link__is_filled_and_no_queue_stands() {
    // What a window and one in the queue take, and what nobody notices.
    for (rate, delay_ms, wait_ms) in [
        (1_250_000, 20, 60),
        (1_250_000, 2, 90),
        (12_500_000, 1, 15),
        (12_500_000, 20, 25),
    ] {
        let (times, wait, cable) = alone(rate, delay_ms);
        assert!(
            times < 1.15,
            "{rate} B/s, {delay_ms} ms: {times} times as long"
        );
        assert!(
            wait < ms(wait_ms),
            "{rate} B/s, {delay_ms} ms: {wait} us in the queue"
        );
        assert!(cable.overhead() < 1.07, "{rate} B/s: {}", cable.overhead());
    }
}

/// A window takes a quarter of a second: the least that a reader has in flight is half a second.
#[test]
fn link__so_thin_that_windows_take_long() {
    let (times, wait, cable) = alone(125_000, 20);
    assert!(times < 1.2, "{times} times as long");
    assert!(wait < ms(1_200), "{wait} us in the queue");
    assert!(cable.overhead() < 1.1, "{}", cable.overhead());
}

/// Longer than the first time-out: what is only far away is not asked for again and again.
#[test]
fn way__longer_than_thought_is_learned() {
    let (_, _, cable) = alone(1_250_000, 400);
    assert!(cable.resent() < 40, "{} resent", cable.resent());
    assert!(cable.overhead() < 1.1, "{}", cable.overhead());
}

#[test]
fn link__is_shared() {
    let mut cable = Cable::new(3, 3, 2_500_000, 10, 40 << 20);
    cable.read(0..3, s(15));
    let read: Vec<u64> = (0..3).map(|at| cable.read_by(at)).collect();
    let (least, most) = (read.iter().min().unwrap(), read.iter().max().unwrap());
    // Who came to an empty link knows how short the way is, and is the most modest.
    assert!(*most < least * 3, "{read:?}");
    let all: u64 = read.iter().sum();
    assert!(all > 15 * cable.rate * 8 / 10, "{all}");
    let wait = cable.median_wait();
    assert!(wait < ms(220), "{wait} us in the queue");
}

/// Who comes later takes the others' queue for a part of the way, and gets his share all the same.
#[test]
fn link__is_shared_with_who_comes_later() {
    let mut cable = Cable::new(4, 2, 2_500_000, 10, 90 << 20);
    cable.read(0..1, s(12));
    let before = cable.read_by(0);
    cable.read(0..2, s(20));
    let (first, second) = (cable.read_by(0) - before, cable.read_by(1));
    assert!(first < second * 3 && second < first * 3, "{first} {second}");
}

/// Nearly all of the credit of a program that is slower than its link is here: that is counted once.
#[test]
fn reader__slower_than_its_link() {
    let mut cable = Cable::new(6, 1, 1_250_000_000, 0, 16 << 20);
    let (node, _, mut reader) = cable.readers.pop().unwrap();
    let before = cable.net.nodes[node].world.looks;
    let mut windows = 0;
    loop {
        let status = cable.net.with(node, |engine, now, world| {
            reader.pump(engine, now, &CREDIT, world)
        });
        match status {
            Status::Ready { leaf, .. } => {
                reader.advance(32 << 10, leaf.len);
                windows += 1;
            }
            Status::Waiting => {}
            status => {
                assert_eq!(status, Status::NotYet);
                break;
            }
        }
        cable.net.run(100);
    }
    assert_eq!(windows, (16 << 20) / (32 << 10));
    let looks = cable.net.nodes[node].world.looks - before;
    assert!(looks < 5 * windows, "{looks} for {windows}");
}

/// Of each entry the beginning is here, since somebody has looked into all of them: passing it makes no
/// room in flight.
#[test]
fn entries__that_are_here_in_part() {
    const HERE: usize = ENTRY * 3 / 4;
    let mut cable = Cable::new(7, 1, 1_250_000, 10, 32 << 20);
    let (node, feed, mut reader) = cable.readers.pop().unwrap();
    for seq in 0..feed.payloads.len() as u64 {
        reader.seek(seq, 0);
        while reader.position().1 < HERE as u32 {
            let status = cable.net.with(node, |engine, now, world| {
                let credit = Credit {
                    windows: 1,
                    bytes: 1,
                };
                reader.pump(engine, now, &credit, world)
            });
            match status {
                Status::Ready { leaf, .. } => reader.advance(32 << 10, leaf.len),
                status => assert_eq!(status, Status::Waiting),
            }
            cable.net.run(1_000);
        }
    }
    cable.net.run(s(2));
    cable.net.links[cable.link].waits.clear();
    let id = feed.id;
    cable.readers.push((node, feed, Reader::new(id, 0)));
    assert!(cable.read(0..1, s(60))[0].is_some());
    let wait = cable.median_wait();
    assert!(wait < ms(80), "{wait} us in the queue");
}

/// Loss is no reason to slow down.
#[test]
fn link__that_loses_is_filled_nearly() {
    let mut cable = Cable::new(5, 1, 1_250_000, 10, 10 << 20);
    cable.net.links[cable.link].loss = 10;
    let begun = cable.net.now;
    let took = cable.read(0..1, s(60))[0].expect("it takes too long") - begun;
    let ideal = (10u64 << 20) * 1_000_000 / cable.rate;
    assert!(took * 10 < ideal * 17, "{took} us instead of {ideal}");
}
