// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Lookups for one entry that is here: each is answered by one frame, which proves the entry alone.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::{Role, Rx, AHEAD};
use feed_core::id::Hash;
use feed_core::proof::verify_inclusion;
use feed_core::token::Token;
use feed_core::wire::{FrameView, LookupRange, Message, MAX_INLINE_LEN};
use harness::siege::{frame, from, preamble, stranger};
use harness::{Author, Net, Rng};

const SIZES: [usize; 7] = [0, 1, 64, 255, 256, 1024, 1025];
const HALF: u64 = 40;
const ALL: u64 = 71;

/// A host with a feed, and the roots of the feed's first [`HALF`] and of all its entries.
fn host() -> (Net, usize, Author, Rx, [(u64, Hash); 2]) {
    let mut net = Net::new(5);
    let host = net.add(Role::Host);
    let link = net.link(&[host], 9000);
    let mut feed = Author::new(21);
    let mut rng = Rng(8);
    let mut roots = [(0, Hash::ZERO); 2];
    for seq in 0..ALL {
        let payload = rng.bytes(SIZES[seq as usize % SIZES.len()]);
        feed.append(net.now, &mut net.nodes[host], &payload);
        let root = feed.head.as_ref().unwrap().head.root;
        if seq + 1 == HALF {
            roots[0] = (HALF, root);
        }
        roots[1] = (seq + 1, root);
    }
    net.flush(host);
    let rx = from(net.port(link), stranger(1));
    (net, host, feed, rx, roots)
}

fn lookup(feed: &Author, seq: u64, n: u64, leaf_only: bool, have_page: bool) -> LookupRange {
    LookupRange {
        pre: preamble(seq as u32 + 1, feed.id),
        leaf_only,
        epoch: 0,
        want: 1 << (seq % 32),
        n,
        window: seq / 32,
        have_path: have_page,
        have_page,
    }
}

#[test]
fn one_entry__comes_in_one_frame_that_proves_it() {
    let (mut net, host, feed, rx, roots) = host();
    for seq in 0..ALL {
        for n in [0, HALF, ALL, ALL + 1] {
            for (leaf_only, have_page) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                // In the tree that was asked for, if it has the entry and is one that the host has.
                let (tree, root) = roots[usize::from(n != HALF)];
                let m = lookup(&feed, seq, n, leaf_only, have_page);
                let bytes = frame(|builder| assert!(m.emit(builder)));
                let now = net.now;
                let (engine, world) = net.nodes[host].of(&feed.id);
                world.out.clear();
                engine.look_ahead([&bytes[..]].into_iter(), world);
                engine.on_frame(now, rx, &bytes, world);
                if seq >= HALF && n == HALF {
                    // Proved in the longer tree, if it is at all.
                    continue;
                }
                let case = format!("seq {seq}, n {n}, {leaf_only}, {have_page}");
                assert_eq!(world.out.len(), 1, "{case}");
                let (to, out) = &world.out[0];
                assert_eq!((to.port, to.mac), (rx.port, Some(rx.mac)), "{case}");
                let view = FrameView::parse(out).unwrap();
                let messages: Vec<_> = view.messages().collect();
                let [Ok(Message::Entry(entry))] = &messages[..] else {
                    panic!("{case}: {messages:?}");
                };
                assert_eq!(entry.answer.token, Token::from_u64(seq + 1), "{case}");
                assert_eq!((entry.leaf.seq, entry.n), (seq, tree), "{case}");
                let is_bare = have_page && (n == HALF || n == ALL);
                assert_eq!(entry.siblings.is_none(), is_bare, "{case}");
                if let Some(siblings) = entry.siblings {
                    let leaf = entry.leaf.hash();
                    verify_inclusion(&leaf, seq, tree, siblings, &root, |_, _| ()).unwrap();
                }
                let text = &feed.payloads[seq as usize];
                let inline = !leaf_only && text.len() <= MAX_INLINE_LEN as usize;
                let payload = entry.payload.map(|payload| payload.bytes().to_vec());
                assert_eq!(payload, inline.then(|| text.clone()), "{case}");
            }
        }
    }
}

/// What has gone from the store is not answered in part.
#[test]
fn one_entry__without_its_payload_is_refused() {
    let (mut net, host, feed, rx, _) = host();
    let now = net.now;
    let (engine, world) = net.nodes[host].of(&feed.id);
    world.blobs.clear();
    for seq in 1..6 {
        let m = lookup(&feed, seq, ALL, false, false);
        let bytes = frame(|builder| assert!(m.emit(builder)));
        world.out.clear();
        engine.on_frame(now, rx, &bytes, world);
        assert_eq!(world.out.len(), 1);
        let view = FrameView::parse(&world.out[0].1).unwrap();
        let first = view.messages().next().unwrap();
        assert!(matches!(first, Ok(Message::Refusal(_))), "{seq}: {first:?}");
    }
}

/// Looking ahead answers nothing, counts nothing and stores nothing, whatever it looks at.
#[test]
fn looking_ahead__decides_nothing() {
    let (mut net, host, feed, _, _) = host();
    let (engine, world) = net.nodes[host].of(&feed.id);
    let slots = world.slots.clone();
    let (counts, drops) = (world.counts.clone(), world.drops.clone());
    world.out.clear();
    let mut rng = Rng(4);
    for round in 0..2000u64 {
        let frames: Vec<Vec<u8>> = (0..rng.below(2 * AHEAD as u64))
            .map(|_| {
                let m = lookup(
                    &feed,
                    rng.below(ALL + 40),
                    rng.below(ALL + 9),
                    round % 3 == 0,
                    false,
                );
                let mut bytes = frame(|builder| assert!(m.emit(builder)));
                if rng.chance(500) {
                    let at = rng.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << rng.below(8);
                }
                if rng.chance(200) {
                    bytes.truncate(rng.below(bytes.len() as u64) as usize);
                }
                bytes
            })
            .collect();
        engine.look_ahead(frames.iter().map(Vec::as_slice), world);
    }
    assert!(world.out.is_empty());
    assert_eq!((&world.counts, &world.drops), (&counts, &drops));
    assert!(world.slots == slots);
}
