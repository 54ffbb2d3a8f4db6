// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What attackers in tests are made of: frames by hand, addresses that no node has, and small nets
//! with room for strangers.

use feed_core::engine::{Mac, PortId, Role, Rx};
use feed_core::head::{Head, HEAD_LEN};
use feed_core::id::{DiscoveryId, Hash};
use feed_core::sign::Seed;
use feed_core::token::Token;
use feed_core::wire::{
    Follow, FrameBuilder, FrameHeader, FrameView, LookupHead, Message, Preamble, ANY_AGE,
};

use super::line::{self, row};
use super::{Author, Net};

/// More than any feed of the present epoch can ever have.
pub const IMPOSSIBLE_N: u64 = (1 << 36) + 1;

pub fn frame(fill: impl FnOnce(&mut FrameBuilder<'_>)) -> Vec<u8> {
    let mut bytes = vec![0; 9000];
    let mut builder = FrameBuilder::new(&mut bytes, 9000).unwrap();
    fill(&mut builder);
    let built = builder.finish(&FrameHeader::default());
    bytes.truncate(built.linear);
    bytes
}

/// The address of a stranger: no node of a net has it.
pub fn stranger(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([2, 7, a, b, c, d])
}

pub fn from(port: PortId, mac: Mac) -> Rx {
    Rx {
        port,
        mac,
        group: false,
    }
}

pub fn preamble(nonce: u32, id: DiscoveryId) -> Preamble {
    Preamble {
        nonce,
        token: Token::from_u64(u64::from(nonce)),
        life_ms: 30_000,
        hop_limit: 10,
        id,
    }
}

pub fn lookup_head(nonce: u32, id: DiscoveryId, at_least_n: u64) -> Vec<u8> {
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

pub fn follow(nonce: u32, id: DiscoveryId, n: u64, grant_bytes: u32, life_ms: u32) -> Vec<u8> {
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
pub fn lookups(frames: &[Vec<u8>]) -> Vec<Preamble> {
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
pub fn forged(feed: &Author, n: u64) -> [u8; HEAD_LEN] {
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

pub fn head_of(net: &Net, node: usize, id: DiscoveryId) -> Option<u64> {
    let state = net.nodes[node].engine.feed_state(&id)?;
    state.head.map(|head| head.head.n)
}

/// author — cache — reader, and a port of the cache where only strangers are.
pub struct Line {
    pub net: Net,
    pub author: usize,
    pub cache: usize,
    pub reader: usize,
    pub feed: Author,
    pub strangers: PortId,
}

pub fn line(to_group: bool, entries: usize) -> Line {
    let (row, [up, down]) = row(3, 1500);
    let line::Line {
        mut net,
        author,
        cache,
        reader,
        mut feed,
    } = row;
    let dark = net.add(Role::Host);
    net.nodes[dark].on = false;
    let dark = net.link(&[cache, dark], 1500);
    net.route(cache, up, (!to_group).then_some(author));
    net.route(reader, down, Some(cache));
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
pub fn pair() -> (Net, usize, usize, usize, Author) {
    let mut net = Net::new(3);
    let author = net.add(Role::Host);
    let other = net.add(Role::Host);
    let link = net.link(&[author, other], 1500);
    let mut feed = Author::new(21);
    feed.append(net.now, &mut net.nodes[author], b"one");
    (net, author, other, link, feed)
}
