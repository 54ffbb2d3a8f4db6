// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! One method for each operation of the family.

use crate::connection::Connection;
use crate::device::Devices;
use crate::error::Result;
use crate::message::{Attrs, Message};
use crate::spec::{self, cmd};
use crate::types::{Counter, Feed, Port, Role, Route, Store};

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
        let answers = self
            .connection
            .dump(Message::new(cmd::PORT_GET), "list the ports")?;
        Ok(answers
            .iter()
            .filter_map(|answer| port(&answer.attrs()))
            .collect())
    }

    /// Asks and answers on `dev` from now on.
    pub fn add_port(&mut self, dev: &str) -> Result<()> {
        let message =
            Message::new(cmd::PORT_ADD).u32(spec::port::IFINDEX, self.devices.index(dev)?);
        self.connection.request(message, "add the port").map(drop)
    }

    /// Leaves `dev` alone.
    pub fn del_port(&mut self, dev: &str) -> Result<()> {
        let message =
            Message::new(cmd::PORT_DEL).u32(spec::port::IFINDEX, self.devices.index(dev)?);
        self.connection
            .request(message, "take the port away")
            .map(drop)
    }

    /// Where lookups go.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let answers = self
            .connection
            .dump(Message::new(cmd::ROUTE_GET), "list the routes")?;
        Ok(answers
            .iter()
            .filter_map(|answer| self.route(&answer.attrs()))
            .collect())
    }

    fn route(&self, attrs: &Attrs) -> Option<Route> {
        Some(Route {
            feed: attrs.array(spec::route::NAME),
            dev: self.devices.name(attrs.u32(spec::route::IFINDEX)?),
            via: attrs.array(spec::route::MAC),
            cost: attrs.u32(spec::route::COST).unwrap_or(0),
        })
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: &Route) -> Result<()> {
        let message = route_key(Message::new(cmd::ROUTE_ADD), route.feed, route.via)
            .u32(spec::route::IFINDEX, self.devices.index(&route.dev)?)
            .u32(spec::route::COST, route.cost);
        self.connection.request(message, "add the route").map(drop)
    }

    /// Takes away the routes of `feed` that go to `dev` and `via`, where given.
    pub fn del_route(
        &mut self,
        feed: Option<[u8; 32]>,
        dev: Option<&str>,
        via: Option<[u8; 6]>,
    ) -> Result<()> {
        let mut message = route_key(Message::new(cmd::ROUTE_DEL), feed, via);
        if let Some(dev) = dev {
            message = message.u32(spec::route::IFINDEX, self.devices.index(dev)?);
        }
        self.connection
            .request(message, "take the route away")
            .map(drop)
    }

    /// Takes all routes away.
    pub fn flush_routes(&mut self) -> Result<()> {
        self.connection
            .request(Message::new(cmd::ROUTE_FLUSH), "take the routes away")
            .map(drop)
    }

    /// Figures of the store.
    pub fn store(&mut self) -> Result<Store> {
        let answer = self
            .connection
            .request(Message::new(cmd::STORE_GET), "ask for the store's figures")?;
        Ok(answer
            .map(|answer| store(&answer.attrs()))
            .unwrap_or_default())
    }

    /// Lets the store hold up to `bytes`.
    pub fn set_store_limit(&mut self, bytes: u64) -> Result<()> {
        let message = Message::new(cmd::STORE_SET).u64(spec::store::LIMIT, bytes);
        self.connection
            .request(message, "change the store's limit")
            .map(drop)
    }

    /// Drops everything but own feeds from the store.
    pub fn flush_store(&mut self) -> Result<()> {
        self.connection
            .request(Message::new(cmd::STORE_FLUSH), "empty the store")
            .map(drop)
    }

    /// Whom the node answers.
    pub fn role(&mut self) -> Result<Role> {
        let answer = self
            .connection
            .request(Message::new(cmd::ROLE_GET), "ask for the role")?;
        let number = answer.and_then(|answer| answer.attrs().u32(spec::role::ROLE));
        Ok(if number == Some(spec::role::CACHE) {
            Role::Cache
        } else {
            Role::Host
        })
    }

    /// Changes whom the node answers.
    pub fn set_role(&mut self, role: Role) -> Result<()> {
        let number = match role {
            Role::Host => spec::role::HOST,
            Role::Cache => spec::role::CACHE,
        };
        let message = Message::new(cmd::ROLE_SET).u32(spec::role::ROLE, number);
        self.connection
            .request(message, "change the role")
            .map(drop)
    }

    /// Names of the feeds of others that a host answers for.
    pub fn shares(&mut self) -> Result<Vec<[u8; 32]>> {
        let answers = self
            .connection
            .dump(Message::new(cmd::SHARE_GET), "list the shared feeds")?;
        Ok(answers
            .iter()
            .filter_map(|answer| answer.attrs().array(spec::share::NAME))
            .collect())
    }

    /// Answers for `feed` from now on.
    pub fn add_share(&mut self, feed: &[u8; 32]) -> Result<()> {
        let message = Message::new(cmd::SHARE_ADD).bytes(spec::share::NAME, feed);
        self.connection.request(message, "share the feed").map(drop)
    }

    /// Stops answering for `feed`.
    pub fn del_share(&mut self, feed: &[u8; 32]) -> Result<()> {
        let message = Message::new(cmd::SHARE_DEL).bytes(spec::share::NAME, feed);
        self.connection
            .request(message, "stop sharing the feed")
            .map(drop)
    }

    /// The feeds that the node knows.
    pub fn feeds(&mut self) -> Result<Vec<Feed>> {
        let answers = self
            .connection
            .dump(Message::new(cmd::FEED_GET), "list the feeds")?;
        Ok(answers
            .iter()
            .filter_map(|answer| feed(&answer.attrs()))
            .collect())
    }

    /// What was counted.
    pub fn counters(&mut self) -> Result<Vec<Counter>> {
        let answers = self
            .connection
            .dump(Message::new(cmd::STATS_GET), "ask for the counters")?;
        Ok(answers
            .iter()
            .filter_map(|answer| counter(&answer.attrs()))
            .collect())
    }
}

fn route_key(mut message: Message, feed: Option<[u8; 32]>, via: Option<[u8; 6]>) -> Message {
    if let Some(feed) = feed {
        message = message.bytes(spec::route::NAME, &feed);
    }
    if let Some(via) = via {
        message = message.bytes(spec::route::MAC, &via);
    }
    message
}

fn port(attrs: &Attrs) -> Option<Port> {
    Some(Port {
        ifindex: attrs.u32(spec::port::IFINDEX)?,
        name: attrs.text(spec::port::IFNAME).unwrap_or_default(),
        mac: attrs.array(spec::port::MAC).unwrap_or_default(),
        mtu: attrs.u32(spec::port::MTU).unwrap_or(0),
        up: attrs.u8(spec::port::UP) == Some(1),
    })
}

fn store(attrs: &Attrs) -> Store {
    Store {
        limit: attrs.uint(spec::store::LIMIT).unwrap_or(0),
        used: attrs.uint(spec::store::USED).unwrap_or(0),
        pinned: attrs.uint(spec::store::PINNED).unwrap_or(0),
        figures: Vec::new(),
    }
}

fn feed(attrs: &Attrs) -> Option<Feed> {
    let flags = attrs.u32(spec::feed::FLAGS).unwrap_or(0);
    Some(Feed {
        id: attrs.array(spec::feed::ID)?,
        name: attrs.array(spec::feed::NAME),
        epoch: attrs.u32(spec::feed::EPOCH).unwrap_or(0),
        entries: attrs.uint(spec::feed::N).unwrap_or(0),
        time: attrs.uint(spec::feed::TIME).unwrap_or(0),
        next_by: attrs.uint(spec::feed::NEXT_BY).unwrap_or(0),
        own: flags & spec::feed::OWN != 0,
        shared: flags & spec::feed::SHARED != 0,
        closed: flags & spec::feed::FINAL != 0,
        forked: flags & spec::feed::FORK != 0,
    })
}

fn counter(attrs: &Attrs) -> Option<Counter> {
    Some(Counter {
        name: attrs.text(spec::counter::NAME)?,
        value: attrs.uint(spec::counter::VALUE)?,
    })
}
