// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A feed crosses a cache, the author goes, the cache still answers; a host keeps to itself what its
//! programs read.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Counter, Role};
use harness::{s, Author, Net, Rng};

struct Line {
    net: Net,
    author: usize,
    cache: usize,
    readers: Vec<usize>,
    up: usize,
    down: Vec<usize>,
}

/// author — cache — readers
fn line(mtu: usize, readers: usize) -> Line {
    let mut net = Net::new(1);
    let author = net.add(Role::Host);
    let cache = net.add(Role::Cache);
    let up = net.link(&[author, cache], mtu);
    net.route(cache, up, None);
    let mut all = Vec::new();
    let mut down = Vec::new();
    for _ in 0..readers {
        let reader = net.add(Role::Host);
        let link = net.link(&[cache, reader], mtu);
        net.route(reader, link, None);
        all.push(reader);
        down.push(link);
    }
    Line {
        net,
        author,
        cache,
        readers: all,
        up,
        down,
    }
}

fn payloads(rng: &mut Rng) -> Vec<Vec<u8>> {
    let sizes = [
        10usize,
        0,
        1024,
        300,
        1025,
        100 << 10,
        5,
        32 << 10,
        (32 << 10) + 1,
        64,
        700,
    ];
    sizes.iter().map(|len| rng.bytes(*len)).collect()
}

fn read_all(net: &mut Net, node: usize, feed: &Author, hops: u8) {
    assert!(
        net.get_head(node, feed.id, feed.payloads.len() as u64, s(5)),
        "no head"
    );
    let mut reader = Reader::new(feed.id, 0);
    let got = net.read(node, &mut reader, feed.id, feed.payloads.len(), s(20));
    assert_eq!(
        got.len(),
        feed.payloads.len(),
        "entries are missing; drops {:?}",
        net.nodes[node].world.drops
    );
    for (seq, ((bytes, came), sent)) in got.iter().zip(&feed.payloads).enumerate() {
        assert!(bytes == sent, "entry {seq} differs");
        assert_eq!(*came, hops, "hops of entry {seq}");
    }
    net.nodes[node].world.check_blobs();
}

fn end_to_end(mtu: usize) {
    let Line {
        mut net,
        author,
        cache,
        readers,
        up,
        down,
    } = line(mtu, 2);
    let mut feed = Author::new(7);
    for payload in payloads(&mut Rng(5)) {
        feed.write(&mut net.nodes[author].world, &payload);
    }
    let now = net.now;
    feed.publish(now, &mut net.nodes[author], false);

    read_all(&mut net, readers[0], &feed, 2);
    net.nodes[author].on = false;
    let before = net.links[up].seen.clone();
    read_all(&mut net, readers[1], &feed, 1);
    assert_eq!(net.links[up].seen.of("entry"), before.of("entry"));
    assert_eq!(net.links[up].seen.of("blob-data"), before.of("blob-data"));
    net.nodes[cache].world.check_blobs();
    assert_eq!(
        net.nodes[cache].engine.pending_len(),
        0,
        "a lookup was left behind"
    );
    assert!(net.nodes[cache].world.count(Counter::Hits) > 0);
    eprintln!(
        "mtu {mtu}: up {:?} down {:?}",
        net.links[up].seen, net.links[down[0]].seen
    );
}

#[test]
fn end_to_end__mtu_1280() {
    end_to_end(1280);
}

#[test]
fn end_to_end__mtu_1500() {
    end_to_end(1500);
}

#[test]
fn end_to_end__mtu_9000() {
    end_to_end(9000);
}

/// What a host's programs read is not for others: same refusal as for what it never had.
#[test]
fn host__does_not_tell_what_it_read() {
    let mut net = Net::new(15);
    let author = net.add(Role::Host);
    let host = net.add(Role::Host);
    let spy = net.add(Role::Host);
    let a = net.link(&[author, host], 1500);
    let b = net.link(&[host, spy], 1500);
    net.route(host, a, Some(author));
    net.route(spy, b, Some(host));
    let mut feed = Author::new(28);
    feed.append(net.now, &mut net.nodes[author], &Rng(1).bytes(40 << 10));
    assert!(net.get_head(host, feed.id, 1, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    assert_eq!(net.read(host, &mut cursor, feed.id, 1, s(5)).len(), 1);
    assert!(!net.get_head(spy, feed.id, 0, s(1)));
    // The host authors a feed of its own; the other feed's blob stays hidden under that hint.
    let mut own = Author::new(29);
    own.append(net.now, &mut net.nodes[host], b"mine");
    assert!(net.get_head(spy, own.id, 1, s(5)));
    let (blob, window) = *net.nodes[host]
        .world
        .blobs
        .keys()
        .find(|(blob, _)| blob.len > 1024)
        .unwrap();
    let hint = own.id;
    net.with(spy, |engine, now, world| {
        engine.want_blob(now, &hint, &blob, window, 1000, world)
    });
    net.run(s(2));
    assert!(net.nodes[spy].world.blobs.is_empty());
    assert_eq!(net.links[b].seen.of("blob-data"), 0);
    // Shared, it is served.
    net.nodes[host].engine.feed_share(&feed.id, true).unwrap();
    let id = feed.id;
    let more = net.with(host, |engine, _, world| engine.share_stored(&id, 0, world));
    assert_eq!(more, None);
    assert!(net.get_head(spy, feed.id, 1, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let read = net.read(spy, &mut cursor, feed.id, 1, s(5));
    assert_eq!(read.len(), 1);
    assert!(net.links[b].seen.of("blob-data") > 0);
    // No longer shared, it gives nothing new away.
    net.nodes[host].engine.feed_share(&feed.id, false).unwrap();
    let more = net.with(host, |engine, _, world| engine.share_stored(&id, 0, world));
    assert_eq!(more, None);
    net.nodes[spy].world.flush();
    let served = net.links[b].seen.of("blob-data");
    let mut cursor = Reader::new(feed.id, 0);
    assert!(net.read(spy, &mut cursor, feed.id, 1, s(5)).is_empty());
    assert_eq!(net.links[b].seen.of("blob-data"), served);
}
