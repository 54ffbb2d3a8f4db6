// SPDX-License-Identifier: GPL-2.0

//! Control by netlink: include/feed.yaml says what there is, this file does it.
//!
//! Operations that change something need CAP_NET_ADMIN in the namespace, which the netlink core
//! checks; reading needs nothing. One operation of the family runs at a time. Values are refused
//! in words, so that a person at a shell knows what to do.
//!
//! Context of everything here: process, may sleep.

use crate::{
    bindings as uapi,
    net::{
        device::{
            Device,
            Rtnl, //
        },
        errno::EOPNOTSUPP,
        genl::{
            Action,
            Family,
            List,
            Message,
            Operation,
            Policy,
            Query,
            Registration,
            Request, //
        },
        namespace::Registered,
        net::Net, //
    },
    node::Node,
    store::SEGMENT_BYTES,
    sync::{
        clock::monotonic_us,
        shared, //
    }, //
};
use feed_core::{
    engine::{
        Counter,
        FeedState,
        Mac,
        PortId,
        Role,
        Route, //
    },
    id::{
        DiscoveryId,
        Name, //
    },
    Drop as DropReason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// In the order of the YAML file.
static OPERATIONS: [Operation; 16] = [
    Operation::action::<PortAdd>(),
    Operation::action::<PortDel>(),
    Operation::list::<PortGet>(),
    Operation::action::<RouteAdd>(),
    Operation::action::<RouteDel>(),
    Operation::list::<RouteGet>(),
    Operation::query::<NodeGet>(),
    Operation::action::<RoleSet>(),
    Operation::action::<ShareAdd>(),
    Operation::action::<ShareDel>(),
    Operation::query::<FeedGet>(),
    Operation::list::<FeedGet>(),
    Operation::query::<StoreGet>(),
    Operation::action::<StoreSet>(),
    Operation::action::<StoreFlush>(),
    Operation::list::<StatsGet>(),
];

static FAMILY: Family = Family::new(c"feed", uapi::FEED_FAMILY_VERSION, &OPERATIONS);

/// The family, registered; dropping it takes it back.
pub(crate) struct Control(#[expect(dead_code, reason = "held for its drop")] Registration);

impl Control {
    /// Offers the family in all namespaces.
    pub(crate) fn register() -> Result<Self> {
        Ok(Self(FAMILY.register()?))
    }
}

/// Longest name of a device, without its null byte.
const NAME_OF_DEVICE_MAX: u16 = uapi::IFNAMSIZ as u16 - 1;

/// Policy of an id or a name.
const FEED: Policy = Policy::bytes(32);
/// Policy of the number of a device.
const IFINDEX: Policy = Policy::u32_min(1);
/// Policy of the attributes that say which feed.
const WHICH_FEED: &[Policy] = &[Policy::NONE, FEED, FEED];
/// Policy of the attributes that say which device.
const WHICH_DEVICE: &[Policy] = &[Policy::NONE, IFINDEX, Policy::text(NAME_OF_DEVICE_MAX)];

fn node(net: Net<'_>) -> Result<Arc<Node>> {
    Node::of(net).ok_or(ENODEV)
}

/// The feed that a request tells by its id, its name, or both.
fn which_feed(
    request: &Request<'_>,
    id: u32,
    name: u32,
) -> Result<Option<(DiscoveryId, Option<Name>)>> {
    let given = request.bytes(id).map(DiscoveryId);
    match (given, request.bytes(name).map(Name)) {
        (Some(given), Some(name)) if name.id() != given => {
            Err(request.refuse_attribute(id, EINVAL, c"id and name are of two different feeds"))
        }
        (_, Some(name)) => Ok(Some((name.id(), Some(name)))),
        (Some(id), None) => Ok(Some((id, None))),
        (None, None) => Ok(None),
    }
}

/// The device that a request tells by its number or its name.
fn which_device(request: &Request<'_>, rtnl: &Rtnl) -> Result<Device> {
    let net = request.net();
    let device = match (
        request.u32(uapi::FEED_A_PORT_IFINDEX),
        request.text(uapi::FEED_A_PORT_IFNAME),
    ) {
        (Some(_), Some(_)) => {
            return Err(request.refuse(EINVAL, c"tell the device by number or by name, not both"))
        }
        (Some(ifindex), None) => Device::by_index(rtnl, net, ifindex),
        (None, Some(name)) => Device::by_name(rtnl, net, name),
        (None, None) => return Err(request.refuse(EINVAL, c"tell the device by number or by name")),
    };
    device.ok_or_else(|| request.refuse(ENODEV, c"no such device"))
}

struct PortAdd;

impl Action for PortAdd {
    const COMMAND: u32 = uapi::FEED_CMD_PORT_ADD;
    const POLICY: &'static [Policy] = WHICH_DEVICE;

    fn act(request: &Request<'_>) -> Result {
        let node = node(request.net())?;
        let rtnl = Rtnl::lock();
        let device = which_device(request, &rtnl)?;
        node.port_add(&rtnl, device).map_err(|error| {
            request.refuse(
                error,
                match error {
                    error if error == EOPNOTSUPP => c"not an Ethernet device",
                    error if error == EINVAL => c"MTU under 1280",
                    error if error == EEXIST => c"is a port already",
                    error if error == ENOSPC => c"too many ports",
                    _ => return error,
                },
            )
        })
    }
}

struct PortDel;

impl Action for PortDel {
    const COMMAND: u32 = uapi::FEED_CMD_PORT_DEL;
    const POLICY: &'static [Policy] = WHICH_DEVICE;

    fn act(request: &Request<'_>) -> Result {
        let node = node(request.net())?;
        let rtnl = Rtnl::lock();
        let device = which_device(request, &rtnl)?;
        node.port_del(&rtnl, device.ifindex())
            .map_err(|error| request.refuse(error, c"is not a port"))
    }
}

struct PortGet;

impl List for PortGet {
    const COMMAND: u32 = uapi::FEED_CMD_PORT_GET;

    fn next(net: Net<'_>, at: u64, message: &mut Message<'_>) -> Result<Option<u64>> {
        let node = node(net)?;
        let Some(port) = node.port_at(at as usize) else {
            return Ok(None);
        };
        message.put_u32(uapi::FEED_A_PORT_IFINDEX, port.ifindex)?;
        let rtnl = Rtnl::lock();
        // Absent if the device went just now.
        if let Some(device) = Device::by_index(&rtnl, net, port.ifindex) {
            message.put_text(uapi::FEED_A_PORT_IFNAME, &device.name(&rtnl))?;
        }
        drop(rtnl);
        message.put_bytes(uapi::FEED_A_PORT_MAC, &port.mac)?;
        message.put_u32(uapi::FEED_A_PORT_MTU, port.mtu.into())?;
        let up = if port.up {
            uapi::feed_port_flags_FEED_PORT_FLAGS_UP
        } else {
            0
        };
        message.put_u32(uapi::FEED_A_PORT_FLAGS, up)?;
        if let Some((received, sent)) = node.world.stats.traffic(port.ifindex) {
            for (attribute, value) in [
                (uapi::FEED_A_PORT_RX_FRAMES, received.frames),
                (uapi::FEED_A_PORT_RX_BYTES, received.bytes),
                (uapi::FEED_A_PORT_RX_DROPS, received.drops),
                (uapi::FEED_A_PORT_TX_FRAMES, sent.frames),
                (uapi::FEED_A_PORT_TX_BYTES, sent.bytes),
                (uapi::FEED_A_PORT_TX_DROPS, sent.drops),
            ] {
                message.put_uint(attribute, value)?;
            }
        }
        Ok(Some(at + 1))
    }
}

/// The route that a request describes.
fn which_route(request: &Request<'_>) -> Result<Route> {
    let feed = which_feed(request, uapi::FEED_A_ROUTE_ID, uapi::FEED_A_ROUTE_NAME)?;
    let Some(port) = request.u32(uapi::FEED_A_ROUTE_IFINDEX) else {
        return Err(request.refuse(EINVAL, c"a route needs the device of a port"));
    };
    let mac = request.bytes(uapi::FEED_A_ROUTE_MAC).map(Mac);
    if mac.is_some_and(|mac| mac.0[0] & 1 != 0 || mac.0 == [0; 6]) {
        return Err(request.refuse_attribute(
            uapi::FEED_A_ROUTE_MAC,
            EINVAL,
            c"not the address of one neighbour",
        ));
    }
    Ok(Route {
        feed: feed.map(|(id, _)| id),
        port: PortId(port),
        mac,
        cost: request.u32(uapi::FEED_A_ROUTE_COST).unwrap_or(0),
    })
}

struct RouteAdd;

impl Action for RouteAdd {
    const COMMAND: u32 = uapi::FEED_CMD_ROUTE_ADD;
    const POLICY: &'static [Policy] = &[
        Policy::NONE,
        FEED,
        FEED,
        IFINDEX,
        Policy::bytes(6),
        Policy::U32,
    ];

    fn act(request: &Request<'_>) -> Result {
        let route = which_route(request)?;
        node(request.net())?.route_add(route).map_err(|error| {
            request.refuse(
                error,
                match error {
                    error if error == ENOENT => c"the device is not a port",
                    error if error == EEXIST => c"there is such a route already",
                    error if error == ENOSPC => c"too many routes",
                    _ => return error,
                },
            )
        })
    }
}

struct RouteDel;

impl Action for RouteDel {
    const COMMAND: u32 = uapi::FEED_CMD_ROUTE_DEL;
    const POLICY: &'static [Policy] = &[Policy::NONE, FEED, FEED, IFINDEX, Policy::bytes(6)];

    fn act(request: &Request<'_>) -> Result {
        let route = which_route(request)?;
        node(request.net())?
            .route_del(&route)
            .map_err(|error| request.refuse(error, c"there is no such route"))
    }
}

struct RouteGet;

impl List for RouteGet {
    const COMMAND: u32 = uapi::FEED_CMD_ROUTE_GET;

    fn next(net: Net<'_>, at: u64, message: &mut Message<'_>) -> Result<Option<u64>> {
        let Some((at, route, demoted)) = node(net)?.route_from(at as u32) else {
            return Ok(None);
        };
        if let Some(id) = route.feed {
            message.put_bytes(uapi::FEED_A_ROUTE_ID, &id.0)?;
        }
        message.put_u32(uapi::FEED_A_ROUTE_IFINDEX, route.port.0)?;
        if let Some(mac) = route.mac {
            message.put_bytes(uapi::FEED_A_ROUTE_MAC, &mac.0)?;
        }
        message.put_u32(uapi::FEED_A_ROUTE_COST, route.cost)?;
        let flags = if demoted {
            uapi::feed_route_flags_FEED_ROUTE_FLAGS_DEMOTED
        } else {
            0
        };
        message.put_u32(uapi::FEED_A_ROUTE_FLAGS, flags)?;
        Ok(Some(u64::from(at) + 1))
    }
}

struct NodeGet;

impl Query for NodeGet {
    const COMMAND: u32 = uapi::FEED_CMD_NODE_GET;
    const POLICY: &'static [Policy] = &[];

    fn answer(request: &Request<'_>, answer: &mut Message<'_>) -> Result {
        let role = match node(request.net())?.role() {
            Role::Host => uapi::feed_role_FEED_ROLE_HOST,
            Role::Cache => uapi::feed_role_FEED_ROLE_CACHE,
        };
        answer.put_u32(uapi::FEED_A_NODE_ROLE, role)?;
        answer.put_u16(uapi::FEED_A_NODE_FAMILY, shared::family() as u16)?;
        answer.put_u16(uapi::FEED_A_NODE_ETHERTYPE, shared::ethertype())?;
        answer.put_bytes(uapi::FEED_A_NODE_GROUP, &shared::group()?)
    }
}

struct RoleSet;

impl Action for RoleSet {
    const COMMAND: u32 = uapi::FEED_CMD_ROLE_SET;
    const POLICY: &'static [Policy] = &[
        Policy::NONE,
        Policy::u32_max(uapi::feed_role_FEED_ROLE_CACHE as i16),
    ];

    fn act(request: &Request<'_>) -> Result {
        let role = match request.u32(uapi::FEED_A_NODE_ROLE) {
            Some(uapi::feed_role_FEED_ROLE_HOST) => Role::Host,
            Some(uapi::feed_role_FEED_ROLE_CACHE) => Role::Cache,
            _ => return Err(request.refuse(EINVAL, c"which role?")),
        };
        node(request.net())?.set_role(role);
        Ok(())
    }
}

fn share(request: &Request<'_>, shared: bool) -> Result {
    let node = node(request.net())?;
    let name = match which_feed(request, uapi::FEED_A_ID, uapi::FEED_A_NAME)? {
        Some((_, Some(name))) => name,
        Some((id, None)) => node.feed_state(&id).and_then(|feed| feed.name).ok_or_else(|| {
            request.refuse(ENOENT, c"not known by this id: tell its name")
        })?,
        None => return Err(request.refuse(EINVAL, c"which feed?")),
    };
    node.share(name, shared)
}

struct ShareAdd;

impl Action for ShareAdd {
    const COMMAND: u32 = uapi::FEED_CMD_SHARE_ADD;
    const POLICY: &'static [Policy] = WHICH_FEED;

    fn act(request: &Request<'_>) -> Result {
        share(request, true)
    }
}

struct ShareDel;

impl Action for ShareDel {
    const COMMAND: u32 = uapi::FEED_CMD_SHARE_DEL;
    const POLICY: &'static [Policy] = WHICH_FEED;

    fn act(request: &Request<'_>) -> Result {
        share(request, false)
    }
}

struct FeedGet;

impl FeedGet {
    fn describe(feed: &FeedState, message: &mut Message<'_>) -> Result {
        let mut flags = 0;
        message.put_bytes(uapi::FEED_A_ID, &feed.id.0)?;
        if let Some(name) = &feed.name {
            message.put_bytes(uapi::FEED_A_NAME, &name.0)?;
        }
        if let Some(signed) = &feed.head {
            let head = &signed.head;
            message.put_u32(uapi::FEED_A_EPOCH, head.epoch)?;
            message.put_uint(uapi::FEED_A_LENGTH, head.n)?;
            message.put_uint(uapi::FEED_A_TIME, head.time)?;
            message.put_uint(uapi::FEED_A_NEXT_BY, head.next_by)?;
            let age = monotonic_us().saturating_sub(feed.verified_at) / 1_000;
            message.put_uint(uapi::FEED_A_AGE, age)?;
            message.put_u32(uapi::FEED_A_HOPS, feed.hops.into())?;
            if head.is_final() {
                flags |= uapi::feed_feed_flags_FEED_FEED_FLAGS_FINAL;
            }
        }
        for (is, flag) in [
            (feed.is_own, uapi::feed_feed_flags_FEED_FEED_FLAGS_OWN),
            (feed.is_shared, uapi::feed_feed_flags_FEED_FEED_FLAGS_SHARED),
            (feed.is_forked, uapi::feed_feed_flags_FEED_FEED_FLAGS_FORKED),
        ] {
            if is {
                flags |= flag;
            }
        }
        message.put_u32(uapi::FEED_A_FLAGS, flags)?;
        message.put_u32(uapi::FEED_A_SOCKETS, feed.opens)
    }
}

impl Query for FeedGet {
    const COMMAND: u32 = uapi::FEED_CMD_FEED_GET;
    const POLICY: &'static [Policy] = WHICH_FEED;

    fn answer(request: &Request<'_>, answer: &mut Message<'_>) -> Result {
        let Some((id, _)) = which_feed(request, uapi::FEED_A_ID, uapi::FEED_A_NAME)? else {
            return Err(request.refuse(EINVAL, c"which feed?"));
        };
        match node(request.net())?.feed_state(&id) {
            Some(feed) => Self::describe(&feed, answer),
            None => Err(request.refuse(ENOENT, c"not known here")),
        }
    }
}

impl List for FeedGet {
    const COMMAND: u32 = uapi::FEED_CMD_FEED_GET;

    fn next(net: Net<'_>, at: u64, message: &mut Message<'_>) -> Result<Option<u64>> {
        let Some((at, feed)) = node(net)?.feed_from(at as u32) else {
            return Ok(None);
        };
        Self::describe(&feed, message)?;
        Ok(Some(u64::from(at) + 1))
    }
}

struct StoreGet;

impl Query for StoreGet {
    const COMMAND: u32 = uapi::FEED_CMD_STORE_GET;
    const POLICY: &'static [Policy] = &[];

    fn answer(request: &Request<'_>, answer: &mut Message<'_>) -> Result {
        let common = shared::common().ok_or(ENODEV)?;
        let figures = node(request.net())?.figures();
        for (attribute, value) in [
            (uapi::FEED_A_STORE_LIMIT, figures.bytes_limit),
            (uapi::FEED_A_STORE_CAP, (common.ground.cap() * SEGMENT_BYTES) as u64),
            (uapi::FEED_A_STORE_USED, figures.bytes),
            (uapi::FEED_A_STORE_LIVE, figures.bytes_live),
            (uapi::FEED_A_STORE_PINNED, figures.bytes_pinned),
            (uapi::FEED_A_STORE_RESIDENT, figures.bytes_resident),
            (uapi::FEED_A_STORE_INDEX, figures.bytes_index),
            (uapi::FEED_A_STORE_SEGMENTS, figures.segments),
            (uapi::FEED_A_STORE_ENTRIES, figures.entries),
            (uapi::FEED_A_STORE_EVICTED, figures.evicted),
            (uapi::FEED_A_STORE_RECLAIMED, figures.reclaimed_by_kernel),
            (uapi::FEED_A_STORE_RESCUED, figures.rescued),
            (
                uapi::FEED_A_STORE_REFUSED,
                figures.pool_empty + figures.index_full + figures.busy,
            ),
            (uapi::FEED_A_STORE_HITS, figures.hits),
            (uapi::FEED_A_STORE_MISSES, figures.misses),
        ] {
            answer.put_uint(attribute, value)?;
        }
        Ok(())
    }
}

struct StoreSet;

impl Action for StoreSet {
    const COMMAND: u32 = uapi::FEED_CMD_STORE_SET;
    const POLICY: &'static [Policy] = &[Policy::NONE, Policy::UINT, Policy::UINT];

    fn act(request: &Request<'_>) -> Result {
        let limit = request.uint(uapi::FEED_A_STORE_LIMIT);
        let cap = request.uint(uapi::FEED_A_STORE_CAP);
        if limit.is_none() && cap.is_none() {
            return Err(request.refuse(EINVAL, c"which limit?"));
        }
        if let Some(cap) = cap {
            // An administrator of a namespace need not be one of the machine.
            if !request.net().is_initial() {
                return Err(request.refuse_attribute(
                    uapi::FEED_A_STORE_CAP,
                    EPERM,
                    c"only the initial namespace changes the cap",
                ));
            }
            let ground = shared::common().ok_or(ENODEV)?.ground;
            let cap = usize::try_from(cap).map_err(|_| ERANGE)?;
            ground.set_cap(cap).map_err(|error| {
                request.refuse_attribute(
                    uapi::FEED_A_STORE_CAP,
                    error,
                    c"less than the least store, or more than there is memory",
                )
            })?;
        }
        if let Some(limit) = limit {
            node(request.net())?.set_limit(limit).map_err(|error| {
                request.refuse_attribute(
                    uapi::FEED_A_STORE_LIMIT,
                    error,
                    match error {
                        error if error == EINVAL => c"less than the least store",
                        error if error == EBUSY => c"own feeds alone need more",
                        _ => return error,
                    },
                )
            })?;
        }
        Ok(())
    }
}

struct StoreFlush;

impl Action for StoreFlush {
    const COMMAND: u32 = uapi::FEED_CMD_STORE_FLUSH;
    const POLICY: &'static [Policy] = &[];

    fn act(request: &Request<'_>) -> Result {
        node(request.net())?.flush();
        Ok(())
    }
}

struct StatsGet;

impl List for StatsGet {
    const COMMAND: u32 = uapi::FEED_CMD_STATS_GET;

    /// Places: first the counters of what went well, then the reasons for drops.
    fn next(net: Net<'_>, at: u64, message: &mut Message<'_>) -> Result<Option<u64>> {
        let node = node(net)?;
        let stats = &node.world.stats;
        let place = at as usize;
        let (name, kind, value) = match Counter::ALL.get(place) {
            Some(&counter) => (
                counter.as_str(),
                uapi::feed_counter_kind_FEED_COUNTER_KIND_EVENT,
                stats.counter(counter),
            ),
            None => match DropReason::ALL.get(place - Counter::ALL.len()) {
                Some(&reason) => (
                    reason.as_str(),
                    uapi::feed_counter_kind_FEED_COUNTER_KIND_DROP,
                    stats.drops(reason),
                ),
                None => return Ok(None),
            },
        };
        message.put_text(uapi::FEED_A_COUNTER_NAME, name.as_bytes())?;
        message.put_u32(uapi::FEED_A_COUNTER_KIND, kind)?;
        message.put_uint(uapi::FEED_A_COUNTER_VALUE, value)?;
        Ok(Some(at + 1))
    }
}
