// SPDX-License-Identifier: GPL-2.0

//! Frames out: from the engine's bytes to a frame of a device.
//!
//! The engine calls [`build`] under its lock; the frames wait in a list until the lock is dropped,
//! for a device may call back into us from its transmit path.

#[cfg(CONFIG_KUNIT = "y")]
mod kunit;

use crate::{
    net::{
        cut::Cut,
        device::Device,
        skb::{
            FrameBuilder,
            ReadyFrame,
            Spare,
            PIECE_SPARE, //
        }, //
    },
    store::{
        RecentObjects,
        Store, //
    },
};
use core::ops::Range;
use feed_core::{
    engine::Payload,
    wire::{
        cut_head,
        leaves,
        payload_range,
        Leaves,
        FRAME_HEADER_LEN,
        PIECE_HEAD_LEN, //
    },
};

/// Where the id stands in a frame whose first message is a lookup, bytes.
const LOOKUP_ID: usize = FRAME_HEADER_LEN + 24;
/// Where the token stands in a frame whose first message is an answer, bytes.
const ANSWER_TOKEN: usize = FRAME_HEADER_LEN + 8;
/// Types from here on are lookups.
const FIRST_LOOKUP: u8 = 0x80;

/// The flow of a frame: queues, CPUs and fair queueing go by it, for all our frames have one
/// EtherType. Frames of one feed, or of one blob, are one flow.
fn flow(linear: &[u8], payload: Option<&Payload>) -> u32 {
    let word = |at: usize| {
        linear
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_le_bytes)
    };
    if let Some(payload) = payload {
        let [a, b, c, d, ..] = payload.blob.hash.0;
        return u32::from_le_bytes([a, b, c, d]);
    }
    match linear.get(FRAME_HEADER_LEN) {
        Some(&kind) if kind >= FIRST_LOOKUP => word(LOOKUP_ID),
        _ => word(ANSWER_TOKEN),
    }
}

/// How our long frames are cut.
pub(crate) struct BlobCut;

impl Cut for BlobCut {
    fn payload_range(head: &[u8]) -> Option<Range<usize>> {
        payload_range(head)
    }

    fn cut_head(head: &mut [u8], at: u32, len: u32) -> Option<usize> {
        cut_head(head, at, len)
    }
}

/// A frame of `linear` and, behind it, bytes of the store, in the buffer of the one that it answers if
/// that is to be had. `None` if the bytes have gone, there is no memory, or it is too long for the device.
///
/// Context: process or softirq, locks may be held.
pub(crate) fn build(
    store: &Store,
    recent: &mut RecentObjects,
    spare: Option<Spare>,
    device: &Device,
    ethertype: u16,
    to: [u8; 6],
    linear: &[u8],
    payload: Option<Payload>,
) -> Option<ReadyFrame> {
    let mut frame = FrameBuilder::new(spare, device, linear.len())?;
    if !frame.put(linear) {
        return None;
    }
    if let Some(payload) = &payload {
        let all = store.blob_visit_again(
            recent,
            &payload.blob,
            payload.window,
            payload.offset,
            payload.len,
            |folio, offset, len| frame.append_folio(folio, offset, len),
        );
        if !all {
            return None;
        }
        // By what the device carries now: the engine may not know yet that it is less than before.
        let is_fit = match leaves(linear, payload.len as usize, device.mtu() as usize, PIECE_SPARE) {
            Some(Leaves::Whole) => true,
            Some(Leaves::Pieces(piece)) => frame.allow_cut(linear.len(), piece, PIECE_HEAD_LEN),
            None => false,
        };
        if !is_fit {
            return None;
        }
    }
    frame.set_hash(flow(linear, payload.as_ref()));
    frame.finish(&to, ethertype)
}
