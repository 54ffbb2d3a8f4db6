// SPDX-License-Identifier: GPL-2.0

//! A limit on what others can make us print.

/// Whether the network stack, all of it, may print another line now. Context: any.
pub(crate) fn may_print() -> bool {
    // SAFETY: No requirements.
    unsafe { feed_bindings::net_ratelimit() != 0 }
}

/// As `pr_warn!`, but says nothing while the network stack has said enough.
macro_rules! pr_warn_ratelimited {
    ($($arg:tt)*) => {
        if $crate::net::ratelimit::may_print() {
            ::kernel::pr_warn!($($arg)*);
        }
    };
}
pub(crate) use pr_warn_ratelimited;
