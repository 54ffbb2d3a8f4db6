// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! One method for each operation of the family.

use crate::connection::Connection;
use crate::device::Devices;
use crate::error::Result;
use crate::message::{Attrs, Message};
use crate::spec::{self, Command, CounterAttr, FeedAttr, NodeAttr, PortAttr, RouteAttr, StoreAttr};
use crate::types::{Counter, Feed, Node, Port, Role, Route, RouteRequest, Store, Traffic, Which};

/// A connection to this network namespace's node.
pub struct Client {
    connection: Connection,
    devices: Devices,
}

impl Client {
    /// Connects. [`Error::NoFamily`](crate::Error::NoFamily) when the module is not loaded.
    pub fn open() -> Result<Client> {
        Ok(Client {
            connection: Connection::open()?,
            devices: Devices::open()?,
        })
    }

    /// The devices on which the node asks and answers.
    pub fn ports(&mut self) -> Result<Vec<Port>> {
        self.dump(Command::PortGet, "list the ports", port)
    }

    /// Asks and answers on `dev` from now on.
    pub fn add_port(&mut self, dev: &str) -> Result<()> {
        let message =
            Message::new(Command::PortAdd).u32(PortAttr::Ifindex, self.devices.index(dev)?);
        self.change(message, "add the port")
    }

    /// Leaves `dev` alone, and takes its routes away.
    pub fn del_port(&mut self, dev: &str) -> Result<()> {
        let message =
            Message::new(Command::PortDel).u32(PortAttr::Ifindex, self.devices.index(dev)?);
        self.change(message, "take the port away")
    }

    /// Where lookups go.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let mut routes = self.dump(Command::RouteGet, "list the routes", route)?;
        for route in &mut routes {
            route.dev = self.devices.name(route.ifindex);
        }
        Ok(routes)
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: &RouteRequest) -> Result<()> {
        let message = self.route(Command::RouteAdd, route)?;
        self.change(message, "add the route")
    }

    /// Takes back the route that matches in what is given; the cost does not count.
    pub fn del_route(&mut self, route: &RouteRequest) -> Result<()> {
        let message = self.route(
            Command::RouteDel,
            &RouteRequest {
                cost: None,
                ..route.clone()
            },
        )?;
        self.change(message, "take the route away")
    }

    fn route(&self, command: Command, route: &RouteRequest) -> Result<Message> {
        let mut message = Message::new(command);
        message = match &route.feed {
            Some(Which::Name(name)) => message.bytes(RouteAttr::Name, name),
            Some(Which::Id(id)) => message.bytes(RouteAttr::Id, id),
            None => message,
        };
        if let Some(dev) = &route.dev {
            message = message.u32(RouteAttr::Ifindex, self.devices.index(dev)?);
        }
        if let Some(via) = &route.via {
            message = message.bytes(RouteAttr::Mac, via);
        }
        if let Some(cost) = route.cost {
            message = message.u32(RouteAttr::Cost, cost);
        }
        Ok(message)
    }

    /// Takes all routes away.
    pub fn flush_routes(&mut self) -> Result<()> {
        for route in self.routes()? {
            self.del_route(&RouteRequest {
                feed: route.id.map(Which::Id),
                dev: Some(route.dev),
                via: route.via,
                cost: None,
            })?;
        }
        Ok(())
    }

    /// What this node is.
    pub fn node(&mut self) -> Result<Node> {
        let answer = self
            .connection
            .request(Message::new(Command::NodeGet), "ask what this node is")?;
        Ok(node(
            &answer.map(|answer| answer.attrs()).unwrap_or_default(),
        ))
    }

    /// Changes whom the node answers.
    pub fn set_role(&mut self, role: Role) -> Result<()> {
        let number = match role {
            Role::Host => spec::ROLE_HOST,
            Role::Cache => spec::ROLE_CACHE,
        };
        self.change(
            Message::new(Command::RoleSet).u32(NodeAttr::Role, number),
            "change the role",
        )
    }

    /// Answers for a feed of somebody else's from now on.
    pub fn add_share(&mut self, feed: Which) -> Result<()> {
        self.change(
            which(Message::new(Command::ShareAdd), feed),
            "share the feed",
        )
    }

    /// Stops answering for it.
    pub fn del_share(&mut self, feed: Which) -> Result<()> {
        self.change(
            which(Message::new(Command::ShareDel), feed),
            "stop sharing the feed",
        )
    }

    /// The feeds that the node knows.
    pub fn feeds(&mut self) -> Result<Vec<Feed>> {
        self.dump(Command::FeedGet, "list the feeds", feed)
    }

    /// What the node knows of one feed.
    pub fn feed(&mut self, of: Which) -> Result<Option<Feed>> {
        let message = which(Message::new(Command::FeedGet), of);
        let answer = self.connection.request(message, "ask for the feed")?;
        Ok(answer.and_then(|answer| feed(&answer.attrs())))
    }

    /// Figures of the store.
    pub fn store(&mut self) -> Result<Store> {
        let answer = self.connection.request(
            Message::new(Command::StoreGet),
            "ask for the store's figures",
        )?;
        Ok(store(
            &answer.map(|answer| answer.attrs()).unwrap_or_default(),
        ))
    }

    /// Lets the store hold up to `bytes`.
    pub fn set_store_limit(&mut self, bytes: u64) -> Result<()> {
        self.change(
            Message::new(Command::StoreSet).u64(StoreAttr::Limit, bytes),
            "change the store's limit",
        )
    }

    /// Lets the stores of all namespaces together hold up to `bytes`. Only the initial namespace
    /// may change this.
    pub fn set_store_cap(&mut self, bytes: u64) -> Result<()> {
        let message = Message::new(Command::StoreSet).u64(StoreAttr::Cap, bytes);
        self.change(message, "change the cap of all stores")
    }

    /// Drops everything but own feeds from the store.
    pub fn flush_store(&mut self) -> Result<()> {
        self.change(Message::new(Command::StoreFlush), "empty the store")
    }

    /// What was counted.
    pub fn counters(&mut self) -> Result<Vec<Counter>> {
        self.dump(Command::StatsGet, "ask for the counters", counter)
    }

    fn change(&mut self, message: Message, doing: &'static str) -> Result<()> {
        self.connection.request(message, doing).map(drop)
    }

    fn dump<T>(
        &mut self,
        command: Command,
        doing: &'static str,
        read: fn(&Attrs) -> Option<T>,
    ) -> Result<Vec<T>> {
        let answers = self.connection.dump(Message::new(command), doing)?;
        Ok(answers
            .iter()
            .filter_map(|answer| read(&answer.attrs()))
            .collect())
    }
}

fn which(message: Message, feed: Which) -> Message {
    match feed {
        Which::Name(name) => message.bytes(FeedAttr::Name, &name),
        Which::Id(id) => message.bytes(FeedAttr::Id, &id),
    }
}

fn port(attrs: &Attrs) -> Option<Port> {
    let uint = |kind| attrs.uint(kind).unwrap_or(0);
    Some(Port {
        ifindex: attrs.u32(PortAttr::Ifindex)?,
        name: attrs.text(PortAttr::Ifname).unwrap_or_default(),
        mac: attrs.array(PortAttr::Mac).unwrap_or_default(),
        mtu: attrs.u32(PortAttr::Mtu).unwrap_or(0),
        up: attrs.flag(PortAttr::Flags, spec::PORT_UP),
        received: Traffic {
            frames: uint(PortAttr::RxFrames),
            bytes: uint(PortAttr::RxBytes),
            drops: uint(PortAttr::RxDrops),
        },
        sent: Traffic {
            frames: uint(PortAttr::TxFrames),
            bytes: uint(PortAttr::TxBytes),
            drops: uint(PortAttr::TxDrops),
        },
    })
}

fn route(attrs: &Attrs) -> Option<Route> {
    Some(Route {
        id: attrs.array(RouteAttr::Id),
        ifindex: attrs.u32(RouteAttr::Ifindex)?,
        dev: String::new(),
        via: attrs.array(RouteAttr::Mac),
        cost: attrs.u32(RouteAttr::Cost).unwrap_or(0),
        demoted: attrs.flag(RouteAttr::Flags, spec::ROUTE_DEMOTED),
    })
}

fn node(attrs: &Attrs) -> Node {
    Node {
        role: match attrs.u32(NodeAttr::Role) {
            Some(spec::ROLE_CACHE) => Role::Cache,
            _ => Role::Host,
        },
        family: attrs.u16(NodeAttr::Family).unwrap_or(0),
        ethertype: attrs.u16(NodeAttr::Ethertype).unwrap_or(0),
        group: attrs.array(NodeAttr::Group).unwrap_or_default(),
    }
}

fn store(attrs: &Attrs) -> Store {
    let uint = |kind| attrs.uint(kind).unwrap_or(0);
    Store {
        limit: uint(StoreAttr::Limit),
        cap: uint(StoreAttr::Cap),
        used: uint(StoreAttr::Used),
        live: uint(StoreAttr::Live),
        pinned: uint(StoreAttr::Pinned),
        resident: uint(StoreAttr::Resident),
        index: uint(StoreAttr::Index),
        segments: uint(StoreAttr::Segments),
        entries: uint(StoreAttr::Entries),
        evicted: uint(StoreAttr::Evicted),
        reclaimed: uint(StoreAttr::Reclaimed),
        rescued: uint(StoreAttr::Rescued),
        refused: uint(StoreAttr::Refused),
        hits: uint(StoreAttr::Hits),
        misses: uint(StoreAttr::Misses),
    }
}

fn feed(attrs: &Attrs) -> Option<Feed> {
    let uint = |kind| attrs.uint(kind).unwrap_or(0);
    Some(Feed {
        id: attrs.array(FeedAttr::Id)?,
        name: attrs.array(FeedAttr::Name),
        epoch: attrs.u32(FeedAttr::Epoch),
        entries: uint(FeedAttr::Length),
        time: uint(FeedAttr::Time),
        next_by: uint(FeedAttr::NextBy),
        age: attrs.uint(FeedAttr::Age),
        hops: attrs.u32(FeedAttr::Hops).unwrap_or(0),
        own: attrs.flag(FeedAttr::Flags, spec::FEED_OWN),
        shared: attrs.flag(FeedAttr::Flags, spec::FEED_SHARED),
        forked: attrs.flag(FeedAttr::Flags, spec::FEED_FORKED),
        closed: attrs.flag(FeedAttr::Flags, spec::FEED_FINAL),
        sockets: attrs.u32(FeedAttr::Sockets).unwrap_or(0),
    })
}

fn counter(attrs: &Attrs) -> Option<Counter> {
    Some(Counter {
        name: attrs.text(CounterAttr::Name)?,
        drop: attrs.u32(CounterAttr::Kind) == Some(spec::KIND_DROP),
        value: attrs.uint(CounterAttr::Value)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port__from_an_answer() {
        let answer = Message::new(Command::PortGet)
            .u32(PortAttr::Ifindex, 3)
            .bytes(PortAttr::Ifname, b"eth0\0")
            .bytes(PortAttr::Mac, &[2, 0, 0, 0, 0, 1])
            .u32(PortAttr::Mtu, 1500)
            .u32(PortAttr::Flags, 1)
            // The family's `uint` comes in 32 bits where these do, in 64 else.
            .u32(PortAttr::RxFrames, 7)
            .u64(PortAttr::TxBytes, 1 << 40);
        let port = port(&answer.attrs()).unwrap();
        assert_eq!(
            (port.ifindex, port.name.as_str(), port.mtu, port.up),
            (3, "eth0", 1500, true)
        );
        assert_eq!(
            (port.received.frames, port.sent.bytes, port.sent.drops),
            (7, 1 << 40, 0)
        );
    }

    #[test]
    fn feed__without_a_head() {
        let answer = Message::new(Command::FeedGet)
            .bytes(FeedAttr::Id, &[7; 32])
            .u32(FeedAttr::Flags, 2);
        let feed = feed(&answer.attrs()).unwrap();
        assert_eq!((feed.name, feed.epoch, feed.entries), (None, None, 0));
        assert_eq!(
            (feed.own, feed.shared, feed.forked, feed.closed),
            (false, true, false, false)
        );
    }

    #[test]
    fn route__the_default_has_no_id() {
        let answer = Message::new(Command::RouteGet)
            .u32(RouteAttr::Ifindex, 3)
            .u32(RouteAttr::Flags, 1);
        let route = route(&answer.attrs()).unwrap();
        assert_eq!(
            (route.id, route.via, route.cost, route.demoted),
            (None, None, 0, true)
        );
    }
}
