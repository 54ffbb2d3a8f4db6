// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The grant: the name key hands an epoch over to a working key.

use crate::bytes::{Reader, Writer};
use crate::error::Drop;
use crate::head::VERSION;
use crate::id::{Hash, Name, NAME_KIND};
use crate::sign::{tag32, PublicKey, Seed, SIGNATURE_LEN};
use crate::wire::MAX_ENTRIES;

/// Length of a grant with its signature, bytes.
pub const GRANT_LEN: usize = 192;

/// Length of the signed part, bytes.
pub const GRANT_BODY_LEN: usize = 128;

const TAG_GRANT: [u8; 32] = tag32(b"AF_FEED 1 grant");

/// What a grant says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// Zero in version 1.
    pub flags: u16,
    /// The epoch that it opens, at least 1.
    pub epoch: u32,
    /// The entries of earlier epochs that stay.
    pub base_n: u64,
    /// Author's time, ms since 1970.
    pub time: u64,
    /// Heads of this epoch are stale after it, ms since 1970, 0 for never.
    pub not_after: u64,
    /// The feed.
    pub name: Name,
    /// Root of the tree of `base_n` leaves.
    pub base_root: Hash,
    /// The working key that signs the heads of this epoch.
    pub key: PublicKey,
}

impl Grant {
    fn read(bytes: &[u8; GRANT_LEN]) -> Option<(u8, u8, Grant)> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        let name_kind = r.u8()?;
        let grant = Grant {
            flags: r.u16()?,
            epoch: r.u32()?,
            base_n: r.u64()?,
            time: r.u64()?,
            not_after: r.u64()?,
            name: Name(*r.array()?),
            base_root: Hash(*r.array()?),
            key: PublicKey(*r.array()?),
        };
        Some((version, name_kind, grant))
    }

    fn body(&self) -> [u8; GRANT_BODY_LEN] {
        let mut out = [0; GRANT_BODY_LEN];
        Writer::new(&mut out)
            .u8(VERSION)
            .u8(NAME_KIND)
            .u16(self.flags)
            .u32(self.epoch)
            .u64(self.base_n)
            .u64(self.time)
            .u64(self.not_after)
            .put(&self.name.0)
            .put(&self.base_root.0)
            .put(&self.key.0);
        out
    }

    fn check(&self) -> Result<(), Drop> {
        let empty_root = self.base_n != 0 || self.base_root == Hash::ZERO;
        if self.flags != 0 || self.epoch == 0 || self.base_n > MAX_ENTRIES || !empty_root {
            return Err(Drop::BadGrant);
        }
        Ok(())
    }

    /// Signs the grant with the name key.
    pub fn sign(&self, seed: &Seed) -> Result<SignedGrant, Drop> {
        self.check()?;
        let body = self.body();
        let signature = seed.sign(&TAG_GRANT, &body)?;
        let mut bytes = [0; GRANT_LEN];
        Writer::new(&mut bytes).put(&body).put(&signature);
        Ok(SignedGrant {
            grant: *self,
            bytes,
        })
    }
}

/// A grant with the bytes that travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignedGrant {
    /// What it says.
    pub grant: Grant,
    /// Body and signature.
    pub bytes: [u8; GRANT_LEN],
}

impl SignedGrant {
    /// Reads a grant and checks everything but the signature and the key's point.
    pub fn parse(bytes: &[u8; GRANT_LEN]) -> Result<SignedGrant, Drop> {
        let (version, name_kind, grant) = Grant::read(bytes).ok_or(Drop::BadGrant)?;
        if version != VERSION {
            return Err(Drop::BadVersion);
        }
        if name_kind != NAME_KIND {
            return Err(Drop::BadNameKind);
        }
        grant.check()?;
        Ok(SignedGrant {
            grant,
            bytes: *bytes,
        })
    }

    /// Checks that `name` signed this grant for itself. Needs about 6 KiB of stack.
    pub fn verify(&self, name: &Name) -> Result<(), Drop> {
        if self.grant.name != *name {
            return Err(Drop::WrongName);
        }
        self.grant.key.validate()?;
        let mut r = Reader::new(&self.bytes);
        match (r.array::<GRANT_BODY_LEN>(), r.array::<SIGNATURE_LEN>()) {
            (Some(body), Some(signature)) => {
                PublicKey::from(*name).verify(&TAG_GRANT, body, signature)
            }
            _ => Err(Drop::BadGrant),
        }
    }
}
