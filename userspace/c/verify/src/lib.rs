// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! `feed_verify()` of libfeed: the one verifier, feed_core's, behind a C function.
//!
//! Built with the feature `freestanding` this is a static library without Rust's standard library
//! that `userspace/c/Makefile` links into libfeed.

#![cfg_attr(feature = "freestanding", no_std)]

use core::ffi::{c_int, c_void};
use core::slice;

use feed_core::Drop;
use feed_core::head::{HEAD_LEN, SignedHead};
use feed_core::id::{BlobName, Hashes, Name};
use feed_core::leaf::{LEAF_LEN, Leaf};
use feed_core::proof::verify_inclusion;
use feed_core::sign::PublicKey;

/// The head is of an epoch that a grant must prove.
const NEEDS_GRANT: c_int = 1;
/// Not genuine.
const FALSE: c_int = 2;

/// What is to be checked.
struct Claim<'a> {
    name: &'a [u8; 32],
    head: &'a [u8; HEAD_LEN],
    leaf: &'a [u8; LEAF_LEN],
    siblings: &'a [[u8; 32]],
    payload: Option<&'a [u8]>,
}

/// Why a claim does not stand.
enum Verdict {
    NeedsGrant,
    False,
}

impl From<Drop> for Verdict {
    fn from(_: Drop) -> Verdict {
        Verdict::False
    }
}

fn check(claim: &Claim<'_>) -> Result<(), Verdict> {
    let signed = SignedHead::parse(claim.head)?;
    let head = signed.head;
    if head.name != Name(*claim.name) {
        return Err(Verdict::False);
    }
    if head.epoch != 0 {
        return Err(Verdict::NeedsGrant);
    }
    let leaf = Leaf::parse(claim.leaf)?;
    // Cheapest first: a wrong payload or path is found before the signature is looked at.
    if let Some(payload) = claim.payload {
        check_payload(&leaf.blob_name(), payload)?;
    }
    verify_inclusion(
        &leaf.hash(),
        leaf.seq,
        head.n,
        Hashes::of(claim.siblings),
        &head.root,
        |_, _| {},
    )?;
    signed.verify(&PublicKey::from(head.name))?;
    Ok(())
}

fn check_payload(name: &BlobName, payload: &[u8]) -> Result<(), Verdict> {
    let whole = usize::try_from(name.len) == Ok(payload.len());
    if whole && blake3::hash(payload).as_bytes() == name.hash.as_bytes() {
        Ok(())
    } else {
        Err(Verdict::False)
    }
}

/// Checks an entry; what libfeed's `feed_verify()` calls to turn the verdict into an errno.
///
/// 0: genuine; 1: only a grant could tell; 2: not genuine.
///
/// # Safety
///
/// `name` is readable for 32 bytes, `head` for 160, `leaf` for 64, `siblings` for 32 times `count`
/// (or `count` is 0), `payload` for `len` bytes or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feed_verify_claim(
    name: *const [u8; 32],
    head: *const [u8; HEAD_LEN],
    leaf: *const [u8; LEAF_LEN],
    siblings: *const [u8; 32],
    count: usize,
    payload: *const c_void,
    len: usize,
) -> c_int {
    if name.is_null() || head.is_null() || leaf.is_null() || (siblings.is_null() && count != 0) {
        return FALSE;
    }
    // SAFETY: The caller promises what the pointers lead to, and the nulls are out.
    let claim = unsafe {
        Claim {
            name: &*name,
            head: &*head,
            leaf: &*leaf,
            siblings: if count == 0 {
                &[]
            } else {
                slice::from_raw_parts(siblings, count)
            },
            payload: (!payload.is_null()).then(|| slice::from_raw_parts(payload.cast::<u8>(), len)),
        }
    };
    match check(&claim) {
        Ok(()) => 0,
        Err(Verdict::NeedsGrant) => NEEDS_GRANT,
        Err(Verdict::False) => FALSE,
    }
}

#[cfg(feature = "freestanding")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn abort() -> !;
    }
    abort()
}
