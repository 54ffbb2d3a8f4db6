// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The demonstration in small: author — isp — village — A, B. A reads while the author appends;
//! author and A go; B reads all of it from the village.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::Role;
use harness::{ms, s, Author, Net, Rng};

fn demo(seed: u64, mtus: [usize; 4], entries: usize, pause_ms: u64, loss: u64) {
    let mut net = Net::new(seed);
    let author = net.add(Role::Host);
    let isp = net.add(Role::Cache);
    let village = net.add(Role::Cache);
    let (a, b) = (net.add(Role::Host), net.add(Role::Host));
    net.link(&[author, isp], mtus[0]);
    let uplink = net.link(&[isp, village], mtus[1]);
    let home_a = net.link(&[village, a], mtus[2]);
    let home_b = net.link(&[village, b], mtus[3]);
    net.route(isp, 0, None);
    net.route(village, uplink, Some(isp));
    net.route(a, home_a, None);
    net.route(b, home_b, Some(village));
    for link in &mut net.links {
        link.delay_us = 1_000;
        link.loss = loss;
    }
    let mut feed = Author::new(50);
    let mut rng = Rng(seed);
    let now = net.now;
    feed.publish(now, &mut net.nodes[author], false);
    let id = feed.id;
    assert!(net.get_head(a, id, 0, s(10)));
    net.with(a, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    let mut cursor = Reader::new(id, 0);
    let mut got = Vec::new();
    while feed.payloads.len() < entries {
        for _ in 0..1 + rng.below(6) {
            let size = [10, 200, 1024, 0, 900, 5_000, 40_000, 1100][rng.below(8) as usize];
            let payload = rng.bytes(size);
            feed.write(&mut net.nodes[author].world, &payload);
        }
        let now = net.now;
        feed.publish(now, &mut net.nodes[author], false);
        net.flush(author);
        got.extend(net.read(a, &mut cursor, id, 1000, ms(pause_ms)));
    }
    let all = feed.payloads.len();
    got.extend(net.read(a, &mut cursor, id, all - got.len(), s(60)));
    assert_eq!(got.len(), all);
    for (seq, (bytes, _)) in got.iter().enumerate() {
        assert!(*bytes == feed.payloads[seq], "A: entry {seq}");
    }

    net.nodes[author].on = false;
    net.nodes[a].on = false;
    for link in &mut net.links {
        link.loss = 0;
    }
    let before = net.links[uplink].seen.clone();
    let read_all = |net: &mut Net, hops: u8| {
        assert!(net.get_head(b, id, all as u64, s(10)));
        let mut cursor = Reader::new(id, 0);
        let got = net.read(b, &mut cursor, id, all, s(60));
        assert_eq!(got.len(), all, "drops {:?}", net.nodes[b].world.drops);
        for (seq, (bytes, came)) in got.iter().enumerate() {
            assert!(*bytes == feed.payloads[seq], "B: entry {seq}");
            assert!(
                *came == hops || bytes.is_empty() && *came <= hops,
                "B: entry {seq} came {came} hops, not {hops}"
            );
        }
    };
    read_all(&mut net, 1);
    let after = net.links[uplink].seen.clone();
    assert_eq!(
        before.of("entry"),
        after.of("entry"),
        "entries over the uplink"
    );
    assert_eq!(
        before.of("blob-data"),
        after.of("blob-data"),
        "blob bytes over the uplink"
    );

    for node in [village, b] {
        net.nodes[node].world.flush();
    }
    read_all(&mut net, 2);
}

#[test]
fn demo__mtu_1500() {
    demo(1, [1500; 4], 150, 30, 0);
}

#[test]
fn demo__every_mtu() {
    demo(2, [9000, 1280, 1500, 9000], 150, 5, 0);
    demo(3, [1280, 9000, 1280, 1500], 150, 80, 0);
}

#[test]
fn demo__with_loss() {
    demo(4, [1500; 4], 120, 100, 50);
}

#[test]
fn demo__many_paces() {
    for seed in 10..30 {
        demo(seed, [1500; 4], 40 + 7 * seed as usize, seed, 0);
    }
}
