// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Shards: a node with several processors runs several engines, each with a lock of its own.
//!
//! A feed belongs to one of them, and all that is about it goes there: lookups by the id that they
//! carry, answers by the token that the asker gave (its slot says which engine made it), local
//! programs by the feed they work with. Engines share secret, ports, routes and role; what they
//! learn of neighbours each learns for itself. Two feeds with the same payload in different shards
//! ask for it separately.

use crate::bytes::Reader;
use crate::id::DiscoveryId;
use crate::siphash::{siphash13, SipKey};
use crate::token::{Token, TOKEN_SLOTS};
use crate::wire::{Message, CRITICAL, FRAME_HEADER_LEN, MESSAGE_HEADER_LEN};

/// Engines of one node at most.
pub const SHARDS_MAX: usize = 8;

/// Pending entries of one engine at most: what a token's slot says beside the shard.
pub const SHARD_SLOTS: u32 = TOKEN_SLOTS >> SHARDS_MAX.ilog2();

/// How feeds are divided among the engines of a node.
#[derive(Clone, Copy)]
pub struct Shards {
    key: SipKey,
    count: u8,
}

impl Shards {
    /// As many engines as are good for so many processors: one for one, else four for each, so that
    /// two processors seldom want the same; a power of two, at most [`SHARDS_MAX`]. Feeds are told apart by a keyed hash, so that nobody can choose names that
    /// all meet in one engine.
    pub fn new(key: SipKey, cpus: usize) -> Self {
        let wanted = if cpus > 1 { cpus.saturating_mul(4) } else { 1 };
        let log2 = wanted.min(SHARDS_MAX).checked_ilog2().unwrap_or(0);
        Shards {
            key,
            count: 1u8.wrapping_shl(log2),
        }
    }

    /// How many engines there are.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// The engine of a feed.
    pub fn of(&self, id: &DiscoveryId) -> usize {
        if self.count == 1 {
            return 0;
        }
        siphash13(&self.key, &[b"s", &id.0]) as usize & self.mask()
    }

    /// The engine that a frame is for, as far as its first message tells. The engine says whether
    /// others have messages in it, too. `head` is what [`Engine::on_frame_head`] gets.
    ///
    /// [`Engine::on_frame_head`]: super::Engine::on_frame_head
    pub fn of_frame(&self, head: &[u8]) -> usize {
        if self.count == 1 {
            return 0;
        }
        self.of_first(head).unwrap_or(0)
    }

    fn of_first(&self, head: &[u8]) -> Option<usize> {
        match about(head)? {
            About::Feed(id) => Some(self.of(&id)),
            About::Token(token) => Some(self.of_token(token)),
        }
    }

    /// For frames that have come together.
    pub fn sorter(self) -> Sorter {
        Sorter {
            shards: self,
            last: None,
        }
    }

    /// The engine that made a token, or the first one for a token that none made.
    fn of_token(&self, token: Token) -> usize {
        let shard = (token.slot / SHARD_SLOTS) as usize;
        if shard < self.count() {
            shard
        } else {
            0
        }
    }

    /// The engine that a message is for.
    pub(super) fn of_message(&self, message: &Message<'_>) -> usize {
        if self.count == 1 {
            return 0;
        }
        match (message.asks_about(), message.token()) {
            (Some(id), _) => self.of(id),
            (None, token) => self.of_token(token),
        }
    }

    fn mask(&self) -> usize {
        self.count().wrapping_sub(1)
    }
}

/// What says whose a message is.
enum About {
    Feed(DiscoveryId),
    Token(Token),
}

/// What the first message of a frame says.
fn about(head: &[u8]) -> Option<About> {
    let mut r = Reader::new(head);
    r.take(FRAME_HEADER_LEN)?;
    let kind = r.u8()?;
    // Flags and length; then a nonce, or what an answer says before its token.
    r.take(MESSAGE_HEADER_LEN - 1 + 4)?;
    let token = Token::from_u64(r.u64()?);
    if kind & CRITICAL == 0 {
        return Some(About::Token(token));
    }
    r.take(8)?;
    Some(About::Feed(DiscoveryId(*r.array()?)))
}

/// Says of frames that have come together, one after the other, whose they are. They are often about one
/// feed: its id is hashed once for all that follow each other.
pub struct Sorter {
    shards: Shards,
    last: Option<(DiscoveryId, usize)>,
}

impl Sorter {
    /// As [`Shards::of_frame`].
    pub fn of_frame(&mut self, head: &[u8]) -> usize {
        if self.shards.count == 1 {
            return 0;
        }
        match about(head) {
            Some(About::Feed(id)) => match self.last {
                Some((last, shard)) if last == id => shard,
                _ => {
                    let shard = self.shards.of(&id);
                    self.last = Some((id, shard));
                    shard
                }
            },
            Some(About::Token(token)) => self.shards.of_token(token),
            None => 0,
        }
    }
}

/// Some of a node's engines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShardSet(u8);

impl ShardSet {
    /// Puts one in.
    pub fn insert(&mut self, shard: usize) {
        self.0 |= 1u8.wrapping_shl(shard as u32);
    }

    /// Takes this one out.
    pub fn remove(&mut self, shard: usize) {
        self.0 &= !1u8.wrapping_shl(shard as u32);
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Takes the first one out.
    pub fn pop(&mut self) -> Option<usize> {
        self.pop_from(0)
    }

    /// Takes the first one out that is not before `start`, or else the first; any number will do.
    pub fn pop_from(&mut self, start: usize) -> Option<usize> {
        let start = start as u32 % u8::BITS;
        let ahead = self.0.rotate_right(start);
        if ahead == 0 {
            return None;
        }
        let shard = ahead.trailing_zeros().wrapping_add(start) % u8::BITS;
        self.remove(shard as usize);
        Some(shard as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SipKey = SipKey([1, 2]);

    #[test]
    fn count__is_a_power_of_two_within_bounds() {
        let counts = [0, 1, 2, 3, 64].map(|cpus| Shards::new(KEY, cpus).count());
        assert_eq!(counts, [1, 1, 8, 8, 8]);
    }

    #[test]
    fn of__spreads_feeds() {
        let shards = Shards::new(KEY, 8);
        let mut feeds = [0; 8];
        for number in 0..800u16 {
            let mut id = DiscoveryId([7; 32]);
            id.0[..2].copy_from_slice(&number.to_le_bytes());
            feeds[shards.of(&id)] += 1;
        }
        assert!(
            feeds.iter().all(|count| (60..140).contains(count)),
            "{feeds:?}"
        );
    }

    #[test]
    fn set__loses_what_is_taken_out() {
        let mut set = ShardSet::default();
        for shard in [7, 0, 3] {
            set.insert(shard);
        }
        set.remove(3);
        set.remove(5);
        assert_eq!([set.pop(), set.pop(), set.pop()], [Some(0), Some(7), None]);
        assert!(set.is_empty());
    }

    #[test]
    fn set__begins_where_it_is_told_to() {
        for (start, order) in [
            (0, [1, 4, 7]),
            (4, [4, 7, 1]),
            (5, [7, 1, 4]),
            (18, [4, 7, 1]),
        ] {
            let mut set = ShardSet::default();
            for shard in order {
                set.insert(shard);
            }
            assert_eq!(order.map(|_| set.pop_from(start)), order.map(Some));
            assert_eq!(set.pop_from(start), None);
        }
    }

    #[test]
    fn of_token__that_nobody_made_goes_to_the_first() {
        let shards = Shards { key: KEY, count: 2 };
        let of = |slot| {
            shards.of_token(Token {
                slot,
                ..Token::default()
            })
        };
        assert_eq!(of(5), 0);
        assert_eq!(of(SHARD_SLOTS), 1);
        assert_eq!(of(2 * SHARD_SLOTS), 0);
    }

    #[test]
    fn sorter__says_what_each_frame_says() {
        let shards = Shards::new(KEY, 8);
        let mut sorter = shards.sorter();
        let mut seen = ShardSet::default();
        for number in 0..400u32 {
            // Runs of one feed, others between them, and answers.
            let mut frame = [number as u8 / 5; 96];
            frame[FRAME_HEADER_LEN] = if number % 7 == 0 { 0 } else { CRITICAL };
            frame[FRAME_HEADER_LEN + MESSAGE_HEADER_LEN..][..4]
                .copy_from_slice(&number.to_le_bytes());
            let frame = &frame[..if number % 11 == 0 { 60 } else { 96 }];
            let shard = sorter.of_frame(frame);
            assert_eq!(shard, shards.of_frame(frame), "{number}");
            seen.insert(shard);
        }
        assert_eq!(seen, ShardSet(0xff));
        assert_eq!(Shards::new(KEY, 1).sorter().of_frame(&[0xff; 96]), 0);
    }

    #[test]
    fn of_frame__takes_what_is_too_short() {
        let shards = Shards::new(KEY, 8);
        for len in 0..100 {
            assert!(shards.of_frame(&[0xff; 100][..len]) < 8);
        }
    }
}
