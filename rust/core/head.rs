// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The head: a signed statement of epoch, length and root.

use crate::bytes::{Reader, Writer};
use crate::error::Drop;
use crate::id::{Hash, Name, NAME_KIND};
use crate::sign::{tag32, PublicKey, Seed, SIGNATURE_LEN};
use crate::wire::MAX_ENTRIES;

/// Length of a head with its signature, bytes.
pub const HEAD_LEN: usize = 160;

/// Length of the signed part, bytes.
pub const HEAD_BODY_LEN: usize = 96;

/// The version of heads and grants.
pub const VERSION: u8 = 1;

/// The feed ends with this head.
pub const HEAD_FINAL: u16 = 1;

/// Flags that a reader must know to take the head. None is defined in version 1.
pub const HEAD_FLAGS_CRITICAL: u16 = 0xff00;

const TAG_HEAD: [u8; 32] = tag32(b"AF_FEED 1 head");

/// What a head says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// [`HEAD_FINAL`]; unknown bits of the low half are kept and mean nothing.
    pub flags: u16,
    /// 0: signed by the name key; above: by the working key that the grant of this epoch names.
    pub epoch: u32,
    /// Number of entries.
    pub n: u64,
    /// Author's time, ms since 1970, 0 if unstated.
    pub time: u64,
    /// When the next head is promised, ms since 1970, 0 if it is not.
    pub next_by: u64,
    /// The feed.
    pub name: Name,
    /// Root of the tree of `n` leaves.
    pub root: Hash,
}

impl Head {
    /// Newest is greatest. Of heads of one tree the final one is newest, then the latest.
    pub fn order(&self) -> (u32, u64, bool, u64) {
        (self.epoch, self.n, self.is_final(), self.time)
    }

    /// Whether the feed ends here.
    pub fn is_final(&self) -> bool {
        self.flags & HEAD_FINAL != 0
    }

    /// Whether both state the same tree of the same epoch.
    pub fn same_tree(&self, other: &Head) -> bool {
        self.name == other.name
            && self.epoch == other.epoch
            && self.n == other.n
            && self.root == other.root
    }

    /// Whether this head says of the tree of `held` the same, but later or for good.
    pub fn refreshes(&self, held: &Head) -> bool {
        self.same_tree(held) && self.order() > held.order()
    }

    /// Whether the two alone prove a fork: one length and two roots, or entries after a final head.
    pub fn forks(&self, other: &Head) -> bool {
        let comparable = self.name == other.name && self.epoch == other.epoch;
        let beyond = |a: &Head, b: &Head| a.is_final() && b.n > a.n;
        let two_roots = self.n == other.n && self.root != other.root;
        comparable && (two_roots || beyond(self, other) || beyond(other, self))
    }

    fn read(bytes: &[u8; HEAD_LEN]) -> Option<(u8, u8, Head)> {
        let mut r = Reader::new(bytes);
        let (version, name_kind) = (r.u8()?, r.u8()?);
        let mut head = Head::read_front(&mut r)?;
        head.name = Name(*r.array()?);
        head.root = Hash(*r.array()?);
        Some((version, name_kind, head))
    }

    /// What lies between the kind of name and the name.
    fn read_front(r: &mut Reader<'_>) -> Option<Head> {
        Some(Head {
            flags: r.u16()?,
            epoch: r.u32()?,
            n: r.u64()?,
            time: r.u64()?,
            next_by: r.u64()?,
            name: Name::default(),
            root: Hash::ZERO,
        })
    }

    /// A head that was checked before, by what stands in front of its name.
    pub(crate) fn of_front(front: &[u8], name: Name, root: Hash) -> Option<Head> {
        let mut r = Reader::new(front);
        let (_version, _name_kind) = (r.u8()?, r.u8()?);
        let head = Head::read_front(&mut r)?;
        Some(Head { name, root, ..head })
    }

    fn body(&self) -> [u8; HEAD_BODY_LEN] {
        let mut out = [0; HEAD_BODY_LEN];
        Writer::new(&mut out)
            .u8(VERSION)
            .u8(NAME_KIND)
            .u16(self.flags)
            .u32(self.epoch)
            .u64(self.n)
            .u64(self.time)
            .u64(self.next_by)
            .put(&self.name.0)
            .put(&self.root.0);
        out
    }

    fn check(&self) -> Result<(), Drop> {
        let empty_root = self.n != 0 || self.root == Hash::ZERO;
        if self.flags & HEAD_FLAGS_CRITICAL != 0 || self.n > MAX_ENTRIES || !empty_root {
            return Err(Drop::BadHead);
        }
        Ok(())
    }

    /// Signs the head with the key of its epoch.
    pub fn sign(&self, seed: &Seed) -> Result<SignedHead, Drop> {
        self.check()?;
        let body = self.body();
        let signature = seed.sign(&TAG_HEAD, &body)?;
        let mut bytes = [0; HEAD_LEN];
        Writer::new(&mut bytes).put(&body).put(&signature);
        Ok(SignedHead { head: *self, bytes })
    }
}

/// A head with the bytes that travel. Parsed or signed by us; whether it was *verified* is for the
/// holder to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignedHead {
    /// What it says.
    pub head: Head,
    /// Body and signature.
    pub bytes: [u8; HEAD_LEN],
}

impl SignedHead {
    /// Reads a head and checks everything but the signature.
    pub fn parse(bytes: &[u8; HEAD_LEN]) -> Result<SignedHead, Drop> {
        let (version, name_kind, head) = Head::read(bytes).ok_or(Drop::BadHead)?;
        if version != VERSION {
            return Err(Drop::BadVersion);
        }
        if name_kind != NAME_KIND {
            return Err(Drop::BadNameKind);
        }
        head.check()?;
        Ok(SignedHead {
            head,
            bytes: *bytes,
        })
    }

    /// Checks the signature. `key` is the name in epoch 0, else the working key of the epoch's
    /// grant. Needs about 6 KiB of stack.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Drop> {
        let mut r = Reader::new(&self.bytes);
        match (r.array::<HEAD_BODY_LEN>(), r.array::<SIGNATURE_LEN>()) {
            (Some(body), Some(signature)) => key.verify(&TAG_HEAD, body, signature),
            _ => Err(Drop::BadHead),
        }
    }
}
