// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Time: what is due is sent again or given up, a bounded number of entries per call.

use super::env::{Counter, Env, Event, Memory};
use super::limits::{RTO_MIN_US, TIMERS_PER_CALL};
use super::pending::{self, SENT};
use super::u48::U48;
use super::want::What;
use super::Engine;

impl<M: Memory, E: Env> Engine<M, E> {
    /// When [`Engine::on_timer`] wants to be called, µs. Look after every call in.
    pub fn next_deadline(&self) -> Option<u64> {
        self.pending
            .due
            .first()
            .map(|(at, _)| at)
            .filter(|at| *at != u64::MAX)
    }

    /// Does what is due. If more is due than one call does, the next deadline is in the past.
    ///
    /// Context: softirq or BH work, with the engine's lock.
    pub fn on_timer(&mut self, now: u64, env: &mut E) {
        self.now = now;
        for _ in 0..TIMERS_PER_CALL {
            let Some((at, slot)) = self.pending.due.first() else {
                break;
            };
            if at > now {
                break;
            }
            self.entry_due(now, slot, env);
        }
    }

    /// Removes the waiters whose life is over.
    pub(super) fn prune(&mut self, now: u64, slot: u32, env: &mut E) {
        let was_local = self.pending.prune(slot, now, &mut self.ports);
        self.hand_charge_on(slot);
        if let Some(entry) = self.pending.get(slot).filter(|_| was_local) {
            // A program has waited for as long as it wanted to.
            env.wake(&entry.id);
        }
    }

    fn entry_due(&mut self, now: u64, slot: u32, env: &mut E) {
        self.prune(now, slot, env);
        if self.pending.first(slot) == pending::NONE {
            if self
                .pending
                .get(slot)
                .is_some_and(|entry| !entry.is_follow())
            {
                env.event(Event::Count(Counter::TimedOut));
            }
            self.settle(now, slot, env);
            return;
        }
        let Some(entry) = self.pending.get(slot) else {
            self.pending.due.clear(slot);
            return;
        };
        let (resend, push, follows) = (
            entry.resend_at.get() <= now,
            entry.push_at.get() <= now,
            entry.is_follow(),
        );
        if push {
            self.push_due(now, slot, env);
        }
        if resend && follows {
            self.renew_follow(now, slot, env);
        } else if let Some(until) = self.answer_due(now, slot).filter(|_| resend) {
            if let Some(entry) = self.pending.get_mut(slot) {
                entry.resend_at = U48::new(until);
            }
        } else if resend {
            self.resend(now, slot, env);
        }
        if let Some(entry) = self.pending.get_mut(slot) {
            // Whatever happened above, the same entry is not due again in this call.
            if entry.resend_at.get() <= now {
                entry.resend_at = U48::new(now.saturating_add(RTO_MIN_US));
            }
            self.pending.arm(slot);
        }
    }

    /// Until when to wait for an answer that nothing has come of yet, rather than ask again.
    fn answer_due(&self, now: u64, slot: u32) -> Option<u64> {
        let entry = self.pending.get(slot)?;
        let is_data = matches!(entry.what, What::Blob { .. } | What::Range { .. });
        if !is_data || !entry.has(SENT) || entry.got != 0 {
            return None;
        }
        let neighbour = self.neighbours.get(entry.up_port, entry.up.mac()?);
        neighbour.is_busy_until(now, entry.sent_at.get(), entry.tries)
    }
}
