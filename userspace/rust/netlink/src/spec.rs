// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Numbers of include/feed.yaml: commands, and attributes of each set.

pub(crate) const FAMILY: &str = "feed";
pub(crate) const VERSION: u8 = 1;

pub(crate) mod cmd {
    pub(crate) const PORT_ADD: u8 = 1;
    pub(crate) const PORT_DEL: u8 = 2;
    pub(crate) const PORT_GET: u8 = 3;
    pub(crate) const ROUTE_ADD: u8 = 4;
    pub(crate) const ROUTE_DEL: u8 = 5;
    pub(crate) const ROUTE_FLUSH: u8 = 6;
    pub(crate) const ROUTE_GET: u8 = 7;
    pub(crate) const STORE_GET: u8 = 8;
    pub(crate) const STORE_SET: u8 = 9;
    pub(crate) const STORE_FLUSH: u8 = 10;
    pub(crate) const ROLE_GET: u8 = 11;
    pub(crate) const ROLE_SET: u8 = 12;
    pub(crate) const SHARE_ADD: u8 = 13;
    pub(crate) const SHARE_DEL: u8 = 14;
    pub(crate) const SHARE_GET: u8 = 15;
    pub(crate) const FEED_GET: u8 = 16;
    pub(crate) const STATS_GET: u8 = 17;
}

pub(crate) mod port {
    pub(crate) const IFINDEX: u16 = 1;
    pub(crate) const IFNAME: u16 = 2;
    pub(crate) const MAC: u16 = 3;
    pub(crate) const MTU: u16 = 4;
    pub(crate) const UP: u16 = 5;
}

pub(crate) mod route {
    pub(crate) const NAME: u16 = 1;
    pub(crate) const IFINDEX: u16 = 2;
    pub(crate) const MAC: u16 = 3;
    pub(crate) const COST: u16 = 4;
}

pub(crate) mod store {
    pub(crate) const LIMIT: u16 = 1;
    pub(crate) const USED: u16 = 2;
    pub(crate) const PINNED: u16 = 3;
}

pub(crate) mod role {
    pub(crate) const ROLE: u16 = 1;

    pub(crate) const HOST: u32 = 0;
    pub(crate) const CACHE: u32 = 1;
}

pub(crate) mod share {
    pub(crate) const NAME: u16 = 1;
}

pub(crate) mod feed {
    pub(crate) const ID: u16 = 1;
    pub(crate) const NAME: u16 = 2;
    pub(crate) const EPOCH: u16 = 3;
    pub(crate) const N: u16 = 4;
    pub(crate) const TIME: u16 = 5;
    pub(crate) const NEXT_BY: u16 = 6;
    pub(crate) const FLAGS: u16 = 7;

    pub(crate) const OWN: u32 = 1 << 0;
    pub(crate) const SHARED: u32 = 1 << 1;
    pub(crate) const FORK: u32 = 1 << 2;
    pub(crate) const FINAL: u32 = 1 << 3;
}

pub(crate) mod counter {
    pub(crate) const NAME: u16 = 1;
    pub(crate) const VALUE: u16 = 2;
}
