// SPDX-License-Identifier: GPL-2.0

//! Long frames that have come together, as those of a transfer do: an engine's lock is taken, the clock
//! read and what is to be sent sent once for a run of them.
//!
//! Context: softirq.

use super::{
    receive::{
        copy_head,
        Behind, //
    },
    Left,
    Node, //
};
use crate::{
    ingress,
    net::{
        hook::Frame,
        skb::Drop as Reason,
        softirq::Inside, //
    }, //
};
use feed_core::{
    engine::{
        limits::{
            FRAME_MAX,
            UNCUT_MAX, //
        },
        PortId, //
    },
    Drop as DropReason, //
};
use kernel::sync::Arc;

/// So many bytes, copied and hashed, are enough for one holding of an engine's lock.
const RUN_BYTES: usize = 128 << 10;

/// A frame whose head was copied.
struct Headed<'f, 'a> {
    frame: &'f mut Frame<'a>,
    /// Bytes of the head.
    len: usize,
    /// Whose it is.
    shard: usize,
}

impl Node {
    /// As [`Node::receive`], for frames that have come together. They are told what became of them.
    pub(crate) fn receive_long(
        self: &Arc<Self>,
        inside: Inside<'_>,
        port: PortId,
        frames: &mut [Option<Frame<'_>>],
    ) {
        self.receive_together(inside, frames, |frames, copies, left| {
            self.take_long(port, frames, &mut copies.frame, left);
        });
    }

    /// As [`Node::receive_long`], with memory for one head after the other.
    fn take_long(
        self: &Arc<Self>,
        port: PortId,
        frames: &mut [Option<Frame<'_>>],
        memory: &mut [u8; FRAME_MAX],
        left: &mut Left,
    ) {
        let mut rest = frames.iter_mut().flatten();
        let mut next = self.next_head(&mut rest, memory);
        while let Some(mut of) = next.take() {
            let shard = of.shard;
            // Unless its engine gets to see it.
            of.frame.outcome = Err(Reason::Unwanted);
            // Ends with a frame that others have messages in, for which this lock must be dropped.
            let mut bytes = 0;
            let shared = self.call(shard, left, |inner, now| loop {
                of.frame.outcome = Ok(());
                bytes += of.frame.len();
                let head = memory.get(..of.len).unwrap_or(&[]);
                let behind = Behind { frame: &*of.frame, start: of.len };
                let rx = ingress::rx(port, of.frame);
                let others = inner.engine.on_frame_head(now, rx, head, &behind, &mut inner.env);
                if !others.is_empty() {
                    return Some((of, others));
                }
                match self.next_head(&mut rest, memory) {
                    Some(same) if same.shard == shard && bytes < RUN_BYTES => of = same,
                    other => {
                        next = other;
                        return None;
                    }
                }
            });
            match shared {
                Some(None) => {}
                Some(Some((of, others))) => {
                    let head = memory.get(..of.len).unwrap_or(&[]);
                    let behind = Behind { frame: &*of.frame, start: of.len };
                    let rx = ingress::rx(port, of.frame);
                    self.receive_again(others, left, rx, head, &behind);
                    next = self.next_head(&mut rest, memory);
                }
                // The namespace is at its end.
                None => {
                    for frame in rest {
                        frame.outcome = Err(Reason::Unwanted);
                    }
                    return;
                }
            }
        }
    }

    /// Copies the head of the next frame that has one.
    fn next_head<'f, 'a: 'f>(
        &self,
        frames: &mut impl Iterator<Item = &'f mut Frame<'a>>,
        memory: &mut [u8; FRAME_MAX],
    ) -> Option<Headed<'f, 'a>> {
        for frame in frames {
            if frame.len() > UNCUT_MAX {
                self.world.stats.dropped(DropReason::Oversized);
                frame.outcome = Err(Reason::Malformed);
                continue;
            }
            let head = match copy_head(memory, &*frame, &self.world.stats) {
                Ok(head) => head,
                Err(reason) => {
                    frame.outcome = Err(reason);
                    continue;
                }
            };
            let (len, shard) = (head.len(), self.shards.of_frame(head));
            return Some(Headed { frame, len, shard });
        }
        None
    }
}
