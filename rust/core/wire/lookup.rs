// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Lookups: what a node asks its neighbour for.

use super::{
    FrameBuilder, CHUNK_MODE, FRAME_HEADER_LEN, HAVE_PAGE, HAVE_PATH, LEAF_ONLY, LOOKUP_RANGE_LEN,
    MAX_BLOB_LEN, MAX_ENTRIES, MAX_LIFE_MS, MESSAGE_HEADER_LEN, TYPE_FOLLOW, TYPE_LOOKUP_BLOB,
    TYPE_LOOKUP_CONS, TYPE_LOOKUP_HEAD, TYPE_LOOKUP_RANGE, WINDOW_HEIGHT,
};
use crate::blob;
use crate::bytes::{Reader, Writer};
use crate::error::Drop;
use crate::id::{BlobName, DiscoveryId, Hash};
use crate::token::Token;

/// What every lookup begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preamble {
    /// Drawn at random by the first asker, kept by all who pass the lookup on.
    pub nonce: u32,
    /// The asker's own; the answerer only echoes it.
    pub token: Token,
    /// How long the asker will wait, ms.
    pub life_ms: u32,
    /// How many more nodes may pass it on.
    pub hop_limit: u8,
    /// The feed; for blobs only the hint by which they are routed.
    pub id: DiscoveryId,
}

impl Preamble {
    #[inline]
    fn read(r: &mut Reader<'_>) -> Option<(Self, [u8; 3])> {
        let nonce = r.u32()?;
        let token = Token::from_u64(r.u64()?);
        let life_ms = r.u32()?;
        let hop_limit = r.u8()?;
        let reserved = *r.array::<3>()?;
        let id = DiscoveryId(*r.array()?);
        Some((
            Preamble {
                nonce,
                token,
                life_ms,
                hop_limit,
                id,
            },
            reserved,
        ))
    }

    fn check(&self, reserved: [u8; 3]) -> Result<(), Drop> {
        if reserved != [0; 3] {
            return Err(Drop::Reserved);
        }
        in_range(self.life_ms <= MAX_LIFE_MS)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u32(self.nonce)
            .u64(self.token.to_u64())
            .u32(self.life_ms)
            .u8(self.hop_limit)
            .put(&[0; 3])
            .put(&self.id.0);
    }
}

fn in_range(holds: bool) -> Result<(), Drop> {
    if holds {
        Ok(())
    } else {
        Err(Drop::OutOfRange)
    }
}

/// Undefined flag bits and reserved fields, or-ed together, must be nothing.
fn all_zero(bits: u64) -> Result<(), Drop> {
    if bits == 0 {
        Ok(())
    } else {
        Err(Drop::Reserved)
    }
}

/// The whole body must have been read.
fn end(r: Reader<'_>) -> Option<()> {
    r.rest().is_empty().then_some(())
}

fn have_bits(path: bool, page: bool) -> u16 {
    let mut bits = 0;
    if path {
        bits |= HAVE_PATH;
    }
    if page {
        bits |= HAVE_PAGE;
    }
    bits
}

/// Asks for a head that is at least so new.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LookupHead {
    /// What every lookup begins with.
    pub pre: Preamble,
    /// A head of an earlier epoch is no answer.
    pub at_least_epoch: u32,
    /// Epoch of the head that the asker holds.
    pub held_epoch: u32,
    /// In the epoch `at_least_epoch`, a shorter head is no answer.
    pub at_least_n: u64,
    /// Length of the head that the asker holds; (0, 0) is none.
    pub held_n: u64,
    /// An older head is no answer, ms; [`super::ANY_AGE`] takes any.
    pub max_age_ms: u64,
}

impl LookupHead {
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (pre, pre_reserved) = Preamble::read(&mut r)?;
            let lookup = LookupHead {
                pre,
                at_least_epoch: r.u32()?,
                held_epoch: r.u32()?,
                at_least_n: r.u64()?,
                held_n: r.u64()?,
                max_age_ms: r.u64()?,
            };
            let reserved = r.u64()?;
            end(r)?;
            Some((lookup, pre_reserved, reserved))
        };
        let (lookup, pre_reserved, reserved) = read().ok_or(Drop::Malformed)?;
        lookup.pre.check(pre_reserved)?;
        all_zero(u64::from(flags) | reserved)?;
        // `at least n + 1` of a full feed is one above the limit and can only time out.
        in_range(
            lookup.at_least_n <= MAX_ENTRIES.saturating_add(1) && lookup.held_n <= MAX_ENTRIES,
        )?;
        Ok(lookup)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_LOOKUP_HEAD, 0, None, |w| {
            self.pre.write(w);
            w.u32(self.at_least_epoch)
                .u32(self.held_epoch)
                .u64(self.at_least_n)
                .u64(self.held_n)
                .u64(self.max_age_ms)
                .u64(0);
        })
    }
}

/// Asks for entries of one window, with proof in the tree of `n` leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LookupRange {
    /// What every lookup begins with.
    pub pre: Preamble,
    /// Leaves and proofs, no payloads.
    pub leaf_only: bool,
    /// Epoch of that tree.
    pub epoch: u32,
    /// Bit `i` asks for entry `32 * window + i`.
    pub want: u32,
    /// Length of the asker's head, 0 if it has none.
    pub n: u64,
    /// Which window of 32 entries.
    pub window: u64,
    /// The asker holds the window's path in tree `n`.
    pub have_path: bool,
    /// The asker holds the window's page in tree `n`.
    pub have_page: bool,
}

impl LookupRange {
    /// What a frame asks for, if it begins with such a lookup. Says nothing about the rest of it.
    pub(crate) fn first_of(frame: &[u8]) -> Option<Self> {
        let message = frame.get(FRAME_HEADER_LEN..FRAME_HEADER_LEN + LOOKUP_RANGE_LEN)?;
        let (header, body) = message.split_first_chunk::<MESSAGE_HEADER_LEN>()?;
        let [kind, flags, ..] = *header;
        if kind != TYPE_LOOKUP_RANGE {
            return None;
        }
        Self::parse(flags, body).ok()
    }

    #[inline]
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        // With the length known, the fields are read without a check of each.
        let body: &[u8; LOOKUP_RANGE_LEN - MESSAGE_HEADER_LEN] =
            body.try_into().map_err(|_| Drop::Malformed)?;
        let mut r = Reader::new(body);
        let mut read = || {
            let (pre, pre_reserved) = Preamble::read(&mut r)?;
            let (epoch, want, n, window) = (r.u32()?, r.u32()?, r.u64()?, r.u64()?);
            let (have, reserved) = (r.u32()?, r.u32()?);
            end(r)?;
            let lookup = LookupRange {
                pre,
                leaf_only: flags & LEAF_ONLY != 0,
                epoch,
                want,
                n,
                window,
                have_path: have & u32::from(HAVE_PATH) != 0,
                have_page: have & u32::from(HAVE_PAGE) != 0,
            };
            Some((
                lookup,
                pre_reserved,
                have & !u32::from(HAVE_PATH | HAVE_PAGE) | reserved,
            ))
        };
        let (lookup, pre_reserved, reserved) = read().ok_or(Drop::Malformed)?;
        lookup.pre.check(pre_reserved)?;
        all_zero(u64::from(flags & !LEAF_ONLY) | u64::from(reserved))?;
        in_range(
            lookup.want != 0
                && lookup.n <= MAX_ENTRIES
                && lookup.window < MAX_ENTRIES >> WINDOW_HEIGHT,
        )?;
        Ok(lookup)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let flags = if self.leaf_only { LEAF_ONLY } else { 0 };
        frame.message(TYPE_LOOKUP_RANGE, flags, None, |w| {
            self.pre.write(w);
            w.u32(self.epoch)
                .u32(self.want)
                .u64(self.n)
                .u64(self.window)
                .u32(u32::from(have_bits(self.have_path, self.have_page)))
                .u32(0);
        })
    }
}

/// Asks for the proof that tree `m` is a prefix of tree `n`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LookupCons {
    /// What every lookup begins with.
    pub pre: Preamble,
    /// Epoch of the longer tree.
    pub epoch: u32,
    /// Length of the shorter tree, at least 1.
    pub m: u64,
    /// Length of the longer tree.
    pub n: u64,
}

impl LookupCons {
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (pre, pre_reserved) = Preamble::read(&mut r)?;
            let (epoch, reserved, m, n) = (r.u32()?, r.u32()?, r.u64()?, r.u64()?);
            end(r)?;
            Some((LookupCons { pre, epoch, m, n }, pre_reserved, reserved))
        };
        let (lookup, pre_reserved, reserved) = read().ok_or(Drop::Malformed)?;
        lookup.pre.check(pre_reserved)?;
        all_zero(u64::from(flags) | u64::from(reserved))?;
        in_range(0 < lookup.m && lookup.m < lookup.n && lookup.n <= MAX_ENTRIES)?;
        Ok(lookup)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_LOOKUP_CONS, 0, None, |w| {
            self.pre.write(w);
            w.u32(self.epoch).u32(0).u64(self.m).u64(self.n);
        })
    }
}

/// Asks for chunks of one window of a blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LookupBlob {
    /// What every lookup begins with.
    pub pre: Preamble,
    /// Whole chunks, and the page to check each on arrival.
    pub chunk_mode: bool,
    /// The blob.
    pub blob: BlobName,
    /// Which window of 32 chunks.
    pub window: u16,
    /// The asker holds the window's path.
    pub have_path: bool,
    /// The asker holds the window's page.
    pub have_page: bool,
    /// Bit `i` asks for chunk `32 * window + i`.
    pub want: u32,
}

impl LookupBlob {
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (pre, pre_reserved) = Preamble::read(&mut r)?;
            let blob = BlobName {
                hash: Hash(*r.array()?),
                len: r.u32()?,
            };
            let (window, have, want, reserved) = (r.u16()?, r.u16()?, r.u32()?, r.u32()?);
            end(r)?;
            let lookup = LookupBlob {
                pre,
                chunk_mode: flags & CHUNK_MODE != 0,
                blob,
                window,
                have_path: have & HAVE_PATH != 0,
                have_page: have & HAVE_PAGE != 0,
                want,
            };
            Some((
                lookup,
                pre_reserved,
                u32::from(have & !(HAVE_PATH | HAVE_PAGE)) | reserved,
            ))
        };
        let (lookup, pre_reserved, reserved) = read().ok_or(Drop::Malformed)?;
        lookup.pre.check(pre_reserved)?;
        all_zero(u64::from(flags & !CHUNK_MODE) | u64::from(reserved))?;
        let BlobName { len, .. } = lookup.blob;
        in_range(len <= MAX_BLOB_LEN && lookup.window < blob::window_count(len))?;
        in_range(lookup.want != 0 && lookup.want & !blob::window_bits(len, lookup.window) == 0)?;
        Ok(lookup)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let flags = if self.chunk_mode { CHUNK_MODE } else { 0 };
        frame.message(TYPE_LOOKUP_BLOB, flags, None, |w| {
            self.pre.write(w);
            w.put(&self.blob.hash.0)
                .u32(self.blob.len)
                .u16(self.window)
                .u16(have_bits(self.have_path, self.have_page))
                .u32(self.want)
                .u32(0);
        })
    }
}

/// Asks to be told of what comes after the head that the asker holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Follow {
    /// What every lookup begins with.
    pub pre: Preamble,
    /// Epoch of the head held.
    pub epoch: u32,
    /// Bytes that pushes may use up until the next renewal.
    pub grant_bytes: u32,
    /// Length of the head held; (0, 0) is none.
    pub n: u64,
}

impl Follow {
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (pre, pre_reserved) = Preamble::read(&mut r)?;
            let (epoch, grant_bytes, n) = (r.u32()?, r.u32()?, r.u64()?);
            let reserved = r.u64()? | r.u64()?;
            end(r)?;
            Some((
                Follow {
                    pre,
                    epoch,
                    grant_bytes,
                    n,
                },
                pre_reserved,
                reserved,
            ))
        };
        let (lookup, pre_reserved, reserved) = read().ok_or(Drop::Malformed)?;
        lookup.pre.check(pre_reserved)?;
        all_zero(u64::from(flags) | reserved)?;
        in_range(lookup.n <= MAX_ENTRIES)?;
        Ok(lookup)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_FOLLOW, 0, None, |w| {
            self.pre.write(w);
            w.u32(self.epoch)
                .u32(self.grant_bytes)
                .u64(self.n)
                .u64(0)
                .u64(0);
        })
    }
}
