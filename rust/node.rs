// SPDX-License-Identifier: GPL-2.0

//! A node: all that AF_FEED is in one network namespace.
//!
//! A node owns the engine (the protocol, pure), the store, its ports and the work that runs on its
//! behalf. Data goes one way through the files: `ingress` hands a frame to the engine; the engine
//! asks for signatures (`verifier`), reads and writes the `store`, and sends by `egress`. Sockets
//! come in by [`local`], operators by [`admin`].
//!
//! There are several engines where there are several processors, and each feed is one engine's:
//! processors that work on different feeds seldom meet. Everything reaches an engine by [`Node::with_engine`],
//! which holds its lock for one call and then does what must not be done under it: frames are
//! transmitted, the verifier is called, the timer is armed.
//!
//! Lock order: RTNL; `ports`, `own`; an author's feed, `batches`; one engine's lock; the store's locks, the
//! verifier's queue; timers and wait queues. Nobody holds the locks of two engines.
//!
//! Life: made with its namespace; in `pre_exit` ports and devices go, so that no frame comes in; in
//! `exit` timers and work are stopped, then engine and store are emptied. A socket holds its
//! namespace, so sockets are gone by then.

pub(crate) mod admin;
mod env;
pub(crate) mod local;
mod long;
pub(crate) mod memory;
mod own;
mod receive;
mod short;

use crate::{
    af_feed::author::OwnFeed,
    ingress::Ingress,
    mm::MemCgroup,
    net::{
        hook::Hook,
        namespace::{
            Namespace,
            Pernet,
            Registered, //
        },
        net::Net,
        random,
        skb::Frames,
        softirq, //
    },
    pairs,
    stats::Stats,
    store::Store,
    sync::{
        clock::monotonic_us,
        cpu,
        lock::SpinLockBhBackend,
        new_spinlock_bh,
        percpu::PerCpu,
        queue,
        shared,
        OwnedQueue,
        SpinLockBh,
        Tick,
        Timer,
        WaitTable, //
    },
    verifier::Jobs, //
};
use env::{
    JobsWait,
    KernelEnv, //
};
use feed_core::{
    engine::{
        Config,
        Engine,
        Shards,
        Sizes,
        Tables, //
    },
    id::DiscoveryId,
    siphash::SipKey, //
};
use kernel::{
    impl_has_work,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        lock::Guard,
        Arc,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use memory::{
    KernelMemory,
    Lender, //
};
use own::Own;
pub(crate) use receive::Copies;
pub(crate) use short::SHORT;

/// The engine as the kernel runs it.
pub(crate) type KernelEngine = Engine<KernelMemory, KernelEnv>;
/// What it is made of.
type KernelTables = Tables<KernelMemory, KernelEnv>;

/// Checks signatures in softirq, a few at a time.
pub(crate) const WORK_VERIFY: u64 = 0;
/// Checks those that were too many for that.
pub(crate) const WORK_VERIFY_MORE: u64 = 1;
/// Signs batches whose time is over; enlarges the engine's tables.
const WORK_CHORES: u64 = 2;

/// How long signatures wait whose verdicts nobody waits for, µs: until the frames that the same
/// event has caused are through, here and on nodes beside this one on the same processor.
const PATIENCE_US: u64 = 1_000;

/// The engine's timer.
const TIMER_ENGINE: u64 = 0;
/// When the next batch must be signed.
const TIMER_BATCH: u64 = 1;

/// What the engine's calls out need; shared by the engine's environment and the node.
#[pin_data]
pub(crate) struct World {
    pub(crate) store: Arc<Store>,
    /// Sleepers, by feed.
    #[pin]
    pub(crate) waits: WaitTable,
    /// Signatures that wait to be checked.
    #[pin]
    pub(crate) jobs: Jobs,
    pub(crate) stats: Stats,
    /// Where lookups go while no neighbour is known.
    pub(crate) group: [u8; 6],
    /// The namespace creator's: pays for tables that grow later.
    payer: MemCgroup,
}

/// What an engine's lock protects.
struct Inner {
    engine: KernelEngine,
    env: KernelEnv,
}

/// An engine's lock while it is held.
type Locked<'a> = Guard<'a, Option<KBox<Inner>>, SpinLockBhBackend>;

/// What engines have left to do without their locks.
#[derive(Default)]
struct Left {
    frames: Frames,
    jobs_wait: JobsWait,
    /// Tables should grow.
    is_crowded: bool,
}

/// An engine, and what calls it.
#[pin_data]
struct Shard {
    /// `None` from the namespace's exit on.
    #[pin]
    inner: SpinLockBh<Option<KBox<Inner>>>,
    #[pin]
    timer: Timer<Node, TIMER_ENGINE>,
}

impl Shard {
    /// Context: process, may sleep. Not inlined, nor is what it calls: an engine is large for a stack.
    #[inline(never)]
    fn new(world: &Arc<World>, config: Config, sizes: &Sizes) -> Result<Pin<KBox<Self>>> {
        let env = KernelEnv::new(world.clone())?;
        let tables = Self::tables(sizes)?;
        let inner = KBox::init(
            try_init!(Inner {
                engine: Self::engine(config, tables),
                env,
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;
        KBox::pin_init(
            pin_init!(Self {
                inner <- new_spinlock_bh!(Some(inner), "feed_engine"),
                timer <- Timer::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Context: process, may sleep.
    #[inline(never)]
    fn tables(sizes: &Sizes) -> Result<KBox<KernelTables>> {
        Ok(KBox::new(Tables::lend(sizes, &mut Lender)?, GFP_KERNEL)?)
    }

    /// Context: process.
    #[inline(never)]
    fn engine(config: Config, tables: KBox<KernelTables>) -> KernelEngine {
        Engine::new(config, KBox::into_inner(tables))
    }
}

/// A device that carries our frames.
struct Port {
    ifindex: u32,
    hook: Pin<KBox<Hook<Ingress>>>,
}

/// The node of one namespace. See the head of this file.
#[pin_data]
pub(crate) struct Node {
    pub(crate) world: Arc<World>,
    /// Which feeds are whose.
    shards: Shards,
    /// As many as `shards` counts.
    engines: KVec<Pin<KBox<Shard>>>,
    /// Ports and routes are the same in all engines: who changes them holds this.
    #[pin]
    ports: Mutex<KVec<Port>>,
    /// Feeds that were authored here, by name.
    #[pin]
    own: Mutex<Own>,
    /// Those of them with entries that no head covers yet.
    #[pin]
    batches: Mutex<KVec<Arc<OwnFeed>>>,
    #[pin]
    batch: Timer<Node, TIMER_BATCH>,
    #[pin]
    verify: Work<Node, WORK_VERIFY>,
    #[pin]
    verify_more: Work<Node, WORK_VERIFY_MORE>,
    #[pin]
    chores: Work<Node, WORK_CHORES>,
    queues: Arc<Queues>,
    /// Each processor has its own, lent for a frame or for several short ones.
    copies: Arc<PerCpu<Copies>>,
}

/// The module's work queues: one for softirq, one for process context.
pub(crate) struct Queues {
    pub(crate) softirq: OwnedQueue,
    pub(crate) process: OwnedQueue,
}

impl Queues {
    /// Makes both. Context: process, may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let queues = Self {
            softirq: OwnedQueue::bh(c"feed_bh")?,
            process: OwnedQueue::unbound(c"feed")?,
        };
        Ok(Arc::new(queues, GFP_KERNEL)?)
    }
}

impl_has_work! {
    impl HasWork<Self, WORK_VERIFY> for Node { self.verify }
    impl HasWork<Self, WORK_VERIFY_MORE> for Node { self.verify_more }
    impl HasWork<Self, WORK_CHORES> for Node { self.chores }
}

static NODES: Pernet<Node> = Pernet::new();

impl Registered for Node {
    fn pernet() -> &'static Pernet<Self> {
        &NODES
    }
}

impl Namespace for Node {
    fn new(_net: Net<'_>) -> Result<Arc<Self>> {
        let common = shared::common().ok_or(ENODEV)?;
        let store = Store::new(common.ground, secret())?;
        let stats = Stats::new()?;
        let world = Arc::pin_init(
            try_pin_init!(World {
                store,
                waits <- WaitTable::new(),
                jobs <- Jobs::new()?,
                stats,
                group: shared::group()?,
                payer: MemCgroup::of_current(),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;
        let secret = secret();
        let shards = Shards::new(secret, cpu::online());
        let sizes = Sizes::NAMESPACE.of_shards(shards.count());
        let mut engines = KVec::with_capacity(shards.count(), GFP_KERNEL_ACCOUNT)?;
        for shard in 0..shards.count() {
            let config = Config::new(secret, &sizes).of_shard(shards, shard);
            engines.push(Shard::new(&world, config, &sizes)?, GFP_KERNEL_ACCOUNT)?;
        }
        let node = Arc::pin_init(
            pin_init!(Self {
                world,
                shards,
                engines,
                ports <- new_mutex!(KVec::new(), "feed_ports"),
                own <- new_mutex!(Own::new(), "feed_own"),
                batches <- new_mutex!(KVec::new(), "feed_batches"),
                batch <- Timer::new(),
                verify <- new_work!("feed_verify"),
                verify_more <- new_work!("feed_verify_more"),
                chores <- new_work!("feed_chores"),
                queues: common.queues,
                copies: common.copies,
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        for (index, shard) in node.engines.iter().enumerate() {
            shard.timer.start(node.clone(), index);
        }
        node.batch.start(node.clone(), 0);
        Ok(node)
    }

    fn pre_exit(this: &Arc<Self>, _net: Net<'_>) {
        // Takes the hooks out of the mutex first: removing one waits for frames on their way.
        let ports = core::mem::take(&mut *this.ports.lock());
        let count = ports.len() as u64;
        drop(ports);
        pairs::PORTS.gone(count);
        this.with_each(|_, _, env| env.forget_devices());
    }

    fn exit(this: &Arc<Self>, _net: Net<'_>) {
        for shard in this.engines.iter() {
            shard.timer.stop();
        }
        this.batch.stop();
        queue::disable::<_, WORK_VERIFY>(this);
        queue::disable::<_, WORK_VERIFY_MORE>(this);
        queue::disable::<_, WORK_CHORES>(this);
        for shard in this.engines.iter() {
            // Tables of vmalloc memory are freed outside of the lock.
            let inner = shard.inner.lock().take();
            drop(inner);
        }
        let own = core::mem::replace(&mut *this.own.lock(), Own::new());
        drop(own);
        let batches = core::mem::take(&mut *this.batches.lock());
        drop(batches);
        this.world.store.shutdown();
    }
}

/// A fresh secret for hash tables, tokens and cookies.
fn secret() -> SipKey {
    SipKey([random::number(), random::number()])
}

/// The wait queue of a feed: ids are hashes, so any part of one is as good as another.
fn wait_key(id: &DiscoveryId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Node {
    /// Runs `call` on the engine of a feed, then does what it left to do. `None` when the
    /// namespace is at its end.
    ///
    /// Context: process or softirq; no lock that comes after the engine's may be held.
    pub(crate) fn with_engine<R>(
        self: &Arc<Self>,
        feed: &DiscoveryId,
        call: impl FnOnce(&mut KernelEngine, u64, &mut KernelEnv) -> R,
    ) -> Option<R> {
        self.with_shard(self.shards.of(feed), call)
    }

    /// As [`Node::with_engine`], for the engine in place `shard`.
    fn with_shard<R>(
        self: &Arc<Self>,
        shard: usize,
        call: impl FnOnce(&mut KernelEngine, u64, &mut KernelEnv) -> R,
    ) -> Option<R> {
        self.with_inner(shard, |inner, now| call(&mut inner.engine, now, &mut inner.env))
    }

    /// As [`Node::with_engine`], for one engine after the other.
    fn with_each(
        self: &Arc<Self>,
        mut call: impl FnMut(&mut KernelEngine, u64, &mut KernelEnv),
    ) {
        for shard in 0..self.engines.len() {
            self.with_shard(shard, &mut call);
        }
    }

    /// Runs `call` on an engine in full, then does what it left to do.
    fn with_inner<R>(
        self: &Arc<Self>,
        shard: usize,
        call: impl FnOnce(&mut Inner, u64) -> R,
    ) -> Option<R> {
        let mut left = Left::default();
        let result = self.call(shard, &mut left, call);
        self.finish(left);
        result
    }

    /// Runs `call` on an engine in full; adds to `left` what is to be done afterwards.
    fn call<R>(
        self: &Arc<Self>,
        shard: usize,
        left: &mut Left,
        call: impl FnOnce(&mut Inner, u64) -> R,
    ) -> Option<R> {
        let guard = self.engines.get(shard)?.inner.lock();
        self.call_locked(shard, guard, left, call)
    }

    /// As [`Node::call`], with the engine's lock held until `call` has run.
    fn call_locked<R>(
        &self,
        shard: usize,
        mut guard: Locked<'_>,
        left: &mut Left,
        call: impl FnOnce(&mut Inner, u64) -> R,
    ) -> Option<R> {
        let shard = self.engines.get(shard)?;
        let inner = (&mut *guard).as_mut()?;
        let now = monotonic_us();
        let result = call(inner, now);
        let frames = inner.env.take_frames();
        let due = inner.engine.next_deadline();
        let jobs_wait = inner.env.take_jobs_wait();
        inner.env.forget_objects();
        left.is_crowded |= self.feeds_wanted(&inner.engine).is_some();
        drop(guard);

        left.frames.append(frames);
        left.jobs_wait = left.jobs_wait.max(jobs_wait);
        let due = match jobs_wait {
            JobsWait::Patiently => Some(due.unwrap_or(u64::MAX).min(now.saturating_add(PATIENCE_US))),
            JobsWait::No | JobsWait::Eagerly => due,
        };
        if let Some(due) = due {
            shard.timer.arm(due);
        }
        Some(result)
    }

    /// Does what engines have left to do. Context: process or softirq, no lock of ours held.
    fn finish(self: &Arc<Self>, left: Left) {
        let Left { mut frames, jobs_wait, is_crowded } = left;
        if !frames.is_empty() {
            // What is counted is counted with softirqs off, and what is sent comes back in one.
            let _off = softirq::Off::new();
            frames.transmit(|sent| {
                let stats = &self.world.stats;
                stats.sent(sent.ifindex, sent.bytes, !sent.taken);
            });
        }
        if jobs_wait == JobsWait::Eagerly {
            self.queues.softirq.kick::<_, WORK_VERIFY>(self);
        }
        if is_crowded {
            self.queues.process.kick::<_, WORK_CHORES>(self);
        }
    }

    /// Lets the verifier go on at `then`, µs. Context: any.
    pub(crate) fn call_verifier_at(&self, then: u64) {
        if let Some(shard) = self.engines.first() {
            shard.timer.arm(then);
        }
    }

    /// The queues that this node's work runs on.
    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }
}

impl Tick<TIMER_ENGINE> for Node {
    fn tick(this: &Arc<Self>, shard: usize) {
        this.with_shard(shard, |engine, now, env| engine.on_timer(now, env));
        // The tick may be one that the verifier asked for.
        if !this.world.jobs.is_empty() {
            this.queues.softirq.kick::<_, WORK_VERIFY>(this);
        }
    }
}

impl Tick<TIMER_BATCH> for Node {
    fn tick(this: &Arc<Self>, _: usize) {
        // Signing takes the feed's mutex: not here.
        this.queues.process.kick::<_, WORK_CHORES>(this);
    }
}

impl WorkItem<WORK_CHORES> for Node {
    type Pointer = Arc<Self>;

    /// Context: process, may sleep.
    fn run(this: Arc<Self>) {
        this.sign_batches();
        this.grow_tables();
    }
}
