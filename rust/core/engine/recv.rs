// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Frames in: each message goes to whoever it concerns.

use super::env::{Counter, Env, Event, Mac, Memory, PortId, Rest};
use super::feeds::Feed;
use super::held::Kept;
use super::limits::MESSAGES_PER_FRAME;
use super::pending::{Down, Pending, ASKED_AGAIN, GROUP, NO_SAMPLE, SENT};
use super::u48::U48;
use super::want::What;
use super::{Engine, ShardSet};
use crate::cookie;
use crate::error::Drop;
use crate::token::{Binding, Token, MAC_GROUP};
use crate::wire::{BlobData, FrameView, Message};

/// How a frame came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rx {
    /// The port.
    pub port: PortId,
    /// The neighbour that sent it.
    pub mac: Mac,
    /// It was sent to the group, not to this node alone.
    pub group: bool,
}

/// Behind a frame that was copied whole.
struct Nothing;

impl Rest for Nothing {
    fn bytes(&self) -> usize {
        0
    }

    fn copy(&self, _: usize, to: &mut [u8]) -> bool {
        to.is_empty()
    }
}

/// Entries that one frame can concern; answers of one lookup share a token.
const TOUCHED_MAX: usize = 8;

/// Entries whose waiters are to be looked after at the end of a frame.
#[derive(Default)]
pub(super) struct Touched([Option<u32>; TOUCHED_MAX]);

impl Touched {
    /// Notes an entry. False: there is no room.
    fn note(&mut self, slot: u32) -> bool {
        if self.0.contains(&Some(slot)) {
            return true;
        }
        match self.0.iter_mut().find(|at| at.is_none()) {
            Some(free) => {
                *free = Some(slot);
                true
            }
            None => false,
        }
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Takes one frame without its Ethernet header. `frame` is a private copy: nobody changes it
    /// while it is looked at. Gives the node's other engines that have messages in it.
    ///
    /// Context: softirq, with the engine's lock.
    pub fn on_frame(&mut self, now: u64, rx: Rx, frame: &[u8], env: &mut E) -> ShardSet {
        self.on_frame_head(now, rx, frame, &Nothing, env)
    }

    /// As [`Engine::on_frame`] of a frame whose payload has not been copied yet: `head` is as much of it
    /// as [`crate::wire::head_len`] asks for. The payload is copied once, to where it stays if it is good.
    pub fn on_frame_head(
        &mut self,
        now: u64,
        rx: Rx,
        head: &[u8],
        behind: &dyn Rest,
        env: &mut E,
    ) -> ShardSet {
        env.event(Event::Count(Counter::FramesIn));
        let mut others = ShardSet::default();
        self.take_frame(now, rx, head, behind, Some(&mut others), env);
        others
    }

    /// As [`Engine::on_frame_head`], for an engine that another one named: what concerns the frame as
    /// a whole was counted there.
    pub fn on_frame_again(
        &mut self,
        now: u64,
        rx: Rx,
        head: &[u8],
        behind: &dyn Rest,
        env: &mut E,
    ) {
        self.take_frame(now, rx, head, behind, None, env);
    }

    #[inline]
    fn take_frame(
        &mut self,
        now: u64,
        rx: Rx,
        head: &[u8],
        behind: &dyn Rest,
        mut others: Option<&mut ShardSet>,
        env: &mut E,
    ) {
        self.now = now;
        if self.ports.get(rx.port).is_none() {
            return self.drop_at(env, Drop::NoPort, &rx);
        }
        if rx.port == PortId::LOCAL || rx.mac.0.first().is_none_or(|first| first & 1 == 1) {
            return self.drop_at(env, Drop::BadSource, &rx);
        }
        if self
            .ports
            .get(rx.port)
            .is_some_and(|port| port.info.mac == rx.mac)
        {
            return self.drop_at(env, Drop::OwnEcho, &rx);
        }
        let view = match FrameView::parse_head(head, behind.bytes()) {
            Ok(view) => view,
            Err(reason) => return self.drop_at(env, reason, &rx),
        };
        let echo = view.header.cookie_echo;
        let trusted = echo != 0
            && (echo == self.cookie_for(rx.port, rx.mac)
                || cookie::is_last(&self.config.secret, rx.port.0, &rx.mac.0, now_ms(now), echo));
        let mut messages = view.messages();
        let mut touched = Touched::default();
        for _ in 0..MESSAGES_PER_FRAME {
            if let Some(lookup) = messages.next_range() {
                let shard = match &lookup {
                    // Not hashed again to learn what is known: lookups that come together are
                    // often about one feed.
                    Ok(m) if self.feeds.is_last(&m.pre.id) => self.config.shard,
                    Ok(m) => self.config.shards.of(&m.pre.id),
                    Err(_) => self.config.shard,
                };
                if shard != self.config.shard {
                    if let Some(others) = others.as_deref_mut() {
                        others.insert(shard);
                    }
                    continue;
                }
                let is_bad = lookup.is_err();
                let result = lookup.and_then(|m| self.serve_range(now, &rx, trusted, &m, env));
                match result {
                    Err(reason) if !is_bad || others.is_some() => self.drop_at(env, reason, &rx),
                    _ => {}
                }
                continue;
            }
            let Some(message) = messages.next() else {
                break;
            };
            let message = match message {
                Ok(message) => message,
                Err(reason) => {
                    if others.is_some() {
                        self.drop_at(env, reason, &rx);
                    }
                    continue;
                }
            };
            let shard = self.config.shards.of_message(&message);
            if shard != self.config.shard {
                if let Some(others) = others.as_deref_mut() {
                    others.insert(shard);
                }
                continue;
            }
            let result = match &message {
                Message::LookupHead(m) => self.serve_head(now, &rx, trusted, m, env),
                Message::LookupCons(m) => self.serve_cons(now, &rx, trusted, m, env),
                Message::LookupBlob(m) => self.serve_blob(now, &rx, trusted, m, env),
                Message::Follow(m) => self.serve_follow(now, &rx, trusted, m, env),
                Message::BlobData(m) => {
                    self.take_blob_frame(now, &rx, &view, m, behind, &mut touched, env)
                }
                answer => {
                    self.take_answer(now, &rx, &view, answer, &mut messages, &mut touched, env)
                }
            };
            if let Err(reason) = result {
                self.drop_at(env, reason, &rx);
            }
        }
        for slot in touched.0.into_iter().flatten() {
            self.deliver(now, slot, env);
        }
    }

    /// The entry that a token means, if this node gave the token to this neighbour; and whether to it
    /// alone.
    fn slot_of(&mut self, rx: &Rx, token: Token) -> Result<(u32, bool), Drop> {
        let slot = token.slot.wrapping_sub(self.config.slots_before());
        if !self.pending.entries.is_live(slot, token.generation) {
            return Err(Drop::Unsolicited);
        }
        let entry = self.pending.get(slot).ok_or(Drop::Unsolicited)?;
        let id = &entry.id;
        // An answer comes in many frames: what held for the last one's token holds again.
        let known = (rx.port, rx.mac, token, *id);
        if self.last_token == known {
            return Ok((slot, true));
        }
        let key = &self.config.secret;
        let unicast = Binding {
            port: rx.port.0,
            mac: rx.mac.0,
            id: &id.0,
        };
        let group = Binding {
            mac: MAC_GROUP,
            ..unicast
        };
        let may_be_group = entry.has(GROUP);
        // First what it is most likely to be.
        let group_first = may_be_group && entry.up.mac().is_none();
        if group_first && token.check(key, &group) {
            return Ok((slot, false));
        }
        if token.check(key, &unicast) {
            self.last_token = known;
            return Ok((slot, true));
        }
        if may_be_group && !group_first && token.check(key, &group) {
            Ok((slot, false))
        } else {
            Err(Drop::BadToken)
        }
    }

    /// Common to all answers: the token, and the entry.
    fn open_answer(&mut self, rx: &Rx, token: Token, env: &mut E) -> Result<(u32, bool), Drop> {
        let found = self.slot_of(rx, token)?;
        env.event(Event::Count(Counter::AnswersIn));
        Ok(found)
    }

    /// Common to all answers: what is learned of the neighbour from it.
    fn learn(&mut self, now: u64, rx: &Rx, view: &FrameView<'_>, slot: u32) {
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        let sent_at = entry.sent_at.get();
        let first = !entry.has(NO_SAMPLE);
        let again = entry.tries > 0;
        entry.mark(NO_SAMPLE, true);
        if let Some(neighbour) = self.neighbours.learn(rx.port, rx.mac) {
            if view.header.cookie_give != 0 {
                neighbour.cookie = view.header.cookie_give;
            }
            if first && !entry.is_follow() {
                if again {
                    neighbour.answered_late();
                } else {
                    neighbour.sample(now.saturating_sub(sent_at));
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    #[inline(never)]
    fn take_answer(
        &mut self,
        now: u64,
        rx: &Rx,
        view: &FrameView<'_>,
        message: &Message<'_>,
        rest: &mut crate::wire::Messages<'_>,
        touched: &mut Touched,
        env: &mut E,
    ) -> Result<(), Drop> {
        let (slot, alone) = self.open_answer(rx, message.token(), env)?;
        let mut kept = Kept::Head;
        if let Message::Head(m) = message {
            if alone && !self.neighbours.is_penalised(rx.port, rx.mac, now) {
                kept = Kept::HeadAlone;
            }
            if !self.is_room_for_head(rx, slot, kept, m, rest) {
                return Err(Drop::HeldFull);
            }
        }
        self.learn(now, rx, view, slot);
        let is_news = self.is_news(slot, message, env);
        let result = match message {
            Message::Refusal(m) => self.take_refusal(now, rx, slot, m, env),
            Message::Head(m) => self.take_head(now, rx, slot, kept, m, rest, env),
            // A grant says nothing without the head before it, which takes both.
            Message::Grant(_) => Err(Drop::OutOfPlace),
            Message::Cons(m) => self.take_cons(now, rx, slot, m, env),
            Message::Path(m) => self.take_path(now, rx, slot, m, env),
            Message::Page(m) => self.take_page(now, rx, slot, m, env),
            Message::Entry(m) => self.take_entry(now, slot, m, env),
            Message::BlobPath(m) => self.take_blob_path(now, rx, slot, m, env),
            Message::BlobPage(m) => self.take_blob_page(now, rx, slot, m, env),
            _ => Err(Drop::Unsupported),
        };
        self.close_answer(now, rx, view, slot, is_news, &result, touched, env);
        result
    }

    /// As [`Engine::take_answer`], for what most frames of a transfer are.
    #[allow(clippy::too_many_arguments)]
    #[inline(never)]
    fn take_blob_frame(
        &mut self,
        now: u64,
        rx: &Rx,
        view: &FrameView<'_>,
        m: &BlobData<'_>,
        behind: &dyn Rest,
        touched: &mut Touched,
        env: &mut E,
    ) -> Result<(), Drop> {
        let (slot, _) = self.open_answer(rx, m.answer.token, env)?;
        self.learn(now, rx, view, slot);
        let result = self.take_blob_data(now, slot, m, behind, env);
        self.close_answer(now, rx, view, slot, true, &result, touched, env);
        result
    }

    /// Common to all answers: what follows from how it was taken.
    #[allow(clippy::too_many_arguments)]
    fn close_answer(
        &mut self,
        now: u64,
        rx: &Rx,
        view: &FrameView<'_>,
        slot: u32,
        is_news: bool,
        result: &Result<(), Drop>,
        touched: &mut Touched,
        env: &mut E,
    ) {
        if result.is_ok() && is_news {
            self.note_progress(now, rx, slot, view.header.limited);
            if !touched.note(slot) {
                self.deliver(now, slot, env);
            }
        }
        if matches!(
            result,
            Err(Drop::ProofMismatch | Drop::BlobMismatch | Drop::WrongName | Drop::BadOffset)
        ) {
            self.neighbours.penalise(rx.port, rx.mac, now);
            self.hasten(slot, now);
        }
    }

    /// Whether an answer brings something, if it is good: neither a refusal nor the head that is held
    /// already does, unless somebody waits for a word that this one is still the newest.
    #[inline(never)]
    fn is_news(&self, slot: u32, message: &Message<'_>, env: &mut E) -> bool {
        let Message::Head(m) = message else {
            return !matches!(message, Message::Refusal(_));
        };
        let held = self
            .pending
            .get(slot)
            .and_then(|entry| self.feeds.get(&entry.id))
            .filter(|feed| feed.head_bytes().as_ref() == Some(m.bytes))
            .and_then(Feed::statement);
        let Some(held) = held else {
            return true;
        };
        let wall = env.wall_ms();
        let is_met = |down: &Down| !down.is_follower() && down.demand().is_met(&held, wall);
        self.pending.find_down(slot, is_met).is_some()
    }

    /// Something good came for an entry: learn the way, and set the time when the rest is asked for.
    fn note_progress(&mut self, now: u64, rx: &Rx, slot: u32, limited: bool) {
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        entry.route_tries = 0;
        if entry.has(SENT) && entry.up_port == rx.port {
            self.routes.restore(entry.route);
        }
        if let Some(feed) = self.feeds.get_mut(&entry.id) {
            feed.via_port = rx.port;
            feed.via_mac = rx.mac;
        }
        if entry.is_follow() {
            return;
        }
        if let Some(neighbour) = self.neighbours.learn(rx.port, rx.mac) {
            neighbour.heard(now, entry.sent_at.get());
        }
        if limited && !entry.has(ASKED_AGAIN) {
            // The answerer stopped for want of a cookie, which it gave: ask for the rest at once.
            entry.mark(ASKED_AGAIN, true);
            entry.resend_at = U48::new(now);
        } else if !limited || entry.tries == 0 {
            let neighbour = self.neighbours.get(rx.port, rx.mac);
            let at = resend_after(entry, now, neighbour.rto(entry.tries), neighbour.rtt());
            if is_near(entry.resend_at.get(), at, now) {
                return;
            }
            entry.resend_at = U48::new(at);
        } else {
            return;
        }
        self.pending.arm(slot);
    }
}

/// When to ask for the rest of a partial answer.
fn resend_after(entry: &Pending, now: u64, rto: u64, rtt: u64) -> u64 {
    let gap = match entry.what {
        // A window comes as one burst: what is missing a while after its last frame is lost.
        What::Blob | What::Range { .. } => (rtt / 4).max(super::limits::GAP_MIN_US),
        _ => rto,
    };
    now.saturating_add(gap.min(rto))
}

/// Whether a resend that is planned for `planned` may stay there, if it would be at `at` now: frames
/// come in bursts, and deadlines need not be put in order for each.
fn is_near(planned: u64, at: u64, now: u64) -> bool {
    let slack = at.saturating_sub(now) >> 3;
    planned <= at && at.saturating_sub(planned) <= slack
}

/// Cookies count ms.
pub(super) fn now_ms(now: u64) -> u64 {
    now / 1000
}
