// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Numbers of include/feed.yaml: commands, attributes of each set, values.

pub(crate) const FAMILY: &str = "feed";
pub(crate) const VERSION: u8 = 1;

/// A list of the specification, in its order, which counts from 1.
macro_rules! list {
    ($(#[$doc:meta])* $name:ident: $type:ty { $first:ident $($rest:ident)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr($type)]
        #[allow(dead_code, reason = "the list is whole, or it would count wrongly")]
        pub(crate) enum $name { $first = 1, $($rest,)* }

        impl From<$name> for $type {
            fn from(item: $name) -> $type {
                item as $type
            }
        }

        #[cfg(test)]
        impl $name {
            const NAMES: &'static [&'static str] = &[stringify!($first), $(stringify!($rest)),*];
        }
    };
}

list! {
    /// `operations`
    Command: u8 {
        PortAdd PortDel PortGet RouteAdd RouteDel RouteGet NodeGet RoleSet ShareAdd ShareDel FeedGet
        StoreGet StoreSet StoreFlush StatsGet
    }
}
list! {
    /// `port`
    PortAttr: u16 {
        Ifindex Ifname Mac Mtu Flags RxFrames RxBytes RxDrops TxFrames TxBytes TxDrops
    }
}
list! {
    /// `route`
    RouteAttr: u16 { Id Name Ifindex Mac Cost Flags }
}
list! {
    /// `node`
    NodeAttr: u16 { Role Family Ethertype Group }
}
list! {
    /// `store`
    StoreAttr: u16 {
        Limit Cap Used Live Pinned Resident Index Segments Entries Evicted Reclaimed Rescued Refused
        Hits Misses
    }
}
list! {
    /// `feed`
    FeedAttr: u16 { Id Name Epoch Length Time NextBy Age Hops Flags Sockets }
}
list! {
    /// `counter`
    CounterAttr: u16 { Name Kind Value }
}

/// `role`
pub(crate) const ROLE_HOST: u32 = 0;
pub(crate) const ROLE_CACHE: u32 = 1;

/// `port-flags`
pub(crate) const PORT_UP: u32 = 1 << 0;

/// `route-flags`
pub(crate) const ROUTE_DEMOTED: u32 = 1 << 0;

/// `feed-flags`
pub(crate) const FEED_OWN: u32 = 1 << 0;
pub(crate) const FEED_SHARED: u32 = 1 << 1;
pub(crate) const FEED_FORKED: u32 = 1 << 2;
pub(crate) const FEED_FINAL: u32 = 1 << 3;

/// `counter-kind`
pub(crate) const KIND_DROP: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = include_str!("../../../../include/feed.yaml");

    /// The lines of the specification below a top-level key.
    fn part(key: &str) -> Vec<&'static str> {
        let mut lines = SPEC
            .lines()
            .skip_while(|line| line.trim_end() != format!("{key}:"));
        lines.next().unwrap();
        lines
            .take_while(|line| line.starts_with(' ') || line.is_empty())
            .collect()
    }

    /// `name:` at an indentation.
    fn names(lines: &[&'static str], indent: usize) -> Vec<&'static str> {
        let prefix = format!("{}name: ", " ".repeat(indent));
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect()
    }

    /// The lines of one named thing of a list whose names stand at `indent`.
    fn named(lines: &[&'static str], indent: usize, name: &str) -> Vec<&'static str> {
        let heading = format!("{}name: {name}", " ".repeat(indent));
        let begin = lines.iter().position(|line| *line == heading).unwrap() + 1;
        let next = format!("{}-", " ".repeat(indent - 2));
        lines[begin..]
            .iter()
            .copied()
            .take_while(|line| *line != next)
            .collect()
    }

    fn kebab(camel: &str) -> String {
        let mut out = String::new();
        for c in camel.chars() {
            if c.is_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.extend(c.to_lowercase());
        }
        out
    }

    fn assert_list(ours: &[&str], theirs: &[&str]) {
        assert_eq!(
            ours.iter().map(|name| kebab(name)).collect::<Vec<_>>(),
            theirs
        );
    }

    #[test]
    fn spec__commands() {
        assert_list(Command::NAMES, &names(&part("operations"), 6));
    }

    #[test]
    fn spec__attributes() {
        let sets = part("attribute-sets");
        let lists = [
            ("port", PortAttr::NAMES),
            ("route", RouteAttr::NAMES),
            ("node", NodeAttr::NAMES),
            ("store", StoreAttr::NAMES),
            ("feed", FeedAttr::NAMES),
            ("counter", CounterAttr::NAMES),
        ];
        assert_eq!(names(&sets, 4), lists.map(|(set, _)| set));
        for (set, ours) in lists {
            assert_list(ours, &names(&named(&sets, 4, set), 8));
        }
    }

    #[test]
    fn spec__values() {
        let definitions = part("definitions");
        let entries = |name| names(&named(&definitions, 4, name), 8);
        let at = |list: &[&str], name| list.iter().position(|entry| *entry == name).unwrap();
        assert_eq!(at(&entries("role"), "host") as u32, ROLE_HOST);
        assert_eq!(at(&entries("role"), "cache") as u32, ROLE_CACHE);
        assert_eq!(1 << at(&entries("port-flags"), "up"), PORT_UP);
        assert_eq!(1 << at(&entries("route-flags"), "demoted"), ROUTE_DEMOTED);
        let flags = entries("feed-flags");
        for (name, bit) in [
            ("own", FEED_OWN),
            ("shared", FEED_SHARED),
            ("forked", FEED_FORKED),
            ("final", FEED_FINAL),
        ] {
            assert_eq!(1 << at(&flags, name), bit, "{name}");
        }
        assert_eq!(at(&entries("counter-kind"), "drop") as u32, KIND_DROP);
    }
}
