// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Every reason for which a frame, a message or a piece of work is dropped.
//!
//! One reason, one counter, one trace event. The texts are ABI: they name counters in netlink.

use core::fmt;

/// Defines the enum, its texts and the list of all reasons from one table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// Why something was dropped.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum Drop {
            $($(#[$doc])* $variant,)*
        }

        impl Drop {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Drop] = &[$(Drop::$variant,)*];

            /// The reason's name in counters and traces.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Drop::$variant => $text,)*
                }
            }
        }
    };
}

reasons! {
    // Frames and messages.

    /// A length field promises more bytes than the frame has.
    Truncated => "truncated",
    /// The frame's, head's or grant's version is not ours.
    BadVersion => "bad-version",
    /// A reserved field or an undefined flag is not zero.
    Reserved => "reserved",
    /// The frame holds a message of an unknown critical type.
    UnknownCritical => "unknown-critical",
    /// A message of an unknown uncritical type was skipped.
    UnknownType => "unknown-type",
    /// A message of a type that is reserved for later was skipped.
    Unsupported => "unsupported",
    /// A known message whose length does not fit its type and fields.
    Malformed => "malformed",
    /// A field holds a value outside the range that the protocol allows.
    OutOfRange => "out-of-range",

    // Names, keys, signed statements.

    /// Not the text form of a feed.
    BadText => "bad-text",
    /// The kind of name is not 0.
    BadNameKind => "bad-name-kind",
    /// The seed is all zeros.
    BadSeed => "bad-seed",
    /// The public key is not canonical or of small order.
    BadKey => "bad-key",
    /// The signature does not hold.
    BadSignature => "bad-signature",
    /// The answer is about another name than the one asked for.
    WrongName => "wrong-name",
    /// A leaf that breaks the format.
    BadLeaf => "bad-leaf",
    /// Neighbouring leaves whose offsets do not follow from each other.
    BadOffset => "bad-offset",
    /// A head that breaks the format.
    BadHead => "bad-head",
    /// A grant that breaks the format.
    BadGrant => "bad-grant",

    // Proofs.

    /// A proof with another number of hashes than the tree's shape demands.
    ProofLength => "proof-length",
    /// A proof that does not lead to the root.
    ProofMismatch => "proof-mismatch",
    /// Blob bytes that do not hash to what was asked for.
    BlobMismatch => "blob-mismatch",

    // Heads against what is held.

    /// A head that says nothing new.
    SameHead => "same-head",
    /// A head older than the one held.
    OldHead => "old-head",
    /// A head or grant of an epoch that a verified grant has ended.
    OldEpoch => "old-epoch",
    /// A head shorter than the base that its grant names.
    BelowBase => "below-base",
    /// Two valid heads of which the shorter tree is no prefix of the longer.
    Fork => "fork",
    /// A head that goes on after the feed's final head.
    BeyondFinal => "beyond-final",

    // Links.

    /// A token that we did not give to this neighbour for this work.
    BadToken => "bad-token",
    /// The frame came by a device that is no port.
    NoPort => "no-port",
    /// The frame's source is no single station.
    BadSource => "bad-source",
    /// A frame of ours that came back.
    OwnEcho => "own-echo",
    /// An answer to nothing that is in flight.
    Unsolicited => "unsolicited",
    /// An answer to another question than the one its token stands for.
    NotAsked => "not-asked",
    /// A message that means nothing at its place in the frame.
    OutOfPlace => "out-of-place",
    /// What was said already.
    Repeated => "repeated",
    /// A refusal by a neighbour that is no longer asked.
    Stale => "stale",

    // Work that cannot be done now.

    /// A head that its sender has not checked.
    Unchecked => "unchecked",
    /// An answer about a feed of which no head is held.
    NoHead => "no-head",
    /// An answer about another head than those known.
    OtherHead => "other-head",
    /// A head of an epoch whose grant is not held.
    NoGrant => "no-grant",
    /// A head whose consistency proof cannot be had.
    NoProof => "no-proof",
    /// An entry or page without the hashes that it is checked against.
    NoPage => "no-page",
    /// A small entry without its payload.
    NoPayload => "no-payload",
    /// A part of a chunk where only whole chunks can be checked.
    PartialChunk => "partial-chunk",
    /// Too many heads of one feed within a second.
    HeadRate => "head-rate",
    /// No room for another feed.
    FeedsFull => "feeds-full",
    /// No room to keep what cannot be judged yet.
    HeldFull => "held-full",
    /// The queue of signatures is full.
    VerifyFull => "verify-full",
    /// No room in the store.
    StoreFull => "store-full",

    // The shell around the engine.

    /// A frame longer than any that we would build.
    Oversized => "oversized",
    /// A device did not take a frame.
    DeviceBusy => "device-busy",
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
