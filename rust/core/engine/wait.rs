// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Lookups that wait: they join what is in flight, and are sent on if they bring something new.

use super::env::{Charge, Counter, Env, Event, Memory, PortId};
use super::lookup::NoWay;
use super::pending::{self, Down, Pending, SENT};
use super::recv::Rx;
use super::transfers::Transfer;
use super::u48::U48;
use super::want::{Press, Want, What};
use super::Engine;
use crate::error::Drop;
use crate::id::BlobName;
use crate::token::Token;
use crate::wire::{Preamble, Reason};

impl<M: Memory, E: Env> Engine<M, E> {
    /// Lets a neighbour's lookup wait, and sends it on if it brings something new.
    pub(super) fn wait_for(
        &mut self,
        now: u64,
        rx: &Rx,
        pre: &Preamble,
        want: Want,
        down: Down,
        env: &mut E,
    ) -> Result<(), Drop> {
        if pre.hop_limit == 0 {
            return self.refuse_lookup(rx, pre, Reason::HopLimit, env);
        }
        let hash = want.hash(&self.config.secret);
        let used = self.nonces.using(pre.nonce, hash, rx.port, rx.mac);
        if self.nonces.is_duplicate(&used, now) {
            return self.refuse_lookup(rx, pre, Reason::DuplicateNonce, env);
        }
        if self
            .routes
            .pick(&pre.id, Some(rx.port), 0, now, &self.ports)
            .is_none()
        {
            return self.refuse_lookup(rx, pre, Reason::NoRoute, env);
        }
        let known = self.find_hashed(&want, hash);
        let slot = match known {
            Some(slot) => slot,
            None => match self.open_entry(want, hash, rx.port, env) {
                Some(slot) => slot,
                None => return self.refuse_lookup(rx, pre, Reason::Busy, env),
            },
        };
        let same = |other: &Down| {
            other.port == down.port && other.mac == down.mac && other.token == down.token
        };
        let again = self.pending.find_down(slot, same);
        if again.is_some_and(|at| {
            self.pending
                .downs
                .get(pending::slot(at))
                .is_some_and(|known| known.nonce == down.nonce)
        }) {
            return Err(Drop::Repeated);
        }
        let is_retry = again.is_some();
        // By what the others demand.
        let press = self.press(slot, &down);
        if let Some(at) = again {
            self.pending.remove_down(at, &mut self.ports);
        }
        match self
            .pending
            .add_down(slot, down, &mut self.ports, self.config.port_quota)
        {
            Ok(orphan) => {
                if let Some(orphan) = orphan {
                    self.settle(now, orphan, env);
                }
            }
            Err(()) => {
                self.settle(now, slot, env);
                return self.refuse_lookup(rx, pre, Reason::Busy, env);
            }
        }
        self.nonces.remember(&used, now);
        let press = known.map(|_| press);
        self.send_if_new(now, slot, press, is_retry, &down, pre.nonce, env)
    }

    #[allow(clippy::too_many_arguments)]
    fn send_if_new(
        &mut self,
        now: u64,
        slot: u32,
        merged: Option<Press>,
        is_retry: bool,
        down: &Down,
        nonce: u32,
        env: &mut E,
    ) -> Result<(), Drop> {
        let before = self.pending.get(slot).map_or(0, |entry| entry.hop_limit);
        self.prune(now, slot, env);
        let rested = self.is_rested(now, slot);
        let Some(entry) = self.pending.get(slot) else {
            return Ok(());
        };
        if let Some(press) = merged {
            env.event(Event::Count(Counter::Merged));
            let new_bits = match entry.what {
                What::Range { .. } => down.bits & !entry.asked & !entry.got != 0,
                _ => false,
            };
            // A retry says that something was lost, here or further on; more hops may reach further.
            let again = is_retry || down.hop_limit > before || press == Press::Laxer;
            let resend = new_bits || press == Press::Stricter || (rested && again);
            if !resend || (!entry.has(SENT) && !new_bits) {
                self.pending.arm(slot);
                return Ok(());
            }
        }
        let press = merged.unwrap_or(Press::Same);
        match self.send_pressed(now, slot, press, Some(nonce), env) {
            Ok(()) => {}
            Err(NoWay::NoHead) => self.await_head(now, slot, true, env),
            Err(NoWay::NoRoute) => {
                let at = self.pending.find_down(slot, |other| {
                    other.token == down.token && other.port == down.port
                });
                if let Some(at) = at {
                    self.pending.remove_down(at, &mut self.ports);
                }
                self.refuse(
                    down.port,
                    down.mac,
                    Token::from_u64(down.token),
                    Reason::NoRoute,
                    env,
                );
                self.settle(now, slot, env);
            }
        }
        Ok(())
    }

    /// What a new waiter of a head means for the lookup in flight.
    pub(super) fn press(&self, slot: u32, down: &Down) -> Press {
        match self.pending.get(slot) {
            Some(entry) if entry.what == What::Head => {
                self.pending.demands(slot).pressed_by(&down.demand())
            }
            _ => Press::Same,
        }
    }

    /// Whether the last send was so long ago that a merged lookup may go out.
    pub(super) fn is_rested(&self, now: u64, slot: u32) -> bool {
        let Some(entry) = self.pending.get(slot) else {
            return false;
        };
        let mac = entry.up.mac().unwrap_or_default();
        let pause = self.neighbours.get(entry.up_port, mac).suppression();
        now.saturating_sub(entry.sent_at.get()) >= pause
    }

    /// Sends a lookup for the sake of a new waiter. A stricter one is asked for out of turn: who
    /// comes with ever stricter demands must not keep the turn of the others from coming.
    pub(super) fn send_pressed(
        &mut self,
        now: u64,
        slot: u32,
        press: Press,
        passed_on: Option<u32>,
        env: &mut E,
    ) -> Result<(), NoWay> {
        let Some(entry) = self.pending.get_mut(slot) else {
            return Err(NoWay::NoRoute);
        };
        let (turn, resend_at) = (entry.turn, entry.resend_at);
        match press {
            Press::Same => {}
            Press::Stricter => entry.turn = 0,
            Press::Laxer => entry.turn = 1,
        }
        let sent = self.send_lookup(now, slot, passed_on, env);
        if press == Press::Stricter {
            if let Some(entry) = self.pending.get_mut(slot) {
                entry.turn = turn;
                entry.resend_at = U48::new(entry.resend_at.get().min(resend_at.get()));
            }
            self.pending.arm(slot);
        }
        sent
    }

    /// Whether `port` may have one more entry, and with it one more blob window in flight.
    fn has_room(&self, port: PortId, window: bool) -> (bool, bool) {
        let entries = &self.pending.entries;
        let places = entries.capacity();
        let entry = entries.len() < places && self.ports.may_take(port, places, |p| p.entries);
        let table = &self.transfers.table;
        let places = table.capacity();
        let transfer =
            !window || (table.len() < places && self.ports.may_take(port, places, |p| p.windows));
        (entry, transfer)
    }

    /// Makes room for one more entry of a neighbour's: at its limits a port gives up its own oldest
    /// ones, of the same kind if there are any. False: it has none to give.
    #[inline(never)]
    fn make_room(&mut self, want: &Want, port: PortId, env: &mut E) -> bool {
        let follows = matches!(want, Want::Follow { .. });
        for _ in 0..self.pending.downs.capacity() {
            let (entry, transfer) = self.has_room(port, want.is_blob());
            if entry && transfer {
                return true;
            }
            let Some(from) = self.ports.get(port).map(|port| port.oldest) else {
                return false;
            };
            let pays = |entry: &Pending| entry.payer == port && (transfer || entry.is_blob());
            let same = |down: &Down, entry: &Pending| pays(entry) && down.is_follower() == follows;
            let any = |_: &Down, entry: &Pending| pays(entry);
            let oldest = self.pending.oldest(from, same);
            let Some(at) = oldest.or_else(|| self.pending.oldest(from, any)) else {
                return false;
            };
            if let Some(entry) = self.pending.remove_down(at, &mut self.ports) {
                self.settle(self.now, entry, env);
            }
        }
        false
    }

    /// The first of those who wait has changed: it pays from now on.
    pub(super) fn hand_charge_on(&mut self, slot: u32) {
        let payer = self.payer(slot);
        let Some(entry) = self.pending.get_mut(slot) else {
            return;
        };
        if entry.first == pending::NONE || entry.payer == payer {
            return;
        }
        let window = entry.is_blob();
        self.ports.discharge(entry.payer, window);
        self.ports.charge(payer, window);
        entry.payer = payer;
    }

    /// A new entry for what has this hash, for blobs with the transfer that its bytes go to. `None` when
    /// there is no room.
    pub(super) fn open_entry(
        &mut self,
        want: Want,
        hash: u32,
        charge_to: PortId,
        env: &mut E,
    ) -> Option<u32> {
        if charge_to != PortId::LOCAL && !self.make_room(&want, charge_to, env) {
            return None;
        }
        let slot = self.pending.insert(want, hash)?;
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.payer = charge_to;
        }
        self.ports.charge(charge_to, want.is_blob());
        let Want::Blob { id, blob, window } = want else {
            return Some(slot);
        };
        let public = self.feeds.get(&id).is_some_and(|feed| feed.is_public());
        let transfer = match self.transfers.find(&blob, window) {
            Some(transfer) => Some(transfer),
            None => self.open_transfer(
                blob,
                window,
                Charge {
                    port: charge_to,
                    public,
                },
                env,
            ),
        };
        let Some(index) = transfer else {
            self.pending.remove(slot);
            self.ports.discharge(charge_to, true);
            return None;
        };
        if let Some(transfer) = self.transfers.table.get_mut(index) {
            transfer.entries = transfer.entries.saturating_add(1);
            transfer.public |= public;
        }
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.part = pending::link(index);
        }
        Some(slot)
    }

    fn open_transfer(
        &mut self,
        blob: BlobName,
        window: u16,
        charge: Charge,
        env: &mut E,
    ) -> Option<u32> {
        let mut transfer = Transfer::new(blob, window);
        transfer.extent = Some(env.blob_reserve(&blob, window, transfer.len, charge).ok()?);
        self.transfers.insert(transfer)
    }
}
