// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Entries as a reader gets them.

use std::ops::Deref;
use std::time::Duration;

use crate::sys;

/// What is known of an entry besides its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Its index in the feed.
    pub seq: u64,
    /// Author's time, ms since 1970; 0 is unstated. It orders nothing.
    pub time: u64,
    /// Length of the whole entry, bytes.
    pub len: u32,
    /// Nodes that handed it over; 0: it was in this node's store.
    pub hops: u16,
    /// The author's 16 bits.
    pub app_flags: u16,
    /// BLAKE3 of the payload.
    pub blob: [u8; 32],
    /// Some part came over a link for this read.
    pub network: bool,
    /// The head is past the author's promise of a newer one, or past its grant.
    pub stale: bool,
    /// Time since the author signed the head it was read under; `None`: this node's clock is not
    /// set.
    pub head_age: Option<Duration>,
}

impl From<&sys::EntryInfo> for EntryInfo {
    fn from(raw: &sys::EntryInfo) -> Self {
        let flag = |bit| raw.flags & bit != 0;
        EntryInfo {
            seq: raw.seq,
            time: raw.time,
            len: raw.len,
            hops: raw.hops,
            app_flags: raw.app_flags,
            blob: raw.blob,
            network: flag(sys::ENTRY_NETWORK),
            stale: flag(sys::ENTRY_STALE),
            head_age: (!flag(sys::ENTRY_AGE_UNKNOWN)).then(|| Duration::from_millis(raw.head_age)),
        }
    }
}

/// One whole entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The author's bytes.
    pub data: Vec<u8>,
    /// What is known of them.
    pub info: EntryInfo,
}

/// One whole entry, in this program's memory without a copy: pages of the node's store, pinned
/// until this is dropped. They count as locked memory.
#[derive(Debug)]
pub struct MappedEntry {
    pub(crate) map: sys::Mapping,
    /// What is known of it.
    pub info: EntryInfo,
}

impl Deref for MappedEntry {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.bytes()
    }
}

/// A part of an entry in this program's memory, as [`MappedEntry`].
#[derive(Debug)]
pub struct MappedBytes(pub(crate) sys::Mapping);

impl Deref for MappedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for MappedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for MappedEntry {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// State and counters of one socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// Entries known to exist: the length that the held head states.
    pub known: u64,
    /// The next entry that will be read or appended.
    pub next: u64,
    /// Byte in it where a partly read entry goes on.
    pub offset: u64,
    /// Entries received or sent.
    pub entries: u64,
    /// Payload bytes received or sent.
    pub bytes: u64,
    /// Entries received that had to come over a link.
    pub fetched: u64,
    /// Waits that ended without an answer.
    pub timeouts: u64,
    /// Epoch of the held head.
    pub epoch: u32,
    /// Windows asked for and not yet here.
    pub in_flight: u32,
}

impl From<&sys::Info> for Info {
    fn from(raw: &sys::Info) -> Self {
        Info {
            known: raw.known,
            next: raw.next,
            offset: raw.offset,
            entries: raw.entries,
            bytes: raw.bytes,
            fetched: raw.fetched,
            timeouts: raw.timeouts,
            epoch: raw.epoch,
            in_flight: raw.in_flight,
        }
    }
}
