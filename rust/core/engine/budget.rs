// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Signature work: who is served next, and how much of it a node does.
//!
//! Jobs wait per port, known feeds apart from unknown ones. Ports take turns by deficit round robin;
//! within a port three jobs of known feeds go before one of an unknown feed. A job of a neighbour
//! that sent something wrong costs double, so that it gets half a share. Keys are free, so nothing is
//! counted per feed here.

use super::env::{Memory, PortId, VerifyJob};
use super::limits::PORTS_MAX;
use super::slab::{Slab, Slot};
use super::Lend;
use crate::id::DiscoveryId;
use crate::sign::PublicKey;

/// Jobs that may wait for one port.
pub const JOBS_PER_PORT: u32 = 64;

/// Known feeds' jobs before one of an unknown feed.
const KNOWN_RUN: u8 = 3;

/// What a turn is worth; an ordinary job costs as much, a suspect's double.
const QUANTUM: u32 = 2;

const NONE: u32 = 0;

struct Waiting {
    job: VerifyJob,
    next: u32,
}

impl Default for Waiting {
    fn default() -> Self {
        let job = VerifyJob {
            id: 0,
            port: PortId::default(),
            mac: super::Mac::default(),
            feed: DiscoveryId::default(),
            known: false,
            suspect: false,
            patient: false,
            kind: super::SignedKind::Head,
            key: PublicKey([0; 32]),
            bytes: [0; 192],
        };
        Waiting { job, next: NONE }
    }
}

/// A queue's first and last job, as links.
#[derive(Clone, Copy, Default)]
struct Line {
    first: u32,
    last: u32,
}

/// The jobs of one port.
#[derive(Clone, Copy, Default)]
struct Turn {
    port: PortId,
    used: bool,
    len: u32,
    deficit: u32,
    known_run: u8,
    known: Line,
    unknown: Line,
}

/// A job in a [`VerifyQueue`]'s memory.
#[derive(Default)]
pub struct JobSlot(Waiting);

/// One port's place in a [`VerifyQueue`]'s memory.
#[derive(Clone, Copy, Default)]
pub struct TurnSlot(Turn);

/// The bounded queue between the packet handler and whoever checks signatures.
pub struct VerifyQueue<M: Memory> {
    jobs: Slab<JobSlot, M>,
    turns: M::Of<TurnSlot>,
    at: usize,
}

impl<M: Memory> VerifyQueue<M> {
    /// A queue for `jobs` jobs in all.
    pub fn lend<L: Lend<M>>(jobs: usize, lend: &mut L) -> Result<Self, L::Error> {
        let slots: M::Of<Slot<JobSlot>> = lend.lend(jobs)?;
        Ok(VerifyQueue {
            jobs: Slab::new(slots),
            turns: lend.lend(PORTS_MAX)?,
            at: 0,
        })
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.len() == 0
    }

    /// Queues a job; false if its port has as many as it may, or the queue is full.
    pub fn push(&mut self, job: &VerifyJob) -> bool {
        let place = self
            .turns
            .iter()
            .position(|TurnSlot(turn)| turn.used && turn.port == job.port);
        let place = place.or_else(|| {
            self.turns
                .iter()
                .position(|TurnSlot(turn)| !turn.used || turn.len == 0)
        });
        let Some(TurnSlot(turn)) = place.and_then(|place| self.turns.get_mut(place)) else {
            return false;
        };
        if !turn.used || turn.port != job.port {
            *turn = Turn {
                port: job.port,
                used: true,
                ..Turn::default()
            };
        }
        if turn.len >= JOBS_PER_PORT {
            return false;
        }
        let Some(index) = self.jobs.insert(JobSlot(Waiting {
            job: *job,
            next: NONE,
        })) else {
            return false;
        };
        let link = index.wrapping_add(1);
        let line = if job.known {
            &mut turn.known
        } else {
            &mut turn.unknown
        };
        if line.last == NONE {
            line.first = link;
        } else if let Some(JobSlot(before)) = self.jobs.get_mut(line.last.wrapping_sub(1)) {
            before.next = link;
        }
        line.last = link;
        turn.len = turn.len.wrapping_add(1);
        true
    }

    /// The next job by turn.
    pub fn pop(&mut self) -> Option<VerifyJob> {
        // A suspect's job needs two turns at most, so two rounds find one if there is any.
        for _ in 0..PORTS_MAX.saturating_mul(2) {
            let TurnSlot(turn) = self.turns.get_mut(self.at)?;
            if turn.used && turn.len > 0 {
                if turn.deficit == 0 {
                    turn.deficit = QUANTUM;
                }
                if let Some(job) = take(turn, &mut self.jobs) {
                    if turn.deficit == 0 || turn.len == 0 {
                        self.step();
                    }
                    return Some(job);
                }
            }
            self.step();
        }
        None
    }

    fn step(&mut self) {
        self.at = self
            .at
            .wrapping_add(1)
            .checked_rem(self.turns.len())
            .unwrap_or(0);
    }

    /// Forgets the jobs of a port that is gone.
    pub fn forget(&mut self, port: PortId) {
        let Some(TurnSlot(turn)) = self
            .turns
            .iter_mut()
            .find(|TurnSlot(turn)| turn.used && turn.port == port)
        else {
            return;
        };
        for line in [turn.known, turn.unknown] {
            let mut at = line.first;
            for _ in 0..JOBS_PER_PORT {
                let Some(JobSlot(waiting)) = self.jobs.remove(at.wrapping_sub(1)) else {
                    break;
                };
                at = waiting.next;
            }
        }
        *turn = Turn::default();
    }
}

/// The port's next job, if its deficit pays for it.
fn take<M: Memory>(turn: &mut Turn, jobs: &mut Slab<JobSlot, M>) -> Option<VerifyJob> {
    let known =
        turn.known.first != NONE && (turn.known_run < KNOWN_RUN || turn.unknown.first == NONE);
    let line = if known {
        &mut turn.known
    } else {
        &mut turn.unknown
    };
    let index = line.first.wrapping_sub(1);
    let suspect = jobs
        .get(index)
        .is_some_and(|JobSlot(waiting)| waiting.job.suspect);
    let cost = if suspect {
        QUANTUM.saturating_mul(2)
    } else {
        QUANTUM
    };
    if turn.deficit < cost {
        // Half a share: saved up until its next turn.
        turn.deficit = turn.deficit.saturating_add(QUANTUM);
        return None;
    }
    let JobSlot(waiting) = jobs.remove(index)?;
    line.first = waiting.next;
    if waiting.next == NONE {
        line.last = NONE;
    }
    turn.known_run = if known {
        turn.known_run.saturating_add(1)
    } else {
        0
    };
    turn.len = turn.len.wrapping_sub(1);
    turn.deficit = turn.deficit.saturating_sub(cost);
    Some(waiting.job)
}

/// A bounded rate of work: a share of one core, with a small reserve for bursts.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Share of one core, in 1/256.
    share: u32,
    /// When all work so far will be paid for, µs.
    paid_at: u64,
    /// Last time seen, µs.
    now: u64,
}

/// Work time that is saved up at most, µs.
const SAVED_MAX_US: u64 = 20_000;

impl Rate {
    /// `share` of one core in 1/256; the default of a node is 64.
    pub const fn new(share: u32) -> Self {
        Rate {
            share,
            paid_at: 0,
            now: 0,
        }
    }

    /// How long it takes to earn `us` µs of work.
    fn price(&self, us: u64) -> u64 {
        us.saturating_mul(256)
            .checked_div(u64::from(self.share))
            .unwrap_or(u64::MAX)
    }

    /// Whether work may be done now.
    pub fn may_work(&mut self, now: u64) -> bool {
        self.now = self.now.max(now);
        self.next() <= self.now
    }

    /// Work was done that took `us` µs.
    pub fn spend(&mut self, us: u64) {
        self.paid_at = self.paid_at.max(self.now).saturating_add(self.price(us));
    }

    /// When work may be done again, µs.
    pub fn next(&self) -> u64 {
        self.paid_at.saturating_sub(self.price(SAVED_MAX_US))
    }
}
