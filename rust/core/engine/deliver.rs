// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Who waits gets what has come: from the store, one hop further than it came.

use super::env::{Env, Memory};
use super::feeds::HEADED;
use super::pending::{self, Down, HAVE_PAGE, HAVE_PATH, LIMITED};
use super::want::What;
use super::Engine;
use crate::id::DiscoveryId;

impl<M: Memory, E: Env> Engine<M, E> {
    /// Answers the waiters of an entry as far as that is possible now.
    #[inline(never)]
    pub(super) fn deliver(&mut self, now: u64, slot: u32, env: &mut E) {
        let Some(entry) = self.pending.get(slot) else {
            return;
        };
        let (id, what) = (entry.id, entry.what);
        let hops = entry.hops.saturating_add(1);
        match what {
            What::Head => self.deliver_head(slot, &id, env),
            What::Cons { epoch, m, n } => {
                self.deliver_cons(slot, &id, (epoch, m.get(), n.get()), hops, env)
            }
            What::Range { epoch, window } => {
                self.deliver_range(slot, &id, epoch, window.get(), hops, env)
            }
            // Windows are delivered when they are complete, pushes when a head is adopted.
            What::Blob | What::Follow => return,
        }
        self.settle(now, slot, env);
    }

    /// Drops an entry for which nobody waits any more.
    #[inline(never)]
    pub(super) fn settle(&mut self, now: u64, slot: u32, env: &mut E) {
        self.prune(now, slot, env);
        if self.pending.first(slot) != pending::NONE {
            self.pending.arm(slot);
            return;
        }
        let Some(entry) = self.pending.remove(slot) else {
            return;
        };
        self.ports.discharge(entry.payer, entry.is_blob());
        if entry.part != pending::NONE {
            let part = pending::slot(entry.part);
            if entry.is_blob() {
                self.leave_transfer(part);
            } else {
                self.held.release(part);
            }
        }
        if let What::Cons { epoch, m, n } = entry.what {
            self.forget_waiting_head(&entry.id, epoch, (m.get(), n.get()));
        }
        let _ = env;
    }

    fn leave_transfer(&mut self, index: u32) {
        let Some(transfer) = self.transfers.table.get_mut(index) else {
            return;
        };
        transfer.entries = transfer.entries.saturating_sub(1);
        if transfer.entries > 0 {
            return;
        }
        let page = transfer.page;
        self.transfers.table.remove(index);
        if page != pending::NONE {
            self.held.release(pending::slot(page));
        }
    }

    #[inline(never)]
    fn deliver_head(&mut self, slot: u32, id: &DiscoveryId, env: &mut E) {
        let Some(feed) = self.feeds.get(id).filter(|feed| feed.has(HEADED)) else {
            return;
        };
        let Some(head) = feed.head() else { return };
        let hops = feed.hops.saturating_add(1);
        let wall = env.wall_ms();
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
                break;
            };
            let next = self.pending.after(at);
            if down.demand().is_met(&head.head, wall) {
                if !down.is_local() {
                    self.reply_head(&down, hops, id, env);
                }
                self.pending.remove_down(at, &mut self.ports);
            }
            at = next;
        }
    }

    #[inline(never)]
    fn deliver_cons(
        &mut self,
        slot: u32,
        id: &DiscoveryId,
        what: (u32, u64, u64),
        hops: u8,
        env: &mut E,
    ) {
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
                break;
            };
            let next = self.pending.after(at);
            if !down.is_local() && self.reply_cons(&down, hops, id, what, env) {
                self.pending.remove_down(at, &mut self.ports);
            }
            at = next;
        }
    }

    #[inline(never)]
    fn deliver_range(
        &mut self,
        slot: u32,
        id: &DiscoveryId,
        epoch: u32,
        window: u64,
        hops: u8,
        env: &mut E,
    ) {
        let Some(got) = self.pending.get(slot).map(|entry| entry.got) else {
            return;
        };
        let mut woken = false;
        let mut unproved = 0;
        let mut at = self.pending.first(slot);
        for _ in 0..self.pending.downs.capacity() {
            let Some(mut down) = self.pending.downs.get(pending::slot(at)).copied() else {
                break;
            };
            let next = self.pending.after(at);
            let ready = down.bits & got;
            if ready != 0 {
                let done = if down.is_local() {
                    ready
                } else {
                    self.hand_on(&mut down, hops, id, epoch, window, ready, env)
                };
                woken |= down.is_local();
                unproved |= ready & !done;
                if down.bits & !done == 0 || done == u32::MAX {
                    self.pending.remove_down(at, &mut self.ports);
                } else if let Some(known) = self.pending.downs.get_mut(pending::slot(at)) {
                    known.bits &= !done;
                    known.flags |= down.flags & (HAVE_PATH | HAVE_PAGE);
                }
            }
            at = next;
        }
        if let Some(entry) = self.pending.get_mut(slot) {
            // The store took the leaf but not all of its proof: it is asked for again.
            entry.got &= !unproved;
        }
        if woken {
            env.wake(id);
        }
    }

    /// Hands entries on to one neighbour; `u32::MAX` says that it is to get no more.
    #[allow(clippy::too_many_arguments)]
    fn hand_on(
        &mut self,
        down: &mut Down,
        hops: u8,
        id: &DiscoveryId,
        epoch: u32,
        window: u64,
        bits: u32,
        env: &mut E,
    ) -> u32 {
        let (served, _) = self.reply_range(down, hops, id, epoch, window, bits, env);
        if down.has(LIMITED) && served != 0 {
            u32::MAX
        } else {
            served
        }
    }

    /// A window was published: answers all who wait for it, under whatever hint.
    #[inline(never)]
    pub(super) fn deliver_window(
        &mut self,
        now: u64,
        blob: &crate::id::BlobName,
        window: u16,
        hops: u8,
        env: &mut E,
    ) {
        for _ in 0..self.pending.entries.capacity() {
            let Some((slot, _)) = self.find_window(blob, window) else {
                break;
            };
            let id = self
                .pending
                .get(slot)
                .map(|entry| entry.id)
                .unwrap_or_default();
            let mut local = false;
            for _ in 0..self.pending.downs.capacity() {
                let at = self.pending.first(slot);
                let Some(down) = self.pending.downs.get(pending::slot(at)).copied() else {
                    break;
                };
                if down.is_local() {
                    local = true;
                } else {
                    self.reply_blob(&down, hops.saturating_add(1), blob, window, env);
                }
                self.pending.remove_down(at, &mut self.ports);
            }
            self.settle(now, slot, env);
            if local {
                env.wake(&id);
            }
        }
    }
}
