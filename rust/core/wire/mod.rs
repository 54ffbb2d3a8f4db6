// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Wire format version 1: every constant with its unit on this screen, then frames and messages.
//!
//! Each message is a plain struct with `parse` and `emit`. Parsing checks all that can be checked
//! without the feed: lengths, reserved fields, ranges, the number of hashes a proof must have.

mod answer;
mod blob;
mod cut;
mod frame;
mod lookup;

pub use answer::{Answer, Cons, Entry, Grant, Head, Page, Path, Payload, Reason, Refusal};
pub use blob::{BlobData, BlobPage, BlobPath};
pub use cut::{cut_head, leaves, payload_range, Leaves, PIECE_HEAD_LEN};
pub use frame::{head_len, Built, FrameBuilder, FrameHeader, FrameView, Messages};
pub use lookup::{Follow, LookupBlob, LookupCons, LookupHead, LookupRange, Preamble};

use crate::error::Drop;
use crate::id::DiscoveryId;
use crate::token::Token;

/// Default EtherType.
pub const ETHERTYPE: u16 = 0x88b5;
/// Default group address for lookups whose route names only a port.
pub const GROUP_MAC: [u8; 6] = [0x03, 0x00, 0x46, 0x45, 0x45, 0x44];
/// Smallest MTU of a port, bytes.
pub const MTU_MIN: usize = 1280;
/// Largest MTU that frames are built for, bytes; what a port has beyond it is not used.
pub const MTU_MAX: usize = 9000;
/// Shortest frame without its Ethernet header, bytes (60 with it).
pub const FRAME_MIN: usize = 46;

/// Version in the frame header.
pub const FRAME_VERSION: u8 = 1;
/// Frame header, bytes.
pub const FRAME_HEADER_LEN: usize = 24;
/// Message header, bytes.
pub const MESSAGE_HEADER_LEN: usize = 4;
/// Message header and the fields that every lookup begins with, bytes.
pub const LOOKUP_PREAMBLE_LEN: usize = 56;
/// Message header and the fields that every answer begins with, bytes.
pub const ANSWER_PREAMBLE_LEN: usize = 16;
/// Longest message but for ENTRY and BLOB_DATA, bytes.
pub const MESSAGE_MAX: usize = 1232;

/// REFUSAL, bytes.
pub const REFUSAL_LEN: usize = 16;
/// HEAD, bytes.
pub const HEAD_MESSAGE_LEN: usize = 176;
/// GRANT, bytes.
pub const GRANT_MESSAGE_LEN: usize = 208;
/// CONS, PATH and PAGE before their hashes, bytes.
pub const PROOF_HEADER_LEN: usize = 40;
/// ENTRY before its siblings, bytes.
pub const ENTRY_HEADER_LEN: usize = 96;
/// BLOB_PATH, BLOB_PAGE and BLOB_DATA before their hashes or bytes, bytes.
pub const BLOB_HEADER_LEN: usize = 24;
/// LOOKUP_HEAD, bytes.
pub const LOOKUP_HEAD_LEN: usize = 96;
/// LOOKUP_RANGE, bytes.
pub const LOOKUP_RANGE_LEN: usize = 88;
/// LOOKUP_CONS, bytes.
pub const LOOKUP_CONS_LEN: usize = 80;
/// LOOKUP_BLOB, bytes.
pub const LOOKUP_BLOB_LEN: usize = 104;
/// FOLLOW, bytes.
pub const FOLLOW_LEN: usize = 88;

/// Most entries of a feed.
pub const MAX_ENTRIES: u64 = 1 << 36;
/// Longest payload of an entry, bytes.
pub const MAX_BLOB_LEN: u32 = 16 << 20;
/// Longest payload that travels inside an ENTRY, bytes.
pub const MAX_INLINE_LEN: u32 = 1024;
/// Leaves or chunks of a window.
pub const WINDOW: u32 = 32;
/// Height of a window's root above its leaves or chunks.
pub const WINDOW_HEIGHT: u8 = 5;
/// Most windows of a blob.
pub const MAX_BLOB_WINDOWS: u16 = 512;
/// Bytes of a blob's window.
pub const WINDOW_BYTES: u32 = 32 << 10;
/// Ranges of BLOB_DATA begin and end at multiples of it, bytes.
pub const RANGE_UNIT: u32 = 64;
/// Most hashes of an inclusion proof.
pub const MAX_SIBLINGS: usize = 36;
/// Most hashes of a PATH.
pub const MAX_PATH: usize = 31;
/// Most hashes of a BLOB_PATH.
pub const MAX_BLOB_PATH: usize = 9;
/// Most hashes of a CONS.
pub const MAX_CONS: usize = 37;
/// Most hashes of a PAGE or BLOB_PAGE.
pub const MAX_PAGE: usize = 32;

/// Longest that a lookup may ask to be kept, ms.
pub const MAX_LIFE_MS: u32 = 30_000;
/// A head lookup that takes a head of any age.
pub const ANY_AGE: u64 = u64::MAX;
/// A head whose time is further ahead than this is never fresh, ms.
pub const MAX_AHEAD_MS: u64 = 600_000;
/// `hops` of what the answering node had in its own store.
pub const HOPS_FROM_STORE: u8 = 1;

/// The answerer stopped after one frame because the lookup echoed no valid cookie.
pub const FRAME_LIMITED: u8 = 1 << 0;
/// LOOKUP_RANGE: leaves and proofs, no payloads.
pub const LEAF_ONLY: u8 = 1 << 0;
/// LOOKUP_BLOB: whole chunks, and the page to check each on arrival.
pub const CHUNK_MODE: u8 = 1 << 0;
/// HEAD: the sender has not checked its signature.
pub const UNCHECKED: u8 = 1 << 0;
/// ENTRY: carries all its siblings.
pub const SIBLINGS: u8 = 1 << 0;
/// ENTRY: carries its payload.
pub const PAYLOAD: u8 = 1 << 1;
/// LOOKUP_RANGE, LOOKUP_BLOB: the asker holds the path.
pub const HAVE_PATH: u16 = 1 << 0;
/// LOOKUP_RANGE, LOOKUP_BLOB: the asker holds the page.
pub const HAVE_PAGE: u16 = 1 << 1;

/// Types whose top bit is set must be known by whoever takes the frame.
pub const CRITICAL: u8 = 0x80;
/// Ends the messages of a frame.
pub const TYPE_END: u8 = 0x00;
/// See [`Refusal`].
pub const TYPE_REFUSAL: u8 = 0x01;
/// See [`Head`].
pub const TYPE_HEAD: u8 = 0x02;
/// See [`Grant`].
pub const TYPE_GRANT: u8 = 0x03;
/// See [`Cons`].
pub const TYPE_CONS: u8 = 0x04;
/// See [`Path`].
pub const TYPE_PATH: u8 = 0x05;
/// See [`Page`].
pub const TYPE_PAGE: u8 = 0x06;
/// See [`Entry`].
pub const TYPE_ENTRY: u8 = 0x07;
/// See [`BlobPath`].
pub const TYPE_BLOB_PATH: u8 = 0x08;
/// See [`BlobPage`].
pub const TYPE_BLOB_PAGE: u8 = 0x09;
/// See [`BlobData`].
pub const TYPE_BLOB_DATA: u8 = 0x0a;
/// Reserved.
pub const TYPE_OFFER: u8 = 0x20;
/// Reserved.
pub const TYPE_RECEIPT: u8 = 0x21;
/// Reserved.
pub const TYPE_FORK: u8 = 0x22;
/// See [`LookupHead`].
pub const TYPE_LOOKUP_HEAD: u8 = 0x81;
/// See [`LookupRange`].
pub const TYPE_LOOKUP_RANGE: u8 = 0x82;
/// See [`LookupCons`].
pub const TYPE_LOOKUP_CONS: u8 = 0x83;
/// See [`LookupBlob`].
pub const TYPE_LOOKUP_BLOB: u8 = 0x84;
/// See [`Follow`].
pub const TYPE_FOLLOW: u8 = 0x85;
/// Reserved.
pub const TYPE_CUSTODY: u8 = 0xa0;

// The longest proofs fit a message, and the longest message fits every port.
const _: () = assert!(PROOF_HEADER_LEN + 32 * MAX_CONS <= MESSAGE_MAX);
const _: () = assert!(PROOF_HEADER_LEN + 32 * MAX_PAGE <= MESSAGE_MAX);
const _: () = assert!(FRAME_HEADER_LEN + MESSAGE_MAX <= MTU_MIN);

/// A message of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// "No", and why.
    Refusal(Refusal),
    /// A signed head.
    Head(Head<'a>),
    /// A signed grant.
    Grant(Grant<'a>),
    /// A consistency proof.
    Cons(Cons<'a>),
    /// A window's siblings.
    Path(Path<'a>),
    /// A window's leaf hashes.
    Page(Page<'a>),
    /// A leaf, perhaps with payload and siblings.
    Entry(Entry<'a>),
    /// A blob window's siblings.
    BlobPath(BlobPath<'a>),
    /// A blob window's chunk hashes.
    BlobPage(BlobPage<'a>),
    /// A byte range of a blob window.
    BlobData(BlobData<'a>),
    /// Asks for a head.
    LookupHead(LookupHead),
    /// Asks for entries of a window.
    LookupRange(LookupRange),
    /// Asks for a consistency proof.
    LookupCons(LookupCons),
    /// Asks for chunks of a window.
    LookupBlob(LookupBlob),
    /// Asks for what comes next.
    Follow(Follow),
}

/// Whether version 1 gives `kind` a meaning, be it only "reserved".
pub(crate) const fn is_known(kind: u8) -> bool {
    matches!(kind, TYPE_END..=TYPE_BLOB_DATA | TYPE_LOOKUP_HEAD..=TYPE_FOLLOW) || is_reserved(kind)
}

const fn is_reserved(kind: u8) -> bool {
    matches!(kind, TYPE_OFFER | TYPE_RECEIPT | TYPE_FORK | TYPE_CUSTODY)
}

impl<'a> Message<'a> {
    /// Reads one message. `body` is what follows the message header, but for `behind` bytes at its end
    /// that are not here, which only the payload of a BLOB_DATA may be.
    fn parse(kind: u8, flags: u8, body: &'a [u8], behind: usize) -> Result<Self, Drop> {
        match kind {
            TYPE_REFUSAL => Refusal::parse(flags, body).map(Message::Refusal),
            TYPE_HEAD => Head::parse(flags, body).map(Message::Head),
            TYPE_GRANT => Grant::parse(flags, body).map(Message::Grant),
            TYPE_CONS => Cons::parse(flags, body).map(Message::Cons),
            TYPE_PATH => Path::parse(flags, body).map(Message::Path),
            TYPE_PAGE => Page::parse(flags, body).map(Message::Page),
            TYPE_ENTRY => Entry::parse(flags, body).map(Message::Entry),
            TYPE_BLOB_PATH => BlobPath::parse(flags, body).map(Message::BlobPath),
            TYPE_BLOB_PAGE => BlobPage::parse(flags, body).map(Message::BlobPage),
            TYPE_BLOB_DATA => BlobData::parse(flags, body, behind).map(Message::BlobData),
            TYPE_LOOKUP_HEAD => LookupHead::parse(flags, body).map(Message::LookupHead),
            TYPE_LOOKUP_RANGE => LookupRange::parse(flags, body).map(Message::LookupRange),
            TYPE_LOOKUP_CONS => LookupCons::parse(flags, body).map(Message::LookupCons),
            TYPE_LOOKUP_BLOB => LookupBlob::parse(flags, body).map(Message::LookupBlob),
            TYPE_FOLLOW => Follow::parse(flags, body).map(Message::Follow),
            kind if is_reserved(kind) => Err(Drop::Unsupported),
            kind if kind & CRITICAL != 0 => Err(Drop::UnknownCritical),
            _ => Err(Drop::UnknownType),
        }
    }

    /// The feed that a lookup or FOLLOW asks about, or that its blob is said to be of.
    pub fn asks_about(&self) -> Option<&DiscoveryId> {
        match self {
            Message::LookupHead(m) => Some(&m.pre.id),
            Message::LookupRange(m) => Some(&m.pre.id),
            Message::LookupCons(m) => Some(&m.pre.id),
            Message::LookupBlob(m) => Some(&m.pre.id),
            Message::Follow(m) => Some(&m.pre.id),
            _ => None,
        }
    }

    /// The token: what the asker gave, or what an answer brings back.
    pub fn token(&self) -> Token {
        match self {
            Message::Refusal(m) => m.token,
            Message::Head(m) => m.answer.token,
            Message::Grant(m) => m.answer.token,
            Message::Cons(m) => m.answer.token,
            Message::Path(m) => m.answer.token,
            Message::Page(m) => m.answer.token,
            Message::Entry(m) => m.answer.token,
            Message::BlobPath(m) => m.answer.token,
            Message::BlobPage(m) => m.answer.token,
            Message::BlobData(m) => m.answer.token,
            Message::LookupHead(m) => m.pre.token,
            Message::LookupRange(m) => m.pre.token,
            Message::LookupCons(m) => m.pre.token,
            Message::LookupBlob(m) => m.pre.token,
            Message::Follow(m) => m.pre.token,
        }
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        match self {
            Message::Refusal(m) => m.emit(frame),
            Message::Head(m) => m.emit(frame),
            Message::Grant(m) => m.emit(frame),
            Message::Cons(m) => m.emit(frame),
            Message::Path(m) => m.emit(frame),
            Message::Page(m) => m.emit(frame),
            Message::Entry(m) => m.emit(frame),
            Message::BlobPath(m) => m.emit(frame),
            Message::BlobPage(m) => m.emit(frame),
            Message::BlobData(m) => m.emit(frame),
            Message::LookupHead(m) => m.emit(frame),
            Message::LookupRange(m) => m.emit(frame),
            Message::LookupCons(m) => m.emit(frame),
            Message::LookupBlob(m) => m.emit(frame),
            Message::Follow(m) => m.emit(frame),
        }
    }
}
