// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Networks that lose, delay, repeat and loop; many readers; live feeds.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Counter, Role, Route, Wanted};
use feed_core::Drop;
use harness::{ms, s, Author, Net, Rng};

/// author — cache — … — cache — reader; gives the nodes in order.
fn chain(net: &mut Net, caches: usize, mtu: usize) -> Vec<usize> {
    let mut nodes = vec![net.add(Role::Host)];
    for _ in 0..caches {
        nodes.push(net.add(Role::Cache));
    }
    nodes.push(net.add(Role::Host));
    for pair in 1..nodes.len() {
        let link = net.link(&[nodes[pair - 1], nodes[pair]], mtu);
        net.route(nodes[pair], link, None);
    }
    nodes
}

fn fill(
    net: &mut Net,
    author: usize,
    feed: &mut Author,
    entries: usize,
    seed: u64,
    sizes: &[usize],
) {
    let mut rng = Rng(seed);
    for index in 0..entries {
        let payload = rng.bytes(sizes[index % sizes.len()]);
        feed.write(&mut net.nodes[author].world, &payload);
    }
    let now = net.now;
    feed.publish(now, &mut net.nodes[author], false);
}

fn check_read(net: &mut Net, node: usize, feed: &Author, from: u64, for_us: u64) {
    let all = feed.payloads.len() as u64;
    assert!(net.get_head(node, feed.id, all, for_us), "no head of {all}");
    let mut reader = Reader::new(feed.id, from);
    let count = (all - from) as usize;
    let got = net.read(node, &mut reader, feed.id, count, for_us);
    for (seq, (bytes, _)) in got.iter().enumerate() {
        assert!(
            *bytes == feed.payloads[from as usize + seq],
            "entry {seq} differs"
        );
    }
    assert_eq!(
        got.len(),
        count,
        "entries are missing; drops {:?}",
        net.nodes[node].world.drops
    );
    for node in &net.nodes {
        node.world.check_blobs();
    }
}

const MIXED: [usize; 8] = [100, 1024, 0, 700, 40 << 10, 3, 1025, 500];

fn rough(mtu: usize, loss: u64, jitter: u64, repeat: u64, caches: usize, seed: u64) {
    let mut net = Net::new(seed);
    let nodes = chain(&mut net, caches, mtu);
    for link in &mut net.links {
        link.delay_us = 2_000;
        link.loss = loss;
        link.jitter_us = jitter;
        link.repeat = repeat;
    }
    let mut feed = Author::new(3);
    fill(&mut net, nodes[0], &mut feed, 70, seed, &MIXED);
    check_read(&mut net, nodes[caches + 1], &feed, 0, s(120));
}

#[test]
fn rough__loss_10_percent() {
    for (seed, mtu) in [1280, 1500, 9000].into_iter().enumerate() {
        rough(mtu, 100, 0, 0, 2, seed as u64);
    }
}

#[test]
fn rough__reordering_and_repeats() {
    for (seed, mtu) in [1280, 1500, 9000].into_iter().enumerate() {
        rough(mtu, 0, 3_000, 200, 2, 10 + seed as u64);
    }
}

#[test]
fn rough__all_of_it() {
    rough(1500, 150, 5_000, 100, 3, 20);
}

#[test]
fn chain__one_to_five_hops() {
    for caches in 0..5 {
        let mut net = Net::new(30 + caches as u64);
        let nodes = chain(&mut net, caches, 1500);
        let mut feed = Author::new(4);
        fill(&mut net, nodes[0], &mut feed, 40, 1, &[200, 50 << 10]);
        let reader = nodes[caches + 1];
        assert!(net.get_head(reader, feed.id, 40, s(5)));
        let mut cursor = Reader::new(feed.id, 0);
        let got = net.read(reader, &mut cursor, feed.id, 40, s(20));
        assert_eq!(got.len(), 40);
        assert!(
            got.iter().all(|(_, hops)| usize::from(*hops) == caches + 1),
            "hops {:?}",
            got.iter().map(|g| g.1).collect::<Vec<_>>()
        );
    }
}

/// One hundred readers of one entry behind one cache: one lookup upstream.
#[test]
fn merge__a_hundred_readers() {
    let mut net = Net::new(5);
    let author = net.add(Role::Host);
    let cache = net.add(Role::Cache);
    let up = net.link(&[author, cache], 1500);
    net.links[up].delay_us = 20_000;
    net.route(cache, up, None);
    let mut members = vec![cache];
    for _ in 0..100 {
        members.push(net.add(Role::Host));
    }
    let down = net.link(&members, 1500);
    for reader in &members[1..] {
        net.route(*reader, down, Some(cache));
    }
    let mut feed = Author::new(5);
    fill(&mut net, author, &mut feed, 1, 2, &[600]);
    for reader in &members[1..] {
        assert!(net.get_head(*reader, feed.id, 1, s(5)));
    }
    let before = net.links[up].seen.clone();
    assert_eq!(before.of("lookup-head"), 1, "head lookups upstream");
    // All ask in the same instant, then all wait.
    let mut cursors: Vec<Reader> = members[1..]
        .iter()
        .map(|_| Reader::new(feed.id, 0))
        .collect();
    let credit = feed_core::engine::fetch::Credit {
        windows: 4,
        bytes: 1 << 16,
    };
    for (reader, cursor) in members[1..].iter().zip(&mut cursors) {
        net.with(*reader, |engine, now, world| {
            cursor.pump(engine, now, &credit, world)
        });
    }
    for (reader, cursor) in members[1..].iter().zip(&mut cursors) {
        let got = net.read(*reader, cursor, feed.id, 1, s(5));
        assert_eq!(got.len(), 1);
        assert!(got[0].0 == feed.payloads[0]);
    }
    assert_eq!(
        net.links[up].seen.of("lookup-range"),
        1,
        "range lookups upstream"
    );
    assert_eq!(net.links[up].seen.of("entry"), 1, "entries over the uplink");
    assert!(net.nodes[cache].world.count(Counter::Merged) >= 99);
}

/// Five caches whose routes go in a circle: a lookup dies out.
#[test]
fn ring__lookups_die_out() {
    let mut net = Net::new(6);
    let caches: Vec<usize> = (0..5).map(|_| net.add(Role::Cache)).collect();
    let mut links = Vec::new();
    for at in 0..5 {
        links.push(net.link(&[caches[at], caches[(at + 1) % 5]], 1500));
    }
    for at in 0..5 {
        net.route(caches[at], links[at], Some(caches[(at + 1) % 5]));
    }
    let reader = net.add(Role::Host);
    let edge = net.link(&[reader, caches[0]], 1500);
    net.route(reader, edge, Some(caches[0]));
    let feed = Author::new(6);
    assert!(!net.get_head(reader, feed.id, 0, s(10)));
    let frames: u64 = links.iter().map(|link| net.links[*link].seen.frames).sum();
    assert!(frames < 600, "{frames} frames in the ring");
    net.run(s(40));
    let after: u64 = links.iter().map(|link| net.links[*link].seen.frames).sum();
    net.run(s(40));
    let end: u64 = links.iter().map(|link| net.links[*link].seen.frames).sum();
    assert_eq!(after, end, "the ring never rests");
    for cache in &caches {
        assert_eq!(net.nodes[*cache].engine.pending_len(), 0);
    }
}

/// A ring with a way out: data is found although the first route leads in circles.
#[test]
fn ring__with_a_way_out() {
    let mut net = Net::new(7);
    let caches: Vec<usize> = (0..3).map(|_| net.add(Role::Cache)).collect();
    let mut links = Vec::new();
    for at in 0..3 {
        links.push(net.link(&[caches[at], caches[(at + 1) % 3]], 1500));
    }
    for at in 0..3 {
        net.route(caches[at], links[at], Some(caches[(at + 1) % 3]));
    }
    let author = net.add(Role::Host);
    let out = net.link(&[author, caches[2]], 1500);
    net.route_cost(caches[2], out, Some(author), 10);
    let reader = net.add(Role::Host);
    let edge = net.link(&[reader, caches[0]], 1500);
    net.route(reader, edge, Some(caches[0]));
    let mut feed = Author::new(8);
    fill(&mut net, author, &mut feed, 10, 3, &[100, 40 << 10]);
    check_read(&mut net, reader, &feed, 0, s(60));
}

/// A reader that follows sees appends without asking, each over each link once.
#[test]
fn follow__live() {
    let mut net = Net::new(8);
    let nodes = chain(&mut net, 2, 1500);
    let (author, reader) = (nodes[0], nodes[3]);
    let mut feed = Author::new(9);
    fill(&mut net, author, &mut feed, 3, 4, &[100]);
    check_read(&mut net, reader, &feed, 0, s(5));
    let id = feed.id;
    assert_eq!(
        net.with(reader, |engine, now, world| engine
            .follow_local(now, &id, true, world)),
        Wanted::Waiting
    );
    net.run(s(3));
    let asked = net.links[0].seen.of("lookup-range");
    for round in 0..20u64 {
        let before: Vec<u64> = net.links.iter().map(|link| link.seen.of("entry")).collect();
        let payload = Rng(round).bytes(80);
        let now = net.now;
        feed.append(now, &mut net.nodes[author], &payload);
        net.flush(author);
        let n = feed.payloads.len() as u64;
        let came = net.run_until(ms(200), |net| {
            net.nodes[reader]
                .engine
                .feed_state(&id)
                .and_then(|feed| feed.head)
                .is_some_and(|head| head.head.n == n)
        });
        assert!(came, "append {round} did not come");
        let mut cursor = Reader::new(id, n - 1);
        let got = net.read(reader, &mut cursor, id, 1, ms(1));
        assert!(
            got.len() == 1 && got[0].0 == payload,
            "the entry came with its head"
        );
        net.run(s(2));
        for (link, before) in net.links.iter().zip(&before) {
            assert_eq!(link.seen.of("entry"), before + 1, "one push per link");
        }
        assert_eq!(
            net.links[0].seen.of("lookup-range"),
            asked,
            "nobody asks for what is pushed"
        );
    }
}

#[test]
fn follow__under_loss() {
    let mut net = Net::new(9);
    let nodes = chain(&mut net, 2, 1500);
    let (author, reader) = (nodes[0], nodes[3]);
    let mut feed = Author::new(10);
    fill(&mut net, author, &mut feed, 3, 4, &[100]);
    check_read(&mut net, reader, &feed, 0, s(5));
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(2));
    for link in &mut net.links {
        link.loss = 100;
    }
    for round in 0..30u64 {
        let now = net.now;
        feed.append(now, &mut net.nodes[author], &Rng(round).bytes(80));
        net.flush(author);
        net.run(ms(700));
    }
    net.run(s(10));
    check_read(&mut net, reader, &feed, 0, s(20));
}

/// A reader fetches the past while the author goes on.
#[test]
fn fetch__while_it_grows() {
    let mut net = Net::new(10);
    let nodes = chain(&mut net, 2, 1500);
    for link in &mut net.links {
        link.delay_us = 5_000;
    }
    let (author, reader) = (nodes[0], nodes[3]);
    let mut feed = Author::new(11);
    fill(&mut net, author, &mut feed, 200, 5, &MIXED);
    let id = feed.id;
    assert!(net.get_head(reader, id, 200, s(5)));
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    let mut cursor = Reader::new(id, 0);
    let mut got = Vec::new();
    for round in 0..100u64 {
        let now = net.now;
        feed.append(now, &mut net.nodes[author], &Rng(round).bytes(300));
        net.flush(author);
        got.extend(net.read(reader, &mut cursor, id, 1000, ms(20)));
    }
    got.extend(net.read(reader, &mut cursor, id, 300 - got.len(), s(20)));
    assert_eq!(got.len(), 300);
    for (seq, (bytes, _)) in got.iter().enumerate() {
        assert!(*bytes == feed.payloads[seq], "entry {seq}");
    }
}

/// An author that appends nothing more: the end of the feed.
#[test]
fn final_head__ends_the_feed() {
    let mut net = Net::new(12);
    let nodes = chain(&mut net, 1, 1500);
    let mut feed = Author::new(12);
    feed.write(&mut net.nodes[nodes[0]].world, b"last");
    let now = net.now;
    feed.publish(now, &mut net.nodes[nodes[0]], true);
    check_read(&mut net, nodes[2], &feed, 0, s(5));
    let mut cursor = Reader::new(feed.id, 1);
    let credit = feed_core::engine::fetch::Credit {
        windows: 4,
        bytes: 1 << 16,
    };
    let status = net.with(nodes[2], |engine, now, world| {
        cursor.pump(engine, now, &credit, world)
    });
    assert_eq!(status, feed_core::engine::fetch::Status::End);
}

/// The cache lost its store: it fetches again, and the reader notices only the hops.
#[test]
fn flush__is_fetched_again() {
    let mut net = Net::new(13);
    let nodes = chain(&mut net, 2, 1500);
    let mut feed = Author::new(13);
    fill(&mut net, nodes[0], &mut feed, 40, 6, &MIXED);
    check_read(&mut net, nodes[3], &feed, 0, s(10));
    net.nodes[nodes[0]].on = false;
    for node in [nodes[2], nodes[3]] {
        net.nodes[node].world.flush();
    }
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(nodes[3], &mut cursor, feed.id, 40, s(20));
    assert_eq!(got.len(), 40);
    assert!(
        got.iter().all(|(_, hops)| *hops == 2),
        "hops {:?}",
        got.iter().map(|g| g.1).collect::<Vec<_>>()
    );
}

/// Unknown feeds and missing routes are refused, and a host gives one refusal for everything.
#[test]
fn refusal__says_why() {
    let mut net = Net::new(14);
    let nodes = chain(&mut net, 1, 1500);
    let feed = Author::new(14);
    // The author's host knows nothing of the feed, and the cache has no other way.
    assert!(!net.get_head(nodes[2], feed.id, 0, s(2)));
    for link in [0, 1] {
        assert_eq!(
            net.links[link].seen.of("refusal"),
            0,
            "a refusal to a group lookup tells nobody anything"
        );
    }
    let port = net.port(0);
    let route = Route {
        feed: Some(feed.id),
        port,
        mac: Some(harness::mac_of(nodes[0], port)),
        cost: 0,
    };
    net.nodes[nodes[1]].engine.route_add(route).unwrap();
    assert!(!net.get_head(nodes[2], feed.id, 0, s(2)));
    assert!(net.links[0].seen.of("refusal") > 0);
    assert_eq!(net.nodes[nodes[1]].world.dropped(Drop::BadToken), 0);
}
