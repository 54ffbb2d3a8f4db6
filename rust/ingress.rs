// SPDX-License-Identifier: GPL-2.0

//! Frames in: from a device to the engine.
//!
//! Context: softirq. A frame's bytes are copied to memory of ours, each once, and only then looked at:
//! a local sender may still be writing to the pages that a frame came in.

use crate::{
    net::{
        hook::{
            Frame,
            Receive, //
        },
        skb::Drop, //
    },
    node::{
        Node,
        SHORT, //
    }, //
};
use feed_core::{
    engine::{
        limits::UNCUT_MAX,
        Mac,
        PortId,
        Rest,
        Rx, //
    },
    Drop as DropReason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What a port's frames go to.
pub(crate) struct Ingress {
    node: Arc<Node>,
    port: PortId,
}

impl Ingress {
    /// The receiver of the port with this interface index.
    pub(crate) fn new(node: Arc<Node>, ifindex: u32) -> Self {
        Self {
            node,
            port: PortId(ifindex),
        }
    }
}

impl Receive for Ingress {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let outcome = self.accept(frame);
        self.count(frame, outcome);
        outcome
    }

    fn receive_all(&self, frames: &mut [Option<Frame<'_>>]) {
        let Some(inside) = frames.iter().flatten().map(Frame::softirq).next() else {
            return;
        };
        let is_short = |frame: &Option<Frame<'_>>| {
            frame.as_ref().is_none_or(|frame| frame.len() <= SHORT)
        };
        // In the order in which they came: an entry may need the page before it.
        for run in frames.chunk_by_mut(|one, next| is_short(one) == is_short(next)) {
            if run.first().is_some_and(is_short) {
                self.node.receive_short(inside, self.port, run);
            } else if let [Some(frame)] = run {
                frame.outcome = self.receive(frame);
                continue;
            } else {
                self.node.receive_long(inside, self.port, run);
            }
            for frame in run.iter().flatten() {
                self.count(frame, frame.outcome);
            }
        }
    }
}

/// How a frame came in.
pub(crate) fn rx(port: PortId, frame: &Frame<'_>) -> Rx {
    Rx {
        port,
        mac: Mac(frame.source()),
        group: frame.is_group(),
    }
}

impl Rest for Frame<'_> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn copy(&self, at: usize, to: &mut [u8]) -> bool {
        Frame::copy(self, at, to)
    }
}

impl Ingress {
    fn accept(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let len = frame.len();
        if len > UNCUT_MAX {
            self.node.world.stats.dropped(DropReason::Oversized);
            return Err(Drop::Malformed);
        }
        self.node.receive(rx(self.port, frame), frame)
    }

    fn count(&self, frame: &Frame<'_>, outcome: Result<(), Drop>) {
        let stats = &self.node.world.stats;
        stats.received(self.port.0, frame.wire_len(), outcome.is_err());
    }
}
