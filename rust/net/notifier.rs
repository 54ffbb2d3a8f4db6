// SPDX-License-Identifier: GPL-2.0

//! What happens to network devices.

use super::{
    device::{
        Device,
        Rtnl, //
    },
    net::Net, //
};
use crate::sync::notifier::{
    Listener,
    Notifier, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::prelude::*;

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

/// A watch that lasts as long as this object.
pub(crate) type DeviceWatch<W> = Pin<KBox<Notifier<Chain<W>>>>;

/// Begins to watch, in all namespaces. Context: process, may sleep; not under RTNL.
pub(crate) fn watch<W: Watch>() -> Result<DeviceWatch<W>> {
    Notifier::register(Chain(PhantomData))
}

/// The kernel's chain for that.
pub(crate) struct Chain<W>(PhantomData<fn() -> W>);

// SAFETY: Calls are made under RTNL, which who unregisters has to have.
unsafe impl<W: Watch> Listener for Chain<W> {
    unsafe fn register(block: *mut bindings::notifier_block) -> c_int {
        // SAFETY: By the safety requirements.
        unsafe { bindings::register_netdevice_notifier(block) }
    }

    unsafe fn unregister(block: *mut bindings::notifier_block) {
        // SAFETY: By the safety requirements.
        unsafe { bindings::unregister_netdevice_notifier(block) };
    }

    unsafe fn called(&self, action: c_ulong, data: *mut c_void) {
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
            _ => return,
        };
        // SAFETY: The chain passes a `netdev_notifier_info` with a valid device.
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
    }
}
