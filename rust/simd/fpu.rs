// SPDX-License-Identifier: GPL-2.0

//! The right to use vector registers.

use feed_bindings as bindings;
use kernel::{
    sync::atomic::{
        ordering::Relaxed,
        Atomic, //
    },
    types::NotThreadSafe, //
};

/// The widest vector code that this machine runs well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// Four lanes.
    Sse41,
    /// Eight lanes.
    Avx2,
    /// Sixteen lanes.
    Avx512,
}

impl Level {
    /// `None` where only scalar code may run. Context: any.
    pub(super) fn of_machine() -> Option<Self> {
        const UNKNOWN: u32 = u32::MAX;
        static FOUND: Atomic<u32> = Atomic::new(UNKNOWN);

        // Two CPUs may both find out, and both find the same.
        let mut found = FOUND.load(Relaxed);
        if found == UNKNOWN {
            // SAFETY: It reads what the kernel found at boot.
            found = unsafe { bindings::simd_level() };
            FOUND.store(found, Relaxed);
        }
        match found {
            bindings::feed_simd_FEED_SIMD_SSE41 => Some(Self::Sse41),
            bindings::feed_simd_FEED_SIMD_AVX2 => Some(Self::Avx2),
            bindings::feed_simd_FEED_SIMD_AVX512 => Some(Self::Avx512),
            _ => None,
        }
    }
}

/// While it lives, vector registers are ours on this CPU: keep it short, do not sleep.
///
/// # Invariants
///
/// Made by `kernel_fpu_begin()` on this CPU and not ended yet.
pub(super) struct Fpu(NotThreadSafe);

impl Fpu {
    /// `None` if they are in use already, by whom this softirq interrupted. Context: any.
    pub(super) fn begin() -> Option<Self> {
        // SAFETY: It looks at this CPU's state.
        if !unsafe { bindings::fpu_usable() } {
            return None;
        }
        // SAFETY: It is usable. From here on neither preemption nor softirqs come between.
        unsafe { bindings::fpu_begin() };
        // INVARIANT: Just begun.
        Some(Self(NotThreadSafe))
    }
}

impl Drop for Fpu {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::fpu_end() };
    }
}
