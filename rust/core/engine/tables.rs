// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The memory of an engine, asked for once by the shell, in process context.

use super::env::{Env, Mac, Memory, PortId};
use super::feeds::{Feed, Feeds};
use super::held::Held;
use super::limits::{Lend, Sizes, FRAME_MAX, PORTS_MAX};
use super::neighbours::{Neighbour, Neighbours};
use super::pending::{Down, Pending, PendingTable};
use super::ports::{Port, Ports};
use super::recent::{Fork, Forks, Nonce, Nonces, Root, Roots};
use super::routes::{Known, Routes};
use super::shards::SHARD_SLOTS;
use super::slab::{Deadline, Hashed, Heap, Slab, Slot, Table};
use super::transfers::{Transfer, Transfers};
use super::{Config, Engine, SCRATCH_BYTES};
use crate::blob::WindowHasher;

/// All lent tables of an engine.
pub struct Tables<M: Memory, E: Env> {
    feeds: Hashed<Feed, M>,
    ports: M::Of<Port>,
    routes: Hashed<Known, M>,
    neighbours: Hashed<Neighbour, M>,
    pending: Hashed<Pending, M>,
    downs: M::Of<Slot<Down>>,
    deadlines: M::Of<Deadline>,
    places: M::Of<u32>,
    transfers: Hashed<Transfer<E::Extent>, M>,
    held: M::Of<Slot<Held>>,
    nonces: M::Of<Nonce>,
    roots: M::Of<Root>,
    forks: M::Of<Fork>,
    scratch: M::Of<u8>,
    hasher: M::Of<WindowHasher>,
}

fn hashed<T: Default, M: Memory, L: Lend<M>>(
    lend: &mut L,
    len: usize,
) -> Result<Hashed<T, M>, L::Error> {
    Ok((lend.lend(len)?, lend.lend(len)?))
}

fn table<T: Default, M: Memory>(memory: Hashed<T, M>) -> Table<T, M> {
    let (slots, buckets) = memory;
    Table::new(slots, buckets)
}

impl<M: Memory, E: Env> Tables<M, E> {
    /// Asks `lend` for every table.
    pub fn lend<L: Lend<M>>(sizes: &Sizes, lend: &mut L) -> Result<Self, L::Error> {
        let pending = sizes.pending.min(SHARD_SLOTS as usize);
        Ok(Tables {
            feeds: hashed(lend, sizes.feeds)?,
            ports: lend.lend(sizes.ports.min(PORTS_MAX))?,
            routes: hashed(lend, sizes.routes)?,
            neighbours: hashed(lend, sizes.neighbours)?,
            pending: hashed(lend, pending)?,
            downs: lend.lend(sizes.downs)?,
            deadlines: lend.lend(pending)?,
            places: lend.lend(pending)?,
            transfers: hashed(lend, sizes.transfers)?,
            held: lend.lend(sizes.held)?,
            nonces: lend.lend(sizes.nonces)?,
            roots: lend.lend(sizes.roots)?,
            forks: lend.lend(sizes.forks)?,
            scratch: lend.lend(FRAME_MAX.saturating_add(SCRATCH_BYTES))?,
            hasher: lend.lend(1)?,
        })
    }

    pub(super) fn into_engine(self, config: Config) -> Engine<M, E> {
        let key = config.secret;
        Engine {
            config,
            now: 0,
            feeds: Feeds::new(table(self.feeds), key),
            ports: Ports::new(self.ports),
            routes: Routes::new(table(self.routes), key),
            neighbours: Neighbours::new(table(self.neighbours), key),
            pending: PendingTable::new(
                table(self.pending),
                Slab::new(self.downs),
                Heap::new(self.deadlines, self.places),
                key,
            ),
            transfers: Transfers::new(table(self.transfers), key),
            held: Slab::new(self.held),
            nonces: Nonces::new(self.nonces, key),
            roots: Roots::new(self.roots, key),
            forks: Forks::new(self.forks),
            scratch: self.scratch,
            hasher: self.hasher,
            last_cookie: ((PortId::LOCAL, Mac::default(), 0), 0),
        }
    }
}

/// Memory for a longer feed table.
pub struct FeedMemory<M: Memory>(Hashed<Feed, M>);

impl<M: Memory> FeedMemory<M> {
    /// Asks `lend` for a table of `len` feeds.
    pub fn lend<L: Lend<M>>(len: usize, lend: &mut L) -> Result<Self, L::Error> {
        hashed(lend, len).map(FeedMemory)
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// How many feeds the table should have room for, if more than it has now.
    pub fn feeds_wanted(&self) -> Option<usize> {
        let capacity = self.feeds.table.capacity();
        let crowded = self.feeds.refused > 0
            || self.feeds.table.len() > capacity.saturating_sub(capacity >> 2);
        crowded.then_some(capacity.saturating_mul(2))
    }

    /// Moves the feeds into longer memory and gives the old one back, to be freed outside of the
    /// lock. Memory that is shorter is given back unused.
    pub fn grow_feeds(&mut self, memory: FeedMemory<M>) -> FeedMemory<M> {
        self.feeds.refused = 0;
        FeedMemory(self.feeds.table.grow(memory.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::size_of;

    /// What a node pays per thing that it knows.
    #[test]
    fn sizes__are_bounded() {
        assert!(size_of::<Slot<crate::engine::slab::Keyed<Feed>>>() <= 512);
        assert!(size_of::<Slot<crate::engine::slab::Keyed<Pending>>>() <= 256);
        assert!(size_of::<Slot<Down>>() <= 160);
        assert!(size_of::<Slot<crate::engine::slab::Keyed<Transfer<[u64; 4]>>>>() <= 512);
        assert!(size_of::<Slot<Held>>() <= 3072);
    }
}
