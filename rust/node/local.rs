// SPDX-License-Identifier: GPL-2.0

//! What sockets ask of their node.
//!
//! Context: process, may sleep, unless it says otherwise.

use super::{
    env,
    memory::Lender,
    wait_key,
    KernelEngine,
    Node, //
};
use crate::net::errno::{
    EADDRINUSE,
    EDQUOT,
    EKEYREJECTED,
    ENETDOWN,
    ESTALE, //
};
use crate::{
    af_feed::author::OwnFeed,
    net::sock::{
        PollRelay,
        Sock, //
    },
    store::{
        Extent,
        Owner, //
    },
    sync::{
        wait,
        Unfinished, //
    }, //
};
use feed_core::{
    engine::{
        fetch::{
            Credit,
            Reader,
            Status, //
        },
        FeedMemory,
        FeedState,
        FeedsWanted,
        ForkEvidence,
        Refused,
        Wanted, //
    },
    head::{
        Head,
        SignedHead, //
    },
    id::{
        BlobName,
        DiscoveryId,
        Hash,
        Hashes,
        Name, //
    },
    leaf::{
        Leaf,
        LEAF_LEN, //
    },
    object::{
        in_a_row,
        locate,
        locate_leaf,
        unpack_leaf,
        TreeOf, //
    },
    tree::{
        Node as TreeNode,
        Peaks,
        Pos, //
    },
    verify::Freshness,
    wire::{
        ANY_AGE,
        WINDOW,
        WINDOW_HEIGHT, //
    },
    Drop as DropReason, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::msecs_to_jiffies, //
};

/// Length of a node of a tree, bytes.
const HASH_LEN: usize = size_of::<Hash>();

/// How long an author's wish for its own feed lives, ms; it asks again while it waits.
const RECOVER_MS: u32 = 5_000;

/// Feeds that one user may author in a namespace: each is kept in kernel memory for good.
const OWN_FEEDS_MAX: usize = 8_192;

/// Feeds that a node knows at most, own and foreign: 64 MiB, which the namespace's creator pays for.
/// Beyond, idle ones are forgotten.
const FEEDS_MAX: usize = 262_144;

/// The errno of a refusal by the engine's tables.
pub(super) fn errno(refused: Refused) -> Error {
    match refused {
        Refused::Full => ENOSPC,
        Refused::Exists => EEXIST,
        Refused::Missing => ENOENT,
        Refused::Invalid => EINVAL,
    }
}

/// Hands `put` the parts of `bytes` that lie in one object each. They are `len` for each node, or
/// leaf, from `first` on.
fn rows(
    first: Pos,
    bytes: &[u8],
    len: usize,
    mut put: impl FnMut(Pos, &[u8]) -> Result,
) -> Result {
    let (mut pos, mut rest) = (first, bytes);
    while !rest.is_empty() {
        let count = in_a_row(pos);
        let bytes = (count as usize).saturating_mul(len).min(rest.len());
        let (now, later) = rest.split_at(bytes);
        put(pos, now)?;
        pos.index = pos.index.saturating_add(count);
        rest = later;
    }
    Ok(())
}

/// A time-out as the kernel wants it.
fn jiffies(ms: u64) -> c_long {
    msecs_to_jiffies(u32::try_from(ms).unwrap_or(u32::MAX)) as c_long
}

impl Node {
    /// The wall clock, ms since 1970; `None` while it is not set. Context: any.
    pub(crate) fn wall_ms(&self) -> Option<u64> {
        env::wall_ms()
    }

    /// Sleeps until `condition` gives a value; looks at first, and whenever the feed is woken.
    pub(crate) fn wait<R>(
        &self,
        feed: &DiscoveryId,
        timeout_ms: Option<u64>,
        condition: impl FnMut() -> Option<R>,
    ) -> Result<R, Unfinished> {
        let jiffies = match timeout_ms {
            None => wait::FOREVER,
            Some(ms) => jiffies(ms),
        };
        self.world.waits.wait(wait_key(feed), jiffies, condition)
    }

    /// Sleeps until the feed was woken more often than `wakes` times, which [`Node::wakes`] has said
    /// before the caller looked.
    pub(crate) fn sleep(
        &self,
        feed: &DiscoveryId,
        timeout_ms: u64,
        wakes: u32,
    ) -> Result<(), Unfinished> {
        let slept = self.world.waits.sleep(wait_key(feed), jiffies(timeout_ms), wakes);
        slept.map(|_| ())
    }

    /// How often the feed was woken: what was seen before stays true until this changes. Context:
    /// any.
    pub(crate) fn wakes(&self, feed: &DiscoveryId) -> u32 {
        self.world.waits.wakes(wait_key(feed))
    }

    /// Lets sleepers of a feed look again. Context: any.
    pub(crate) fn wake(&self, feed: &DiscoveryId) {
        self.world.waits.wake(wait_key(feed));
    }

    /// Lets who polls the socket hear of a feed. See [`Sock::relay`].
    pub(crate) fn relay(&self, feed: &DiscoveryId, sk: Sock<'_>) -> Result<PollRelay> {
        sk.relay(&self.world.waits, wait_key(feed))
    }

    /// A socket works with the feed from now on.
    pub(crate) fn feed_open(self: &Arc<Self>, id: &DiscoveryId, name: Name) -> Result {
        self.world.store.activate()?;
        for _ in 0..2 {
            let opened = self.with_engine(id, |engine, _, _| {
                (engine.feed_open(id, Some(name)), self.feeds_wanted(engine).is_some())
            });
            let (opened, crowded) = opened.ok_or(ENETDOWN)?;
            if crowded {
                // In time: programs may open feeds faster than the chores come by, and idle ones
                // would make room.
                self.grow_tables();
            }
            match opened {
                Err(Refused::Full) => {}
                done => return done.map_err(errno),
            }
        }
        Err(ENOSPC)
    }

    /// Undoes one [`Node::feed_open`].
    pub(crate) fn feed_close(self: &Arc<Self>, id: &DiscoveryId) {
        self.with_engine(id, |engine, _, _| engine.feed_close(id));
    }

    /// What is known of a feed.
    pub(crate) fn feed_state(self: &Arc<Self>, id: &DiscoveryId) -> Option<FeedState> {
        self.with_engine(id, |engine, _, _| engine.feed_state(id))?
    }

    /// The newest verified head.
    pub(crate) fn head(self: &Arc<Self>, id: &DiscoveryId) -> Option<SignedHead> {
        self.feed_state(id)?.head
    }

    /// Whether the name key has handed the feed over to a working key.
    pub(crate) fn is_handed_over(self: &Arc<Self>, id: &DiscoveryId) -> bool {
        self.with_engine(id, |engine, _, _| engine.is_handed_over(id))
            .unwrap_or(false)
    }

    /// What an author looks at before it signs: [`Node::is_handed_over`], and [`Node::head`].
    pub(crate) fn turn(self: &Arc<Self>, id: &DiscoveryId) -> (bool, Option<Head>) {
        self.with_engine(id, |engine, _, _| {
            (engine.is_handed_over(id), engine.feed_statement(id))
        })
        .unwrap_or_default()
    }

    /// Whether the feed is forked, and what its newest verified head says.
    // Not inlined: all that is known of a feed is large.
    #[inline(never)]
    pub(crate) fn branch(self: &Arc<Self>, id: &DiscoveryId) -> (bool, Option<Head>) {
        self.with_engine(id, |engine, _, _| {
            let state = engine.feed_state(id);
            state.map(|state| (state.is_forked, state.head.map(|head| head.head)))
        })
        .flatten()
        .unwrap_or_default()
    }

    /// Shows the proof that the feed is forked to `look`, which must not sleep; `None` if it is not,
    /// or if there was no room to keep it.
    pub(crate) fn fork<R>(
        self: &Arc<Self>,
        id: &DiscoveryId,
        look: impl FnOnce(&ForkEvidence) -> R,
    ) -> Option<R> {
        self.with_engine(id, |engine, _, _| engine.fork_evidence(id).map(look))?
    }

    /// Asks for a head of at least (epoch, n).
    pub(crate) fn want_head(
        self: &Arc<Self>,
        id: &DiscoveryId,
        at_least: (u32, u64),
        life_ms: u32,
    ) -> Wanted {
        self.with_engine(id, |engine, now, env| {
            engine.want_head(now, id, at_least, ANY_AGE, life_ms, env)
        })
        .unwrap_or(Wanted::NoPort)
    }

    /// News of the feed come without asking, or no longer.
    // Not inlined: stack.
    #[inline(never)]
    pub(crate) fn follow(self: &Arc<Self>, id: &DiscoveryId, add: bool) {
        self.with_engine(id, |engine, now, env| engine.follow_local(now, id, add, env));
    }

    /// Looks at a reader's cursor and asks for what is missing. If it can be read, and `tells`, looks
    /// also at how fresh the head is.
    pub(crate) fn pump(
        self: &Arc<Self>,
        reader: &mut Reader,
        credit: &Credit,
        tells: bool,
    ) -> (Status, Option<Freshness>) {
        let id = *reader.feed();
        // Not handed from call to call: a thousand readers have a thousand stacks, none of them in a
        // cache.
        let mut seen = (Status::Stuck(Wanted::NoPort), None);
        self.with_engine(&id, |engine, now, env| {
            seen.0 = reader.pump(engine, now, credit, env);
            if tells && matches!(seen.0, Status::Ready { .. }) {
                seen.1 = engine.feed_freshness(&id, env::wall_ms());
            }
        });
        seen
    }

    /// A verified leaf, if it is in the store.
    pub(crate) fn leaf(self: &Arc<Self>, id: &DiscoveryId, seq: u64) -> Option<Leaf> {
        let head = self.with_engine(id, |engine, _, _| engine.feed_statement(id))??;
        self.leaf_under(&head, seq)
    }

    /// A leaf that a verified head covers, if it is in the store.
    pub(crate) fn leaf_under(&self, head: &Head, seq: u64) -> Option<Leaf> {
        if seq >= head.n {
            return None;
        }
        let (key, slot) = locate_leaf(&head.name, head.epoch, seq);
        let mut bytes = [0; LEAF_LEN];
        if !self.world.store.slot_get(&key, slot as u8, &mut bytes) {
            return None;
        }
        unpack_leaf(&bytes).map(|(leaf, _)| leaf)
    }

    /// What an engine should have room for, if more than now and no more than it may.
    pub(super) fn feeds_wanted(&self, engine: &KernelEngine) -> Option<FeedsWanted> {
        engine.feeds_wanted(FEEDS_MAX.checked_div(self.shards.count())?)
    }

    /// Adds memory for feeds where the tables are crowded.
    pub(super) fn grow_tables(self: &Arc<Self>) {
        for shard in 0..self.engines.len() {
            let wanted = self.with_shard(shard, |engine, _, _| self.feeds_wanted(engine));
            let Some(wanted) = wanted.flatten() else { continue };
            // Without memory the tables stay as they are, and the engine recycles idle feeds.
            if let Ok(memory) = self.world.payer.charge(|| FeedMemory::lend(wanted, &mut Lender)) {
                let left = self.with_shard(shard, |engine, _, _| engine.grow_feeds(memory));
                drop(left);
            }
        }
    }
}

/// For authors.
impl Node {
    /// Makes the caller the author of a feed, whose author's side is made when it is first asked
    /// for.
    ///
    /// # Errors
    /// `EADDRINUSE` when it has an author, `EDQUOT` when the user has too many feeds, `ENOSPC` when
    /// all users have.
    pub(crate) fn claim_own(&self, name: Name, user: Owner) -> Result<Arc<OwnFeed>> {
        let mut own = self.own.lock();
        if let Some(feed) = own.get(&name.0) {
            return if feed.claim() { Ok(feed.clone()) } else { Err(EADDRINUSE) };
        }
        if own.count_of(user) >= OWN_FEEDS_MAX {
            return Err(EDQUOT);
        }
        // Own feeds are never recycled; others need room, too, however many the users are.
        if own.count() >= FEEDS_MAX / 2 {
            return Err(ENOSPC);
        }
        let feed = Arc::pin_init(OwnFeed::new(name, user), GFP_KERNEL_ACCOUNT)?;
        own.insert(name.0, feed.clone())?;
        feed.claim();
        Ok(feed)
    }

    /// Undoes [`Node::claim_own`]. A feed that was never signed here is forgotten: anybody may
    /// make up names.
    pub(crate) fn release_own(&self, feed: &Arc<OwnFeed>) {
        let mut own = self.own.lock();
        feed.unclaim();
        let forgotten = if feed.is_kept() { None } else { own.remove(&feed.name().0) };
        drop(own);
        drop(forgotten);
    }

    /// This node signs the feed from now on: it stays known, and a host serves it.
    pub(crate) fn mark_own(self: &Arc<Self>, id: &DiscoveryId, name: Name) -> Result {
        // Makes room for it.
        self.feed_open(id, name)?;
        let kept = self.with_engine(id, |engine, _, _| engine.feed_keep(id, name));
        self.feed_close(id);
        kept.ok_or(ENETDOWN)?.map_err(errno)
    }

    /// Undoes [`Node::mark_own`].
    pub(crate) fn unmark_own(self: &Arc<Self>, id: &DiscoveryId) {
        self.with_engine(id, |engine, _, env| engine.feed_let_go(id, env));
    }

    /// Makes the store forget what was appended from `from` on and never signed.
    pub(crate) fn forget_unsigned(self: &Arc<Self>, id: &DiscoveryId, from: u64) {
        self.with_engine(id, |engine, _, env| engine.forget_unsigned(id, from, env));
    }

    /// Publishes a head that was signed here. What it covers must be in the store.
    pub(crate) fn own_head(self: &Arc<Self>, id: &DiscoveryId, head: &SignedHead) -> Result {
        self.with_engine(id, |engine, now, env| engine.own_head(now, id, &head.bytes, env))
            .ok_or(ENETDOWN)?
            .map_err(|reason| match reason {
                DropReason::FeedsFull => ENOSPC,
                DropReason::OldHead => ESTALE,
                DropReason::OldEpoch => EKEYREJECTED,
                _ => EIO,
            })
    }

    /// Asks for the feed's own last entry, whose proof is what an author needs to go on.
    #[inline(never)]
    pub(crate) fn want_entry(self: &Arc<Self>, id: &DiscoveryId, seq: u64) {
        let bit = 1u32 << (seq % u64::from(WINDOW));
        self.with_engine(id, |engine, now, env| {
            engine.want_range(now, id, seq >> WINDOW_HEIGHT, bit, RECOVER_MS, env)
        });
    }

    /// Asks for a head that is at least what an author remembers.
    pub(crate) fn want_own_head(self: &Arc<Self>, id: &DiscoveryId, at_least: (u32, u64)) {
        self.want_head(id, at_least, RECOVER_MS);
    }

    /// Makes `peaks` those of the tree of `n` entries, if its nodes are here; else it is empty.
    // Not inlined, here and below: stack.
    #[inline(never)]
    pub(crate) fn load_peaks(&self, name: &Name, n: u64, peaks: &mut Peaks) -> bool {
        let tree = TreeOf::Feed { name: *name, epoch: 0 };
        peaks.load(n, &mut |node: TreeNode| {
            let (key, slot) = locate(&tree, node);
            let mut hash = [0; 32];
            let here = self.world.store.slot_get(&key, slot as u8, &mut hash);
            (here && hash != [0; 32]).then_some(Hash(hash))
        })
    }

    /// Payload bytes of the first `n` entries, if the last one's leaf is here.
    #[inline(never)]
    pub(crate) fn end_offset(self: &Arc<Self>, id: &DiscoveryId, n: u64) -> Option<u64> {
        match n.checked_sub(1) {
            None => Some(0),
            Some(last) => {
                let leaf = self.leaf(id, last)?;
                leaf.offset.checked_add(u64::from(leaf.len))
            }
        }
    }

    /// Stores nodes of an own feed's tree, which follow each other from `first` on.
    pub(crate) fn pin_nodes(
        &self,
        name: &Name,
        first: Pos,
        hashes: Hashes<'_>,
        uid: Owner,
    ) -> Result {
        let tree = TreeOf::Feed { name: *name, epoch: 0 };
        rows(first, hashes.as_bytes(), HASH_LEN, |pos, bytes| {
            let (key, slot) = locate(&tree, TreeNode::Full(pos));
            self.world
                .store
                .pinned_slots_put(&key, slot as u8, HASH_LEN, bytes, uid)
        })
    }

    /// Stores leaves of an own feed, packed, from that of `first` on.
    pub(crate) fn pin_leaves(
        &self,
        name: &Name,
        first: u64,
        leaves: &[[u8; LEAF_LEN]],
        uid: Owner,
    ) -> Result {
        rows(Pos::leaf(first), leaves.as_flattened(), LEAF_LEN, |pos, bytes| {
            let (key, slot) = locate_leaf(name, 0, pos.index);
            self.world
                .store
                .pinned_slots_put(&key, slot as u8, LEAF_LEN, bytes, uid)
        })
    }

    /// Makes sure that there will be room for the leaf of `seq`, for those after it in its window,
    /// and for all nodes that these complete.
    pub(crate) fn pin_room(&self, name: &Name, seq: u64, uid: Owner) -> Result {
        let store = &self.world.store;
        let tree = TreeOf::Feed { name: *name, epoch: 0 };
        let node_room = |pos| {
            let (key, slot) = locate(&tree, TreeNode::Full(pos));
            store.pinned_slots_put(&key, slot as u8, HASH_LEN, &[], uid)
        };
        let (key, slot) = locate_leaf(name, 0, seq);
        store.pinned_slots_put(&key, slot as u8, LEAF_LEN, &[], uid)?;
        node_room(Pos::leaf(seq))?;
        // The node above a tile lies in the next tier's; it is complete with the tile's last one.
        let above = |pos: Pos| Pos {
            level: pos.level + WINDOW_HEIGHT,
            index: pos.index >> WINDOW_HEIGHT,
        };
        let mut pos = above(Pos::leaf(seq));
        loop {
            node_room(pos)?;
            if (pos.index + 1) % u64::from(WINDOW) != 0 {
                return Ok(());
            }
            pos = above(pos);
        }
    }

    /// Stores a node of an own blob's tree.
    pub(crate) fn pin_blob_node(
        &self,
        blob: &BlobName,
        node: TreeNode,
        hash: &Hash,
        uid: Owner,
    ) -> Result {
        let (key, slot) = locate(&TreeOf::Blob(*blob), node);
        self.world
            .store
            .pinned_slots_put(&key, slot as u8, HASH_LEN, &hash.0, uid)
    }

    /// Has `fill` copy a window of a payload to where nothing finds it yet.
    pub(crate) fn pin_bytes(
        &self,
        len: usize,
        uid: Owner,
        fill: impl FnMut(usize, &mut [u8]) -> bool,
    ) -> Result<Extent> {
        let len = u32::try_from(len).map_err(|_| EMSGSIZE)?;
        // A feed's author serves it even as a host: its payloads are public.
        let mut extent = self.world.store.pinned_reserve(len, true, uid)?;
        if extent.fill(0, len, fill) {
            Ok(extent)
        } else {
            Err(EFAULT)
        }
    }

    /// Signs at `due`, µs, what was appended with MSG_MORE. The caller holds the feed's mutex.
    pub(crate) fn arm_batch(&self, feed: &Arc<OwnFeed>, due: u64) -> Result {
        // Who is listed is signed before its next entry's time is over.
        if feed.set_listed(true) {
            return Ok(());
        }
        let listed = self.batches.lock().push(feed.clone(), GFP_KERNEL);
        if listed.is_err() {
            feed.set_listed(false);
        }
        listed?;
        self.batch.arm(due);
        Ok(())
    }

    /// Signs all batches whose time may be over.
    pub(super) fn sign_batches(self: &Arc<Self>) {
        let waiting = core::mem::take(&mut *self.batches.lock());
        for feed in waiting.iter() {
            // First: what is appended from here on is listed anew.
            feed.set_listed(false);
            feed.sign_provisional(self);
        }
    }
}
