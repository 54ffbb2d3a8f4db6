// SPDX-License-Identifier: GPL-2.0

//! Signatures: checked in softirq work with a small budget, the excess in process context.
//!
//! A signature costs as much as forty thousand bytes of hashing, so it is never checked by the
//! packet handler (law 3). The engine puts jobs into a bounded queue that is fair between ports
//! ([`feed_core::engine::budget`]); what finds no room is dropped and counted. The softirq work
//! item takes a few per run; when more wait, or when the node has used its share of a core, a work
//! item in process context goes on, where the scheduler is fair to everybody else.

use crate::{
    node::{
        memory::{
            KernelMemory,
            Lender, //
        },
        Node,
        WORK_VERIFY,
        WORK_VERIFY_MORE, //
    },
    sync::{
        clock::monotonic_us,
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use feed_core::{
    engine::{
        budget::{
            Next,
            Rate,
            VerifyQueue, //
        },
        PortId,
        VerifyJob, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    workqueue::WorkItem, //
};

/// Jobs of one run in softirq: 42 µs each.
const SOFTIRQ_JOBS: usize = 4;
/// Jobs of one run in process context, before others get their turn: less than a millisecond.
const PROCESS_JOBS: usize = 16;

/// Jobs of all ports that may wait.
const QUEUE: usize = 512;
/// The share of one core that a node gives to signatures, in 1/256.
const SHARE: u32 = 64;

/// What the queue's lock protects.
struct Waiting {
    queue: VerifyQueue<KernelMemory>,
    rate: Rate,
}

/// The queue of signatures to check.
#[pin_data]
pub(crate) struct Jobs {
    #[pin]
    waiting: SpinLockBh<Waiting>,
}

impl Jobs {
    /// An empty queue. Context: process, may sleep.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let waiting = Waiting {
            queue: VerifyQueue::lend(QUEUE, &mut Lender)?,
            rate: Rate::new(SHARE),
        };
        Ok(pin_init!(Self {
            waiting <- new_spinlock_bh!(waiting, "feed_jobs"),
        }))
    }

    /// Takes a job in. False when there is no room for it. Context: softirq or process.
    pub(crate) fn push(&self, job: &VerifyJob) -> bool {
        self.waiting.lock().queue.push(job)
    }

    /// The next job, or when there may be one.
    fn next(&self) -> Next {
        let mut waiting = self.waiting.lock();
        let Waiting { queue, rate } = &mut *waiting;
        if queue.is_empty() {
            return Next::None;
        }
        let now = monotonic_us();
        if !rate.may_work(now) {
            return Next::At(rate.next());
        }
        queue.pop(now)
    }

    /// A job that was begun at `begun` has ended well or not.
    fn judged(&self, job: &VerifyJob, ok: bool, begun: u64) {
        let now = monotonic_us();
        let us = now.saturating_sub(begun);
        let mut waiting = self.waiting.lock();
        waiting.rate.spend(us);
        waiting.queue.judged(job, ok, us, now);
    }

    /// Whether any job waits. Context: softirq or process.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().queue.is_empty()
    }

    /// Forgets the jobs of a port that is gone. Context: process.
    pub(crate) fn forget(&self, port: PortId) {
        self.waiting.lock().queue.forget(port);
    }
}

/// Checks up to `limit` signatures; true when more wait and may be checked now.
fn run(node: &Arc<Node>, limit: usize) -> bool {
    let jobs = &node.world.jobs;
    for _ in 0..limit {
        let job = match jobs.next() {
            Next::Job(job) => job,
            Next::At(then) => {
                node.call_verifier_at(then);
                return false;
            }
            Next::None => return false,
        };
        let begun = monotonic_us();
        // Not inlined: its 6 KiB of stack are given back before the engine is called.
        let ok = job.check();
        jobs.judged(&job, ok, begun);
        node.with_engine(&job.feed, |engine, now, env| {
            engine.on_verdict(now, job.id, ok, env)
        });
    }
    !jobs.is_empty()
}

impl WorkItem<WORK_VERIFY> for Node {
    type Pointer = Arc<Self>;

    /// Context: softirq.
    fn run(this: Arc<Self>) {
        if run(&this, SOFTIRQ_JOBS) {
            this.queues().process.kick::<_, WORK_VERIFY_MORE>(&this);
        }
    }
}

impl WorkItem<WORK_VERIFY_MORE> for Node {
    type Pointer = Arc<Self>;

    /// Context: process, may sleep.
    fn run(this: Arc<Self>) {
        if run(&this, PROCESS_JOBS) {
            this.queues().process.kick::<_, WORK_VERIFY_MORE>(&this);
        }
    }
}
