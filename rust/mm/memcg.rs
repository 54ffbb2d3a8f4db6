// SPDX-License-Identifier: GPL-2.0

//! Who pays for page cache.

use feed_bindings as bindings;

/// A reference to the memory control group of the task that made it.
///
/// # Invariants
///
/// `group` is null (no control groups in this kernel) or a group that we hold a reference of.
pub(crate) struct MemCgroup {
    group: *mut bindings::mem_cgroup,
}

// SAFETY: Control groups are reference counted and used from any thread.
unsafe impl Send for MemCgroup {}
// SAFETY: As above.
unsafe impl Sync for MemCgroup {}

impl MemCgroup {
    /// The group of the current task; the root group for kernel threads.
    ///
    /// Context: process.
    pub(crate) fn of_current() -> Self {
        // INVARIANT: The call takes a reference for us.
        Self {
            // SAFETY: `current` is a task, whose mm may be null.
            group: unsafe { bindings::memcg_of_current() },
        }
    }

    /// Runs `allocate` so that page cache which it adds is charged to this group.
    ///
    /// Context: process, may sleep if `allocate` does.
    pub(crate) fn charge<R>(&self, allocate: impl FnOnce() -> R) -> R {
        // SAFETY: By the type invariant the group outlives this call.
        let before = unsafe { bindings::set_active_memcg(self.group) };
        let result = allocate();
        // SAFETY: `before` is what the caller had set, and is still alive as far as it goes.
        unsafe { bindings::set_active_memcg(before) };
        result
    }
}

impl Drop for MemCgroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours; null is taken as nothing.
        unsafe { bindings::memcg_put(self.group) };
    }
}
