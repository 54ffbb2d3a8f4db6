// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Ports, routes, store, role, shares, feeds and counters of this node.

use std::fmt;

use feed::Name;
use feed_netlink::{Client, RouteRequest, Traffic};
use serde::Serialize;

use crate::args::{FeedArg, Mac, RouteTarget};
use crate::cli::{
    Feed, Port, Role, RoleName, Route, RouteArgs, RouteWords, Share, Stats, Store, StoreSetting,
};
use crate::failure::{Failure, Result};
use crate::output::{Hex, Output};

/// How a feed is shown: by its name where the node knows it.
fn feed_text(name: Option<[u8; 32]>, id: &[u8; 32]) -> String {
    match name {
        Some(name) => Name(name).to_string(),
        None => format!("id:{}", Hex(id)),
    }
}

/// `port`
pub fn port(command: &Port, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Port::Add { dev } => Ok(client.add_port(dev)?),
        Port::Del { dev } => Ok(client.del_port(dev)?),
        Port::Show => {
            let mut ports = client.ports()?;
            ports.sort_by_key(|port| port.ifindex);
            ports
                .into_iter()
                .try_for_each(|port| output.show(&PortRow::from(port)))
        }
    }
}

#[derive(Serialize)]
struct PortRow {
    ifindex: u32,
    dev: String,
    mac: String,
    mtu: u32,
    up: bool,
    rx: TrafficRow,
    tx: TrafficRow,
}

#[derive(Serialize)]
struct TrafficRow {
    frames: u64,
    bytes: u64,
    drops: u64,
}

impl From<Traffic> for TrafficRow {
    fn from(of: Traffic) -> TrafficRow {
        TrafficRow {
            frames: of.frames,
            bytes: of.bytes,
            drops: of.drops,
        }
    }
}

impl From<feed_netlink::Port> for PortRow {
    fn from(port: feed_netlink::Port) -> PortRow {
        PortRow {
            ifindex: port.ifindex,
            mac: Mac(port.mac).to_string(),
            mtu: port.mtu,
            up: port.up,
            rx: port.received.into(),
            tx: port.sent.into(),
            dev: port.name,
        }
    }
}

impl fmt::Display for PortRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.up { "up" } else { "down" };
        writeln!(
            f,
            "{}: {} mtu {} mac {} {state}",
            self.ifindex, self.dev, self.mtu, self.mac
        )?;
        for (word, of) in [("rx", &self.rx), ("tx", &self.tx)] {
            writeln!(
                f,
                "    {word} frames {} bytes {} drops {}",
                of.frames, of.bytes, of.drops
            )?;
        }
        Ok(())
    }
}

/// `route`
pub fn route(command: &Route, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Route::Add(args) => {
            let request = request(args)?;
            if request.dev.is_none() {
                return Err(Failure::Said(
                    "a route needs a port: add dev DEV".to_owned(),
                ));
            }
            Ok(client.add_route(&request)?)
        }
        Route::Del(args) => {
            let request = request(args)?;
            if request.cost.is_some() {
                return Err(Failure::Said(
                    "a route is taken away by its feed, dev and via; leave out cost".to_owned(),
                ));
            }
            Ok(client.del_route(&request)?)
        }
        Route::Flush => Ok(client.flush_routes()?),
        Route::Show => {
            let feeds = client.feeds()?;
            let name = |id| {
                feeds
                    .iter()
                    .find(|feed| feed.id == id)
                    .and_then(|feed| feed.name)
            };
            let mut routes = client.routes()?;
            // Feeds first, then the default: the order in which they are looked at.
            routes.sort_by_key(|route| (route.id.is_none(), route.id, route.cost));
            routes.into_iter().try_for_each(|route| {
                output.show(&RouteRow {
                    feed: route
                        .id
                        .map_or_else(|| "default".to_owned(), |id| feed_text(name(id), &id)),
                    dev: route.dev,
                    via: route.via.map(|mac| Mac(mac).to_string()),
                    cost: route.cost,
                    demoted: route.demoted,
                })
            })
        }
    }
}

fn request(args: &RouteArgs) -> Result<RouteRequest> {
    let words = RouteWords::parse(&args.words).map_err(Failure::Said)?;
    Ok(RouteRequest {
        feed: match args.target {
            RouteTarget::Default => None,
            RouteTarget::Feed(FeedArg(which)) => Some(which),
        },
        dev: words.dev,
        via: words.via.map(|mac| mac.0),
        cost: words.cost,
    })
}

#[derive(Serialize)]
struct RouteRow {
    feed: String,
    dev: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    cost: u32,
    demoted: bool,
}

impl fmt::Display for RouteRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.feed, self.dev)?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        write!(f, " cost {}", self.cost)?;
        writeln!(f, "{}", if self.demoted { " demoted" } else { "" })
    }
}

/// `store`
pub fn store(command: &Store, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Store::Set {
            what: StoreSetting::Limit,
            size,
        } => Ok(client.set_store_limit(size.0)?),
        Store::Set {
            what: StoreSetting::Cap,
            size,
        } => Ok(client.set_store_cap(size.0)?),
        Store::Flush => Ok(client.flush_store()?),
        Store::Show => {
            let store = client.store()?;
            let figures = [
                ("limit", store.limit),
                ("cap", store.cap),
                ("used", store.used),
                ("live", store.live),
                ("pinned", store.pinned),
                ("resident", store.resident),
                ("index", store.index),
                ("segments", store.segments),
                ("entries", store.entries),
                ("evicted", store.evicted),
                ("reclaimed", store.reclaimed),
                ("rescued", store.rescued),
                ("refused", store.refused),
                ("hits", store.hits),
                ("misses", store.misses),
            ];
            output.show(&Table(
                figures.map(|(name, value)| Row::figure(name, value)).into(),
            ))
        }
    }
}

/// `stats`
pub fn stats(command: &Stats, output: Output) -> Result<()> {
    let Stats::Show { all } = command;
    let mut counters = Client::open()?.counters()?;
    counters.retain(|counter| *all || counter.value != 0);
    // What went well first, then the reasons for drops.
    counters.sort_by_key(|counter| counter.drop);
    let rows = counters.into_iter().map(|counter| Row {
        name: counter.name,
        value: counter.value,
        note: if counter.drop { "drop" } else { "" },
    });
    output.show(&Table(rows.collect()))
}

/// Named numbers: one object in JSON, one line each for people.
struct Table(Vec<Row>);

struct Row {
    name: String,
    value: u64,
    /// Said behind the number, for people.
    note: &'static str,
}

impl Row {
    fn figure(name: &str, value: u64) -> Row {
        Row {
            name: name.to_owned(),
            value,
            note: "",
        }
    }
}

impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|row| (&row.name, row.value)))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|row| row.name.len()).max().unwrap_or(0);
        self.0.iter().try_for_each(|Row { name, value, note }| {
            let line = format!("{name:names$}  {value} {note}");
            writeln!(f, "{}", line.trim_end())
        })
    }
}

/// `role`
pub fn role(command: &Role, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Role::Set {
            role: RoleName::Host,
        } => Ok(client.set_role(feed_netlink::Role::Host)?),
        Role::Set {
            role: RoleName::Cache,
        } => Ok(client.set_role(feed_netlink::Role::Cache)?),
        Role::Show => output.show(&NodeRow::from(client.node()?)),
    }
}

#[derive(Serialize)]
struct NodeRow {
    role: &'static str,
    family: u16,
    ethertype: u16,
    group: String,
}

impl From<feed_netlink::Node> for NodeRow {
    fn from(node: feed_netlink::Node) -> NodeRow {
        NodeRow {
            role: match node.role {
                feed_netlink::Role::Host => "host",
                feed_netlink::Role::Cache => "cache",
            },
            family: node.family,
            ethertype: node.ethertype,
            group: Mac(node.group).to_string(),
        }
    }
}

impl fmt::Display for NodeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.role)?;
        writeln!(
            f,
            "    family {} ethertype {:#06x} group {}",
            self.family, self.ethertype, self.group
        )
    }
}

/// `share`
pub fn share(command: &Share, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Share::Add { feed } => Ok(client.add_share(feed.0)?),
        Share::Del { feed } => Ok(client.del_share(feed.0)?),
        Share::Show => show_feeds(&mut client, output, |feed| feed.shared),
    }
}

/// `feed ls`
pub fn feeds(Feed::Ls: &Feed, output: Output) -> Result<()> {
    show_feeds(&mut Client::open()?, output, |_| true)
}

fn show_feeds(
    client: &mut Client,
    output: Output,
    wanted: fn(&feed_netlink::Feed) -> bool,
) -> Result<()> {
    let mut feeds = client.feeds()?;
    feeds.retain(wanted);
    feeds.sort_by_key(|feed| (feed.name.is_none(), feed.name, feed.id));
    feeds
        .iter()
        .try_for_each(|feed| output.show(&FeedRow::from(feed)))
}

#[derive(Serialize)]
struct FeedRow<'a> {
    feed: String,
    id: Hex<'a>,
    entries: u64,
    /// Absent while no head is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    time: u64,
    next_by: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<u64>,
    hops: u32,
    own: bool,
    shared: bool,
    r#final: bool,
    forked: bool,
    sockets: u32,
}

impl<'a> From<&'a feed_netlink::Feed> for FeedRow<'a> {
    fn from(feed: &'a feed_netlink::Feed) -> FeedRow<'a> {
        FeedRow {
            feed: feed_text(feed.name, &feed.id),
            id: Hex(&feed.id),
            entries: feed.entries,
            epoch: feed.epoch,
            time: feed.time,
            next_by: feed.next_by,
            age: feed.age,
            hops: feed.hops,
            own: feed.own,
            shared: feed.shared,
            r#final: feed.closed,
            forked: feed.forked,
            sockets: feed.sockets,
        }
    }
}

impl fmt::Display for FeedRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.feed)?;
        match self.epoch {
            Some(epoch) => write!(
                f,
                " entries {} epoch {epoch} hops {}",
                self.entries, self.hops
            )?,
            None => write!(f, " no head")?,
        }
        if self.sockets != 0 {
            write!(f, " sockets {}", self.sockets)?;
        }
        let marks = [
            (self.own, "own"),
            (self.shared, "shared"),
            (self.r#final, "final"),
            (self.forked, "FORKED"),
        ];
        for (_, word) in marks.into_iter().filter(|(set, _)| *set) {
            write!(f, " {word}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use feed_netlink::Which;

    use super::*;

    #[test]
    fn table__both_forms() {
        let table = Table(vec![
            Row::figure("verified", 3),
            Row {
                note: "drop",
                ..Row::figure("fork", 10)
            },
        ]);
        assert_eq!(table.to_string(), "verified  3\nfork      10 drop\n");
        assert_eq!(
            serde_json::to_string(&table).unwrap(),
            r#"{"verified":3,"fork":10}"#
        );
    }

    #[test]
    fn feed_row__both_forms() {
        let row = FeedRow {
            feed: "id:07".to_owned(),
            id: Hex(&[7]),
            entries: 0,
            epoch: None,
            time: 0,
            next_by: 0,
            age: None,
            hops: 0,
            own: false,
            shared: true,
            r#final: false,
            forked: false,
            sockets: 2,
        };
        assert_eq!(row.to_string(), "id:07 no head sockets 2 shared\n");
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(
            (json.get("epoch"), &json["shared"], &json["id"]),
            (None, &true.into(), &"07".into())
        );
    }

    #[test]
    fn feed_text__can_be_typed_again() {
        assert_eq!(
            feed_text(None, &[7; 32]).parse(),
            Ok(FeedArg(Which::Id([7; 32])))
        );
        assert_eq!(
            feed_text(Some([8; 32]), &[7; 32]).parse(),
            Ok(FeedArg(Which::Name([8; 32])))
        );
    }
}
