// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What came but cannot be judged yet: heads whose signature is being checked or whose consistency
//! proof is missing (with what else was in their frame), and paths and pages without their other half.

use super::env::{Mac, Memory, PortId};
use super::slab::Slab;
use crate::head::HEAD_LEN;
use crate::id::{DiscoveryId, Hashes};
use crate::wire::MAX_PATH;

/// Room for what came with a head: GRANT, CONS, and an ENTRY with 36 siblings and 1 KiB.
pub(super) const FRAME_ROOM: usize = 2560;

/// What a held record waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Waits {
    /// The verdict on the grant that came with the head.
    #[default]
    Grant,
    /// The verdict on the head.
    Head,
    /// The consistency proof of a head whose signature is good.
    Cons,
    /// Hashes, not a head: a path that waits for its page or the other way round, or the verified
    /// page of a blob window.
    Hashes,
}

/// One held record.
pub(super) struct Held {
    /// Counts the place's users: what was asked for one of them is never taken as the next one's.
    pub serial: u32,
    pub waits: Waits,
    pub id: DiscoveryId,
    /// Where it came from, and through which entry.
    pub port: PortId,
    pub mac: Mac,
    pub entry: u32,
    pub hops: u8,
    /// It came with the UNCHECKED flag.
    pub unchecked: bool,
    /// Followers were told of it, or of the one that it replaces, before the verdict.
    pub handed_on: bool,
    /// Nobody waits for the verdict: followers were told, and no program here wants it.
    pub patient: bool,
    pub head: [u8; HEAD_LEN],
    /// The tree of a path or page; of a head that waits for its proof, the tree that it extends.
    pub n: u64,
    pub path_len: u8,
    pub page_len: u8,
    /// The path is there (it may be empty).
    pub has_path: bool,
    pub frame_len: u16,
    pub frame: [u8; FRAME_ROOM],
}

impl Default for Held {
    fn default() -> Self {
        Held {
            serial: 0,
            waits: Waits::default(),
            id: DiscoveryId::default(),
            port: PortId::default(),
            mac: Mac::default(),
            entry: 0,
            hops: 0,
            unchecked: false,
            handed_on: false,
            patient: false,
            head: [0; HEAD_LEN],
            n: 0,
            path_len: 0,
            page_len: 0,
            has_path: false,
            frame_len: 0,
            frame: [0; FRAME_ROOM],
        }
    }
}

const PATH_ROOM: usize = MAX_PATH * 32;

impl Held {
    /// Forgets what the place's last user kept; the bytes behind the lengths do not matter.
    pub(super) fn reset(&mut self) {
        self.serial = self.serial.wrapping_add(1);
        self.waits = Waits::default();
        self.id = DiscoveryId::default();
        self.port = PortId::default();
        self.mac = Mac::default();
        self.entry = 0;
        self.hops = 0;
        self.unchecked = false;
        self.handed_on = false;
        self.patient = false;
        self.head = [0; HEAD_LEN];
        self.n = 0;
        self.path_len = 0;
        self.page_len = 0;
        self.has_path = false;
        self.frame_len = 0;
    }

    /// Whether it is a head of this feed that came from this neighbour.
    pub(super) fn is_head_from(&self, id: &DiscoveryId, port: PortId, mac: Mac) -> bool {
        self.waits != Waits::Hashes && self.port == port && self.mac == mac && self.id == *id
    }

    /// The frame that was kept with a head.
    pub(super) fn frame(&self) -> &[u8] {
        self.frame.get(..usize::from(self.frame_len)).unwrap_or(&[])
    }

    /// Keeps the siblings of a path.
    pub(super) fn set_path(&mut self, siblings: Hashes<'_>) {
        let bytes = siblings.as_bytes();
        if let Some(room) = self.frame.get_mut(..bytes.len().min(PATH_ROOM)) {
            super::copy(room, bytes);
            self.path_len = siblings.len() as u8;
            self.has_path = true;
        }
    }

    /// Keeps the hashes of a page.
    pub(super) fn set_page(&mut self, page: Hashes<'_>) {
        let bytes = page.as_bytes();
        if let Some(room) = self
            .frame
            .get_mut(PATH_ROOM..PATH_ROOM.saturating_add(bytes.len()))
        {
            super::copy(room, bytes);
            self.page_len = page.len() as u8;
        }
    }

    pub(super) fn path(&self) -> Hashes<'_> {
        let bytes = self
            .frame
            .get(..usize::from(self.path_len).saturating_mul(32))
            .unwrap_or(&[]);
        Hashes::new(bytes).unwrap_or(Hashes::NONE)
    }

    pub(super) fn page(&self) -> Hashes<'_> {
        let end = PATH_ROOM.saturating_add(usize::from(self.page_len).saturating_mul(32));
        Hashes::new(self.frame.get(PATH_ROOM..end).unwrap_or(&[])).unwrap_or(Hashes::NONE)
    }
}

/// The records. At 2.7 KiB each they are made and freed in their places, never moved.
pub(super) type HeldSlab<M> = Slab<Held, M>;

/// Records that a port may have for each one that is free.
const PER_FREE: usize = 3;

/// Whether a head that came by `port` can be kept: in a place of its own, or in that of another of the
/// same feed and neighbour.
pub(super) fn is_room_for_head<M: Memory>(
    held: &HeldSlab<M>,
    id: &DiscoveryId,
    port: PortId,
    mac: Mac,
) -> bool {
    has_room(held, port)
        || held
            .iter()
            .any(|(_, held)| held.is_head_from(id, port, mac))
}

fn has_room<M: Memory>(held: &HeldSlab<M>, port: PortId) -> bool {
    let free = held.capacity().saturating_sub(held.len());
    let mut used = 0usize;
    for (_, held) in held.iter() {
        used = used.saturating_add(usize::from(held.port == port));
    }
    used < free.saturating_mul(PER_FREE)
}

/// A fresh record, in its place, for what came by `port`; `None` when all are in use or the port has
/// its share: whatever comes by one port, some are left for the others.
pub(super) fn open<M: Memory>(held: &mut HeldSlab<M>, port: PortId) -> Option<(u32, &mut Held)> {
    if !has_room(held, port) {
        return None;
    }
    let index = held.claim()?;
    let record = held.get_mut(index)?;
    record.reset();
    record.port = port;
    Some((index, record))
}
