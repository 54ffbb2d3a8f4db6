// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What a node is set up with, and what it tells.

/// A device on which the node asks and answers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Port {
    /// The device's number in this network namespace.
    pub ifindex: u32,
    /// Its name; empty when the device is just going.
    pub name: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Longest frame without the Ethernet header, bytes.
    pub mtu: u32,
    /// Whether frames can be sent.
    pub up: bool,
}

/// Where lookups for a feed go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The feed; `None` is the default route, for all.
    pub feed: Option<[u8; 32]>,
    /// The port's device.
    pub dev: String,
    /// The neighbour; `None` asks whoever listens there.
    pub via: Option<[u8; 6]>,
    /// Of several routes the cheapest is tried first.
    pub cost: u32,
}

/// What the store holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Store {
    /// Bytes that it may hold.
    pub limit: u64,
    /// Bytes that it holds.
    pub used: u64,
    /// Of these, bytes of own feeds, which are not given up.
    pub pinned: u64,
    /// Further figures, by name.
    pub figures: Vec<Counter>,
}

/// Whom the node answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Only its own feeds and those it shares.
    Host,
    /// Everything it has; it asks further for what it has not.
    Cache,
}

/// A feed that the node knows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Feed {
    /// What lookups call it.
    pub id: [u8; 32],
    /// Its name, when the node has learnt it.
    pub name: Option<[u8; 32]>,
    /// Epoch of the held head.
    pub epoch: u32,
    /// Entries that the held head states.
    pub entries: u64,
    /// When it was signed, ms since 1970; 0 is unstated.
    pub time: u64,
    /// When the next is promised, ms since 1970; 0 is no promise.
    pub next_by: u64,
    /// A program on this node is or was its author.
    pub own: bool,
    /// A host that answers for it though it is somebody else's.
    pub shared: bool,
    /// It ends with the held head.
    pub closed: bool,
    /// Two heads that exclude each other were seen.
    pub forked: bool,
}

/// A count of something, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counter {
    /// What is counted.
    pub name: String,
    /// How often it happened since the namespace began.
    pub value: u64,
}
