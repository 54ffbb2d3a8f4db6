// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads that go on before their signature is checked: a chain does not add signatures up, a bad one
//! costs nobody but its sender, and everything else waits for its verdict.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::Role;
use feed_core::error::Drop;
use feed_core::id::DiscoveryId;
use feed_core::wire::{FrameView, Head, Message};
use harness::siege::*;
use harness::{ms, s, Author, Net};

/// A signature in these tests, µs.
const VERIFY_US: u64 = 10_000;

/// The heads in some frames: whether each is unchecked.
fn heads(frames: &[Vec<u8>]) -> Vec<bool> {
    let views = frames.iter().map(|bytes| FrameView::parse(bytes).unwrap());
    views
        .flat_map(|view| view.messages().flatten().collect::<Vec<_>>())
        .filter_map(|message| match message {
            Message::Head(m) => Some(m.unchecked),
            _ => None,
        })
        .collect()
}

fn follow_on(net: &mut Net, node: usize, id: DiscoveryId) {
    net.with(node, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
}

/// The frame with each head's signature broken.
fn spoiled(bytes: &[u8]) -> Vec<u8> {
    let view = FrameView::parse(bytes).unwrap();
    frame(|builder| {
        for message in view.messages().flatten() {
            match message {
                Message::Head(m) => {
                    let mut bytes = *m.bytes;
                    bytes[100] ^= 1;
                    let head = Head { bytes: &bytes, ..m };
                    assert!(head.emit(builder));
                }
                other => assert!(other.emit(builder)),
            }
        }
    })
}

/// author — cache — reader who follows; the author's link is captured and can be cut.
fn followed() -> Line {
    let mut line = line(false, 1);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 1, s(5)));
    follow_on(&mut line.net, line.reader, id);
    line.net.run(s(1));
    for link in [0, 1] {
        line.net.links[link].capture = Some(vec![]);
    }
    line
}

/// The push that the author sends while its link is down, and that nobody gets.
fn lost_push(line: &mut Line, text: &[u8]) -> Vec<u8> {
    line.net.links[0].up = false;
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, text);
    line.net.flush(line.author);
    let frames = line.net.links[0].capture.replace(vec![]).unwrap();
    assert_eq!(heads(&frames), [false]);
    frames.into_iter().next_back().unwrap()
}

#[test]
fn push_over_three_hops__waits_for_one_signature() {
    let mut net = Net::new(3);
    let mut nodes = vec![net.add(Role::Host)];
    for _ in 0..2 {
        nodes.push(net.add(Role::Cache));
    }
    nodes.push(net.add(Role::Host));
    for pair in nodes.windows(2) {
        let link = net.link(&[pair[0], pair[1]], 1500);
        net.route(pair[1], link, Some(pair[0]));
    }
    let (author, reader) = (nodes[0], nodes[3]);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let id = feed.id;
    assert!(net.get_head(reader, id, 1, s(5)));
    follow_on(&mut net, reader, id);
    net.run(s(1));
    for link in &mut net.links {
        link.capture = Some(vec![]);
    }
    for node in &mut net.nodes {
        node.verify_us = VERIFY_US;
    }
    feed.append(net.now, &mut net.nodes[author], b"two");
    net.flush(author);
    let begun = net.now;
    assert!(net.run_until(s(1), |net| head_of(net, reader, id) == Some(2)));
    let took = net.now - begun;
    assert!(took >= VERIFY_US, "the reader believed it after {took} us");
    assert!(took < 2 * VERIFY_US, "signatures added up to {took} us");
    let mut cursor = Reader::new(id, 1);
    let got = net.read(reader, &mut cursor, id, 1, ms(1));
    assert_eq!(got, [(b"two".to_vec(), 0)]);
    net.run(s(2));
    // One push on each link: only the author had nothing to check.
    let pushed = net
        .links
        .iter()
        .map(|link| heads(link.capture.as_ref().unwrap()));
    assert_eq!(pushed.collect::<Vec<_>>(), [[false], [true], [true]]);
    for node in &nodes[1..3] {
        assert_eq!(head_of(&net, *node, id), Some(2));
    }
}

/// A head that nobody has signed is handed on once, believed by nobody, and does not keep the good
/// one from coming.
#[test]
fn bad_head__goes_no_further_than_once() {
    let mut line = followed();
    let id = line.feed.id;
    let good = lost_push(&mut line, b"two");
    let bad = spoiled(&good);
    let rx = from(
        line.net.port(0),
        harness::mac_of(line.author, line.net.port(0)),
    );
    line.net.inject(line.cache, rx, &bad);
    line.net.run(ms(20));
    line.net.inject(line.cache, rx, &bad);
    line.net.run(ms(20));
    let handed_on = line.net.links[1].capture.as_ref().unwrap();
    assert_eq!(heads(handed_on), [true]);
    assert_eq!(
        line.net.nodes[line.reader]
            .world
            .dropped(Drop::BadSignature),
        1
    );
    assert_eq!(head_of(&line.net, line.reader, id), Some(1));
    // The author says it again, for nobody has renewed.
    line.net.links[0].up = true;
    assert!(line
        .net
        .run_until(s(5), |net| head_of(net, line.reader, id) == Some(2)));
    let handed_on = line.net.links[1].capture.as_ref().unwrap();
    assert_eq!(
        heads(handed_on),
        [true, false],
        "the good one comes checked"
    );
}

/// Heads of rising time, each over a signature that is not checked yet: followers hear of one.
#[test]
fn heads_faster_than_signatures__are_handed_on_one_at_a_time() {
    let mut line = followed();
    line.net.nodes[line.cache].verify_us = s(1);
    let good = lost_push(&mut line, b"two");
    let rx = from(
        line.net.port(0),
        harness::mac_of(line.author, line.net.port(0)),
    );
    for later in 1..20u8 {
        let view = FrameView::parse(&good).unwrap();
        let newer = frame(|builder| {
            for message in view.messages().flatten() {
                match message {
                    Message::Head(m) => {
                        let mut bytes = *m.bytes;
                        // The time, little-endian, behind version, kind, flags, epoch and n.
                        bytes[22] = later;
                        let head = Head { bytes: &bytes, ..m };
                        assert!(head.emit(builder));
                    }
                    other => assert!(other.emit(builder)),
                }
            }
        });
        line.net.inject(line.cache, rx, &newer);
        line.net.run(ms(1));
    }
    let handed_on = line.net.links[1].capture.as_ref().unwrap();
    assert_eq!(heads(handed_on), [true]);
}

/// More than one entry was appended: the consistency proof is not looked at before the signature.
#[test]
fn head_over_two_new_entries__is_handed_on_checked() {
    let mut line = followed();
    let id = line.feed.id;
    lost_push(&mut line, b"two");
    line.net.links[0].up = true;
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, b"three");
    line.net.flush(line.author);
    assert!(line
        .net
        .run_until(s(5), |net| head_of(net, line.reader, id) == Some(3)));
    let handed_on = line.net.links[1].capture.as_ref().unwrap();
    assert_eq!(heads(handed_on), [false]);
}

/// What is not the answer to a FOLLOW is not taken unchecked, and not for a feed without a head.
#[test]
fn unchecked_answer_to_a_lookup__is_dropped() {
    let (mut net, author, reader, link, feed) = pair();
    net.route(reader, link, Some(author));
    net.links[link].capture = Some(vec![]);
    net.nodes[author].on = false;
    let id = feed.id;
    let wanted = net.with(reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 1), u64::MAX, 1000, world)
    });
    assert_eq!(wanted, feed_core::engine::Wanted::Waiting);
    let asked = lookups(net.links[link].capture.as_ref().unwrap());
    let head = net.nodes[author]
        .engine
        .feed_state(&id)
        .unwrap()
        .head
        .unwrap();
    let answer = frame(|builder| {
        let head = Head {
            answer: feed_core::wire::Answer {
                hops: 1,
                token: asked[0].token,
            },
            unchecked: true,
            bytes: &head.bytes,
        };
        assert!(head.emit(builder));
    });
    let rx = from(net.port(link), harness::mac_of(author, net.port(link)));
    net.inject(reader, rx, &answer);
    net.run(ms(10));
    assert_eq!(net.nodes[reader].world.dropped(Drop::Unchecked), 1);
    assert_eq!(head_of(&net, reader, id), None);
}
