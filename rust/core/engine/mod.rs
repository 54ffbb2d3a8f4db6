// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The engine: one state machine that answers, asks, passes on and remembers.
//!
//! The shell calls it with frames, verdicts, time and the wishes of local programs, always under
//! one lock; it calls the shell back through [`Env`]. It takes nothing on trust: answers need a
//! token that this node gave, proofs are checked against heads it has verified, and only then do
//! bytes go to the store. Whoever waits is answered *from the store*, by the same code that answers
//! hits.
//!
//! A lookup's way: `recv` → `serve` (answer from the store, or wait) → `lookup` (ask upstream).
//! An answer's way: `recv` → `accept`, `heads` or `blobs` (check, store) → `deliver` (answer those who wait).
//! Frames of kernel stacks are small, and inlining would add those of one path's steps up: steps are
//! kept out of line.
//! Nothing here allocates: all tables are lent by the shell ([`Memory`], [`Lend`]).

mod accept;
mod answer;
mod answer_blob;
mod answer_head;
mod blobs;
mod conflicts;
mod deliver;
mod feeds;
mod follow;
mod footprint;
mod growing;
mod heads;
mod held;
mod hit;
mod jobs;
mod links;
mod local;
mod long;
mod lookup;
mod neighbours;
mod nodes;
mod pace;
mod pending;
mod ports;
mod recent;
mod recv;
mod routes;
mod serve;
mod slab;
mod tables;
mod timers;
mod transfers;
mod u48;
mod unchecked;
mod wait;
mod want;

pub mod budget;
pub mod env;
pub mod evict;
pub mod fetch;
pub mod limits;
pub mod shards;

pub use env::{
    BlobInfo, Charge, Counter, Dest, Env, Event, Full, Mac, Memory, Payload, PortId, Proved, Rest,
    SignedKind, VerifyJob,
};
pub use feeds::FeedState;
pub use footprint::{Footprint, FOOTPRINT};
pub use hit::AHEAD;
pub use limits::{Lend, Sizes};
pub use local::Wanted;
pub use ports::{PortInfo, Refused};
pub use recent::ForkEvidence;
pub use recv::Rx;
pub use routes::Route;
pub use shards::{ShardSet, Shards};
pub use tables::{FeedMemory, FeedsWanted, Tables};

use crate::blob::WindowHasher;
use crate::error::Drop;
use crate::id::DiscoveryId;
use crate::siphash::SipKey;
use crate::token::Token;
use answer::Scratch;
use feeds::Feeds;
use held::Records;
use limits::FRAME_MAX;
use long::LongFrames;
use neighbours::Neighbours;
use pending::PendingTable;
use ports::Ports;
use recent::{Forks, Nonces, Roots};
use routes::Routes;
use shards::SHARD_SLOTS;
use transfers::Transfers;

/// Whom the node answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// Others only get own and shared feeds, and nothing is passed on for them.
    #[default]
    Host,
    /// Everybody gets everything that is here or can be had.
    Cache,
}

/// What holds for an engine's whole life, but for the role.
#[derive(Clone, Copy)]
pub struct Config {
    /// Keys tables, tokens and cookies. Drawn per boot (or namespace) and told nobody.
    pub secret: SipKey,
    /// How the node's feeds are divided, and whose are this engine's.
    pub shards: Shards,
    /// See `shards`.
    pub shard: usize,
    /// See [`Role`].
    pub role: Role,
    /// Lookups that one port may have waiting.
    pub port_quota: u32,
    /// Followers that one port may have.
    pub follow_quota: u32,
}

impl Config {
    /// The defaults, with quotas of a quarter of the waiters' table each, for a node's only engine.
    pub fn new(secret: SipKey, sizes: &Sizes) -> Self {
        let quarter = u32::try_from(sizes.downs >> 2).unwrap_or(u32::MAX);
        Config {
            secret,
            shards: Shards::new(secret, 1),
            shard: 0,
            role: Role::default(),
            port_quota: quarter,
            follow_quota: quarter,
        }
    }

    /// For one of several engines, which all have the same secret.
    pub fn of_shard(self, shards: Shards, shard: usize) -> Self {
        Config {
            shards,
            shard,
            ..self
        }
    }

    /// Pending entries of engines before this one, as tokens count them.
    fn slots_before(&self) -> u32 {
        (self.shard as u32).wrapping_mul(SHARD_SLOTS)
    }
}

/// The state machine. Small in itself: what grows lies in lent tables.
pub struct Engine<M: Memory, E: Env> {
    config: Config,
    /// Time of the last call in, µs.
    now: u64,
    feeds: Feeds<M>,
    ports: Ports<M>,
    routes: Routes<M>,
    neighbours: Neighbours<M>,
    pending: PendingTable<M>,
    transfers: Transfers<E::Extent, M>,
    held: Records<M>,
    nonces: Nonces<M>,
    roots: Roots<M>,
    forks: Forks<M>,
    long: LongFrames<M>,
    scratch: M::Of<u8>,
    hasher: M::Of<WindowHasher>,
    /// Port, neighbour and period of the cookie that was computed last, and the cookie.
    last_cookie: ((PortId, Mac, u64), u64),
    /// The last token that held, and what it is bound to: port, neighbour and feed. At first a port by
    /// which no frame comes.
    last_token: (PortId, Mac, Token, DiscoveryId),
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// An engine without ports, routes and feeds.
    pub fn new(config: Config, tables: Tables<M, E>) -> Self {
        tables.into_engine(config)
    }

    /// The node's role.
    pub fn role(&self) -> Role {
        self.config.role
    }

    /// Changes whom the node answers from now on.
    pub fn set_role(&mut self, role: Role) {
        self.config.role = role;
    }

    /// Attaches a device.
    pub fn port_add(&mut self, port: PortId, info: PortInfo) -> Result<(), Refused> {
        self.ports.add(port, info)
    }

    /// The device has another address, MTU or state.
    pub fn port_set(&mut self, port: PortId, info: PortInfo) -> Result<(), Refused> {
        self.ports.set(port, info)
    }

    /// Detaches a device: its routes, neighbours and waiters go with it.
    ///
    /// Context: process; the work is linear in the tables' lengths.
    pub fn port_remove(&mut self, now: u64, port: PortId, env: &mut E) -> bool {
        for _ in 0..self.pending.downs.capacity() {
            let Some(oldest) = self.ports.get(port).map(|port| port.oldest) else {
                return false;
            };
            if oldest == pending::NONE {
                break;
            }
            if let Some(entry) = self.pending.remove_down(oldest, &mut self.ports) {
                self.settle(now, entry, env);
            }
        }
        self.forget_unjudged(port);
        self.routes.remove_port(port);
        self.neighbours.forget_port(port);
        self.ports.remove(port)
    }

    /// The port in place `index`, for dumps; indices end at [`limits::PORTS_MAX`].
    pub fn port_at(&self, index: usize) -> Option<(PortId, PortInfo)> {
        self.ports
            .iter()
            .nth(index)
            .map(|port| (port.id, port.info))
    }

    /// What the shell said last of this port.
    pub fn port_info(&self, port: PortId) -> Option<PortInfo> {
        self.ports.get(port).map(|port| port.info)
    }

    /// Adds a route by a port that exists.
    pub fn route_add(&mut self, route: Route) -> Result<(), Refused> {
        self.ports.get(route.port).ok_or(Refused::Missing)?;
        self.routes.add(route)
    }

    /// Removes the route of the same feed, port and neighbour, whatever its cost.
    pub fn route_del(&mut self, route: &Route) -> bool {
        self.routes.remove(route)
    }

    /// The route in place `index`, for dumps; see [`Engine::route_places`].
    pub fn route_at(&self, index: u32) -> Option<Route> {
        self.routes.at(index).copied()
    }

    /// Whether the route in place `index` is tried last for now, because it refused or did not
    /// answer.
    pub fn is_route_demoted(&self, now: u64, index: u32) -> bool {
        self.routes.is_demoted(index, now)
    }

    /// Places that a dump of routes goes through.
    pub fn route_places(&self) -> usize {
        self.routes.capacity()
    }

    /// A copy of the feed in place `index`, for dumps; see [`Engine::feed_places`].
    pub fn feed_at(&self, index: u32) -> Option<FeedState> {
        self.feeds.state(index)
    }

    /// Whether there is a feed in place `index`.
    pub fn has_feed_at(&self, index: u32) -> bool {
        self.feeds.table.get(index).is_some()
    }

    /// Places that a dump of feeds goes through.
    pub fn feed_places(&self) -> usize {
        self.feeds.table.capacity()
    }

    /// Lookups in flight.
    pub fn pending_len(&self) -> usize {
        self.pending.entries.len()
    }

    /// Who waits for them, followers included.
    pub fn waiting_len(&self) -> usize {
        self.pending.downs.len()
    }

    /// The proof that a feed is forked, if it is and there was room to keep it.
    pub fn fork_evidence(&self, id: &DiscoveryId) -> Option<&ForkEvidence> {
        self.forks.get(id)
    }

    fn drop_at(&self, env: &mut E, reason: Drop, rx: &Rx) {
        env.event(Event::Drop {
            reason,
            port: rx.port,
            mac: rx.mac,
        });
    }
}

/// The parts of the scratch memory that building an answer needs.
fn scratch<'a>(memory: &'a mut [u8], hasher: &'a mut [WindowHasher]) -> Option<Scratch<'a>> {
    let (frame, bytes) = memory.split_at_mut_checked(FRAME_MAX)?;
    Some(Scratch {
        frame,
        bytes,
        hasher: hasher.first_mut()?,
    })
}

/// Bytes of scratch memory behind the frame: a chunk and a proof.
const SCRATCH_BYTES: usize = 1024 + nodes::PROOF_BYTES;

/// Copies as much as both have, without a panic path.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
