// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use feed_bindings as bindings;

/// A network namespace that is alive for `'a`.
///
/// Nothing of ours counts references to namespaces: what we keep per namespace is told when it
/// ends (see [`Namespace`](super::namespace::Namespace)), and must not keep it from ending.
///
/// # Invariants
///
/// The exit handlers of the namespace have not ended before `'a` does.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a> {
    net: NonNull<bindings::net>,
    _alive: PhantomData<&'a bindings::net>,
}

impl Net<'_> {
    /// Wraps a pointer that C gave us.
    ///
    /// # Safety
    ///
    /// `net` must be valid, and its exit handlers must not end before the returned object is
    /// gone.
    #[inline]
    pub(crate) unsafe fn from_raw(net: *mut bindings::net) -> Self {
        Self {
            // SAFETY: The caller promises a valid pointer.
            net: unsafe { NonNull::new_unchecked(net) },
            _alive: PhantomData,
        }
    }

    /// The namespace that the machine booted with, which never ends.
    #[cfg(any(feed_bench, CONFIG_KUNIT = "y"))]
    pub(crate) fn initial() -> Net<'static> {
        // SAFETY: It is always there.
        unsafe { Net::from_raw(&raw mut bindings::init_net) }
    }

    /// The C object.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.net.as_ptr()
    }

    /// Whether this is the namespace that the machine booted with.
    pub(crate) fn is_initial(&self) -> bool {
        self.as_ptr() == &raw mut bindings::init_net
    }
}
