// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Nodes with several engines: each feed is one engine's, and all of them are served.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Counter, Role};
use feed_core::wire::{FrameView, Message};
use feed_core::Drop;
use harness::siege::{frame, from, lookups, preamble, stranger};
use harness::{s, Author, Net};

/// author — cache — reader with several engines each, and feeds enough that no engine is idle.
struct Bed {
    net: Net,
    nodes: [usize; 3],
    feeds: Vec<Author>,
}

const FEEDS: u8 = 24;
const ENTRIES: u64 = 6;

fn bed(cpus: [usize; 3]) -> Bed {
    let mut net = Net::new(41);
    let [author, cache, reader] = [
        net.add_sharded(Role::Host, cpus[0]),
        net.add_sharded(Role::Cache, cpus[1]),
        net.add_sharded(Role::Host, cpus[2]),
    ];
    let up = net.link(&[author, cache], 1500);
    let down = net.link(&[cache, reader], 1500);
    net.route(cache, up, None);
    net.route(reader, down, None);
    let mut feeds: Vec<_> = (1..=FEEDS).map(Author::new).collect();
    for feed in &mut feeds {
        for entry in 0..ENTRIES {
            let len = [200, 3_000, 70_000][entry as usize % 3];
            let payload = vec![entry as u8 ^ feed.id.0[0]; len];
            feed.write(&mut net.nodes[author].world, &payload);
        }
        feed.publish(net.now, &mut net.nodes[author], false);
    }
    Bed {
        net,
        nodes: [author, cache, reader],
        feeds,
    }
}

#[test]
fn shards__every_feed_can_be_read() {
    for cpus in [[1, 2, 1], [2, 1, 2], [2, 2, 2]] {
        let Bed {
            mut net,
            nodes: [_, cache, reader],
            feeds,
        } = bed(cpus);
        for feed in &feeds {
            assert!(net.get_head(reader, feed.id, ENTRIES, s(5)), "no head");
            let mut cursor = Reader::new(feed.id, 0);
            let got = net.read(reader, &mut cursor, feed.id, ENTRIES as usize, s(20));
            let got: Vec<_> = got.into_iter().map(|(bytes, _)| bytes).collect();
            assert_eq!(got, feed.payloads);
        }
        // No engine of the cache knows a feed of another.
        let shards = net.nodes[cache].shards;
        for (shard, engine) in net.nodes[cache].engines().enumerate() {
            for feed in &feeds {
                let is_mine = shards.of(&feed.id) == shard;
                assert_eq!(engine.feed_state(&feed.id).is_some(), is_mine);
            }
        }
        assert_eq!(net.nodes[reader].world.dropped(Drop::Unsolicited), 0);
        assert_eq!(net.nodes[reader].world.dropped(Drop::BadToken), 0);
    }
}

/// One frame with lookups of many feeds: each is answered once, the frame is counted once.
#[test]
fn shards__a_frame_can_concern_several() {
    let Bed {
        mut net,
        nodes: [_, cache, reader],
        feeds,
    } = bed([1, 2, 1]);
    for feed in &feeds {
        assert!(net.get_head(reader, feed.id, ENTRIES, s(5)));
    }
    let world = &net.nodes[cache].world;
    let before = [Counter::FramesIn, Counter::LookupsIn, Counter::Hits].map(|c| world.count(c));
    let asked = &feeds[..12];
    let bytes = frame(|builder| {
        for (nonce, feed) in asked.iter().enumerate() {
            let lookup = feed_core::wire::LookupHead {
                pre: preamble(nonce as u32, feed.id),
                at_least_epoch: 0,
                held_epoch: 0,
                at_least_n: 1,
                held_n: 0,
                max_age_ms: feed_core::wire::ANY_AGE,
            };
            assert!(lookup.emit(builder));
        }
    });
    let port = net.port(1);
    net.links[1].capture = Some(Vec::new());
    net.inject(cache, from(port, stranger(1)), &bytes);
    let world = &net.nodes[cache].world;
    let after = [Counter::FramesIn, Counter::LookupsIn, Counter::Hits].map(|c| world.count(c));
    assert_eq!(
        [0, 1, 2].map(|at| after[at] - before[at]),
        [1, 12, 12],
        "frames, lookups, hits"
    );
    let answers = net.links[1].capture.take().unwrap();
    let mut tokens: Vec<_> = answers
        .iter()
        .flat_map(|bytes| FrameView::parse(bytes).unwrap().messages().flatten())
        .filter(|message| matches!(message, Message::Head(_)))
        .map(|message| message.token().to_u64())
        .collect();
    tokens.sort_unstable();
    assert_eq!(tokens, (0..12).collect::<Vec<u64>>());
}

/// A message that says nothing is counted once, whichever engine meets it.
#[test]
fn shards__bad_messages_are_counted_once() {
    let Bed {
        mut net,
        nodes: [_, cache, _],
        feeds,
    } = bed([1, 2, 1]);
    let mut bytes = frame(|builder| {
        for (nonce, feed) in feeds[..8].iter().enumerate() {
            let lookup = feed_core::wire::LookupCons {
                pre: preamble(nonce as u32, feed.id),
                epoch: 0,
                m: 1,
                n: 2,
            };
            assert!(lookup.emit(builder));
        }
    });
    // The last one's `m` is zero: out of range.
    let last = bytes.len() - 16;
    bytes[last..last + 8].fill(0);
    let port = net.port(1);
    net.inject(cache, from(port, stranger(1)), &bytes);
    assert_eq!(net.nodes[cache].world.dropped(Drop::OutOfRange), 1);
    assert_eq!(net.nodes[cache].world.count(Counter::LookupsIn), 7);
}

/// An answer cannot be passed to another engine than the one that asked.
#[test]
fn shards__tokens_name_their_engine() {
    let Bed {
        mut net,
        nodes: [author, cache, reader],
        feeds,
    } = bed([1, 2, 1]);
    net.nodes[author].on = false;
    net.links[0].capture = Some(Vec::new());
    for feed in &feeds {
        net.with_feed(reader, &feed.id, |engine, now, world| {
            engine.want_head(now, &feed.id, (0, 1), u64::MAX, 500, world)
        });
    }
    net.run(s(1) / 10);
    let asked = net.links[0].capture.take().unwrap();
    let lookups = lookups(&asked);
    assert!(lookups.len() >= usize::from(FEEDS));
    let shards = net.nodes[cache].shards;
    for pre in lookups {
        let slots = feed_core::engine::shards::SHARD_SLOTS;
        assert_eq!((pre.token.slot / slots) as usize, shards.of(&pre.id));
    }
}
