// SPDX-License-Identifier: GPL-2.0

//! What operators do to a node: ports, routes, role, shared feeds, the store's limit.
//!
//! Context: process, may sleep.

use super::{
    env::KernelEnv,
    local::errno,
    Node,
    Port, //
};
use crate::net::errno::{
    ENETDOWN,
    EOPNOTSUPP, //
};
use crate::{
    ingress::Ingress,
    net::{
        device::{
            Device,
            Rtnl, //
        },
        hook::Hook,
        namespace::Registered,
        net::Net,
        notifier::{
            Change,
            Watch, //
        }, //
    },
    pairs,
    store::Figures,
    sync::shared, //
};
use feed_core::{
    engine::{
        limits::{
            PORTS_MAX,
            PORT_MTU_MIN, //
        },
        FeedState,
        Mac,
        PortId,
        PortInfo,
        Role,
        Route, //
    },
    id::Name, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The largest MTU that frames are built for.
const MTU_MAX: u32 = feed_core::wire::MTU_MAX as u32;

/// Entries, from the newest back, whose payloads become public when a feed is shared: a head may
/// name any length, and the one who shares waits. Payloads of older ones become public when they
/// are read here.
const SHARE_ENTRIES_MAX: u64 = 1 << 22;
/// And so many steps of [`feed_core::engine::Engine::share_stored`], some thousand entries each
/// where blobs are short: a few seconds.
const SHARE_STEPS_MAX: u32 = 1 << 14;

/// Places of feeds that a dump counts for each engine: more than any has.
const SHARD_PLACES: u32 = 1 << 24;

fn describe(rtnl: &Rtnl, device: &Device) -> PortInfo {
    PortInfo {
        mac: Mac(device.mac(rtnl)),
        mtu: device.mtu().min(MTU_MAX) as u16,
        up: device.is_up(),
        uncut: device.takes_uncut(),
    }
}

/// A port as dumps show it.
pub(crate) struct PortRow {
    pub(crate) ifindex: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: u16,
    pub(crate) up: bool,
}

impl Node {
    /// Makes a port of a device.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for a device without Ethernet addresses, `EINVAL` for an MTU under 1,280,
    /// `EEXIST` for a port, `ENOSPC` when there are too many.
    pub(crate) fn port_add(self: &Arc<Self>, rtnl: &Rtnl, device: Device) -> Result {
        if !device.is_ethernet() {
            return Err(EOPNOTSUPP);
        }
        if device.mtu() < u32::from(PORT_MTU_MIN) {
            return Err(EINVAL);
        }
        let ifindex = device.ifindex();
        let id = PortId(ifindex);
        let info = describe(rtnl, &device);
        let mut ports = self.ports.lock();
        ports.reserve(1, GFP_KERNEL)?;
        self.world.store.activate()?;
        for shard in 0..self.engines.len() {
            // The first engine may know the port already, or have no place for it; then so do the
            // others.
            if let Err(e) = self.port_add_to(shard, id, info, &device) {
                if shard > 0 {
                    self.forget(id);
                }
                return Err(e);
            }
        }
        let receiver = Ingress::new(self.clone(), ifindex);
        let group = self.world.group;
        self.world.stats.port_opened(ifindex);
        match Hook::attach(rtnl, device, shared::ethertype(), group, receiver) {
            Ok(hook) => {
                ports.push(Port { ifindex, hook }, GFP_KERNEL)?;
                pairs::PORTS.made();
                Ok(())
            }
            Err(e) => {
                self.world.stats.port_closed(ifindex);
                self.forget(id);
                Err(e)
            }
        }
    }

    /// One engine's part of [`Node::port_add`]. The caller holds `ports`.
    fn port_add_to(
        self: &Arc<Self>,
        shard: usize,
        id: PortId,
        info: PortInfo,
        device: &Device,
    ) -> Result {
        let room = KernelEnv::device_room(PORTS_MAX)?;
        // Only the caller adds devices, and it holds `ports`: the room is enough.
        let added = self.with_shard(shard, |engine, _, env| -> Result<_> {
            engine.port_add(id, info).map_err(errno)?;
            env.add_device(id, device.clone(), room)
        });
        // The list before: its memory is freed here, outside of the lock.
        drop(added.ok_or(ENETDOWN)??);
        Ok(())
    }

    /// The device is no port any more.
    ///
    /// # Errors
    /// `ENOENT` when it was none.
    pub(crate) fn port_del(self: &Arc<Self>, _rtnl: &Rtnl, ifindex: u32) -> Result {
        let port = {
            let mut ports = self.ports.lock();
            let at = ports
                .iter()
                .position(|port| port.ifindex == ifindex)
                .ok_or(ENOENT)?;
            ports.remove(at).map_err(|_| ENOENT)?
        };
        // Waits for frames that are on their way in.
        drop(port.hook);
        pairs::PORTS.gone(1);
        self.world.stats.port_closed(ifindex);
        self.forget(PortId(ifindex));
        Ok(())
    }

    fn forget(self: &Arc<Self>, id: PortId) {
        self.world.jobs.forget(id);
        for shard in 0..self.engines.len() {
            let device = self.with_shard(shard, |engine, now, env| {
                engine.port_remove(now, id, env);
                env.forget_device(id)
            });
            drop(device);
        }
    }

    /// The device has changed: address, MTU, up or down.
    fn port_changed(self: &Arc<Self>, rtnl: &Rtnl, device: &Device) {
        let info = describe(rtnl, device);
        let id = PortId(device.ifindex());
        let mut refused = false;
        self.with_each(|engine, _, _| {
            refused |= engine.port_info(id).is_some() && engine.port_set(id, info).is_err();
        });
        if refused {
            // An MTU below the least: the port cannot carry our frames any more. (Not logged: who
            // may make namespaces may do this as often as he likes.)
            let _ = self.port_del(rtnl, id.0);
        }
    }

    /// The port in place `index`, for dumps; `None` behind the last.
    pub(crate) fn port_at(self: &Arc<Self>, index: usize) -> Option<PortRow> {
        let (id, info) = self.with_shard(0, |engine, _, _| engine.port_at(index))??;
        Some(PortRow {
            ifindex: id.0,
            mac: info.mac.0,
            mtu: info.mtu,
            up: info.up,
        })
    }

    /// Adds a route. `ENOENT` when its port does not exist.
    pub(crate) fn route_add(self: &Arc<Self>, route: Route) -> Result {
        // All engines have the same routes in the same places.
        let _order = self.ports.lock();
        for shard in 0..self.engines.len() {
            self.with_shard(shard, |engine, _, _| engine.route_add(route))
                .ok_or(ENETDOWN)?
                .map_err(errno)?;
        }
        Ok(())
    }

    /// Removes the route of the same feed, port and neighbour.
    pub(crate) fn route_del(self: &Arc<Self>, route: &Route) -> Result {
        let _order = self.ports.lock();
        let mut found = false;
        self.with_each(|engine, _, _| found |= engine.route_del(route));
        found.then_some(()).ok_or(ENOENT)
    }

    /// The next route at or behind place `index`, for dumps: its place, itself, and whether it is
    /// tried last for now, by any engine.
    pub(crate) fn route_from(self: &Arc<Self>, index: u32) -> Option<(u32, Route, bool)> {
        let _order = self.ports.lock();
        let (at, route) = self.with_shard(0, |engine, _, _| {
            let places = engine.route_places() as u32;
            (index..places).find_map(|at| Some((at, engine.route_at(at)?)))
        })??;
        let mut demoted = false;
        self.with_each(|engine, now, _| demoted |= engine.is_route_demoted(now, at));
        Some((at, route, demoted))
    }

    /// The next feed at or behind place `index`, and its place, for dumps.
    // Not inlined: stack.
    #[inline(never)]
    pub(crate) fn feed_from(self: &Arc<Self>, index: u32) -> Option<(u32, FeedState)> {
        // Written where it goes: each hand it passes through costs a copy on the stack.
        let mut found = None;
        let mut from = index % SHARD_PLACES;
        for shard in (index / SHARD_PLACES) as usize..self.engines.len() {
            self.with_shard(shard, |engine, _, _| {
                let at = (from..engine.feed_places() as u32).find(|at| engine.has_feed_at(*at));
                let place = |at| shard as u32 * SHARD_PLACES + at;
                found = at.and_then(|at| Some((place(at), engine.feed_at(at)?)));
            });
            if found.is_some() {
                break;
            }
            from = 0;
        }
        found
    }

    /// Whether the node serves everything (`Cache`) or its own only (`Host`).
    pub(crate) fn role(self: &Arc<Self>) -> Role {
        self.with_shard(0, |engine, _, _| engine.role()).unwrap_or_default()
    }

    /// Changes the role.
    pub(crate) fn set_role(self: &Arc<Self>, role: Role) {
        self.with_each(|engine, _, _| engine.set_role(role));
    }

    /// Lets a host serve a feed that it does not author, or no longer.
    pub(crate) fn share(self: &Arc<Self>, name: Name, shared: bool) -> Result {
        let id = name.id();
        self.feed_open(&id, name)?;
        let done = self
            .with_engine(&id, |engine, _, _| engine.feed_share(&id, shared))
            .ok_or(ENETDOWN)
            .and_then(|done| done.map_err(errno));
        if done.is_ok() && shared {
            let n = self.head(&id).map_or(0, |head| head.head.n);
            let mut at = Some(n.saturating_sub(SHARE_ENTRIES_MAX));
            let mut steps = 0..SHARE_STEPS_MAX;
            while let (Some(seq), Some(_)) = (at, steps.next()) {
                if kernel::current!().signal_pending() {
                    break;
                }
                at = self.with_engine(&id, |engine, _, env| engine.share_stored(&id, seq, env)).flatten();
            }
        }
        self.feed_close(&id);
        done
    }

    /// The store's figures.
    pub(crate) fn figures(&self) -> Figures {
        self.world.store.figures()
    }

    /// Bounds the store, bytes.
    pub(crate) fn set_limit(&self, bytes: u64) -> Result {
        self.world
            .store
            .set_limit(usize::try_from(bytes).map_err(|_| ERANGE)?)
    }

    /// Drops everything cached; own feeds stay.
    pub(crate) fn flush(&self) {
        self.world.store.flush();
    }
}

/// Hears what becomes of devices.
pub(crate) struct Devices;

impl Watch for Devices {
    fn changed(rtnl: &Rtnl, net: Net<'_>, device: &Device, change: Change) {
        let Some(node) = Node::of(net) else { return };
        match change {
            Change::Gone => {
                // Most devices are no ports.
                let _ = node.port_del(rtnl, device.ifindex());
            }
            Change::Down | Change::Up | Change::Mtu | Change::Address | Change::Features => {
                node.port_changed(rtnl, device);
            }
        }
    }
}
