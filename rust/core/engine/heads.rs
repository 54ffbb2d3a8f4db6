// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Heads in: signature first (elsewhere, later), then consistency, then they are adopted.
//!
//! A head waits in a held record with the messages that came behind it in its frame:
//! `Grant` (verdict on the grant) → `Head` (verdict on the head) → judged → adopted, or → `Cons`
//! (asked for the consistency proof) → adopted. A proof that fits the new root but leads to another
//! old root than the one held is the proof of a fork: both heads are kept and neither wins.

use super::accept::{self, Trusted};
use super::env::{Charge, Counter, Env, Event, Mac, Memory, PortId, Proved};
use super::feeds::{Feed, FORKED, HEADED, NAMED};
use super::held::{Held, Kept, Waits, FRAME_ROOM};
use super::jobs::companion_grant;
use super::links::{find_link, Link};
use super::pending::{self, Down};
use super::recv::Rx;
use super::u48::U48;
use super::want::{Want, What};
use super::Engine;
use crate::error::Drop;
use crate::head::SignedHead;
use crate::id::DiscoveryId;
use crate::token::Token;
use crate::verify::{self, check_head, HeadAction};
use crate::wire::{self, FrameBuilder, FrameHeader, FrameView, Message, Messages, ANY_AGE};

/// What is to become of a head.
pub(super) enum Next {
    Adopt,
    Fork,
    AskCons { m: u64 },
}

/// The messages that travel behind a head and belong to it.
fn belongs(message: &Message<'_>, token: Token) -> bool {
    match message {
        Message::Grant(m) => m.answer.token == token,
        Message::Cons(m) => m.answer.token == token,
        Message::Entry(m) => m.answer.token == token && m.siblings.is_some(),
        _ => false,
    }
}

/// Copies what belongs to the head, and moves `rest` past it.
#[inline(never)]
fn keep_companions(rest: &mut Messages<'_>, token: Token, mut held: Option<&mut Held>) {
    let mut frame = held
        .as_mut()
        .and_then(|held| FrameBuilder::new(&mut held.frame, FRAME_ROOM));
    // A head has at most a grant, a proof and an entry behind it.
    for _ in 0..3 {
        let mut ahead = rest.clone();
        let Some(Ok(message)) = ahead.next() else {
            break;
        };
        if !belongs(&message, token) {
            break;
        }
        *rest = ahead;
        if let Some(frame) = frame.as_mut() {
            // What does not fit is asked for again when it is needed.
            let _ = message.emit(frame);
        }
    }
    let len = frame.map_or(0, |frame| frame.finish(&FrameHeader::default()).linear);
    if let Some(held) = held {
        held.frame_len = u16::try_from(len).unwrap_or(0);
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Judges a head that came by what is held of its feed.
    pub(super) fn judge(&self, id: &DiscoveryId, new: &SignedHead) -> Result<HeadAction, Drop> {
        let feed = self.feeds.get(id);
        let (head, grant) = (feed.and_then(Feed::statement), self.feeds.grant(id));
        let held = verify::Held {
            head: head.as_ref(),
            grant: grant.as_ref().map(|g| &g.grant),
        };
        check_head(&held, &new.head)
    }

    /// Whether there is room for a head, or it needs none. Looked at before anything else that costs
    /// time: under a flood of heads there is no room for most.
    #[inline(never)]
    pub(super) fn is_room_for_head(
        &mut self,
        rx: &Rx,
        slot: u32,
        kept: Kept,
        m: &wire::Head<'_>,
        rest: &mut Messages<'_>,
    ) -> bool {
        if self.held.has_room(rx.port, kept) {
            return true;
        }
        let fits = self.pending.get(slot).is_some_and(|entry| {
            let feed = self.feeds.get(&entry.id);
            feed.and_then(|feed| feed.head_bytes()) == Some(*m.bytes)
                || self
                    .held
                    .head_from(&entry.id, rx.port, rx.mac, kept)
                    .is_some()
        });
        if !fits {
            keep_companions(rest, m.answer.token, None);
        }
        fits
    }

    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn take_head(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        kept: Kept,
        m: &wire::Head<'_>,
        rest: &mut Messages<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let held = self.admit_head(now, rx, slot, kept, m, env);
        let index = held.as_ref().ok().copied().flatten();
        keep_companions(
            rest,
            m.answer.token,
            index.and_then(|index| self.held.get_mut(index)),
        );
        match held? {
            Some(index) => self.judge_later(now, slot, index, env),
            None => Ok(()),
        }
    }

    /// Has the signature checked, and tells who follows at once if that may be.
    fn judge_later(&mut self, now: u64, slot: u32, index: u32, env: &mut E) -> Result<(), Drop> {
        let hand_on = self.may_hand_on(now, slot, index, env);
        let is_awaited = self.is_awaited_here(slot);
        if let Some(held) = self.held.get_mut(index).filter(|_| hand_on) {
            held.handed_on = true;
            held.patient = !is_awaited;
        }
        self.queue_job(index, env)?;
        if hand_on {
            self.hand_head_on(now, slot, index, env);
        }
        Ok(())
    }

    /// The cheap checks. `Ok(None)`: it is the head that is held already.
    fn admit_head(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        kept: Kept,
        m: &wire::Head<'_>,
        env: &mut E,
    ) -> Result<Option<u32>, Drop> {
        let entry = self.pending.get(slot).ok_or(Drop::Unsolicited)?;
        let (id, follows) = match entry.what {
            What::Head => (entry.id, false),
            What::Follow => (entry.id, true),
            _ => return Err(Drop::NotAsked),
        };
        let is_known = self.feeds.get(&id).is_some_and(|feed| feed.has(HEADED));
        let is_distrusted = self.neighbours.is_distrusted(rx.port, rx.mac, now);
        if m.unchecked && (!follows || !is_known || is_distrusted) {
            return Err(Drop::Unchecked);
        }
        let mine = self.feeds.get(&id).and_then(|feed| feed.head_bytes());
        let new = m.head()?;
        // The name of a feed that is known by it is not hashed again.
        let named = self.feeds.get(&id).filter(|feed| feed.has(NAMED));
        if named.is_none_or(|feed| feed.name != new.head.name) && new.head.name.id() != id {
            return Err(Drop::WrongName);
        }
        match self.judge(&id, &new) {
            Err(Drop::SameHead) => {
                if let Some(feed) = self.feeds.get_mut(&id) {
                    feed.verified_at = now;
                }
                return Ok(None);
            }
            Err(reason) => return Err(reason),
            Ok(_) => {}
        }
        if mine.is_some_and(|mine| self.forks.has(&id, &mine, &new.bytes)) {
            // Both signatures were checked, and it was reported.
            return Err(Drop::Fork);
        }
        if self.held.iter().any(|(_, held)| {
            let same = held.waits != Waits::Hashes && held.head == new.bytes;
            // Who was asked alone does not wait where others do.
            same && (held.alone || kept != Kept::HeadAlone)
        }) {
            return Err(Drop::Repeated);
        }
        let waiting = self.held.head_from(&id, rx.port, rx.mac, kept);
        let (mut handed_on, mut instead_of) = (false, 0);
        if let Some(index) = waiting {
            // One head waits per feed and neighbour; a newer one replaces it.
            let older = self.held.get(index).ok_or(Drop::HeldFull)?.head;
            if SignedHead::parse(&older).is_ok_and(|older| new.head.order() <= older.head.order()) {
                return Err(Drop::OldHead);
            }
            // Until the verdict on one of them, followers are told of one.
            if let Some(older) = self.held.get(index) {
                handed_on = older.is_handed_on();
                instead_of = older.job_id(index);
            }
            self.held.release(index);
        }
        if self
            .feeds
            .get(&id)
            .is_some_and(|feed| !feed.has_head_budget(now))
        {
            return Err(Drop::HeadRate);
        }
        let _ = env;
        let opened = self.held.open(rx.port, rx.mac, kept);
        let (index, held) = opened.ok_or(Drop::HeldFull)?;
        held.id = id;
        held.entry = pending::link(slot);
        held.hops = m.answer.hops;
        held.unchecked = m.unchecked;
        held.handed_on = handed_on;
        held.instead_of = instead_of;
        held.head = new.bytes;
        Ok(Some(index))
    }

    /// The outcome of a signature check that the engine asked for with [`Env::verify`].
    ///
    /// Context: any, with the engine's lock; verdicts may come in any order and late.
    pub fn on_verdict(&mut self, now: u64, job: u64, ok: bool, env: &mut E) {
        self.now = now;
        let (index, serial) = (job as u32, (job >> 32) as u32);
        let Some(held) = self.held.get(index).filter(|held| held.serial == serial) else {
            return;
        };
        let (waits, id, rx) = (
            held.waits,
            held.id,
            Rx {
                port: held.port,
                mac: held.mac,
                group: false,
            },
        );
        let entry = pending::slot(held.entry);
        let (unchecked, handed_on) = (held.unchecked, held.is_handed_on());
        let n = SignedHead::parse(&held.head).map_or(0, |head| head.head.n);
        let what = match waits {
            Waits::Grant => Proved::Grant,
            Waits::Head => Proved::Head,
            Waits::Cons | Waits::Hashes => return,
        };
        env.event(Event::Verify {
            what,
            ok,
            feed: &id,
            n,
        });
        if !ok {
            self.held.release(index);
            self.blame(now, (rx.port, rx.mac), unchecked);
            if handed_on {
                self.take_back(entry);
            }
            self.drop_at(env, Drop::BadSignature, &rx);
            self.hasten(entry, now);
            return;
        }
        if let (Waits::Head, Some(feed)) = (waits, self.feeds.get_mut(&id)) {
            feed.count_head(now);
        }
        let result = match waits {
            Waits::Grant => self.take_grant(index, env),
            _ => self
                .settle_head(index, env)
                .and_then(|next| self.act(now, index, next, env)),
        };
        if let Err(reason) = result {
            self.drop_at(env, reason, &rx);
        }
    }

    /// A verified grant: from now on its key signs.
    #[inline(never)]
    fn take_grant(&mut self, index: u32, env: &mut E) -> Result<(), Drop> {
        let held = self.held.get(index).ok_or(Drop::HeldFull)?;
        let id = held.id;
        let new = SignedHead::parse(&held.head)?;
        let grant = companion_grant(held.frame(), new.head.epoch).ok_or(Drop::NoGrant)?;
        if let Err(reason) = self.may_grant(&id, &grant.grant) {
            self.held.release(index);
            return Err(reason);
        }
        let Some(ends) = self.feeds.set_grant(&id, &grant) else {
            self.held.release(index);
            return Err(Drop::FeedsFull);
        };
        if ends {
            // An author here is none any more, and readers have to ask for the new epoch's head.
            self.disown(&id);
            env.wake(&id);
        }
        self.queue_job(index, env)
    }

    /// What a head with a good signature is to become. Deciding and doing are separate calls, for
    /// the stack's sake: what follows a new head goes deep.
    #[inline(never)]
    pub(super) fn settle_head(&mut self, index: u32, env: &mut E) -> Result<Next, Drop> {
        let held = self.held.get(index).ok_or(Drop::HeldFull)?;
        let (id, port) = (held.id, held.port);
        let new = SignedHead::parse(&held.head)?;
        match self.judge(&id, &new) {
            Ok(HeadAction::New | HeadAction::Refresh) => Ok(Next::Adopt),
            Ok(HeadAction::NeedsCons { m, root }) => {
                let of = self.candidate(&id, &new, port);
                Ok(
                    match find_link(
                        self.held.get(index).map_or(&[][..], Held::frame),
                        &of,
                        m,
                        &root,
                        env,
                    ) {
                        Link::Proved => Next::Adopt,
                        Link::Forked => Next::Fork,
                        Link::Missing => Next::AskCons { m },
                    },
                )
            }
            Ok(HeadAction::Fork | HeadAction::BeyondFinal) => Ok(Next::Fork),
            Ok(HeadAction::NeedsGrant) => {
                self.held.release(index);
                Err(Drop::NoGrant)
            }
            Err(reason) => {
                self.held.release(index);
                Err(reason)
            }
        }
    }

    pub(super) fn act(
        &mut self,
        now: u64,
        index: u32,
        next: Next,
        env: &mut E,
    ) -> Result<(), Drop> {
        match next {
            Next::Adopt => {
                let id = self.adopt(now, index, env)?;
                self.head_changed(now, &id, env);
                Ok(())
            }
            Next::Fork => self.keep_fork(index, None, env),
            Next::AskCons { m } => self.ask_cons(now, index, m, env),
        }
    }

    /// The tree of a head whose signature is good.
    pub(super) fn candidate(&self, id: &DiscoveryId, new: &SignedHead, port: PortId) -> Trusted {
        let public = self.feeds.get(id).is_some_and(|feed| feed.is_public());
        let head = &new.head;
        Trusted {
            id: *id,
            name: head.name,
            epoch: head.epoch,
            n: head.n,
            root: head.root,
            charge: Charge { port, public },
        }
    }

    /// The head becomes the feed's, with what came behind it.
    #[inline(never)]
    fn adopt(&mut self, now: u64, index: u32, env: &mut E) -> Result<DiscoveryId, Drop> {
        let held = self.held.get(index).ok_or(Drop::HeldFull)?;
        let (id, hops, rx) = (held.id, held.hops, (held.port, held.mac));
        let new = SignedHead::parse(&held.head)?;
        let before = self.feeds.get(&id).map_or(0, |feed| feed.n);
        if !self.set_head(now, &id, &new, hops, env) {
            self.held.release(index);
            return Err(Drop::FeedsFull);
        }
        if let Some(feed) = self.feeds.get_mut(&id) {
            (feed.via_port, feed.via_mac) = rx;
        }
        // Another holder of the key went on: what an author here has not signed is not of the feed.
        self.forget_unsigned(&id, before, env);
        let of = self.candidate(&id, &new, rx.0);
        if let Some(view) = self
            .held
            .get(index)
            .and_then(|held| FrameView::parse(held.frame()).ok())
        {
            for message in view.messages().flatten() {
                if let Message::Entry(entry) = message {
                    if entry.epoch == of.epoch && entry.n == of.n {
                        let _ = accept::store_entry(&of, &entry, false, env);
                    }
                }
            }
        }
        self.held.release(index);
        Ok(id)
    }

    /// Replaces a feed's head, and remembers the old root. False: no room for another feed.
    pub(super) fn set_head(
        &mut self,
        now: u64,
        id: &DiscoveryId,
        new: &SignedHead,
        hops: u8,
        env: &mut E,
    ) -> bool {
        let Some(feed) = self.feeds.open(id) else {
            return false;
        };
        let old = feed.has(HEADED).then_some((feed.epoch, feed.n, feed.root));
        feed.set_head(new, hops, now);
        if self.forks.get(id).is_some() {
            feed.flags |= FORKED;
        }
        if let Some((epoch, n, root)) = old {
            self.roots.remember(id, epoch, n, root);
        }
        env.event(Event::Count(Counter::Heads));
        true
    }

    /// Tells everybody who cares that a feed has a new head.
    #[inline(never)]
    pub(super) fn head_changed(&mut self, now: u64, id: &DiscoveryId, env: &mut E) {
        if let Some(slot) = self.find_entry(&Want::Head { id: *id }) {
            self.deliver(now, slot, env);
        }
        self.push_all(now, id, env);
        env.wake(id);
    }

    /// The port is gone, and with it the signatures of its heads that were to be checked: no verdict
    /// comes for these any more. (A head that waits for its proof goes when that is given up.)
    pub(super) fn forget_unjudged(&mut self, port: PortId) {
        let is =
            |held: &Held| held.port == port && matches!(held.waits, Waits::Grant | Waits::Head);
        for _ in 0..self.held.capacity() {
            let Some((index, _)) = self.held.iter().find(|(_, held)| is(held)) else {
                break;
            };
            self.held.release(index);
        }
    }

    /// Asks for a newer head than the one held, for work of this node that needs it. How much newer
    /// is not taken from others: nobody may have it.
    pub(super) fn seek_head(
        &mut self,
        now: u64,
        id: &DiscoveryId,
        expires: u64,
        hop_limit: u8,
        env: &mut E,
    ) {
        let (epoch, n) = match self.feeds.get(id).filter(|feed| feed.has(HEADED)) {
            Some(feed) => (feed.epoch, feed.n.saturating_add(1)),
            None => (0, 0),
        };
        let down = Down {
            epoch,
            n: U48::new(n),
            age_or_push: U48::new(ANY_AGE),
            expires: U48::new(expires),
            hop_limit,
            ..Down::default()
        };
        let _ = self.want_local(now, Want::Head { id: *id }, down, env);
    }
}

/// Where work of this node comes from.
pub(super) const NOWHERE: (PortId, Mac) = (PortId::LOCAL, Mac([0; 6]));
