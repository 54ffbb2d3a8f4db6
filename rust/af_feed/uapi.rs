// SPDX-License-Identifier: GPL-2.0

//! `include/uapi/linux/feed.h` as bytes: numbers, and what each structure looks like in memory.
//!
//! Structures cross the system call as byte arrays that are read and written member by member, so
//! no padding of ours ever reaches a program. The numbers come from the header by bindgen, so the
//! two cannot drift apart.

use crate::net::errno::EAFNOSUPPORT;
use crate::{
    bindings,
    sync::shared, //
};
use feed_core::{
    engine::ForkEvidence,
    head::HEAD_LEN,
    id::{
        Hash,
        Name, //
    },
    wire::MAX_CONS, //
};
use kernel::prelude::*;

pub(crate) const AF_UNSPEC: u16 = 0;
pub(crate) const SOCK_SEQPACKET: i32 = 5;
pub(crate) const SOL_FEED: i32 = bindings::SOL_FEED as i32;

pub(crate) const FEED_OPT_SECRET_KEY: i32 = bindings::FEED_OPT_SECRET_KEY as i32;
pub(crate) const FEED_OPT_PUBLIC_KEY: i32 = bindings::FEED_OPT_PUBLIC_KEY as i32;
pub(crate) const FEED_OPT_AUTHOR_HEAD: i32 = bindings::FEED_OPT_AUTHOR_HEAD as i32;
pub(crate) const FEED_OPT_HEAD: i32 = bindings::FEED_OPT_HEAD as i32;
pub(crate) const FEED_OPT_SEEK: i32 = bindings::FEED_OPT_SEEK as i32;
pub(crate) const FEED_OPT_INFO: i32 = bindings::FEED_OPT_INFO as i32;
pub(crate) const FEED_OPT_FINAL: i32 = bindings::FEED_OPT_FINAL as i32;
pub(crate) const FEED_OPT_NEXT_BY: i32 = bindings::FEED_OPT_NEXT_BY as i32;
pub(crate) const FEED_OPT_FORK: i32 = bindings::FEED_OPT_FORK as i32;
pub(crate) const FEED_OPT_TIMEOUT: i32 = bindings::FEED_OPT_TIMEOUT as i32;
pub(crate) const FEED_OPT_MAP: i32 = bindings::FEED_OPT_MAP as i32;

pub(crate) const FEED_CMSG_ENTRY: i32 = bindings::FEED_CMSG_ENTRY as i32;
pub(crate) const FEED_CMSG_APPEND: i32 = bindings::FEED_CMSG_APPEND as i32;

pub(crate) const FEED_KEY_LEN: usize = bindings::FEED_KEY_LEN as usize;
pub(crate) const FEED_ENTRY_MAX: usize = bindings::FEED_ENTRY_MAX as usize;
pub(crate) const FEED_MAP_SHIFT: u32 = bindings::FEED_MAP_SHIFT;
pub(crate) const FEED_BATCH_MAX: u32 = bindings::FEED_BATCH_MAX;
pub(crate) const FEED_BATCH_MS: u64 = bindings::FEED_BATCH_MS as u64;
pub(crate) const FEED_BIND_NEW: u16 = bindings::FEED_BIND_NEW as u16;
pub(crate) const FEED_SEQ_NEW: u64 = u64::MAX;

pub(crate) const FEED_ENTRY_NETWORK: u16 = bindings::FEED_ENTRY_NETWORK as u16;
pub(crate) const FEED_ENTRY_STALE: u16 = bindings::FEED_ENTRY_STALE as u16;
pub(crate) const FEED_ENTRY_AGE_UNKNOWN: u16 = bindings::FEED_ENTRY_AGE_UNKNOWN as u16;

const FEED_APPEND_TIME: u32 = bindings::FEED_APPEND_TIME;
const FEED_APPEND_EMPTY: u32 = bindings::FEED_APPEND_EMPTY;

pub(crate) const MSG_OOB: u32 = 0x1;
pub(crate) const MSG_PEEK: u32 = 0x2;
pub(crate) const MSG_TRUNC: u32 = 0x20;
pub(crate) const MSG_DONTWAIT: u32 = 0x40;
pub(crate) const MSG_EOR: u32 = 0x80;
pub(crate) const MSG_ERRQUEUE: u32 = 0x2000;
pub(crate) const MSG_MORE: u32 = 0x8000;
pub(crate) const MSG_BATCH: u32 = 0x40000;
pub(crate) const MSG_SPLICE_PAGES: u32 = 0x0800_0000;

/// Writes native-endian members one after the other.
struct Members<'a> {
    rest: &'a mut [u8],
}

impl Members<'_> {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let rest = core::mem::take(&mut self.rest);
        let at = bytes.len().min(rest.len());
        let (to, rest) = rest.split_at_mut(at);
        to.copy_from_slice(&bytes[..at]);
        self.rest = rest;
        self
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u64::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u16::from_ne_bytes)
}

/// `struct sockaddr_feed` without its family.
pub(crate) struct Address {
    pub(crate) flags: u16,
    pub(crate) seq: u64,
    pub(crate) name: Name,
}

impl Address {
    /// Length of the structure, bytes.
    pub(crate) const LEN: usize = 48;

    /// # Errors
    /// `EINVAL` when it is short or a reserved member is not 0, `EAFNOSUPPORT` for another family.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < Self::LEN {
            return Err(EINVAL);
        }
        if i32::from(u16_at(bytes, 0)) != shared::family() {
            return Err(EAFNOSUPPORT);
        }
        if u32_at(bytes, 4) != 0 {
            return Err(EINVAL);
        }
        let mut name = [0; FEED_KEY_LEN];
        name.copy_from_slice(&bytes[16..Self::LEN]);
        Ok(Self {
            flags: u16_at(bytes, 2),
            seq: u64_at(bytes, 8),
            name: Name(name),
        })
    }

    /// Writes the structure and returns its length.
    pub(crate) fn emit(&self, out: &mut [u8]) -> usize {
        Members { rest: out }
            .put(&(shared::family() as u16).to_ne_bytes())
            .put(&self.flags.to_ne_bytes())
            .put(&0u32.to_ne_bytes())
            .put(&self.seq.to_ne_bytes())
            .put(&self.name.0);
        Self::LEN
    }
}

/// `struct feed_seek`.
pub(crate) struct Seek;

impl Seek {
    /// Entry and byte in it.
    pub(crate) fn parse(bytes: &[u8; 16]) -> (u64, u64) {
        (u64_at(bytes, 0), u64_at(bytes, 8))
    }
}

/// `struct feed_append`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Append {
    /// The author's time if given, ms since 1970.
    pub(crate) time: Option<u64>,
    /// An entry of no bytes is meant.
    pub(crate) empty: bool,
    /// 16 opaque bits.
    pub(crate) app_flags: u16,
}

impl Append {
    const LEN: usize = 16;

    /// # Errors
    /// `EINVAL` for a wrong length, unknown flags or a reserved member that is not 0.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != Self::LEN {
            return Err(EINVAL);
        }
        let flags = u32_at(bytes, 8);
        if flags & !(FEED_APPEND_TIME | FEED_APPEND_EMPTY) != 0 || u16_at(bytes, 14) != 0 {
            return Err(EINVAL);
        }
        Ok(Self {
            time: (flags & FEED_APPEND_TIME != 0).then_some(u64_at(bytes, 0)),
            empty: flags & FEED_APPEND_EMPTY != 0,
            app_flags: u16_at(bytes, 12),
        })
    }
}

/// `struct feed_entry_info`.
pub(crate) struct EntryInfo {
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) head_age: u64,
    pub(crate) len: u32,
    pub(crate) hops: u16,
    pub(crate) flags: u16,
    pub(crate) app_flags: u16,
    pub(crate) blob: Hash,
}

impl EntryInfo {
    const LEN: usize = core::mem::size_of::<bindings::feed_entry_info>();

    pub(crate) fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        Members { rest: &mut out }
            .put(&self.seq.to_ne_bytes())
            .put(&self.time.to_ne_bytes())
            .put(&self.head_age.to_ne_bytes())
            .put(&self.len.to_ne_bytes())
            .put(&self.hops.to_ne_bytes())
            .put(&self.flags.to_ne_bytes())
            .put(&self.app_flags.to_ne_bytes())
            .put(&[0; 6])
            .put(&self.blob.0);
        out
    }
}

/// `struct feed_info`.
#[derive(Default)]
pub(crate) struct Info {
    pub(crate) known: u64,
    pub(crate) next: u64,
    pub(crate) offset: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) fetched: u64,
    pub(crate) timeouts: u64,
    pub(crate) epoch: u32,
    pub(crate) in_flight: u32,
}

impl Info {
    const LEN: usize = core::mem::size_of::<bindings::feed_info>();

    pub(crate) fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        Members { rest: &mut out }
            .put(&self.known.to_ne_bytes())
            .put(&self.next.to_ne_bytes())
            .put(&self.offset.to_ne_bytes())
            .put(&self.entries.to_ne_bytes())
            .put(&self.bytes.to_ne_bytes())
            .put(&self.fetched.to_ne_bytes())
            .put(&self.timeouts.to_ne_bytes())
            .put(&self.epoch.to_ne_bytes())
            .put(&self.in_flight.to_ne_bytes());
        out
    }
}

/// Bytes of `struct feed_fork`.
pub(crate) const FORK_LEN: usize = core::mem::size_of::<bindings::feed_fork>();

const _: () = assert!(FORK_LEN == 2 * HEAD_LEN + 8 + 32 * MAX_CONS);

/// `struct feed_fork`, to `out`.
pub(crate) fn put_fork(evidence: &ForkEvidence, out: &mut [u8]) {
    let proof = evidence.proof();
    Members { rest: out }
        .put(&evidence.held)
        .put(&evidence.other)
        .put(&(proof.len() as u32).to_ne_bytes())
        .put(&[0; 4])
        .put(proof.as_bytes());
}
