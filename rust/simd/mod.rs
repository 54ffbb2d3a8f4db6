// SPDX-License-Identifier: GPL-2.0

//! Vector code: who may use the FPU, and BLAKE3 over many chunks or messages at once.

mod fpu;
#[cfg(all(CONFIG_KUNIT = "y", not(feed_bench)))]
mod kunit;

pub(crate) mod blake3;
#[cfg(not(feed_bench))]
pub(crate) mod many;
