// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Ports: the attached devices that lookups may leave and enter by.

use super::env::{Mac, Memory, PortId};
use super::limits::{FRAME_MAX, PORT_MTU_MIN};

/// What the shell says of a device.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PortInfo {
    /// Its own address; frames from it are our own echo.
    pub mac: Mac,
    /// Largest frame without the Ethernet header, bytes.
    pub mtu: u16,
    /// Whether frames can leave by it now.
    pub up: bool,
    /// Whether a window of a blob may leave by it in one frame, whatever its MTU: the shell has it cut
    /// where it must be cut, see [`crate::wire::cut_head`].
    pub uncut: bool,
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// No place in the table.
    Full,
    /// It is there already.
    Exists,
    /// It is not there.
    Missing,
    /// A value outside its range, such as an MTU under 1,280.
    Invalid,
}

/// One port.
#[derive(Clone, Copy, Default)]
pub(super) struct Port {
    pub id: PortId,
    pub info: PortInfo,
    /// Oldest and newest downstream record of this port, links of the downstream table.
    pub oldest: u32,
    pub newest: u32,
    /// Records in that list.
    pub downs: u32,
    /// FOLLOW records, which have a quota of their own.
    pub followers: u32,
    /// Lookups in flight that it pays for.
    pub entries: u32,
    /// Blob windows among them.
    pub windows: u32,
    used: bool,
}

/// The ports: at most [`super::limits::PORTS_MAX`], few enough to be searched in order.
pub(super) struct Ports<M: Memory> {
    slots: M::Of<Port>,
}

impl<M: Memory> Ports<M> {
    pub(super) fn new(slots: M::Of<Port>) -> Self {
        Ports { slots }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Port> {
        self.slots.iter().filter(|port| port.used)
    }

    pub(super) fn get(&self, id: PortId) -> Option<&Port> {
        self.iter().find(|port| port.id == id)
    }

    pub(super) fn get_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.slots
            .iter_mut()
            .find(|port| port.used && port.id == id)
    }

    pub(super) fn add(&mut self, id: PortId, info: PortInfo) -> Result<(), Refused> {
        if info.mtu < PORT_MTU_MIN || id == PortId::LOCAL {
            return Err(Refused::Invalid);
        }
        if self.get(id).is_some() {
            return Err(Refused::Exists);
        }
        let free = self
            .slots
            .iter_mut()
            .find(|port| !port.used)
            .ok_or(Refused::Full)?;
        *free = Port {
            id,
            info,
            used: true,
            ..Port::default()
        };
        Ok(())
    }

    pub(super) fn set(&mut self, id: PortId, info: PortInfo) -> Result<(), Refused> {
        if info.mtu < PORT_MTU_MIN {
            return Err(Refused::Invalid);
        }
        self.get_mut(id).ok_or(Refused::Missing)?.info = info;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: PortId) -> bool {
        let Some(port) = self.get_mut(id) else {
            return false;
        };
        *port = Port::default();
        true
    }

    /// Whether a port may take one more of a table's places; `used` says how many a port has.
    ///
    /// Half of a table is this machine's own. Of the other half, half is kept for the ports in equal
    /// shares, so that none can take them all; the rest goes to who comes first.
    pub(super) fn may_take(&self, id: PortId, places: usize, used: impl Fn(&Port) -> u32) -> bool {
        let all = u32::try_from(places >> 1).unwrap_or(u32::MAX);
        // Not `count`, which the kernel's core library checks for overflow.
        let ports = self.iter().fold(0u32, |sum, _| sum.saturating_add(1));
        let share = (all >> 1).checked_div(ports).unwrap_or(0);
        let taken = self.iter().fold(0u32, |sum, port| {
            let kept = if port.id == id { 0 } else { share };
            sum.saturating_add(used(port).max(kept))
        });
        taken < all
    }

    /// One more lookup in flight is a port's. Those of this machine are not counted.
    pub(super) fn charge(&mut self, id: PortId, window: bool) {
        if let Some(port) = self.get_mut(id) {
            port.entries = port.entries.saturating_add(1);
            port.windows = port.windows.saturating_add(u32::from(window));
        }
    }

    /// Undoes [`Ports::charge`].
    pub(super) fn discharge(&mut self, id: PortId, window: bool) {
        if let Some(port) = self.get_mut(id) {
            port.entries = port.entries.saturating_sub(1);
            port.windows = port.windows.saturating_sub(u32::from(window));
        }
    }

    /// The largest frame for a port that is up.
    pub(super) fn mtu(&self, id: PortId) -> Option<usize> {
        self.get(id)
            .filter(|port| port.info.up)
            .map(|port| usize::from(port.info.mtu).min(FRAME_MAX))
    }

    /// Whether a window of a blob may leave by it in one frame that is longer than that.
    pub(super) fn is_uncut(&self, id: PortId) -> bool {
        self.get(id).is_some_and(|port| port.info.uncut)
    }

    pub(super) fn any_up(&self) -> bool {
        self.iter().any(|port| port.info.up)
    }
}
