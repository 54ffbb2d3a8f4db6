// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Answers and refusals: what a lookup brings back. Those about blobs are in `blob`.

use super::{
    FrameBuilder, ENTRY_HEADER_LEN, MAX_ENTRIES, MAX_INLINE_LEN, PAYLOAD, SIBLINGS, TYPE_CONS,
    TYPE_ENTRY, TYPE_GRANT, TYPE_HEAD, TYPE_PAGE, TYPE_PATH, TYPE_REFUSAL, UNCHECKED,
    WINDOW_HEIGHT,
};
use crate::bytes::{Reader, Writer};
use crate::error::Drop;
use crate::grant::{SignedGrant, GRANT_LEN};
use crate::head::{SignedHead, HEAD_LEN};
use crate::id::Hashes;
use crate::leaf::{Leaf, LEAF_LEN};
use crate::token::Token;
use crate::tree;

/// What every answer begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Nodes between the store that had it and the receiver, unauthenticated.
    pub hops: u8,
    /// The token of the lookup.
    pub token: Token,
}

impl Answer {
    /// The fields, the reserved byte and the count of hashes.
    pub(super) fn read(r: &mut Reader<'_>) -> Option<(Self, u8, usize)> {
        let (hops, reserved, count) = (r.u8()?, r.u8()?, r.u16()?);
        let token = Token::from_u64(r.u64()?);
        Some((Answer { hops, token }, reserved, usize::from(count)))
    }

    pub(super) fn write(&self, w: &mut Writer<'_>, count: usize) {
        // A count over u16 is over the length field too, so the message is refused there.
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        w.u8(self.hops).u8(0).u16(count).u64(self.token.to_u64());
    }
}

pub(super) fn hashes<'a>(r: &mut Reader<'a>, count: usize) -> Option<Hashes<'a>> {
    Hashes::new(r.take(count.checked_mul(32)?)?)
}

pub(super) fn end(r: Reader<'_>) -> Option<()> {
    r.rest().is_empty().then_some(())
}

/// How many nodes a proof has. `count()` would be a panic path: it checks for overflow.
fn number(nodes: impl Iterator) -> usize {
    nodes.fold(0, |n: usize, _| n.saturating_add(1))
}

pub(super) fn check(reserved: u32, in_range: bool) -> Result<(), Drop> {
    if reserved != 0 {
        Err(Drop::Reserved)
    } else if !in_range {
        Err(Drop::OutOfRange)
    } else {
        Ok(())
    }
}

/// Why a node does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Reason {
    /// Neither the data nor another way to it.
    NoRoute = 1,
    /// The nonce is in use by another asker.
    DuplicateNonce = 2,
    /// The lookup may not travel further.
    HopLimit = 3,
    /// No room for more work now.
    Busy = 4,
    /// This port or neighbour may not have it from here.
    NotServed = 5,
    /// Those asked in turn did not answer.
    TimedOut = 6,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 6] = [
        Reason::NoRoute,
        Reason::DuplicateNonce,
        Reason::HopLimit,
        Reason::Busy,
        Reason::NotServed,
        Reason::TimedOut,
    ];

    fn from_u8(wire: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == wire)
    }
}

/// "No", and why. Counts only with a valid token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The token of the lookup.
    pub token: Token,
}

impl Refusal {
    pub(super) fn parse(flags: u8, body: &[u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (reason, reserved) = (r.u8()?, *r.array::<3>()?);
            let token = Token::from_u64(r.u64()?);
            end(r)?;
            Some((reason, reserved, token))
        };
        let (reason, [a, b, c], token) = read().ok_or(Drop::Malformed)?;
        check(u32::from(flags | a | b | c), true)?;
        let reason = Reason::from_u8(reason).ok_or(Drop::OutOfRange)?;
        Ok(Refusal { reason, token })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_REFUSAL, 0, None, |w| {
            w.u8(self.reason as u8)
                .put(&[0; 3])
                .u64(self.token.to_u64());
        })
    }
}

/// A signed head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// The sender has not checked the signature.
    pub unchecked: bool,
    /// The head's bytes.
    pub bytes: &'a [u8; HEAD_LEN],
}

impl<'a> Head<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (answer, reserved, count) = Answer::read(&mut r)?;
            let bytes = r.array()?;
            end(r)?;
            Some((answer, reserved, count, bytes))
        };
        let (answer, reserved, count, bytes) = read().ok_or(Drop::Malformed)?;
        check(u32::from(flags & !UNCHECKED | reserved), count == 0)?;
        Ok(Head {
            answer,
            unchecked: flags & UNCHECKED != 0,
            bytes,
        })
    }

    /// The head itself, its signature yet unchecked.
    pub fn head(&self) -> Result<SignedHead, Drop> {
        SignedHead::parse(self.bytes)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let flags = if self.unchecked { UNCHECKED } else { 0 };
        frame.message(TYPE_HEAD, flags, None, |w| {
            self.answer.write(w, 0);
            w.put(self.bytes);
        })
    }
}

/// A signed grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// The grant's bytes.
    pub bytes: &'a [u8; GRANT_LEN],
}

impl<'a> Grant<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (answer, reserved, count) = Answer::read(&mut r)?;
            let bytes = r.array()?;
            end(r)?;
            Some((answer, reserved, count, bytes))
        };
        let (answer, reserved, count, bytes) = read().ok_or(Drop::Malformed)?;
        check(u32::from(flags | reserved), count == 0)?;
        Ok(Grant { answer, bytes })
    }

    /// The grant itself, its signature yet unchecked.
    pub fn grant(&self) -> Result<SignedGrant, Drop> {
        SignedGrant::parse(self.bytes)
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_GRANT, 0, None, |w| {
            self.answer.write(w, 0);
            w.put(self.bytes);
        })
    }
}

/// The layout that CONS, PATH and PAGE share: two numbers and hashes.
struct Proof<'a> {
    answer: Answer,
    epoch: u32,
    first: u64,
    second: u64,
    hashes: Hashes<'a>,
}

impl<'a> Proof<'a> {
    fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (answer, pre_reserved, count) = Answer::read(&mut r)?;
            let (epoch, reserved, first, second) = (r.u32()?, r.u32()?, r.u64()?, r.u64()?);
            let hashes = hashes(&mut r, count)?;
            end(r)?;
            Some((
                Proof {
                    answer,
                    epoch,
                    first,
                    second,
                    hashes,
                },
                u32::from(pre_reserved) | reserved,
            ))
        };
        let (proof, reserved) = read().ok_or(Drop::Malformed)?;
        check(u32::from(flags) | reserved, true)?;
        Ok(proof)
    }

    fn emit(&self, kind: u8, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(kind, 0, None, |w| {
            self.answer.write(w, self.hashes.len());
            w.u32(self.epoch)
                .u32(0)
                .u64(self.first)
                .u64(self.second)
                .put(self.hashes.as_bytes());
        })
    }
}

/// The proof that tree `m` is a prefix of tree `n`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cons<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Epoch of the longer tree.
    pub epoch: u32,
    /// Length of the shorter tree.
    pub m: u64,
    /// Length of the longer tree.
    pub n: u64,
    /// In the order of [`tree::consistency_nodes`].
    pub hashes: Hashes<'a>,
}

impl<'a> Cons<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let Proof {
            answer,
            epoch,
            first: m,
            second: n,
            hashes,
        } = Proof::parse(flags, body)?;
        check(0, 0 < m && m < n && n <= MAX_ENTRIES)?;
        if hashes.len() != number(tree::consistency_nodes(m, n)) {
            return Err(Drop::ProofLength);
        }
        Ok(Cons {
            answer,
            epoch,
            m,
            n,
            hashes,
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let Cons {
            answer,
            epoch,
            m: first,
            n: second,
            hashes,
        } = *self;
        Proof {
            answer,
            epoch,
            first,
            second,
            hashes,
        }
        .emit(TYPE_CONS, frame)
    }
}

/// A window's siblings, from height 5 to the top.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Epoch of the tree.
    pub epoch: u32,
    /// Length of the tree that the path leads up in.
    pub n: u64,
    /// Which window.
    pub window: u64,
    /// In the order of [`tree::path_nodes`].
    pub siblings: Hashes<'a>,
}

/// Whether tree `n` has entries in `window`.
fn has_window(n: u64, window: u64) -> bool {
    n <= MAX_ENTRIES && window < MAX_ENTRIES >> WINDOW_HEIGHT && window << WINDOW_HEIGHT < n
}

impl<'a> Path<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let Proof {
            answer,
            epoch,
            first: n,
            second: window,
            hashes: siblings,
        } = Proof::parse(flags, body)?;
        check(0, has_window(n, window))?;
        if siblings.len() != number(tree::path_nodes(n, window)) {
            return Err(Drop::ProofLength);
        }
        Ok(Path {
            answer,
            epoch,
            n,
            window,
            siblings,
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let Path {
            answer,
            epoch,
            n: first,
            window: second,
            siblings: hashes,
        } = *self;
        Proof {
            answer,
            epoch,
            first,
            second,
            hashes,
        }
        .emit(TYPE_PATH, frame)
    }
}

/// A window's leaf hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Epoch of the tree.
    pub epoch: u32,
    /// Length of the tree; decides how many leaves its last window has.
    pub n: u64,
    /// Which window.
    pub window: u64,
    /// All leaf hashes of the window.
    pub leaves: Hashes<'a>,
}

impl<'a> Page<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let Proof {
            answer,
            epoch,
            first: n,
            second: window,
            hashes: leaves,
        } = Proof::parse(flags, body)?;
        check(0, has_window(n, window))?;
        if leaves.len() != tree::page_len(n, window) {
            return Err(Drop::ProofLength);
        }
        Ok(Page {
            answer,
            epoch,
            n,
            window,
            leaves,
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let Page {
            answer,
            epoch,
            n: first,
            window: second,
            leaves: hashes,
        } = *self;
        Proof {
            answer,
            epoch,
            first,
            second,
            hashes,
        }
        .emit(TYPE_PAGE, frame)
    }
}

/// Bytes that end a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payload<'a> {
    /// Here they are. Parsing a whole frame always gives these.
    Bytes(&'a [u8]),
    /// So many, which the caller attaches behind the built frame, or has not copied yet from behind the
    /// parsed one.
    Trailing(u32),
}

impl<'a> Payload<'a> {
    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Trailing(len) => usize::try_from(*len).unwrap_or(usize::MAX),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that are here.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Payload::Bytes(bytes) => bytes,
            Payload::Trailing(_) => &[],
        }
    }

    pub(super) fn trailing(&self) -> Option<usize> {
        match self {
            Payload::Bytes(_) => None,
            Payload::Trailing(_) => Some(self.len()),
        }
    }
}

/// A leaf; with all siblings it verifies alone against a root, else against a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Epoch of the tree.
    pub epoch: u32,
    /// Length of the tree that the siblings lead up in.
    pub n: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// All of them from height 0, in the order of [`tree::inclusion_nodes`].
    pub siblings: Option<Hashes<'a>>,
    /// The whole payload.
    pub payload: Option<Payload<'a>>,
}

impl<'a> Entry<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (answer, reserved, count) = Answer::read(&mut r)?;
            let (epoch, payload_len, n) = (r.u32()?, r.u32()?, r.u64()?);
            let leaf = r.array::<LEAF_LEN>()?;
            let siblings = hashes(&mut r, count)?;
            let payload = r.take(usize::try_from(payload_len).ok()?)?;
            end(r)?;
            Some((answer, reserved, epoch, n, leaf, siblings, payload))
        };
        let (answer, reserved, epoch, n, leaf, siblings, payload) =
            read().ok_or(Drop::Malformed)?;
        check(u32::from(flags & !(SIBLINGS | PAYLOAD) | reserved), true)?;
        let leaf = Leaf::parse(leaf)?;
        check(0, n <= MAX_ENTRIES && leaf.seq < n)?;
        let has_siblings = flags & SIBLINGS != 0;
        let expected = if has_siblings {
            number(tree::inclusion_nodes(n, leaf.seq))
        } else {
            0
        };
        if siblings.len() != expected {
            return Err(Drop::ProofLength);
        }
        let has_payload = flags & PAYLOAD != 0;
        let whole = leaf.len <= MAX_INLINE_LEN
            && usize::try_from(leaf.len).is_ok_and(|len| len == payload.len());
        check(
            0,
            if has_payload {
                whole
            } else {
                payload.is_empty()
            },
        )?;
        Ok(Entry {
            answer,
            epoch,
            n,
            leaf,
            siblings: has_siblings.then_some(siblings),
            payload: has_payload.then_some(Payload::Bytes(payload)),
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        let siblings = self.siblings.map(|siblings| {
            move |room: &mut [u8]| {
                let bytes = siblings.as_bytes();
                Writer::new(room).put(bytes).finish()
            }
        });
        self.emit_with(frame, siblings)
    }

    /// As [`Entry::emit`], with siblings that `fill` puts in their place, whatever `self` has. It says
    /// how many bytes they are; `None` if they are not to be had, and nothing is changed.
    #[must_use]
    pub(crate) fn emit_with(
        &self,
        frame: &mut FrameBuilder<'_>,
        fill: Option<impl FnOnce(&mut [u8]) -> Option<usize>>,
    ) -> bool {
        let payload = self.payload.unwrap_or(Payload::Bytes(&[]));
        let Ok(payload_len) = u32::try_from(payload.len()) else {
            return false;
        };
        let mut flags = 0;
        if fill.is_some() {
            flags |= SIBLINGS;
        }
        if self.payload.is_some() {
            flags |= PAYLOAD;
        }
        let write = |room: &mut [u8]| {
            let (header, rest) = room.split_first_chunk_mut::<ENTRY_HEADER_LEN>()?;
            let siblings = match fill {
                Some(fill) => fill(rest)?,
                None => 0,
            };
            let mut w = Writer::new(header);
            w.u8(TYPE_ENTRY).u8(flags).u16(0);
            self.answer.write(&mut w, siblings >> 5);
            w.u32(self.epoch)
                .u32(payload_len)
                .u64(self.n)
                .put(&self.leaf.to_bytes());
            let header = w.finish()?;
            let payload = Writer::new(rest.get_mut(siblings..)?)
                .put(payload.bytes())
                .finish()?;
            header.checked_add(siblings)?.checked_add(payload)
        };
        frame.place_message(payload.trailing(), write).is_some()
    }
}
