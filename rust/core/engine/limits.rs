// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Every limit and time of the engine, with its unit.

use super::env::Memory;
use crate::wire::WINDOW_BYTES;

/// Ports of one engine at most.
pub const PORTS_MAX: usize = 64;
/// Smallest MTU of a port, bytes without the Ethernet header.
pub const PORT_MTU_MIN: u16 = 1280;
/// The largest frame that the engine builds, bytes without the Ethernet header.
pub const FRAME_MAX: usize = 9216;
/// The longest frame that is taken, and built for ports that carry a window uncut: one with all of a
/// window behind its head.
pub const UNCUT_MAX: usize = FRAME_MAX + WINDOW_BYTES as usize;

/// Longest life of a lookup or a FOLLOW, µs.
pub const LIFE_MAX_US: u64 = 30_000_000;
/// The hop limit of lookups that start here.
pub const HOP_LIMIT: u8 = 32;

/// Retransmission time-out before the first sample, µs.
pub const RTO_FIRST_US: u64 = 200_000;
/// Smallest retransmission time-out, µs.
pub const RTO_MIN_US: u64 = 20_000;
/// Largest retransmission time-out, µs.
pub const RTO_MAX_US: u64 = 2_000_000;
/// A merged lookup is not sent again before this time, µs, or two round trips if longer.
pub const SUPPRESS_MIN_US: u64 = 20_000;
/// How long after the last progress of a partial answer the rest is asked for, µs at least.
pub const GAP_MIN_US: u64 = 3_000;
/// Unanswered sends over one route before the next route is tried.
pub const ROUTE_TRIES: u8 = 2;
/// First demotion of a route, µs; doubled with each further one.
pub const DEMOTE_FIRST_US: u64 = 1_000_000;
/// Longest demotion of a route, µs.
pub const DEMOTE_MAX_US: u64 = 32_000_000;

/// Windows that went out in long frames and are remembered.
pub const LONG_WINDOWS: usize = 512;
/// Who asks for such a window again within this time has not got it, µs: three of the longest time-outs.
pub const LONG_REPEAT_US: u64 = 3 * RTO_MAX_US;
/// Neighbours of whom it is remembered how long frames do.
pub const LONG_NEIGHBOURS: usize = 64;
/// One window of so many that are asked for again is too many,
pub const LONG_AGAIN_SHARE: u32 = 4;
/// if they are so many.
pub const LONG_AGAIN_MIN: u32 = 4;
/// How many windows that count is about, at most.
pub const LONG_COUNTED: u32 = 512;
/// How long a neighbour gets no long frames that too many do not reach, µs.
pub const LONG_PAUSE_US: u64 = 20_000_000;

/// Pushes of one head to one follower, the first included.
pub const PUSH_TRIES: u8 = 4;
/// Shortest time before a push is repeated, µs; else two round trips.
pub const PUSH_PAUSE_MIN_US: u64 = 150_000;
/// Shortest time between two renewals of a FOLLOW because of pushes, µs.
pub const FOLLOW_RENEW_MIN_US: u64 = 20_000;
/// How long after a push the renewal is sent that tells of it, µs: well within
/// [`PUSH_PAUSE_MIN_US`], and when its readers have what it brought.
pub const FOLLOW_RECEIPT_US: u64 = 2_000;
/// When a new FOLLOW is first sent again, µs; four times later each time, up to its half-life.
pub const FOLLOW_FIRST_US: u64 = 300_000;

/// How far ahead of our clock an author's time may be to count as fresh, ms.
pub const FUTURE_MAX_MS: u64 = 600_000;
/// How long a bad signature or hash halves a neighbour's share and ends unchecked trust, µs.
pub const PENALTY_US: u64 = 60_000_000;
/// Heads of one feed that are verified per second at most.
pub const FEED_HEADS_PER_S: u8 = 32;

/// How long a nonce is remembered, µs.
pub const NONCE_LIFE_US: u64 = 6_000_000;
/// Due timers handled by one call of `on_timer`.
pub const TIMERS_PER_CALL: usize = 64;
/// Slots that the feed table's hand passes while it looks for an idle feed.
pub const CLOCK_STEPS: usize = 64;
/// Messages of one frame that are looked at.
pub const MESSAGES_PER_FRAME: usize = 128;
/// Downstreams answered or pruned in one go for one entry.
pub const DOWNS_PER_ENTRY: usize = 1024;

/// Lengths of the tables that the shell lends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sizes {
    /// Feeds known at once (260 B each), rounded up to whole pieces of the table. Can grow later.
    pub feeds: usize,
    /// Ports, at most [`PORTS_MAX`].
    pub ports: usize,
    /// Routes.
    pub routes: usize,
    /// Neighbours with a cookie and a round-trip time.
    pub neighbours: usize,
    /// Lookups in flight (160 B each). Half of this table, and of the next two, is kept for this
    /// machine's own; the ports share the other half.
    pub pending: usize,
    /// Who waits for them (96 B each); a port gets at most a quarter.
    pub downs: usize,
    /// Blob windows in flight.
    pub transfers: usize,
    /// Heads, paths and pages that wait for a signature or for their other half (2.7 KiB each).
    pub held: usize,
    /// Earlier roots that answers in flight may still prove against.
    pub roots: usize,
    /// Remembered nonces.
    pub nonces: usize,
    /// Forks of foreign feeds whose evidence is kept.
    pub forks: usize,
}

impl Sizes {
    /// For one network namespace.
    pub const NAMESPACE: Sizes = Sizes {
        feeds: 256,
        ports: 16,
        routes: 256,
        neighbours: 256,
        pending: 1024,
        downs: 2048,
        transfers: 256,
        held: 64,
        roots: 256,
        nonces: 1024,
        forks: 16,
    };

    /// For each of `count` engines of a namespace. Feeds need not fall to them evenly, so together
    /// they have twice what a single one has; ports and routes are the same in all, and each gets to
    /// know most neighbours.
    pub fn of_shards(self, count: usize) -> Sizes {
        if count < 2 {
            return self;
        }
        let part = |len: usize| {
            len.saturating_mul(2)
                .checked_div(count)
                .unwrap_or(len)
                .min(len)
        };
        Sizes {
            feeds: part(self.feeds) >> 1,
            neighbours: part(self.neighbours.saturating_mul(2)),
            pending: part(self.pending),
            downs: part(self.downs),
            transfers: part(self.transfers),
            held: part(self.held),
            roots: part(self.roots),
            nonces: part(self.nonces),
            forks: part(self.forks),
            ..self
        }
    }
}

/// Lends tables: the shell's allocator, asked once, in process context.
pub trait Lend<M: Memory> {
    /// What a failed allocation gives.
    type Error;

    /// A table of `len` default values.
    fn lend<T: Default>(&mut self, len: usize) -> Result<M::Of<T>, Self::Error>;
}
