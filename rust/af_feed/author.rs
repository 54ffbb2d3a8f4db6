// SPDX-License-Identifier: GPL-2.0

//! Authors: from a send call to a signed head.
//!
//! An entry is made in four steps: the payload is copied from the program into windows that no
//! index points to ([`Draft`]); windows, leaf and tree nodes are published; the tree grows by one
//! leaf; a head that covers the leaf is signed. Only after the last step do readers see the entry,
//! and only the last step is ever told to the network. Steps two to four run under the feed's
//! mutex, so there is one order of entries and nothing is signed twice differently (law 5).
//!
//! MSG_MORE postpones the last step: the entry is provisional until one head covers the batch.
//! The node signs what is left over when [`FEED_BATCH_MS`] have passed.
//!
//! Locks: a socket's `io`, then [`OwnFeed::inner`], then what the node takes.

use super::uapi::*;
use crate::net::errno::{
    EBADMSG,
    EKEYREJECTED,
    ENOKEY,
    EOPNOTSUPP,
    ESTALE, //
};
use crate::{
    net::sock::{
        Message,
        Sock, //
    },
    node::Node,
    store::{
        Extent,
        Owner, //
    },
    sync::Unfinished, //
};
use core::sync::atomic::{
    AtomicBool,
    AtomicU64,
    Ordering, //
};
use feed_core::{
    blob::BlobHasher,
    head::{
        Head,
        SignedHead,
        HEAD_FINAL, //
    },
    id::{
        BlobName,
        DiscoveryId,
        Hash,
        Name, //
    },
    leaf::Leaf,
    sign::{
        PublicKey,
        Seed, //
    },
    tree::{
        Node as TreeNode,
        Peaks, //
    },
    wire::WINDOW_BYTES, //
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

/// What is copied from a program at once, bytes: BLAKE3's stack stays flat up to this.
const PIECE: usize = 4096;

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

/// The author's state of one feed.
struct Inner {
    /// Present while a socket is bound; wiped when it closes. Boxed, so that passing it on leaves
    /// no copy behind.
    seed: Option<KBox<Seed>>,
    /// What the program says it has seen signed. Signing waits until the store knows that much.
    remembered: Option<KBox<SignedHead>>,
    /// Whether `peaks` and `offset` are those of the newest head there is.
    ready: bool,
    /// The tree of all entries, provisional ones included.
    peaks: Peaks,
    /// Payload bytes of all entries.
    offset: u64,
    /// The newest head that was signed.
    signed: Option<Head>,
    /// Entries, and their bytes, that no head covers yet.
    provisional: u32,
    provisional_bytes: u64,
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
                provisional: 0,
                provisional_bytes: 0,
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
    pub(crate) fn sign_provisional(&self, node: &Arc<Node>) {
        let mut inner = self.inner.lock();
        if inner.provisional > 0 {
            // After an error the entries stay provisional: the next send, or close, tries again.
            let _ = inner.sign(node, self);
        }
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
            node.feed_close(&self.id);
        }
    }

    /// Waits until the store knows as much of the feed as its author remembers.
    ///
    /// # Errors
    /// `ESTALE` when it does not within `timeout_ms`, or at once with `nonblock`.
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
        if held.head.epoch != 0 {
            // A grant has handed the feed to a working key: the name key may not go on.
            return Err(EKEYREJECTED);
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
        let Some(peaks) = node.peaks(&self.name, n) else {
            ask();
            return Ok(false);
        };
        if peaks.root() != head.root {
            return Err(EIO);
        }
        self.keep(node)?;
        inner.peaks = peaks;
        inner.offset = offset;
        inner.finished = head.is_final();
        inner.signed = Some(*head);
        // What no head covered was never told to anybody, and is not of this tree.
        inner.provisional = 0;
        inner.provisional_bytes = 0;
        // Good for once: if the feed goes on elsewhere, its author has to say so again.
        inner.remembered = None;
        inner.ready = true;
        Ok(true)
    }

    /// Appends one entry whose payload is `draft`.
    fn append(
        self: &Arc<Self>,
        node: &Arc<Node>,
        draft: &mut Piece,
        more: bool,
        unsigned_max: u64,
    ) -> Result {
        let mut inner = self.inner.lock();
        if inner.finished {
            return Err(EPIPE);
        }
        if !inner.ready {
            return Err(ESTALE);
        }
        let blob = draft.publish(node)?;
        let leaf = Leaf {
            seq: inner.peaks.n(),
            offset: inner.offset,
            time: draft.append.time.unwrap_or_else(|| node.wall_ms().unwrap_or(0)),
            len: blob.len,
            flags: u32::from(draft.append.app_flags),
            blob: blob.hash,
        };
        let offset = leaf.offset.checked_add(u64::from(leaf.len)).ok_or(EFBIG)?;
        // On a copy: when the store is full half-way, the tree has not changed.
        let mut peaks = KBox::new(inner.peaks.clone(), GFP_KERNEL)?;
        let mut full = Ok(());
        peaks
            .push(&leaf.hash(), |pos, hash| {
                if full.is_ok() {
                    full = node.pin_node(&self.name, TreeNode::Full(pos), hash, inner.uid);
                }
            })
            .map_err(|_| EFBIG)?;
        full?;
        node.pin_leaf(&self.name, &leaf, inner.uid)?;
        core::mem::swap(&mut inner.peaks, &mut *peaks);
        inner.offset = offset;
        inner.provisional += 1;
        inner.provisional_bytes = inner.provisional_bytes.saturating_add(u64::from(leaf.len));

        let full_batch =
            inner.provisional >= FEED_BATCH_MAX || inner.provisional_bytes > unsigned_max;
        // Without memory to remember the batch it ends here.
        let waits = more && !full_batch && node.arm_batch(self).is_ok();
        if !waits {
            if let Err(e) = inner.sign(node, self) {
                // The program is told that it failed, so it must not come into the feed later.
                core::mem::swap(&mut inner.peaks, &mut *peaks);
                inner.offset = leaf.offset;
                inner.provisional = inner.provisional.saturating_sub(1);
                inner.provisional_bytes =
                    inner.provisional_bytes.saturating_sub(u64::from(leaf.len));
                return Err(e);
            }
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(u64::from(leaf.len), Ordering::Relaxed);
        Ok(())
    }
}

impl Inner {
    /// Signs a head over all entries and publishes it.
    fn sign(&mut self, node: &Arc<Node>, feed: &OwnFeed) -> Result {
        if !self.ready || self.goes_on_elsewhere(node, feed) {
            // Law 5: what was built on the older state must not be signed any more.
            self.ready = false;
            self.provisional = 0;
            self.provisional_bytes = 0;
            return Err(ESTALE);
        }
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
        self.provisional = 0;
        self.provisional_bytes = 0;
        Ok(())
    }

    /// Whether the newest verified head is not the one that was signed here: then somebody else
    /// has the key, too, and another head of ours would be a fork.
    fn goes_on_elsewhere(&self, node: &Arc<Node>, feed: &OwnFeed) -> bool {
        let Some(held) = node.head(&feed.id) else {
            return false;
        };
        match &self.signed {
            Some(ours) => !ours.same_tree(&held.head) || held.head.is_final() != ours.is_final(),
            None => held.head.n > 0,
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
            if known > 0 || inner.peaks.n() > 0 || remembered.is_some_and(|head| head.head.n > 0) {
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
        if inner.provisional > 0 && inner.sign(node, &self.feed).is_err() {
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
        self.feed.inner.lock().peaks.n()
    }

    /// For FEED_OPT_INFO.
    pub(crate) fn info(&self) -> Info {
        let inner = self.feed.inner.lock();
        Info {
            known: inner.signed.map_or(0, |head| head.n),
            next: inner.peaks.n(),
            entries: self.feed.entries.load(Ordering::Relaxed),
            bytes: self.feed.bytes.load(Ordering::Relaxed),
            ..Info::default()
        }
    }
}

/// The entry that a socket is making; most of the time none.
pub(crate) struct Draft(Option<KBox<Piece>>);

/// A payload on its way into the store.
struct Piece {
    append: Append,
    hasher: BlobHasher,
    /// Bytes of the window that is being filled.
    window: KVVec<u8>,
    /// Windows that are full, hashed, and that no index points to.
    windows: KVVec<Extent>,
    /// Nodes of the blob's tree from windows upwards: the blob's name, under which they will be
    /// found, is known last.
    nodes: KVVec<(TreeNode, Hash)>,
    uid: Owner,
}

impl Draft {
    /// No entry is being made.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// One send call. Context: process, may sleep; the caller holds the socket's `io`.
    pub(crate) fn send(
        &mut self,
        node: &Arc<Node>,
        feed: &Arc<OwnFeed>,
        sk: Sock<'_>,
        msg: &mut Message<'_>,
        len: usize,
    ) -> Result<usize> {
        let flags = msg.flags();
        if flags & MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        let append = parse_controls(msg)?;
        let splice = flags & MSG_SPLICE_PAGES != 0;
        let more = flags & MSG_MORE != 0;
        // A plain send in the middle of a sendfile ends that entry first.
        if !splice && self.0.is_some() {
            self.end(node, feed, sk)?;
        }
        let before = self.0.as_ref().map_or(0, |piece| piece.len());
        if before.saturating_add(len) > FEED_ENTRY_MAX {
            return Err(self.give_up(sk, EMSGSIZE));
        }
        if len == 0 && !splice && !append.empty {
            return Err(EINVAL);
        }
        if len > 0 && append.empty {
            return Err(EINVAL);
        }
        let mut piece = match self.0.take() {
            Some(piece) => piece,
            None => Piece::new(append, Owner::of_current())?,
        };
        let filled = piece.fill(node, msg, len);
        if filled.is_ok() && splice && more {
            self.0 = Some(piece);
            return Ok(len);
        }
        if let Err(e) = filled {
            if before > 0 {
                self.0 = Some(piece);
            }
            return Err(self.give_up(sk, e));
        }
        let batch = !splice && (more || flags & MSG_BATCH != 0);
        feed.append(node, &mut piece, batch, u64::from(sk.send_buffer()))?;
        Ok(len)
    }

    /// Drops the entry that is being made. If bytes of it were taken by earlier calls, the program
    /// has been told that they were sent: SO_ERROR, or the next call, says that they were not.
    fn give_up(&mut self, sk: Sock<'_>, error: Error) -> Error {
        if self.0.take().is_some() {
            sk.set_error(error);
        }
        error
    }

    /// Ends an entry that came in pieces, if there is one.
    pub(crate) fn end(&mut self, node: &Arc<Node>, feed: &Arc<OwnFeed>, sk: Sock<'_>) -> Result {
        match self.0.take() {
            Some(mut piece) if !piece.is_empty() => {
                feed.append(node, &mut piece, false, u64::from(sk.send_buffer()))
            }
            _ => Ok(()),
        }
    }
}

fn parse_controls(msg: &Message<'_>) -> Result<Append> {
    let mut append = None;
    for control in msg.controls() {
        let control = control?;
        if control.level != SOL_FEED {
            continue;
        }
        if control.kind != FEED_CMSG_APPEND || append.is_some() {
            return Err(EINVAL);
        }
        append = Some(Append::parse(control.data)?);
    }
    Ok(append.unwrap_or_default())
}

impl Piece {
    fn new(append: Append, uid: Owner) -> Result<KBox<Self>> {
        // In place: the hasher is too large for the stack.
        KBox::init(
            init!(Self {
                append,
                hasher: BlobHasher::new(),
                window: KVVec::new(),
                windows: KVVec::new(),
                nodes: KVVec::new(),
                uid,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Bytes so far.
    fn len(&self) -> usize {
        (self.hasher.len() as usize).saturating_add(self.window.len())
    }

    fn is_empty(&self) -> bool {
        self.hasher.is_empty() && self.window.is_empty()
    }

    /// Copies `len` bytes from the program. They are hashed from the copy: what the program does
    /// to its memory meanwhile does not matter.
    fn fill(&mut self, node: &Arc<Node>, msg: &mut Message<'_>, len: usize) -> Result {
        let mut left = len;
        while left > 0 {
            let room = (WINDOW_BYTES as usize).saturating_sub(self.window.len());
            if room == 0 {
                self.flush(node)?;
                continue;
            }
            let now = left.min(room).min(PIECE);
            let start = self.window.len();
            self.window.resize(start + now, 0, GFP_KERNEL)?;
            let copied = msg.source().copy_from_iter(&mut self.window[start..]);
            if copied != now {
                return Err(EFAULT);
            }
            left -= now;
        }
        Ok(())
    }

    /// Hashes the window and moves it into the store, where nothing finds it yet.
    fn flush(&mut self, node: &Arc<Node>) -> Result {
        if self.window.is_empty() {
            return Ok(());
        }
        let nodes = &mut self.nodes;
        let mut full = Ok(());
        self.hasher
            .update(&self.window, |tree_node, hash| {
                if full.is_ok() {
                    full = nodes.push((tree_node, *hash), GFP_KERNEL);
                }
            })
            .map_err(|_| EMSGSIZE)?;
        full?;
        let extent = node.pin_bytes(&self.window, self.uid)?;
        self.windows.push(extent, GFP_KERNEL)?;
        self.window.clear();
        Ok(())
    }

    /// Makes the payload findable under its name.
    fn publish(&mut self, node: &Arc<Node>) -> Result<BlobName> {
        self.flush(node)?;
        let nodes = &mut self.nodes;
        let mut full = Ok(());
        let blob = self.hasher.finish(|tree_node, hash| {
            if full.is_ok() {
                full = nodes.push((tree_node, *hash), GFP_KERNEL);
            }
        });
        full?;
        for (tree_node, hash) in self.nodes.iter() {
            node.pin_blob_node(&blob, *tree_node, hash, self.uid)?;
        }
        for (window, extent) in self.windows.drain_all().enumerate() {
            if !extent.publish_as(&blob, window as u16, 0) {
                return Err(ENOSPC);
            }
        }
        Ok(blob)
    }
}
