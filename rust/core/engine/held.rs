// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What came but cannot be judged yet: heads whose signature is being checked or whose consistency
//! proof is missing (with what else was in their frame), and paths and pages without their other half.

use super::env::{Mac, Memory, PortId};
use super::slab::{Slab, Slot, Values};
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
    /// See [`VerifyJob::instead_of`](super::VerifyJob::instead_of).
    pub instead_of: u64,
    /// Its neighbour alone was asked for it, see [`VerifyJob::alone`](super::VerifyJob::alone).
    pub alone: bool,
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

impl Held {
    /// A constant, so that it is written to its place and not made on the stack first.
    const EMPTY: Self = Held {
        serial: 0,
        waits: Waits::Grant,
        id: DiscoveryId([0; 32]),
        port: PortId(0),
        mac: Mac([0; 6]),
        entry: 0,
        hops: 0,
        instead_of: 0,
        alone: false,
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
    };
}

impl Default for Held {
    fn default() -> Self {
        Self::EMPTY
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
        self.instead_of = 0;
        self.alone = false;
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

    /// The job that is to judge what is kept here, in place `index`.
    pub(super) fn job_id(&self, index: u32) -> u64 {
        u64::from(index) | u64::from(self.serial) << 32
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

/// What a record is used for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Kept {
    #[default]
    Nothing,
    /// Hashes, see [`Waits::Hashes`].
    Hashes,
    /// A head, from anybody on the port.
    Head,
    /// A head, from a neighbour that was asked alone.
    HeadAlone,
}

/// Whose a record is: what all of them are searched for, apart from their bulk, so that a frame that
/// finds no room touches none of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Owner {
    port: PortId,
    mac: Mac,
    kept: Kept,
}

/// Records that a port may have for each one that is free.
const PER_FREE: u32 = 3;
/// How many of these may be heads that anybody on the port can send: what was asked of one neighbour
/// finds room beside them.
const HEADS_PER_FREE: u32 = 1;

/// How many records are a port's.
#[derive(Clone, Copy, Default)]
struct Tally {
    port: PortId,
    used: u32,
    /// [`Kept::Head`] among them.
    heads: u32,
}

impl Tally {
    /// One more, or no longer one, that is kept for this.
    fn change(&mut self, owner: &Owner, by: i32) {
        if owner.port == self.port && owner.kept != Kept::Nothing {
            self.used = self.used.saturating_add_signed(by);
            if owner.kept == Kept::Head {
                self.heads = self.heads.saturating_add_signed(by);
            }
        }
    }
}

/// The records. At 2.7 KiB each they are made and freed in their places, never moved.
pub(super) struct Records<M: Memory> {
    slab: Slab<Held, M>,
    owners: M::Of<Owner>,
    /// Of the port that was asked about last: a flood's frames come by one port, and nearly all of
    /// them ask for nothing else.
    tally: Tally,
}

impl<M: Memory> Records<M> {
    /// Both are equally long.
    pub(super) fn new(slots: M::Of<Slot<Held>>, owners: M::Of<Owner>) -> Self {
        Records {
            slab: Slab::new(slots),
            owners,
            tally: Tally::default(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Held> {
        self.slab.get(index)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Held> {
        self.slab.get_mut(index)
    }

    pub(super) fn iter(&self) -> Values<'_, Held> {
        self.slab.iter()
    }

    /// Gives a record back.
    pub(super) fn release(&mut self, index: u32) {
        if self.slab.release(index) {
            if let Some(owner) = self.owners.get_mut(index as usize) {
                self.tally.change(owner, -1);
                *owner = Owner::default();
            }
        }
    }

    /// Whether something that came by `port` can be kept: whatever comes by one port, some records are
    /// left for the others.
    pub(super) fn has_room(&mut self, port: PortId, kept: Kept) -> bool {
        if self.tally.port != port {
            self.tally = self.count(port);
        }
        let Tally { used, heads, .. } = self.tally;
        let free = self.slab.capacity().saturating_sub(self.slab.len());
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        used < free.saturating_mul(PER_FREE)
            && (kept != Kept::Head || heads < free.saturating_mul(HEADS_PER_FREE))
    }

    #[cold]
    fn count(&self, port: PortId) -> Tally {
        let mut tally = Tally {
            port,
            ..Tally::default()
        };
        for owner in self.owners.iter() {
            tally.change(owner, 1);
        }
        tally
    }

    /// The head of this feed that came from this neighbour in the same way: nobody who takes its
    /// address replaces what it alone was asked for.
    pub(super) fn head_from(
        &self,
        id: &DiscoveryId,
        port: PortId,
        mac: Mac,
        kept: Kept,
    ) -> Option<u32> {
        let mut index = 0u32;
        for owner in self.owners.iter() {
            if owner.kept == kept && owner.port == port && owner.mac == mac {
                let held = self.slab.get(index);
                if held.is_some_and(|held| held.id == *id) {
                    return Some(index);
                }
            }
            index = index.wrapping_add(1);
        }
        None
    }

    /// A fresh record, in its place, for what came from there; `None` when there is no room.
    pub(super) fn open(&mut self, port: PortId, mac: Mac, kept: Kept) -> Option<(u32, &mut Held)> {
        if !self.has_room(port, kept) {
            return None;
        }
        let index = self.slab.claim()?;
        if let Some(owner) = self.owners.get_mut(index as usize) {
            *owner = Owner { port, mac, kept };
            self.tally.change(owner, 1);
        }
        let record = self.slab.get_mut(index)?;
        record.reset();
        record.port = port;
        record.mac = mac;
        record.alone = kept == Kept::HeadAlone;
        record.waits = match kept {
            Kept::Nothing | Kept::Hashes => Waits::Hashes,
            Kept::Head | Kept::HeadAlone => Waits::Head,
        };
        Some((index, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    struct Vectors;

    impl Memory for Vectors {
        type Of<T> = Vec<T>;
    }

    const PLACES: u32 = 64;
    const PORTS: [PortId; 3] = [PortId(0), PortId(1), PortId(7)];
    const USES: [Kept; 3] = [Kept::Hashes, Kept::Head, Kept::HeadAlone];

    fn records() -> Records<Vectors> {
        let defaults = |_| Slot::default();
        Records::new(
            (0..PLACES).map(defaults).collect(),
            vec![Owner::default(); PLACES as usize],
        )
    }

    /// By the rule, from the list of all that are kept.
    fn is_room(all: &[(u32, PortId, Kept)], port: PortId, kept: Kept) -> bool {
        let free = PLACES - all.len() as u32;
        let of_port = || all.iter().filter(|(_, owner, _)| *owner == port);
        let heads = of_port().filter(|(.., kept)| *kept == Kept::Head);
        of_port().count() < (free * PER_FREE) as usize
            && (kept != Kept::Head || heads.count() < (free * HEADS_PER_FREE) as usize)
    }

    #[test]
    fn has_room__is_by_the_rule_whatever_came_before() {
        let mut records = records();
        let mut all = Vec::<(u32, PortId, Kept)>::new();
        let mut random = 1u64;
        let mut refused = 0;
        for _ in 0..20_000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let dice = (random >> 33) as usize;
            // Ports take turns in runs, as they do.
            let (port, kept) = (PORTS[dice / 4 % 97 % 3], USES[dice / 512 % 3]);
            if dice % 4 == 0 && !all.is_empty() {
                let (index, ..) = all.swap_remove(dice / 4 % all.len());
                records.release(index);
                // Nobody has it any more.
                records.release(index);
            } else {
                let fits = is_room(&all, port, kept);
                assert_eq!(records.has_room(port, kept), fits);
                let opened = records.open(port, Mac::default(), kept);
                assert_eq!(opened.is_some(), fits);
                all.extend(opened.map(|(index, _)| (index, port, kept)));
                refused += usize::from(!fits);
            }
        }
        assert!(refused > 1_000, "{refused}");
    }
}
