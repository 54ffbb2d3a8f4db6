// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Sieges of FOLLOW: outages, neighbours that have gone, followers that others stand behind, and
//! pushes that must stay within what was granted.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::Role;
use feed_core::wire::FrameView;
use harness::siege::*;
use harness::{ms, s, Author, Net};

/// The link is down while the feed grows: the follower hears of it once it is up again.
#[test]
fn follow__survives_an_outage() {
    let (mut net, author, reader, link, mut feed) = pair();
    net.route(reader, link, Some(author));
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(1));
    net.links[link].up = false;
    feed.append(net.now, &mut net.nodes[author], b"two");
    net.flush(author);
    net.run(s(2));
    net.links[link].up = true;
    net.run(s(60));
    assert_eq!(head_of(&net, reader, id), Some(2));
}

/// The feed ends without another entry: who follows through a cache hears of it at once, and once.
#[test]
fn end_of_a_feed__is_pushed() {
    let mut line = line(false, 1);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 1, s(5)));
    line.net.with(line.reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    line.net.run(s(1));
    let before = line.net.links[1].seen.of("head");
    let author = &mut line.net.nodes[line.author];
    line.feed.publish(line.net.now, author, true);
    line.net.flush(line.author);
    let is_final = |net: &mut Net| {
        let state = net.nodes[line.reader].engine.feed_state(&id).unwrap();
        state.head.unwrap().head.is_final()
    };
    assert!(line.net.run_until(ms(100), is_final));
    line.net.run(s(2));
    assert_eq!(line.net.links[1].seen.of("head"), before + 1);
}

/// A neighbour followed first, at a host that sends nothing upstream for others. When a program
/// there follows too, the FOLLOW must go out.
#[test]
fn local_follow_behind_a_neighbours__goes_upstream() {
    let (mut net, author, host, up, mut feed) = pair();
    let other = net.add(Role::Host);
    let down = net.link(&[host, other], 1500);
    net.route(host, up, Some(author));
    let id = feed.id;
    let engine = &mut net.nodes[host].engine;
    engine.feed_open(&id, Some(feed.name)).unwrap();
    engine.feed_share(&id, true).unwrap();
    assert!(net.get_head(host, id, 1, s(5)));
    let rx = from(net.port(down), stranger(1));
    net.inject(host, rx, &follow(1, id, 1, 1 << 20, 30_000));
    net.with(host, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(1));
    feed.append(net.now, &mut net.nodes[author], b"two");
    net.flush(author);
    net.run(s(10));
    assert_eq!(head_of(&net, host, id), Some(2));
}

/// A stranger behind the cache's only route follows first, for whom nothing can be asked. The next
/// follower's FOLLOW must go out all the same.
#[test]
fn follow_behind_one_from_upstream__goes_upstream() {
    let mut line = line(false, 1);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 1, s(5)));
    let rx = from(line.net.port(0), stranger(1));
    let frame = follow(1, id, 1, 1 << 20, 30_000);
    line.net.inject(line.cache, rx, &frame);
    line.net.with(line.reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    line.net.run(s(1));
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, b"two");
    line.net.flush(line.author);
    line.net.run(s(10));
    assert_eq!(head_of(&line.net, line.reader, id), Some(2));
}

/// A program follows before there is a route. Nobody asks again when the route comes.
#[test]
fn follow_before_its_route__is_sent_when_there_is_one() {
    let (mut net, author, reader, link, feed) = pair();
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(1));
    assert_eq!(net.links[link].seen.of("follow"), 0);
    net.route(reader, link, Some(author));
    net.run(s(5));
    assert_eq!(head_of(&net, reader, id), Some(1));
}

/// An author stops being one, while a program follows its feed: news come from elsewhere then.
#[test]
fn follow_of_a_feed_that_was_disowned__goes_upstream() {
    let (mut net, author, reader, link, feed) = pair();
    let id = feed.id;
    net.route(author, link, Some(reader));
    net.with(author, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(5));
    assert_eq!(net.links[link].seen.of("follow"), 0);
    net.nodes[author].engine.disown(&id);
    net.run(s(5));
    assert!(net.links[link].seen.of("follow") > 0);
}

/// The cache that was followed goes away without a word. Another one stands on the same link.
#[test]
fn follow_of_a_cache_that_has_gone__finds_the_other_one() {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let caches = [net.add(Role::Cache), net.add(Role::Cache)];
    let reader = net.add(Role::Host);
    let up = net.link(&[author, caches[0], caches[1]], 1500);
    let down = net.link(&[caches[0], caches[1], reader], 1500);
    for cache in caches {
        net.route(cache, up, Some(author));
    }
    net.route(reader, down, None);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let id = feed.id;
    assert!(net.get_head(reader, id, 1, s(5)));
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    net.run(s(5));
    let followed = |cache: &usize| net.nodes[*cache].engine.waiting_len() > 0;
    let gone = *caches.iter().find(|cache| followed(cache)).unwrap();
    net.nodes[gone].on = false;
    feed.append(net.now, &mut net.nodes[author], b"two");
    net.flush(author);
    net.run(s(90));
    assert_eq!(head_of(&net, reader, id), Some(2));
}

/// A quiet feed is followed for ten minutes: what shows that the upstream is there is cheap.
#[test]
fn follow_of_a_quiet_feed__costs_little() {
    let (mut net, author, reader, link, feed) = pair();
    net.route(reader, link, Some(author));
    let id = feed.id;
    assert!(net.get_head(reader, id, 1, s(5)));
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    let before = net.links[link].seen.clone();
    net.run(s(600));
    let seen = &net.links[link].seen;
    assert!(seen.frames - before.frames <= 90, "{:?}", seen.kinds);
    assert!(seen.of("follow") <= 45);
}

/// A follower whose life was over long ago, but that nobody removed yet, gets nothing.
#[test]
fn follower_whose_life_is_over__gets_no_push() {
    let (mut net, author, _, link, mut feed) = pair();
    let id = feed.id;
    net.with(author, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    let rx = from(net.port(link), stranger(1));
    net.inject(author, rx, &follow(1, id, 1, u32::MAX, 1000));
    net.run(ms(1500));
    let before = net.links[link].seen.frames;
    for _ in 0..30 {
        feed.append(net.now, &mut net.nodes[author], &[1; 1000]);
        net.flush(author);
        net.run(ms(100));
    }
    assert_eq!(net.links[link].seen.frames, before);
}

/// One FOLLOW without a cookie may bear a false address: whoever lives there gets one frame, however
/// much it was said to grant.
#[test]
fn follower_without_a_cookie__gets_one_frame() {
    let (mut net, author, _, link, mut feed) = pair();
    let rx = from(net.port(link), stranger(1));
    let frame = follow(1, feed.id, 1, u32::MAX, 30_000);
    net.inject(author, rx, &frame);
    let before = net.links[link].seen.frames;
    for _ in 0..50 {
        feed.append(net.now, &mut net.nodes[author], &[1; 1000]);
        net.flush(author);
        net.run(ms(100));
    }
    assert_eq!(net.links[link].seen.frames, before + 1);
}

/// A follower grants little: what does not fit is left out, and repetitions count.
#[test]
fn pushes__stay_within_what_was_granted() {
    for grant in [256, 300, 420, 700, 1300, 2600] {
        let (mut net, author, _, link, mut feed) = pair();
        let mac = stranger(1);
        let rx = from(net.port(link), mac);
        net.links[link].capture = Some(vec![]);
        net.inject(author, rx, &lookup_head(1, feed.id, 0));
        let given = net.links[link].capture.take().unwrap();
        let cookie = FrameView::parse(&given[0]).unwrap().header.cookie_give;
        let before = net.links[link].seen.bytes;
        let mut lookup = follow(2, feed.id, 1, grant, 30_000);
        lookup[8..16].copy_from_slice(&cookie.to_le_bytes());
        net.inject(author, rx, &lookup);
        for _ in 0..5 {
            feed.append(net.now, &mut net.nodes[author], &[1; 1000]);
            net.flush(author);
            net.run(s(1));
        }
        let sent = net.links[link].seen.bytes - before;
        assert!(0 < sent && sent <= u64::from(grant), "{sent} of {grant}");
    }
}
