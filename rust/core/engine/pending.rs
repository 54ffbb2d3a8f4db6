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
use crate::id::{BlobName, DiscoveryId};
use crate::siphash::{siphash13, SipKey};
use crate::verify::Demand;

/// What a lookup is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    /// A head.
    Head { id: DiscoveryId },
    /// Proof that tree `m` is a prefix of tree `n`.
    Cons {
        id: DiscoveryId,
        epoch: u32,
        m: u64,
        n: u64,
    },
    /// Entries of a window.
    Range {
        id: DiscoveryId,
        epoch: u32,
        window: u64,
    },
    /// A window of a blob; the id is the route hint.
    Blob {
        id: DiscoveryId,
        blob: BlobName,
        window: u16,
    },
    /// What is appended from now on.
    Follow { id: DiscoveryId },
}

impl Default for Want {
    fn default() -> Self {
        Want::Head {
            id: DiscoveryId::default(),
        }
    }
}

impl Want {
    pub(super) fn is_blob(&self) -> bool {
        matches!(self, Want::Blob { .. })
    }

    pub(super) fn id(&self) -> &DiscoveryId {
        match self {
            Want::Head { id }
            | Want::Cons { id, .. }
            | Want::Range { id, .. }
            | Want::Blob { id, .. }
            | Want::Follow { id } => id,
        }
    }

    /// Keyed hash. All entries of one blob window share theirs, whatever the hint, so that an
    /// answer finds them all.
    pub(super) fn hash(&self, key: &SipKey) -> u32 {
        let hash = match self {
            Want::Head { id } => siphash13(key, &[b"h", &id.0]),
            Want::Follow { id } => siphash13(key, &[b"f", &id.0]),
            Want::Cons { id, epoch, m, n } => siphash13(
                key,
                &[
                    b"c",
                    &id.0,
                    &epoch.to_le_bytes(),
                    &m.to_le_bytes(),
                    &n.to_le_bytes(),
                ],
            ),
            Want::Range { id, epoch, window } => siphash13(
                key,
                &[b"r", &id.0, &epoch.to_le_bytes(), &window.to_le_bytes()],
            ),
            Want::Blob { blob, window, .. } => siphash13(
                key,
                &[
                    b"b",
                    &blob.hash.0,
                    &blob.len.to_le_bytes(),
                    &window.to_le_bytes(),
                ],
            ),
        };
        hash as u32
    }
}

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

/// What the waiters of a head demand. Anybody may demand what nobody has, so the strictest
/// alone must not decide what is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands {
    /// Answers to this answer all of them.
    pub strict: Demand,
    /// No waiter takes less than this.
    pub lax: Demand,
}

impl Default for Demands {
    fn default() -> Self {
        Demands::of(Demand::ANY)
    }
}

impl Demands {
    fn of(demand: Demand) -> Self {
        Demands {
            strict: demand,
            lax: demand,
        }
    }

    fn with(self, demand: Demand) -> Self {
        let (strict, lax) = (self.strict, self.lax);
        let at_least = (demand.epoch, demand.n);
        let most = (strict.epoch, strict.n).max(at_least);
        let least = (lax.epoch, lax.n).min(at_least);
        Demands {
            strict: Demand {
                epoch: most.0,
                n: most.1,
                max_age_ms: strict.max_age_ms.min(demand.max_age_ms),
            },
            lax: Demand {
                epoch: least.0,
                n: least.1,
                max_age_ms: lax.max_age_ms.max(demand.max_age_ms),
            },
        }
    }

    /// How one more demand would change them.
    pub(super) fn pressed_by(&self, demand: &Demand) -> Press {
        if !demand.is_covered_by(&self.strict) {
            Press::Stricter
        } else if !self.lax.is_covered_by(demand) {
            Press::Laxer
        } else {
            Press::Same
        }
    }
}

/// What a new waiter's demand means for the lookup in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Press {
    /// It joins.
    Same,
    /// What is in flight may bring too little.
    Stricter,
    /// What is in flight may be more than there is.
    Laxer,
}

/// One lookup in flight. At most 256 B in its table.
#[derive(Default)]
pub(super) struct Pending {
    pub want: Want,
    /// Entries or chunks that somebody here waits for.
    pub bits: u32,
    /// Those of `bits` that the upstream was asked for.
    pub asked: u32,
    /// Those that came.
    pub got: u32,
    /// Head: counts the sends, which ask for the strictest and the laxest demand in turn.
    pub turn: u8,
    /// Head: the last send asked for the laxest.
    pub asked_lax: bool,
    pub leaf_only: bool,
    /// Largest hops of the parts that came.
    pub hops: u8,

    /// Whether the lookup was sent.
    pub sent: bool,
    pub up_port: PortId,
    pub up_mac: Option<Mac>,
    pub route: u32,
    /// A lookup went to the group of its port: answers may bear the group's token.
    pub group: bool,
    pub nonce: u32,
    pub hop_limit: u8,
    pub tries: u8,
    pub route_tries: u8,
    pub tried: Tried,
    /// Some refusal was other than "no route".
    pub refused_late: bool,
    pub retried_nonce: bool,
    pub asked_again: bool,
    /// The next answer tells nothing about the round trip.
    pub no_sample: bool,
    pub sent_at: u64,
    /// When to send again; `u64::MAX` while it waits for a head.
    pub resend_at: u64,
    /// Follow: when the next push is due.
    pub push_at: u64,
    /// When the last waiter goes.
    pub expires: u64,

    /// Whose room it takes: that of the port of its first waiter.
    pub payer: PortId,
    /// First and last waiter.
    pub first: u32,
    pub last: u32,
    /// Blob: the window in flight. Range: a path or page that waits for its other half.
    pub part: u32,
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
    pub held_n: u64,
    /// Head: the least it takes. Range: the tree that it wants proofs in.
    pub epoch: u32,
    pub n: u64,
    /// Head: no older one, ms. Follower: when the next push is due, µs.
    pub age_or_push: u64,
    pub expires: u64,
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
            n: self.n,
            max_age_ms: self.age_or_push,
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
    key: SipKey,
}

impl<M: Memory> PendingTable<M> {
    pub(super) fn new(
        entries: Table<Pending, M>,
        downs: Slab<Down, M>,
        due: Heap<M>,
        key: SipKey,
    ) -> Self {
        PendingTable {
            entries,
            downs,
            due,
            key,
        }
    }

    pub(super) fn find(&self, want: &Want) -> Option<u32> {
        self.entries
            .find(want.hash(&self.key), |entry| entry.want == *want)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Pending> {
        self.entries.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Pending> {
        self.entries.get_mut(slot)
    }

    /// Some entry that waits for this blob window.
    pub(super) fn find_window(&self, blob: &BlobName, window: u16) -> Option<u32> {
        let want = Want::Blob {
            id: DiscoveryId::default(),
            blob: *blob,
            window,
        };
        self.entries
            .find(want.hash(&self.key), |entry| is_window(entry, blob, window))
    }

    /// A new entry. `None` when the table is full.
    pub(super) fn insert(&mut self, want: Want) -> Option<u32> {
        let hash = want.hash(&self.key);
        let entry = Pending {
            want,
            resend_at: u64::MAX,
            push_at: u64::MAX,
            expires: 0,
            ..Pending::default()
        };
        self.entries.insert(hash, entry)
    }

    /// Sets the entry's timer to the earliest of its deadlines.
    pub(super) fn arm(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get(slot) {
            self.due
                .set(slot, entry.resend_at.min(entry.push_at).min(entry.expires));
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
        self.entries
            .get(slot(down.entry))
            .map(|entry| *entry.want.id())
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
        let last = {
            let Some(owner) = self.entries.get_mut(entry) else {
                self.downs.remove(index);
                return Err(());
            };
            let last = owner.last;
            owner.last = me;
            if last == NONE {
                owner.first = me;
            }
            last
        };
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
        match self.downs.get_mut(slot(down.prev)) {
            Some(before) => before.next = down.next,
            None => {
                if let Some(owner) = self.entries.get_mut(entry) {
                    owner.first = down.next;
                }
            }
        }
        match self.downs.get_mut(slot(down.next)) {
            Some(behind) => behind.prev = down.prev,
            None => {
                if let Some(owner) = self.entries.get_mut(entry) {
                    owner.last = down.prev;
                }
            }
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
            if down.expires <= now {
                local |= down.is_local();
                self.remove_down(at, ports);
            } else {
                bits |= down.bits;
                expires = expires.max(down.expires);
                hop_limit = hop_limit.max(down.hop_limit);
                leaf_only &= down.has(LEAF_ONLY);
            }
            at = next;
        }
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.bits = bits;
            entry.expires = expires;
            entry.hop_limit = hop_limit;
            entry.leaf_only = leaf_only;
        }
        local
    }
}

pub(super) fn is_window(entry: &Pending, of: &BlobName, number: u16) -> bool {
    matches!(&entry.want, Want::Blob { blob, window, .. } if blob == of && *window == number)
}
