// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What a node is set up with, and what it tells.

/// A device on which the node asks and answers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Port {
    /// The device's number in this network namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Largest frame without the Ethernet header, bytes.
    pub mtu: u32,
    /// Frames can leave and arrive.
    pub up: bool,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
}

/// Counts of one direction of a port.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes: u64,
    /// Frames that came to nothing.
    pub drops: u64,
}

/// A feed, as requests name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// By its name.
    Name([u8; 32]),
    /// By what lookups call it.
    Id([u8; 32]),
}

/// Where lookups go, as it is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteRequest {
    /// The feed; `None` is the default route, for all.
    pub feed: Option<Which>,
    /// The port's device.
    pub dev: Option<String>,
    /// The neighbour; `None` asks whoever listens there.
    pub via: Option<[u8; 6]>,
    /// Of several routes the one with the lowest cost is tried first.
    pub cost: Option<u32>,
}

/// Where lookups go.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// The feed's discovery id; `None` is the default route.
    pub id: Option<[u8; 32]>,
    /// Number of the port's device.
    pub ifindex: u32,
    /// Its name; empty when the device is just going.
    pub dev: String,
    /// The neighbour; `None` is the group.
    pub via: Option<[u8; 6]>,
    /// Of several routes the one with the lowest cost is tried first.
    pub cost: u32,
    /// Tried last for a while, because it refused or did not answer.
    pub demoted: bool,
}

/// What a node is and what its module was loaded with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Whom it answers.
    pub role: Role,
    /// Address family of its sockets.
    pub family: u16,
    /// EtherType of its frames.
    pub ethertype: u16,
    /// Where lookups without a known neighbour go.
    pub group: [u8; 6],
}

/// Whom a node answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Only from feeds that it authors or was told to share.
    Host,
    /// From everything it has; it asks further for what it has not.
    Cache,
}

/// What the store holds and has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Store {
    /// Bytes that it may hold.
    pub limit: u64,
    /// Bytes that the stores of all namespaces may hold together.
    pub cap: u64,
    /// Bytes of its segments, which count against the limit.
    pub used: u64,
    /// Bytes of those that can be found.
    pub live: u64,
    /// Bytes of segments of own feeds, which are not given up.
    pub pinned: u64,
    /// Bytes that are in the page cache at this moment.
    pub resident: u64,
    /// Bytes of the index.
    pub index: u64,
    /// Segments.
    pub segments: u64,
    /// Objects and blob windows in the index.
    pub entries: u64,
    /// Segments evicted at the limit.
    pub evicted: u64,
    /// Segments that the kernel took back.
    pub reclaimed: u64,
    /// Windows and objects copied out of segments before these were evicted.
    pub rescued: u64,
    /// Writes that found no room.
    pub refused: u64,
    /// Reads that found what they looked for.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
}

/// A feed that the node knows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Feed {
    /// What lookups call it.
    pub id: [u8; 32],
    /// Its name, when the node has learnt it.
    pub name: Option<[u8; 32]>,
    /// Epoch of the newest verified head; `None` while there is no head.
    pub epoch: Option<u32>,
    /// Entries that this head covers.
    pub entries: u64,
    /// When it was signed, ms since 1970; 0 is unstated.
    pub time: u64,
    /// When the next is promised, ms since 1970; 0 is no promise.
    pub next_by: u64,
    /// ms since it was verified or heard again.
    pub age: Option<u64>,
    /// Hops that it came; 0 for an own feed.
    pub hops: u32,
    /// A program on this node is or was its author.
    pub own: bool,
    /// A host that answers for it though it is somebody else's.
    pub shared: bool,
    /// Two heads that exclude each other are held.
    pub forked: bool,
    /// Its author has closed it.
    pub closed: bool,
    /// Sockets that have it open.
    pub sockets: u32,
}

/// A count of something, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counter {
    /// What is counted; of drops, the reason.
    pub name: String,
    /// Something was dropped.
    pub drop: bool,
    /// How often, since the namespace was made.
    pub value: u64,
}
