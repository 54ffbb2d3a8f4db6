// SPDX-License-Identifier: GPL-2.0

//! Random bytes.

use feed_bindings as bindings;

/// Fills `bytes` from the kernel's random generator. Context: any.
pub(crate) fn fill(bytes: &mut [u8]) {
    // SAFETY: The slice is valid for writes of its length.
    unsafe { bindings::get_random_bytes(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// A random number. Context: any.
#[inline]
pub(crate) fn number() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::get_random_u64() }
}
