// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Two branches under one key: proved, kept, and never made here.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader, Status};
use feed_core::engine::Role;
use feed_core::head::{Head, SignedHead};
use feed_core::sign::PublicKey;
use feed_core::verify::proves_fork;
use feed_core::wire::ANY_AGE;
use feed_core::Drop;
use harness::{s, Author, Net};

/// Two branches under one key: found whether lengths are equal or not, proved, and none is taken.
#[test]
fn fork__is_proved_and_kept() {
    for (more, entries) in [(0usize, 3u64), (5, 8), (1, 4), (29, 32)] {
        let mut net = Net::new(9 + more as u64);
        let author = net.add(Role::Host);
        let reader = net.add(Role::Host);
        let link = net.link(&[author, reader], 1500);
        net.route(reader, link, Some(author));
        let mut feed = Author::new(25);
        for _ in 0..3 {
            feed.append(net.now, &mut net.nodes[author], b"first branch");
        }
        assert!(net.get_head(reader, feed.id, 3, s(5)));
        let held = feed.head.unwrap();
        net.reboot(author, Role::Host);
        let mut other = Author::new(25);
        other.time += 59_000;
        for node in [author, reader] {
            net.nodes[node].world.wall = Some(1_800_000_060_000);
        }
        for _ in 0..3 + more {
            other.append(net.now, &mut net.nodes[author], b"other branch");
        }
        assert_eq!(other.head.unwrap().head.n, entries);
        let id = feed.id;
        net.with(reader, |engine, now, world| {
            engine.follow_local(now, &id, true, world)
        });
        // Equal length shows by a head lookup that asks for a newer time.
        net.with(reader, |engine, now, world| {
            engine.want_head(now, &id, (0, 3 + u64::from(more > 0)), 30_000, 2000, world)
        });
        net.run(s(3));
        let state = net.nodes[reader].engine.feed_state(&id).unwrap();
        assert!(
            state.is_forked,
            "{more} more: drops {:?}",
            net.nodes[reader].world.drops
        );
        assert_eq!(
            state.head.unwrap().bytes,
            held.bytes,
            "the first branch stays"
        );
        let evidence = net.nodes[reader].engine.fork_evidence(&id).unwrap();
        assert_eq!(evidence.held, held.bytes);
        assert_eq!(evidence.other, other.head.unwrap().bytes);
        let heads = [&evidence.held, &evidence.other].map(|head| SignedHead::parse(head).unwrap());
        assert!(heads
            .iter()
            .all(|head| head.verify(&PublicKey::from(head.head.name)).is_ok()));
        let [a, b] = heads.map(|head| head.head);
        assert!(proves_fork(&a, &b, evidence.proof()));
        assert!(proves_fork(&b, &a, evidence.proof()));
        // An honest history is no fork, whatever proof is shown.
        let longer = Head { n: a.n + 1, ..a };
        assert!(!proves_fork(&a, &longer, evidence.proof()));
        assert_eq!(evidence.proof().is_empty(), more == 0);
        let mut cursor = Reader::new(id, 0);
        let credit = Credit {
            windows: 1,
            bytes: 1,
        };
        let status = net.with(reader, |engine, now, world| {
            cursor.pump(engine, now, &credit, world)
        });
        assert_eq!(status, Status::Forked);
    }
}

/// A head that goes on after the final one is a fork too.
#[test]
fn fork__beyond_the_end() {
    let mut net = Net::new(10);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, Some(author));
    let mut feed = Author::new(26);
    feed.write(&mut net.nodes[author].world, b"end");
    feed.publish(net.now, &mut net.nodes[author], true);
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    let id = feed.id;
    // The node that signed the end goes no further; one that has forgotten it does.
    net.reboot(author, Role::Host);
    let mut other = Author::new(26);
    for payload in [b"end".as_slice(), b"more"] {
        other.append(net.now, &mut net.nodes[author], payload);
    }
    net.with(reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 2), ANY_AGE, 2000, world)
    });
    net.run(s(2));
    assert!(net.nodes[reader].engine.feed_state(&id).unwrap().is_forked);
}

/// Two nodes have one key. What one of them has stored and not signed lies where the other's entries
/// belong; readers get what was signed.
#[test]
fn unsigned__gives_way_to_what_was_signed() {
    let mut net = Net::new(12);
    let first = net.add(Role::Host);
    let second = net.add(Role::Host);
    let link = net.link(&[first, second], 1500);
    net.route(first, link, Some(second));
    let mut mine = Author::new(31);
    let id = mine.id;
    net.nodes[first].engine.feed_keep(&id, mine.name).unwrap();
    mine.append(net.now, &mut net.nodes[first], b"both have this");
    // A batch whose head is not signed yet.
    for _ in 0..3 {
        mine.write(&mut net.nodes[first].world, b"never signed");
    }
    let mut theirs = Author::new(31);
    let payloads = [b"both have this".as_slice(), b"signed", b"signed, too"];
    for payload in payloads {
        theirs.append(net.now, &mut net.nodes[second], payload);
    }
    assert!(net.get_head(first, id, 3, s(5)));
    let mut cursor = Reader::new(id, 0);
    let got = net.read(first, &mut cursor, id, 3, s(5));
    assert_eq!(got.len(), 3);
    for (entry, payload) in got.iter().zip(payloads) {
        assert_eq!(entry.0, *payload);
    }
}

/// A node never replaces a head that it holds by one of its own that excludes it.
#[test]
fn fork__is_not_made_here() {
    let mut net = Net::new(10);
    let author = net.add(Role::Host);
    for (is_final, second) in [(false, b"two".as_slice()), (true, b"one")] {
        let mut feed = Author::new(27 + u8::from(is_final));
        feed.write(&mut net.nodes[author].world, b"one");
        feed.publish(net.now, &mut net.nodes[author], is_final);
        let held = feed.head.unwrap();
        let mut other = Author::new(27 + u8::from(is_final));
        other.time += 1;
        other.write(&mut net.nodes[author].world, second);
        if is_final {
            other.write(&mut net.nodes[author].world, b"beyond the end");
        }
        let head = other.sign(0);
        let node = &mut net.nodes[author];
        assert_eq!(
            node.engine
                .own_head(net.now, &feed.id, &head.bytes, &mut node.world),
            Err(Drop::OldHead)
        );
        let state = node.engine.feed_state(&feed.id).unwrap();
        assert_eq!(state.head.unwrap().bytes, held.bytes);
    }
}
