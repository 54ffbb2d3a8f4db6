// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Tables that fill up: the table grows, idle feeds make room, used ones stay.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::{Engine, FeedMemory, Refused, Role, Sizes, FOOTPRINT};
use feed_core::id::DiscoveryId;
use feed_core::Drop;
use harness::{s, Author, Host, Net, Vectors, World};

/// What the shell does in process context.
fn grow(engine: &mut Engine<Host, World>, most: usize) -> bool {
    let Some(wanted) = engine.feeds_wanted(most) else {
        return false;
    };
    let Ok(memory) = FeedMemory::<Host>::lend(wanted, &mut Vectors);
    let left = engine.grow_feeds(memory);
    drop(left);
    true
}

fn id(number: u32) -> DiscoveryId {
    let mut id = DiscoveryId::default();
    id.0[..4].copy_from_slice(&number.to_le_bytes());
    id
}

/// The table grows by small steps while feeds come, up to its bound and no further; then idle feeds
/// make room.
#[test]
fn feeds__grow_to_the_bound() {
    let most = 20_000;
    let mut net = Net::new(2);
    let node = net.add(Role::Cache);
    let engine = &mut net.nodes[node].engine;
    let mut worst = 0.0f64;
    for number in 0..20_480 {
        engine.feed_open(&id(number), None).unwrap();
        engine.feed_close(&id(number));
        while grow(engine, most) {}
        if (2_000..16_000).contains(&number) {
            let bytes = engine.feed_places() * FOOTPRINT.feed;
            worst = worst.max(bytes as f64 / f64::from(number + 1));
        }
    }
    assert!(worst < 400.0, "{worst} B for an idle feed");
    // The longest table that is not longer than the bound.
    assert_eq!(engine.feed_places(), 16_384);
    let known = (0..20_480)
        .filter(|number| engine.feed_state(&id(*number)).is_some())
        .count();
    assert_eq!(known, 16_384);
    assert!(engine.feed_state(&id(20_479)).is_some());
}

#[test]
fn feeds__idle_ones_make_room() {
    let mut net = Net::new(1);
    let author = net.add(Role::Host);
    let reader = net.add_sized(
        Role::Cache,
        &Sizes {
            feeds: 16,
            ..Sizes::NAMESPACE
        },
    );
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, Some(author));
    let mut feeds = Vec::new();
    for seed in 1..40 {
        let mut feed = Author::new(seed);
        feed.append(net.now, &mut net.nodes[author], b"x");
        feeds.push(feed);
    }
    for feed in &feeds[..3] {
        net.nodes[reader]
            .engine
            .feed_open(&feed.id, Some(feed.name))
            .unwrap();
    }
    for feed in &feeds {
        assert!(net.get_head(reader, feed.id, 1, s(5)));
    }
    for feed in &feeds[..3] {
        assert!(net.nodes[reader]
            .engine
            .feed_state(&feed.id)
            .is_some_and(|feed| feed.head.is_some()));
    }
    // All in use: no room, until the table grows.
    for feed in &feeds[3..16] {
        net.nodes[reader]
            .engine
            .feed_open(&feed.id, Some(feed.name))
            .unwrap();
    }
    assert_eq!(
        net.nodes[reader].engine.feed_open(&feeds[17].id, None),
        Err(Refused::Full)
    );
    assert!(!net.get_head(reader, feeds[18].id, 1, s(1)));
    assert!(net.nodes[reader].world.dropped(Drop::FeedsFull) > 0);
    assert!(grow(&mut net.nodes[reader].engine, 1 << 18));
    assert_eq!(net.nodes[reader].engine.feed_places(), 32);
    for feed in &feeds[..16] {
        assert!(net.nodes[reader]
            .engine
            .feed_state(&feed.id)
            .is_some_and(|feed| feed.opens == 1));
    }
    assert!(net.get_head(reader, feeds[18].id, 1, s(5)));
    for feed in &feeds[..16] {
        net.nodes[reader].engine.feed_close(&feed.id);
        assert_eq!(
            net.nodes[reader].engine.feed_state(&feed.id).unwrap().opens,
            0
        );
    }
}

/// The engine itself is small: what grows lies in lent tables.
#[test]
fn engine__is_small() {
    assert!(std::mem::size_of::<Engine<Host, World>>() < 1024);
}
