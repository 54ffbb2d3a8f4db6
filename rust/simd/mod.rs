// SPDX-License-Identifier: GPL-2.0

//! Vector code: who may use the FPU, and BLAKE3 over many chunks at once.

mod fpu;

pub(crate) mod blake3;
