// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What is known of each neighbour: its cookie for us, its round-trip time, its manners.

use super::env::{Mac, Memory, PortId};
use super::limits::{PENALTY_US, PORTS_MAX, RTO_FIRST_US, RTO_MAX_US, RTO_MIN_US, SUPPRESS_MIN_US};
use super::slab::Table;
use crate::siphash::{siphash13, SipKey};
use core::cell::Cell;

/// One neighbour.
#[derive(Clone, Copy, Default)]
pub(super) struct Neighbour {
    pub port: PortId,
    pub mac: Mac,
    /// What it gave us to echo, 0 for none.
    pub cookie: u64,
    /// Smoothed round-trip time, µs; 0 before the first sample.
    srtt: u32,
    rttvar: u32,
    /// How often the time-out was doubled, because nobody could say which send answers were to.
    backoff: u8,
    /// When it last answered, µs.
    heard_at: u64,
    /// When the newest of all that it has answered was asked, µs.
    newest: u64,
    /// Until when a bad signature or hash counts against it, µs.
    penalty_until: u64,
    /// Until when its UNCHECKED heads are not taken: one of them was bad, µs.
    distrust_until: u64,
    used: bool,
}

/// Doubled so often a time-out is at its largest.
const BACKOFF_MAX: u8 = 7;

impl Neighbour {
    /// Takes a sample as RFC 6298 says.
    pub(super) fn sample(&mut self, rtt_us: u64) {
        let rtt = u32::try_from(rtt_us)
            .unwrap_or(u32::MAX)
            .min(RTO_MAX_US as u32)
            .max(1);
        self.backoff = 0;
        if self.srtt == 0 {
            self.srtt = rtt;
            self.rttvar = rtt >> 1;
            return;
        }
        let off = self.srtt.abs_diff(rtt);
        self.rttvar = self
            .rttvar
            .wrapping_sub(self.rttvar >> 2)
            .wrapping_add(off >> 2);
        self.srtt = self
            .srtt
            .wrapping_sub(self.srtt >> 3)
            .wrapping_add(rtt >> 3);
    }

    /// An answer came to what was asked at `sent_at`.
    pub(super) fn heard(&mut self, now: u64, sent_at: u64) {
        self.heard_at = now;
        self.newest = self.newest.max(sent_at);
    }

    /// Until when to wait for an answer to what was asked at `sent_at`, if there is reason to: the neighbour
    /// is still answering what was asked before, on a link that takes its time. Frames do not overtake
    /// each other often: what is asked later and answered sooner is the sign of a loss (as RACK takes
    /// it, RFC 8985).
    pub(super) fn is_busy_until(&self, now: u64, sent_at: u64, tries: u8) -> Option<u64> {
        let until = self.heard_at.saturating_add(self.rto(tries));
        (self.newest <= sent_at && until > now).then_some(until)
    }

    /// An answer came to something that was asked for more than once: it does not say how long answers
    /// take, and if that is longer than thought, all would be asked for twice and none ever say so. The
    /// time-out is longer until one does (RFC 6298, 5.7; Karn).
    pub(super) fn answered_late(&mut self) {
        self.backoff = self.backoff.saturating_add(1).min(BACKOFF_MAX);
    }

    /// The retransmission time-out after `tries` unanswered sends, µs.
    pub(super) fn rto(&self, tries: u8) -> u64 {
        let first = if self.srtt == 0 {
            RTO_FIRST_US
        } else {
            u64::from(self.srtt)
                .saturating_add(u64::from(self.rttvar).saturating_mul(4))
                .max(RTO_MIN_US)
        };
        first
            .saturating_mul(
                1u64.wrapping_shl(u32::from(tries.saturating_add(self.backoff).min(16))),
            )
            .min(RTO_MAX_US)
    }

    /// The smoothed round-trip time, µs, or the guess before the first sample.
    pub(super) fn rtt(&self) -> u64 {
        if self.srtt == 0 {
            RTO_FIRST_US >> 1
        } else {
            u64::from(self.srtt)
        }
    }

    /// How long a merged lookup is held back, µs.
    pub(super) fn suppression(&self) -> u64 {
        if self.srtt == 0 {
            SUPPRESS_MIN_US
        } else {
            self.rtt().saturating_mul(2).max(SUPPRESS_MIN_US)
        }
    }
}

/// Neighbours that are forgotten before it is looked again which port has most.
const RECOUNT: u32 = 32;

/// All neighbours; the least used ones of the port that has most make room: one who makes up
/// addresses at one port must not have those of other ports forgotten.
pub(super) struct Neighbours<M: Memory> {
    table: Table<Neighbour, M>,
    key: SipKey,
    hand: u32,
    /// Where the one is that was looked up last: frames come in bursts from one.
    last: Cell<u32>,
    /// The port that had most when it was looked last, and for how many more that holds.
    fullest: PortId,
    recount: u32,
}

impl<M: Memory> Neighbours<M> {
    pub(super) fn new(table: Table<Neighbour, M>, key: SipKey) -> Self {
        Neighbours {
            table,
            key,
            hand: 0,
            last: Cell::new(0),
            fullest: PortId::default(),
            recount: 0,
        }
    }

    fn hash(&self, port: PortId, mac: Mac) -> u32 {
        siphash13(&self.key, &[&port.0.to_le_bytes(), &mac.0]) as u32
    }

    fn find(&self, port: PortId, mac: Mac) -> Option<u32> {
        let is = |n: &Neighbour| n.port == port && n.mac == mac;
        let last = self.last.get();
        if self.table.get(last).is_some_and(is) {
            return Some(last);
        }
        let found = self.table.find(self.hash(port, mac), is)?;
        self.last.set(found);
        Some(found)
    }

    /// What is known of a neighbour, or what holds for an unknown one.
    pub(super) fn get(&self, port: PortId, mac: Mac) -> Neighbour {
        let found = self.find(port, mac).and_then(|index| self.table.get(index));
        found.copied().unwrap_or(Neighbour {
            port,
            mac,
            ..Neighbour::default()
        })
    }

    /// The record of a neighbour that answered with a valid token; makes one if there is none.
    pub(super) fn learn(&mut self, port: PortId, mac: Mac) -> Option<&mut Neighbour> {
        let index = match self.find(port, mac) {
            Some(index) => index,
            None => {
                if self.table.len() >= self.table.capacity() {
                    self.make_room();
                }
                self.table.insert(
                    self.hash(port, mac),
                    Neighbour {
                        port,
                        mac,
                        ..Neighbour::default()
                    },
                )?
            }
        };
        let neighbour = self.table.get_mut(index)?;
        neighbour.used = true;
        Some(neighbour)
    }

    /// The port with most neighbours.
    fn find_fullest(&self) -> PortId {
        let mut counts = [(PortId::default(), 0u32); PORTS_MAX];
        for index in 0..self.table.capacity() as u32 {
            let Some(neighbour) = self.table.get(index) else {
                continue;
            };
            let port = neighbour.port;
            let place = counts
                .iter_mut()
                .find(|(known, count)| *count == 0 || *known == port);
            if let Some(place) = place {
                *place = (port, place.1.saturating_add(1));
            }
        }
        let most = counts.iter().max_by_key(|(_, count)| *count);
        most.map_or(PortId::default(), |(port, _)| *port)
    }

    fn make_room(&mut self) {
        if self.recount == 0 {
            self.recount = RECOUNT;
            self.fullest = self.find_fullest();
        }
        self.recount = self.recount.wrapping_sub(1);
        // Two rounds: the first may only clear the marks.
        for _ in 0..self.table.capacity().saturating_mul(2) {
            let at = self.hand;
            self.hand = (at as usize)
                .wrapping_add(1)
                .checked_rem(self.table.capacity())
                .unwrap_or(0) as u32;
            match self.table.get_mut(at) {
                Some(neighbour) if neighbour.port != self.fullest => {}
                Some(neighbour) if neighbour.used => neighbour.used = false,
                Some(_) => {
                    self.table.remove(at);
                    return;
                }
                None => return,
            }
        }
    }

    /// The neighbour sent something whose hash or signature is wrong.
    pub(super) fn penalise(&mut self, port: PortId, mac: Mac, now: u64) {
        if let Some(neighbour) = self.learn(port, mac) {
            neighbour.penalty_until = now.saturating_add(PENALTY_US);
        }
    }

    /// Whether it did so a short while ago.
    pub(super) fn is_penalised(&self, port: PortId, mac: Mac, now: u64) -> bool {
        self.find(port, mac)
            .and_then(|index| self.table.get(index))
            .is_some_and(|n| n.penalty_until > now)
    }

    /// The neighbour handed a head on that it had not checked, and that was bad.
    pub(super) fn distrust(&mut self, port: PortId, mac: Mac, now: u64) {
        if let Some(neighbour) = self.learn(port, mac) {
            neighbour.distrust_until = now.saturating_add(PENALTY_US);
        }
    }

    /// Whether it sent a bad head of any kind a short while ago.
    pub(super) fn is_distrusted(&self, port: PortId, mac: Mac, now: u64) -> bool {
        self.find(port, mac)
            .and_then(|index| self.table.get(index))
            .is_some_and(|n| n.penalty_until.max(n.distrust_until) > now)
    }

    /// Forgets the neighbours of a port that is gone.
    pub(super) fn forget_port(&mut self, port: PortId) {
        for index in 0..self.table.capacity() as u32 {
            if self.table.get(index).is_some_and(|n| n.port == port) {
                self.table.remove(index);
            }
        }
    }
}
