// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Ports, routes, store, role, shares, feeds and counters of this node.

use std::fmt;
use std::str::FromStr;

use feed::Name;
use feed_netlink::{Client, Counter, Route as RouteEntry};
use serde::Serialize;

use crate::cli::{
    Feed, Port, Role, RoleName, Route, RouteArgs, RouteWords, Share, Stats, Store, StoreSetting,
};
use crate::failure::{Failure, Result};
use crate::output::{Hex, Output};

/// A hardware address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Mac, String> {
        let wrong = || format!("{text:?} is no hardware address; write 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let two_digits =
                |part: &&str| part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit());
            let part = parts.next().filter(two_digits).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            Err(wrong())
        } else {
            Ok(Mac(bytes))
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Bytes, written with or without K, M, G, T (powers of 1024).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("{text:?} is no size; write bytes, or 512K, 64M, 2G");
        let plain = text.trim_end_matches("iB").trim_end_matches('B');
        let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match plain.get(digits.len()..) {
            Some("") => 0,
            Some("K" | "k") => 10,
            Some("M" | "m") => 20,
            Some("G" | "g") => 30,
            Some("T" | "t") => 40,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Size).ok_or_else(wrong)
    }
}

/// Whose lookups a route is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouteTarget {
    Default,
    Feed(Name),
}

impl RouteTarget {
    fn feed(self) -> Option<[u8; 32]> {
        match self {
            RouteTarget::Default => None,
            RouteTarget::Feed(name) => Some(name.0),
        }
    }
}

impl FromStr for RouteTarget {
    type Err = feed::Error;

    fn from_str(text: &str) -> Result<RouteTarget, feed::Error> {
        match text {
            "default" => Ok(RouteTarget::Default),
            _ => text.parse().map(RouteTarget::Feed),
        }
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
            ports.into_iter().try_for_each(|port| {
                output.show(&PortRow {
                    ifindex: port.ifindex,
                    mac: Mac(port.mac).to_string(),
                    dev: port.name,
                    mtu: port.mtu,
                    up: port.up,
                })
            })
        }
    }
}

#[derive(Serialize)]
struct PortRow {
    dev: String,
    ifindex: u32,
    mac: String,
    mtu: u32,
    up: bool,
}

impl fmt::Display for PortRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.up { "up" } else { "down" };
        writeln!(
            f,
            "{}: {} mtu {} mac {} {state}",
            self.ifindex, self.dev, self.mtu, self.mac
        )
    }
}

/// `route`
pub fn route(command: &Route, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Route::Add(args) => {
            let words = words(args)?;
            let Some(dev) = words.dev else {
                return Err(Failure::Said(
                    "a route needs a port: add dev DEV".to_owned(),
                ));
            };
            let via = words.via.map(|mac| mac.0);
            let cost = words.cost.unwrap_or(0);
            Ok(client.add_route(&RouteEntry {
                feed: args.target.feed(),
                dev,
                via,
                cost,
            })?)
        }
        Route::Del(args) => {
            let words = words(args)?;
            if words.cost.is_some() {
                return Err(Failure::Said(
                    "a route is taken away by its feed, dev and via, not its cost".to_owned(),
                ));
            }
            Ok(client.del_route(
                args.target.feed(),
                words.dev.as_deref(),
                words.via.map(|mac| mac.0),
            )?)
        }
        Route::Flush => Ok(client.flush_routes()?),
        Route::Show => {
            let mut routes = client.routes()?;
            // Feeds first, then the default: the order in which they are looked at.
            routes.sort_by_key(|route| (route.feed.is_none(), route.feed, route.cost));
            routes.into_iter().try_for_each(|route| {
                output.show(&RouteRow {
                    feed: route
                        .feed
                        .map_or_else(|| "default".to_owned(), |name| Name(name).to_string()),
                    dev: route.dev,
                    via: route.via.map(|mac| Mac(mac).to_string()),
                    cost: route.cost,
                })
            })
        }
    }
}

fn words(args: &RouteArgs) -> Result<RouteWords> {
    RouteWords::parse(&args.words).map_err(Failure::Said)
}

#[derive(Serialize)]
struct RouteRow {
    feed: String,
    dev: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    cost: u32,
}

impl fmt::Display for RouteRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.feed, self.dev)?;
        if let Some(via) = &self.via {
            write!(f, " via {via}")?;
        }
        writeln!(f, " cost {}", self.cost)
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
        Store::Flush => Ok(client.flush_store()?),
        Store::Show => {
            let store = client.store()?;
            let mut rows = vec![
                Counter {
                    name: "limit".to_owned(),
                    value: store.limit,
                },
                Counter {
                    name: "used".to_owned(),
                    value: store.used,
                },
                Counter {
                    name: "pinned".to_owned(),
                    value: store.pinned,
                },
            ];
            rows.extend(store.figures);
            output.show(&Table(rows))
        }
    }
}

/// `stats`
pub fn stats(command: &Stats, output: Output) -> Result<()> {
    let Stats::Show { all } = command;
    let mut counters = Client::open()?.counters()?;
    counters.retain(|counter| *all || counter.value != 0);
    output.show(&Table(counters))
}

/// Counters: one object in JSON, one line each for people.
struct Table(Vec<Counter>);

impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|counter| (&counter.name, counter.value)))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .0
            .iter()
            .map(|counter| counter.name.len())
            .max()
            .unwrap_or(0);
        self.0
            .iter()
            .try_for_each(|Counter { name, value }| writeln!(f, "{name:width$}  {value}"))
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
        Role::Show => output.show(&RoleRow {
            role: match client.role()? {
                feed_netlink::Role::Host => "host",
                feed_netlink::Role::Cache => "cache",
            },
        }),
    }
}

#[derive(Serialize)]
struct RoleRow {
    role: &'static str,
}

impl fmt::Display for RoleRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.role)
    }
}

/// `share`
pub fn share(command: &Share, output: Output) -> Result<()> {
    let mut client = Client::open()?;
    match command {
        Share::Add { feed } => Ok(client.add_share(&feed.0)?),
        Share::Del { feed } => Ok(client.del_share(&feed.0)?),
        Share::Show => client.shares()?.into_iter().try_for_each(|name| {
            output.show(&ShareRow {
                feed: Name(name).to_string(),
            })
        }),
    }
}

#[derive(Serialize)]
struct ShareRow {
    feed: String,
}

impl fmt::Display for ShareRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.feed)
    }
}

/// `feed ls`
pub fn feeds(Feed::Ls: &Feed, output: Output) -> Result<()> {
    let mut feeds = Client::open()?.feeds()?;
    feeds.sort_by_key(|feed| (feed.name.is_none(), feed.name, feed.id));
    feeds
        .iter()
        .try_for_each(|feed| output.show(&FeedRow(feed)))
}

struct FeedRow<'a>(&'a feed_netlink::Feed);

impl Serialize for FeedRow<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            feed: Option<String>,
            id: Hex<'a>,
            entries: u64,
            epoch: u32,
            time: u64,
            next_by: u64,
            own: bool,
            shared: bool,
            r#final: bool,
            forked: bool,
        }
        let feed = self.0;
        Row {
            feed: feed.name.map(|name| Name(name).to_string()),
            id: Hex(&feed.id),
            entries: feed.entries,
            epoch: feed.epoch,
            time: feed.time,
            next_by: feed.next_by,
            own: feed.own,
            shared: feed.shared,
            r#final: feed.closed,
            forked: feed.forked,
        }
        .serialize(serializer)
    }
}

impl fmt::Display for FeedRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feed = self.0;
        match feed.name {
            Some(name) => write!(f, "{}", Name(name))?,
            None => write!(f, "id {}", Hex(&feed.id))?,
        }
        write!(f, " entries {} epoch {}", feed.entries, feed.epoch)?;
        let marks = [
            (feed.own, "own"),
            (feed.shared, "shared"),
            (feed.closed, "final"),
            (feed.forked, "FORKED"),
        ];
        for (_, word) in marks.into_iter().filter(|(set, _)| *set) {
            write!(f, " {word}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac__text() {
        let mac: Mac = "02:aB:00:ff:10:09".parse().unwrap();
        assert_eq!(mac.to_string(), "02:ab:00:ff:10:09");
        for bad in [
            "",
            "02:ab:00:ff:10",
            "02:ab:00:ff:10:09:01",
            "2:ab:00:ff:10:09",
            "02-ab-00-ff-10-09",
            "+2:ab:00:ff:10:09",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn size__units() {
        let parse = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        assert_eq!(parse("4096"), Some(4096));
        assert_eq!(parse("512K"), Some(512 << 10));
        assert_eq!(parse("64M"), Some(64 << 20));
        assert_eq!(parse("64MiB"), Some(64 << 20));
        assert_eq!(parse("2g"), Some(2 << 30));
        for bad in ["", "K", "1.5G", "-1", "lots", "5X", "1KM", "99999999999T"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn table__both_forms() {
        let table = Table(vec![
            Counter {
                name: "bad-signature".to_owned(),
                value: 3,
            },
            Counter {
                name: "fork".to_owned(),
                value: 10,
            },
        ]);
        assert_eq!(table.to_string(), "bad-signature  3\nfork           10\n");
        assert_eq!(
            serde_json::to_string(&table).unwrap(),
            r#"{"bad-signature":3,"fork":10}"#
        );
    }
}
