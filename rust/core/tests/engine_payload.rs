// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Payloads that are copied from the frame to where they stay: what cannot be had counts for nothing,
//! and what was hashed is what is stored.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader};
use feed_core::engine::{Counter, Role, Rx};
use feed_core::Drop;
use harness::{mac_of, s, Author, Behind, Net, Rng};

const CREDIT: Credit = Credit {
    windows: 16,
    bytes: 1 << 20,
};

/// An author and a reader on one cable, every frame of which comes a first time without its end.
/// `damage`: a payload in twelve is wrong, so that windows go on chunk by chunk.
fn read_beside_stumps(seed: u64, mtu: usize, len: usize, damage: bool) -> Net {
    let mut net = Net::new(seed);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], mtu);
    net.route(reader, link, Some(author));
    let [from, to] = [author, reader].map(|node| {
        let member = net.links[link].members.iter().find(|(at, _)| *at == node);
        member.unwrap().1
    });
    let payload = Rng(seed).bytes(len);
    let mut feed = Author::new(23);
    let now = net.now;
    feed.append(now, &mut net.nodes[author], &payload);
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    if damage {
        net.links[link].damage = Some(Box::new(|bytes, rng| {
            let (_, rest) = Behind::split(bytes);
            if rest.left() > 512 && rng.chance(80) {
                let at = bytes.len() - 1 - rng.below(500) as usize;
                bytes[at] ^= 1;
            }
        }));
    }
    net.links[link].capture = Some(Vec::new());
    let rx = Rx {
        port: to,
        mac: mac_of(author, from),
        group: false,
    };
    let windows = len.div_ceil(32 << 10) as u64;
    let mut cursor = Reader::new(feed.id, 0);
    let mut seen = 0;
    let mut stumps = 0;
    while net.nodes[reader].world.count(Counter::Windows) < windows {
        net.with(reader, |engine, now, world| {
            cursor.pump(engine, now, &CREDIT, world);
        });
        assert!(net.step(net.now + s(10)), "nothing happens any more");
        let frames = net.links[link].capture.as_ref().unwrap()[seen..].to_vec();
        seen += frames.len();
        for frame in frames {
            let (head, mut rest) = Behind::split(&frame);
            if rest.left() > 512 {
                rest.there = rest.left() - 64;
                let node = &mut net.nodes[reader];
                node.engine
                    .on_frame_head(net.now, rx, head, &rest, &mut node.world);
                stumps += 1;
            }
        }
    }
    assert!(stumps >= len / mtu, "{stumps} frames without an end");
    let got = net.read(reader, &mut cursor, feed.id, 1, s(10));
    assert!(got[0].0 == payload);
    net.nodes[reader].world.check_blobs();
    net
}

#[test]
fn payload__without_its_end_counts_for_nothing() {
    for (seed, mtu) in [(1, 1500), (2, 9000)] {
        let net = read_beside_stumps(seed, mtu, 100 << 10, false);
        let world = &net.nodes[1].world;
        assert!(world.dropped(Drop::Truncated) > 0);
        // What was overwritten by a stump was asked for, not hashed.
        assert_eq!(world.dropped(Drop::BlobMismatch), 0);
        assert_eq!(world.count(Counter::ChunkMode), 0);
    }
}

#[test]
fn payload__without_its_end_in_chunk_mode() {
    let mut chunk_mode = 0;
    for seed in 1..6 {
        let net = read_beside_stumps(seed, 1500, 100 << 10, true);
        chunk_mode += net.nodes[1].world.count(Counter::ChunkMode);
    }
    assert!(chunk_mode > 3, "{chunk_mode} windows went chunk by chunk");
}
