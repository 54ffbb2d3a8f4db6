// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Names and numbers of network devices.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::error::{Error, Result};

/// Looks devices up in the network namespace of the thread that made it.
pub(crate) struct Devices(OwnedFd);

impl Devices {
    pub(crate) fn open() -> Result<Devices> {
        // The kind of socket does not matter: it only says which namespace is meant.
        socket(AddressFamily::UNIX, SocketType::DGRAM, None)
            .map(Devices)
            .map_err(|errno| Error::Socket(errno.into()))
    }

    pub(crate) fn index(&self, name: &str) -> Result<u32> {
        netdevice::name_to_index(&self.0, name).map_err(|_| Error::NoDevice(name.to_owned()))
    }

    /// Empty when the device is gone.
    pub(crate) fn name(&self, index: u32) -> String {
        netdevice::index_to_name_inlined(&self.0, index)
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices__loopback() {
        let devices = Devices::open().unwrap();
        let index = devices.index("lo").unwrap();
        assert_eq!(devices.name(index), "lo");
        assert_eq!(devices.name(u32::MAX), "");
    }

    #[test]
    fn devices__unknown_is_named() {
        let said = Devices::open()
            .unwrap()
            .index("nodev0")
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("nodev0") && said.contains("ip link"),
            "{said}"
        );
    }
}
