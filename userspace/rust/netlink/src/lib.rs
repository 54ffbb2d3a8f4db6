// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Sets up a node of `AF_FEED` and asks for its figures, by the generic netlink family `feed`.
//!
//! The family is specified in include/feed.yaml. Changes need `CAP_NET_ADMIN`; everything is of the
//! network namespace of the calling thread.
//!
//! ```no_run
//! let mut client = feed_netlink::Client::open()?;
//! client.add_port("eth0")?;
//! for port in client.ports()? {
//!     println!("{} mtu {}", port.name, port.mtu);
//! }
//! # Ok::<(), feed_netlink::Error>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]
#![cfg_attr(test, allow(non_snake_case))]

mod client;
mod connection;
mod device;
mod error;
mod message;
mod spec;
mod types;

pub use client::Client;
pub use error::{Error, Result};
pub use types::{Counter, Feed, Node, Port, Role, Route, RouteRequest, Store, Traffic, Which};
