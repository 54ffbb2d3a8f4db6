// SPDX-License-Identifier: GPL-2.0

//! Random numbers that nobody outside can guess.

use feed_bindings as bindings;

/// A random number. Context: any.
#[inline]
pub(crate) fn number() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::get_random_u64() }
}
