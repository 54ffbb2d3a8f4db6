// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The feeds that this node knows: their newest verified heads and where answers came from.
//!
//! A feed of no local use is recycled when the table is full (a clock hand with one use bit), own
//! and opened feeds never are.

use core::cell::Cell;

use super::env::{Mac, Memory, PortId};
use super::limits::{CLOCK_STEPS, FEED_HEADS_PER_S};
use super::slab::Table;
use crate::grant::{SignedGrant, GRANT_LEN};
use crate::head::{SignedHead, HEAD_LEN};
use crate::id::{DiscoveryId, Hash, Name};
use crate::siphash::{siphash13, SipKey};

/// This node signs the feed.
pub(super) const OWN: u16 = 1 << 0;
/// The host was told to serve the feed.
pub(super) const SHARED: u16 = 1 << 1;
/// Two heads exclude each other; the evidence is in the fork table.
pub(super) const FORKED: u16 = 1 << 2;
/// The name is known.
pub(super) const NAMED: u16 = 1 << 3;
/// A verified head is held.
pub(super) const HEADED: u16 = 1 << 4;
/// A verified grant is held.
pub(super) const GRANTED: u16 = 1 << 5;
/// Used since the hand came by.
const RECENT: u16 = 1 << 6;
/// This node may sign the feed: it stays known without a socket.
pub(super) const KEPT: u16 = 1 << 7;

/// One feed. At most 512 B in its table.
pub(super) struct Feed {
    pub id: DiscoveryId,
    pub name: Name,
    head: [u8; HEAD_LEN],
    grant: [u8; GRANT_LEN],
    pub root: Hash,
    pub n: u64,
    /// When the head was verified or heard again, µs.
    pub verified_at: u64,
    pub epoch: u32,
    pub flags: u16,
    /// Hops that the head had come.
    pub hops: u8,
    /// Good heads verified in `rate_second`.
    rate_count: u8,
    rate_second: u32,
    /// Sockets that have the feed open.
    pub opens: u32,
    /// The neighbour of the last good answer; `LOCAL` is none.
    pub via_port: PortId,
    pub via_mac: Mac,
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            id: DiscoveryId::default(),
            name: Name::default(),
            head: [0; HEAD_LEN],
            grant: [0; GRANT_LEN],
            root: Hash::ZERO,
            n: 0,
            verified_at: 0,
            epoch: 0,
            flags: 0,
            hops: 0,
            rate_count: 0,
            rate_second: 0,
            opens: 0,
            via_port: PortId::LOCAL,
            via_mac: Mac::default(),
        }
    }
}

impl Feed {
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The verified head.
    pub(super) fn head(&self) -> Option<SignedHead> {
        if self.has(HEADED) {
            SignedHead::parse(&self.head).ok()
        } else {
            None
        }
    }

    /// The verified head's bytes.
    pub(super) fn head_bytes(&self) -> Option<&[u8; HEAD_LEN]> {
        self.has(HEADED).then_some(&self.head)
    }

    /// The verified grant.
    pub(super) fn grant(&self) -> Option<SignedGrant> {
        if self.has(GRANTED) {
            SignedGrant::parse(&self.grant).ok()
        } else {
            None
        }
    }

    /// The epoch of the verified grant, 0 without one: nothing older may be told, or asked for.
    pub(super) fn granted_epoch(&self) -> u32 {
        self.grant().map_or(0, |grant| grant.grant.epoch)
    }

    pub(super) fn set_head(&mut self, head: &SignedHead, hops: u8, now: u64) {
        self.head = head.bytes;
        self.name = head.head.name;
        self.epoch = head.head.epoch;
        self.n = head.head.n;
        self.root = head.head.root;
        self.hops = hops;
        self.verified_at = now;
        self.flags |= HEADED | NAMED;
    }

    /// Holds a verified grant. Whether it has ended the epoch of the held head, which is gone then:
    /// whoever has the old key may have signed it after the name key had taken the feed away.
    pub(super) fn set_grant(&mut self, grant: &SignedGrant) -> bool {
        self.grant = grant.bytes;
        self.name = grant.grant.name;
        self.flags |= GRANTED | NAMED;
        let ends = self.has(HEADED) && self.epoch < grant.grant.epoch;
        if ends {
            self.flags &= !HEADED;
            (self.epoch, self.n, self.root) = (0, 0, Hash::ZERO);
        }
        ends
    }

    /// Whether a host may answer from this feed.
    pub(super) fn is_public(&self) -> bool {
        self.flags & (OWN | SHARED) != 0
    }

    /// Whether another head may be verified in this second.
    pub(super) fn has_head_budget(&self, now: u64) -> bool {
        self.rate_second != second_of(now) || self.rate_count < FEED_HEADS_PER_S
    }

    /// Counts a head whose signature is good. Others are not counted: anybody can make those, and
    /// they are paid for by the port that they came by.
    pub(super) fn count_head(&mut self, now: u64) {
        let second = second_of(now);
        if self.rate_second != second {
            self.rate_second = second;
            self.rate_count = 0;
        }
        self.rate_count = self.rate_count.saturating_add(1);
    }

    /// Nobody here needs it. (A forked one, too: strangers can make any number of those, and its
    /// evidence is kept apart.)
    pub(super) fn is_idle(&self) -> bool {
        self.opens == 0 && self.flags & (OWN | SHARED | KEPT) == 0
    }
}

fn second_of(now: u64) -> u32 {
    now.wrapping_div(1_000_000) as u32
}

/// A copy of what is known of a feed, for sockets and dumps.
#[derive(Clone, Copy, Debug)]
pub struct FeedState {
    /// Its id.
    pub id: DiscoveryId,
    /// Its name, once somebody here said it or a head did.
    pub name: Option<Name>,
    /// The newest verified head.
    pub head: Option<SignedHead>,
    /// The newest verified grant.
    pub grant: Option<SignedGrant>,
    /// When the head was verified or heard again, µs.
    pub verified_at: u64,
    /// Hops that the head had come, 0 for an own one.
    pub hops: u8,
    /// Authored here.
    pub is_own: bool,
    /// A host was told to serve it.
    pub is_shared: bool,
    /// Two heads exclude each other.
    pub is_forked: bool,
    /// Sockets that have it open.
    pub opens: u32,
}

pub(super) struct Feeds<M: Memory> {
    pub table: Table<Feed, M>,
    key: SipKey,
    hand: u32,
    /// Where the feed is that was looked up last: the steps of one call ask for the same one.
    last: Cell<u32>,
    /// Inserts that found no place.
    pub refused: u32,
}

impl<M: Memory> Feeds<M> {
    pub(super) fn new(table: Table<Feed, M>, key: SipKey) -> Self {
        Feeds {
            table,
            key,
            hand: 0,
            last: Cell::new(0),
            refused: 0,
        }
    }

    fn hash(&self, id: &DiscoveryId) -> u32 {
        siphash13(&self.key, &[&id.0]) as u32
    }

    pub(super) fn find(&self, id: &DiscoveryId) -> Option<u32> {
        let last = self.last.get();
        if self.table.get(last).is_some_and(|feed| feed.id == *id) {
            return Some(last);
        }
        let found = self.table.find(self.hash(id), |feed| feed.id == *id)?;
        self.last.set(found);
        Some(found)
    }

    pub(super) fn get(&self, id: &DiscoveryId) -> Option<&Feed> {
        self.table.get(self.find(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &DiscoveryId) -> Option<&mut Feed> {
        let index = self.find(id)?;
        let feed = self.table.get_mut(index)?;
        feed.flags |= RECENT;
        Some(feed)
    }

    /// The feed, made if it is not known. `None` when every feed in the table is in use.
    pub(super) fn open(&mut self, id: &DiscoveryId) -> Option<&mut Feed> {
        if self.find(id).is_none() {
            if self.table.len() >= self.table.capacity() {
                self.make_room();
            }
            let feed = Feed {
                id: *id,
                ..Feed::default()
            };
            if self.table.insert(self.hash(id), feed).is_none() {
                self.refused = self.refused.saturating_add(1);
                return None;
            }
        }
        self.get_mut(id)
    }

    fn make_room(&mut self) {
        for _ in 0..CLOCK_STEPS {
            let at = self.hand;
            self.hand = (at as usize)
                .wrapping_add(1)
                .checked_rem(self.table.capacity())
                .unwrap_or(0) as u32;
            let Some(feed) = self.table.get_mut(at) else {
                continue;
            };
            if !feed.is_idle() {
                continue;
            }
            if feed.has(RECENT) {
                feed.flags &= !RECENT;
                continue;
            }
            self.table.remove(at);
            return;
        }
    }

    /// A copy of what is known of the feed in place `index`.
    pub(super) fn state(&self, index: u32) -> Option<FeedState> {
        let feed = self.table.get(index)?;
        Some(FeedState {
            id: feed.id,
            name: feed.has(NAMED).then_some(feed.name),
            head: feed.head(),
            grant: feed.grant(),
            verified_at: feed.verified_at,
            hops: feed.hops,
            is_own: feed.has(OWN),
            is_shared: feed.has(SHARED),
            is_forked: feed.has(FORKED),
            opens: feed.opens,
        })
    }
}
