// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Sieges of lookups: who asks for what nobody has, answers junk, refuses all the time, goes away
//! or fills tables must not keep others from what they ask for.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Mac, PortId, Role, Rx, Wanted};
use feed_core::head::{Head, HEAD_LEN};
use feed_core::id::{BlobName, DiscoveryId, Hash, Hashes};
use feed_core::leaf::Leaf;
use feed_core::object::{locate, locate_leaf, unpack_leaf, TreeOf};
use feed_core::sign::Seed;
use feed_core::token::Token;
use feed_core::tree::{inclusion_nodes, resolve, FeedTree, Node};
use feed_core::wire::{
    self, Answer, Follow, FrameBuilder, FrameHeader, FrameView, LookupBlob, LookupHead,
    LookupRange, Message, Preamble, Reason, ANY_AGE,
};
use harness::{ms, s, Author, Net, Rng, World};

/// More than any feed of the present epoch can ever have.
const IMPOSSIBLE_N: u64 = (1 << 36) + 1;

fn frame(fill: impl FnOnce(&mut FrameBuilder<'_>)) -> Vec<u8> {
    let mut bytes = vec![0; 9000];
    let mut builder = FrameBuilder::new(&mut bytes, 9000).unwrap();
    fill(&mut builder);
    let built = builder.finish(&FrameHeader::default());
    bytes.truncate(built.linear);
    bytes
}

/// The address of a stranger: no node of a net has it.
fn stranger(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([2, 7, a, b, c, d])
}

fn from(port: PortId, mac: Mac) -> Rx {
    Rx {
        port,
        mac,
        group: false,
    }
}

fn preamble(nonce: u32, id: DiscoveryId) -> Preamble {
    Preamble {
        nonce,
        token: Token::from_u64(u64::from(nonce)),
        life_ms: 30_000,
        hop_limit: 10,
        id,
    }
}

fn lookup_head(nonce: u32, id: DiscoveryId, at_least_n: u64) -> Vec<u8> {
    let lookup = LookupHead {
        pre: preamble(nonce, id),
        at_least_epoch: 0,
        at_least_n,
        held_epoch: 0,
        held_n: 0,
        max_age_ms: ANY_AGE,
    };
    frame(|builder| assert!(lookup.emit(builder)))
}

fn follow(nonce: u32, id: DiscoveryId, n: u64, grant_bytes: u32, life_ms: u32) -> Vec<u8> {
    let lookup = Follow {
        pre: Preamble {
            life_ms,
            ..preamble(nonce, id)
        },
        epoch: 0,
        n,
        grant_bytes,
    };
    frame(|builder| assert!(lookup.emit(builder)))
}

/// All lookups in some frames.
fn lookups(frames: &[Vec<u8>]) -> Vec<Preamble> {
    let views = frames.iter().map(|bytes| FrameView::parse(bytes).unwrap());
    views
        .flat_map(|view| view.messages().flatten().collect::<Vec<_>>())
        .filter_map(|message| match message {
            Message::LookupHead(m) => Some(m.pre),
            Message::LookupRange(m) => Some(m.pre),
            Message::LookupBlob(m) => Some(m.pre),
            Message::LookupCons(m) => Some(m.pre),
            Message::Follow(m) => Some(m.pre),
            _ => None,
        })
        .collect()
}

/// A head of the feed that somebody else signed.
fn forged(feed: &Author, n: u64) -> [u8; HEAD_LEN] {
    let head = Head {
        flags: 0,
        epoch: 0,
        n,
        time: 1,
        next_by: 0,
        name: feed.name,
        root: Hash([1; 32]),
    };
    head.sign(&Seed::new([77; 32]).unwrap()).unwrap().bytes
}

fn head_of(net: &Net, node: usize, id: DiscoveryId) -> Option<u64> {
    let state = net.nodes[node].engine.feed_state(&id)?;
    state.head.map(|head| head.head.n)
}

/// author — cache — reader, and a port of the cache where only strangers are.
struct Line {
    net: Net,
    author: usize,
    cache: usize,
    reader: usize,
    feed: Author,
    strangers: PortId,
}

fn line(to_group: bool, entries: usize) -> Line {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let cache = net.add(Role::Cache);
    let reader = net.add(Role::Host);
    let dark = net.add(Role::Host);
    net.nodes[dark].on = false;
    let up = net.link(&[author, cache], 1500);
    let down = net.link(&[cache, reader], 1500);
    let dark = net.link(&[cache, dark], 1500);
    net.route(cache, up, (!to_group).then_some(author));
    net.route(reader, down, Some(cache));
    let mut feed = Author::new(21);
    for entry in 0..entries {
        let text = format!("entry {entry}");
        feed.append(net.now, &mut net.nodes[author], text.as_bytes());
    }
    let strangers = net.port(dark);
    Line {
        net,
        author,
        cache,
        reader,
        feed,
        strangers,
    }
}

/// An author with one entry, and somebody else on its link.
fn pair() -> (Net, usize, usize, usize, Author) {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let other = net.add(Role::Host);
    let link = net.link(&[author, other], 1500);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    (net, author, other, link, feed)
}

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
    let mut want = |line: &mut Line, n: u64| {
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
