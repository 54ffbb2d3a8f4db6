// SPDX-License-Identifier: GPL-2.0

//! A timer that ticks in softirq context.
//!
//! The engine says when it next wants to be called; that moment moves, mostly nearer, with every
//! frame. So the timer is armed from anywhere, and a tick that comes too early does no harm: the
//! owner asks the engine again.
//!
//! Life: a timer is idle until [`Timer::start`] gives it the object to call. From then on it
//! holds a reference to that object, which [`Timer::stop`] gives back after the last tick has
//! ended. The object may contain its own timer: the circle stands from start to stop.

use super::lock::{
    new_spinlock_bh,
    SpinLockBh, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// What a [`Timer`] calls. `ID` tells several timers of one type apart.
pub(crate) trait Tick<const ID: u64 = 0>: Send + Sync + 'static {
    /// The time has come (or is near, or was moved). Arms the timer again if it wants to. `tag` is
    /// what the timer was started with: an object may have several.
    ///
    /// Context: softirq. Must not be the last user of `this`.
    fn tick(this: &Arc<Self>, tag: usize);
}

/// A one-shot timer on the monotonic clock.
///
/// # Invariants
///
/// The C timer is queued, or its handler runs, only between `start` and the end of `stop`; in
/// this time `state.target` does not change.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(crate) struct Timer<T: Tick<ID>, const ID: u64 = 0> {
    // First, so that the handler finds the rest.
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    state: SpinLockBh<State<T>>,
}

struct State<T> {
    /// Whom to call.
    target: Option<Arc<T>>,
    /// What to tell it.
    tag: usize,
    /// Whether `arm` may queue the timer. Goes before `target` does.
    live: bool,
    /// When it will fire, in microseconds; `None` if it is not queued.
    due: Option<u64>,
}

// SAFETY: A timer may be used from any thread; it refers to `T` by an `Arc`.
unsafe impl<T: Tick<ID>, const ID: u64> Send for Timer<T, ID> {}
// SAFETY: As above.
unsafe impl<T: Tick<ID>, const ID: u64> Sync for Timer<T, ID> {}

impl<T: Tick<ID>, const ID: u64> Timer<T, ID> {
    /// Makes an idle timer.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            timer <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes, and the first field of `Self`, which is
                // what the handler relies on.
                unsafe {
                    bindings::hrtimer_setup(
                        slot,
                        Some(Self::expired),
                        bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                        bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT,
                    )
                }
            }),
            state <- new_spinlock_bh!(State { target: None, tag: 0, live: false, due: None }, "Timer"),
        })
    }

    /// From now on the timer can be armed, and calls `target`. A second start does nothing.
    ///
    /// Context: process or softirq.
    pub(crate) fn start(&self, target: Arc<T>, tag: usize) {
        let mut state = self.state.lock();
        if state.target.is_none() {
            state.target = Some(target);
            state.tag = tag;
            state.live = true;
        }
    }

    /// Fires at `at` (see [`monotonic_us`](super::clock::monotonic_us)) or earlier.
    ///
    /// A nearer moment that was asked for before stays. Does nothing unless started.
    /// Context: process or softirq; not from hard interrupts.
    pub(crate) fn arm(&self, at: u64) {
        let mut state = self.state.lock();
        if !state.live || state.due.is_some_and(|due| due <= at) {
            return;
        }
        state.due = Some(at);
        let at = i64::try_from(at.saturating_mul(1_000)).unwrap_or(i64::MAX);
        // SAFETY: The timer was set up in `new`.
        // INVARIANT: `live` under the lock says that this is between `start` and `stop`.
        unsafe {
            bindings::hrtimer_start_range_ns(
                self.timer.get(),
                at,
                0,
                bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT,
            )
        };
    }

    /// No tick runs or comes after this. Gives the reference to the object back.
    ///
    /// Context: process; never from a tick.
    pub(crate) fn stop(&self) {
        self.state.lock().live = false;
        // Not under the lock: the handler that this waits for takes it.
        // SAFETY: The timer was set up in `new`.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        let target = {
            let mut state = self.state.lock();
            state.due = None;
            state.target.take()
        };
        // Outside of the lock, because this may be the last reference.
        drop(target);
    }

    /// Context: softirq.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: `timer` is the first field of a `Self`, which by the type invariant is alive:
        // dropping it waits for this handler.
        let this = unsafe { &*timer.cast::<Self>() };
        let target = {
            let mut state = this.state.lock();
            // From here on `arm` queues the timer anew.
            state.due = None;
            if state.live {
                state.target.clone().map(|target| (target, state.tag))
            } else {
                None
            }
        };
        if let Some((target, tag)) = target {
            T::tick(&target, tag);
            // Not the last reference: `stop` drops its own only when this handler has returned.
        }

        // The handler never restarts its timer by its return value, `arm` does it.
        // SAFETY: All zeros is HRTIMER_NORESTART, in the newest kernels a type of its own.
        unsafe { core::mem::zeroed() }
    }
}

#[pinned_drop]
impl<T: Tick<ID>, const ID: u64> PinnedDrop for Timer<T, ID> {
    fn drop(self: Pin<&mut Self>) {
        self.stop();
    }
}
