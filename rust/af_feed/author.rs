// SPDX-License-Identifier: GPL-2.0

//! Authors: from a send call to a signed head.
//!
//! An entry is made in four steps: the payload is copied from the program into windows that no
//! index points to ([`Draft`](super::draft::Draft)); windows, leaf and tree nodes are published;
//! the tree grows by one leaf; a head that covers the leaf is signed. Only after the last step do readers see the entry,
//! and only the last step is ever told to the network. Steps two to four run under the feed's
//! mutex, so there is one order of entries and nothing is signed twice differently (law 5).
//!
//! MSG_MORE postpones all but the first step: the entry is provisional until one head covers the
//! batch ([`Batch`]). The node signs what is left over when [`FEED_BATCH_MS`] have passed.
//!
//! Locks: a socket's `io`, then [`OwnFeed::inner`], then what the node takes.

use super::{
    batch::{
        Batch,
        Payload, //
    },
    uapi::*, //
};
use crate::net::errno::{
    EBADMSG,
    EKEYREJECTED,
    ENOKEY,
    ESTALE, //
};
use crate::{
    node::Node,
    store::Owner,
    sync::{
        clock::monotonic_us,
        Unfinished, //
    }, //
};
use core::sync::atomic::{
    AtomicBool,
    AtomicU64,
    Ordering, //
};
use feed_core::{
    head::{
        Head,
        SignedHead,
        HEAD_FINAL, //
    },
    id::{
        DiscoveryId,
        Name, //
    },
    sign::{
        PublicKey,
        Seed, //
    },
    tree::Peaks,
    wire::{
        MAX_ENTRIES,
        WINDOW, //
    }, //
};
use kernel::{
    new_mutex,
    pr_warn_once,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// A feed that was authored in this namespace. It outlives its author's socket: the next one
/// continues where the last one stopped.
#[pin_data]
pub(crate) struct OwnFeed {
    id: DiscoveryId,
    name: Name,
    /// Who bound it first: a user may have so many feeds.
    user: Owner,
    /// A socket is bound to it. Changes under the node's lock of own feeds.
    claimed: AtomicBool,
    /// It was or may be signed here: it stays known.
    kept: AtomicBool,
    /// It is in the node's list of batches that wait.
    listed: AtomicBool,
    /// Entries and bytes that this socket appended.
    entries: AtomicU64,
    bytes: AtomicU64,
    #[pin]
    inner: Mutex<Inner>,
}

/// What a program has sent.
pub(super) struct Appended {
    pub(super) payload: Payload,
    pub(super) len: u32,
    pub(super) time: u64,
    pub(super) flags: u32,
}

/// The author's state of one feed.
struct Inner {
    /// Present while a socket is bound; wiped when it closes. Boxed, so that passing it on leaves
    /// no copy behind.
    seed: Option<KBox<Seed>>,
    /// What the program says it has seen signed. Signing waits until the store knows that much.
    remembered: Option<KBox<SignedHead>>,
    /// Whether `peaks` and `offset` are those of the newest head there is.
    ready: bool,
    /// The tree of all entries that were signed.
    peaks: Peaks,
    /// Payload bytes of them.
    offset: u64,
    /// The newest head that was signed.
    signed: Option<Head>,
    /// Entries that no head covers yet.
    batch: Batch,
    /// No more entries.
    finished: bool,
    next_by: u64,
    /// Who pays for pinned bytes.
    uid: Owner,
}

impl OwnFeed {
    /// Makes the author's side of a feed that this namespace has not authored before.
    pub(crate) fn new(name: Name, user: Owner) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            id: name.id(),
            name,
            user,
            claimed: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            inner <- new_mutex!(Inner {
                seed: None,
                remembered: None,
                ready: false,
                peaks: Peaks::new(),
                offset: 0,
                signed: None,
                batch: Batch::new(),
                finished: false,
                next_by: 0,
                uid: *user,
            }, "OwnFeed::inner"),
        }? Error)
    }

    /// Its name.
    pub(crate) fn name(&self) -> Name {
        self.name
    }

    /// Who bound it first.
    pub(crate) fn user(&self) -> Owner {
        self.user
    }

    /// Who pays for what is appended: who bound the socket, whoever writes to it.
    pub(super) fn payer(&self) -> Owner {
        self.inner.lock().uid
    }

    /// Whether it must not be forgotten.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Makes the caller its one author; false if there is one. Under the lock of own feeds.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Undoes [`OwnFeed::claim`]. Under the lock of own feeds.
    pub(crate) fn unclaim(&self) {
        self.claimed.store(false, Ordering::Release);
    }

    /// Says whether it is in the node's list of batches; gives what was said before.
    pub(crate) fn set_listed(&self, listed: bool) -> bool {
        self.listed.swap(listed, Ordering::AcqRel)
    }

    /// Signs what waits for the end of its batch. Context: process; called by the node's worker.
    pub(crate) fn sign_provisional(self: &Arc<Self>, node: &Arc<Node>) {
        let mut inner = self.inner.lock();
        if inner.batch.is_empty() {
            return;
        }
        // The batch that it was called for was signed before its time, and another has begun.
        let due = inner.batch.due();
        if monotonic_us() < due && node.arm_batch(self, due).is_ok() {
            return;
        }
        // After an error the entries stay provisional: the next send, or close, tries again.
        let _ = inner.sign(node, self);
    }

    /// From now on the feed stays known, here and to the engine.
    #[inline(never)]
    fn keep(&self, node: &Arc<Node>) -> Result {
        if self.kept.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        node.mark_own(&self.id, self.name).inspect_err(|_| {
            self.kept.store(false, Ordering::Relaxed);
        })
    }

    /// Undoes [`OwnFeed::keep`] when nothing was signed.
    fn let_go(&self, node: &Arc<Node>) {
        if self.kept.swap(false, Ordering::Relaxed) {
            node.unmark_own(&self.id);
        }
    }

    /// Waits until the store knows as much of the feed as its author remembers.
    ///
    /// # Errors
    /// `ESTALE` when it does not within `timeout_ms`, or at once with `nonblock`; `EKEYREJECTED` when
    /// its name key has handed the feed over to a working key.
    pub(crate) fn await_ready(&self, node: &Arc<Node>, timeout_ms: u64, nonblock: bool) -> Result {
        if self.recover(node)? {
            return Ok(());
        }
        if nonblock || self.inner.lock().remembered.is_none() {
            return Err(ESTALE);
        }
        node.wait(&self.id, Some(timeout_ms), || match self.recover(node) {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(e) => Some(Err(e)),
        })
        .unwrap_or_else(|unfinished| match unfinished {
            Unfinished::TimedOut => Err(ESTALE),
            Unfinished::Signal(e) => Err(e),
        })
    }

    /// One step towards being allowed to sign: asks for what is missing. True when it may.
    ///
    /// A head found in the network alone never permits signing: without a remembered head this
    /// stays false.
    fn recover(&self, node: &Arc<Node>) -> Result<bool> {
        let mut inner = self.inner.lock();
        if inner.ready {
            return Ok(true);
        }
        if node.is_handed_over(&self.id) {
            return Err(EKEYREJECTED);
        }
        let Some(remembered) = inner.remembered.as_deref() else {
            return Ok(false);
        };
        let least = remembered.head.order();
        if least.1 == 0 && node.head(&self.id).is_none() {
            // The empty feed needs no proof: the head that the author kept is all of it.
            let head = *remembered;
            node.own_head(&self.id, &head)?;
        }
        let held = match node.head(&self.id) {
            Some(held) if held.head.order() >= least => held,
            _ => {
                node.want_own_head(&self.id, (least.0, least.1));
                return Ok(false);
            }
        };
        if remembered.head.forks(&held.head) {
            return Err(EBADMSG);
        }
        self.take_up(&mut inner, node, &held.head)
    }

    /// Goes on from `head`, if what an author needs of its tree is here; else asks for it.
    // Not inlined: the tree's peaks are large.
    #[inline(never)]
    fn take_up(&self, inner: &mut Inner, node: &Arc<Node>, head: &Head) -> Result<bool> {
        let n = head.n;
        // The last entry's proof has all that an author needs.
        let ask = || node.want_entry(&self.id, n.saturating_sub(1));
        let Some(offset) = node.end_offset(&self.id, n) else {
            ask();
            return Ok(false);
        };
        // Whatever they were: while the author is not ready nothing is built on them.
        if !node.load_peaks(&self.name, n, &mut inner.peaks) {
            ask();
            return Ok(false);
        }
        if inner.peaks.root() != head.root {
            inner.peaks.clear();
            return Err(EIO);
        }
        self.keep(node).inspect_err(|_| inner.peaks.clear())?;
        inner.offset = offset;
        inner.finished = head.is_final();
        inner.signed = Some(*head);
        // What no head covered was never told to anybody, and is not of this tree.
        inner.batch.clear();
        // Good for once: if the feed goes on elsewhere, its author has to say so again.
        inner.remembered = None;
        inner.ready = true;
        Ok(true)
    }

    /// Appends one entry. It waits for the end of a batch with `more`, unless more than
    /// `unsigned_max` bytes would be without a signature then.
    pub(super) fn append(
        self: &Arc<Self>,
        node: &Arc<Node>,
        entry: Appended,
        more: bool,
        unsigned_max: u64,
    ) -> Result {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.finished {
            return Err(EPIPE);
        }
        let len = u64::from(entry.len);
        let before = inner.batch.bytes();
        inner.offset.checked_add(before).and_then(|sum| sum.checked_add(len)).ok_or(EFBIG)?;
        let seq = inner.next_seq();
        if seq >= MAX_ENTRIES {
            return Err(EFBIG);
        }
        let full = inner.batch.len() + 1 >= FEED_BATCH_MAX as usize
            || before.saturating_add(len) > unsigned_max;
        let mut waits = more && !full;
        if waits && inner.batch.is_empty() {
            // Later errors would be for entries that the program believes to be sent.
            inner.check_turn(node, self)?;
            inner.batch.set_due(monotonic_us().saturating_add(FEED_BATCH_MS * 1_000));
        }
        if waits && (inner.batch.is_empty() || seq % u64::from(WINDOW) == 0) {
            node.pin_room(&self.name, seq, inner.uid)?;
        }
        inner.batch.push(entry)?;
        // Without memory to remember the batch it ends here.
        waits = waits && node.arm_batch(self, inner.batch.due()).is_ok();
        if !waits {
            // If the program is told that it failed, it must not come into the feed later.
            inner.sign(node, self).inspect_err(|_| inner.batch.pop())?;
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }
}

impl Inner {
    /// The seq that the next entry will have.
    fn next_seq(&self) -> u64 {
        self.peaks.n().saturating_add(self.batch.len() as u64)
    }

    /// Signs a head over all entries and publishes it. After an error they are provisional still,
    /// unless it was somebody else's turn.
    fn sign(&mut self, node: &Arc<Node>, feed: &OwnFeed) -> Result {
        // Before anything is stored in a place that may be somebody else's entry by now.
        self.check_turn(node, feed)?;
        if self.batch.is_empty() {
            return self.sign_tree(node, feed);
        }
        let peaks = &mut self.peaks;
        let settled = self.batch.settle(node, &feed.name, peaks, self.offset, self.uid)?;
        self.sign_tree(node, feed)
            .inspect_err(|_| settled.undo(&mut self.peaks))?;
        self.offset = settled.offset;
        self.batch.clear();
        Ok(())
    }

    /// Signs a head over the tree and publishes it.
    fn sign_tree(&mut self, node: &Arc<Node>, feed: &OwnFeed) -> Result {
        let seed = self.seed.as_deref().ok_or(ENOKEY)?;
        // A refresh counts only with a later time.
        let earliest = match &self.signed {
            Some(head) if head.n == self.peaks.n() && head.time != 0 => head.time.saturating_add(1),
            _ => 0,
        };
        let head = Head {
            flags: if self.finished { HEAD_FINAL } else { 0 },
            epoch: 0,
            n: self.peaks.n(),
            time: node.wall_ms().unwrap_or(0).max(earliest),
            next_by: self.next_by,
            name: feed.name,
            root: self.peaks.root(),
        };
        let signed = head.sign(seed).map_err(|_| EIO)?;
        node.own_head(&feed.id, &signed)?;
        self.signed = Some(head);
        Ok(())
    }

    /// Law 5: whether what is built on the state here may be signed. If not, it is forgotten.
    ///
    /// # Errors
    /// `ESTALE` until the author has caught up with the feed, `EKEYREJECTED` once its name key has
    /// handed it over to a working key.
    #[inline(never)]
    fn check_turn(&mut self, node: &Arc<Node>, feed: &OwnFeed) -> Result {
        let (handed_over, held) = node.turn(&feed.id);
        if self.ready && !handed_over && !held.is_some_and(|held| self.goes_on_elsewhere(&held)) {
            return Ok(());
        }
        if self.ready {
            let signed = self.signed.map_or(0, |head| head.n);
            node.forget_unsigned(&feed.id, signed);
        }
        self.ready = false;
        self.batch.clear();
        Err(if handed_over { EKEYREJECTED } else { ESTALE })
    }

    /// Whether the newest verified head is not the one that was signed here: then somebody else
    /// has the key, too, and another head of ours would be a fork.
    fn goes_on_elsewhere(&self, held: &Head) -> bool {
        match &self.signed {
            Some(ours) => !ours.same_tree(held) || held.is_final() != ours.is_final(),
            None => held.n > 0,
        }
    }
}

/// A socket's hold on a feed: the right to extend it.
pub(crate) struct Authorship {
    feed: Arc<OwnFeed>,
}

impl Authorship {
    /// Makes the caller the one author of `name` in this namespace. On success the secret has
    /// moved to the feed.
    ///
    /// # Errors
    /// `EADDRINUSE` for a second author; `EEXIST` when a feed that is said to be new has entries
    /// here; `EKEYREJECTED` when the remembered head was not signed by this key.
    pub(crate) fn claim(
        node: &Arc<Node>,
        name: Name,
        new: bool,
        remembered: Option<&SignedHead>,
        seed: &mut Option<KBox<Seed>>,
        uid: Owner,
    ) -> Result<Self> {
        let this = Self {
            feed: node.claim_own(name, uid)?,
        };
        let begun = this.begin(node, new, remembered, seed, uid);
        if let Err(e) = begun {
            this.release(node, seed);
            return Err(e);
        }
        Ok(this)
    }

    fn begin(
        &self,
        node: &Arc<Node>,
        new: bool,
        remembered: Option<&SignedHead>,
        seed: &mut Option<KBox<Seed>>,
        uid: Owner,
    ) -> Result {
        let feed = &self.feed;
        if let Some(head) = remembered {
            let ours = head.head.name == feed.name && head.head.epoch == 0;
            if !ours || head.verify(&PublicKey::from(feed.name)).is_err() {
                return Err(EKEYREJECTED);
            }
        }
        let mut inner = feed.inner.lock();
        inner.uid = uid;
        inner.seed = seed.take();
        feed.entries.store(0, Ordering::Relaxed);
        feed.bytes.store(0, Ordering::Relaxed);
        if new {
            let known = node.head(&feed.id).map_or(0, |held| held.head.n);
            let goes_on = known > 0 || node.is_handed_over(&feed.id);
            if goes_on || inner.next_seq() > 0 || remembered.is_some_and(|head| head.head.n > 0) {
                return Err(EEXIST);
            }
            if !inner.ready {
                feed.keep(node)?;
                inner.ready = true;
                if let Err(e) = inner.sign(node, feed) {
                    inner.ready = false;
                    feed.let_go(node);
                    return Err(e);
                }
            }
        } else if let Some(head) = remembered {
            let newer = inner.signed.is_none_or(|signed| signed.order() < head.head.order());
            if newer || !inner.ready {
                // Perhaps this namespace's own state is older than what another one signed.
                inner.ready = false;
                inner.remembered = Some(KBox::new(*head, GFP_KERNEL)?);
            }
        }
        drop(inner);
        // Asks early for what is missing; send() waits for it.
        if !new {
            let _ = feed.recover(node)?;
        }
        Ok(())
    }

    /// Gives the secret back to the caller (who wipes it) and the feed free.
    fn release(self, node: &Arc<Node>, seed: &mut Option<KBox<Seed>>) {
        let taken = self.feed.inner.lock().seed.take();
        if seed.is_none() {
            *seed = taken;
        }
        node.release_own(&self.feed);
    }

    /// Signs what is provisional, wipes the secret, lets the next author in.
    pub(crate) fn close(&self, node: &Arc<Node>) {
        let mut inner = self.feed.inner.lock();
        if !inner.batch.is_empty() && inner.sign(node, &self.feed).is_err() {
            pr_warn_once!("the last batch of a feed could not be signed at close\n");
        }
        inner.seed = None;
        drop(inner);
        node.release_own(&self.feed);
    }

    /// Says that no entry will follow. Later sends are EPIPE.
    pub(crate) fn finish(&self, node: &Arc<Node>) -> Result {
        self.resign(node, |inner| inner.finished = true)
    }

    /// Promises a newer head by `next_by`, ms since 1970.
    pub(crate) fn promise(&self, node: &Arc<Node>, next_by: u64) -> Result {
        self.resign(node, |inner| inner.next_by = next_by)
    }

    fn resign(&self, node: &Arc<Node>, change: impl FnOnce(&mut Inner)) -> Result {
        let mut inner = self.feed.inner.lock();
        if !inner.ready {
            return Err(ESTALE);
        }
        if inner.finished {
            return Err(EPIPE);
        }
        let before = (inner.finished, inner.next_by);
        change(&mut inner);
        inner.sign(node, &self.feed).inspect_err(|_| {
            (inner.finished, inner.next_by) = before;
        })
    }

    /// The feed itself.
    pub(crate) fn feed(&self) -> Arc<OwnFeed> {
        self.feed.clone()
    }

    /// The name that it is looked up by.
    pub(crate) fn id(&self) -> DiscoveryId {
        self.feed.id
    }

    /// The feed's name.
    pub(crate) fn name(&self) -> Name {
        self.feed.name
    }

    /// The seq that the next entry will have.
    pub(crate) fn next_seq(&self) -> u64 {
        self.feed.inner.lock().next_seq()
    }

    /// For FEED_OPT_INFO.
    pub(crate) fn info(&self) -> Info {
        let inner = self.feed.inner.lock();
        Info {
            known: inner.signed.map_or(0, |head| head.n),
            next: inner.next_seq(),
            entries: self.feed.entries.load(Ordering::Relaxed),
            bytes: self.feed.bytes.load(Ordering::Relaxed),
            ..Info::default()
        }
    }
}
