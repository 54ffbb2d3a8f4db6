// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The pending table: lookups in flight, and who waits for each.
//!
//! An entry lives as long as somebody waits: a neighbour's lookup, a local reader or the engine
//! itself (a head that needs its consistency proof). Waiters are records of a table of their own,
//! linked into their entry and into their port; at its quota a port loses its own oldest record.

use super::env::{Mac, Memory, PortId};
use super::ports::Ports;
use super::routes::Tried;
use super::slab::{Heap, Slab, Table};
use super::u48::U48;
use super::want::{Demands, Want, What};
use crate::id::DiscoveryId;
use crate::token::MAC_GROUP;
use crate::verify::Demand;

/// No link; others are one-based slots.
pub(super) const NONE: u32 = 0;

/// The slot that a link means.
pub(super) fn slot(link: u32) -> u32 {
    link.wrapping_sub(1)
}

/// The link to a slot.
pub(super) fn link(slot: u32) -> u32 {
    slot.wrapping_add(1)
}

/// Where a lookup went: to a neighbour, or to the group of its port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Way(Mac);

impl Way {
    /// No neighbour has the group's address: it cannot be told from the group.
    pub(super) fn to(mac: Option<Mac>) -> Self {
        Way(mac.unwrap_or(Mac(MAC_GROUP)))
    }

    /// The neighbour, or `None` for the group.
    pub(super) fn mac(self) -> Option<Mac> {
        (self != Self::default()).then_some(self.0)
    }
}

impl Default for Way {
    fn default() -> Self {
        Way::to(None)
    }
}

/// The lookup was sent.
pub(super) const SENT: u8 = 1 << 0;
/// A lookup went to the group of its port: answers may bear the group's token.
pub(super) const GROUP: u8 = 1 << 1;
/// Head: the last send asked for the laxest demand.
pub(super) const ASKED_LAX: u8 = 1 << 2;
/// Nobody who waits wants payloads.
pub(super) const NO_PAYLOADS: u8 = 1 << 3;
/// Some refusal was other than "no route".
pub(super) const REFUSED_LATE: u8 = 1 << 4;
/// A refused nonce was replaced.
pub(super) const RETRIED_NONCE: u8 = 1 << 5;
/// What a cookie was wanting for was asked for again.
pub(super) const ASKED_AGAIN: u8 = 1 << 6;
/// The next answer tells nothing about the round trip.
pub(super) const NO_SAMPLE: u8 = 1 << 7;

/// One lookup in flight.
#[derive(Default)]
pub(super) struct Pending {
    pub id: DiscoveryId,
    pub what: What,
    /// Entries or chunks that somebody here waits for.
    pub bits: u32,
    /// Those of `bits` that the upstream was asked for.
    pub asked: u32,
    /// Those that came.
    pub got: u32,
    flags: u8,
    /// Head: counts the sends, which ask for the strictest and the laxest demand in turn.
    pub turn: u8,
    /// Largest hops of the parts that came.
    pub hops: u8,

    pub up_port: PortId,
    pub up: Way,
    pub route: u32,
    pub nonce: u32,
    pub hop_limit: u8,
    pub tries: u8,
    pub route_tries: u8,
    pub tried: Tried,
    pub sent_at: U48,
    /// When to send again; [`U48::MAX`] while it waits for a head.
    pub resend_at: U48,
    /// Follow: when the next push is due.
    pub push_at: U48,
    /// When the last waiter goes.
    pub expires: U48,

    /// Whose room it takes: that of the port of its first waiter.
    pub payer: PortId,
    /// First waiter. The one before it is the last.
    pub first: u32,
    /// Blob: the window in flight. Range: a path or page that waits for its other half.
    pub part: u32,
}

impl Pending {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn mark(&mut self, flag: u8, set: bool) {
        self.flags = if set {
            self.flags | flag
        } else {
            self.flags & !flag
        };
    }

    pub(super) fn is_follow(&self) -> bool {
        self.what == What::Follow
    }

    pub(super) fn is_blob(&self) -> bool {
        self.what == What::Blob
    }

    /// Whether it waits for the window that this transfer is about.
    pub(super) fn is_of_transfer(&self, index: u32) -> bool {
        self.is_blob() && self.part == link(index)
    }
}

/// A waiter wants no payloads.
pub(super) const LEAF_ONLY: u8 = 1 << 0;
/// It wants whole chunks with their page.
pub(super) const CHUNK_MODE: u8 = 1 << 1;
/// It has the path, or got it from us.
pub(super) const HAVE_PATH: u8 = 1 << 2;
/// It has the page, or got it from us.
pub(super) const HAVE_PAGE: u8 = 1 << 3;
/// It echoed no valid cookie: one frame and no more.
pub(super) const LIMITED: u8 = 1 << 4;
/// It follows the feed.
pub(super) const FOLLOWER: u8 = 1 << 5;
/// It was told of the head behind the one it holds before that was checked.
pub(super) const TOLD: u8 = 1 << 6;

/// Who waits for an entry.
#[derive(Clone, Copy, Default)]
pub(super) struct Down {
    pub entry: u32,
    pub prev: u32,
    pub next: u32,
    pub port_prev: u32,
    pub port_next: u32,
    pub port: PortId,
    pub mac: Mac,
    pub flags: u8,
    pub hop_limit: u8,
    pub nonce: u32,
    pub token: u64,
    pub bits: u32,
    /// The head that the waiter holds.
    pub held_epoch: u32,
    pub held_n: U48,
    /// Head: the least it takes. Range: the tree that it wants proofs in.
    pub epoch: u32,
    pub n: U48,
    /// Head: no older one, ms. Follower: when the next push is due, µs.
    pub age_or_push: U48,
    pub expires: U48,
    /// Follower: bytes that pushes may still use.
    pub budget: u32,
    /// Follower: how often the newest head was pushed.
    pub pushes: u8,
}

impl Down {
    pub(super) fn is_local(&self) -> bool {
        self.port == PortId::LOCAL
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Head: what the waiter takes for an answer.
    pub(super) fn demand(&self) -> Demand {
        Demand {
            epoch: self.epoch,
            n: self.n.get(),
            max_age_ms: self.age_or_push.get(),
        }
    }

    pub(super) fn is_follower(&self) -> bool {
        self.has(FOLLOWER)
    }
}

/// Entries, waiters and deadlines.
pub(super) struct PendingTable<M: Memory> {
    pub entries: Table<Pending, M>,
    pub downs: Slab<Down, M>,
    pub due: Heap<M>,
}

impl<M: Memory> PendingTable<M> {
    pub(super) fn new(entries: Table<Pending, M>, downs: Slab<Down, M>, due: Heap<M>) -> Self {
        PendingTable {
            entries,
            downs,
            due,
        }
    }

    /// The entry for this want, which has this hash; `transfer` is that of a blob's window.
    pub(super) fn find(&self, want: &Want, hash: u32, transfer: Option<u32>) -> Option<u32> {
        let (id, what) = (want.id(), want.what());
        self.entries.find(hash, |entry| {
            entry.what == what
                && entry.id == *id
                && transfer.is_none_or(|index| entry.is_of_transfer(index))
        })
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Pending> {
        self.entries.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Pending> {
        self.entries.get_mut(slot)
    }

    /// An entry with a part in this transfer, whatever its id; all of them have this hash.
    pub(super) fn find_part(&self, hash: u32, transfer: u32) -> Option<u32> {
        self.entries
            .find(hash, |entry| entry.is_of_transfer(transfer))
    }

    /// A new entry for what has this hash. `None` when the table is full.
    pub(super) fn insert(&mut self, want: Want, hash: u32) -> Option<u32> {
        let entry = Pending {
            id: *want.id(),
            what: want.what(),
            resend_at: U48::MAX,
            push_at: U48::MAX,
            ..Pending::default()
        };
        self.entries.insert(hash, entry)
    }

    /// Sets the entry's timer to the earliest of its deadlines.
    pub(super) fn arm(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get(slot) {
            let next = entry.resend_at.get().min(entry.push_at.get());
            self.due.set(slot, next.min(entry.expires.get()));
        }
    }

    /// Takes the entry out; its waiters must have been removed.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Pending> {
        self.due.clear(slot);
        self.entries.remove(slot)
    }

    /// The first waiter's link.
    pub(super) fn first(&self, slot: u32) -> u32 {
        self.entries.get(slot).map_or(NONE, |entry| entry.first)
    }

    /// What the waiter at link `at` waits for is about this feed.
    pub(super) fn id_of(&self, at: u32) -> Option<DiscoveryId> {
        let down = self.downs.get(slot(at))?;
        self.entries.get(slot(down.entry)).map(|entry| entry.id)
    }

    /// The link behind `at`.
    pub(super) fn after(&self, at: u32) -> u32 {
        self.downs.get(slot(at)).map_or(NONE, |down| down.next)
    }

    /// The waiter of the entry that `is` accepts.
    pub(super) fn find_down(&self, entry: u32, is: impl Fn(&Down) -> bool) -> Option<u32> {
        let mut at = self.first(entry);
        for _ in 0..self.downs.capacity() {
            let down = self.downs.get(slot(at))?;
            if is(down) {
                return Some(at);
            }
            at = down.next;
        }
        None
    }

    /// Adds a waiter. At its port's `quota` the port's oldest of the same kind makes room and its
    /// entry is returned, for the caller to drop if nobody waits for it any more.
    pub(super) fn add_down(
        &mut self,
        entry: u32,
        down: Down,
        ports: &mut Ports<M>,
        quota: u32,
    ) -> Result<Option<u32>, ()> {
        let mut orphan = None;
        if !down.is_local() {
            let port = ports.get(down.port).ok_or(())?;
            let over = if down.is_follower() {
                port.followers >= quota
            } else {
                port.downs >= quota
            };
            let places = self.downs.capacity();
            let full = self.downs.len() >= places
                || !ports.may_take(down.port, places, |port| {
                    port.downs.saturating_add(port.followers)
                });
            if over || full {
                let kind = down.is_follower();
                let same = |other: &Down, _: &Pending| other.is_follower() == kind;
                let oldest = self.oldest(port.oldest, same).ok_or(())?;
                orphan = self.remove_down(oldest, ports);
            }
        }
        let index = self.downs.insert(down).ok_or(())?;
        let me = link(index);
        let Some(owner) = self.entries.get_mut(entry) else {
            self.downs.remove(index);
            return Err(());
        };
        let first = owner.first;
        if first == NONE {
            owner.first = me;
        }
        // The first one knows the last, and an only one is both.
        let first = self.downs.get_mut(slot(first));
        let last = first.map_or(me, |first| core::mem::replace(&mut first.prev, me));
        if let Some(before) = self.downs.get_mut(slot(last)) {
            before.next = me;
        }
        let mut port_prev = NONE;
        if let Some(port) = ports.get_mut(down.port) {
            port_prev = port.newest;
            port.newest = me;
            if port_prev == NONE {
                port.oldest = me;
            }
            let count = if down.is_follower() {
                &mut port.followers
            } else {
                &mut port.downs
            };
            *count = count.wrapping_add(1);
        }
        if let Some(before) = self.downs.get_mut(slot(port_prev)) {
            before.port_next = me;
        }
        if let Some(down) = self.downs.get_mut(index) {
            down.entry = link(entry);
            down.prev = last;
            down.next = NONE;
            down.port_prev = port_prev;
            down.port_next = NONE;
        }
        Ok(orphan.filter(|orphan| *orphan != entry))
    }

    /// The first of a port's waiters, from the link `from` on, that `is` accepts.
    pub(super) fn oldest(&self, from: u32, is: impl Fn(&Down, &Pending) -> bool) -> Option<u32> {
        let mut at = from;
        for _ in 0..self.downs.capacity() {
            let down = self.downs.get(slot(at))?;
            if self
                .entries
                .get(slot(down.entry))
                .is_some_and(|entry| is(down, entry))
            {
                return Some(at);
            }
            at = down.port_next;
        }
        None
    }

    /// Removes a waiter and returns its entry's slot.
    pub(super) fn remove_down(&mut self, at: u32, ports: &mut Ports<M>) -> Option<u32> {
        let down = self.downs.remove(slot(at))?;
        let entry = slot(down.entry);
        let mut first = down.next;
        if let Some(owner) = self.entries.get_mut(entry) {
            if owner.first == at {
                owner.first = down.next;
            } else if let Some(before) = self.downs.get_mut(slot(down.prev)) {
                before.next = down.next;
            }
            first = owner.first;
        }
        // Behind the last one comes the first, which knows the last.
        let behind = if down.next == NONE { first } else { down.next };
        if let Some(behind) = self.downs.get_mut(slot(behind)) {
            behind.prev = down.prev;
        }
        if let Some(behind) = self.downs.get_mut(slot(down.port_next)) {
            behind.port_prev = down.port_prev;
        }
        if let Some(before) = self.downs.get_mut(slot(down.port_prev)) {
            before.port_next = down.port_next;
        }
        if let Some(port) = ports.get_mut(down.port) {
            if port.oldest == at {
                port.oldest = down.port_next;
            }
            if port.newest == at {
                port.newest = down.port_prev;
            }
            let count = if down.is_follower() {
                &mut port.followers
            } else {
                &mut port.downs
            };
            *count = count.wrapping_sub(1);
        }
        Some(entry)
    }

    /// What those who wait for a head demand.
    pub(super) fn demands(&self, entry: u32) -> Demands {
        let mut at = self.first(entry);
        let mut demands: Option<Demands> = None;
        for _ in 0..self.downs.capacity() {
            let Some(down) = self.downs.get(slot(at)) else {
                break;
            };
            let demand = down.demand();
            demands = Some(demands.map_or(Demands::of(demand), |sum| sum.with(demand)));
            at = down.next;
        }
        demands.unwrap_or_default()
    }

    /// Removes the waiters whose life is over and sums up the rest: bits, life, hop limit.
    /// Whether one of those removed was here.
    #[must_use]
    pub(super) fn prune(&mut self, entry: u32, now: u64, ports: &mut Ports<M>) -> bool {
        let mut at = self.first(entry);
        let mut local = false;
        let (mut bits, mut expires, mut hop_limit) = (0u32, 0u64, 0u8);
        let mut leaf_only = true;
        for _ in 0..self.downs.capacity() {
            let Some(down) = self.downs.get(slot(at)) else {
                break;
            };
            let next = down.next;
            if down.expires.get() <= now {
                local |= down.is_local();
                self.remove_down(at, ports);
            } else {
                bits |= down.bits;
                expires = expires.max(down.expires.get());
                hop_limit = hop_limit.max(down.hop_limit);
                leaf_only &= down.has(LEAF_ONLY);
            }
            at = next;
        }
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.bits = bits;
            entry.expires = U48::new(expires);
            entry.hop_limit = hop_limit;
            entry.mark(NO_PAYLOADS, leaf_only);
        }
        local
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ports::PortInfo;
    use std::vec;
    use std::vec::Vec;

    struct Vectors;

    impl Memory for Vectors {
        type Of<T> = Vec<T>;
    }

    fn defaults<T: Default>(len: usize) -> Vec<T> {
        (0..len).map(|_| T::default()).collect()
    }

    const PORT: PortId = PortId(1);

    /// A table with one entry that `count` others wait for, told apart by their nonces.
    fn waited_for(count: u32) -> (PendingTable<Vectors>, u32, Ports<Vectors>) {
        let mut table = PendingTable::new(
            Table::new(defaults(4), defaults(4)),
            Slab::new(defaults(16)),
            Heap::new(defaults(4), defaults(4)),
        );
        let mut ports = Ports::new(defaults(4));
        let info = PortInfo {
            mtu: 1500,
            up: true,
            ..PortInfo::default()
        };
        ports.add(PORT, info).unwrap();
        let id = DiscoveryId([1; 32]);
        let entry = table.insert(Want::Head { id }, 7).unwrap();
        for nonce in 0..count {
            join(&mut table, entry, nonce, &mut ports);
        }
        (table, entry, ports)
    }

    fn join(table: &mut PendingTable<Vectors>, entry: u32, nonce: u32, ports: &mut Ports<Vectors>) {
        let down = Down {
            port: PORT,
            nonce,
            ..Down::default()
        };
        assert_eq!(table.add_down(entry, down, ports, 100), Ok(None));
    }

    fn nonces(table: &PendingTable<Vectors>, entry: u32) -> Vec<u32> {
        let mut nonces = Vec::new();
        let mut at = table.first(entry);
        while at != NONE {
            nonces.push(table.downs.get(slot(at)).unwrap().nonce);
            at = table.after(at);
        }
        nonces
    }

    /// In whatever order they go, those who are left stay in the order in which they came, and who
    /// comes next is the last.
    #[test]
    fn waiters__keep_their_order() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let (mut table, entry, mut ports) = waited_for(4);
            let mut left = vec![0, 1, 2, 3];
            let mut next = 4;
            for goes in order {
                let at = table.find_down(entry, |down| down.nonce == goes).unwrap();
                assert_eq!(table.remove_down(at, &mut ports), Some(entry));
                left.retain(|nonce| *nonce != goes);
                assert_eq!(nonces(&table, entry), left);
                join(&mut table, entry, next, &mut ports);
                left.push(next);
                next += 1;
                assert_eq!(nonces(&table, entry), left);
            }
        }
    }

    /// Down to none and up again.
    #[test]
    fn waiters__can_all_go() {
        let (mut table, entry, mut ports) = waited_for(3);
        while let Some(at) = table.find_down(entry, |_| true) {
            table.remove_down(at, &mut ports);
        }
        assert_eq!(nonces(&table, entry), []);
        assert_eq!(ports.get(PORT).unwrap().downs, 0);
        join(&mut table, entry, 7, &mut ports);
        join(&mut table, entry, 8, &mut ports);
        assert_eq!(nonces(&table, entry), [7, 8]);
    }

    /// A lookup in flight to a neighbour, to the group, and to nobody yet.
    #[test]
    fn way__tells_a_neighbour_from_the_group() {
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        assert_eq!(Way::to(Some(mac)).mac(), Some(mac));
        assert_eq!(Way::to(None).mac(), None);
        assert_eq!(Way::default().mac(), None);
    }
}
