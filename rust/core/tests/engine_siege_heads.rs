// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads under siege: verdicts mixed up, and epochs that are over.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::{Mac, PortId, Role, Rx, Sizes};
use feed_core::grant::Grant;
use feed_core::head::{Head, SignedHead};
use feed_core::id::{DiscoveryId, Hash};
use feed_core::sign::Seed;
use feed_core::token::Token;
use feed_core::wire::{
    self, Answer, Follow, FrameBuilder, FrameHeader, FrameView, LookupHead, Message, Preamble,
    ANY_AGE,
};
use harness::{ms, s, Author, Net};

/// More than any feed can have: such a lookup waits for its whole life.
const NEVER: u64 = (1 << 36) + 1;

fn frame(fill: impl FnOnce(&mut FrameBuilder)) -> Vec<u8> {
    let mut bytes = vec![0; 9000];
    let mut builder = FrameBuilder::new(&mut bytes, 9000).unwrap();
    fill(&mut builder);
    let built = builder.finish(&FrameHeader::default());
    bytes.truncate(built.linear);
    bytes
}

fn stranger(port: PortId, number: u32) -> Rx {
    let [a, b, c, d] = number.to_be_bytes();
    Rx {
        port,
        mac: Mac([2, 7, a, b, c, d]),
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
        held_epoch: 0,
        at_least_n,
        held_n: 0,
        max_age_ms: ANY_AGE,
    };
    frame(|builder| assert!(lookup.emit(builder)))
}

fn answer_head(token: Token, bytes: &[u8; 160]) -> Vec<u8> {
    let head = wire::Head {
        answer: Answer { hops: 1, token },
        unchecked: false,
        bytes,
    };
    frame(|builder| assert!(head.emit(builder)))
}

/// A head of the feed that somebody with another key signed.
fn forged_head(feed: &Author, n: u64, time: u64) -> [u8; 160] {
    let head = Head {
        flags: 0,
        epoch: 0,
        n,
        time,
        next_by: 0,
        name: feed.name,
        root: Hash([n as u8 | 1; 32]),
    };
    head.sign(&Seed::new([77; 32]).unwrap()).unwrap().bytes
}

/// A head that the feed's own key signed, over a tree that nobody has.
fn signed_head(feed: &Author, n: u64, root: u8) -> [u8; 160] {
    let head = Head {
        flags: 0,
        epoch: 0,
        n,
        time: 1,
        next_by: 0,
        name: feed.name,
        root: Hash([root; 32]),
    };
    head.sign(&Seed::new(feed.seed).unwrap()).unwrap().bytes
}

/// The last token that a node gave upstream for this feed.
fn token_in<'a>(frames: impl IntoIterator<Item = &'a Vec<u8>>, id: DiscoveryId) -> Option<Token> {
    let mut token = None;
    for bytes in frames {
        for message in FrameView::parse(bytes).unwrap().messages().flatten() {
            let pre = match message {
                Message::LookupHead(m) => m.pre,
                Message::Follow(m) => m.pre,
                _ => continue,
            };
            if pre.id == id {
                token = Some(pre.token);
            }
        }
    }
    token
}

/// A cache whose group route leads to a silent segment, and a segment of others that ask.
struct Besieged {
    net: Net,
    cache: usize,
    up: PortId,
    down: PortId,
}

impl Besieged {
    fn new() -> Self {
        let mut net = Net::new(1);
        let cache = net.add_sized(Role::Cache, &Sizes::NAMESPACE);
        let silent = net.add(Role::Host);
        let up = net.link(&[cache, silent], 1500);
        let down = net.link(&[cache, silent], 1500);
        net.nodes[silent].on = false;
        net.route(cache, up, None);
        let (up, down) = (net.port(up), net.port(down));
        Besieged {
            net,
            cache,
            up,
            down,
        }
    }

    /// Hands the cache a frame; its signature jobs and its frames stay where it put them.
    fn hand(&mut self, rx: Rx, bytes: &[u8]) {
        let now = self.net.now;
        let node = &mut self.net.nodes[self.cache];
        node.engine.on_frame(now, rx, bytes, &mut node.world);
    }

    /// Lets somebody look for a head of the feed; gives the token that the cache sent upstream.
    fn open_lookup(&mut self, nonce: u32, id: DiscoveryId, at_least_n: u64) -> Token {
        self.hand(stranger(self.down, 1), &lookup_head(nonce, id, at_least_n));
        let out = &self.net.nodes[self.cache].world.out;
        token_in(out.iter().map(|(_, bytes)| bytes), id).expect("no lookup went upstream")
    }

    fn verdict(&mut self, job: u64, ok: bool) {
        let now = self.net.now;
        let node = &mut self.net.nodes[self.cache];
        node.engine.on_verdict(now, job, ok, &mut node.world);
    }

    fn head_of(&self, id: &DiscoveryId) -> Option<SignedHead> {
        self.net.nodes[self.cache].engine.feed_state(id)?.head
    }
}

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
    let token = bed.open_lookup(1, feed.id, NEVER);
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
        key: Seed::new([9; 32]).unwrap().public_key().unwrap(),
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
