// SPDX-License-Identifier: GPL-2.0

//! Softirqs held off for a while, or being in one.

use core::marker::PhantomData;
use feed_bindings as bindings;
use kernel::types::NotThreadSafe;

/// Somebody who has softirqs off on the processor, or is in one, as long as he exists.
///
/// # Safety
///
/// It must be so, and objects must stay on the processor where they were made.
pub(crate) unsafe trait SoftirqsOff {}

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

// SAFETY: By the type invariant; it stays with its task, and the task on its processor.
unsafe impl SoftirqsOff for Off {}

impl Drop for Off {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::local_bh_enable() };
    }
}

/// Being in a softirq, for `'a`.
///
/// # Invariants
///
/// It is so, and no other softirq runs on this processor meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl Inside<'_> {
    /// # Safety
    ///
    /// It must be so for the lifetime that is chosen.
    #[inline]
    pub(super) unsafe fn new() -> Self {
        // INVARIANT: The caller promises it.
        Self(PhantomData, NotThreadSafe)
    }
}

// SAFETY: By the type invariant.
unsafe impl SoftirqsOff for Inside<'_> {}
