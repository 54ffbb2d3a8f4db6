// SPDX-License-Identifier: GPL-2.0

//! Wait queues for many objects that have none of their own.
//!
//! An idle feed must stay small, so it has no wait queue. Sleepers hang on one of a fixed number
//! of wait queue heads that they find by the hash of what they wait for. Two feeds may share a
//! head: a wake-up is a hint to look again, never a promise.
//!
//! A head counts its wake-ups. Who remembers the count from before its last look knows without
//! another one whether there can be anything new.

use core::marker::PhantomData;
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            ordering::{
                Acquire,
                Release, //
            },
            Atomic, //
        },
        LockClassKey, //
    },
    task::{
        MAX_SCHEDULE_TIMEOUT,
        TASK_INTERRUPTIBLE,
        TASK_NORMAL, //
    },
    types::Opaque, //
};
use pin_init::stack_pin_init;

/// Wait queue heads of a table: 32 bytes each without lock debugging.
const HEADS: usize = 256;

/// Never give up waiting.
pub(crate) const FOREVER: c_long = MAX_SCHEDULE_TIMEOUT;

/// Why a wait ended before its condition came true.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The time is over. With a time-out of 0: the condition does not hold now.
    TimedOut,
    /// A signal is pending. Holds what the system call returns, as `sock_intr_errno()` has it:
    /// a call without time-out is restarted after the handler, one with a time-out is not.
    Signal(Error),
}

/// A hashed table of wait queue heads.
#[pin_data]
pub(crate) struct WaitTable {
    #[pin]
    heads: [Head; HEADS],
}

/// One wait queue head.
#[pin_data]
struct Head {
    #[pin]
    inner: Opaque<bindings::wait_queue_head>,
    /// Wake-ups so far. It may wrap: nobody remembers it for long.
    wakes: Atomic<u32>,
}

// SAFETY: A wait queue head has its own lock and may be used from any thread.
unsafe impl Send for Head {}
// SAFETY: As above.
unsafe impl Sync for Head {}

impl Head {
    fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes; `name` and `key` live for ever.
            inner <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
            wakes: Atomic::new(0),
        })
    }
}

impl WaitTable {
    /// Makes a table that nobody waits on.
    pub(crate) fn new() -> impl PinInit<Self> {
        let key = kernel::static_lock_class!();
        pin_init!(Self {
            heads <- pin_init::pin_init_array_from_fn(move |_| Head::new(c"feed_wait", key)),
        })
    }

    /// The head for `key`.
    #[inline]
    fn head(&self, key: u64) -> &Head {
        // Keys are hashes already (or counters): fold, do not hash again.
        let index = (key ^ (key >> 32)) as usize % HEADS;
        &self.heads[index]
    }

    /// How often `key` was woken, and others with it. Who reads this, then looks, and reads the
    /// same later need not look again. Context: any.
    #[inline]
    pub(crate) fn wakes(&self, key: u64) -> u32 {
        self.head(key).wakes.load(Acquire)
    }

    /// Sleeps until `condition` gives a value; looks at first, and whenever `key` is woken.
    ///
    /// `timeout` is in jiffies, [`FOREVER`] for no limit, 0 to look once. The condition runs in
    /// process context and may itself sleep.
    ///
    /// Context: process, may sleep.
    pub(crate) fn wait<R>(
        &self,
        key: u64,
        timeout: c_long,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<R, Unfinished> {
        let mut left = timeout;
        loop {
            let wakes = self.wakes(key);
            if let Some(value) = condition() {
                return Ok(value);
            }
            left = self.sleep(key, left, wakes)?;
        }
    }

    /// Sleeps until `key` was woken more often than `wakes` times, which the caller has read
    /// before it looked. Gives what is left of the time-out, in jiffies, [`FOREVER`] for no limit.
    ///
    /// Context: process, may sleep.
    pub(crate) fn sleep(&self, key: u64, timeout: c_long, wakes: u32) -> Result<c_long, Unfinished> {
        stack_pin_init!(let sleeper = Sleeper::join(self, key));
        // Counted, then woken: a wake-up that did not find this sleeper in the queue has been
        // counted before it joined, under the same lock. One that did is not lost either, for
        // `wait_woken()` keeps a flag.
        let mut left = timeout;
        while self.wakes(key) == wakes {
            if left == 0 {
                return Err(Unfinished::TimedOut);
            }
            if kernel::current!().signal_pending() {
                return Err(Unfinished::Signal(if timeout == FOREVER {
                    ERESTARTSYS
                } else {
                    EINTR
                }));
            }
            left = sleeper.sleep(left);
        }
        Ok(left)
    }

    /// Wakes everybody who waits for `key`. Context: any.
    #[inline]
    pub(crate) fn wake(&self, key: u64) {
        let head = self.head(key);
        head.wakes.fetch_add(1, Release);
        // SAFETY: The head was initialised with the table. No barrier is needed for "is anybody
        // there": the queue's own lock is taken always.
        unsafe { bindings::__wake_up(head.inner.get(), TASK_NORMAL, 0, core::ptr::null_mut()) };
    }
}

/// Passes the wake-ups of one key on to a wait queue of somebody else's.
///
/// # Invariants
///
/// `entry` is in the queue of `head`. `to` is an initialised wait queue head that outlives `self`.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(crate) struct Relay {
    // First, so that the callback finds the rest.
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
    head: *mut bindings::wait_queue_head,
    to: *mut bindings::wait_queue_head,
}

// SAFETY: Wait queues have their own locks and may be used from any thread.
unsafe impl Send for Relay {}
// SAFETY: As above.
unsafe impl Sync for Relay {}

impl Relay {
    /// Joins the queue of `key`.
    ///
    /// # Safety
    ///
    /// `table` and `to` must outlive what is returned. Waking `to` must not take the lock of a
    /// head of a [`WaitTable`].
    pub(crate) unsafe fn join(
        table: &WaitTable,
        key: u64,
        to: *mut bindings::wait_queue_head,
    ) -> impl PinInit<Self> + use<> {
        let from = table.head(key).inner.get();
        // INVARIANT: The initialiser puts `entry` into the queue of `head`; the caller promises
        // the rest.
        pin_init!(Self {
            head: from,
            to,
            // Last: from here on it may be called.
            entry <- Opaque::ffi_init(|slot: *mut bindings::wait_queue_entry| {
                // SAFETY: `slot` is valid for writes and pinned; it leaves the queue in `drop`.
                // `from` was initialised with its table.
                unsafe {
                    slot.write(bindings::wait_queue_entry {
                        func: Some(Self::woken),
                        ..Default::default()
                    });
                    bindings::add_wait_queue(from, slot);
                }
            }),
        })
    }

    /// Context: any, under the lock of `head`.
    unsafe extern "C" fn woken(
        entry: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        _key: *mut c_void,
    ) -> c_int {
        // SAFETY: `entry` is the first field of a `Self`, which is alive: dropping it takes the
        // lock that the caller holds. By the type invariant `to` is valid.
        unsafe {
            let to = (*entry.cast::<Self>()).to;
            bindings::__wake_up(to, TASK_NORMAL, 0, core::ptr::null_mut());
        }
        0
    }
}

#[pinned_drop]
impl PinnedDrop for Relay {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `entry` is in the queue of `head`.
        unsafe { bindings::remove_wait_queue(self.head, self.entry.get()) };
    }
}

/// The current task's place in a wait queue.
///
/// # Invariants
///
/// `entry` is in the queue of `head`, and belongs to the current task.
#[pin_data(PinnedDrop)]
struct Sleeper<'a> {
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
    head: *mut bindings::wait_queue_head,
    // Neither sent nor shared: `head` is a raw pointer already. Does not outlive the table.
    _table: PhantomData<&'a WaitTable>,
}

impl<'a> Sleeper<'a> {
    fn join(table: &'a WaitTable, key: u64) -> impl PinInit<Self> + use<'a> {
        let head = table.head(key).inner.get();
        // INVARIANT: The initialiser puts `entry` into the queue of `head`.
        pin_init!(Self {
            entry <- Opaque::ffi_init(|slot: *mut bindings::wait_queue_entry| {
                // SAFETY: `slot` is valid for writes and pinned; it leaves the queue in `drop`.
                // `head` was initialised with its table, which outlives `self`.
                unsafe {
                    slot.write(bindings::wait_queue_entry {
                        private: kernel::current!().as_ptr().cast(),
                        func: Some(bindings::woken_wake_function),
                        ..Default::default()
                    });
                    bindings::add_wait_queue(head, slot);
                }
            }),
            head,
            _table: PhantomData,
        })
    }

    /// Sleeps unless woken since the last call. Returns what is left of the time.
    fn sleep(&self, timeout: c_long) -> c_long {
        // SAFETY: By the type invariant `entry` is queued and the current task's.
        unsafe { bindings::wait_woken(self.entry.get(), TASK_INTERRUPTIBLE as c_uint, timeout) }
    }
}

#[pinned_drop]
impl PinnedDrop for Sleeper<'_> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `entry` is in the queue of `head`.
        unsafe { bindings::remove_wait_queue(self.head, self.entry.get()) };
    }
}
