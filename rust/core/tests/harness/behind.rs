// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The part of a frame that is not copied before it is looked at.

use std::cell::Cell;
use std::ops::Range;

use feed_core::engine::Rest;
use feed_core::wire::{cut_head, head_len, leaves, payload_range, Leaves};

/// Bytes that can be had once each.
pub struct Behind<'a> {
    bytes: &'a [u8],
    /// How many there really are, whatever [`Rest::bytes`] says.
    pub there: usize,
    /// Where the next copy begins at the earliest.
    next: Cell<usize>,
}

impl<'a> Behind<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Behind {
            bytes,
            there: bytes.len(),
            next: Cell::new(0),
        }
    }

    /// Cuts a frame where its payload begins.
    pub fn split(frame: &'a [u8]) -> (&'a [u8], Self) {
        let mut copied = 0;
        for _ in 0..4 {
            let wanted = head_len(&frame[..copied], frame.len());
            if wanted <= copied {
                let (head, rest) = frame.split_at(copied);
                return (head, Behind::new(rest));
            }
            copied = wanted;
        }
        panic!("a head has no end");
    }

    /// How many bytes are left to be had.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.next.get()
    }
}

impl Rest for Behind<'_> {
    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn copy(&self, at: usize, to: &mut [u8]) -> bool {
        assert!(at >= self.next.get(), "a byte is read twice");
        self.next.set(at + to.len());
        if at + to.len() > self.there {
            to.fill(0xee);
            return false;
        }
        to.copy_from_slice(&self.bytes[at..at + to.len()]);
        true
    }
}

/// The frames that a long one is cut into for a link of this MTU.
pub fn pieces(frame: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let Range { start, end } = payload_range(frame).expect("such a frame cannot be cut");
    assert_eq!(end, frame.len());
    let (head, payload) = frame.split_at(start);
    let len = match leaves(head, payload.len(), mtu, 0) {
        Some(Leaves::Pieces(len)) => usize::from(len),
        Some(Leaves::Whole) => payload.len(),
        None => panic!("a head longer than the MTU"),
    };
    let cut = |(index, part): (usize, &[u8])| {
        let mut head = head.to_vec();
        let left = cut_head(&mut head, (index * len) as u32, part.len() as u32).unwrap();
        [&head[..left], part].concat()
    };
    payload.chunks(len).enumerate().map(cut).collect()
}
