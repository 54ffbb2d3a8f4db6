// SPDX-License-Identifier: GPL-2.0

//! Short frames that have come together, as lookups do: all are copied, then each engine's lock is
//! taken once for all of its frames.
//!
//! Context: softirq.

use super::{
    receive::Behind,
    Inner,
    Left,
    Locked,
    Node, //
};
use crate::{
    ingress,
    net::{
        hook::Frame,
        skb::Drop as Reason,
        softirq::Inside, //
    },
    sync::cpu, //
};
use feed_core::engine::{
    env::Env,
    PortId,
    ShardSet,
    AHEAD, //
};
use kernel::sync::Arc;

/// Bytes of a frame that may be taken together with others: nearly all lookups are shorter.
pub(crate) const SHORT: usize = 256;

/// Memory for their copies.
pub(super) type ShortCopies = [[u8; SHORT]; AHEAD];

/// Lengths of those frames of a list that are taken, in their places.
type Lens = [Option<usize>; AHEAD];

impl Inner {
    /// Takes frames of which `lens` and `copies` have the bytes; `others` is told who has more messages
    /// in each. What a frame has sent is made in its buffer, which nobody needs any more.
    fn take_batch(
        &mut self,
        now: u64,
        port: PortId,
        frames: &mut [Option<Frame<'_>>],
        copies: &ShortCopies,
        lens: &Lens,
        others: &mut [ShardSet; AHEAD],
    ) {
        let Self { engine, env } = self;
        let bytes = copies.iter().zip(lens).map(|(copy, len)| copy.get(..(*len)?));
        if frames.len() > 1 && env.may_look_ahead() {
            engine.look_ahead(bytes.clone().flatten(), env);
        }
        for ((frame, bytes), others) in frames.iter_mut().zip(bytes).zip(others) {
            if let (Some(frame), Some(bytes)) = (frame, bytes) {
                let rx = ingress::rx(port, frame);
                env.lend(frame.give_away());
                *others = engine.on_frame(now, rx, bytes, env);
                env.free_spare();
            }
        }
    }
}

impl Node {
    /// As [`Node::receive`], for at most [`AHEAD`] frames of at most [`SHORT`] bytes that have come
    /// together: each engine's lock is taken once for all of its frames. They are told what became
    /// of them.
    pub(crate) fn receive_short(
        self: &Arc<Self>,
        inside: Inside<'_>,
        port: PortId,
        frames: &mut [Option<Frame<'_>>],
    ) {
        self.receive_together(inside, frames, |frames, copies, left| {
            self.take_short(port, frames, &mut copies.short, left);
        });
    }

    /// As [`Node::receive_short`], with memory to copy to.
    fn take_short(
        self: &Arc<Self>,
        port: PortId,
        frames: &mut [Option<Frame<'_>>],
        copies: &mut ShortCopies,
        left: &mut Left,
    ) {
        let mut shards = [None; AHEAD];
        let mut wanted = ShardSet::default();
        let mut sorter = self.shards.sorter();
        for ((frame, copy), shard) in frames.iter_mut().zip(&mut *copies).zip(&mut shards) {
            let Some(frame) = frame else {
                continue;
            };
            let copy = copy.get_mut(..frame.len());
            match copy.and_then(|copy| frame.copy(0, copy).then_some(copy)) {
                Some(copy) => {
                    let of = sorter.of_frame(copy);
                    wanted.insert(of);
                    *shard = Some(of);
                }
                None => frame.outcome = Err(Reason::Truncated),
            }
        }
        while let Some((at, guard)) = self.lock_one_of(wanted) {
            wanted.remove(at);
            let mut lens = [None; AHEAD];
            for ((frame, of), len) in frames.iter().zip(&shards).zip(&mut lens) {
                if *of == Some(at) {
                    *len = frame.as_ref().map(Frame::len);
                }
            }
            let mut others = [ShardSet::default(); AHEAD];
            let taken = self.call_locked(at, guard, left, |inner, now| {
                inner.take_batch(now, port, frames, copies, &lens, &mut others)
            });
            for (((frame, copy), len), others) in frames.iter_mut().zip(&*copies).zip(lens).zip(others) {
                let (Some(frame), Some(len)) = (frame, len) else {
                    continue;
                };
                if taken.is_none() {
                    frame.outcome = Err(Reason::Unwanted);
                }
                if let Some(copy) = copy.get(..len) {
                    let behind = Behind { frame: &*frame, start: len };
                    self.receive_again(others, left, ingress::rx(port, frame), copy, &behind);
                }
            }
        }
    }

    /// Takes the lock of one of these engines: of one that nobody has, as long as there is one. Who has
    /// work for several need not wait for the one that another processor is in; and processors begin in
    /// different places, so that those who must wait do not all wait for the same.
    fn lock_one_of(&self, shards: ShardSet) -> Option<(usize, Locked<'_>)> {
        let first = cpu::current();
        let mut untried = shards;
        while let Some(at) = untried.pop_from(first) {
            if let Some(guard) = self.engines.get(at)?.inner.try_lock() {
                return Some((at, guard));
            }
        }
        let mut waited_for = shards;
        let at = waited_for.pop_from(first)?;
        Some((at, self.engines.get(at)?.inner.lock()))
    }
}
