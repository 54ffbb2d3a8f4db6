// SPDX-License-Identifier: GPL-2.0

//! A node: all that AF_FEED is in one network namespace.
//!
//! A node owns the engine (the protocol, pure), the store, its ports and the work that runs on its
//! behalf. Data goes one way through the files: `ingress` hands a frame to the engine; the engine
//! asks for signatures (`verifier`), reads and writes the `store`, and sends by `egress`. Sockets
//! come in by [`local`], operators by [`admin`].
//!
//! Everything reaches the engine by [`Node::with_engine`], which holds its lock for one call and
//! then does what must not be done under it: frames are transmitted, the verifier is called, the
//! timer is armed.
//!
//! Lock order: RTNL; `ports`, `own`; an author's feed, `batches`; the engine's lock; the store's locks, the
//! verifier's queue; timers and wait queues.
//!
//! Life: made with its namespace; in `pre_exit` ports and devices go, so that no frame comes in; in
//! `exit` timers and work are stopped, then engine and store are emptied. A socket holds its
//! namespace, so sockets are gone by then.

pub(crate) mod admin;
mod env;
pub(crate) mod local;
pub(crate) mod memory;

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
        random, //
    },
    pairs,
    stats::Stats,
    store::Store,
    sync::{
        clock::monotonic_us,
        new_spinlock_bh,
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
        limits::FRAME_MAX,
        Config,
        Engine,
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
    rbtree::RBTree,
    sync::{
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

/// The engine as the kernel runs it.
pub(crate) type KernelEngine = Engine<KernelMemory, KernelEnv>;

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

/// What the engine's lock protects.
struct Inner {
    engine: KernelEngine,
    env: KernelEnv,
    /// A received frame: copied first, then looked at, so that its sender cannot change it.
    frame: KVVec<u8>,
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
    /// `None` from the namespace's exit on.
    #[pin]
    inner: SpinLockBh<Option<KBox<Inner>>>,
    #[pin]
    ports: Mutex<KVec<Port>>,
    /// Feeds that were authored here, by name.
    #[pin]
    own: Mutex<RBTree<[u8; 32], Arc<OwnFeed>>>,
    /// Those of them with entries that no head covers yet.
    #[pin]
    batches: Mutex<KVec<Arc<OwnFeed>>>,
    #[pin]
    timer: Timer<Node, TIMER_ENGINE>,
    #[pin]
    batch: Timer<Node, TIMER_BATCH>,
    #[pin]
    verify: Work<Node, WORK_VERIFY>,
    #[pin]
    verify_more: Work<Node, WORK_VERIFY_MORE>,
    #[pin]
    chores: Work<Node, WORK_CHORES>,
    queues: Arc<Queues>,
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
        let sizes = Sizes::NAMESPACE;
        let tables = Tables::lend(&sizes, &mut Lender)?;
        let mut frame = KVVec::new();
        frame.resize(FRAME_MAX, 0, GFP_KERNEL_ACCOUNT)?;
        let inner = KBox::new(
            Inner {
                engine: Engine::new(Config::new(secret(), &sizes), tables),
                env: KernelEnv::new(world.clone()),
                frame,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        let node = Arc::pin_init(
            pin_init!(Self {
                world,
                inner <- new_spinlock_bh!(Some(inner), "feed_engine"),
                ports <- new_mutex!(KVec::new(), "feed_ports"),
                own <- new_mutex!(RBTree::new(), "feed_own"),
                batches <- new_mutex!(KVec::new(), "feed_batches"),
                timer <- Timer::new(),
                batch <- Timer::new(),
                verify <- new_work!("feed_verify"),
                verify_more <- new_work!("feed_verify_more"),
                chores <- new_work!("feed_chores"),
                queues: common.queues,
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        node.timer.start(node.clone());
        node.batch.start(node.clone());
        Ok(node)
    }

    fn pre_exit(this: &Arc<Self>, _net: Net<'_>) {
        // Takes the hooks out of the mutex first: removing one waits for frames on their way.
        let ports = core::mem::take(&mut *this.ports.lock());
        let count = ports.len() as u64;
        drop(ports);
        pairs::PORTS.gone(count);
        this.with_engine(|_, _, env| env.forget_devices());
    }

    fn exit(this: &Arc<Self>, _net: Net<'_>) {
        this.timer.stop();
        this.batch.stop();
        queue::disable::<_, WORK_VERIFY>(this);
        queue::disable::<_, WORK_VERIFY_MORE>(this);
        queue::disable::<_, WORK_CHORES>(this);
        // Tables of vmalloc memory are freed outside of the lock.
        let inner = this.inner.lock().take();
        drop(inner);
        let own = core::mem::replace(&mut *this.own.lock(), RBTree::new());
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
    /// Runs `call` on the engine, then does what it left to do. `None` when the namespace is at
    /// its end.
    ///
    /// Context: process or softirq; no lock that comes after the engine's may be held.
    pub(crate) fn with_engine<R>(
        self: &Arc<Self>,
        call: impl FnOnce(&mut KernelEngine, u64, &mut KernelEnv) -> R,
    ) -> Option<R> {
        self.with_inner(|inner, now| call(&mut inner.engine, now, &mut inner.env))
    }

    /// Hands a received frame of `len` bytes to the engine; `copy` writes it to our memory.
    ///
    /// Context: softirq.
    pub(crate) fn receive(
        self: &Arc<Self>,
        rx: feed_core::engine::Rx,
        len: usize,
        copy: impl FnOnce(&mut [u8]) -> bool,
    ) -> Option<bool> {
        self.with_inner(|inner, now| {
            let Some(room) = inner.frame.get_mut(..len) else {
                return false;
            };
            if !copy(room) {
                return false;
            }
            let frame = inner.frame.get(..len).unwrap_or(&[]);
            inner.engine.on_frame(now, rx, frame, &mut inner.env);
            true
        })
    }

    fn with_inner<R>(self: &Arc<Self>, call: impl FnOnce(&mut Inner, u64) -> R) -> Option<R> {
        let mut guard = self.inner.lock();
        let inner = (&mut *guard).as_mut()?;
        let now = monotonic_us();
        let result = call(inner, now);
        let mut frames = inner.env.take_frames();
        let due = inner.engine.next_deadline();
        let jobs_wait = inner.env.take_jobs_wait();
        inner.env.forget_objects();
        let crowded = local::feeds_wanted(&inner.engine).is_some();
        drop(guard);

        frames.transmit(|sent| {
            let stats = &self.world.stats;
            stats.sent(sent.ifindex, sent.bytes, !sent.taken);
        });
        if let Some(due) = due {
            self.timer.arm(due);
        }
        match jobs_wait {
            JobsWait::No => {}
            JobsWait::Patiently => self.timer.arm(now.saturating_add(PATIENCE_US)),
            JobsWait::Eagerly => self.queues.softirq.kick::<_, WORK_VERIFY>(self),
        }
        if crowded {
            self.queues.process.kick::<_, WORK_CHORES>(self);
        }
        Some(result)
    }

    /// Lets the verifier go on at `then`, µs. Context: any.
    pub(crate) fn call_verifier_at(&self, then: u64) {
        self.timer.arm(then);
    }

    /// The queues that this node's work runs on.
    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }
}

impl Tick<TIMER_ENGINE> for Node {
    fn tick(this: &Arc<Self>) {
        this.with_engine(|engine, now, env| engine.on_timer(now, env));
        // The tick may be one that the verifier asked for.
        if !this.world.jobs.is_empty() {
            this.queues.softirq.kick::<_, WORK_VERIFY>(this);
        }
    }
}

impl Tick<TIMER_BATCH> for Node {
    fn tick(this: &Arc<Self>) {
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
