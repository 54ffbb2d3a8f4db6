// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Routes: where a name goes. Exact feeds before the default, then by cost; demoted ones last.

use super::env::{Mac, Memory, PortId};
use super::limits::{DEMOTE_FIRST_US, DEMOTE_MAX_US};
use super::ports::{Ports, Refused};
use super::slab::Table;
use crate::id::DiscoveryId;
use crate::siphash::{siphash13, SipKey};

/// A route as operators state it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Route {
    /// The feed; `None` is the default route.
    pub feed: Option<DiscoveryId>,
    /// The port to send by.
    pub port: PortId,
    /// The neighbour; `None` sends to the group until one has answered.
    pub mac: Option<Mac>,
    /// Cheaper routes go first.
    pub cost: u32,
}

/// A route with its record.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    route: Route,
    demoted_until: u64,
    /// How often it failed without a success between.
    failures: u8,
}

/// Which routes an entry has tried: its bits follow the order of [`Routes::candidates`].
pub(super) type Tried = u32;

/// A route that was picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pick {
    pub index: u32,
    pub port: PortId,
    pub mac: Option<Mac>,
    pub demoted: bool,
}

pub(super) struct Routes<M: Memory> {
    table: Table<Known, M>,
    key: SipKey,
    /// Routes for one feed alone: mostly there are none, and none need be looked for.
    of_feeds: u32,
}

impl<M: Memory> Routes<M> {
    pub(super) fn new(table: Table<Known, M>, key: SipKey) -> Self {
        Routes {
            table,
            key,
            of_feeds: 0,
        }
    }

    fn hash(&self, feed: Option<&DiscoveryId>) -> u32 {
        feed.map_or(0, |id| siphash13(&self.key, &[&id.0]) as u32)
    }

    fn find(&self, route: &Route) -> Option<u32> {
        let same = |known: &Known| {
            let r = &known.route;
            r.feed == route.feed && r.port == route.port && r.mac == route.mac
        };
        self.table.find(self.hash(route.feed.as_ref()), same)
    }

    pub(super) fn add(&mut self, route: Route) -> Result<(), Refused> {
        if self.find(&route).is_some() {
            return Err(Refused::Exists);
        }
        let hash = self.hash(route.feed.as_ref());
        let known = Known {
            route,
            ..Known::default()
        };
        self.table.insert(hash, known).ok_or(Refused::Full)?;
        if route.feed.is_some() {
            self.of_feeds = self.of_feeds.saturating_add(1);
        }
        Ok(())
    }

    /// Removes the route of this feed, port and neighbour, whatever its cost.
    pub(super) fn remove(&mut self, route: &Route) -> bool {
        let found = self.find(route);
        found.is_some_and(|index| self.remove_at(index))
    }

    fn remove_at(&mut self, index: u32) -> bool {
        let removed = self.table.remove(index);
        let of_feed = |known: &Known| known.route.feed.is_some();
        if removed.as_ref().is_some_and(of_feed) {
            self.of_feeds = self.of_feeds.saturating_sub(1);
        }
        removed.is_some()
    }

    pub(super) fn remove_port(&mut self, port: PortId) {
        for index in 0..self.table.capacity() as u32 {
            if self
                .table
                .get(index)
                .is_some_and(|known| known.route.port == port)
            {
                self.remove_at(index);
            }
        }
    }

    /// For dumps: the route in place `index`, if any.
    pub(super) fn at(&self, index: u32) -> Option<&Route> {
        self.table.get(index).map(|known| &known.route)
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The best route for `feed` that is not by port `not` and not `tried`. Tried ones are told
    /// by a 32-bit filter over their indices: a false match costs a retransmission, no more.
    pub(super) fn pick(
        &self,
        feed: &DiscoveryId,
        not: Option<PortId>,
        tried: Tried,
        now: u64,
        ports: &Ports<M>,
    ) -> Option<Pick> {
        let mut best: Option<((bool, bool, u32, u32), Pick)> = None;
        let exact = (self.of_feeds > 0).then_some(Some(feed));
        for id in exact.into_iter().chain([None]) {
            let hash = self.hash(id);
            let belongs = |known: &Known| known.route.feed.as_ref() == id;
            let mut at = self.table.find(hash, belongs);
            for _ in 0..self.table.capacity() {
                let Some(index) = at else { break };
                let Some(known) = self.table.get(index) else {
                    break;
                };
                at = self.table.find_next(index, belongs);
                let route = &known.route;
                let usable = Some(route.port) != not
                    && tried & bit(index) == 0
                    && ports.mtu(route.port).is_some();
                if !usable {
                    continue;
                }
                let demoted = known.demoted_until > now;
                let rank = (demoted, id.is_none(), route.cost, index);
                if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                    best = Some((
                        rank,
                        Pick {
                            index,
                            port: route.port,
                            mac: route.mac,
                            demoted,
                        },
                    ));
                }
            }
        }
        best.map(|(_, pick)| pick)
    }

    /// The route refused or did not answer.
    pub(super) fn demote(&mut self, index: u32, now: u64) {
        if let Some(known) = self.table.get_mut(index) {
            let time = DEMOTE_FIRST_US
                .saturating_mul(1u64.wrapping_shl(u32::from(known.failures.min(8))))
                .min(DEMOTE_MAX_US);
            known.demoted_until = now.saturating_add(time);
            known.failures = known.failures.saturating_add(1);
        }
    }

    /// Whether the route is tried last for now.
    pub(super) fn is_demoted(&self, index: u32, now: u64) -> bool {
        self.table
            .get(index)
            .is_some_and(|known| known.demoted_until > now)
    }

    /// The route answered.
    pub(super) fn restore(&mut self, index: u32) {
        if let Some(known) = self.table.get_mut(index) {
            known.demoted_until = 0;
            known.failures = 0;
        }
    }
}

/// The filter bit of a route.
pub(super) fn bit(index: u32) -> Tried {
    1u32.wrapping_shl(index & 31)
}
