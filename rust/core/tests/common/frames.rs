// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Frames by hand, and what lies in them.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use feed_core::wire::*;
use feed_core::Drop;

pub const HEADER: usize = FRAME_HEADER_LEN;

/// All messages of a frame.
pub fn parse(frame: &[u8]) -> Result<Vec<Result<Message<'_>, Drop>>, Drop> {
    FrameView::parse(frame).map(|view| view.messages().collect())
}

/// A frame around raw message bytes, padded as on the wire.
pub fn frame(messages: &[u8]) -> Vec<u8> {
    let mut frame = vec![FRAME_VERSION, 0];
    frame.extend((messages.len() as u16).to_le_bytes());
    frame.extend([0; 20]);
    frame.extend(messages);
    frame.resize(frame.len().max(FRAME_MIN), 0);
    frame
}

pub fn raw(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, flags];
    message.extend((body.len() as u16 + 4).to_le_bytes());
    message.extend(body);
    message
}

/// The message bytes of a frame with one message.
pub fn message_bytes(frame: &[u8]) -> &[u8] {
    let len = u16::from_le_bytes([frame[2], frame[3]]);
    &frame[HEADER..HEADER + usize::from(len)]
}
