// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::prelude::*;

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

    /// The C object.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::net {
        self.net.as_ptr()
    }

    /// Whether this is the namespace that the machine booted with.
    pub(crate) fn is_initial(&self) -> bool {
        self.as_ptr() == &raw mut bindings::init_net
    }

    /// Whether the current task may change the network of this namespace.
    ///
    /// Context: process.
    pub(crate) fn capable_net_admin(&self) -> bool {
        // SAFETY: By the type invariant the namespace is alive; it owns its user namespace, which
        // never changes.
        unsafe {
            bindings::ns_capable((*self.as_ptr()).user_ns, bindings::CAP_NET_ADMIN as c_int)
        }
    }
}

impl PartialEq for Net<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.net == other.net
    }
}
