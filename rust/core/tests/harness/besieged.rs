// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A cache among strangers, and the heads that they answer its lookups with.

use feed_core::engine::{PortId, Role, Rx, Sizes};
use feed_core::head::{Head, SignedHead};
use feed_core::id::{DiscoveryId, Hash};
use feed_core::sign::Seed;
use feed_core::token::Token;
use feed_core::wire::{self, Answer, FrameView, Message};

use super::siege::{self, frame, from, lookup_head};
use super::{Author, Net};

pub fn stranger(port: PortId, number: u32) -> Rx {
    from(port, siege::stranger(number))
}

pub fn answer_head(token: Token, bytes: &[u8; 160]) -> Vec<u8> {
    let head = wire::Head {
        answer: Answer { hops: 1, token },
        unchecked: false,
        bytes,
    };
    frame(|builder| assert!(head.emit(builder)))
}

/// A head of the feed that somebody with another key signed.
pub fn forged_head(feed: &Author, n: u64, time: u64) -> [u8; 160] {
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
pub fn signed_head(feed: &Author, n: u64, root: u8) -> [u8; 160] {
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
pub fn token_in<'a>(
    frames: impl IntoIterator<Item = &'a Vec<u8>>,
    id: DiscoveryId,
) -> Option<Token> {
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
pub struct Besieged {
    pub net: Net,
    pub cache: usize,
    pub up: PortId,
    pub down: PortId,
}

impl Besieged {
    pub fn new() -> Self {
        Self::sized(&Sizes::NAMESPACE)
    }

    pub fn sized(sizes: &Sizes) -> Self {
        let mut net = Net::new(1);
        let cache = net.add_sized(Role::Cache, sizes);
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
    pub fn hand(&mut self, rx: Rx, bytes: &[u8]) {
        let now = self.net.now;
        let node = &mut self.net.nodes[self.cache];
        node.engine.on_frame(now, rx, bytes, &mut node.world);
    }

    /// Lets somebody look for a head of the feed; gives the token that the cache sent upstream.
    pub fn open_lookup(&mut self, nonce: u32, id: DiscoveryId, at_least_n: u64) -> Token {
        self.hand(stranger(self.down, 1), &lookup_head(nonce, id, at_least_n));
        let out = &self.net.nodes[self.cache].world.out;
        token_in(out.iter().map(|(_, bytes)| bytes), id).expect("no lookup went upstream")
    }

    pub fn verdict(&mut self, job: u64, ok: bool) {
        let now = self.net.now;
        let node = &mut self.net.nodes[self.cache];
        node.engine.on_verdict(now, job, ok, &mut node.world);
    }

    pub fn head_of(&self, id: &DiscoveryId) -> Option<SignedHead> {
        self.net.nodes[self.cache].engine.feed_state(id)?.head
    }
}
