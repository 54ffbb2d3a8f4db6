// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of include/trace/events/feed.h. Context: any.

use feed_bindings as bindings;

/// Something was checked.
#[inline]
pub(crate) fn verify(what: &'static str, ok: bool, feed: &[u8; 32], n: u64) {
    // SAFETY: The text has the length that is said, the feed the 32 bytes that are read.
    unsafe { bindings::feed_trace_verify(what.as_ptr().cast(), what.len(), ok, feed.as_ptr(), n) }
}

/// Something was dropped.
#[inline]
pub(crate) fn drop(reason: &'static str, ifindex: u32, mac: &[u8; 6]) {
    // SAFETY: The text has the length that is said, the address the 6 bytes that are read.
    unsafe {
        bindings::feed_trace_drop(
            reason.as_ptr().cast(),
            reason.len(),
            ifindex,
            mac.as_ptr(), //
        )
    }
}

/// Whether anybody wants to know what is sent.
#[inline]
pub(crate) fn sending() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::feed_trace_sending() }
}

/// A lookup is sent.
pub(crate) fn lookup(what: &'static str, ifindex: u32, mac: &[u8; 6], feed: &[u8; 32]) {
    // SAFETY: The text has the length that is said; 6 and 32 bytes are read.
    unsafe {
        bindings::feed_trace_lookup(
            what.as_ptr().cast(),
            what.len(),
            ifindex,
            mac.as_ptr(),
            feed.as_ptr(),
        )
    }
}

/// An answer or a refusal is sent.
pub(crate) fn answer(what: &'static str, ifindex: u32, mac: &[u8; 6], bytes: u32) {
    // SAFETY: The text has the length that is said; 6 bytes are read.
    unsafe {
        bindings::feed_trace_answer(
            what.as_ptr().cast(),
            what.len(),
            ifindex,
            mac.as_ptr(),
            bytes,
        )
    }
}

/// A feed has two heads that exclude each other.
#[inline]
pub(crate) fn fork(feed: &[u8; 32]) {
    // SAFETY: 32 bytes are read.
    unsafe { bindings::feed_trace_fork(feed.as_ptr()) }
}
