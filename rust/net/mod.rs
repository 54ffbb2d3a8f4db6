// SPDX-License-Identifier: GPL-2.0

//! The network stack as safe Rust: what the kernel crate lacks of it.
//!
//! Outside of this directory nothing that concerns the network needs `unsafe`. Files stand in the
//! order in which a frame meets them: namespace, device, port, buffer; then what steers them.

pub(crate) mod cut;
pub(crate) mod device;
pub(crate) mod errno;
pub(crate) mod genl;
pub(crate) mod hook;
pub(crate) mod namespace;
#[expect(clippy::module_inception, reason = "C calls a namespace `struct net`")]
pub(crate) mod net;
pub(crate) mod notifier;
mod pages;
mod pipe;
pub(crate) mod random;
pub(crate) mod skb;
pub(crate) mod sock;
pub(crate) mod softirq;
pub(crate) mod tracepoint;
