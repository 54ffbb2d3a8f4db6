// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Short memories: nonces seen, roots held before the present head, evidence of forks.
//!
//! The first two are direct-mapped: a collision overwrites, and only costs a retransmission.

use super::env::{Mac, Memory, PortId};
use super::limits::NONCE_LIFE_US;
use super::slab::spread;
use crate::head::HEAD_LEN;
use crate::id::{DiscoveryId, Hash, HashBuf, Hashes};
use crate::siphash::{siphash13, siphash13_words, SipKey};
use crate::wire::MAX_CONS;

/// A nonce that came by.
#[derive(Clone, Copy, Default)]
pub(super) struct Nonce {
    what: u64,
    from: u64,
    until: u64,
}

/// The use of a nonce, as far as it is remembered.
pub(super) struct Use {
    what: u64,
    from: u64,
}

/// Nonces of lookups that were passed on, so that one that comes back is seen.
pub(super) struct Nonces<M: Memory> {
    slots: M::Of<Nonce>,
    key: SipKey,
}

impl<M: Memory> Nonces<M> {
    pub(super) fn new(slots: M::Of<Nonce>, key: SipKey) -> Self {
        Nonces { slots, key }
    }

    /// That a nonce is used for something, by whom.
    pub(super) fn using(&self, nonce: u32, want: u32, port: PortId, mac: Mac) -> Use {
        let [a, b, c, d, e, f] = mac.0;
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let what = u64::from(nonce) | u64::from(want) << 32;
        Use {
            what: siphash13_words(&self.key, &[what], 0).max(1),
            from: siphash13_words(&self.key, &[mac], port.0),
        }
    }

    fn place(&self, used: &Use) -> usize {
        spread((used.what >> 32) as u32, self.slots.len())
    }

    /// Whether another neighbour (or this node) used the nonce for the same thing.
    pub(super) fn is_duplicate(&self, used: &Use, now: u64) -> bool {
        self.slots.get(self.place(used)).is_some_and(|known| {
            known.what == used.what && known.from != used.from && known.until > now
        })
    }

    pub(super) fn remember(&mut self, used: &Use, now: u64) {
        let at = self.place(used);
        if let Some(place) = self.slots.get_mut(at) {
            *place = Nonce {
                what: used.what,
                from: used.from,
                until: now.saturating_add(NONCE_LIFE_US),
            };
        }
    }
}

/// A root that was verified.
#[derive(Clone, Copy, Default)]
pub(super) struct Root {
    id: DiscoveryId,
    epoch: u32,
    n: u64,
    root: Hash,
}

/// Earlier roots of feeds, so that answers which were under way when the head moved still count.
pub(super) struct Roots<M: Memory> {
    slots: M::Of<Root>,
    key: SipKey,
}

impl<M: Memory> Roots<M> {
    pub(super) fn new(slots: M::Of<Root>, key: SipKey) -> Self {
        Roots { slots, key }
    }

    fn place(&self, id: &DiscoveryId, epoch: u32, n: u64) -> Option<usize> {
        let hash = siphash13(&self.key, &[&id.0, &epoch.to_le_bytes(), &n.to_le_bytes()]);
        (hash as usize).checked_rem(self.slots.len())
    }

    pub(super) fn get(&self, id: &DiscoveryId, epoch: u32, n: u64) -> Option<Hash> {
        let known = self.slots.get(self.place(id, epoch, n)?)?;
        (known.n > 0 && known.id == *id && known.epoch == epoch && known.n == n)
            .then_some(known.root)
    }

    pub(super) fn remember(&mut self, id: &DiscoveryId, epoch: u32, n: u64, root: Hash) {
        let place = self.place(id, epoch, n);
        if let Some(slot) = place.and_then(|at| self.slots.get_mut(at)) {
            *slot = Root {
                id: *id,
                epoch,
                n,
                root,
            };
        }
    }
}

/// Evidence of a fork: two signed heads that exclude each other, and the proof of that where the
/// heads alone do not show it (see [`proves_fork`](crate::verify::proves_fork)). 1.5 KiB: it is
/// made in its place.
pub struct ForkEvidence {
    /// The head that is held.
    pub held: [u8; HEAD_LEN],
    /// The head that contradicts it.
    pub other: [u8; HEAD_LEN],
    proof: HashBuf<MAX_CONS>,
}

impl ForkEvidence {
    /// The consistency proof from the shorter tree to the longer one, or no hash.
    pub fn proof(&self) -> Hashes<'_> {
        self.proof.hashes()
    }
}

/// A place for evidence.
pub(super) struct Fork {
    id: DiscoveryId,
    evidence: ForkEvidence,
}

impl Fork {
    /// A constant, so that it is copied to its place and not made on the stack first.
    const EMPTY: Self = Fork {
        id: DiscoveryId([0; 32]),
        evidence: ForkEvidence {
            held: [0; HEAD_LEN],
            other: [0; HEAD_LEN],
            proof: HashBuf::new(),
        },
    };
}

impl Default for Fork {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Evidence of forks: the first of each feed is kept, for as long as somebody here works with the
/// feed; then another may take its place.
pub(super) struct Forks<M: Memory> {
    slots: M::Of<Fork>,
    /// Places in use: from the first on, and for good. They lie far apart, and mostly there are none.
    used: usize,
}

impl<M: Memory> Forks<M> {
    pub(super) fn new(slots: M::Of<Fork>) -> Self {
        Forks { slots, used: 0 }
    }

    pub(super) fn get(&self, id: &DiscoveryId) -> Option<&ForkEvidence> {
        self.slots
            .iter()
            .take(self.used)
            .find(|fork| fork.id == *id)
            .map(|fork| &fork.evidence)
    }

    /// Whether these two heads are known to exclude each other.
    pub(super) fn has(
        &self,
        id: &DiscoveryId,
        held: &[u8; HEAD_LEN],
        other: &[u8; HEAD_LEN],
    ) -> bool {
        self.get(id)
            .is_some_and(|evidence| evidence.held == *held && evidence.other == *other)
    }

    /// Keeps the evidence if there is room, or a place whose feed is not `needed`; false if not.
    /// What contradicted an earlier head of the feed now contradicts the newer one.
    pub(super) fn keep(
        &mut self,
        id: &DiscoveryId,
        held: &[u8; HEAD_LEN],
        other: &[u8; HEAD_LEN],
        proof: Hashes<'_>,
        needed: impl Fn(&DiscoveryId) -> bool,
    ) -> bool {
        let known = self
            .slots
            .iter()
            .take(self.used)
            .position(|fork| fork.id == *id);
        if known
            .and_then(|at| self.slots.get(at))
            .is_some_and(|fork| fork.evidence.other != *other)
        {
            return true;
        }
        let free = known.or((self.used < self.slots.len()).then_some(self.used));
        let at = free.or_else(|| self.slots.iter().position(|fork| !needed(&fork.id)));
        let Some(free) = at.and_then(|at| self.slots.get_mut(at)) else {
            return false;
        };
        if at == Some(self.used) {
            self.used = self.used.saturating_add(1);
        }
        free.id = *id;
        free.evidence.held = *held;
        free.evidence.other = *other;
        free.evidence.proof.clear();
        proof.iter().all(|hash| free.evidence.proof.push(&hash))
    }
}
