// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The memory of an engine, asked for once by the shell, in process context.

use super::env::{Env, Mac, Memory, PortId};
use super::feeds::{Feed, Feeds, Granted};
use super::growing::{Growing, Piece};
use super::held::{Held, Owner, Records};
use super::limits::{Lend, Sizes, FRAME_MAX, PORTS_MAX};
use super::long::{self, LongFrames};
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
use crate::id::DiscoveryId;
use crate::token::Token;

/// All lent tables of an engine.
pub struct Tables<M: Memory, E: Env> {
    feeds: Growing<Feed, M>,
    grants: Growing<Granted, M>,
    ports: M::Of<Port>,
    routes: Hashed<Known, M>,
    neighbours: Hashed<Neighbour, M>,
    pending: Hashed<Pending, M>,
    downs: M::Of<Slot<Down>>,
    deadlines: M::Of<Deadline>,
    places: M::Of<u32>,
    transfers: Hashed<Transfer<E::Extent>, M>,
    held: M::Of<Slot<Held>>,
    owners: M::Of<Owner>,
    nonces: M::Of<Nonce>,
    roots: M::Of<Root>,
    forks: M::Of<Fork>,
    long: long::Tables<M>,
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
            feeds: Growing::lend(sizes.feeds, lend)?,
            grants: Growing::lend(1, lend)?,
            ports: lend.lend(sizes.ports.min(PORTS_MAX))?,
            routes: hashed(lend, sizes.routes)?,
            neighbours: hashed(lend, sizes.neighbours)?,
            pending: hashed(lend, pending)?,
            downs: lend.lend(sizes.downs)?,
            deadlines: lend.lend(pending)?,
            places: lend.lend(pending)?,
            transfers: hashed(lend, sizes.transfers)?,
            held: lend.lend(sizes.held)?,
            owners: lend.lend(sizes.held)?,
            nonces: lend.lend(sizes.nonces)?,
            roots: lend.lend(sizes.roots)?,
            forks: lend.lend(sizes.forks)?,
            long: LongFrames::<M>::lend(lend)?,
            scratch: lend.lend(FRAME_MAX.saturating_add(SCRATCH_BYTES))?,
            hasher: lend.lend(1)?,
        })
    }

    pub(super) fn into_engine(self, config: Config) -> Engine<M, E> {
        let key = config.secret;
        Engine {
            config,
            now: 0,
            feeds: Feeds::new(self.feeds, self.grants, key),
            ports: Ports::new(self.ports),
            routes: Routes::new(table(self.routes), key),
            neighbours: Neighbours::new(table(self.neighbours), key),
            pending: PendingTable::new(
                table(self.pending),
                Slab::new(self.downs),
                Heap::new(self.deadlines, self.places),
            ),
            transfers: Transfers::new(table(self.transfers), key),
            held: Records::new(self.held, self.owners),
            nonces: Nonces::new(self.nonces, key),
            roots: Roots::new(self.roots, key),
            forks: Forks::new(self.forks),
            long: LongFrames::new(self.long),
            scratch: self.scratch,
            hasher: self.hasher,
            last_cookie: ((PortId::LOCAL, Mac::default(), 0), 0),
            last_token: (
                PortId::LOCAL,
                Mac::default(),
                Token::default(),
                DiscoveryId::default(),
            ),
        }
    }
}

/// How many feeds, and how many with a grant, the tables should have room for, where more than now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedsWanted {
    feeds: Option<usize>,
    grants: Option<usize>,
}

/// Memory for more feeds.
pub struct FeedMemory<M: Memory> {
    feeds: Option<Piece<Feed, M>>,
    grants: Option<Piece<Granted, M>>,
}

impl<M: Memory> FeedMemory<M> {
    /// Asks `lend` for what is wanted.
    pub fn lend<L: Lend<M>>(wanted: FeedsWanted, lend: &mut L) -> Result<Self, L::Error> {
        let feeds = wanted.feeds.map(|len| Piece::lend_up_to(len, lend));
        let grants = wanted.grants.map(|len| Piece::lend_up_to(len, lend));
        Ok(FeedMemory {
            feeds: feeds.transpose()?,
            grants: grants.transpose()?,
        })
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Whether the table of feeds should have more room than now; it never has room for more than
    /// `most`.
    pub fn feeds_wanted(&self, most: usize) -> Option<FeedsWanted> {
        let wanted = FeedsWanted {
            feeds: self.feeds.table.wanted(most),
            grants: self.feeds.grants.wanted(most),
        };
        (wanted.feeds.is_some() || wanted.grants.is_some()).then_some(wanted)
    }

    /// Adds memory to the table of feeds. What cannot be used, because it was added already, is
    /// given back, to be freed outside of the lock.
    pub fn grow_feeds(&mut self, memory: FeedMemory<M>) -> FeedMemory<M> {
        FeedMemory {
            feeds: memory.feeds.and_then(|piece| self.feeds.table.grow(piece)),
            grants: memory
                .grants
                .and_then(|piece| self.feeds.grants.grow(piece)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::size_of;

    /// What a node pays per thing that it knows.
    #[test]
    fn sizes__are_bounded() {
        assert_eq!(size_of::<crate::engine::growing::Place<Feed>>(), 256);
        assert!(size_of::<crate::engine::growing::Place<Granted>>() <= 208);
        assert!(size_of::<Slot<crate::engine::slab::Keyed<Transfer<[u64; 4]>>>>() <= 512);
        assert!(size_of::<Slot<Held>>() <= 3072);
    }
}
