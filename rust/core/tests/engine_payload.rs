// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Payloads that are copied from the frame to where they stay: what cannot be had counts for nothing,
//! and what was hashed is what is stored.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader};
use feed_core::engine::limits::LONG_PAUSE_US;
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

/// A reader and its author on a link of MTU 1500, and a cache between them. `uncut`: whether the links carry
/// long frames; `loss` in a thousand.
fn read_long_frames(uncut: bool, loss: u64) -> Net {
    const LEN: usize = 300_000;
    let mut net = Net::new(31);
    let roles = [Role::Host, Role::Cache, Role::Host];
    let [author, cache, reader] = roles.map(|role| net.add(role));
    for (lower, upper) in [(cache, author), (reader, cache)] {
        let link = net.link(&[upper, lower], 1500);
        net.allow_uncut(link);
        net.links[link].uncut = uncut;
        net.route(lower, link, Some(upper));
    }
    let payload = Rng(31).bytes(LEN);
    let mut feed = Author::new(31);
    let now = net.now;
    feed.append(now, &mut net.nodes[author], &payload);
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    for link in &mut net.links {
        link.loss = loss;
    }
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 1, s(30));
    assert!(got[0].0 == payload);
    for node in &net.nodes {
        node.world.check_blobs();
        assert_eq!(node.world.count(Counter::ChunkMode), 0);
    }
    net
}

#[test]
fn payload__a_window_in_one_frame() {
    let net = read_long_frames(true, 0);
    for link in &net.links {
        // Ten windows; the first one is asked for without a cookie, and gets a frame of the link's.
        let data = link.seen.of("blob-data");
        assert!((10..=12).contains(&data), "{data} frames with payload");
    }
    let net = read_long_frames(true, 60);
    assert!(net.nodes[2].world.count(Counter::Resent) > 0);
}

#[test]
fn payload__a_window_in_one_frame_that_is_cut() {
    let net = read_long_frames(false, 0);
    for link in &net.links {
        let data = link.seen.of("blob-data");
        assert!(data >= 300_000 / 1500, "{data} frames with payload");
        assert!(link.seen.bytes < 320_000, "{} bytes", link.seen.bytes);
    }
    let net = read_long_frames(false, 60);
    assert!(net.nodes[2].world.count(Counter::Resent) > 0);
}

#[test]
fn payload__where_long_frames_are_dropped() {
    const ENTRY: usize = 2_000_000;
    let mut net = Net::new(32);
    let [author, reader] = [(); 2].map(|()| net.add(Role::Host));
    let link = net.link(&[author, reader], 1500);
    net.allow_uncut(link);
    net.links[link].uncut = true;
    net.links[link].polices = true;
    net.links[link].delay_us = 500;
    net.route(reader, link, Some(author));
    let mut feed = Author::new(32);
    let payload = Rng(32).bytes(ENTRY);
    let mut read = |net: &mut Net, seq: u64| {
        let now = net.now;
        feed.append(now, &mut net.nodes[author], &payload[seq as usize..]);
        assert!(net.get_head(reader, feed.id, seq + 1, s(5)));
        net.links[link].capture = Some(Vec::new());
        let mut cursor = Reader::new(feed.id, seq);
        let got = net.read(reader, &mut cursor, feed.id, 1, s(30));
        assert!(got[0].0 == payload[seq as usize..]);
        let frames = net.links[link].capture.take().unwrap();
        frames.iter().filter(|frame| frame.len() > 1500).count()
    };
    // One credit's windows at most are lost, each once, and no more for a time.
    let windows = ENTRY / (32 << 10);
    let long = read(&mut net, 0);
    assert!(
        (4..windows).contains(&long),
        "{long} long frames of {windows}"
    );
    assert_eq!(read(&mut net, 1), 0);
    net.run(LONG_PAUSE_US);
    net.links[link].polices = false;
    let long = read(&mut net, 2);
    assert!(long >= windows, "{long} long frames of {windows}");
}
