// SPDX-License-Identifier: GPL-2.0

//! Work queues of our own, and the end of work items.
//!
//! The kernel crate's [`Work`] and [`Queue`] enqueue, but can neither make a queue nor take an
//! item back. A module must do both: an item that still waits in a system queue when the module
//! goes would run code that is no longer there.
//!
//! An item that waits holds a reference to its [`Arc`]. Whoever tears an object down calls
//! [`disable`] for each of its items first; after that nothing of the object runs or waits, and
//! enqueueing it again does nothing.

use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    workqueue::{
        HasDelayedWork,
        HasWork,
        Queue,
        Work,
        WorkItem, //
    }, //
};

/// A work queue that lives as long as this object.
///
/// # Invariants
///
/// `queue` is a valid work queue that is destroyed only by `drop`.
pub(crate) struct OwnedQueue {
    queue: NonNull<bindings::workqueue_struct>,
}

// SAFETY: Work queues may be used and destroyed from any thread.
unsafe impl Send for OwnedQueue {}
// SAFETY: As above.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Makes a queue whose items run in softirq context, on the CPU that enqueued them.
    ///
    /// Context: process, may sleep.
    pub(crate) fn bh(name: &'static CStr) -> Result<Self> {
        Self::alloc(
            name,
            bindings::wq_flags_WQ_BH | bindings::wq_flags_WQ_PERCPU,
        )
    }

    /// Makes a queue whose items run in process context, wherever there is time.
    ///
    /// It has a rescuer, because giving memory back must not wait for memory.
    /// Context: process, may sleep.
    pub(crate) fn unbound(name: &'static CStr) -> Result<Self> {
        Self::alloc(
            name,
            bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_MEM_RECLAIM,
        )
    }

    /// As [`OwnedQueue::unbound`], for short work that softirqs wait for: it runs before what
    /// programs do.
    pub(crate) fn urgent(name: &'static CStr) -> Result<Self> {
        Self::alloc(
            name,
            bindings::wq_flags_WQ_UNBOUND
                | bindings::wq_flags_WQ_MEM_RECLAIM
                | bindings::wq_flags_WQ_HIGHPRI,
        )
    }

    fn alloc(name: &'static CStr, flags: c_uint) -> Result<Self> {
        // SAFETY: The format takes one string, which is passed. 0 asks for the default number of
        // items at a time.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags,
                0,
                name.as_char_ptr(), //
            )
        };

        // INVARIANT: The queue was just made and belongs to nobody else.
        Ok(Self {
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
        })
    }

    /// Sees to it that `item` runs once more from now on. Context: any.
    #[inline]
    pub(crate) fn kick<T, const ID: u64>(&self, item: &Arc<T>)
    where
        T: HasWork<T, ID> + WorkItem<ID, Pointer = Arc<T>> + Send + Sync + 'static,
    {
        // An error says that it waits already, and will see what has happened until now.
        let _ = self.enqueue::<_, ID>(item.clone());
    }
}

impl Deref for OwnedQueue {
    type Target = Queue;

    #[inline]
    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant the queue is valid for as long as `self` is borrowed.
        unsafe { Queue::from_raw(self.queue.as_ptr()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is valid and ours. Items that wait are run
        // first.
        unsafe { bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

/// Takes a work item out of its queue, waits for it if it runs, and keeps it out for good.
///
/// Context: process, may sleep; never from the item itself.
pub(crate) fn disable<T, const ID: u64>(item: &Arc<T>)
where
    T: HasWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    let object = Arc::as_ptr(item).cast_mut();
    // SAFETY: `object` is valid, `item` keeps it so.
    let work = unsafe { Work::raw_get(T::raw_get_work(object)) };

    // SAFETY: `work` was initialised with the object.
    if unsafe { bindings::disable_work_sync(work) } {
        // SAFETY: It was waiting, so it held the reference that `enqueue` had turned into a raw
        // pointer, and will now not turn back.
        drop(unsafe { Arc::from_raw(object) });
    }
}

/// As [`disable`], for a delayed work item.
///
/// Context: process, may sleep; never from the item itself.
pub(crate) fn disable_delayed<T, const ID: u64>(item: &Arc<T>)
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    let object = Arc::as_ptr(item).cast_mut();
    // SAFETY: `object` is valid, `item` keeps it so.
    let work = unsafe { Work::raw_get(T::raw_get_work(object)) };
    // SAFETY: `HasDelayedWork` promises that `work` lies in a `delayed_work`.
    let delayed = unsafe { kernel::container_of!(work, bindings::delayed_work, work) };

    // SAFETY: `delayed` was initialised with the object.
    if unsafe { bindings::disable_delayed_work_sync(delayed) } {
        // SAFETY: As in `disable`.
        drop(unsafe { Arc::from_raw(object) });
    }
}
