// SPDX-License-Identifier: GPL-2.0

//! Received frames: copied, and handed to the engines that they have messages for.
//!
//! Context: softirq.

use super::{
    short::ShortCopies,
    Left,
    Node, //
};
use crate::{
    net::{
        hook::Frame,
        skb::Drop as Reason,
        softirq::Inside, //
    },
    stats::Stats, //
};
use feed_core::{
    engine::{
        limits::FRAME_MAX,
        Rest,
        Rx,
        ShardSet, //
    },
    wire::head_len,
    Drop as DropReason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Memory for copies of received frames: what a frame says is copied first and looked at then, so that
/// its sender cannot change it.
#[derive(Clone, Copy, Zeroable)]
pub(crate) struct Copies {
    /// One frame, or as much of it as is before its payload.
    pub(super) frame: [u8; FRAME_MAX],
    /// Short frames that have come together.
    pub(super) short: ShortCopies,
}

/// What is behind the head of a received frame.
pub(super) struct Behind<'a, F> {
    pub(super) frame: &'a F,
    pub(super) start: usize,
}

impl<F: Rest> Rest for Behind<'_, F> {
    fn bytes(&self) -> usize {
        self.frame.bytes().saturating_sub(self.start)
    }

    fn copy(&self, at: usize, to: &mut [u8]) -> bool {
        self.frame.copy(self.start.saturating_add(at), to)
    }
}

/// Copies as much of a frame as is to be looked at. It may be too long, or shorter than it says.
pub(super) fn copy_head<'a>(
    memory: &'a mut [u8],
    frame: &impl Rest,
    stats: &Stats,
) -> Result<&'a [u8], Reason> {
    let mut have = 0;
    loop {
        // It grows with each call, and is never more than the frame.
        let wanted = head_len(memory.get(..have).unwrap_or(&[]), frame.bytes());
        if wanted <= have {
            return Ok(memory.get(..have).unwrap_or(&[]));
        }
        let Some(room) = memory.get_mut(have..wanted) else {
            stats.dropped(DropReason::Oversized);
            return Err(Reason::Malformed);
        };
        if !frame.copy(have, room) {
            return Err(Reason::Truncated);
        }
        have = wanted;
    }
}

impl Node {
    /// Hands a received frame to those engines that it has messages for.
    ///
    /// Context: softirq.
    pub(crate) fn receive(self: &Arc<Self>, rx: Rx, frame: &Frame<'_>) -> Result<(), Reason> {
        let mut left = Left::default();
        let taken = self.copies.with(frame.softirq(), |copies| {
            let head = copy_head(&mut copies.frame, frame, &self.world.stats)?;
            let behind = Behind { frame, start: head.len() };
            let first = self.shards.of_frame(head);
            let others = self.call(first, &mut left, |inner, now| {
                inner.engine.on_frame_head(now, rx, head, &behind, &mut inner.env)
            });
            // Without an engine the namespace is at its end.
            self.receive_again(others.ok_or(Reason::Unwanted)?, &mut left, rx, head, &behind);
            Ok(())
        });
        // What is sent may come back at once, to be copied.
        self.finish(left);
        taken.unwrap_or(Err(Reason::Unwanted))
    }

    /// Has `take` hand received frames that have come together to engines, with memory to copy to; then
    /// does what these left to do. Where there is no memory, none of the frames is wanted.
    ///
    /// Context: softirq.
    #[inline]
    pub(super) fn receive_together(
        self: &Arc<Self>,
        inside: Inside<'_>,
        frames: &mut [Option<Frame<'_>>],
        take: impl FnOnce(&mut [Option<Frame<'_>>], &mut Copies, &mut Left),
    ) {
        let mut left = Left::default();
        let lent = self.copies.with(inside, |copies| take(frames, copies, &mut left));
        if lent.is_none() {
            for frame in frames.iter_mut().flatten() {
                frame.outcome = Err(Reason::Unwanted);
            }
        }
        self.finish(left);
    }

    /// Hands a frame to further engines that it has messages for: seldom, as frames are mostly about
    /// one feed. All of them look at the same copy; what is behind it is for one engine at most.
    pub(super) fn receive_again(
        self: &Arc<Self>,
        mut shards: ShardSet,
        left: &mut Left,
        rx: Rx,
        head: &[u8],
        behind: &dyn Rest,
    ) {
        while let Some(shard) = shards.pop() {
            self.call(shard, left, |inner, now| {
                inner.engine.on_frame_again(now, rx, head, behind, &mut inner.env);
            });
        }
    }
}
