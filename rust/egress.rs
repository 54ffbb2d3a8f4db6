// SPDX-License-Identifier: GPL-2.0

//! Frames out: from the engine's bytes to a frame of a device.
//!
//! The engine calls [`build`] under its lock; the frames wait in a list until the lock is dropped,
//! for a device may call back into us from its transmit path.

use crate::{
    net::{
        device::Device,
        skb::{
            FrameBuilder,
            ReadyFrame,
            Spare, //
        }, //
    },
    store::{
        RecentObjects,
        Store, //
    },
};
use feed_core::{
    engine::Payload,
    wire::FRAME_HEADER_LEN, //
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

/// A frame of `linear` and, behind it, bytes of the store, in the buffer of the one that it answers if
/// that is to be had. `None` if the bytes have gone or there is no memory.
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
    }
    frame.set_hash(flow(linear, payload.as_ref()));
    frame.finish(&to, ethertype)
}
