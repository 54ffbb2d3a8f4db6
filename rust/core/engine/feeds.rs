// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The feeds that this node knows: their newest verified heads and where answers came from.
//!
//! A feed of no local use is recycled when the table is full (a clock hand with one use bit), own
//! and opened feeds never are.

use core::cell::Cell;

use super::env::{Mac, Memory, PortId};
use super::growing::Growing;
use super::limits::{CLOCK_STEPS, FEED_HEADS_PER_S};
use crate::bytes::{same, Reader, Writer};
use crate::grant::{SignedGrant, GRANT_LEN};
use crate::head::{Head, SignedHead, HEAD_BODY_LEN, HEAD_LEN};
use crate::id::{DiscoveryId, Hash, Name};
use crate::sign::SIGNATURE_LEN;
use crate::siphash::{siphash13, SipKey};
use crate::verify::{freshness, Freshness};

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
/// Used since the hand came by.
const RECENT: u16 = 1 << 6;
/// This node may sign the feed: it stays known without a socket.
pub(super) const KEPT: u16 = 1 << 7;

/// Bytes of a head in front of its name.
const HEAD_FRONT: usize = HEAD_BODY_LEN - 64;

/// One feed, 256 B in its table. What a lookup needs to know first lies in one line of the
/// processor's cache, with what the table puts in front.
#[repr(C)]
pub(super) struct Feed {
    pub n: u64,
    pub id: DiscoveryId,
    pub epoch: u32,
    pub flags: u16,
    /// Hops that the head had come.
    pub hops: u8,
    /// Good heads verified in `rate_second`.
    rate_count: u8,
    /// When the head was verified or heard again, µs.
    pub verified_at: u64,
    /// Sockets that have the feed open.
    pub opens: u32,
    /// The epoch of the verified grant, 0 without one.
    granted: u32,
    /// The neighbour of the last good answer; `LOCAL` is none.
    pub via_port: PortId,
    pub via_mac: Mac,
    /// The low bits of the second.
    rate_second: u16,
    /// The held head: what stands in front of its name, the name (which may be known without a head), the root
    /// and the signature, in the order of [`SignedHead::bytes`].
    front: [u8; HEAD_FRONT],
    pub name: Name,
    pub root: Hash,
    signature: [u8; SIGNATURE_LEN],
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            n: 0,
            id: DiscoveryId::default(),
            epoch: 0,
            flags: 0,
            hops: 0,
            rate_count: 0,
            verified_at: 0,
            opens: 0,
            granted: 0,
            via_port: PortId::LOCAL,
            via_mac: Mac::default(),
            rate_second: 0,
            front: [0; HEAD_FRONT],
            name: Name::default(),
            root: Hash::ZERO,
            signature: [0; SIGNATURE_LEN],
        }
    }
}

/// A verified grant. Few feeds have one.
pub(super) struct Granted {
    /// The feed's place.
    feed: u32,
    bytes: [u8; GRANT_LEN],
}

impl Default for Granted {
    fn default() -> Self {
        Granted {
            feed: 0,
            bytes: [0; GRANT_LEN],
        }
    }
}

impl Feed {
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The verified head.
    pub(super) fn head(&self) -> Option<SignedHead> {
        SignedHead::parse(&self.head_bytes()?).ok()
    }

    /// What the verified head says, at a fraction of the cost.
    pub(super) fn statement(&self) -> Option<Head> {
        if !self.has(HEADED) {
            return None;
        }
        Head::of_front(&self.front, self.name, self.root)
    }

    /// The verified head's bytes.
    pub(super) fn head_bytes(&self) -> Option<[u8; HEAD_LEN]> {
        if !self.has(HEADED) {
            return None;
        }
        let mut bytes = [0; HEAD_LEN];
        Writer::new(&mut bytes)
            .put(&self.front)
            .put(&self.name.0)
            .put(&self.root.0)
            .put(&self.signature);
        Some(bytes)
    }

    /// The epoch of the verified grant, 0 without one: nothing older may be told, or asked for.
    pub(super) fn granted_epoch(&self) -> u32 {
        self.granted
    }

    pub(super) fn set_head(&mut self, head: &SignedHead, hops: u8, now: u64) {
        let mut bytes = Reader::new(&head.bytes);
        let parts = (bytes.array(), bytes.array(), bytes.array(), bytes.array());
        let (Some(front), Some(name), Some(root), Some(signature)) = parts else {
            return;
        };
        (self.front, self.signature) = (*front, *signature);
        (self.name, self.root) = (Name(*name), Hash(*root));
        self.epoch = head.head.epoch;
        self.n = head.head.n;
        self.hops = hops;
        self.verified_at = now;
        self.flags |= HEADED | NAMED;
    }

    /// A grant is held. Whether it has ended the epoch of the held head, which is gone then:
    /// whoever has the old key may have signed it after the name key had taken the feed away.
    fn grant_from(&mut self, grant: &SignedGrant) -> bool {
        self.name = grant.grant.name;
        self.granted = grant.grant.epoch;
        self.flags |= NAMED;
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

fn second_of(now: u64) -> u16 {
    now.wrapping_div(1_000_000) as u16
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
    pub table: Growing<Feed, M>,
    /// Under the feed's index.
    pub grants: Growing<Granted, M>,
    key: SipKey,
    hand: u32,
    /// Where the feed is that was looked up last: the steps of one call ask for the same one.
    last: Cell<u32>,
}

impl<M: Memory> Feeds<M> {
    pub(super) fn new(table: Growing<Feed, M>, grants: Growing<Granted, M>, key: SipKey) -> Self {
        Feeds {
            table,
            grants,
            key,
            hand: 0,
            last: Cell::new(0),
        }
    }

    fn hash(&self, id: &DiscoveryId) -> u32 {
        siphash13(&self.key, &[&id.0]) as u32
    }

    /// Whether that is the feed that was found last, which is one of this engine's.
    #[inline]
    pub(super) fn is_last(&self, id: &DiscoveryId) -> bool {
        let last = self.table.get(self.last.get());
        last.is_some_and(|feed| same(&feed.id.0, &id.0))
    }

    pub(super) fn find(&self, id: &DiscoveryId) -> Option<u32> {
        if self.is_last(id) {
            return Some(self.last.get());
        }
        let found = self
            .table
            .find(self.hash(id), |feed| same(&feed.id.0, &id.0))?;
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
            self.table.insert(self.hash(id), feed)?;
        }
        self.get_mut(id)
    }

    /// Forgets a feed that nobody here needs, best one that was not used since the hand came by.
    fn make_room(&mut self) {
        let mut victim = None;
        for _ in 0..CLOCK_STEPS {
            let at = self.hand;
            self.hand = (at as usize)
                .wrapping_add(1)
                .checked_rem(self.table.capacity())
                .unwrap_or(0) as u32;
            let Some(feed) = self.table.get_mut(at).filter(|feed| feed.is_idle()) else {
                continue;
            };
            if !feed.has(RECENT) {
                victim = Some(at);
                break;
            }
            feed.flags &= !RECENT;
            victim = victim.or(Some(at));
        }
        let Some(at) = victim else { return };
        self.table.remove(at);
        if let Some(grant) = self.find_grant(at) {
            self.grants.remove(grant);
        }
    }

    fn find_grant(&self, feed: u32) -> Option<u32> {
        self.grants.find(feed, |granted| granted.feed == feed)
    }

    /// The verified grant of the feed in place `index`.
    fn grant_at(&self, index: u32) -> Option<SignedGrant> {
        self.table.get(index).filter(|feed| feed.granted > 0)?;
        let granted = self.grants.get(self.find_grant(index)?)?;
        SignedGrant::parse(&granted.bytes).ok()
    }

    /// The verified grant of a feed.
    pub(super) fn grant(&self, id: &DiscoveryId) -> Option<SignedGrant> {
        self.grant_at(self.find(id)?)
    }

    /// Holds a verified grant of a feed that is made if it is not known. Whether it has ended the
    /// epoch of the held head; `None` when there is no room.
    pub(super) fn set_grant(&mut self, id: &DiscoveryId, grant: &SignedGrant) -> Option<bool> {
        self.open(id)?;
        let index = self.find(id)?;
        let at = match self.find_grant(index) {
            Some(at) => at,
            None => self.grants.insert(index, Granted::default())?,
        };
        let granted = self.grants.get_mut(at)?;
        granted.feed = index;
        granted.bytes = grant.bytes;
        Some(self.table.get_mut(index)?.grant_from(grant))
    }

    /// How old the verified head of the feed in place `index` is.
    pub(super) fn freshness(&self, index: u32, now_ms: Option<u64>) -> Option<Freshness> {
        let feed = self.table.get(index)?;
        let grant = (feed.granted > 0).then(|| self.grant_at(index)).flatten();
        let grant = grant.as_ref().map(|grant| &grant.grant);
        Some(freshness(&feed.statement()?, grant, now_ms))
    }

    /// What the verified head of the feed in place `index` says.
    pub(super) fn statement(&self, index: u32) -> Option<Head> {
        self.table.get(index)?.statement()
    }

    /// A copy of what is known of the feed in place `index`.
    pub(super) fn state(&self, index: u32) -> Option<FeedState> {
        let feed = self.table.get(index)?;
        Some(FeedState {
            id: feed.id,
            name: feed.has(NAMED).then_some(feed.name),
            head: feed.head(),
            grant: self.grant_at(index),
            verified_at: feed.verified_at,
            hops: feed.hops,
            is_own: feed.has(OWN),
            is_shared: feed.has(SHARED),
            is_forked: feed.has(FORKED),
            opens: feed.opens,
        })
    }
}
