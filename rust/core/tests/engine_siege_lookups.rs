// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Sieges of lookups: who asks for what nobody has, answers junk, refuses all the time, goes away
//! or fills tables must not keep others from what they ask for.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Role, Rx, Wanted};
use feed_core::id::{BlobName, DiscoveryId, Hash, Hashes};
use feed_core::leaf::Leaf;
use feed_core::object::{locate, locate_leaf, unpack_leaf, TreeOf};
use feed_core::token::Token;
use feed_core::tree::{inclusion_nodes, resolve, FeedTree, Node};
use feed_core::wire::{self, Answer, FrameView, LookupBlob, LookupRange, Message, Reason, ANY_AGE};
use harness::siege::*;
use harness::{ms, s, Author, Net, Rng, World};

/// A neighbour asks for an entry behind the feed's end. Its bit must not become part of what the
/// cache asks for others: that range would wait for a head that never comes.
#[test]
fn lookup_for_an_entry_behind_the_end__starves_no_reader() {
    let mut line = line(false, 3);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 3, s(5)));
    let lookup = LookupRange {
        pre: preamble(5, id),
        leaf_only: false,
        epoch: 0,
        want: 1 << 31,
        n: 3,
        window: 0,
        have_path: false,
        have_page: false,
    };
    let attack = frame(|builder| assert!(lookup.emit(builder)));
    let rx = from(line.strangers, stranger(1));
    line.net.inject(line.cache, rx, &attack);
    let mut cursor = Reader::new(id, 0);
    let got = line.net.read(line.reader, &mut cursor, id, 3, s(25));
    assert_eq!(got.len(), 3);
}

/// An honest host on the cheaper route refuses each lookup: the other route must be tried.
#[test]
fn refusals_on_one_route__do_not_keep_the_lookup_from_the_next() {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let host = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let cheap = net.link(&[host, reader], 1500);
    let dear = net.link(&[author, reader], 1500);
    net.route_cost(reader, cheap, None, 1);
    net.route_cost(reader, dear, None, 2);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    assert!(net.get_head(reader, feed.id, 1, s(60)));
}

/// A liar on the cheaper route answers each lookup with a head that needs no signature to be
/// thrown away: the other route must be tried.
#[test]
fn junk_answers_on_one_route__do_not_keep_the_lookup_from_the_next() {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let liar = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let cheap = net.link(&[liar, reader], 1500);
    let dear = net.link(&[author, reader], 1500);
    net.nodes[liar].on = false;
    net.route_cost(reader, cheap, Some(liar), 1);
    net.route_cost(reader, dear, Some(author), 2);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let id = feed.id;
    let rx = from(net.port(cheap), harness::mac_of(liar, net.port(cheap)));
    net.links[cheap].capture = Some(vec![]);
    for step in 0..6000 {
        if step % 50 == 0 {
            let wanted = net.with(reader, |engine, now, world| {
                engine.want_head(now, &id, (0, 1), ANY_AGE, 1000, world)
            });
            if wanted == Wanted::Present {
                return;
            }
        }
        net.run(ms(10));
        let asked = std::mem::take(net.links[cheap].capture.as_mut().unwrap());
        for lookup in lookups(&asked) {
            let junk = wire::Head {
                answer: Answer {
                    hops: 1,
                    token: lookup.token,
                },
                unchecked: true,
                bytes: &forged(&feed, 1),
            };
            let junk = frame(|builder| assert!(junk.emit(builder)));
            net.inject(reader, rx, &junk);
        }
    }
    panic!("the liar keeps the lookup for a minute");
}

/// A liar on the cheaper route damages a window once, and from then on answers with the path
/// alone, which is good: the rest must be asked for elsewhere.
#[test]
fn paths_without_data_on_one_route__do_not_keep_the_window_from_the_next() {
    let mut net = Net::new(4);
    let author = net.add(Role::Host);
    let liar = net.add(Role::Cache);
    let reader = net.add(Role::Host);
    let far = net.link(&[author, liar], 1500);
    let cheap = net.link(&[liar, reader], 1500);
    let dear = net.link(&[author, reader], 1500);
    net.route(liar, far, Some(author));
    net.route_cost(reader, cheap, Some(liar), 1);
    net.route_cost(reader, dear, Some(author), 2);
    let mut feed = Author::new(22);
    let payload = Rng(9).bytes(100 << 10);
    feed.append(net.now, &mut net.nodes[author], &payload);
    assert!(net.get_head(reader, feed.id, 1, s(5)));
    net.links[cheap].repeat = 1000;
    net.links[cheap].damage = Some(Box::new(|bytes, _| {
        let copy = bytes.clone();
        let Ok(view) = FrameView::parse(&copy) else {
            return;
        };
        let messages: Vec<_> = view.messages().flatten().collect();
        let has = |is: fn(&Message<'_>) -> bool| messages.iter().any(is);
        let path = messages.iter().find_map(|message| match message {
            Message::BlobPath(path) => Some(path),
            _ => None,
        });
        if has(|message| matches!(message, Message::BlobPage(_))) {
            match path {
                Some(path) => *bytes = frame(|builder| assert!(path.emit(builder))),
                None => bytes.truncate(3),
            }
        } else if has(|message| matches!(message, Message::BlobData(_))) {
            *bytes.last_mut().unwrap() ^= 0x55;
        }
    }));
    let mut cursor = Reader::new(feed.id, 0);
    let got = net.read(reader, &mut cursor, feed.id, 1, s(60));
    assert_eq!(got.len(), 1);
}

/// A neighbour asks the cache for a head that nobody has: other head lookups merge with it, and must
/// get what there is, before the cache knows the feed and after, whether what it asks is silent or
/// refuses.
#[test]
fn demand_for_an_impossible_head__does_not_keep_heads_from_others() {
    for to_group in [false, true] {
        let mut line = line(to_group, 3);
        let id = line.feed.id;
        let rx = from(line.strangers, stranger(1));
        let attack = lookup_head(1, id, IMPOSSIBLE_N);
        line.net.inject(line.cache, rx, &attack);
        assert!(line.net.get_head(line.reader, id, 3, s(5)));
        line.net.run(s(40));
        let author = &mut line.net.nodes[line.author];
        line.feed.append(line.net.now, author, b"more");
        let mut came = false;
        for nonce in 0..10 {
            let attack = lookup_head(100 + nonce, id, IMPOSSIBLE_N);
            line.net.inject(line.cache, rx, &attack);
            came |= line.net.get_head(line.reader, id, 4, s(1));
        }
        assert!(came, "to the group: {to_group}");
    }
}

/// The demands of many strangers rise all the time: each is asked for, but not instead of what the
/// reader waits for.
#[test]
fn demands_that_rise_all_the_time__leave_the_laxest_its_turn() {
    let mut line = line(true, 3);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 3, s(5)));
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, b"more");
    line.net.with(line.reader, |engine, now, world| {
        engine.want_head(now, &id, (0, 4), ANY_AGE, 5000, world)
    });
    let rx = from(line.strangers, stranger(1));
    for step in 0..300 {
        let attack = lookup_head(1000 + step, id, 1000 + u64::from(step));
        line.net.inject(line.cache, rx, &attack);
        line.net.run(ms(10));
    }
    assert_eq!(head_of(&line.net, line.reader, id), Some(4));
}

/// A stranger's demand dies with its lookup: it must not be asked for on behalf of those who wait on.
#[test]
fn demand_of_a_waiter_that_has_gone__is_asked_for_no_more() {
    let mut line = line(true, 3);
    let id = line.feed.id;
    let rx = from(line.strangers, stranger(1));
    line.net.nodes[line.author].on = false;
    let mut attack = lookup_head(1, id, IMPOSSIBLE_N);
    attack[24 + 16..24 + 20].copy_from_slice(&1000u32.to_le_bytes());
    line.net.inject(line.cache, rx, &attack);
    line.net.inject(line.cache, rx, &lookup_head(2, id, 3));
    line.net.run(s(3));
    line.net.links[0].capture = Some(vec![]);
    line.net.run(s(10));
    let asked = line.net.links[0].capture.take().unwrap();
    assert!(!asked.is_empty());
    for bytes in asked {
        let view = FrameView::parse(&bytes).unwrap();
        for message in view.messages().flatten() {
            if let Message::LookupHead(m) = message {
                assert_eq!(m.at_least_n, 3);
            }
        }
    }
}

/// A program of the reader's own asks for an impossible head: another one gets what there is.
#[test]
fn local_demand_for_an_impossible_head__does_not_hide_others() {
    let mut line = line(false, 3);
    let id = line.feed.id;
    let want = |line: &mut Line, n: u64| {
        line.net.with(line.reader, |engine, now, world| {
            engine.want_head(now, &id, (0, n), ANY_AGE, 30_000, world)
        })
    };
    want(&mut line, IMPOSSIBLE_N);
    want(&mut line, 1 << 20);
    want(&mut line, 5);
    want(&mut line, 2);
    line.net.run(s(5));
    assert_eq!(head_of(&line.net, line.reader, id), Some(3));
    let author = &mut line.net.nodes[line.author];
    for _ in 0..2 {
        line.feed.append(line.net.now, author, b"more");
    }
    want(&mut line, 5);
    line.net.run(s(5));
    assert_eq!(head_of(&line.net, line.reader, id), Some(5));
}

/// An answer claims that the feed is as long as can be. The reader must not ask for that head, which
/// nobody has, but for any that is newer than its own.
#[test]
fn entry_of_an_impossible_tree__does_not_keep_heads_away() {
    let (mut net, author, reader, link, mut feed) = pair();
    net.route(reader, link, Some(author));
    let id = feed.id;
    assert!(net.get_head(reader, id, 1, s(5)));
    net.links[link].capture = Some(vec![]);
    net.nodes[author].on = false;
    net.with(reader, |engine, now, world| {
        engine.want_range(now, &id, 0, 1, 5000, world)
    });
    let asked = net.links[link].capture.take().unwrap();
    let junk = wire::Entry {
        answer: Answer {
            hops: 1,
            token: lookups(&asked)[0].token,
        },
        epoch: 0,
        n: 1 << 36,
        leaf: Leaf {
            seq: 0,
            offset: 0,
            time: 0,
            len: 0,
            flags: 0,
            blob: Hash([1; 32]),
        },
        siblings: None,
        payload: Some(wire::Payload::Bytes(&[])),
    };
    let junk = frame(|builder| assert!(junk.emit(builder)));
    let port = net.port(link);
    net.inject(reader, from(port, harness::mac_of(author, port)), &junk);
    net.nodes[author].on = true;
    feed.append(net.now, &mut net.nodes[author], b"two");
    assert!(net.get_head(reader, id, 2, s(10)));
}

/// A neighbour asks the cache for entries of an epoch that no grant began. The cache looks for a
/// newer head, and must not look for that epoch's on behalf of all.
#[test]
fn lookup_in_an_impossible_epoch__does_not_keep_heads_from_others() {
    let mut line = line(true, 3);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 3, s(5)));
    let lookup = LookupRange {
        pre: preamble(5, id),
        leaf_only: false,
        epoch: u32::MAX,
        want: 1,
        n: 3,
        window: 0,
        have_path: false,
        have_page: false,
    };
    let attack = frame(|builder| assert!(lookup.emit(builder)));
    let rx = from(line.strangers, stranger(1));
    line.net.inject(line.cache, rx, &attack);
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, b"more");
    assert!(line.net.get_head(line.reader, id, 4, s(10)));
}

/// An id that no feed has.
fn made_up(number: u32, kind: u8) -> DiscoveryId {
    let mut id = [kind; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    DiscoveryId(id)
}

fn lookup_blob(nonce: u32, hint: DiscoveryId, blob: BlobName) -> Vec<u8> {
    let lookup = LookupBlob {
        pre: preamble(nonce, hint),
        chunk_mode: false,
        blob,
        window: 0,
        have_path: false,
        have_page: false,
        want: 1,
    };
    frame(|builder| assert!(lookup.emit(builder)))
}

/// The refusals among what a node has said since, by reason.
fn refusals(net: &mut Net, node: usize) -> Vec<Reason> {
    let out = std::mem::take(&mut net.nodes[node].world.out);
    let views = out
        .iter()
        .map(|(_, bytes)| FrameView::parse(bytes).unwrap());
    views
        .flat_map(|view| view.messages().flatten().collect::<Vec<_>>())
        .filter_map(|message| match message {
            Message::Refusal(m) => Some(m.reason),
            _ => None,
        })
        .collect()
}

/// Hands a frame to a node and leaves what it says in its outbox.
fn push(net: &mut Net, node: usize, rx: Rx, bytes: &[u8]) {
    let now = net.now;
    let node = &mut net.nodes[node];
    node.engine.on_frame(now, rx, bytes, &mut node.world);
}

/// One port asks for and follows more made-up feeds than the tables have places: programs here and
/// other ports still get theirs.
#[test]
fn port_that_asks_for_everything__leaves_room_for_others() {
    let mut line = line(true, 1);
    let rx = from(line.strangers, stranger(1));
    for number in 0..1100 {
        let attack = lookup_head(number + 1, made_up(number, 1), 0);
        push(&mut line.net, line.cache, rx, &attack);
        let attack = follow(number + 5000, made_up(number, 2), 0, 1 << 20, 30_000);
        push(&mut line.net, line.cache, rx, &attack);
    }
    line.net.nodes[line.cache].world.out.clear();
    assert!(line.net.nodes[line.cache].engine.pending_len() <= 512);
    for number in 0..512 {
        let wanted = line.net.with(line.cache, |engine, now, world| {
            engine.want_head(now, &made_up(number, 3), (0, 0), ANY_AGE, 1000, world)
        });
        assert_eq!(wanted, Wanted::Waiting);
    }
    assert!(line.net.get_head(line.reader, line.feed.id, 1, s(5)));
}

/// One port asks for windows of made-up blobs, each of which takes room in the store: the others
/// and the programs here still get theirs.
#[test]
fn port_that_asks_for_made_up_blobs__leaves_room_for_others() {
    let mut line = line(false, 1);
    let id = line.feed.id;
    assert!(line.net.get_head(line.reader, id, 1, s(5)));
    let blob = |number: u32| BlobName {
        hash: Hash(made_up(number, 4).0),
        len: 16 << 20,
    };
    let rx = from(line.strangers, stranger(1));
    for number in 0..400 {
        let attack = lookup_blob(number + 1, id, blob(number));
        push(&mut line.net, line.cache, rx, &attack);
    }
    assert!(refusals(&mut line.net, line.cache).is_empty());
    let other = from(line.net.port(1), stranger(2));
    for number in 0..20 {
        let lookup = lookup_blob(number + 1000, id, blob(number + 1000));
        push(&mut line.net, line.cache, other, &lookup);
    }
    assert!(refusals(&mut line.net, line.cache).is_empty());
    for number in 0..128 {
        let wanted = line.net.with(line.cache, |engine, now, world| {
            engine.want_blob(now, &id, &blob(number + 2000), 0, 1000, world)
        });
        assert_eq!(wanted, Wanted::Waiting);
    }
}

/// A thousand programs of one machine read different feeds.
#[test]
fn thousand_local_readers__have_room() {
    let (mut net, author, reader, link, _) = pair();
    net.route(reader, link, Some(author));
    for number in 0..1000 {
        let wanted = net.with(reader, |engine, now, world| {
            engine.want_head(now, &made_up(number, 3), (0, 0), ANY_AGE, 1000, world)
        });
        assert_eq!(wanted, Wanted::Waiting);
    }
}

/// Many hosts on a link are asked at once: those that do not serve the feed say nothing, which
/// nobody would heed. Asked alone they refuse.
#[test]
fn hosts_asked_as_a_group__refuse_nothing() {
    let (mut net, author, _, link, _) = pair();
    let alone = from(net.port(link), stranger(1));
    let group = Rx {
        group: true,
        ..alone
    };
    let id = made_up(1, 1);
    push(&mut net, author, group, &lookup_head(1, id, 0));
    push(&mut net, author, group, &follow(2, id, 0, 1 << 20, 30_000));
    assert!(refusals(&mut net, author).is_empty());
    push(&mut net, author, alone, &lookup_head(3, id, 0));
    push(&mut net, author, alone, &follow(4, id, 0, 1 << 20, 30_000));
    let reasons = refusals(&mut net, author);
    assert_eq!(reasons, [Reason::NotServed, Reason::NotServed]);
}

/// A liar on the cheaper route answers with the head that is held already, which is good and brings
/// nothing: the other route, where there is a newer one, must be tried.
#[test]
fn known_heads_on_one_route__do_not_keep_the_lookup_from_the_next() {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let liar = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let cheap = net.link(&[liar, reader], 1500);
    let dear = net.link(&[author, reader], 1500);
    net.nodes[liar].on = false;
    net.route_cost(reader, cheap, Some(liar), 1);
    net.route_cost(reader, dear, Some(author), 2);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let id = feed.id;
    assert!(net.get_head(reader, id, 1, s(20)));
    let old = feed.head.unwrap().bytes;
    net.run(s(40));
    feed.append(net.now, &mut net.nodes[author], b"two");
    let rx = from(net.port(cheap), harness::mac_of(liar, net.port(cheap)));
    net.links[cheap].capture = Some(vec![]);
    for step in 0..3000 {
        if step % 50 == 0 {
            net.with(reader, |engine, now, world| {
                engine.want_head(now, &id, (0, 2), ANY_AGE, 1000, world)
            });
        }
        net.run(ms(10));
        let asked = std::mem::take(net.links[cheap].capture.as_mut().unwrap());
        for lookup in lookups(&asked) {
            let answer = wire::Head {
                answer: Answer {
                    hops: 1,
                    token: lookup.token,
                },
                unchecked: false,
                bytes: &old,
            };
            let answer = frame(|builder| assert!(answer.emit(builder)));
            net.inject(reader, rx, &answer);
        }
    }
    assert_eq!(head_of(&net, reader, id), Some(2));
}

/// The hash of a node of a feed's tree, from a store.
fn node_hash(world: &World, tree: &TreeOf, node: Node) -> Hash {
    let mut read = |node| {
        let (key, slot) = locate(tree, node);
        let bytes = world.slots.get(&(key, slot as u8))?;
        Some(Hash(bytes[..].try_into().unwrap()))
    };
    resolve(&FeedTree, &mut read, node).unwrap()
}

/// An entry without payload, with its proof in the tree of `n`.
fn proved_entry(world: &World, feed: &Author, token: Token, n: u64, seq: u64) -> Vec<u8> {
    let tree = TreeOf::Feed {
        name: feed.name,
        epoch: 0,
    };
    let siblings: Vec<u8> = inclusion_nodes(n, seq)
        .flat_map(|node| node_hash(world, &tree, node).0)
        .collect();
    let (key, slot) = locate_leaf(&feed.name, 0, seq);
    let packed: [u8; 64] = world.slots[&(key, slot as u8)][..].try_into().unwrap();
    let (leaf, _) = unpack_leaf(&packed).unwrap();
    let entry = wire::Entry {
        answer: Answer { hops: 1, token },
        epoch: 0,
        n,
        leaf,
        siblings: Some(Hashes::new(&siblings).unwrap()),
        payload: Some(wire::Payload::Bytes(&[])),
    };
    frame(|builder| assert!(entry.emit(builder)))
}

/// One frame answers more lookups than a frame's list of them has places: all are handed on.
#[test]
fn frame_with_answers_to_many_lookups__is_handed_on_whole() {
    let mut line = line(true, 0);
    let cache = line.cache;
    let Line { net, feed, .. } = &mut line;
    let mut world = World::new(1);
    for _ in 0..400 {
        feed.write(&mut world, b"");
    }
    let head = feed.sign(0).bytes;
    let (up, down) = (net.port(0), net.port(1));
    let (asker, answerer) = (from(down, stranger(1)), from(up, stranger(2)));
    let ask = |net: &mut Net, bytes: &[u8]| {
        net.links[0].capture = Some(vec![]);
        net.inject(cache, asker, bytes);
        lookups(&net.links[0].capture.take().unwrap())[0].token
    };
    let token = ask(net, &lookup_head(1, feed.id, 0));
    let answer = wire::Head {
        answer: Answer { hops: 1, token },
        unchecked: false,
        bytes: &head,
    };
    let answer = frame(|builder| assert!(answer.emit(builder)));
    net.inject(cache, answerer, &answer);
    net.run(ms(10));
    let mut all = vec![];
    for window in 0..12 {
        let lookup = LookupRange {
            pre: preamble(50 + window, feed.id),
            leaf_only: false,
            epoch: 0,
            want: 1,
            n: 400,
            window: u64::from(window),
            have_path: false,
            have_page: false,
        };
        let token = ask(net, &frame(|builder| assert!(lookup.emit(builder))));
        let seq = u64::from(window) * 32;
        all.push(proved_entry(&world, feed, token, 400, seq));
    }
    let together = frame(|builder| {
        for bytes in &all {
            let view = FrameView::parse(bytes).unwrap();
            if let Some(Ok(Message::Entry(entry))) = view.messages().next() {
                assert!(entry.emit(builder));
            }
        }
    });
    net.inject(cache, answerer, &together);
    assert_eq!(net.links[1].seen.of("entry"), 12);
}
