// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Forged heads in numbers: what they must not take from others, by other ports and by the same one.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::{Route, Rx};
use feed_core::id::DiscoveryId;
use feed_core::token::Token;
use feed_core::wire::ANY_AGE;
use feed_core::Drop;
use harness::besieged::{answer_head, forged_head, signed_head, stranger, token_in, Besieged};
use harness::siege::lookup_head;
use harness::{ms, s, Author};

/// Forged heads from many addresses of one port take its share of the records: a good head that comes
/// by another port still finds one.
#[test]
fn forged_heads__leave_room_for_other_ports() {
    let mut bed = Besieged::new();
    let (flooded, wanted) = (Author::new(50), Author::new(60));
    let token = bed.open_lookup(1, flooded.id, 0);
    for index in 0..64 {
        let bytes = forged_head(&flooded, u64::from(index) + 1, 1);
        bed.hand(stranger(bed.up, 100 + index), &answer_head(token, &bytes));
    }
    // What is asked for from the flooded port is looked up by the other one.
    bed.net.route(bed.cache, 1, None);
    let lookup = lookup_head(2, wanted.id, 0);
    bed.hand(stranger(bed.up, 1), &lookup);
    let out = &bed.net.nodes[bed.cache].world.out;
    let token = token_in(out.iter().map(|(_, bytes)| bytes), wanted.id).unwrap();
    let head = signed_head(&wanted, 1, 3);
    let honest = stranger(bed.down, 5);
    bed.net
        .inject(bed.cache, honest, &answer_head(token, &head));
    bed.net.run(ms(10));
    assert!(bed.net.nodes[bed.cache].world.dropped(Drop::HeldFull) > 0);
    assert!(bed.head_of(&wanted.id).is_some(), "one port took all");
}

/// Forged heads that answer what the whole port was asked leave room for who was asked alone: nobody
/// else on the port can take its place.
#[test]
fn forged_heads__leave_room_for_who_was_asked_alone() {
    let mut bed = Besieged::new();
    let (flooded, wanted) = (Author::new(50), Author::new(60));
    let honest = stranger(bed.up, 5);
    let route = Route {
        feed: Some(wanted.id),
        port: bed.up,
        mac: Some(honest.mac),
        cost: 0,
    };
    let node = &mut bed.net.nodes[bed.cache];
    node.engine.route_add(route).unwrap();
    node.world.jobs_max = 1000;
    let token = bed.open_lookup(1, flooded.id, 0);
    for index in 0..64 {
        let bytes = forged_head(&flooded, u64::from(index) + 1, 1);
        bed.hand(stranger(bed.up, 100 + index), &answer_head(token, &bytes));
    }
    assert!(bed.net.nodes[bed.cache].world.dropped(Drop::HeldFull) > 0);
    let token = bed.open_lookup(2, wanted.id, 0);
    bed.hand(honest, &answer_head(token, &signed_head(&wanted, 1, 3)));
    let jobs = &bed.net.nodes[bed.cache].world.jobs;
    let (last, others) = jobs.split_last().unwrap();
    assert!(last.feed == wanted.id && last.alone, "{last:?}");
    assert!(others.iter().all(|job| !job.alone));
    bed.net.flush(bed.cache);
    bed.net.run(ms(10));
    assert!(bed.head_of(&wanted.id).is_some(), "no room for a good head");
}

/// Who was asked alone and answered with junk is one of many from then on.
#[test]
fn forged_heads__end_the_privilege_of_who_sent_them() {
    let mut bed = Besieged::new();
    let (first, second) = (Author::new(50), Author::new(60));
    let liar = stranger(bed.up, 5);
    for feed in [first.id, second.id] {
        let route = Route {
            feed: Some(feed),
            port: bed.up,
            mac: Some(liar.mac),
            cost: 0,
        };
        let node = &mut bed.net.nodes[bed.cache];
        node.engine.route_add(route).unwrap();
    }
    let token = bed.open_lookup(1, first.id, 0);
    bed.hand(liar, &answer_head(token, &forged_head(&first, 1, 1)));
    let job = bed.net.nodes[bed.cache].world.jobs.pop().unwrap();
    assert!(job.alone);
    bed.verdict(job.id, job.check());
    let token = bed.open_lookup(2, second.id, 0);
    bed.hand(liar, &answer_head(token, &signed_head(&second, 1, 3)));
    let job = bed.net.nodes[bed.cache].world.jobs.pop().unwrap();
    assert!(job.suspect && !job.alone);
    bed.verdict(job.id, job.check());
    assert!(bed.head_of(&second.id).is_some(), "a good head was lost");
}

/// The good head of the very feed whose junk fills one port's records comes by another port.
#[test]
fn forged_heads__cannot_keep_the_good_one_from_another_port() {
    let mut bed = Besieged::new();
    let feed = Author::new(50);
    bed.net.route(bed.cache, 1, None);
    let id = feed.id;
    bed.net.with(bed.cache, |engine, now, world| {
        engine.want_head(now, &id, (0, 0), ANY_AGE, 30_000, world)
    });
    bed.net.links[0].capture = Some(Vec::new());
    bed.net.links[1].capture = Some(Vec::new());
    let mut tokens = [None, None];
    for _ in 0..200 {
        bed.net.run(ms(50));
        for (link, token) in tokens.iter_mut().enumerate() {
            let seen = bed.net.links[link].capture.as_ref().unwrap();
            *token = token.or(token_in(seen, id));
        }
        if tokens.iter().all(Option::is_some) {
            break;
        }
    }
    let [Some(flooded), Some(asked)] = tokens else {
        panic!("both ports are to be asked: {tokens:?}");
    };
    let (bad, good) = (bed.up, bed.down);
    for index in 0..64 {
        let bytes = forged_head(&feed, u64::from(index) + 1, 1);
        bed.hand(stranger(bad, 100 + index), &answer_head(flooded, &bytes));
    }
    assert!(bed.net.nodes[bed.cache].world.dropped(Drop::HeldFull) > 0);
    let head = answer_head(asked, &signed_head(&feed, 1, 3));
    bed.net.inject(bed.cache, stranger(good, 5), &head);
    bed.net.run(ms(10));
    assert!(bed.head_of(&id).is_some(), "the flooded port decided");
}

/// While no record is free new heads are refused before anything is done for them, but word that the
/// head held is still the newest needs no record.
#[test]
fn forged_heads__do_not_keep_out_the_head_that_is_held() {
    let mut bed = Besieged::new();
    let (flooded, known) = (Author::new(50), Author::new(60));
    let head = signed_head(&known, 1, 3);
    let token = bed.open_lookup(1, known.id, 0);
    let honest = stranger(bed.up, 5);
    bed.net
        .inject(bed.cache, honest, &answer_head(token, &head));
    bed.net.run(ms(10));
    assert!(bed.head_of(&known.id).is_some());

    let junk = bed.open_lookup(2, flooded.id, 0);
    for index in 0..64 {
        let bytes = forged_head(&flooded, u64::from(index) + 1, 1);
        bed.hand(stranger(bed.up, 100 + index), &answer_head(junk, &bytes));
    }
    assert!(bed.net.nodes[bed.cache].world.dropped(Drop::HeldFull) > 0);
    let token = bed.open_lookup(3, known.id, 2);
    bed.net.nodes[bed.cache].world.drops.clear();
    bed.hand(honest, &answer_head(token, &head));
    let drops = &bed.net.nodes[bed.cache].world.drops;
    assert!(drops.is_empty(), "{drops:?}");
    let bytes = forged_head(&flooded, 999, 1);
    bed.hand(stranger(bed.up, 999), &answer_head(junk, &bytes));
    let world = &bed.net.nodes[bed.cache].world;
    assert_eq!(world.dropped(Drop::HeldFull), 1);
}

/// Ever newer junk of some addresses: each is judged instead of the one before it.
#[test]
fn forged_heads__each_replaces_the_one_before() {
    let mut bed = Besieged::new();
    bed.net.nodes[bed.cache].world.jobs_max = 1000;
    let feed = Author::new(50);
    let token = bed.open_lookup(1, feed.id, 0);
    for n in 1..=10 {
        for address in 0..4 {
            let bytes = forged_head(&feed, n, u64::from(address));
            bed.hand(stranger(bed.up, 100 + address), &answer_head(token, &bytes));
        }
    }
    let jobs = &bed.net.nodes[bed.cache].world.jobs;
    assert_eq!(jobs.len(), 40);
    let mut last = std::collections::HashMap::new();
    for job in jobs {
        let before = last.insert(job.mac, job.id).unwrap_or(0);
        assert_eq!(job.instead_of, before);
    }
}

/// Has the cache look for a head of the feed at one neighbour, who does not answer, and then at all on
/// its port; gives both tokens.
fn ask_one_then_all(bed: &mut Besieged, id: DiscoveryId, one: Rx) -> (Token, Token) {
    let route = Route {
        feed: Some(id),
        port: one.port,
        mac: Some(one.mac),
        cost: 0,
    };
    let node = &mut bed.net.nodes[bed.cache];
    node.engine.route_add(route).unwrap();
    let alone = bed.open_lookup(1, id, 0);
    bed.net.flush(bed.cache);
    bed.net.links[0].capture = Some(Vec::new());
    bed.net.run(s(3));
    let asked = bed.net.links[0].capture.take().unwrap();
    let group = token_in(&asked, id).expect("it is not asked again");
    assert_ne!(alone.tag, group.tag, "not asked of the group");
    (alone, group)
}

/// Somebody else's head under the address of who was asked alone does not replace what that one sent,
/// as new as it may say it is.
#[test]
fn forged_heads__do_not_replace_what_one_alone_was_asked() {
    let mut bed = Besieged::new();
    let feed = Author::new(50);
    let honest = stranger(bed.up, 5);
    let (alone, group) = ask_one_then_all(&mut bed, feed.id, honest);
    bed.hand(honest, &answer_head(alone, &signed_head(&feed, 1, 3)));
    bed.hand(honest, &answer_head(group, &forged_head(&feed, 9, 1)));
    assert_eq!(bed.net.nodes[bed.cache].world.jobs.len(), 2);
    bed.net.flush(bed.cache);
    bed.net.run(ms(10));
    assert!(
        bed.head_of(&feed.id).is_some(),
        "the good head was replaced"
    );
}

/// Who copies the good head and sends it first, to the whole port's question, does not keep out the
/// one that was asked alone: that one's does not wait where everybody's do. It is taken once, and
/// copies are nothing new.
#[test]
fn replayed_heads__do_not_hold_up_who_was_asked_alone() {
    let mut bed = Besieged::new();
    let feed = Author::new(50);
    let honest = stranger(bed.up, 5);
    let (alone, group) = ask_one_then_all(&mut bed, feed.id, honest);
    let head = signed_head(&feed, 1, 3);
    bed.hand(stranger(bed.up, 100), &answer_head(group, &head));
    bed.hand(honest, &answer_head(alone, &head));
    let world = &bed.net.nodes[bed.cache].world;
    assert!(world.drops.is_empty(), "{:?}", world.drops);
    let waiting: Vec<(bool, bool)> = world
        .jobs
        .iter()
        .map(|job| (job.alone, job.mac == honest.mac))
        .collect();
    assert_eq!(waiting, [(false, false), (true, true)]);

    for token in [group, alone] {
        bed.hand(honest, &answer_head(token, &head));
    }
    bed.hand(stranger(bed.up, 101), &answer_head(group, &head));
    let world = &bed.net.nodes[bed.cache].world;
    assert_eq!(world.dropped(Drop::Repeated), 3);
    assert_eq!(world.jobs.len(), 2);
    // Its verdict alone is waited for.
    let job = bed.net.nodes[bed.cache].world.jobs.pop().unwrap();
    bed.verdict(job.id, job.check());
    assert!(bed.head_of(&feed.id).is_some());
}
