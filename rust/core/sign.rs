// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Ed25519 with a tag in front of every message.
//!
//! The verification predicate is that of ed25519-compact 2.6 and no other verifier is used: A, R
//! and S canonical, A and R not of small order, 8(SB - hA - R) = 0.

use core::hint::black_box;
use core::sync::atomic::{compiler_fence, Ordering};

use ed25519_compact as ed;

use crate::bytes::Writer;
use crate::error::Drop;
use crate::id::Name;

/// Length of a signature, bytes.
pub const SIGNATURE_LEN: usize = 64;

/// The longest signed message: a grant without its signature.
const MESSAGE_MAX: usize = 128;

/// An ASCII tag, zero-padded to 32 bytes.
pub const fn tag32(text: &[u8]) -> [u8; 32] {
    let mut tag = [0u8; 32];
    let mut rest = text;
    let mut room: &mut [u8] = &mut tag;
    while let (Some((byte, text)), Some((slot, free))) =
        (rest.split_first(), room.split_first_mut())
    {
        *slot = *byte;
        rest = text;
        room = free;
    }
    tag
}

/// An RFC 8032 seed with what it gives. The secret is overwritten when dropped.
pub struct Seed {
    secret: [u8; 32],
    /// Derived once: that takes as long as a signature.
    public: PublicKey,
}

impl Seed {
    /// Takes a seed; zeros are refused.
    ///
    /// The public key is always derived, never taken from a caller: signing with a public half that
    /// does not belong to the seed gives the seed away.
    #[inline(never)]
    pub fn new(bytes: [u8; 32]) -> Result<Seed, Drop> {
        let mut seed = Seed {
            secret: bytes,
            public: PublicKey([0; 32]),
        };
        // Zeros are the only seed for which this fails.
        let pair = ed::KeyPair::try_from_seed(ed::Seed::new(bytes)).map_err(|_| Drop::BadSeed)?;
        seed.public = PublicKey(*pair.pk);
        Ok(seed)
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Signs `message` under `tag`.
    #[inline(never)]
    pub fn sign(&self, tag: &[u8; 32], message: &[u8]) -> Result<[u8; SIGNATURE_LEN], Drop> {
        let mut buf = [0; MESSAGE_MAX + 32];
        let tagged = tagged(&mut buf, tag, message).ok_or(Drop::OutOfRange)?;
        let mut halves = [0; ed::SecretKey::BYTES];
        Writer::new(&mut halves)
            .put(&self.secret)
            .put(&self.public.0);
        // Wipes itself.
        let secret = ed::SecretKey::new(halves);
        wipe(&mut halves);
        Ok(*secret.sign(tagged, None))
    }
}

/// Overwrites a secret so that the compiler cannot leave it out.
pub fn wipe<const N: usize>(secret: &mut [u8; N]) {
    *secret = [0; N];
    // Without these the compiler may see that nobody reads the zeros and leave them out.
    black_box(secret);
    compiler_fence(Ordering::SeqCst);
}

impl core::ops::Drop for Seed {
    fn drop(&mut self) {
        wipe(&mut self.secret);
    }
}

/// A key that signatures are checked with: a feed's name key or a working key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PublicKey(pub [u8; 32]);

impl From<Name> for PublicKey {
    fn from(name: Name) -> Self {
        PublicKey(name.0)
    }
}

impl PublicKey {
    /// Whether the key can verify anything: canonical and not of small order.
    pub fn validate(&self) -> Result<(), Drop> {
        ed::PublicKey::new(self.0)
            .validate()
            .map_err(|_| Drop::BadKey)
    }

    /// Checks `signature` over `message` under `tag`. Needs about 6 KiB of stack.
    // Not inlined, here and below: callers' frames must not grow by the verifier's state.
    #[inline(never)]
    pub fn verify(
        &self,
        tag: &[u8; 32],
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), Drop> {
        let mut buf = [0; MESSAGE_MAX + 32];
        let tagged = tagged(&mut buf, tag, message).ok_or(Drop::BadSignature)?;
        self.verify_untagged(tagged, signature)
    }

    /// The bare predicate, for test vectors. Formats always use [`PublicKey::verify`].
    #[inline(never)]
    pub fn verify_untagged(
        &self,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), Drop> {
        ed::PublicKey::new(self.0)
            .verify(message, &ed::Signature::new(*signature))
            .map_err(|_| Drop::BadSignature)
    }
}

fn tagged<'a>(buf: &'a mut [u8], tag: &[u8; 32], message: &[u8]) -> Option<&'a [u8]> {
    let len = Writer::new(buf).put(tag).put(message).finish()?;
    buf.get(..len)
}
