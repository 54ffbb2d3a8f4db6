// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Checking proofs, and telling the caller which nodes they prove.
//!
//! A proof is taken only with exactly as many hashes as the tree's shape demands, so it has one valid
//! form. Sinks are called after the whole proof held, never before: what they get may be stored.

use crate::blob::{self, BlobTree};
use crate::error::Drop;
use crate::id::{BlobName, Hash, HashBuf, Hashes};
use crate::tree::{self, FeedTree, Node, Pos, Siblings, TreeHasher};
use crate::wire::{MAX_CONS, MAX_ENTRIES, MAX_PAGE, WINDOW};

/// The nodes on the way up, each computed from the one before and a sibling.
type Trail = HashBuf<MAX_CONS>;

/// Combines `hash` with its siblings up to the top of the tree of `n` leaves and notes each parent.
fn climb(
    tree: &impl TreeHasher,
    n: u64,
    pos: Pos,
    hash: &Hash,
    proof: Hashes<'_>,
    trail: &mut Trail,
) -> Result<Hash, Drop> {
    let mut hash = *hash;
    let mut shape = Climb::new(n, pos);
    let mut given = proof.iter();
    let mut left_over = proof.len();
    for step in &mut shape {
        let sibling = given.next().ok_or(Drop::ProofLength)?;
        left_over = left_over.saturating_sub(1);
        let (left, right) = if step.sibling_is_left {
            (&sibling, &hash)
        } else {
            (&hash, &sibling)
        };
        hash = if left_over == 0 {
            tree.top(left, right)
        } else {
            tree.node(left, right)
        };
        trail.push(&hash);
    }
    if left_over > 0 {
        return Err(Drop::ProofLength);
    }
    Ok(hash)
}

/// One sibling on the way to the top.
struct Step {
    sibling: Node,
    sibling_is_left: bool,
    /// The place of what the two make.
    parent: Pos,
}

/// The steps from a node to the top.
struct Climb(Siblings);

impl Climb {
    fn new(n: u64, pos: Pos) -> Self {
        Climb(tree::siblings(n, pos))
    }
}

impl Iterator for Climb {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let sibling = self.0.next()?;
        let parent = self.0.pos();
        let sibling_is_left = sibling.pos().start() == parent.start();
        Some(Step {
            sibling,
            sibling_is_left,
            parent,
        })
    }
}

/// Hands on every node of a proof that held.
fn tell<T: TreeHasher>(
    n: u64,
    pos: Pos,
    hash: &Hash,
    proof: Hashes<'_>,
    trail: &Trail,
    sink: &mut impl FnMut(Node, &Hash),
) {
    let top = Node::top(n);
    let mut place = |pos: Pos, hash: &Hash| match Node::at(n, pos) {
        Some(node) if T::TOP_IS_NODE || Some(node) != top => sink(node, hash),
        _ => (),
    };
    place(pos, hash);
    for ((step, sibling), computed) in Climb::new(n, pos)
        .zip(proof.iter())
        .zip(trail.hashes().iter())
    {
        place(step.sibling.pos(), &sibling);
        place(step.parent, &computed);
    }
}

fn expect(holds: bool) -> Result<(), Drop> {
    if holds {
        Ok(())
    } else {
        Err(Drop::ProofMismatch)
    }
}

/// Climbs a feed's tree from `pos` and compares with the root.
fn check_feed(
    n: u64,
    pos: Pos,
    hash: &Hash,
    siblings: Hashes<'_>,
    root: &Hash,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    if n > MAX_ENTRIES || pos.start() >= n {
        return Err(Drop::OutOfRange);
    }
    let mut trail = Trail::default();
    let top = climb(&FeedTree, n, pos, hash, siblings, &mut trail)?;
    expect(tree::root(n, &top) == *root)?;
    tell::<FeedTree>(n, pos, hash, siblings, &trail, &mut sink);
    Ok(())
}

/// Whether the leaf with this hash is entry `seq` of the tree of `n` leaves with this root.
///
/// The hash does not tell its index: the caller compares the leaf's own `seq`.
pub fn verify_inclusion(
    leaf_hash: &Hash,
    seq: u64,
    n: u64,
    siblings: Hashes<'_>,
    root: &Hash,
    sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    check_feed(n, Pos::leaf(seq), leaf_hash, siblings, root, sink)
}

/// The root of a window from its leaf hashes.
pub fn window_root(page: Hashes<'_>) -> Hash {
    tree::fold_page(&FeedTree, page, false, |_, _| ())
}

/// Whether a window with this root has its place in the tree of `n` leaves with this root.
pub fn verify_path(
    window_root: &Hash,
    window: u64,
    n: u64,
    siblings: Hashes<'_>,
    root: &Hash,
    sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    check_feed(
        n,
        tree::window_pos(window),
        window_root,
        siblings,
        root,
        sink,
    )
}

/// Whether these are the leaf hashes of `window`, whose path is held or came along.
pub fn verify_page(
    page: Hashes<'_>,
    window: u64,
    n: u64,
    siblings: Hashes<'_>,
    root: &Hash,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    if page.is_empty() || page.len() != tree::page_len(n, window) {
        return Err(Drop::ProofLength);
    }
    verify_path(&window_root(page), window, n, siblings, root, &mut sink)?;
    tell_page(&FeedTree, page, n, window, &mut sink);
    Ok(())
}

/// Whether these are the leaf hashes of a window whose root is already known.
pub fn verify_page_in(
    page: Hashes<'_>,
    window: u64,
    n: u64,
    held_root: &Hash,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    if page.is_empty() || page.len() != tree::page_len(n, window) {
        return Err(Drop::ProofLength);
    }
    expect(window_root(page) == *held_root)?;
    tell_page(&FeedTree, page, n, window, &mut sink);
    Ok(())
}

/// Hands on the leaves of a page and the nodes between them and the window's root.
fn tell_page(
    tree: &impl TreeHasher,
    page: Hashes<'_>,
    n: u64,
    window: u64,
    sink: &mut impl FnMut(Node, &Hash),
) {
    let base = tree::window_pos(window);
    let mut place = |pos: Pos, hash: &Hash| {
        let first = base.start().checked_shr(u32::from(pos.level)).unwrap_or(0);
        let index = first.saturating_add(pos.index);
        let node = Node::at(
            n,
            Pos {
                level: pos.level,
                index,
            },
        );
        // The window's own root went with the path.
        if let Some(node) = node.filter(|node| Some(*node) != Node::at(n, base)) {
            sink(node, hash);
        }
    };
    for (leaf, index) in page.iter().zip(0..u64::from(WINDOW)) {
        place(Pos::leaf(index), &leaf);
    }
    tree::fold_page(tree, page, false, place);
}

/// The root that the tree of `m` leaves has if this consistency proof is about it: the old peaks are
/// the first hash and those siblings that stand left of it.
#[inline(never)]
pub fn prefix_root(m: u64, n: u64, proof: Hashes<'_>) -> Option<Hash> {
    let pos = tree::last_peak(m)?;
    let start = pos.start();
    let peak = proof.get(0)?;
    let shape = tree::siblings(n, pos).zip(proof.skip(1).iter());
    let lefts = shape.filter(|(node, _)| node.pos().start() < start);
    let top = lefts.fold(peak, |right, (_, left)| FeedTree.node(&left, &right));
    Some(tree::root(m, &top))
}

/// Whether the tree of `m` leaves is a prefix of the tree of `n`. `sink` gets nodes of tree `n`.
pub fn verify_cons(
    m: u64,
    root_m: &Hash,
    n: u64,
    root_n: &Hash,
    proof: Hashes<'_>,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    if m == 0 || m >= n || n > MAX_ENTRIES {
        return Err(Drop::OutOfRange);
    }
    let pos = tree::last_peak(m).ok_or(Drop::OutOfRange)?;
    let peak = proof.get(0).ok_or(Drop::ProofLength)?;
    let siblings = proof.skip(1);
    let mut trail = Trail::default();
    let top_n = climb(&FeedTree, n, pos, &peak, siblings, &mut trail)?;
    // The old tree has only what is left of its last peak.
    let old = Climb::new(n, pos)
        .zip(siblings.iter())
        .filter(|(step, _)| step.sibling_is_left);
    let top_m = old.fold(peak, |right, (_, left)| FeedTree.node(&left, &right));
    expect(tree::root(n, &top_n) == *root_n)?;
    // An honest prefix under a wrong old root is the sign of a fork, not of a bad proof: the caller
    // knows which of the two roots it trusts.
    expect(tree::root(m, &top_m) == *root_m)?;
    tell::<FeedTree>(n, pos, &peak, siblings, &trail, &mut sink);
    Ok(())
}

/// Whether a window with this hash (chaining value, or hash of a one-window blob) has its place in
/// the blob.
pub fn verify_blob_path(
    hash: &Hash,
    window: u16,
    siblings: Hashes<'_>,
    of: &BlobName,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    if window >= blob::window_count(of.len) {
        return Err(Drop::OutOfRange);
    }
    let n = u64::from(blob::chunk_count(of.len));
    let pos = tree::window_pos(u64::from(window));
    let mut trail = Trail::default();
    let top = climb(&BlobTree, n, pos, hash, siblings, &mut trail)?;
    if top != of.hash {
        return Err(Drop::BlobMismatch);
    }
    tell::<BlobTree>(n, pos, hash, siblings, &trail, &mut sink);
    Ok(())
}

/// Whether these are the chaining values of the chunks of `window`, whose path is held or came along.
/// A blob of one chunk has no page.
pub fn verify_blob_page(
    page: Hashes<'_>,
    window: u16,
    siblings: Hashes<'_>,
    of: &BlobName,
    mut sink: impl FnMut(Node, &Hash),
) -> Result<(), Drop> {
    let chunks = blob::window_chunks(of.len, window) as usize;
    if blob::chunk_count(of.len) < 2 || page.len() != chunks || chunks > MAX_PAGE {
        return Err(Drop::ProofLength);
    }
    verify_blob_path(
        &blob::page_hash(of.len, page),
        window,
        siblings,
        of,
        &mut sink,
    )?;
    tell_page(
        &BlobTree,
        page,
        u64::from(blob::chunk_count(of.len)),
        u64::from(window),
        &mut sink,
    );
    Ok(())
}
