// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The cookie: proof that a neighbour receives what we send to its address.
//!
//! Until a neighbour has echoed one, a single lookup grants it a single frame.

use crate::siphash::{siphash24, SipKey};

/// How long one cookie is given out, ms. It is taken for up to twice that time.
pub const COOKIE_PERIOD_MS: u64 = 300_000;

/// The cookie for a neighbour now. Never 0, which means "none" on the wire.
pub fn cookie(key: &SipKey, port: u32, mac: &[u8; 6], now_ms: u64) -> u64 {
    of_period(key, port, mac, now_ms.wrapping_div(COOKIE_PERIOD_MS))
}

/// Whether `echo` is the cookie of this period or the one before.
pub fn check(key: &SipKey, port: u32, mac: &[u8; 6], now_ms: u64, echo: u64) -> bool {
    echo == cookie(key, port, mac, now_ms) || is_last(key, port, mac, now_ms, echo)
}

/// Whether `echo` is the cookie of the period before this one.
pub fn is_last(key: &SipKey, port: u32, mac: &[u8; 6], now_ms: u64, echo: u64) -> bool {
    let period = now_ms.wrapping_div(COOKIE_PERIOD_MS);
    echo == of_period(key, port, mac, period.saturating_sub(1))
}

fn of_period(key: &SipKey, port: u32, mac: &[u8; 6], period: u64) -> u64 {
    siphash24(key, &[&port.to_le_bytes(), mac, &period.to_le_bytes()]).max(1)
}
