// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A head with a good signature that is neither the held one's successor nor its predecessor, as far as
//! is known: its consistency proof is asked for, and shows which of the two it is, or that the feed is
//! forked.

use super::env::{Env, Event, Memory};
use super::feeds::FORKED;
use super::heads::Next;
use super::held::{Held, Waits};
use super::links::{find_evidence, prove_prefix};
use super::pending::Down;
use super::recv::Rx;
use super::u48::U48;
use super::want::{Want, What};
use super::Engine;
use crate::error::Drop;
use crate::head::SignedHead;
use crate::id::DiscoveryId;
use crate::verify::HeadAction;
use crate::wire;

/// How long a verified head waits for its consistency proof, µs.
const CONS_LIFE_US: u64 = 5_000_000;

impl<M: Memory, E: Env> Engine<M, E> {
    #[inline(never)]
    pub(super) fn ask_cons(
        &mut self,
        now: u64,
        index: u32,
        m: u64,
        env: &mut E,
    ) -> Result<(), Drop> {
        let held = self.held.get_mut(index).ok_or(Drop::HeldFull)?;
        held.waits = Waits::Cons;
        held.n = m;
        let head = SignedHead::parse(&held.head)?.head;
        let want = Want::Cons {
            id: held.id,
            epoch: head.epoch,
            m,
            n: head.n,
        };
        let down = Down {
            expires: U48::new(now.saturating_add(CONS_LIFE_US)),
            ..Down::default()
        };
        if self.want_local(now, want, down, env) != super::Wanted::Waiting {
            self.held.release(index);
            return Err(Drop::NoProof);
        }
        Ok(())
    }

    /// A head whose signature is good excludes the one that is held. The proof came by itself, or
    /// with the head, or is not needed.
    pub(super) fn keep_fork(
        &mut self,
        index: u32,
        proof: Option<&wire::Cons<'_>>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let noted = self.note_fork(index, proof);
        self.held.release(index);
        let (id, is_news) = noted?;
        if is_news {
            env.event(Event::Fork { feed: &id });
            env.wake(&id);
        }
        Err(Drop::Fork)
    }

    /// Marks the feed, and keeps the evidence. Whether nobody knew of a fork of the feed before.
    #[inline(never)]
    fn note_fork(
        &mut self,
        index: u32,
        proof: Option<&wire::Cons<'_>>,
    ) -> Result<(DiscoveryId, bool), Drop> {
        let held = self.held.get(index).ok_or(Drop::HeldFull)?;
        let id = held.id;
        let new = SignedHead::parse(&held.head)?.head;
        let Some(feed) = self.feeds.get_mut(&id) else {
            return Ok((id, false));
        };
        if feed.epoch != new.epoch {
            // It does not continue the base of its grant, which contradicts no head of its epoch.
            return Err(Drop::BelowBase);
        }
        let is_news = !feed.has(FORKED);
        feed.flags |= FORKED;
        let feeds = &self.feeds;
        let mine = feeds.get(&id).and_then(|feed| feed.head());
        let given = proof.map(|proof| proof.hashes);
        let proof = mine
            .as_ref()
            .and_then(|mine| find_evidence(&mine.head, &new, given, held.frame()));
        if let (Some(mine), Some(proof)) = (mine, proof) {
            let needed = |id: &DiscoveryId| feeds.get(id).is_some_and(|feed| !feed.is_idle());
            self.forks.keep(&id, &mine.bytes, &held.head, proof, needed);
        }
        Ok((id, is_news))
    }

    /// A consistency proof: for a head that waits for it, for neighbours that asked, or both.
    pub(super) fn take_cons(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        m: &wire::Cons<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let entry = self.pending.get_mut(slot).ok_or(Drop::Unsolicited)?;
        let id = entry.id;
        let asked = What::Cons {
            epoch: m.epoch,
            m: U48::new(m.m),
            n: U48::new(m.n),
        };
        if entry.what != asked {
            return Err(Drop::NotAsked);
        }
        let index = self.waiting_head(&id, m.epoch, (m.m, m.n));
        let next = self.link_head(&id, rx, index, m, env)?;
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.hops = m.answer.hops;
        }
        if let (Some(index), Some(next)) = (index, next) {
            let done = match next {
                Next::Fork => self.keep_fork(index, Some(m), env),
                next => self.act(now, index, next, env),
            };
            match done {
                // The proof was good; what it proves is that the author's word is not.
                Ok(()) | Err(Drop::Fork) => {}
                Err(reason) => return Err(reason),
            }
        }
        while let Some(at) = self.pending.find_down(slot, Down::is_local) {
            self.pending.remove_down(at, &mut self.ports);
        }
        Ok(())
    }

    /// Checks a consistency proof and says what it makes of the head that waits for it, if one does.
    #[inline(never)]
    fn link_head(
        &mut self,
        id: &DiscoveryId,
        rx: &Rx,
        index: Option<u32>,
        m: &wire::Cons<'_>,
        env: &mut E,
    ) -> Result<Option<Next>, Drop> {
        let held = index
            .and_then(|index| self.held.get(index))
            .and_then(|held| SignedHead::parse(&held.head).ok());
        let of = match &held {
            Some(head) => self.candidate(id, head, rx.port),
            None => self.trusted(id, m.epoch, m.n, rx.port)?,
        };
        let old = prove_prefix(&of, m.m, m.hashes, env)?;
        let (Some(index), Some(head)) = (index, held) else {
            return Ok(None);
        };
        match self.judge(id, &head) {
            Ok(HeadAction::NeedsCons { m: length, root }) if length == m.m => {
                Ok(Some(if root == old { Next::Adopt } else { Next::Fork }))
            }
            // Another head was adopted meanwhile: this one is judged anew.
            _ => self.settle_head(index, env).map(Some),
        }
    }

    /// The head of length `.1` that waits for its proof from `.0` on. Others may ask for other proofs
    /// of the same tree; these are nothing to it.
    fn waiting_head(&self, id: &DiscoveryId, epoch: u32, (m, n): (u64, u64)) -> Option<u32> {
        let is = |held: &Held| {
            held.waits == Waits::Cons
                && held.id == *id
                && held.n == m
                && SignedHead::parse(&held.head)
                    .is_ok_and(|head| head.head.epoch == epoch && head.head.n == n)
        };
        self.held
            .iter()
            .find(|(_, held)| is(held))
            .map(|(index, _)| index)
    }

    /// The proof did not come: the head is given up, to be asked for again.
    pub(super) fn forget_waiting_head(&mut self, id: &DiscoveryId, epoch: u32, of: (u64, u64)) {
        for _ in 0..self.held.capacity() {
            let Some(index) = self.waiting_head(id, epoch, of) else {
                break;
            };
            self.held.release(index);
        }
    }
}
