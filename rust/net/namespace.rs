// SPDX-License-Identifier: GPL-2.0

//! State of our own in every network namespace.
//!
//! A namespace ends in three steps, in this order and each for all its users: `pre_exit`, one RCU
//! grace period, `exit`. The first takes the state out of sight, so that after the grace period
//! nobody looks at it who does not hold a reference; the last stops what still runs on its own.

use super::net::Net;
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr, //
};
use feed_bindings as bindings;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        atomic::{
            ordering,
            Atomic, //
        },
        rcu,
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

/// What lives in every namespace.
pub(crate) trait Namespace: Send + Sync + Sized + 'static {
    /// Makes the state of a new namespace. An error keeps the namespace from being made.
    ///
    /// Context: process, may sleep.
    fn new(net: Net<'_>) -> Result<Arc<Self>>;

    /// The state cannot be found any more. Stops taking in anything new, and gives back every
    /// reference to a device: the devices of the namespace go before `exit` is called, and their
    /// notices find no state any more.
    ///
    /// Context: process, may sleep.
    fn pre_exit(this: &Arc<Self>, net: Net<'_>);

    /// Stops timers and work, drops what refers to the state. A grace period has passed since
    /// `pre_exit`. Afterwards the reference that the namespace holds is dropped.
    ///
    /// Context: process, may sleep.
    fn exit(this: &Arc<Self>, net: Net<'_>);
}

/// The registration of a [`Namespace`]: a static, so that its methods find it.
///
/// # Invariants
///
/// `live` says that `ops` is registered, and that no exit handler of the registration's own end
/// has run.
pub(crate) struct Pernet<T: Namespace> {
    /// Given by the network core on registration.
    id: UnsafeCell<c_uint>,
    ops: Opaque<bindings::pernet_operations>,
    live: Atomic<bool>,
    taken: Atomic<bool>,
    _state: PhantomData<Arc<T>>,
}

// SAFETY: `id` is written by the network core while `taken` but not yet `live`, and only read
// while `live`. `ops` belongs to the network core. The state itself is shared between threads.
unsafe impl<T: Namespace> Sync for Pernet<T> {}

/// What the network core keeps for us in each namespace: allocated zeroed before `init`, freed
/// after `exit`.
struct Slot<T> {
    /// What readers find; null before `init` and from `pre_exit` on.
    published: Atomic<*mut T>,
    /// The namespace's reference; null before `init` and after `exit`. Only these touch it.
    owned: *mut T,
}

impl<T: Namespace> Pernet<T> {
    /// Makes an unregistered one.
    pub(crate) const fn new() -> Self {
        Self {
            id: UnsafeCell::new(0),
            ops: Opaque::uninit(),
            live: Atomic::new(false),
            taken: Atomic::new(false),
            _state: PhantomData,
        }
    }
}

/// A static [`Pernet`] by type: C's callbacks get no pointer of ours.
pub(crate) trait Registered: Namespace {
    /// The one registration of this type.
    fn pernet() -> &'static Pernet<Self>;

    /// Makes the state in every namespace there is, and in every one to come.
    ///
    /// Context: process, may sleep. Once at a time: EBUSY.
    fn register() -> Result<Registration<Self>> {
        let pernet = Self::pernet();
        if pernet.taken.xchg(true, ordering::Full) {
            return Err(EBUSY);
        }
        let ops = pernet.ops.get();
        // SAFETY: `taken` says that nobody else has it; C does not know of it yet.
        unsafe {
            ops.write(bindings::pernet_operations {
                init: Some(init::<Self>),
                pre_exit: Some(pre_exit::<Self>),
                exit: Some(exit::<Self>),
                id: pernet.id.get(),
                size: size_of::<Slot<Self>>(),
                ..Default::default()
            });
        }
        // SAFETY: `ops` is static and filled in.
        if let Err(error) = to_result(unsafe { bindings::register_pernet_subsys(ops) }) {
            pernet.taken.store(false, ordering::Release);
            return Err(error);
        }
        // INVARIANT: Just registered.
        pernet.live.store(true, ordering::Release);
        Ok(Registration(PhantomData))
    }

    /// The state of `net`: `None` if the namespace is at its end or nothing is registered.
    ///
    /// Context: any.
    fn of(net: Net<'_>) -> Option<Arc<Self>> {
        let guard = rcu::read_lock();
        if !Self::pernet().live.load(ordering::Acquire) {
            return None;
        }
        // SAFETY: `live` was read inside of this read-side section: the grace period between
        // `pre_exit` and `exit` keeps the slot from being freed before `guard` is dropped. For a
        // namespace that ends by itself, `Net` says that its exit has not ended.
        let slot = unsafe { slot::<Self>(net.as_ptr()) };
        // SAFETY: As above; the field is only ever reached atomically.
        let state = unsafe { &(*slot).published }.load(ordering::Acquire);
        if state.is_null() {
            return None;
        }
        // SAFETY: It came from `Arc::into_raw`, and the reference that it stands for is dropped a
        // grace period after it was unpublished.
        let state: Arc<Self> = unsafe { ArcBorrow::from_raw(state) }.into();
        drop(guard);
        Some(state)
    }
}

/// A registered [`Pernet`]; dropping it ends the state in all namespaces.
pub(crate) struct Registration<T: Registered>(PhantomData<T>);

impl<T: Registered> Drop for Registration<T> {
    fn drop(&mut self) {
        let pernet = T::pernet();
        // Goes first: the grace period inside of the next call makes it seen by everybody before
        // the slots are freed.
        pernet.live.store(false, ordering::Release);
        // SAFETY: A `Registration` exists only while `ops` is registered.
        unsafe { bindings::unregister_pernet_subsys(pernet.ops.get()) };
        pernet.taken.store(false, ordering::Release);
    }
}

/// The slot of a namespace.
///
/// # Safety
///
/// `T` must be registered, `net` valid, and the slot not freed yet.
unsafe fn slot<T: Registered>(net: *mut bindings::net) -> *mut Slot<T> {
    // SAFETY: Registered, so nobody writes `id`.
    let id = unsafe { *T::pernet().id.get() };
    // SAFETY: The caller promises a valid namespace and that the id is in use.
    unsafe { bindings::net_generic(net, id) }.cast()
}

/// Context: process, may sleep.
unsafe extern "C" fn init<T: Registered>(net: *mut bindings::net) -> c_int {
    from_result(|| {
        // SAFETY: C calls this with a valid namespace whose exit is yet to come.
        let state = Arc::into_raw(T::new(unsafe { Net::from_raw(net) })?).cast_mut();
        // SAFETY: The network core has allocated the slot, and nobody else has found it.
        unsafe {
            let slot = slot::<T>(net);
            (*slot).owned = state;
            (*slot).published.store(state, ordering::Release);
        }
        Ok(0)
    })
}

/// Context: process, may sleep.
unsafe extern "C" fn pre_exit<T: Registered>(net: *mut bindings::net) {
    // SAFETY: C calls this with a valid namespace; the slot is freed after `exit` only.
    let (slot, net) = unsafe { (slot::<T>(net), Net::from_raw(net)) };
    // SAFETY: As above; null if `init` failed.
    let state = unsafe { (*slot).published.xchg(ptr::null_mut(), ordering::Full) };
    if !state.is_null() {
        with::<T>(state, |state| T::pre_exit(state, net));
    }
}

/// Context: process, may sleep.
unsafe extern "C" fn exit<T: Registered>(net: *mut bindings::net) {
    // SAFETY: C calls this with a valid namespace; the slot is freed afterwards only.
    let (slot, net) = unsafe { (slot::<T>(net), Net::from_raw(net)) };
    // SAFETY: Nobody but `init` and this touches the field.
    let state = unsafe { ptr::replace(&raw mut (*slot).owned, ptr::null_mut()) };
    if !state.is_null() {
        with::<T>(state, |state| T::exit(state, net));
        // SAFETY: `init` took it from `Arc::into_raw`; taken out of the slot above, so once.
        drop(unsafe { Arc::from_raw(state) });
    }
}

/// Lends the namespace's own reference.
fn with<T>(state: *mut T, call: impl FnOnce(&Arc<T>)) {
    // SAFETY: Only called with what `init` took from `Arc::into_raw` and `exit` has not given
    // back; `ManuallyDrop` leaves the count as it is.
    let state = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(state) });
    call(&state);
}
