// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The token that a lookup carries and its answer brings back.
//!
//! It says where the asker's work lies without a search, and its keyed tag proves that the answer
//! comes over the port, from the neighbour and about the feed that were asked.

use crate::siphash::{siphash24, SipKey};

/// Number of slots that a token can name.
pub const TOKEN_SLOTS: u32 = 1 << 24;

/// What the neighbour part of a token binds to when a lookup goes to the group address.
pub const MAC_GROUP: [u8; 6] = [0; 6];

/// Slot u24, generation u8, tag u32, from the lowest bit up.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Token {
    /// Index of the asker's pending entry, below [`TOKEN_SLOTS`].
    pub slot: u32,
    /// How often that slot was reused.
    pub generation: u8,
    /// Keyed tag over everything the token binds.
    pub tag: u32,
}

/// What a token is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The port that the lookup left by.
    pub port: u32,
    /// The neighbour asked, or [`MAC_GROUP`].
    pub mac: [u8; 6],
    /// The discovery id or blob hash asked for.
    pub id: &'a [u8; 32],
}

impl Token {
    /// A token for `slot` in its present `generation`.
    pub fn new(key: &SipKey, to: &Binding<'_>, slot: u32, generation: u8) -> Token {
        let slot = slot & TOKEN_SLOTS.wrapping_sub(1);
        Token {
            slot,
            generation,
            tag: tag(key, to, slot, generation),
        }
    }

    /// Whether we made this token for this binding.
    pub fn check(&self, key: &SipKey, to: &Binding<'_>) -> bool {
        self.tag == tag(key, to, self.slot, self.generation)
    }

    /// The form on the wire.
    pub const fn to_u64(self) -> u64 {
        self.slot as u64 | (self.generation as u64) << 24 | (self.tag as u64) << 32
    }

    /// Any number is a token; only [`Token::check`] tells whether it is ours.
    pub const fn from_u64(wire: u64) -> Token {
        Token {
            slot: wire as u32 & 0x00ff_ffff,
            generation: (wire >> 24) as u8,
            tag: (wire >> 32) as u32,
        }
    }
}

fn tag(key: &SipKey, to: &Binding<'_>, slot: u32, generation: u8) -> u32 {
    siphash24(
        key,
        &[
            &to.port.to_le_bytes(),
            &to.mac,
            to.id,
            &slot.to_le_bytes(),
            &[generation],
        ],
    ) as u32
}
