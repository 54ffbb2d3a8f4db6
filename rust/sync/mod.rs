// SPDX-License-Identifier: GPL-2.0

//! Synchronisation that the kernel crate lacks.
//!
//! Everything in here is safe to use. Lock order of the module as a whole: the lock of a
//! [`Timer`] and the locks inside wait queues are innermost; nothing of ours is taken under them.

pub(crate) mod clock;
pub(crate) mod cpu;
pub(crate) mod lock;
pub(crate) mod notifier;
pub(crate) mod percpu;
pub(crate) mod queue;
pub(crate) mod shared;
pub(crate) mod timer;
pub(crate) mod wait;

pub(crate) use lock::{
    new_spinlock_bh,
    SpinLockBh, //
};
pub(crate) use queue::OwnedQueue;
pub(crate) use timer::{
    Tick,
    Timer, //
};
pub(crate) use wait::{
    Relay,
    Unfinished,
    WaitTable, //
};
