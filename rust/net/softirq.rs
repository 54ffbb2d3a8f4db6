// SPDX-License-Identifier: GPL-2.0

//! Softirqs held off for a while.

use feed_bindings as bindings;
use kernel::types::NotThreadSafe;

/// While this exists no softirq runs on this processor; what was raised meanwhile runs at its end.
///
/// # Invariants
///
/// The current task has them off once for each object.
pub(crate) struct Off(NotThreadSafe);

impl Off {
    /// Context: process.
    pub(crate) fn new() -> Self {
        // SAFETY: May be called from process context.
        unsafe { bindings::local_bh_disable() };
        // INVARIANT: As just done.
        Self(NotThreadSafe)
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::local_bh_enable() };
    }
}
