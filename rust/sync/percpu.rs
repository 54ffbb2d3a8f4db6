// SPDX-License-Identifier: GPL-2.0

//! What each processor has for itself: it takes no lock and no bus.

use crate::net::softirq::SoftirqsOff;
use core::ptr::NonNull;
use feed_bindings as bindings;
use kernel::prelude::*;

/// A number of counters, each with a word for every possible processor.
///
/// # Invariants
///
/// `words` is memory of `len` u64 for every possible processor, ours alone; all of it is read and
/// written as whole words.
pub(crate) struct Counters {
    words: NonNull<u64>,
    len: usize,
}

// SAFETY: The memory is of no thread, and words are accessed whole.
unsafe impl Send for Counters {}
// SAFETY: As above.
unsafe impl Sync for Counters {}

impl Counters {
    /// `len` counters, all zero, charged to the current task's memory control group. Context:
    /// process, may sleep.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let bytes = len.checked_mul(size_of::<u64>()).ok_or(EOVERFLOW)?;
        let flags = bindings::GFP_KERNEL_ACCOUNT;
        // SAFETY: May be called with any size.
        let words = unsafe { bindings::alloc_percpu_gfp(bytes, align_of::<u64>(), flags) };
        // INVARIANT: As asked for; the kernel gives it zeroed.
        Ok(Self {
            words: NonNull::new(words.cast()).ok_or(ENOMEM)?,
            len,
        })
    }

    /// Adds to a counter; one that does not exist is left alone.
    ///
    /// Context: softirqs off or in one, and never a hard interrupt: else another's addition on the
    /// same processor may be lost.
    #[inline]
    pub(crate) fn add(&self, at: usize, more: u64) {
        if at < self.len {
            // SAFETY: By the type invariant the word exists on every processor.
            unsafe { bindings::this_cpu_add(self.words.as_ptr().add(at), more) };
        }
    }

    /// What all processors have counted. Context: any.
    pub(crate) fn sum(&self, at: usize) -> u64 {
        let words = self.every(at);
        // SAFETY: By the type invariant; the word's processor may be adding to it.
        words.fold(0, |sum, word| sum.wrapping_add(unsafe { word.read_volatile() }))
    }

    /// Begins anew. Who adds at the same time on another processor may be lost or stay.
    pub(crate) fn reset(&self, at: usize) {
        for word in self.every(at) {
            // SAFETY: As in `sum`.
            unsafe { word.write_volatile(0) };
        }
    }

    /// A counter's words.
    fn every(&self, at: usize) -> impl Iterator<Item = *mut u64> + '_ {
        // SAFETY: Set at boot and never changed afterwards.
        let cpus = if at < self.len { unsafe { bindings::nr_cpu_ids() } } else { 0 };
        (0..cpus)
            // SAFETY: Below the number of processors.
            .filter(|cpu| unsafe { bindings::cpu_possible(*cpu) })
            // SAFETY: A possible processor, and `at` is inside.
            .map(move |cpu| unsafe { bindings::per_cpu_ptr(self.words.as_ptr().add(at), cpu) })
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and nobody uses it any more.
        unsafe { bindings::free_percpu(self.words.as_ptr().cast()) };
    }
}

/// A value of which each processor has its own: all zero at first.
///
/// # Invariants
///
/// `slots` is memory for a slot on every possible processor, ours alone. Only the processor itself
/// looks at its slot, with softirqs off, and nobody else does so while it is `lent`.
pub(crate) struct PerCpu<T> {
    slots: NonNull<Slot<T>>,
}

#[repr(C)]
struct Slot<T> {
    lent: bool,
    value: T,
}

// SAFETY: The memory is of no thread; values are used by one processor after the other's call.
unsafe impl<T: Send> Send for PerCpu<T> {}
// SAFETY: No two processors meet in one slot.
unsafe impl<T: Send> Sync for PerCpu<T> {}

/// Bytes that a processor can have at least (`PCPU_MIN_UNIT_SIZE` in include/linux/percpu.h).
const UNIT: usize = 32 << 10;

impl<T: Zeroable + Copy> PerCpu<T> {
    /// Context: process, may sleep.
    pub(crate) fn new() -> Result<Self> {
        const { assert!(size_of::<Slot<T>>() <= UNIT) };
        let (size, align) = (size_of::<Slot<T>>(), align_of::<Slot<T>>());
        // SAFETY: May be called with any size.
        let slots = unsafe { bindings::alloc_percpu_gfp(size, align, bindings::GFP_KERNEL) };
        // INVARIANT: As asked for; zeros are a value that is not lent.
        Ok(Self {
            slots: NonNull::new(slots.cast()).ok_or(ENOMEM)?,
        })
    }

    /// Lends this processor's value to `call`; `None` if a caller of ours has it already.
    ///
    /// Context: softirqs off or in one, not a hard interrupt.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        _off: impl SoftirqsOff,
        call: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        // SAFETY: The processor does not change while softirqs are off.
        let slot: *mut Slot<T> = unsafe { bindings::this_cpu_ptr(self.slots.as_ptr().cast()) }.cast();
        // SAFETY: This processor's slot, whose flag is looked at by nobody else, and whose value is
        // ours alone while the flag is set.
        unsafe {
            if (*slot).lent {
                return None;
            }
            (*slot).lent = true;
            let result = call(&mut (*slot).value);
            (*slot).lent = false;
            Some(result)
        }
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and nobody uses it any more.
        unsafe { bindings::free_percpu(self.slots.as_ptr().cast()) };
    }
}
