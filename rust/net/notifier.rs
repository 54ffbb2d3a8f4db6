// SPDX-License-Identifier: GPL-2.0

//! What happens to network devices.

use super::{
    device::{
        Device,
        Rtnl, //
    },
    net::Net, //
};
use core::{
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// The device goes, or moves to another namespace. All references must be given back.
    Gone,
    /// It was set down.
    Down,
    /// It was set up.
    Up,
    /// It has another MTU.
    Mtu,
    /// It has another address.
    Address,
    /// It can do more or less than before.
    Features,
}

/// Whom devices are watched for.
pub(crate) trait Watch: 'static {
    /// Something happened to `device` of `net`.
    ///
    /// Right after registration this is called with [`Change::Up`] for devices that are up.
    /// Context: process, may sleep; under RTNL.
    fn changed(rtnl: &Rtnl, net: Net<'_>, device: &Device, change: Change);
}

/// A registered notifier; dropping it ends the calls.
///
/// # Invariants
///
/// `block` is registered.
#[pin_data(PinnedDrop)]
pub(crate) struct Notifier<W: Watch> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    _watch: PhantomData<W>,
}

// SAFETY: The block belongs to C, and nothing else is in it.
unsafe impl<W: Watch> Send for Notifier<W> {}
// SAFETY: As above.
unsafe impl<W: Watch> Sync for Notifier<W> {}

impl<W: Watch> Notifier<W> {
    /// Registers for all namespaces. Context: process, may sleep; not under RTNL.
    pub(crate) fn register() -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                    // SAFETY: `slot` is valid for writes, pinned, and unregistered on drop.
                    unsafe {
                        slot.write(bindings::notifier_block {
                            notifier_call: Some(Self::called),
                            ..Default::default()
                        });
                        to_result(bindings::register_netdevice_notifier(slot))
                    }
                }),
                _watch: PhantomData,
            }),
            GFP_KERNEL,
        )
    }

    /// Context: process, under RTNL.
    unsafe extern "C" fn called(
        _block: *mut bindings::notifier_block,
        action: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        let change = match action as bindings::netdev_cmd {
            bindings::netdev_cmd_NETDEV_UNREGISTER => Change::Gone,
            // A bond or team takes over what kind of device its first member is: its addresses,
            // and who builds its headers, may be anything afterwards.
            bindings::netdev_cmd_NETDEV_PRE_TYPE_CHANGE => Change::Gone,
            bindings::netdev_cmd_NETDEV_DOWN => Change::Down,
            bindings::netdev_cmd_NETDEV_UP => Change::Up,
            bindings::netdev_cmd_NETDEV_CHANGEMTU => Change::Mtu,
            bindings::netdev_cmd_NETDEV_CHANGEADDR => Change::Address,
            bindings::netdev_cmd_NETDEV_FEAT_CHANGE => Change::Features,
            _ => return bindings::NOTIFY_DONE as c_int,
        };
        // SAFETY: C passes a `netdev_notifier_info` with a valid device.
        let device = unsafe { (*data.cast::<bindings::netdev_notifier_info>()).dev };
        if let Some(device) = NonNull::new(device) {
            // SAFETY: C calls notifiers under RTNL, held until this function has returned.
            let rtnl = unsafe { Rtnl::held() };
            // SAFETY: The device is in its namespace until this function has returned.
            let net = unsafe { Net::from_raw(bindings::dev_net(device.as_ptr())) };
            // SAFETY: Valid for the call. The reference is given back before its end.
            let device = unsafe { Device::hold(device) };
            W::changed(&rtnl, net, &device, change);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<W: Watch> PinnedDrop for Notifier<W> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered. C waits for calls in progress.
        unsafe { bindings::unregister_netdevice_notifier(self.block.get()) };
    }
}
