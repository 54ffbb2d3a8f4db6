// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads that are handed on before their signature is checked.
//!
//! A chain of nodes would add up what signatures cost. So a head of a known feed that came as a push
//! goes on to the followers at once, flagged, if the entry in its frame proves that it extends the
//! held tree by just that entry, and if its sender has done nothing wrong lately. That takes hashes
//! only, and stores nothing. One such head is on its way for each FOLLOW; until the verdict on it,
//! others wait for theirs. The checked head is pushed only to who does not renew its FOLLOW.

use super::accept::Trusted;
use super::env::{Counter, Dest, Env, Event, Mac, Memory, PortId};
use super::feeds::FORKED;
use super::held::{Held, Waits};
use super::limits::PUSH_PAUSE_MIN_US;
use super::links::is_extended_by;
use super::pending::{self, Down, Pending, LIMITED, TOLD};
use super::u48::U48;
use super::{nodes, Engine};
use crate::head::SignedHead;
use crate::leaf::Leaf;
use crate::token::Token;
use crate::verify::HeadAction;
use crate::wire::{self, Answer, Entry, FrameBuilder, FrameHeader, FrameView, Message, Payload};

/// The entry that came behind a head.
fn companion_entry(frame: &[u8]) -> Option<Entry<'_>> {
    let view = FrameView::parse(frame).ok()?;
    view.messages().flatten().find_map(|message| match message {
        Message::Entry(entry) => Some(entry),
        _ => None,
    })
}

fn is_whole(leaf: &Leaf, payload: Option<Payload<'_>>) -> bool {
    match payload {
        // One chunk: a single compression, no tree.
        Some(Payload::Bytes(bytes)) => blake3::hash(bytes).as_bytes() == &leaf.blob.0,
        Some(Payload::Trailing(_)) => false,
        None => !nodes::is_inline(leaf) || leaf.len == 0,
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Whether a head that waits for its verdict may go on before it.
    #[inline(never)]
    pub(super) fn may_hand_on(&mut self, now: u64, slot: u32, index: u32, env: &mut E) -> bool {
        let Some(held) = self.held.get(index) else {
            return false;
        };
        let (id, from) = (held.id, (held.port, held.mac));
        let follows = self.pending.get(slot).is_some_and(Pending::is_follow);
        let of_slot = |held: &Held| held.handed_on && held.entry == pending::link(slot);
        if !follows
            || self.neighbours.is_distrusted(from.0, from.1, now)
            || self.held.iter().any(|(_, held)| of_slot(held))
            || !self.has_follower(now, slot)
        {
            return false;
        }
        let Ok(new) = SignedHead::parse(&held.head) else {
            return false;
        };
        let is_forked = self.feeds.get(&id).is_none_or(|feed| feed.has(FORKED));
        match self.judge(&id, &new) {
            Ok(HeadAction::NeedsCons { m, root }) if !is_forked => {
                let of = self.candidate(&id, &new, from.0);
                self.is_next(index, &of, m, &root, env)
            }
            _ => false,
        }
    }

    /// Whether the entry that came with the head shows that it continues the tree `m` by itself, and
    /// its payload is the leaf's.
    #[inline(never)]
    fn is_next(
        &self,
        index: u32,
        of: &Trusted,
        m: u64,
        root: &crate::id::Hash,
        env: &mut E,
    ) -> bool {
        let frame = self.held.get(index).map_or(&[][..], Held::frame);
        companion_entry(frame).is_some_and(|entry| {
            is_whole(&entry.leaf, entry.payload) && is_extended_by(of, &entry, m, root, env)
        })
    }

    /// Whether the waiter is a follower that may be told of the head behind the one that is held.
    fn may_tell(&self, now: u64, slot: u32, down: &Down) -> bool {
        let held = self
            .pending
            .get(slot)
            .and_then(|entry| self.feeds.get(&entry.id))
            .map(|feed| (feed.epoch, feed.n));
        !down.is_local()
            && !down.has(LIMITED)
            && !down.has(TOLD)
            && down.expires.get() > now
            && held == Some((down.held_epoch, down.held_n.get()))
    }

    fn has_follower(&self, now: u64, slot: u32) -> bool {
        self.pending
            .find_down(slot, |down| self.may_tell(now, slot, down))
            .is_some()
    }

    /// Whether a program on this node waits for the entry, too.
    pub(super) fn is_awaited_here(&self, slot: u32) -> bool {
        self.pending.find_down(slot, Down::is_local).is_some()
    }

    /// Hands the head on to all followers that lack just this one.
    #[inline(never)]
    pub(super) fn hand_head_on(&mut self, now: u64, slot: u32, index: u32, env: &mut E) {
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
                break;
            };
            if self.may_tell(now, slot, &down) {
                self.tell(now, at, &down, index, env);
            }
            at = down.next;
        }
        self.arm_pushes(slot);
    }

    #[inline(never)]
    fn tell(&mut self, now: u64, at: u32, down: &Down, index: u32, env: &mut E) {
        let Some(sent) = self.send_unchecked(down, index, env) else {
            return;
        };
        env.event(Event::Count(Counter::FramesOut));
        env.event(Event::Count(Counter::Pushes));
        let rtt = self.neighbours.get(down.port, down.mac).rtt();
        let pause = rtt.saturating_mul(2).max(PUSH_PAUSE_MIN_US);
        if let Some(down) = self.pending.downs.get_mut(pending::slot(at)) {
            down.flags |= TOLD;
            down.budget = down.budget.saturating_sub(sent);
            down.pushes = 1;
            down.age_or_push = U48::new(now.saturating_add(pause));
        }
    }

    /// Sends the head and its entry, which [`Engine::may_hand_on`] has checked, to one follower; the
    /// bytes of the frame.
    #[inline(never)]
    fn send_unchecked(&mut self, down: &Down, index: u32, env: &mut E) -> Option<u32> {
        let header = FrameHeader {
            cookie_give: self.cookie_for(down.port, down.mac),
            ..FrameHeader::default()
        };
        let mtu = self.ports.mtu(down.port)?.min(down.budget as usize);
        let held = self.held.get(index)?;
        let answer = Answer {
            hops: held.hops.saturating_add(1),
            token: Token::from_u64(down.token),
        };
        let head = wire::Head {
            answer,
            unchecked: true,
            bytes: &held.head,
        };
        let entry = Entry {
            answer,
            ..companion_entry(held.frame())?
        };
        let mut frame = FrameBuilder::new(&mut self.scratch, mtu)?;
        if !head.emit(&mut frame) || !entry.emit(&mut frame) {
            return None;
        }
        let built = frame.finish(&header);
        let dest = Dest {
            port: down.port,
            mac: Some(down.mac),
        };
        let linear = self.scratch.get(..built.linear)?;
        env.send(dest, linear, None)
            .then(|| u32::try_from(built.linear).unwrap_or(u32::MAX))
    }

    /// The head that was handed on is bad: who was told of it gets the next good one all the same.
    #[inline(never)]
    pub(super) fn take_back(&mut self, slot: u32) {
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get_mut(pending::slot(at)) else {
                break;
            };
            if down.has(TOLD) {
                down.flags &= !TOLD;
                // If another head was adopted meanwhile, now is the time.
                down.pushes = 0;
                down.age_or_push = U48::default();
            }
            at = down.next;
        }
        self.arm_pushes(slot);
    }

    /// A bad signature: what its sender has lost by it.
    pub(super) fn blame(&mut self, now: u64, from: (PortId, Mac), unchecked: bool) {
        let (port, mac) = from;
        if unchecked {
            self.neighbours.distrust(port, mac, now);
        } else {
            self.neighbours.penalise(port, mac, now);
        }
    }
}

impl Held {
    /// Whether its verdict decides about others, who were told of it already.
    pub(super) fn is_handed_on(&self) -> bool {
        self.handed_on && matches!(self.waits, Waits::Head | Waits::Grant)
    }
}
