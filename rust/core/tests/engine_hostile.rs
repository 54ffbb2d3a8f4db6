// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Neighbours that lie, repeat, flood and forge: right bytes or none.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader, Status};
use feed_core::engine::{Counter, Mac, Role, Rx, Sizes};
use feed_core::head::{Head, SignedHead};
use feed_core::sign::PublicKey;
use feed_core::verify::proves_fork;
use feed_core::wire::{
    FrameBuilder, FrameHeader, FrameView, LookupHead, Message, Preamble, ANY_AGE,
};
use feed_core::Drop;
use harness::{ms, s, Author, Net, Rng};

struct Line {
    net: Net,
    author: usize,
    cache: usize,
    reader: usize,
    feed: Author,
}

/// author — cache — reader, with a filled feed.
fn line(seed: u64, mtu: usize, sizes: &[usize], entries: usize) -> Line {
    let mut net = Net::new(seed);
    let author = net.add(Role::Host);
    let cache = net.add(Role::Cache);
    let reader = net.add(Role::Host);
    let up = net.link(&[author, cache], mtu);
    let down = net.link(&[cache, reader], mtu);
    net.route(cache, up, None);
    net.route(reader, down, None);
    let mut feed = Author::new(21);
    let mut rng = Rng(seed);
    for index in 0..entries {
        let payload = rng.bytes(sizes[index % sizes.len()]);
        feed.write(&mut net.nodes[author].world, &payload);
    }
    let now = net.now;
    feed.publish(now, &mut net.nodes[author], false);
    Line {
        net,
        author,
        cache,
        reader,
        feed,
    }
}

/// What was read is right, and nothing wrong lies in any store.
fn check_all(net: &mut Net, feed: &Author, got: &[(Vec<u8>, u8)]) {
    for (seq, (bytes, _)) in got.iter().enumerate() {
        assert!(*bytes == feed.payloads[seq], "entry {seq} is wrong");
    }
    let author = &net.nodes[0].world;
    for node in &net.nodes[1..] {
        node.world.check_blobs();
        for ((key, slot), bytes) in &node.world.slots {
            let right = author.slots.get(&(*key, *slot));
            // Leaves keep the hops that they came; all else is equal.
            let same = right.is_none_or(|right| {
                right == bytes
                    || (bytes.len() == 64
                        && right[..28] == bytes[..28]
                        && right[32..] == bytes[32..])
            });
            assert!(same, "a wrong {key:?} slot {slot} was stored");
        }
        for ((blob, window), (bytes, _)) in &node.world.blobs {
            let right = author.blobs.get(&(*blob, *window));
            assert!(
                right.is_none_or(|(right, _)| right == bytes),
                "a wrong blob window was stored"
            );
        }
    }
}

/// Flips one byte of every n-th frame on both links, at every place in turn.
fn flipped(mtu: usize, every: u64, sizes: &[usize], entries: usize) {
    let Line {
        mut net,
        reader,
        feed,
        ..
    } = line(every, mtu, sizes, entries);
    for link in &mut net.links {
        let (mut frames, mut place) = (0u64, 0usize);
        link.damage = Some(Box::new(move |bytes, rng| {
            frames += 1;
            if frames % every == 0 {
                place = (place + 1 + rng.below(7) as usize) % bytes.len();
                bytes[place] ^= 1 << rng.below(8);
            }
        }));
    }
    let count = feed.payloads.len();
    assert!(
        net.get_head(reader, feed.id, count as u64, s(30)),
        "no head"
    );
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, count, s(300));
    check_all(&mut net, &feed, &got);
    let drops = &net.nodes[reader].world.drops;
    assert_eq!(got.len(), count, "entries are missing; drops {drops:?}");
    assert!(drops.values().sum::<u64>() > 0, "nothing was flipped");
}

#[test]
fn flips__one_frame_in_four() {
    flipped(1280, 4, &[100, 1024, 40 << 10, 700], 24);
    flipped(1500, 5, &[300, 33 << 10, 1025, 0, 900], 40);
    flipped(9000, 4, &[1024, 200 << 10, 64], 12);
}

/// Every frame is flipped for a while: nothing gets through, then all is well.
#[test]
fn flips__every_frame_then_none() {
    let Line {
        mut net,
        reader,
        feed,
        ..
    } = line(77, 1500, &[500, 40 << 10], 10);
    for link in &mut net.links {
        link.damage = Some(Box::new(|bytes, rng| {
            let place = rng.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << rng.below(8);
        }));
    }
    net.get_head(reader, feed.id, 10, s(5));
    let mut cursor = Reader::new(feed.id, 0);
    let mut got = net.read(reader, &mut cursor, feed.id, 10, s(5));
    check_all(&mut net, &feed, &got);
    for link in &mut net.links {
        link.damage = None;
    }
    assert!(net.get_head(reader, feed.id, 10, s(40)));
    let left = 10 - got.len();
    got.extend(net.read(reader, &mut cursor, feed.id, left, s(40)));
    assert_eq!(got.len(), 10);
    check_all(&mut net, &feed, &got);
}

/// A cache that damages blob bytes always: the reader finds the liar chunk by chunk, and takes
/// the right bytes from the other route.
#[test]
fn liar__is_found_and_left() {
    let mut net = Net::new(4);
    let author = net.add(Role::Host);
    let honest = net.add(Role::Cache);
    let liar = net.add(Role::Cache);
    let reader = net.add(Role::Host);
    let links = [
        net.link(&[author, honest], 1500),
        net.link(&[author, liar], 1500),
        net.link(&[liar, reader], 1500),
        net.link(&[honest, reader], 1500),
    ];
    net.route(honest, links[0], Some(author));
    net.route(liar, links[1], Some(author));
    net.route_cost(reader, links[2], Some(liar), 1);
    net.route_cost(reader, links[3], Some(honest), 2);
    // BLOB_DATA begins with its type behind the frame header, or follows a path: damage the tail.
    net.links[links[2]].damage = Some(Box::new(|bytes, _| {
        let has_data = FrameView::parse(bytes).is_ok_and(|view| {
            view.messages()
                .flatten()
                .any(|m| matches!(m, Message::BlobData(_)))
        });
        if has_data {
            let last = bytes.len() - 1;
            bytes[last] ^= 0x55;
        }
    }));
    let mut feed = Author::new(22);
    let payload = Rng(9).bytes(100 << 10);
    feed.append(net.now, &mut net.nodes[author], &payload);
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 1, s(30));
    assert_eq!(got.len(), 1, "drops {:?}", net.nodes[reader].world.drops);
    assert!(got[0].0 == payload);
    assert!(net.nodes[reader].world.count(Counter::ChunkMode) > 0);
    assert!(net.nodes[reader].world.dropped(Drop::BlobMismatch) > 0);
}

/// One damaged chunk in one frame, and only one route: the page tells which, and only it is fetched again.
#[test]
fn chunk_mode__refetches_the_wrong_chunk_only() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(5, 1500, &[64 << 10], 1);
    let mut once = true;
    net.links[1].damage = Some(Box::new(move |bytes, _| {
        let data = FrameView::parse(bytes).is_ok_and(|view| {
            view.messages()
                .flatten()
                .any(|m| matches!(m, Message::BlobData(d) if d.offset > 8000))
        });
        if data && once {
            once = false;
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
    }));
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let before = net.links[1].seen.bytes;
    let got = net.read(reader, &mut cursor, feed.id, 1, s(10));
    assert_eq!(got.len(), 1);
    check_all(&mut net, &feed, &got);
    let carried = net.links[1].seen.bytes - before;
    assert!(
        carried < 80 << 10,
        "{carried} B for 64 KiB with one bad chunk"
    );
    assert_eq!(net.nodes[reader].world.count(Counter::ChunkMode), 1);
    assert_eq!(net.nodes[cache].world.count(Counter::ChunkMode), 0);
}

/// Where the bytes of a blob's first chunk lie in a frame, and how many come with them.
fn first_chunk(frame: &[u8]) -> Option<(usize, usize)> {
    let view = FrameView::parse(frame).ok()?;
    view.messages().flatten().find_map(|message| match message {
        Message::BlobData(data) if data.offset == 0 => {
            let bytes = data.payload.bytes();
            let at = bytes.as_ptr() as usize - frame.as_ptr() as usize;
            Some((at, bytes.len()))
        }
        _ => None,
    })
}

/// Chunk by chunk, one frame brings the last chunk that is missing, and with it part of one or a
/// wrong copy of one that is here: the window is whole.
#[test]
fn chunk_mode__the_last_chunk_among_bad_ones() {
    // With the smaller MTU the first frame of a window ends with a chunk.
    for (mtu, reason) in [(9000, Drop::PartialChunk), (8296, Drop::BlobMismatch)] {
        let Line {
            mut net,
            cache,
            reader,
            feed,
            ..
        } = line(8, mtu, &[32 << 10], 1);
        // The first chunk never comes whole.
        net.links[1].damage = Some(Box::new(|frame, _| {
            if let Some((at, _)) = first_chunk(frame) {
                frame[at] ^= 1;
            }
        }));
        net.links[1].capture = Some(Vec::new());
        assert!(net.get_head(reader, feed.id, 1, s(5)));
        let mut cursor = Reader::new(feed.id, 0);
        let got = net.read(reader, &mut cursor, feed.id, 1, ms(500));
        assert!(got.is_empty());
        assert_eq!(net.nodes[reader].world.count(Counter::ChunkMode), 1);
        let frames = net.links[1].capture.take().unwrap();
        let begins = |frame: &&Vec<u8>| first_chunk(frame).is_some_and(|(_, len)| len > 1024);
        let mut frame = frames.iter().find(begins).unwrap().clone();
        *frame.last_mut().unwrap() ^= 1;
        let port = net.port(1);
        let rx = Rx {
            port,
            mac: harness::mac_of(cache, port),
            group: false,
        };
        let before = net.nodes[reader].world.dropped(reason);
        net.inject(reader, rx, &frame);
        assert_eq!(net.nodes[reader].world.dropped(reason), before + 1);
        let got = net.read(reader, &mut cursor, feed.id, 1, 0);
        assert_eq!(got.len(), 1, "MTU {mtu}: the window is not published");
        check_all(&mut net, &feed, &got);
    }
}

/// Every frame that ever passed, played again to every node: nothing changes.
#[test]
fn replay__changes_nothing() {
    let Line {
        mut net,
        author,
        cache,
        reader,
        feed,
    } = line(6, 1500, &[100, 40 << 10], 20);
    for link in &mut net.links {
        link.capture = Some(Vec::new());
    }
    assert!(net.get_head(reader, feed.id, 20, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 20, s(10));
    assert_eq!(got.len(), 20);
    net.run(s(40));
    let frames: Vec<(usize, Vec<u8>)> = net
        .links
        .iter_mut()
        .enumerate()
        .flat_map(|(index, link)| {
            link.capture
                .take()
                .unwrap()
                .into_iter()
                .map(move |frame| (index, frame))
        })
        .collect();
    let before: Vec<usize> = net
        .nodes
        .iter()
        .map(|node| node.world.slots.len() + node.world.blobs.len())
        .collect();
    for (link, frame) in &frames {
        let port = net.port(*link);
        for node in [author, cache, reader] {
            if net.nodes[node].engine.port_info(port).is_some() {
                for mac in [Mac([2, 0, 0, 1, 0, port.0 as u8]), Mac([2, 9, 9, 9, 9, 9])] {
                    net.inject(
                        node,
                        Rx {
                            port,
                            mac,
                            group: false,
                        },
                        frame,
                    );
                }
            }
        }
    }
    net.run(s(60));
    let after: Vec<usize> = net
        .nodes
        .iter()
        .map(|node| node.world.slots.len() + node.world.blobs.len())
        .collect();
    assert_eq!(before, after, "a replayed answer was stored");
    let drops = &net.nodes[reader].world.drops;
    assert!(
        drops.get(&Drop::Unsolicited).copied().unwrap_or(0) > 10,
        "drops {drops:?}"
    );
    for node in &net.nodes {
        assert_eq!(node.engine.pending_len(), 0);
    }
}

/// Answers that a stranger on the same segment forges: right token or not, wrong station.
#[test]
fn forged__answers_of_strangers_do_not_count() {
    let mut net = Net::new(7);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, Some(author));
    let mut feed = Author::new(23);
    feed.append(net.now, &mut net.nodes[author], b"right");
    net.links[link].capture = Some(Vec::new());
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 0), ANY_AGE, 1000, world)
    });
    // The answer is on its way; the stranger heard the lookup and answers first.
    net.step(net.now + ms(1));
    let frames = net.links[link].capture.take().unwrap();
    let port = net.port(link);
    let stranger = Rx {
        port,
        mac: Mac([2, 9, 9, 9, 9, 9]),
        group: false,
    };
    let answer = frames.last().unwrap().clone();
    net.inject(reader, stranger, &answer);
    assert_eq!(net.nodes[reader].world.dropped(Drop::BadToken), 1);
    assert!(net.nodes[reader].engine.feed_state(&id).is_none());
    assert!(net.get_head(reader, id, 1, s(1)));
}

/// A head that is not signed by the feed's key, one that is old, one from the future.
#[test]
fn heads__forged_old_and_stale() {
    let mut net = Net::new(8);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, Some(author));
    let mut feed = Author::new(24);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let old = feed.head.unwrap();
    // Flip the signature of every head.
    net.links[link].damage = Some(Box::new(|bytes, _| {
        let has = FrameView::parse(bytes).is_ok_and(|view| {
            view.messages()
                .flatten()
                .any(|m| matches!(m, Message::Head(_)))
        });
        if has {
            bytes[24 + 170] ^= 1;
        }
    }));
    assert!(!net.get_head(reader, feed.id, 1, s(2)));
    assert!(net.nodes[reader].world.dropped(Drop::BadSignature) > 0);
    assert!(net.nodes[reader]
        .engine
        .feed_state(&feed.id)
        .is_none_or(|feed| feed.head.is_none()));
    net.links[link].damage = None;
    assert!(net.get_head(reader, feed.id, 1, s(10)));
    feed.append(net.now, &mut net.nodes[author], b"two");
    assert!(net.get_head(reader, feed.id, 2, s(5)));
    // The author's node goes back (a restored copy): readers do not.
    net.reboot(author, Role::Host);
    let mut copy = Author::new(24);
    copy.append(net.now, &mut net.nodes[author], b"one");
    assert_ne!(copy.head.unwrap().head.n, 2);
    assert!(!net.get_head(reader, feed.id, 3, s(2)));
    let state = net.nodes[reader].engine.feed_state(&feed.id).unwrap();
    assert_eq!(state.head.unwrap().head.n, 2);
    assert!(old.head.n < 2);
}

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

fn lookup_frame(nonce: u32, id: [u8; 32]) -> Vec<u8> {
    let mut buf = vec![0; 1500];
    let mut frame = FrameBuilder::new(&mut buf, 1500).unwrap();
    let pre = Preamble {
        nonce,
        token: feed_core::token::Token::from_u64(u64::from(nonce)),
        life_ms: 30_000,
        hop_limit: 10,
        id: feed_core::id::DiscoveryId(id),
    };
    let lookup = LookupHead {
        pre,
        at_least_epoch: 0,
        held_epoch: 0,
        at_least_n: 0,
        held_n: 0,
        max_age_ms: ANY_AGE,
    };
    assert!(lookup.emit(&mut frame));
    let built = frame.finish(&FrameHeader::default());
    buf.truncate(built.linear);
    buf
}

/// A neighbour that fills its quota pushes out its own lookups, nobody else's.
#[test]
fn quota__overflow_is_ones_own() {
    let mut net = Net::new(11);
    let cache = net.add(Role::Cache);
    let dark = net.add(Role::Host);
    let flooder = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let up = net.link(&[cache, dark], 1500);
    net.nodes[dark].on = false;
    let bad = net.link(&[cache, flooder], 1500);
    let good = net.link(&[cache, reader], 1500);
    net.route(cache, up, None);
    net.route(reader, good, None);
    let feed = Author::new(27);
    let id = feed.id;
    net.with(reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 0), ANY_AGE, 30_000, world)
    });
    net.run(ms(10));
    assert_eq!(net.nodes[cache].engine.pending_len(), 1);
    let port = net.port(bad);
    for nonce in 0..5000u32 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&nonce.to_le_bytes());
        let rx = Rx {
            port,
            mac: Mac([2, 7, 7, 7, 7, 7]),
            group: false,
        };
        net.inject(cache, rx, &lookup_frame(nonce + 1, id));
    }
    // The ports' half of the table, less what is kept for the other two.
    let half = Sizes::NAMESPACE.pending / 2;
    let quota = half - 2 * (half / 2 / 3);
    assert_eq!(net.nodes[cache].engine.waiting_len(), quota + 1);
    assert_eq!(net.nodes[cache].engine.pending_len(), quota + 1);
    // The first reader still waits: the data comes and reaches it.
    net.nodes[dark].on = true;
    let mut feed = Author::new(27);
    feed.append(net.now, &mut net.nodes[dark], b"late");
    assert!(net.run_until(s(10), |net| net.nodes[reader]
        .engine
        .feed_state(&id)
        .is_some_and(|feed| feed.head.is_some())));
    net.run(s(40));
    assert_eq!(net.nodes[cache].engine.pending_len(), 0);
    assert_eq!(net.nodes[cache].engine.waiting_len(), 0);
}

/// Random and mutated frames during a transfer: right bytes at the end, every drop has a reason.
#[test]
fn garbage__flood_during_a_transfer() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(12, 1500, &[200, 1024, 50 << 10], 60);
    for link in &mut net.links {
        link.capture = Some(Vec::new());
    }
    let mut rng = Rng(99);
    let mut cursor = Reader::new(feed.id, 0);
    let mut got = Vec::new();
    assert!(net.get_head(reader, feed.id, 60, s(5)));
    let mut sent = 0u64;
    for _ in 0..4000 {
        let left = 60 - got.len();
        if left > 0 && rng.chance(300) {
            got.extend(net.read(reader, &mut cursor, feed.id, left.min(1), ms(1)));
        }
        for _ in 0..10 {
            let link = rng.below(2) as usize;
            let node = if rng.chance(500) {
                cache
            } else if link == 0 {
                0
            } else {
                reader
            };
            let mut frame = match &net.links[link].capture {
                Some(known) if !known.is_empty() && rng.chance(800) => {
                    known[rng.below(known.len() as u64) as usize].clone()
                }
                _ => {
                    let len = 20 + rng.below(1400) as usize;
                    rng.bytes(len)
                }
            };
            for _ in 0..1 + rng.below(3) {
                let place = rng.below(frame.len() as u64) as usize;
                frame[place] = rng.next() as u8;
            }
            let port = net.port(link);
            let mac = Mac([2, 0, 0, rng.below(4) as u8, 0, port.0 as u8]);
            let rx = Rx {
                port,
                mac,
                group: rng.chance(100),
            };
            net.inject(node, rx, &frame);
            sent += 1;
        }
    }
    let left = 60 - got.len();
    got.extend(net.read(reader, &mut cursor, feed.id, left, s(60)));
    check_all(&mut net, &feed, &got);
    assert_eq!(got.len(), 60, "drops {:?}", net.nodes[reader].world.drops);
    let dropped: u64 = net
        .nodes
        .iter()
        .map(|node| node.world.drops.values().sum::<u64>())
        .sum();
    assert!(dropped > sent / 3, "{dropped} of {sent} were dropped");
    assert!(net.nodes[cache].engine.waiting_len() <= Sizes::NAMESPACE.downs);
}

/// Stores that refuse now and then only delay.
#[test]
fn store__full_now_and_then() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(13, 1500, &[200, 40 << 10, 1024], 40);
    net.nodes[cache].world.fail_every = 7;
    net.nodes[reader].world.fail_every = 9;
    assert!(net.get_head(reader, feed.id, 40, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 40, s(120));
    check_all(&mut net, &feed, &got);
    assert_eq!(got.len(), 40, "drops {:?}", net.nodes[reader].world.drops);
}

/// A cache whose store is full takes nothing, and says so.
#[test]
fn store__always_full() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(14, 1500, &[200, 40 << 10], 4);
    net.nodes[cache].world.full = true;
    assert!(
        net.get_head(reader, feed.id, 4, s(5)),
        "heads need no store"
    );
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 4, s(3));
    assert_eq!(got.len(), 0);
    let world = &net.nodes[cache].world;
    assert!(
        world.dropped(Drop::StoreFull) + world.dropped(Drop::NoPage) > 0,
        "drops {:?}",
        world.drops
    );
    assert!(net.nodes[cache].world.slots.is_empty() && net.nodes[cache].world.blobs.is_empty());
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

/// Without a cookie a lookup is worth one frame.
#[test]
fn cookie__one_frame_without() {
    let Line {
        mut net,
        cache,
        reader,
        feed,
        ..
    } = line(16, 1500, &[300], 32);
    assert!(net.get_head(reader, feed.id, 32, s(5)));
    let mut cursor = Reader::new(feed.id, 0);
    assert_eq!(net.read(reader, &mut cursor, feed.id, 32, s(5)).len(), 32);
    // Somebody else, without cookie, asks for the whole window.
    net.links[1].capture = Some(Vec::new());
    let mut fresh = Reader::new(feed.id, 0);
    net.nodes[reader].world.flush();
    net.read(reader, &mut fresh, feed.id, 32, s(5));
    let frames = net.links[1].capture.take().unwrap();
    let lookup = frames.iter().find(|frame| {
        FrameView::parse(frame).is_ok_and(|view| {
            view.messages()
                .flatten()
                .any(|m| matches!(m, Message::LookupRange(_)))
        })
    });
    let mut lookup = lookup.unwrap().clone();
    let port = net.port(1);
    for (echo, most) in [(false, 1), (true, 64)] {
        if !echo {
            lookup[8..16].fill(0);
        }
        let mac = if echo {
            Mac([2, 0, 0, reader as u8, 0, port.0 as u8])
        } else {
            Mac([2, 8, 8, 8, 8, 8])
        };
        net.links[1].seen = harness::Seen::default();
        let rx = Rx {
            port,
            mac,
            group: false,
        };
        net.inject(cache, rx, &lookup);
        let sent = net.links[1].seen.frames;
        assert!((1..=most).contains(&sent), "{sent} frames, echo {echo}");
    }
}
