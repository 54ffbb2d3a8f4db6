// SPDX-License-Identifier: GPL-2.0

//! The two clocks that the engine reads. Context: any.

use kernel::time::{
    ClockSource,
    Monotonic,
    RealTime, //
};

/// Microseconds since boot without the time spent suspended: the engine's `now`, and what a
/// [`Timer`](super::Timer) is armed with.
#[inline]
pub(crate) fn monotonic_us() -> u64 {
    Monotonic::ktime_get().unsigned_abs() / 1_000
}

/// Milliseconds of the real-time clock since 1970. Says nothing about whether it was ever set.
#[inline]
pub(crate) fn real_ms() -> u64 {
    u64::try_from(RealTime::ktime_get()).unwrap_or(0) / 1_000_000
}
