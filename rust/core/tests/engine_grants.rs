// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Grants: the name key's word that another key signs from now on. What the old key signed is gone
//! with it, for neighbours, for local readers and for a local author.
#![allow(non_snake_case)]

mod harness;

use feed_core::engine::fetch::{Credit, Reader, Status};
use feed_core::engine::{FeedState, Role, Wanted};
use feed_core::grant::{Grant, SignedGrant};
use feed_core::head::{Head, SignedHead};
use feed_core::sign::Seed;
use feed_core::verify::freshness;
use feed_core::wire::{self, Answer, FrameView, LookupHead, Message, ANY_AGE};
use feed_core::Drop;
use harness::siege::{frame, from};
use harness::{mac_of, s, Author, Net};

const CREDIT: Credit = Credit {
    windows: 4,
    bytes: 1 << 16,
};

/// author — reader, which has read the feed's entries; and what the name key signs then.
struct Line {
    net: Net,
    author: usize,
    reader: usize,
    link: usize,
    feed: Author,
    grant: SignedGrant,
    working: Seed,
}

fn line() -> Line {
    let mut net = Net::new(17);
    let author = net.add(Role::Host);
    let reader = net.add(Role::Host);
    let link = net.link(&[author, reader], 1500);
    net.route(reader, link, Some(author));
    net.route(author, link, Some(reader));
    let mut feed = Author::new(30);
    for entry in [&b"by the name key"[..], b"and one more", b"and the last"] {
        feed.append(net.now, &mut net.nodes[author], entry);
    }
    assert!(net.get_head(reader, feed.id, 3, s(5)));
    let read = net.read(reader, &mut Reader::new(feed.id, 0), feed.id, 3, s(5));
    assert_eq!(read.len(), 3);
    let working = Seed::new([99; 32]).unwrap();
    let grant = Grant {
        flags: 0,
        epoch: 1,
        base_n: 3,
        time: 5,
        not_after: 0,
        name: feed.name,
        base_root: feed.head.unwrap().head.root,
        key: working.public_key(),
    };
    Line {
        grant: grant.sign(&Seed::new(feed.seed).unwrap()).unwrap(),
        net,
        author,
        reader,
        link,
        feed,
        working,
    }
}

impl Line {
    /// The head with which epoch 1 begins, by `key`.
    fn first_head(&self, key: &Seed) -> SignedHead {
        let old = self.feed.head.unwrap().head;
        let head = Head {
            epoch: 1,
            time: old.time + 5,
            ..old
        };
        head.sign(key).unwrap()
    }

    /// What `node` sends when it looks for a head of at least (epoch, 0); its neighbour is dead.
    fn head_lookup(&mut self, node: usize, epoch: u32) -> LookupHead {
        self.net.links[self.link].capture = Some(Vec::new());
        let id = self.feed.id;
        self.net.nodes[self.author + self.reader - node].on = false;
        let wanted = self.net.with(node, |engine, now, world| {
            engine.want_head(now, &id, (epoch, 0), ANY_AGE, 1000, world)
        });
        assert_eq!(wanted, Wanted::Waiting);
        let frames = self.net.links[self.link].capture.take().unwrap();
        let view = FrameView::parse(frames.first().expect("nothing was sent")).unwrap();
        let first = view.messages().next();
        let Some(Ok(Message::LookupHead(lookup))) = first else {
            panic!("no lookup")
        };
        lookup
    }

    /// Answers a lookup of `node` in its neighbour's name.
    fn answer(&mut self, node: usize, lookup: &LookupHead, head: &SignedHead, with_grant: bool) {
        let token = lookup.pre.token;
        let answer = Answer { hops: 1, token };
        let bytes = frame(|builder| {
            let head = wire::Head {
                answer,
                unchecked: false,
                bytes: &head.bytes,
            };
            let grant = wire::Grant {
                answer,
                bytes: &self.grant.bytes,
            };
            assert!(head.emit(builder) && (!with_grant || grant.emit(builder)));
        });
        let port = self.net.port(self.link);
        let neighbour = self.author + self.reader - node;
        let rx = from(port, mac_of(neighbour, port));
        self.net.inject(node, rx, &bytes);
        self.net.run(s(3));
    }

    /// `node` learns the grant, and no head of its epoch: the one before it is junk.
    fn grant_alone(&mut self, node: usize) {
        let lookup = self.head_lookup(node, 1);
        let junk = self.first_head(&Seed::new([8; 32]).unwrap());
        self.answer(node, &lookup, &junk, true);
        let state = self.net.nodes[node].engine.feed_state(&self.feed.id);
        assert_eq!(state.unwrap().grant.unwrap().grant.epoch, 1);
    }

    fn pump(&mut self, node: usize, reader: &mut Reader) -> Status {
        self.net.with(node, |engine, now, world| {
            reader.pump(engine, now, &CREDIT, world)
        })
    }
}

/// What `node` knows of the feed; the same in brief.
fn state_of(line: &Line, node: usize) -> FeedState {
    let engine = &line.net.nodes[node].engine;
    let id = &line.feed.id;
    let state = engine.feed_state(id).unwrap();
    let head = state.head.map(|head| head.head);
    assert_eq!(engine.feed_statement(id), head);
    let grant = state.grant.as_ref().map(|grant| &grant.grant);
    for now in [None, Some(0), Some(1_800_000_000_500), Some(u64::MAX)] {
        let fresh = head.map(|head| freshness(&head, grant, now));
        assert_eq!(engine.feed_freshness(id, now), fresh);
    }
    state
}

#[test]
fn grant__hands_over() {
    let mut line = line();
    let (reader, id) = (line.reader, line.feed.id);
    // Answer the reader's head lookup by hand, first without the grant, then with it.
    for with_grant in [false, true] {
        let lookup = line.head_lookup(reader, 1);
        let head = line.first_head(&line.working);
        line.answer(reader, &lookup, &head, with_grant);
        let state = state_of(&line, reader);
        assert_eq!(state.head.unwrap().head.epoch, u32::from(with_grant));
    }
    assert!(line.net.nodes[reader].world.dropped(Drop::NoGrant) > 0);
    // The name key's own epoch has ended.
    line.net.nodes[line.author].on = true;
    let author = &mut line.net.nodes[line.author];
    line.feed.append(line.net.now, author, b"too late");
    line.net.with(reader, |engine, now, world| {
        engine.follow_local(now, &id, true, world)
    });
    line.net.run(s(2));
    let state = state_of(&line, reader);
    assert_eq!(state.head.unwrap().head.epoch, 1);
}

/// The old head is in the store of a reader's own host, and every entry below it: until a head of the
/// granted epoch comes its programs are told none of it.
#[test]
fn grant__ends_what_local_readers_see() {
    let mut line = line();
    let (node, id) = (line.reader, line.feed.id);
    let mut reader = Reader::new(id, 0);
    assert!(matches!(line.pump(node, &mut reader), Status::Ready { .. }));
    line.grant_alone(node);
    let state = state_of(&line, node);
    assert!(state.head.is_none(), "the head of a dead epoch is shown");
    // What is asked for now is what may be taken, though the program would take anything.
    line.net.run(s(2));
    let lookup = line.head_lookup(node, 0);
    assert!(matches!(line.pump(node, &mut reader), Status::NoHead));
    assert_eq!((lookup.at_least_epoch, lookup.held_epoch), (1, 0));
    let head = line.first_head(&line.working);
    line.answer(node, &lookup, &head, true);
    let state = state_of(&line, node);
    assert_eq!(state.head.unwrap().head.order(), head.head.order());
    // Its entries are those of another tree: they have to be proved anew.
    line.net.links[line.link].capture = Some(Vec::new());
    assert!(matches!(line.pump(node, &mut reader), Status::Waiting));
    let frames = line.net.links[line.link].capture.take().unwrap();
    let asks_epoch_1 = frames.iter().any(|bytes| {
        let view = FrameView::parse(bytes).unwrap();
        let mut messages = view.messages().flatten();
        messages.any(|m| matches!(m, Message::LookupRange(m) if m.epoch == 1))
    });
    assert!(asks_epoch_1);
}

/// A reader that waits hears of it, and asks for the new head by itself.
#[test]
fn grant__makes_readers_ask_for_its_epoch() {
    let mut line = line();
    let (node, id) = (line.reader, line.feed.id);
    line.grant_alone(node);
    assert!(line.net.nodes[node].world.woken.contains(&id));
    line.net.run(s(2));
    line.net.links[line.link].capture = Some(Vec::new());
    line.pump(node, &mut Reader::new(id, 0));
    let frames = line.net.links[line.link].capture.take().unwrap();
    let lookup = frames.iter().find_map(|bytes| {
        let view = FrameView::parse(bytes).unwrap();
        let mut messages = view.messages().flatten();
        messages.find_map(|m| match m {
            Message::LookupHead(m) => Some(m.at_least_epoch),
            _ => None,
        })
    });
    assert_eq!(lookup, Some(1));
}

/// The author of the old epoch is told, and its host follows the feed like any other.
#[test]
fn grant__ends_the_local_author() {
    let mut line = line();
    let (node, id) = (line.author, line.feed.id);
    let last = line.feed.head.unwrap();
    assert!(line.net.nodes[node].engine.feed_state(&id).unwrap().is_own);
    assert!(!line.net.nodes[node].engine.is_handed_over(&id));
    line.grant_alone(node);
    assert!(line.net.nodes[node].engine.is_handed_over(&id));
    assert!(!line.net.nodes[node].engine.feed_state(&id).unwrap().is_own);
    let refused = line.net.with(node, |engine, now, world| {
        engine.own_head(now, &id, &last.bytes, world)
    });
    assert_eq!(refused, Err(Drop::OldEpoch));
    assert!(line.net.nodes[node]
        .engine
        .feed_state(&id)
        .unwrap()
        .head
        .is_none());
}
