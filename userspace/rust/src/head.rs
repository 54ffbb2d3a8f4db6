// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads: signed statements of a feed's length and root.

use feed_core::head::{HEAD_LEN, SignedHead};
use feed_core::id::Hashes;
use feed_core::sign::PublicKey;
use feed_core::verify::proves_fork;

use crate::error::{Error, Result};
use crate::name::Name;

/// A head, well-formed. Heads that the kernel gives are verified; for bytes from elsewhere call
/// [`Head::verify`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head(SignedHead);

impl Head {
    /// Length of a head, bytes.
    pub const LEN: usize = HEAD_LEN;

    /// Reads the 160 bytes and checks everything but the signature.
    pub fn from_bytes(bytes: &[u8; Head::LEN]) -> Result<Head> {
        SignedHead::parse(bytes).map(Head).map_err(Error::head)
    }

    /// The 160 bytes: what an author keeps and gives back.
    pub const fn as_bytes(&self) -> &[u8; Head::LEN] {
        &self.0.bytes
    }

    /// Checks the signature of a head of epoch 0, which the name key makes itself. A head of a
    /// later epoch needs its grant and is refused.
    pub fn verify(&self) -> Result<()> {
        if self.0.head.epoch != 0 {
            return Err(Error::head(feed_core::Drop::OldEpoch));
        }
        self.0
            .verify(&PublicKey::from(self.0.head.name))
            .map_err(Error::head)
    }

    /// The feed.
    pub const fn name(&self) -> Name {
        Name(self.0.head.name.0)
    }

    /// Number of entries.
    pub const fn n(&self) -> u64 {
        self.0.head.n
    }

    /// 0: signed by the name key; above: by a working key.
    pub const fn epoch(&self) -> u32 {
        self.0.head.epoch
    }

    /// When it was signed, ms since 1970; 0 is unstated.
    pub const fn time(&self) -> u64 {
        self.0.head.time
    }

    /// When the next head is promised, ms since 1970; 0 is no promise.
    pub const fn next_by(&self) -> u64 {
        self.0.head.next_by
    }

    /// Whether the feed ends here.
    pub fn is_final(&self) -> bool {
        self.0.head.is_final()
    }

    /// Root of the tree; zeros while the feed is empty.
    pub const fn root(&self) -> [u8; 32] {
        self.0.head.root.0
    }
}

/// Two heads of one feed that exclude each other: proof that its author signed two histories.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fork {
    /// The head that this node holds.
    pub held: Head,
    /// The head that contradicts it.
    pub other: Head,
    /// The consistency proof from the shorter tree to the longer one, hash by hash; empty where
    /// the heads show it by themselves.
    pub proof: Vec<u8>,
}

impl Fork {
    /// Checks both signatures, and that the heads exclude each other. (A head of a later epoch is
    /// signed by a working key, which this does not know.)
    pub fn verify(&self) -> Result<()> {
        self.held.verify()?;
        self.other.verify()?;
        let forked = Hashes::new(&self.proof)
            .is_some_and(|proof| proves_fork(&self.held.0.head, &self.other.0.head, proof));
        forked
            .then_some(())
            .ok_or_else(|| Error::head(feed_core::Drop::NoProof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed_core::id::Hash;
    use feed_core::sign::Seed;

    fn signed() -> [u8; Head::LEN] {
        let seed = Seed::new([7; 32]).unwrap();
        let head = feed_core::head::Head {
            flags: feed_core::head::HEAD_FINAL,
            epoch: 0,
            n: 3,
            time: 1_700_000_000_000,
            next_by: 0,
            name: feed_core::id::Name(seed.public_key().0),
            root: Hash([9; 32]),
        };
        head.sign(&seed).unwrap().bytes
    }

    fn signed_root(n: u64, root: u8) -> Head {
        let seed = Seed::new([7; 32]).unwrap();
        let head = feed_core::head::Head {
            flags: 0,
            epoch: 0,
            n,
            time: 0,
            next_by: 0,
            name: feed_core::id::Name(seed.public_key().0),
            root: Hash([root; 32]),
        };
        Head(head.sign(&seed).unwrap())
    }

    #[test]
    fn fork__is_checked() {
        let fork = |other: Head, proof: &[u8]| Fork {
            held: signed_root(3, 9),
            other,
            proof: proof.to_vec(),
        };
        fork(signed_root(3, 8), &[]).verify().unwrap();
        // The same tree, a longer one without proof or with one that is about another, a bad signature.
        assert!(fork(signed_root(3, 9), &[]).verify().is_err());
        assert!(fork(signed_root(4, 8), &[]).verify().is_err());
        assert!(fork(signed_root(4, 8), &[1; 96]).verify().is_err());
        let mut bytes = *signed_root(3, 8).as_bytes();
        bytes[Head::LEN - 1] ^= 1;
        assert!(fork(Head::from_bytes(&bytes).unwrap(), &[]).verify().is_err());
    }

    #[test]
    fn head__genuine() {
        let head = Head::from_bytes(&signed()).unwrap();
        head.verify().unwrap();
        assert_eq!(
            (head.n(), head.epoch(), head.is_final(), head.time()),
            (3, 0, true, 1_700_000_000_000)
        );
        assert_eq!(head.as_bytes(), &signed());
    }

    #[test]
    fn head__every_flipped_byte_is_refused() {
        for at in 0..Head::LEN {
            let mut bytes = signed();
            bytes[at] ^= 1;
            let genuine = Head::from_bytes(&bytes).and_then(|head| head.verify());
            assert!(genuine.is_err(), "byte {at}");
        }
    }
}
