// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What the tables cost, for who measures memory: they are lent whole, so that what one more record
//! takes cannot be seen from outside.

use core::mem::size_of;

use super::feeds::Feed;
use super::growing::Place;
use super::pending::{Down, Pending};
use super::routes::Known;
use super::slab::{Deadline, Keyed, Slot};

/// Bytes of one record in each table, its place in the hash table and in queues included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Footprint {
    /// A feed that is known, without a grant.
    pub feed: usize,
    /// A lookup that is in flight.
    pub pending: usize,
    /// One who waits for it.
    pub waiting: usize,
    /// A route.
    pub route: usize,
}

// What a lookup in flight may take, with one who waits for it.
const _: () = assert!(FOOTPRINT.pending + FOOTPRINT.waiting <= 256);

/// Of this build.
pub const FOOTPRINT: Footprint = Footprint {
    feed: size_of::<Place<Feed>>() + size_of::<u32>(),
    pending: size_of::<Slot<Keyed<Pending>>>()
        + size_of::<u32>()
        + size_of::<Deadline>()
        + size_of::<u32>(),
    waiting: size_of::<Slot<Down>>(),
    route: size_of::<Slot<Keyed<Known>>>() + size_of::<u32>(),
};
