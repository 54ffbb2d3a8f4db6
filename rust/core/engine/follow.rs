// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Following: neighbours that are told of each new head, and the one FOLLOW upstream for them all.
//!
//! A FOLLOW has no answer of its own, so it is renewed soon after it began, then at half-life, and
//! after each push, where the renewal is the receipt: a push that no renewal covers is repeated.

use super::answer::RangeAsk;
use super::answer_head::HeadScript;
use super::env::{Counter, Env, Event, Memory};
use super::feeds::HEADED;
use super::limits::{
    FOLLOW_FIRST_US, FOLLOW_RECEIPT_US, FOLLOW_RENEW_MIN_US, LIFE_MAX_US, PUSH_PAUSE_MIN_US,
    PUSH_TRIES,
};
use super::nodes;
use super::pending::{self, Down, FOLLOWER, LIMITED, SENT, TOLD};
use super::recv::Rx;
use super::u48::U48;
use super::want::Want;
use super::{Engine, Role};
use crate::error::Drop;
use crate::id::DiscoveryId;
use crate::object::TreeOf;
use crate::token::Token;
use crate::wire::{Follow, Reason, ANY_AGE, WINDOW_HEIGHT};

/// A push is not begun with less than this left of the bytes that the follower granted.
const PUSH_BYTES_MIN: u32 = 256;

/// Renewals without a push between, after which the upstream is probed.
const FOLLOW_PROBE: u8 = 2;

/// How long a probe looks for a way, µs.
const PROBE_LIFE_US: u64 = 5_000_000;

impl<M: Memory, E: Env> Engine<M, E> {
    #[inline(never)]
    pub(super) fn serve_follow(
        &mut self,
        now: u64,
        rx: &Rx,
        trusted: bool,
        m: &Follow,
        env: &mut E,
    ) -> Result<(), Drop> {
        env.event(Event::Count(Counter::LookupsIn));
        let id = m.pre.id;
        let feed = self.feeds.get(&id);
        let is_own = feed.is_some_and(|feed| feed.has(super::feeds::OWN));
        let is_public = feed.is_some_and(|feed| feed.is_public());
        let is_known = feed.is_some_and(|feed| feed.has(HEADED));
        let refuse =
            |engine: &mut Self, reason, env: &mut E| engine.refuse_lookup(rx, &m.pre, reason, env);
        if self.config.role == Role::Host && !is_public {
            return refuse(self, Reason::NotServed, env);
        }
        let upstream = self.config.role == Role::Cache && !is_own;
        let has_route = upstream
            && self
                .routes
                .pick(&id, Some(rx.port), 0, now, &self.ports)
                .is_some();
        if upstream && !has_route && !is_known {
            return refuse(self, Reason::NoRoute, env);
        }
        if upstream && !is_known && m.pre.hop_limit == 0 {
            return refuse(self, Reason::HopLimit, env);
        }
        let want = Want::Follow { id };
        let hash = want.hash(&self.config.secret);
        let used = self.nonces.using(m.pre.nonce, hash, rx.port, rx.mac);
        if self.nonces.is_duplicate(&used, now) {
            return refuse(self, Reason::DuplicateNonce, env);
        }
        let known = self.find_hashed(&want, hash);
        let Some(slot) = known.or_else(|| self.open_entry(want, hash, rx.port, env)) else {
            return refuse(self, Reason::Busy, env);
        };
        self.nonces.remember(&used, now);
        let life = u64::from(m.pre.life_ms)
            .saturating_mul(1000)
            .clamp(1000, LIFE_MAX_US);
        let down = Down {
            port: rx.port,
            mac: rx.mac,
            flags: FOLLOWER | if trusted { 0 } else { LIMITED },
            hop_limit: m.pre.hop_limit.saturating_sub(1),
            nonce: m.pre.nonce,
            token: m.pre.token.to_u64(),
            held_epoch: m.epoch,
            held_n: U48::new(m.n),
            expires: U48::new(now.saturating_add(life)),
            budget: m.grant_bytes,
            age_or_push: U48::MAX,
            ..Down::default()
        };
        let Some(at) = self.renew_follower(now, slot, down, env) else {
            self.settle(now, slot, env);
            return refuse(self, Reason::Busy, env);
        };
        self.prune(now, slot, env);
        self.push(now, at, false, env);
        self.arm_pushes(slot);
        let is_new = !self.pending.get(slot).is_some_and(|entry| entry.has(SENT));
        if is_new && has_route {
            let _ = self.send_lookup(now, slot, Some(m.pre.nonce), env);
        }
        Ok(())
    }

    /// Adds a follower, or replaces what it said before.
    fn renew_follower(&mut self, now: u64, slot: u32, down: Down, env: &mut E) -> Option<u32> {
        let same = |other: &Down| other.port == down.port && other.mac == down.mac;
        if let Some(at) = self.pending.find_down(slot, same) {
            let known = self.pending.downs.get_mut(pending::slot(at))?;
            known.flags = down.flags;
            known.token = down.token;
            known.nonce = down.nonce;
            known.hop_limit = down.hop_limit;
            known.expires = down.expires;
            known.budget = down.budget;
            known.held_epoch = down.held_epoch;
            known.held_n = down.held_n;
            known.pushes = 0;
            return Some(at);
        }
        let orphan = self
            .pending
            .add_down(slot, down, &mut self.ports, self.config.follow_quota)
            .ok()?;
        if let Some(orphan) = orphan {
            self.settle(now, orphan, env);
        }
        self.pending.find_down(slot, same)
    }

    /// A new head: every follower that lacks it gets it.
    pub(super) fn push_all(&mut self, now: u64, id: &DiscoveryId, env: &mut E) {
        let Some(slot) = self.find_entry(&Want::Follow { id: *id }) else {
            return;
        };
        let newest = self.feeds.get(id).map(|feed| (feed.epoch, feed.n));
        let behind = |n: u64| n.saturating_add(1);
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get_mut(pending::slot(at)) else {
                break;
            };
            let next = down.next;
            // Who was told before the signature was checked renews its FOLLOW or is told again.
            let was_told =
                down.has(TOLD) && newest == Some((down.held_epoch, behind(down.held_n.get())));
            down.flags &= !TOLD;
            if !was_told {
                down.pushes = 0;
                self.push(now, at, true, env);
            }
            at = next;
        }
        if let Some(entry) = self.pending.get_mut(slot).filter(|entry| entry.has(SENT)) {
            // The renewal tells the upstream that the push came: after those who wait for the news.
            let rested = entry.sent_at.get().saturating_add(FOLLOW_RENEW_MIN_US);
            let earliest = rested.max(now.saturating_add(FOLLOW_RECEIPT_US));
            entry.resend_at = U48::new(entry.resend_at.get().min(earliest));
        }
        self.arm_pushes(slot);
    }

    /// Pushes that no renewal has covered.
    pub(super) fn push_due(&mut self, now: u64, slot: u32, env: &mut E) {
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)) else {
                break;
            };
            let due = down.age_or_push.get() <= now;
            let next = self.pending.after(at);
            if due {
                self.push(now, at, false, env);
            }
            at = next;
        }
        self.arm_pushes(slot);
    }

    pub(super) fn arm_pushes(&mut self, slot: u32) {
        let mut first = u64::MAX;
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)) else {
                break;
            };
            if !down.is_local() {
                first = first.min(down.age_or_push.get());
            }
            at = self.pending.after(at);
        }
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.push_at = U48::new(first);
        }
        self.pending.arm(slot);
    }

    /// Sends a follower the head if it lacks it: with the last entry if that is all it lacks, else
    /// with the consistency proof. A head of the same tree, which says that the feed has ended or when
    /// it goes on, is sent when it is news, and not again: no renewal could tell that it came.
    #[inline(never)]
    fn push(&mut self, now: u64, at: u32, is_news: bool, env: &mut E) {
        let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
            return;
        };
        if down.is_local() {
            return;
        }
        let entry_id = self.pending.id_of(at);
        let feed = entry_id
            .and_then(|id| self.feeds.get(&id))
            .filter(|feed| feed.has(HEADED));
        let held_n = down.held_n.get();
        let held = (down.held_epoch, held_n);
        let refreshes = is_news && feed.is_some_and(|feed| (feed.epoch, feed.n) == held);
        let lacks = refreshes || feed.is_some_and(|feed| (feed.epoch, feed.n) > held);
        let may =
            down.pushes < PUSH_TRIES && down.budget >= PUSH_BYTES_MIN && down.expires.get() > now;
        let mut pushes = down.pushes;
        let mut push_at = u64::MAX;
        let mut used = 0;
        if let Some(feed) = feed.filter(|_| lacks && may) {
            let Some(head) = feed.head() else { return };
            let grant = self
                .feeds
                .grant(&feed.id)
                .filter(|grant| grant.grant.epoch == feed.epoch && down.held_epoch < feed.epoch);
            let (name, epoch, n, hops) =
                (feed.name, feed.epoch, feed.n, feed.hops.saturating_add(1));
            let extends = down.held_epoch == epoch && held_n < n;
            let last = n.saturating_sub(1);
            let mtu = self.ports.mtu(down.port).unwrap_or(0);
            let mtu = mtu.min(down.budget as usize);
            let ask = RangeAsk {
                name,
                epoch,
                n,
                window: last >> WINDOW_HEIGHT,
                bits: 1u32.wrapping_shl((last & 31) as u32),
                leaf_only: false,
                have_page: false,
                mtu,
                is_newest: true,
            };
            let has_last =
                extends && held_n == last && nodes::leaf(env, &name, epoch, last).is_some();
            let of = TreeOf::Feed { name, epoch };
            let cons = extends && held_n > 0 && nodes::can_cons(env, &of, held_n, n);
            let mut script = HeadScript {
                token: Token::from_u64(down.token),
                hops,
                head: Some(&head.bytes),
                grant: grant.as_ref().map(|grant| &grant.bytes),
                entry: has_last.then_some(ask),
                cons: cons.then_some((name, epoch, held_n, n)),
            };
            used = self
                .reply_within(
                    down.port,
                    down.mac,
                    down.has(LIMITED),
                    down.budget,
                    &mut script,
                    env,
                )
                .bytes;
            env.event(Event::Count(Counter::Pushes));
            let pause = self
                .neighbours
                .get(down.port, down.mac)
                .rtt()
                .saturating_mul(2)
                .max(PUSH_PAUSE_MIN_US);
            push_at =
                now.saturating_add(pause.saturating_mul(1u64.wrapping_shl(u32::from(pushes))));
            pushes = if refreshes {
                PUSH_TRIES
            } else {
                pushes.saturating_add(1)
            };
            if pushes >= PUSH_TRIES {
                push_at = u64::MAX;
            }
        }
        if let Some(down) = self.pending.downs.get_mut(pending::slot(at)) {
            down.pushes = pushes;
            down.age_or_push = U48::new(push_at);
            down.budget = if used > 0 && down.has(LIMITED) {
                0
            } else {
                down.budget.saturating_sub(used)
            };
        }
    }

    /// Renews the FOLLOW upstream.
    pub(super) fn renew_follow(&mut self, now: u64, slot: u32, env: &mut E) {
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        let is_own = self
            .feeds
            .get(&entry.id)
            .is_some_and(|feed| feed.has(super::feeds::OWN));
        entry.resend_at = U48::MAX;
        if is_own {
            self.pending.arm(slot);
            return;
        }
        entry.tries = entry.tries.saturating_add(1);
        // Counts the renewals since the last push.
        entry.route_tries = entry.route_tries.wrapping_add(1);
        let is_quiet = entry.route_tries % FOLLOW_PROBE == 0;
        let id = entry.id;
        if self.send_lookup(now, slot, None, env).is_err() {
            self.resend_later(now, slot);
        } else if is_quiet {
            self.probe(now, &id, env);
        }
    }

    /// Asks for the head that is held: no push may mean that nothing was appended, or that the
    /// neighbour has gone. A lookup finds out, and finds another way, which the FOLLOW takes then.
    #[inline(never)]
    fn probe(&mut self, now: u64, id: &DiscoveryId, env: &mut E) {
        let Some(feed) = self.feeds.get(id).filter(|feed| feed.has(HEADED)) else {
            return;
        };
        let down = Down {
            epoch: feed.epoch,
            n: U48::new(feed.n),
            age_or_push: U48::new(ANY_AGE),
            expires: U48::new(now.saturating_add(PROBE_LIFE_US)),
            ..Down::default()
        };
        let _ = self.want_local(now, Want::Head { id: *id }, down, env);
    }
}

/// When the FOLLOW that is sent for the `tries`-th time is sent again, µs from then: it may have
/// been lost, and nobody would say so.
pub(super) fn follow_pause(tries: u8, life: u64) -> u64 {
    let early =
        FOLLOW_FIRST_US.saturating_mul(1u64.wrapping_shl(u32::from(tries.min(6)).wrapping_mul(2)));
    early.min(life >> 1).max(FOLLOW_RENEW_MIN_US)
}
