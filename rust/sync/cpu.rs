// SPDX-License-Identifier: GPL-2.0

//! The machine's processors.

use feed_bindings as bindings;
use kernel::cpu::CpuId;

/// How many are at work now. Context: any.
pub(crate) fn online() -> usize {
    // SAFETY: Only reads a counter.
    unsafe { bindings::num_online_cpus() as usize }
}

/// The number of the one that this runs on. Context: any; with softirqs off it stays the same.
#[inline]
pub(crate) fn current() -> usize {
    CpuId::current().as_u32() as usize
}
