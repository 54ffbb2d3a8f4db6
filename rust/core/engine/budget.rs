// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Signature work: who is served next, and how much of it a node does.
//!
//! Jobs wait per port, known feeds apart from unknown ones. Ports take turns by deficit round robin;
//! within a port three jobs of known feeds go before one of an unknown feed. A job of a neighbour
//! that sent something wrong costs double, so that it gets half a share. Keys are free, so nothing is
//! counted per feed here, and addresses are free: who floods has as many as he likes.
//!
//! So a port whose heads turn out to be junk loses its share: by half with each one, down to a
//! thirty-third of a core; good heads, or a second without junk, give it back step by step. Other
//! ports keep theirs. So do neighbours of the same port that were asked alone: nobody else has the
//! token of that lookup, so their heads wait and are judged apart from those that anybody on the
//! port may send.

use super::env::{Memory, PortId, VerifyJob};
use super::limits::PORTS_MAX;
use super::slab::{Slab, Slot};
use super::Lend;
use crate::id::DiscoveryId;
use crate::sign::PublicKey;

/// Jobs that may wait for one port, and as many of those of its neighbours that were asked alone.
pub const JOBS_PER_PORT: u32 = 64;

/// Known feeds' jobs before one of an unknown feed.
const KNOWN_RUN: u8 = 3;

/// What a turn is worth; an ordinary job costs as much, a suspect's double.
const QUANTUM: u32 = 2;

/// Each bad signature halves a port's share so often at most.
const JUNK_MAX: u8 = 3;
/// So many good ones in a row undo one halving.
const GOOD_RUN: u8 = 8;
/// So does a time without a bad one, µs.
const JUNK_LIFE_US: u64 = 1_000_000;
/// How long a port with one bad signature pauses for the time that its last one took.
const PAUSE: u64 = 8;
/// No signature counts as longer than this, µs: the clock goes on when its processor does something else.
const WORK_MAX_US: u64 = 1_000;

/// How the signatures that came by a port turned out lately.
#[derive(Clone, Copy, Default)]
struct Repute {
    /// How often its share is halved.
    junk: u8,
    /// Good ones since the last bad one.
    good: u8,
    bad_at: u64,
    /// When the next one may be checked.
    ready_at: u64,
}

impl Repute {
    fn judge(&mut self, ok: bool, us: u64, now: u64) {
        let quiet = now.saturating_sub(self.bad_at) / JUNK_LIFE_US;
        if quiet > 0 {
            self.junk = self
                .junk
                .saturating_sub(u8::try_from(quiet).unwrap_or(u8::MAX));
            self.bad_at = now;
        }
        if !ok {
            self.junk = self.junk.saturating_add(1).min(JUNK_MAX);
            self.good = 0;
            self.bad_at = now;
        } else if self.junk > 0 {
            self.good = self.good.saturating_add(1);
            if self.good >= GOOD_RUN {
                self.good = 0;
                self.junk = self.junk.saturating_sub(1);
            }
        }
        if let Some(halvings) = self.junk.checked_sub(1) {
            let pause = us.min(WORK_MAX_US).saturating_mul(PAUSE);
            let pause = pause.saturating_mul(1u64.wrapping_shl(u32::from(halvings)));
            self.ready_at = now.saturating_add(pause);
        }
    }
}

/// Two for each port.
const TURNS: usize = 2 * PORTS_MAX;

const NONE: u32 = 0;

struct Waiting {
    job: VerifyJob,
    next: u32,
}

impl Default for Waiting {
    fn default() -> Self {
        let job = VerifyJob {
            id: 0,
            instead_of: 0,
            port: PortId::default(),
            mac: super::Mac::default(),
            feed: DiscoveryId::default(),
            known: false,
            suspect: false,
            alone: false,
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

/// The jobs of one port: those of neighbours that were asked alone, or all others.
#[derive(Clone, Copy, Default)]
struct Turn {
    port: PortId,
    alone: bool,
    used: bool,
    repute: Repute,
    len: u32,
    deficit: u32,
    known_run: u8,
    known: Line,
    unknown: Line,
}

impl Turn {
    fn is_of(&self, job: &VerifyJob) -> bool {
        self.used && self.port == job.port && self.alone == job.alone
    }
}

/// What a [`VerifyQueue`] has to do.
#[derive(Debug)]
pub enum Next {
    /// This.
    Job(VerifyJob),
    /// Nothing before this time, µs.
    At(u64),
    /// Nothing.
    None,
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
            turns: lend.lend(TURNS)?,
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

    /// Queues a job, in the place of the one that it is instead of; false if its port has as many as it
    /// may, or the queue is full.
    pub fn push(&mut self, job: &VerifyJob) -> bool {
        let turns = &mut self.turns;
        let place = turns.iter().position(|TurnSlot(turn)| turn.is_of(job));
        let place = place.or_else(|| turns.iter().position(|TurnSlot(turn)| !turn.used));
        // A job may come in when its port is forgotten already.
        let place = place.or_else(|| turns.iter().position(|TurnSlot(turn)| turn.len == 0));
        let Some(TurnSlot(turn)) = place.and_then(|place| self.turns.get_mut(place)) else {
            return false;
        };
        if !turn.is_of(job) {
            *turn = Turn {
                port: job.port,
                alone: job.alone,
                used: true,
                ..Turn::default()
            };
        }
        for line in [turn.known, turn.unknown] {
            let mut at = line.first;
            for _ in 0..if job.instead_of == 0 { 0 } else { turn.len } {
                let Some(JobSlot(waiting)) = self.jobs.get_mut(at.wrapping_sub(1)) else {
                    break;
                };
                // The queue is that of all engines, and each numbers its own jobs.
                if waiting.job.id == job.instead_of && waiting.job.feed == job.feed {
                    waiting.job = *job;
                    return true;
                }
                at = waiting.next;
            }
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
    pub fn pop(&mut self, now: u64) -> Next {
        let mut ready_at: Option<u64> = None;
        // A suspect's job needs two turns at most, so two rounds find one if there is any.
        for _ in 0..self.turns.len().saturating_mul(2) {
            let Some(TurnSlot(turn)) = self.turns.get_mut(self.at) else {
                break;
            };
            if turn.len > 0 && turn.repute.ready_at > now {
                let then = turn.repute.ready_at;
                ready_at = Some(ready_at.map_or(then, |first| first.min(then)));
            } else if turn.len > 0 {
                if turn.deficit == 0 {
                    turn.deficit = QUANTUM;
                }
                if let Some(job) = take(turn, &mut self.jobs) {
                    if turn.deficit == 0 || turn.len == 0 {
                        self.step();
                    }
                    return Next::Job(job);
                }
            }
            self.step();
        }
        ready_at.map_or(Next::None, Next::At)
    }

    /// A job was done that took `us` µs: its signature is good or bad.
    pub fn judged(&mut self, job: &VerifyJob, ok: bool, us: u64, now: u64) {
        let mut turns = self.turns.iter_mut();
        if let Some(TurnSlot(turn)) = turns.find(|TurnSlot(turn)| turn.is_of(job)) {
            turn.repute.judge(ok, us, now);
        }
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
        for TurnSlot(turn) in self.turns.iter_mut() {
            if !turn.used || turn.port != port {
                continue;
            }
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
