// SPDX-License-Identifier: GPL-2.0

//! The machine's processors.

use feed_bindings as bindings;

/// How many are at work now. Context: any.
pub(crate) fn online() -> usize {
    // SAFETY: Only reads a counter.
    unsafe { bindings::num_online_cpus() as usize }
}
