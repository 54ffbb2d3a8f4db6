// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads under siege: verdicts mixed up, dead epochs, records that are never given back, forks
//! without proof, rates used up by junk, and what a feed's sharing does to windows in flight.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::Reader;
use feed_core::engine::{Proved, Role, Route, Rx, Sizes};
use feed_core::grant::Grant;
use feed_core::head::{Head, SignedHead};
use feed_core::id::{DiscoveryId, Hash, Hashes};
use feed_core::object::{locate, TreeOf};
use feed_core::sign::Seed;
use feed_core::tree::{consistency_nodes, resolve, FeedTree};
use feed_core::verify::proves_fork;
use feed_core::wire::{self, Answer, Follow, FrameView, LookupCons, Message, Preamble, ANY_AGE};
use feed_core::Drop;
use harness::besieged::{answer_head, forged_head, signed_head, stranger, token_in, Besieged};
use harness::siege::{self, frame, lookup_head, preamble, IMPOSSIBLE_N};
use harness::{ms, s, Author, Net, Rng, World};

/// The attacker lets a good head of its own feed wait for its verdict, has the place of that head
/// used 255 times more (the queue is full, so each use ends at once), and then puts a forged head of
/// the victim's feed there.
#[test]
fn verdict__is_never_taken_for_another_head() {
    let mut bed = Besieged::new();
    let (own, victim, filler) = (Author::new(50), Author::new(51), Author::new(52));
    let own_token = bed.open_lookup(1, own.id, 1);
    let victim_token = bed.open_lookup(2, victim.id, 1);
    let filler_token = bed.open_lookup(3, filler.id, 1);
    let attacker = stranger(bed.up, 9);
    for index in 1..=63 {
        // Each is newer than the one before and takes its place; its job stays in the queue.
        let bytes = forged_head(&filler, index, 1);
        bed.hand(attacker, &answer_head(filler_token, &bytes));
    }
    bed.hand(attacker, &answer_head(own_token, &signed_head(&own, 1, 3)));
    let jobs = &bed.net.nodes[bed.cache].world.jobs;
    assert_eq!(jobs.len(), bed.net.nodes[bed.cache].world.jobs_max);
    let good = jobs[63];
    assert!(good.check());
    for n in 2..=256 {
        let bytes = forged_head(&own, n, 1);
        bed.hand(attacker, &answer_head(own_token, &bytes));
    }
    let first = bed.net.nodes[bed.cache].world.jobs.remove(0);
    bed.verdict(first.id, first.check());
    let bytes = forged_head(&victim, 5, 1);
    bed.hand(attacker, &answer_head(victim_token, &bytes));
    let forged = *bed.net.nodes[bed.cache].world.jobs.last().unwrap();
    assert_eq!(forged.feed, victim.id);
    assert!(!forged.check());
    assert_ne!(good.id, forged.id, "two heads share a job id");
    bed.verdict(good.id, true);
    assert!(bed.head_of(&victim.id).is_none(), "a forged head");
}

/// A verified grant ends the epochs below its own, even while no head of its epoch has come: who
/// stole the old working key would be served on else.
#[test]
fn grant__ends_the_epoch_of_the_held_head() {
    let mut bed = Besieged::new();
    let feed = Author::new(30);
    let token = bed.open_lookup(1, feed.id, IMPOSSIBLE_N);
    bed.net.flush(bed.cache);
    let old = signed_head(&feed, 1, 3);
    bed.net
        .inject(bed.cache, stranger(bed.up, 5), &answer_head(token, &old));
    bed.net.run(ms(10));
    let asker = stranger(bed.down, 3);
    bed.net
        .inject(bed.cache, asker, &lookup_head(54, feed.id, 0));
    let served = bed.net.links[1].seen.of("head");
    assert!(served > 0, "the head of epoch 0 is not served before");
    let grant = Grant {
        flags: 0,
        epoch: 1,
        base_n: 0,
        time: 5,
        not_after: 0,
        name: feed.name,
        base_root: Hash::ZERO,
        key: Seed::new([9; 32]).unwrap().public_key(),
    };
    let grant = grant.sign(&Seed::new(feed.seed).unwrap()).unwrap();
    // The head before it is junk: nothing of epoch 1 is held but the grant.
    let head = Head {
        flags: 0,
        epoch: 1,
        n: 1,
        time: 5,
        next_by: 0,
        name: feed.name,
        root: Hash([3; 32]),
    };
    let head = head.sign(&Seed::new([8; 32]).unwrap()).unwrap();
    let answer = Answer { hops: 1, token };
    let both = frame(|builder| {
        let head = wire::Head {
            answer,
            unchecked: false,
            bytes: &head.bytes,
        };
        let grant = wire::Grant {
            answer,
            bytes: &grant.bytes,
        };
        assert!(head.emit(builder) && grant.emit(builder));
    });
    bed.net.inject(bed.cache, stranger(bed.up, 6), &both);
    bed.net.run(ms(10));
    let state = bed.net.nodes[bed.cache].engine.feed_state(&feed.id);
    assert_eq!(state.unwrap().grant.unwrap().grant.epoch, 1);
    bed.net
        .inject(bed.cache, asker, &lookup_head(55, feed.id, 0));
    // A FOLLOW that lacks the head gets no push of it either.
    let follow = Follow {
        pre: preamble(56, feed.id),
        epoch: 0,
        grant_bytes: 1 << 20,
        n: 0,
    };
    let follow = frame(|builder| assert!(follow.emit(builder)));
    bed.net.inject(bed.cache, asker, &follow);
    bed.net.run(s(1));
    let now_served = bed.net.links[1].seen.of("head");
    assert_eq!(now_served, served, "a head of a dead epoch is told");
}

/// The jobs of a port that goes are forgotten by the shell: the heads that wait for their verdicts
/// must go with it, or nobody's head finds room any more.
#[test]
fn port_removal__gives_back_what_waits_for_verdicts() {
    let mut bed = Besieged::new();
    let feed = Author::new(50);
    let token = bed.open_lookup(1, feed.id, 0);
    for index in 0..64 {
        let bytes = forged_head(&feed, u64::from(index) + 1, 1);
        bed.hand(stranger(bed.up, 100 + index), &answer_head(token, &bytes));
    }
    let (now, up) = (bed.net.now, bed.up);
    let node = &mut bed.net.nodes[bed.cache];
    assert!(node.world.dropped(Drop::HeldFull) > 0);
    node.world.jobs.clear();
    node.world.drops.clear();
    let info = node.engine.port_info(up).unwrap();
    assert!(node.engine.port_remove(now, up, &mut node.world));
    node.engine.port_add(up, info).unwrap();
    let route = Route {
        feed: None,
        port: up,
        mac: None,
        cost: 0,
    };
    node.engine.route_add(route).unwrap();
    let other = Author::new(60);
    let token = bed.open_lookup(77, other.id, 0);
    let head = signed_head(&other, 1, 3);
    bed.net
        .inject(bed.cache, stranger(up, 5), &answer_head(token, &head));
    bed.net.run(ms(10));
    assert_eq!(bed.net.nodes[bed.cache].world.dropped(Drop::HeldFull), 0);
    assert!(bed.head_of(&other.id).is_some(), "no room for a good head");
}

/// A head waits for its proof from the held length on. A stranger asks for another proof of the same
/// tree, for a millisecond: when that is given up, the head must wait on.
#[test]
fn waiting_head__outlives_other_proofs_of_its_tree() {
    let mut bed = Besieged::new();
    let mut feed = Author::new(30);
    let mut world = World::new(1);
    let mut heads = Vec::new();
    for n in 1..=6 {
        feed.write(&mut world, b"x");
        if n % 3 == 0 {
            heads.push(feed.sign(0).bytes);
        }
    }
    let token = bed.open_lookup(1, feed.id, IMPOSSIBLE_N);
    bed.net.flush(bed.cache);
    let honest = stranger(bed.up, 5);
    bed.net
        .inject(bed.cache, honest, &answer_head(token, &heads[0]));
    bed.net.run(ms(10));
    bed.net.links[0].capture = Some(Vec::new());
    bed.net
        .inject(bed.cache, honest, &answer_head(token, &heads[1]));
    bed.net.run(ms(1));
    let other = LookupCons {
        pre: Preamble {
            life_ms: 1,
            ..preamble(9, feed.id)
        },
        epoch: 0,
        m: 1,
        n: 6,
    };
    let other = frame(|builder| assert!(other.emit(builder)));
    bed.net.inject(bed.cache, stranger(bed.down, 2), &other);
    bed.net.run(ms(5));
    let asked = bed.net.links[0].capture.take().unwrap();
    let token = asked.iter().find_map(|bytes| {
        let view = FrameView::parse(bytes).unwrap();
        view.messages().flatten().find_map(|message| match message {
            Message::LookupCons(m) if m.m == 3 => Some(m.pre.token),
            _ => None,
        })
    });
    let tree = TreeOf::Feed {
        name: feed.name,
        epoch: 0,
    };
    let mut stored = |node| {
        let (key, slot) = locate(&tree, node);
        let bytes = world.slots.get(&(key, slot as u8))?;
        Some(Hash(bytes[..].try_into().unwrap()))
    };
    let hashes: Vec<u8> = consistency_nodes(3, 6)
        .flat_map(|node| resolve(&FeedTree, &mut stored, node).unwrap().0)
        .collect();
    let proof = wire::Cons {
        answer: Answer {
            hops: 1,
            token: token.expect("the proof was not asked for"),
        },
        epoch: 0,
        m: 3,
        n: 6,
        hashes: Hashes::new(&hashes).unwrap(),
    };
    let proof = frame(|builder| assert!(proof.emit(builder)));
    bed.net.inject(bed.cache, honest, &proof);
    bed.net.run(ms(5));
    assert_eq!(bed.head_of(&feed.id).map(|head| head.head.n), Some(6));
}

/// An author that forked, and a reader that holds the first branch.
struct Forked {
    net: Net,
    reader: usize,
    link: usize,
    id: DiscoveryId,
}

impl Forked {
    fn new() -> Self {
        let mut net = Net::new(9);
        let author = net.add(Role::Host);
        let reader = net.add(Role::Host);
        let link = net.link(&[author, reader], 1500);
        net.route(reader, link, Some(author));
        let mut first = Author::new(25);
        for _ in 0..3 {
            first.append(net.now, &mut net.nodes[author], b"first branch");
        }
        assert!(net.get_head(reader, first.id, 3, s(5)));
        net.reboot(author, Role::Host);
        let mut other = Author::new(25);
        for _ in 0..8 {
            other.append(net.now, &mut net.nodes[author], b"other branch");
        }
        Forked {
            net,
            reader,
            link,
            id: first.id,
        }
    }

    /// Lets the reader look for the other branch.
    fn look(&mut self, life_ms: u32) {
        let id = self.id;
        self.net.with(self.reader, |engine, now, world| {
            engine.want_head(now, &id, (0, 4), ANY_AGE, life_ms, world)
        });
        self.net.run(u64::from(life_ms) * 1000 + s(1));
    }
}

/// Somebody makes up feeds and forks each of them: neither the places of feeds nor those of evidence
/// are used up by that.
#[test]
fn made_up_forks__leave_room_for_others() {
    let mut bed = Besieged::sized(&Sizes {
        feeds: 16,
        ..Sizes::NAMESPACE
    });
    let liar = stranger(bed.up, 9);
    for number in 0..40 {
        let feed = Author::new(100 + number);
        let token = bed.open_lookup(1 + u32::from(number), feed.id, IMPOSSIBLE_N);
        for root in [3, 4] {
            let head = answer_head(token, &signed_head(&feed, 1, root));
            bed.net.inject(bed.cache, liar, &head);
            bed.net.run(ms(5));
        }
        let engine = &bed.net.nodes[bed.cache].engine;
        assert!(engine.feed_state(&feed.id).unwrap().is_forked);
        assert!(engine.fork_evidence(&feed.id).is_some(), "fork {number}");
        bed.net.run(s(31));
    }
}

/// Somebody on the way puts a wrong proof before the right one: the evidence that is kept must be
/// the one that proves the fork.
#[test]
fn fork__is_kept_with_the_proof_that_proves_it() {
    let mut bed = Forked::new();
    bed.net.links[bed.link].damage = Some(Box::new(|bytes, _| {
        let copy = bytes.clone();
        let Ok(view) = FrameView::parse(&copy) else {
            return;
        };
        let messages: Vec<_> = view.messages().flatten().collect();
        if let [Message::Head(head), Message::Cons(proof)] = messages[..] {
            let mut hashes = proof.hashes.as_bytes().to_vec();
            hashes[0] ^= 1;
            let wrong = wire::Cons {
                hashes: Hashes::new(&hashes).unwrap(),
                ..proof
            };
            *bytes = frame(|builder| {
                assert!(head.emit(builder) && wrong.emit(builder) && proof.emit(builder));
            });
        }
    }));
    bed.look(2000);
    let engine = &bed.net.nodes[bed.reader].engine;
    assert!(engine.feed_state(&bed.id).unwrap().is_forked);
    let evidence = engine.fork_evidence(&bed.id).unwrap();
    let [held, other] =
        [&evidence.held, &evidence.other].map(|bytes| SignedHead::parse(bytes).unwrap().head);
    assert!(proves_fork(&held, &other, evidence.proof()));
}

/// A head that is known to fork comes again with each answer: it costs one signature check, and is
/// reported once.
#[test]
fn fork__is_checked_and_reported_once() {
    let mut bed = Forked::new();
    bed.net.nodes[bed.reader].world.proved.clear();
    bed.look(30_000);
    let world = &bed.net.nodes[bed.reader].world;
    let is_check = |(what, ..): &&(Proved, bool, u64)| *what == Proved::Head;
    assert_eq!(world.proved.iter().filter(is_check).count(), 1);
    assert_eq!(world.forks, 1);
    assert!(world.dropped(Drop::Fork) > 1, "it came only once");
}

/// Who hears the group's token sends as many forged heads as may be checked in a second, from as many
/// addresses, at each second's begin: the good head comes through.
#[test]
fn junk__does_not_use_up_the_rate_of_good_heads() {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, None);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    let id = feed.id;
    let engine = &mut net.nodes[reader].engine;
    engine.feed_open(&id, Some(feed.name)).unwrap();
    net.links[link].capture = Some(Vec::new());
    net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    let asked = net.links[link].capture.take().unwrap();
    let token = token_in(&asked, id).expect("no FOLLOW was sent");
    net.run(s(2));
    let held = |net: &Net| Some(net.nodes[reader].engine.feed_state(&id)?.head?.head.n);
    assert_eq!(held(&net), Some(1));
    net.run(s(1) - net.now % s(1));
    for second in 0..20 {
        for index in 0..32 {
            let bytes = forged_head(&feed, 1000 + second, 1 + u64::from(index));
            let rx = stranger(net.port(link), index);
            net.inject(reader, rx, &answer_head(token, &bytes));
        }
        if second == 2 {
            feed.append(net.now, &mut net.nodes[author], b"two");
            net.flush(author);
        }
        net.run(s(1) - net.now % s(1));
    }
    assert!(net.nodes[reader].world.dropped(Drop::BadSignature) >= 32);
    assert_eq!(held(&net), Some(2), "junk keeps the good head out");
}

/// Good heads are limited: their author could make any number.
#[test]
fn good_heads__are_limited_per_second() {
    let mut bed = Besieged::new();
    let feed = Author::new(50);
    let token = bed.open_lookup(1, feed.id, IMPOSSIBLE_N);
    bed.net.flush(bed.cache);
    for time in 1..=100 {
        let head = Head {
            flags: 0,
            epoch: 0,
            n: 1,
            time,
            next_by: 0,
            name: feed.name,
            root: Hash([3; 32]),
        };
        let head = head.sign(&Seed::new(feed.seed).unwrap()).unwrap();
        let rx = stranger(bed.up, 5);
        bed.net
            .inject(bed.cache, rx, &answer_head(token, &head.bytes));
        bed.net.run(ms(1));
    }
    let world = &bed.net.nodes[bed.cache].world;
    assert!(bed.head_of(&feed.id).is_some());
    assert!(world.dropped(Drop::HeadRate) >= 60);
}

/// A feed is shared while windows of its blobs are under way: these are as public as those that were
/// there, or a host would never serve them.
#[test]
fn sharing__includes_windows_under_way() {
    let mut net = Net::new(15);
    let author = net.add(Role::Host);
    let host = net.add(Role::Host);
    let link = net.link(&[author, host], 1500);
    net.route(host, link, Some(author));
    let mut feed = Author::new(28);
    let payload = Rng(1).bytes(60 << 10);
    feed.append(net.now, &mut net.nodes[author], &payload);
    assert!(net.get_head(host, feed.id, 1, s(5)));
    let id = feed.id;
    net.links[link].delay_us = 50_000;
    // Time for the leaf to come, and for the blob to be asked for.
    net.read(host, &mut Reader::new(id, 0), id, 1, ms(150));
    assert_eq!(net.nodes[host].world.blobs.len(), 0);
    net.nodes[host].engine.feed_share(&id, true).unwrap();
    net.with(host, |engine, _, world| engine.share_stored(&id, 0, world));
    net.run(s(5));
    let blobs = &net.nodes[host].world.blobs;
    assert_eq!(blobs.len(), 2);
    assert!(blobs.values().all(|(_, info)| info.public));
}

/// Who makes up addresses at one port, and knows a token that any of them may answer with, must not
/// have the neighbours of other ports forgotten, their cookies and round-trip times with them.
#[test]
fn neighbours__of_a_port_are_not_displaced_by_those_of_another() {
    let mut line = siege::line(false, 1);
    let (cache, id) = (line.cache, line.feed.id);
    assert!(line.net.get_head(line.reader, id, 1, s(5)));
    let wanted = Author::new(60);
    let route = Route {
        feed: Some(wanted.id),
        port: line.strangers,
        mac: None,
        cost: 0,
    };
    line.net.nodes[cache].engine.route_add(route).unwrap();
    let now = line.net.now;
    let node = &mut line.net.nodes[cache];
    let asker = stranger(line.strangers, 1 << 20);
    // By another port than the one that it goes out by.
    let asker = Rx {
        port: line.net.links[1].members[0].1,
        ..asker
    };
    let lookup = lookup_head(7, wanted.id, 1);
    node.engine.on_frame(now, asker, &lookup, &mut node.world);
    let out = node.world.out.iter().map(|(_, bytes)| bytes);
    let token = token_in(out, wanted.id).expect("no lookup went out");
    for number in 1..=1_000 {
        let bytes = forged_head(&wanted, u64::from(number), 1);
        let from = stranger(line.strangers, number);
        node.engine
            .on_frame(now, from, &answer_head(token, &bytes), &mut node.world);
        node.world.jobs.clear();
    }
    line.net.flush(cache);
    line.net.links[0].capture = Some(Vec::new());
    let author = &mut line.net.nodes[line.author];
    line.feed.append(now, author, b"one more");
    assert!(line.net.get_head(line.reader, id, 2, s(5)));
    let frames = line.net.links[0].capture.take().unwrap();
    let asked = siege::lookups(&frames).len();
    let echoed = frames
        .iter()
        .filter(|bytes| !siege::lookups(std::slice::from_ref(bytes)).is_empty())
        .filter(|bytes| FrameView::parse(bytes).unwrap().header.cookie_echo != 0)
        .count();
    assert!(asked > 0, "the author was not asked");
    assert_eq!(echoed, asked, "lookups without the author's cookie");
}
