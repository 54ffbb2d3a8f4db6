// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Lookups out: which way, with which nonce, what is asked for; and what a refusal does.

use super::env::{Counter, Dest, Env, Event, Mac, Memory, PortId};
use super::feeds::HEADED;
use super::follow::follow_pause;
use super::limits::{GAP_MIN_US, LIFE_MAX_US, ROUTE_TRIES, RTO_MAX_US};
use super::nodes;
use super::pending::{
    self, Way, ASKED_LAX, GROUP, NO_PAYLOADS, NO_SAMPLE, REFUSED_LATE, RETRIED_NONCE, SENT,
};
use super::recv::Rx;
use super::routes::{self, Pick};
use super::u48::U48;
use super::want::{Press, Want, What};
use super::Engine;
use crate::blob;
use crate::error::Drop;
use crate::object::TreeOf;
use crate::token::{Binding, Token, MAC_GROUP};
use crate::verify::Demand;
use crate::wire::{
    Follow, FrameBuilder, FrameHeader, LookupBlob, LookupCons, LookupHead, LookupRange, Preamble,
    Reason, Refusal, ANY_AGE, WINDOW,
};

/// Why a lookup could not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoWay {
    /// No route, or only by the port that asks.
    NoRoute,
    /// The head that the proof would refer to is not held yet.
    NoHead,
}

/// Bytes of pushes that a FOLLOW of ours grants until its renewal.
const FOLLOW_GRANT_BYTES: u32 = 1 << 20;

/// First wait for a head that a range needs, µs; doubled each time.
const HEAD_WAIT_US: u64 = 5_000;

/// So often a busy neighbour is asked again before its way counts as a dead one.
const BUSY_TRIES: u8 = 8;

impl<M: Memory, E: Env> Engine<M, E> {
    /// The port that the entry must not be sent by: the one that all who wait ask from.
    fn not_by(&self, slot: u32) -> Option<PortId> {
        let first = self
            .pending
            .downs
            .get(pending::slot(self.pending.first(slot)))?;
        let other = self.pending.find_down(slot, |down| down.port != first.port);
        (other.is_none() && !first.is_local()).then_some(first.port)
    }

    /// Sends an entry's lookup by its present route, or by the best one if it has none.
    /// `passed_on` is the nonce of a neighbour's lookup, remembered as its; without it one of our own
    /// is drawn.
    pub(super) fn send_lookup(
        &mut self,
        now: u64,
        slot: u32,
        passed_on: Option<u32>,
        env: &mut E,
    ) -> Result<(), NoWay> {
        let want = self.want_of(slot).ok_or(NoWay::NoRoute)?;
        let entry = self.pending.get(slot).ok_or(NoWay::NoRoute)?;
        let (sent, route, tried, tries, group) = (
            entry.has(SENT),
            entry.route,
            entry.tried,
            entry.tries,
            entry.route_tries >= ROUTE_TRIES,
        );
        let follows = matches!(want, Want::Follow { .. });
        let not = self.not_by(slot);
        // A FOLLOW has no answer that would tell: it leaves the ways that lookups found dead.
        let is_dead = follows && self.routes.is_demoted(route, now);
        let pick = match self.pick_again(sent && !is_dead, route, slot, not) {
            Some(pick) if tried & routes::bit(pick.index) == 0 => pick,
            _ => self
                .routes
                .pick(want.id(), not, tried, now, &self.ports)
                .ok_or(NoWay::NoRoute)?,
        };
        let learned = self
            .feeds
            .get(want.id())
            .filter(|feed| feed.via_port == pick.port && (follows || !group))
            .map(|feed| feed.via_mac);
        let mac = pick.mac.or(learned);
        let nonce = passed_on.unwrap_or_else(|| env.random() as u32);
        let dest = Dest {
            port: pick.port,
            mac,
        };
        if !self.emit_lookup(now, slot, dest, nonce, env)? {
            return Err(NoWay::NoRoute);
        }
        if passed_on.is_none() {
            let hash = want.hash(&self.config.secret);
            let used = self
                .nonces
                .using(nonce, hash, PortId::LOCAL, Mac::default());
            self.nonces.remember(&used, now);
        }
        let neighbour = self.neighbours.get(pick.port, mac.unwrap_or_default());
        let Some(entry) = self.pending.get_mut(slot) else {
            return Err(NoWay::NoRoute);
        };
        let up = Way::to(mac);
        let same_way = entry.has(SENT) && entry.up_port == pick.port && entry.up == up;
        // Asked for again before anything came: the time-out was too short, or something was lost. Asked for
        // more, or another way: nobody knows what an answer is to.
        let no_sample = if same_way {
            tries == 0 || entry.has(NO_SAMPLE)
        } else {
            tries > 0
        };
        entry.mark(NO_SAMPLE, no_sample);
        entry.mark(SENT, true);
        entry.up_port = pick.port;
        entry.up = up;
        entry.route = pick.index;
        if mac.is_none() {
            entry.mark(GROUP, true);
        }
        entry.nonce = nonce;
        entry.sent_at = U48::new(now);
        let life = entry.expires.get().saturating_sub(now).min(LIFE_MAX_US);
        let pause = if follows {
            follow_pause(tries, life)
        } else {
            neighbour.rto(tries)
        };
        entry.resend_at = U48::new(now.saturating_add(pause));
        self.pending.arm(slot);
        env.event(Event::Count(Counter::LookupsOut));
        Ok(())
    }

    /// The route that the entry used last, if it can be used still.
    fn pick_again(&self, sent: bool, index: u32, slot: u32, not: Option<PortId>) -> Option<Pick> {
        let route = self.routes.at(index).filter(|_| sent)?;
        let mine = route.feed.is_none()
            || route.feed.as_ref() == self.pending.get(slot).map(|entry| &entry.id);
        let usable = mine && Some(route.port) != not && self.ports.mtu(route.port).is_some();
        usable.then_some(Pick {
            index,
            port: route.port,
            mac: route.mac,
            demoted: false,
        })
    }

    /// Builds and sends the frame. `Ok(false)` if the port is gone.
    fn emit_lookup(
        &mut self,
        now: u64,
        slot: u32,
        dest: Dest,
        nonce: u32,
        env: &mut E,
    ) -> Result<bool, NoWay> {
        let mut asks = self.ask(slot, env)?;
        let Some(entry) = self.pending.get(slot) else {
            return Ok(false);
        };
        let life = entry.expires.get().saturating_sub(now).min(LIFE_MAX_US) / 1000;
        let id = entry.id;
        let binding = Binding {
            port: dest.port.0,
            mac: dest.mac.map_or(MAC_GROUP, |mac| mac.0),
            id: &id.0,
        };
        let pre = Preamble {
            nonce,
            token: Token::new(
                &self.config.secret,
                &binding,
                self.config.slots_before().wrapping_add(slot),
                self.pending.entries.generation(slot),
            ),
            life_ms: u32::try_from(life).unwrap_or(0).max(1),
            hop_limit: entry.hop_limit,
            id,
        };
        let cookie_echo = dest
            .mac
            .map_or(0, |mac| self.neighbours.get(dest.port, mac).cookie);
        let Some(mtu) = self.ports.mtu(dest.port) else {
            return Ok(false);
        };
        let Some(mut frame) = FrameBuilder::new(&mut self.scratch, mtu) else {
            return Ok(false);
        };
        let fits = match &mut asks {
            Ask::Head(m) => LookupHead { pre, ..*m }.emit(&mut frame),
            Ask::Range(m) => LookupRange { pre, ..*m }.emit(&mut frame),
            Ask::Cons(m) => LookupCons { pre, ..*m }.emit(&mut frame),
            Ask::Blob(m) => LookupBlob { pre, ..*m }.emit(&mut frame),
            Ask::Follow(m) => Follow { pre, ..*m }.emit(&mut frame),
        };
        let built = frame.finish(&FrameHeader {
            limited: false,
            cookie_echo,
            cookie_give: 0,
        });
        let linear = self.scratch.get(..built.linear).unwrap_or(&[]);
        Ok(fits && env.send(dest, linear, None))
    }

    /// What the entry still needs, with an empty preamble.
    fn ask(&mut self, slot: u32, env: &mut E) -> Result<Ask, NoWay> {
        let entry = self.pending.get(slot).ok_or(NoWay::NoRoute)?;
        let pre = EMPTY_PREAMBLE;
        let held = self
            .feeds
            .get(&entry.id)
            .map_or((0, 0), |feed| (feed.epoch, feed.n));
        Ok(match entry.what {
            What::Head => {
                let lax = entry.turn & 1 == 1;
                let demand = self.demand_at(slot, lax).ok_or(NoWay::NoRoute)?;
                if let Some(entry) = self.pending.get_mut(slot) {
                    entry.turn = entry.turn.wrapping_add(1);
                    entry.mark(ASKED_LAX, lax);
                }
                Ask::Head(LookupHead {
                    pre,
                    at_least_epoch: demand.epoch,
                    at_least_n: demand.n,
                    held_epoch: held.0,
                    held_n: held.1,
                    max_age_ms: demand.max_age_ms,
                })
            }
            What::Follow => Ask::Follow(Follow {
                pre,
                epoch: held.0,
                n: held.1,
                grant_bytes: FOLLOW_GRANT_BYTES,
            }),
            What::Cons { epoch, m, n } => Ask::Cons(LookupCons {
                pre,
                epoch,
                m: m.get(),
                n: n.get(),
            }),
            What::Range { epoch, window } => {
                let window = window.get();
                let (bits, leaf_only, stash) =
                    (entry.bits & !entry.got, entry.has(NO_PAYLOADS), entry.part);
                let feed = self
                    .feeds
                    .get(&entry.id)
                    .filter(|feed| feed.has(HEADED) && feed.epoch == epoch);
                let (name, n) = feed.map(|feed| (feed.name, feed.n)).ok_or(NoWay::NoHead)?;
                let first = window.saturating_mul(u64::from(WINDOW));
                let here = n.saturating_sub(first).min(32) as u32;
                let bits = bits
                    & u32::MAX
                        .checked_shr(32u32.saturating_sub(here))
                        .unwrap_or(0);
                let top = 63u32.saturating_sub(bits.leading_zeros().saturating_add(32));
                if bits == 0
                    || window
                        .saturating_mul(u64::from(WINDOW))
                        .saturating_add(u64::from(top))
                        >= n
                {
                    return Err(NoWay::NoHead);
                }
                let of = TreeOf::Feed { name, epoch };
                let stashed = self
                    .held
                    .get(pending::slot(stash))
                    .is_some_and(|held| held.n == n && held.has_path);
                let have_path = stashed || nodes::has_path(env, &of, n, window);
                let have_page = have_path && !stashed && nodes::has_page(env, &of, n, window);
                if let Some(entry) = self.pending.get_mut(slot) {
                    entry.asked = bits;
                }
                Ask::Range(LookupRange {
                    pre,
                    leaf_only,
                    epoch,
                    want: bits,
                    n,
                    window,
                    have_path,
                    have_page,
                })
            }
            What::Blob => {
                let transfer = self
                    .transfers
                    .table
                    .get(pending::slot(entry.part))
                    .ok_or(NoWay::NoRoute)?;
                let (blob, window) = (transfer.blob, transfer.window);
                let missing = transfer.missing();
                let want = if missing == 0 { 1 } else { missing };
                let one_window = blob::window_count(blob.len) == 1;
                let ask = LookupBlob {
                    pre,
                    chunk_mode: transfer.chunk_mode,
                    blob,
                    window,
                    have_path: one_window || transfer.path_len > 0,
                    have_page: transfer.page != pending::NONE,
                    want,
                };
                if let Some(entry) = self.pending.get_mut(slot) {
                    entry.asked = want;
                }
                Ask::Blob(ask)
            }
        })
    }

    /// What a head's entry asks for: the strictest demand of its waiters, or the laxest.
    fn demand_at(&self, slot: u32, lax: bool) -> Option<Demand> {
        let entry = self.pending.get(slot)?;
        let feed = self.feeds.get(&entry.id);
        let demands = self.pending.demands(slot);
        let mut demand = if lax { demands.lax } else { demands.strict };
        let held = feed.filter(|feed| lax && feed.has(HEADED) && demand.max_age_ms == ANY_AGE);
        if let Some(feed) = held {
            // Nobody waits for the head that is here.
            let newer = (feed.epoch, feed.n.saturating_add(1));
            (demand.epoch, demand.n) = (demand.epoch, demand.n).max(newer);
        }
        // A head of an epoch that a grant has ended would be dropped.
        let granted = feed.map_or(0, |feed| feed.granted_epoch());
        (demand.epoch, demand.n) = (demand.epoch, demand.n).max((granted, 0));
        Some(demand)
    }

    /// Sends the entry's lookup again because nothing, or not all, came in time.
    pub(super) fn resend(&mut self, now: u64, slot: u32, env: &mut E) {
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        let fresh = entry.has(SENT);
        if fresh {
            entry.tries = entry.tries.saturating_add(1);
            entry.route_tries = entry.route_tries.saturating_add(1);
            entry.nonce = 0;
            env.event(Event::Count(Counter::Resent));
            if entry.route_tries > ROUTE_TRIES {
                self.next_route(now, slot, env);
            }
        }
        match self.send_lookup(now, slot, None, env) {
            Ok(()) => {}
            Err(NoWay::NoRoute) => self.resend_later(now, slot),
            Err(NoWay::NoHead) => self.await_head(now, slot, fresh, env),
        }
    }

    /// Lets go of a silent or refusing route if there is another to try.
    fn next_route(&mut self, now: u64, slot: u32, env: &mut E) {
        let not = self.not_by(slot);
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        let id = entry.id;
        entry.tried |= routes::bit(entry.route);
        entry.route_tries = 0;
        let (route, tried, port, mac) = (entry.route, entry.tried, entry.up_port, entry.up.mac());
        if let Some(feed) = self
            .feeds
            .get_mut(&id)
            .filter(|feed| feed.via_port == port && Some(feed.via_mac) == mac)
        {
            feed.via_port = PortId::LOCAL;
        }
        self.routes.demote(route, now);
        env.event(Event::Count(Counter::Demoted));
        if self
            .routes
            .pick(&id, not, tried, now, &self.ports)
            .is_none()
        {
            // All were tried: begin again with the best.
            if let Some(entry) = self.pending.get_mut(slot) {
                entry.tried = 0;
                entry.mark(SENT, false);
            }
        }
    }

    /// Waits a while with an entry that cannot leave now.
    pub(super) fn resend_later(&mut self, now: u64, slot: u32) {
        if let Some(entry) = self.pending.get_mut(slot) {
            let follows = entry.is_follow();
            entry.tries = if follows {
                0
            } else {
                entry.tries.saturating_add(1)
            };
            entry.mark(SENT, false);
            entry.tried = 0;
            let pause = if follows { RTO_MAX_US } else { RTO_MAX_US >> 2 };
            entry.resend_at = U48::new(now.saturating_add(pause));
        }
        self.pending.arm(slot);
    }

    /// A range that needs a newer head than the one held waits until it has come.
    pub(super) fn await_head(&mut self, now: u64, slot: u32, first: bool, env: &mut E) {
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        let What::Range { .. } = entry.what else {
            return;
        };
        let id = entry.id;
        entry.tries = if first {
            0
        } else {
            entry.tries.saturating_add(1)
        };
        entry.mark(SENT, false);
        let wait = HEAD_WAIT_US.saturating_mul(1u64.wrapping_shl(u32::from(entry.tries.min(8))));
        entry.resend_at = U48::new(now.saturating_add(wait.min(RTO_MAX_US)));
        let (expires, hop_limit) = (entry.expires.get(), entry.hop_limit);
        self.pending.arm(slot);
        self.seek_head(now, &id, expires, hop_limit, env);
    }

    /// Asks again soon, by another way if there is one: what came was wrong.
    pub(super) fn hasten(&mut self, slot: u32, now: u64) {
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.route_tries = ROUTE_TRIES;
            // A neighbour that lies all the time is asked ever more rarely.
            entry.resend_at = U48::new(now.saturating_add(ever_longer(entry.tries)));
        }
        self.pending.arm(slot);
    }

    /// Asks again soon by the same way: who has no room now will have some.
    fn pause(&mut self, slot: u32, now: u64) {
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.route_tries = 0;
            entry.resend_at = U48::new(now.saturating_add(ever_longer(entry.tries)));
        }
        self.pending.arm(slot);
    }

    /// A refusal with a valid token.
    #[inline(never)]
    pub(super) fn take_refusal(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        m: &Refusal,
        env: &mut E,
    ) -> Result<(), Drop> {
        env.event(Event::Count(Counter::RefusalsIn));
        let entry = self.pending.get_mut(slot).ok_or(Drop::Unsolicited)?;
        let Some(up) = entry.up.mac() else {
            // Others on the port may still have it: the time-out decides.
            return Ok(());
        };
        if entry.up_port != rx.port || up != rx.mac || !entry.has(SENT) {
            return Err(Drop::Stale);
        }
        if m.reason == Reason::DuplicateNonce && !entry.has(RETRIED_NONCE) {
            entry.mark(RETRIED_NONCE, true);
            let _ = self.send_lookup(now, slot, None, env);
            return Ok(());
        }
        if m.reason == Reason::Busy && entry.tries < BUSY_TRIES {
            let (id, tried) = (entry.id, entry.tried | routes::bit(entry.route));
            let not = self.not_by(slot);
            let other = self.routes.pick(&id, not, tried, now, &self.ports);
            if other.is_none() {
                self.pause(slot, now);
                return Ok(());
            }
        }
        let entry = self.pending.get_mut(slot).ok_or(Drop::Unsolicited)?;
        if entry.what == What::Head
            && !entry.has(ASKED_LAX)
            && self.demand_at(slot, true) != self.demand_at(slot, false)
        {
            // What was refused is not what all of them wait for.
            if self
                .send_pressed(now, slot, Press::Laxer, None, env)
                .is_ok()
            {
                return Ok(());
            }
        }
        let entry = self.pending.get_mut(slot).ok_or(Drop::Unsolicited)?;
        if m.reason != Reason::NoRoute {
            entry.mark(REFUSED_LATE, true);
        }
        let was_learned = self
            .routes
            .at(entry.route)
            .is_some_and(|route| route.mac.is_none());
        if was_learned && entry.route_tries < ROUTE_TRIES {
            // The neighbour was only remembered: ask the whole port once more.
            entry.route_tries = ROUTE_TRIES;
            if self.send_lookup(now, slot, None, env).is_ok() {
                return Ok(());
            }
        }
        let Some(entry) = self.pending.get_mut(slot) else {
            return Ok(());
        };
        let reason = if entry.has(REFUSED_LATE) {
            Reason::TimedOut
        } else {
            Reason::NoRoute
        };
        self.next_route(now, slot, env);
        let all_tried = self.pending.get(slot).is_some_and(|entry| !entry.has(SENT));
        if all_tried || self.send_lookup(now, slot, None, env).is_err() {
            self.refuse_all(slot, reason, env);
            self.resend_later(now, slot);
            self.settle(now, slot, env);
        }
        Ok(())
    }

    /// Refuses every neighbour that waits; local readers wait on.
    fn refuse_all(&mut self, slot: u32, reason: Reason, env: &mut E) {
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
                break;
            };
            let next = self.pending.after(at);
            if !down.is_local() {
                self.refuse(
                    down.port,
                    down.mac,
                    Token::from_u64(down.token),
                    reason,
                    env,
                );
                self.pending.remove_down(at, &mut self.ports);
            }
            at = next;
        }
    }
}

/// A pause that doubles with each try.
fn ever_longer(tries: u8) -> u64 {
    let pause = GAP_MIN_US.saturating_mul(1u64.wrapping_shl(u32::from(tries.min(10))));
    pause.min(RTO_MAX_US)
}

/// A lookup without its preamble.
enum Ask {
    Head(LookupHead),
    Range(LookupRange),
    Cons(LookupCons),
    Blob(LookupBlob),
    Follow(Follow),
}

const EMPTY_PREAMBLE: Preamble = Preamble {
    nonce: 0,
    token: Token {
        slot: 0,
        generation: 0,
        tag: 0,
    },
    life_ms: 0,
    hop_limit: 0,
    id: crate::id::DiscoveryId([0; 32]),
};
