// SPDX-License-Identifier: GPL-2.0

//! Memory that the engine borrows: vectors of the kernel, made in process context.

use crate::mm;
use feed_core::engine::{
    limits::Lend,
    Memory, //
};
use kernel::prelude::*;

/// Tables in kmalloc or vmalloc memory, whichever fits.
pub(crate) struct KernelMemory;

impl Memory for KernelMemory {
    type Of<T> = KVVec<T>;
}

/// Lends tables of default values, charged to the current task's memory control group.
///
/// Context: process, may sleep.
pub(crate) struct Lender;

impl Lend<KernelMemory> for Lender {
    type Error = Error;

    fn lend<T: Default>(&mut self, len: usize) -> Result<KVVec<T>> {
        mm::defaults(len)
    }
}
