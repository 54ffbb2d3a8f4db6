// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Neighbours and links that damage, repeat and forge: right bytes or none.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Counter, Mac, Role, Rx};
use feed_core::wire::{FrameView, Message, ANY_AGE};
use feed_core::Drop;
use harness::line::{check_all, line, Line};
use harness::{ms, s, Author, Net, Rng};

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
