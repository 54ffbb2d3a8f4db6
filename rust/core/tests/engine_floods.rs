// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Floods, full stores and askers without a cookie: others keep their share.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Mac, Role, Rx, Sizes};
use feed_core::wire::{
    FrameBuilder, FrameHeader, FrameView, LookupHead, Message, Preamble, ANY_AGE,
};
use feed_core::Drop;
use harness::line::{check_all, line, Line};
use harness::{ms, s, Author, Net, Rng};

fn lookup_frame(nonce: u32, id: [u8; 32]) -> Vec<u8> {
    let mut buf = vec![0; 1500];
    let mut frame = FrameBuilder::new(&mut buf, 1500).unwrap();
    let pre = Preamble {
        nonce,
        token: feed_core::token::Token::from_u64(u64::from(nonce)),
        life_ms: 30_000,
        hop_limit: 10,
        id: feed_core::id::DiscoveryId(id),
    };
    let lookup = LookupHead {
        pre,
        at_least_epoch: 0,
        held_epoch: 0,
        at_least_n: 0,
        held_n: 0,
        max_age_ms: ANY_AGE,
    };
    assert!(lookup.emit(&mut frame));
    let built = frame.finish(&FrameHeader::default());
    buf.truncate(built.linear);
    buf
}

/// A neighbour that fills its quota pushes out its own lookups, nobody else's.
#[test]
fn quota__overflow_is_ones_own() {
    let mut net = Net::new(11);
    let cache = net.add(Role::Cache);
    let dark = net.add(Role::Host);
    let flooder = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let up = net.link(&[cache, dark], 1500);
    net.nodes[dark].on = false;
    let bad = net.link(&[cache, flooder], 1500);
    let good = net.link(&[cache, reader], 1500);
    net.route(cache, up, None);
    net.route(reader, good, None);
    let feed = Author::new(27);
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 0), ANY_AGE, 30_000, world)
    });
    net.run(ms(10));
    assert_eq!(net.nodes[cache].engine.pending_len(), 1);
    let port = net.port(bad);
    for nonce in 0..5000u32 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&nonce.to_le_bytes());
        let rx = Rx {
            port,
            mac: Mac([2, 7, 7, 7, 7, 7]),
            group: false,
        };
        net.inject(cache, rx, &lookup_frame(nonce + 1, id));
    }
    // The ports' half of the table, less what is kept for the other two.
    let half = Sizes::NAMESPACE.pending / 2;
    let quota = half - 2 * (half / 2 / 3);
    assert_eq!(net.nodes[cache].engine.waiting_len(), quota + 1);
    assert_eq!(net.nodes[cache].engine.pending_len(), quota + 1);
    // The first reader still waits: the data comes and reaches it.
    net.nodes[dark].on = true;
    let mut feed = Author::new(27);
    feed.append(net.now, &mut net.nodes[dark], b"late");
    assert!(net.run_until(s(10), |net| net.nodes[reader]
        .engine
        .feed_state(&id)
        .is_some_and(|feed| feed.head.is_some())));
    net.run(s(40));
    assert_eq!(net.nodes[cache].engine.pending_len(), 0);
    assert_eq!(net.nodes[cache].engine.waiting_len(), 0);
}

/// Random and mutated frames during a transfer: right bytes at the end, every drop has a reason.
#[test]
fn garbage__flood_during_a_transfer() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(12, 1500, &[200, 1024, 50 << 10], 60);
    for link in &mut net.links {
        link.capture = Some(Vec::new());
    }
    let mut rng = Rng(99);
    let mut cursor = Reader::new(feed.id, 0);
    let mut got = Vec::new();
    assert!(net.get_head(reader, feed.id, 60, s(5)));
    let mut sent = 0u64;
    for _ in 0..4000 {
        let left = 60 - got.len();
        if left > 0 && rng.chance(300) {
            got.extend(net.read(reader, &mut cursor, feed.id, left.min(1), ms(1)));
        }
        for _ in 0..10 {
            let link = rng.below(2) as usize;
            let node = if rng.chance(500) {
                cache
            } else if link == 0 {
                0
            } else {
                reader
            };
            let mut frame = match &net.links[link].capture {
                Some(known) if !known.is_empty() && rng.chance(800) => {
                    known[rng.below(known.len() as u64) as usize].clone()
                }
                _ => {
                    let len = 20 + rng.below(1400) as usize;
                    rng.bytes(len)
                }
            };
            for _ in 0..1 + rng.below(3) {
                let place = rng.below(frame.len() as u64) as usize;
                frame[place] = rng.next() as u8;
            }
            let port = net.port(link);
            let mac = Mac([2, 0, 0, rng.below(4) as u8, 0, port.0 as u8]);
            let rx = Rx {
                port,
                mac,
                group: rng.chance(100),
            };
            net.inject(node, rx, &frame);
            sent += 1;
        }
    }
    let left = 60 - got.len();
    got.extend(net.read(reader, &mut cursor, feed.id, left, s(60)));
    check_all(&mut net, &feed, &got);
    assert_eq!(got.len(), 60, "drops {:?}", net.nodes[reader].world.drops);
    let dropped: u64 = net
        .nodes
        .iter()
        .map(|node| node.world.drops.values().sum::<u64>())
        .sum();
    assert!(dropped > sent / 3, "{dropped} of {sent} were dropped");
    assert!(net.nodes[cache].engine.waiting_len() <= Sizes::NAMESPACE.downs);
}

/// Stores that refuse now and then only delay.
#[test]
fn store__full_now_and_then() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(13, 1500, &[200, 40 << 10, 1024], 40);
    net.nodes[cache].world.fail_every = 7;
    net.nodes[reader].world.fail_every = 9;
    assert!(net.get_head(reader, feed.id, 40, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 40, s(120));
    check_all(&mut net, &feed, &got);
    assert_eq!(got.len(), 40, "drops {:?}", net.nodes[reader].world.drops);
}

/// A cache whose store is full takes nothing, and says so.
#[test]
fn store__always_full() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(14, 1500, &[200, 40 << 10], 4);
    net.nodes[cache].world.full = true;
    assert!(
        net.get_head(reader, feed.id, 4, s(5)),
        "heads need no store"
    );
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 4, s(3));
    assert_eq!(got.len(), 0);
    let world = &net.nodes[cache].world;
    assert!(
        world.dropped(Drop::StoreFull) + world.dropped(Drop::NoPage) > 0,
        "drops {:?}",
        world.drops
    );
    assert!(net.nodes[cache].world.slots.is_empty() && net.nodes[cache].world.blobs.is_empty());
}

/// Without a cookie a lookup is worth one frame.
#[test]
fn cookie__one_frame_without() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(16, 1500, &[300], 32);
    assert!(net.get_head(reader, feed.id, 32, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    assert_eq!(net.read(reader, &mut cursor, feed.id, 32, s(5)).len(), 32);
    // Somebody else, without cookie, asks for the whole window.
    net.links[1].capture = Some(Vec::new());
    let mut fresh = Reader::new(feed.id, 0);
    net.nodes[reader].world.flush();
    net.read(reader, &mut fresh, feed.id, 32, s(5));
    let frames = net.links[1].capture.take().unwrap();
    let lookup = frames.iter().find(|frame| {
        FrameView::parse(frame).is_ok_and(|view| {
            view.messages()
                .flatten()
                .any(|m| matches!(m, Message::LookupRange(_)))
        })
    });
    let mut lookup = lookup.unwrap().clone();
    let port = net.port(1);
    for (echo, most) in [(false, 1), (true, 64)] {
        if !echo {
            lookup[8..16].fill(0);
        }
        let mac = if echo {
            Mac([2, 0, 0, reader as u8, 0, port.0 as u8])
        } else {
            Mac([2, 8, 8, 8, 8, 8])
        };
        net.links[1].seen = harness::Seen::default();
        let rx = Rx {
            port,
            mac,
            group: false,
        };
        net.inject(cache, rx, &lookup);
        let sent = net.links[1].seen.frames;
        assert!((1..=most).contains(&sent), "{sent} frames, echo {echo}");
    }
}
