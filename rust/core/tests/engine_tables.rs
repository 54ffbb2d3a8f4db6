// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Tables that fill up: idle feeds make room, used ones stay, the table grows.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::{FeedMemory, Refused, Role, Sizes};
use feed_core::Drop;
use harness::{s, Author, Host, Net, Vectors};

#[test]
fn feeds__idle_ones_make_room() {
    let mut net = Net::new(1);
    let author = net.add(Role::Host);
    let reader = net.add_sized(
        Role::Cache,
        &Sizes {
            feeds: 8,
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
    for feed in &feeds[3..8] {
        net.nodes[reader]
            .engine
            .feed_open(&feed.id, Some(feed.name))
            .unwrap();
    }
    assert_eq!(
        net.nodes[reader].engine.feed_open(&feeds[9].id, None),
        Err(Refused::Full)
    );
    assert!(!net.get_head(reader, feeds[10].id, 1, s(1)));
    assert!(net.nodes[reader].world.dropped(Drop::FeedsFull) > 0);
    let wanted = net.nodes[reader].engine.feeds_wanted().unwrap();
    let Ok(memory) = FeedMemory::<Host>::lend(wanted, &mut Vectors);
    let old = net.nodes[reader].engine.grow_feeds(memory);
    drop(old);
    assert_eq!(net.nodes[reader].engine.feed_places(), 16);
    for feed in &feeds[..8] {
        assert!(net.nodes[reader]
            .engine
            .feed_state(&feed.id)
            .is_some_and(|feed| feed.opens == 1));
    }
    assert!(net.get_head(reader, feeds[10].id, 1, s(5)));
    for feed in &feeds[..8] {
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
    assert!(std::mem::size_of::<feed_core::engine::Engine<Host, harness::World>>() < 1024);
}
