// SPDX-License-Identifier: GPL-2.0

//! What this module shares with feed.ko: files of rust/net, compiled once more, for feed.ko exports
//! nothing.
#![expect(dead_code, reason = "most of it is for feed.ko")]

#[path = "../net/device.rs"]
pub(crate) mod device;
#[path = "../net/fixed.rs"]
mod fixed;
#[path = "../net/hook.rs"]
pub(crate) mod hook;
#[path = "../net/net.rs"]
#[expect(clippy::module_inception, reason = "as in rust/net")]
pub(crate) mod net;
#[path = "../net/skb.rs"]
pub(crate) mod skb;
#[path = "../net/softirq.rs"]
pub(crate) mod softirq;
