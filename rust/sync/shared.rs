// SPDX-License-Identifier: GPL-2.0

//! What all namespaces share: set at load, taken back at unload.
//!
//! The network core gives no pointer of ours to those who make a namespace's state, so it must be
//! found by name.

use crate::{
    bindings,
    node::{
        Copies,
        Queues, //
    },
    store::Ground,
    sync::percpu::PerCpu, //
};
use kernel::{
    prelude::*,
    sync::{
        global_lock,
        Arc, //
    }, //
};

/// See the head of this file. Also the parameters of the module, read once.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) ground: Arc<Ground>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) copies: Arc<PerCpu<Copies>>,
}

global_lock! {
    // SAFETY: Initialised by `Shared::new`, before anything can ask.
    unsafe(uninit) static COMMON: Mutex<Option<Common>> = None;
}

/// Keeps [`common`] answering.
pub(crate) struct Shared(());

impl Shared {
    /// Makes what is shared. Context: process, at load, once.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: A module is loaded once, and nothing of it runs yet.
        unsafe { COMMON.init() };
        let common = Common {
            ground: Ground::new()?,
            queues: Queues::new()?,
            copies: Arc::new(PerCpu::new()?, GFP_KERNEL)?,
        };
        *COMMON.lock() = Some(common);
        Ok(Self(()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let common = COMMON.lock().take();
        drop(common);
    }
}

/// What is shared, while the module is loaded. Context: process, may sleep.
pub(crate) fn common() -> Option<Common> {
    COMMON.lock().clone()
}

/// The family's number. Context: any.
pub(crate) fn family() -> i32 {
    // SAFETY: Only reads a parameter that does not change after load.
    let number = unsafe { bindings::feed_param_family() };
    i32::try_from(number).unwrap_or(-1)
}

/// The EtherType of our frames. Context: any.
pub(crate) fn ethertype() -> u16 {
    // SAFETY: As above.
    unsafe { bindings::feed_param_ethertype() }
}

/// The group that lookups go to while no neighbour is known.
///
/// # Errors
/// `EINVAL` when the parameter is no multicast address.
pub(crate) fn group() -> Result<[u8; 6]> {
    let mut address = [0; 6];
    // SAFETY: There is room for an address.
    let good = unsafe { bindings::feed_param_group(address.as_mut_ptr()) };
    good.then_some(address).ok_or(EINVAL)
}

/// Waits, when dropped, for everything that RCU was asked to do: code of ours must not be called
/// after it is gone.
pub(crate) struct RcuBarrier(());

impl RcuBarrier {
    /// Will wait when it is dropped.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Drop for RcuBarrier {
    fn drop(&mut self) {
        // SAFETY: Waiting is always allowed in process context, which modules unload in.
        unsafe { bindings::rcu_barrier() };
    }
}
