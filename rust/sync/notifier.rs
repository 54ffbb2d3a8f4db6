// SPDX-License-Identifier: GPL-2.0

//! Being told by the kernel of what happens to something: a block in one of its chains of notifiers.

use core::pin::Pin;
use feed_bindings as bindings;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Who wants to be told, in which chain.
///
/// # Safety
///
/// From [`Listener::register`] until [`Listener::unregister`] has returned, and at no other time, the
/// chain calls the block, in process context. Then nobody is in a call of it.
pub(crate) unsafe trait Listener: Send + Sync + 'static {
    /// Puts the block into the chain. Context: process, may sleep.
    ///
    /// # Safety
    ///
    /// `block` is valid, and stays where it is until it is unregistered.
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int;

    /// Takes it out. Context: process, may sleep.
    ///
    /// # Safety
    ///
    /// `block` is registered.
    unsafe fn unregister(block: *mut bindings::notifier_block);

    /// Something has happened. Context: process; as the chain says beside that.
    ///
    /// # Safety
    ///
    /// `data` is what the chain passes with `action`.
    unsafe fn called(&self, action: c_ulong, data: *mut c_void);
}

/// A registered listener; dropping it ends the calls.
///
/// # Invariants
///
/// `block` is registered in the chain of `L`.
#[pin_data(PinnedDrop)]
pub(crate) struct Notifier<L: Listener> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    listener: L,
}

// SAFETY: The block belongs to C; the listener may be used and dropped by any thread.
unsafe impl<L: Listener> Send for Notifier<L> {}
// SAFETY: As above.
unsafe impl<L: Listener> Sync for Notifier<L> {}

impl<L: Listener> Notifier<L> {
    /// From now on `listener` is told. Context: process, may sleep; not inside of a call.
    pub(crate) fn register(listener: L) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            // The listener first: it may be called before this returns.
            try_pin_init!(Self {
                listener,
                block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                    // SAFETY: `slot` is valid for writes, pinned, and unregistered on drop.
                    unsafe {
                        slot.write(bindings::notifier_block {
                            notifier_call: Some(Self::called),
                            ..Default::default()
                        });
                        to_result(L::register(slot))
                    }
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// # Safety
    ///
    /// Called by the chain alone, with a block of [`Notifier::register`].
    unsafe extern "C" fn called(
        block: *mut bindings::notifier_block,
        action: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: The block is inside of an object, whose listener was there before it and is dropped
        // after it was unregistered. Only the listener is looked at.
        let listener = unsafe { &(*container_of!(Opaque::cast_from(block), Self, block)).listener };
        // SAFETY: By the safety requirements.
        unsafe { listener.called(action, data) };
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<L: Listener> PinnedDrop for Notifier<L> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { L::unregister(self.block.get()) };
    }
}
