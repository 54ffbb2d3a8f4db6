// SPDX-License-Identifier: GPL-2.0

//! What the engine tells, for those who trace. Context: any.

use crate::net::tracepoint;
use feed_core::{
    engine::Proved,
    wire::{
        FRAME_HEADER_LEN,
        TYPE_BLOB_DATA,
        TYPE_BLOB_PAGE,
        TYPE_BLOB_PATH,
        TYPE_CONS,
        TYPE_ENTRY,
        TYPE_FOLLOW,
        TYPE_GRANT,
        TYPE_HEAD,
        TYPE_LOOKUP_BLOB,
        TYPE_LOOKUP_CONS,
        TYPE_LOOKUP_HEAD,
        TYPE_LOOKUP_RANGE,
        TYPE_PAGE,
        TYPE_PATH,
        TYPE_REFUSAL, //
    },
    Drop, //
};

/// Where the discovery id stands in a frame that begins with a lookup.
const LOOKUP_ID: usize = FRAME_HEADER_LEN + 24;

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

/// A frame is sent: `linear` and `payload` bytes of the store behind it.
#[inline]
pub(crate) fn sent(port: u32, mac: &[u8; 6], linear: &[u8], payload: u32) {
    if tracepoint::sending() {
        describe(port, mac, linear, payload);
    }
}

#[cold]
fn describe(port: u32, mac: &[u8; 6], linear: &[u8], payload: u32) {
    let (what, is_lookup) = match linear.get(FRAME_HEADER_LEN).copied() {
        Some(TYPE_LOOKUP_HEAD) => ("head", true),
        Some(TYPE_LOOKUP_RANGE) => ("range", true),
        Some(TYPE_LOOKUP_CONS) => ("cons", true),
        Some(TYPE_LOOKUP_BLOB) => ("blob", true),
        Some(TYPE_FOLLOW) => ("follow", true),
        Some(TYPE_REFUSAL) => ("refusal", false),
        Some(TYPE_HEAD) => ("head", false),
        Some(TYPE_GRANT) => ("grant", false),
        Some(TYPE_CONS) => ("cons", false),
        Some(TYPE_PATH) => ("path", false),
        Some(TYPE_PAGE) => ("page", false),
        Some(TYPE_ENTRY) => ("entry", false),
        Some(TYPE_BLOB_PATH) => ("blob-path", false),
        Some(TYPE_BLOB_PAGE) => ("blob-page", false),
        Some(TYPE_BLOB_DATA) => ("blob-data", false),
        _ => return,
    };
    if is_lookup {
        let id = linear.get(LOOKUP_ID..).and_then(|rest| rest.first_chunk());
        if let Some(id) = id {
            tracepoint::lookup(what, port, mac, id);
        }
    } else {
        tracepoint::answer(what, port, mac, linear.len() as u32 + payload);
    }
}

/// Two valid heads of a feed exclude each other.
#[inline]
pub(crate) fn forked(feed: &[u8; 32]) {
    tracepoint::fork(feed);
}
