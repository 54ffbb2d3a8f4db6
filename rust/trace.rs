// SPDX-License-Identifier: GPL-2.0

//! What the engine tells, for those who trace. Context: any.

use crate::net::tracepoint;
use feed_core::{
    engine::Proved,
    Drop, //
};

/// A frame, a message or a job was dropped.
#[inline]
pub(crate) fn dropped(port: u32, mac: &[u8; 6], reason: Drop) {
    tracepoint::drop(reason.as_str(), port, mac);
}

/// A signature or a hash was checked.
#[inline]
pub(crate) fn verified(what: Proved, ok: bool, feed: &[u8; 32], n: u64) {
    let what = match what {
        Proved::Head => "head",
        Proved::Grant => "grant",
        Proved::Entry => "entry",
        Proved::Page => "page",
        Proved::Cons => "cons",
        Proved::Window => "window",
        Proved::Chunk => "chunk",
    };
    tracepoint::verify(what, ok, feed, n);
}

/// Two valid heads of a feed exclude each other.
#[inline]
pub(crate) fn forked(feed: &[u8; 32]) {
    tracepoint::fork(feed);
}
