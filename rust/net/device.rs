// SPDX-License-Identifier: GPL-2.0

//! Network devices.

use super::net::Net;
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// Evidence that the lock over the set of devices (RTNL) is held.
///
/// # Invariants
///
/// The current task holds it while this exists.
pub(crate) struct Rtnl(NotThreadSafe);

impl Rtnl {
    /// Takes the lock. Context: process, may sleep. Outside of every lock of ours.
    pub(crate) fn lock() -> Self {
        // SAFETY: May be called from process context.
        unsafe { bindings::rtnl_lock() };
        // INVARIANT: Just taken.
        Self(NotThreadSafe)
    }

    /// Evidence for callbacks that are called under the lock; does not release it.
    ///
    /// # Safety
    ///
    /// The current task must hold the lock until the returned object is gone.
    pub(super) unsafe fn held() -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(NotThreadSafe))
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the current task holds it.
        unsafe { bindings::rtnl_unlock() };
    }
}

/// A counted reference to a network device.
///
/// A device that is being removed waits for its references: nobody may keep one for longer than
/// the device is registered. [`Hook`](super::hook::Hook) keeps one, and goes on
/// [`Change::Gone`](super::notifier::Change::Gone).
///
/// # Invariants
///
/// `device` is valid and holds a reference that `tracker` knows of.
pub(crate) struct Device {
    device: NonNull<bindings::net_device>,
    tracker: bindings::netdevice_tracker,
}

// SAFETY: Devices are counted atomically, and what is read here is written atomically.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

impl Device {
    /// Takes a reference of its own to a device that C gave us.
    ///
    /// # Safety
    ///
    /// `device` must be valid for the length of the call.
    pub(super) unsafe fn hold(device: NonNull<bindings::net_device>) -> Self {
        // SAFETY: A tracker is a pointer or nothing at all, by configuration; both may be zero.
        let mut tracker = unsafe { core::mem::zeroed() };
        // SAFETY: The caller promises a valid device. Where trackers exist they are allocated
        // here and known by value.
        unsafe { bindings::netdev_hold(device.as_ptr(), &mut tracker, bindings::GFP_ATOMIC) };
        // INVARIANT: Just taken.
        Self { device, tracker }
    }

    /// The device with this number. Under RTNL, so that it is registered for as long as the
    /// caller does something with it.
    pub(crate) fn by_index(_rtnl: &Rtnl, net: Net<'_>, ifindex: u32) -> Option<Self> {
        let ifindex = c_int::try_from(ifindex).ok()?;
        // SAFETY: The namespace is alive.
        let found = unsafe { bindings::dev_get_by_index(net.as_ptr(), ifindex) };
        let found = NonNull::new(found)?;
        // SAFETY: Valid: it comes with a reference, given back when we have our own.
        Some(unsafe { Self::adopt(found) })
    }

    /// The device with this name.
    pub(crate) fn by_name(_rtnl: &Rtnl, net: Net<'_>, name: &CStr) -> Option<Self> {
        // SAFETY: The namespace is alive, the name ends in a null byte.
        let found = unsafe { bindings::dev_get_by_name(net.as_ptr(), name.as_char_ptr()) };
        let found = NonNull::new(found)?;
        // SAFETY: Valid: it comes with a reference, given back when we have our own.
        Some(unsafe { Self::adopt(found) })
    }

    /// Turns an untracked reference into a tracked one.
    ///
    /// # Safety
    ///
    /// `device` must be valid and come with a reference that the caller owns.
    unsafe fn adopt(device: NonNull<bindings::net_device>) -> Self {
        // SAFETY: The caller promises a valid device.
        let this = unsafe { Self::hold(device) };
        // SAFETY: The caller gives up this reference.
        unsafe { bindings::dev_put(device.as_ptr()) };
        this
    }

    /// The C object.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::net_device {
        self.device.as_ptr()
    }

    /// The C object.
    #[inline]
    pub(super) fn as_non_null(&self) -> NonNull<bindings::net_device> {
        self.device
    }

    /// Its number in its namespace.
    #[inline]
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: Valid by the type invariant. Changes only when the device changes its
        // namespace, and whoever looks then has been told that it is gone.
        unsafe { (&raw const (*self.as_ptr()).ifindex).read_volatile() }.unsigned_abs()
    }

    /// Whether it carries Ethernet frames with addresses of 6 bytes.
    pub(crate) fn is_ethernet(&self) -> bool {
        // SAFETY: Valid by the type invariant. Both change only under RTNL, after those who use the
        // device were told (NETDEV_PRE_TYPE_CHANGE); aligned words are never torn.
        let (kind, length) = unsafe { ((*self.as_ptr()).type_, (*self.as_ptr()).addr_len) };
        u32::from(kind) == bindings::ARPHRD_ETHER && usize::from(length) == size_of::<Mac>()
    }

    /// The largest payload of a frame.
    #[inline]
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: Valid by the type invariant; an aligned word is never torn.
        unsafe { (&raw const (*self.as_ptr()).mtu).read_volatile() }
    }

    /// Changes the MTU. Context: process, may sleep.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn set_mtu(&self, _rtnl: &Rtnl, mtu: u32) -> Result {
        let mtu = c_int::try_from(mtu).map_err(|_| EINVAL)?;
        // SAFETY: The device is valid, and we have RTNL.
        kernel::error::to_result(unsafe { bindings::dev_set_mtu(self.as_ptr(), mtu) })
    }

    /// Whether it carries long frames uncut.
    pub(crate) fn takes_uncut(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::netdev_takes_uncut(self.as_ptr()) }
    }

    /// Whether it was set up to run.
    pub(crate) fn is_up(&self) -> bool {
        // SAFETY: Valid by the type invariant; an aligned word is never torn.
        let flags = unsafe { (&raw const (*self.as_ptr()).flags).read_volatile() };
        flags & bindings::net_device_flags_IFF_UP != 0
    }

    /// Its own address. Under RTNL, which whoever changes it holds.
    pub(crate) fn mac(&self, _rtnl: &Rtnl) -> Mac {
        // SAFETY: Valid by the type invariant. The buffer behind `dev_addr` has room for
        // MAX_ADDR_LEN bytes, and is not replaced under RTNL.
        unsafe { (*self.as_ptr()).dev_addr.cast::<Mac>().read_unaligned() }
    }

    /// Its name, padded with null bytes. Under RTNL, which whoever renames it holds.
    pub(crate) fn name(&self, _rtnl: &Rtnl) -> [u8; bindings::IFNAMSIZ as usize] {
        // SAFETY: Valid by the type invariant, and nobody writes the name under RTNL.
        unsafe { (&raw const (*self.as_ptr()).name).cast::<[u8; 16]>().read() }
    }

    /// Whether it is in use and not on its way out.
    pub(super) fn is_registered(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::netdev_registered(self.as_ptr()) }
    }
}

impl Clone for Device {
    fn clone(&self) -> Self {
        // SAFETY: Valid by the type invariant.
        unsafe { Self::hold(self.device) }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this gives back the reference that `tracker` knows of.
        unsafe { bindings::netdev_put(self.as_ptr(), &mut self.tracker) };
    }
}
