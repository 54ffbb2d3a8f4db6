// SPDX-License-Identifier: GPL-2.0

//! A pointer published to RCU readers.

use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            ordering,
            Atomic, //
        },
        rcu, //
    }, //
};

/// An owned value that readers in any context see without a lock, and that is replaced as a
/// whole.
///
/// # Invariants
///
/// `ptr` is null or came from [`KBox::into_raw`]; it is owned by this object and freed only a
/// grace period after it was taken out of `ptr`.
pub(crate) struct RcuBox<T> {
    ptr: Atomic<*mut T>,
    _owned: PhantomData<KBox<T>>,
}

// SAFETY: The value is reached by shared references from any thread, and dropped on any.
unsafe impl<T: Send + Sync> Send for RcuBox<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for RcuBox<T> {}

impl<T> RcuBox<T> {
    /// Publishes `value`, if there is one.
    pub(crate) fn new(value: Option<KBox<T>>) -> Self {
        // INVARIANT: `into_raw` gives up ownership to this object.
        Self {
            ptr: Atomic::new(value.map_or(ptr::null_mut(), KBox::into_raw)),
            _owned: PhantomData,
        }
    }

    /// The value of now, for as long as `guard` is held. Context: any.
    #[inline]
    pub(crate) fn read<'a>(&'a self, _guard: &'a rcu::Guard) -> Option<&'a T> {
        // Acquire rather than a dependency: it costs nothing on the machines that matter, and
        // Rust has no word for an address dependency.
        let ptr = self.ptr.load(ordering::Acquire);
        // SAFETY: By the type invariant the value is not freed before a grace period after it
        // was unpublished, which `_guard` holds off.
        unsafe { ptr.as_ref() }
    }

    /// Publishes `value` and gives the old one back when no reader can see it any more.
    ///
    /// Context: process, may sleep (one grace period if there was an old value).
    pub(crate) fn replace(&self, value: Option<KBox<T>>) -> Option<KBox<T>> {
        let new = value.map_or(ptr::null_mut(), KBox::into_raw);
        // INVARIANT: Ownership of `new` goes in, that of `old` comes out.
        let old = self.ptr.xchg(new, ordering::Full);
        if old.is_null() {
            return None;
        }
        rcu::synchronize_rcu();
        // SAFETY: By the type invariant `old` came from `into_raw`; it was taken out above, so
        // nobody else owns it, and the readers that saw it have ended.
        Some(unsafe { KBox::from_raw(old) })
    }
}

impl<T> Drop for RcuBox<T> {
    fn drop(&mut self) {
        // No grace period: a reader would borrow `self`, which nobody can any more.
        let ptr = *self.ptr.get_mut();
        if !ptr.is_null() {
            // SAFETY: By the type invariant `ptr` came from `into_raw` and is owned by `self`.
            drop(unsafe { KBox::from_raw(ptr) });
        }
    }
}
