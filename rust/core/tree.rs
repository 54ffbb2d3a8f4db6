// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The shape of a tree of `n` leaves (RFC 9162), which nodes a proof consists of, and how nodes are
//! computed from others.
//!
//! A node at (level, index) covers the leaves `index << level` up to `(index + 1) << level`, cut off
//! at `n`. If nothing is cut off the node is the same in every longer tree: [`Node::Full`]. What is
//! cut off changes with `n`: [`Node::Edge`]. A node whose right half is empty *is* its left child, so
//! each node has exactly one form, the lowest.

use crate::bytes::Writer;
use crate::error::Drop;
use crate::id::{Hash, HashBuf, Hashes};
use crate::sign::tag32;
use crate::wire::{MAX_CONS, MAX_ENTRIES, MAX_SIBLINGS, WINDOW, WINDOW_HEIGHT};

/// The key under which two nodes are hashed to their parent.
pub const KEY_NODE: [u8; 32] = tag32(b"AF_FEED 1 node");
const KEY_ROOT: [u8; 32] = tag32(b"AF_FEED 1 root");

/// Highest level of a tree: that of the top of 2^36 leaves.
pub const MAX_LEVEL: u8 = 36;

/// Place of a node: level 0 are the leaves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pos {
    /// Height above the leaves.
    pub level: u8,
    /// Index among the nodes of its level.
    pub index: u64,
}

impl Pos {
    /// The leaf `seq`.
    pub const fn leaf(seq: u64) -> Pos {
        Pos {
            level: 0,
            index: seq,
        }
    }

    /// The node whose child this is.
    pub const fn parent(self) -> Pos {
        Pos {
            level: self.level.saturating_add(1),
            index: self.index >> 1,
        }
    }

    /// The other child of the parent.
    pub const fn sibling(self) -> Pos {
        Pos {
            level: self.level,
            index: self.index ^ 1,
        }
    }

    /// Whether it is a right child.
    pub const fn is_right(self) -> bool {
        self.index & 1 == 1
    }

    /// The child on the left; a leaf is its own.
    pub const fn left(self) -> Pos {
        match self.level.checked_sub(1) {
            Some(level) => Pos {
                level,
                index: self.index.wrapping_shl(1),
            },
            None => self,
        }
    }

    /// The first leaf under it. Saturates far outside of any tree.
    pub const fn start(self) -> u64 {
        match self.index.checked_mul(size(self.level)) {
            Some(start) => start,
            None => u64::MAX,
        }
    }
}

/// Leaves under a full node of `level`.
const fn size(level: u8) -> u64 {
    match 1u64.checked_shl(level as u32) {
        Some(size) => size,
        None => u64::MAX,
    }
}

/// A node of a tree, in its one form.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Node {
    /// All leaves under it exist: the same in every longer tree.
    Full(Pos),
    /// The last node of `level` in the tree of `n` leaves, with some leaves missing.
    Edge {
        /// The tree's length.
        n: u64,
        /// The node's height.
        level: u8,
    },
}

impl Node {
    /// The node at `pos` in the tree of `n` leaves, `None` if no leaf is under it.
    pub fn at(n: u64, pos: Pos) -> Option<Node> {
        let start = pos.start();
        let leaves = n.checked_sub(start).filter(|leaves| *leaves > 0)?;
        if leaves >= size(pos.level) {
            return Some(Node::Full(pos));
        }
        // Lowest node that holds them all: it begins at `start` too.
        let level = ceil_log2(leaves);
        if leaves == size(level) {
            return Some(Node::Full(Pos {
                level,
                index: start.checked_shr(u32::from(level))?,
            }));
        }
        Some(Node::Edge { n, level })
    }

    /// The top of the tree of `n` leaves.
    pub fn top(n: u64) -> Option<Node> {
        Node::at(
            n,
            Pos {
                level: ceil_log2(n),
                index: 0,
            },
        )
    }

    /// Where it stands.
    pub fn pos(self) -> Pos {
        match self {
            Node::Full(pos) => pos,
            Node::Edge { n, level } => Pos {
                level,
                index: n.checked_shr(u32::from(level)).unwrap_or(0),
            },
        }
    }

    /// The two nodes it is made of, `None` for a leaf.
    pub fn children(self) -> Option<(Node, Node)> {
        let left = match self.pos() {
            Pos { level: 0, .. } => return None,
            pos => pos.left(),
        };
        let right = match self {
            Node::Full(_) => Node::Full(left.sibling()),
            Node::Edge { n, .. } => Node::at(n, left.sibling())?,
        };
        Some((Node::Full(left), right))
    }
}

/// The least level whose full node has room for `leaves`.
pub fn ceil_log2(leaves: u64) -> u8 {
    // At most 64, so the cast keeps the number.
    leaves.checked_sub(1).map_or(0, |last| {
        u64::BITS.saturating_sub(last.leading_zeros()) as u8
    })
}

/// Leaves of `window` in the tree of `n`.
pub fn page_len(n: u64, window: u64) -> usize {
    let start = window.saturating_mul(u64::from(WINDOW));
    // At most 32, so the cast keeps the number.
    n.saturating_sub(start).min(u64::from(WINDOW)) as usize
}

/// The root node of a window.
pub const fn window_pos(window: u64) -> Pos {
    Pos {
        level: WINDOW_HEIGHT,
        index: window,
    }
}

/// The siblings on the way from a node to the top, lowest first.
///
/// A level on which there is no sibling is skipped: there the node is the last of its level and goes
/// up unchanged.
#[derive(Clone, Debug)]
pub struct Siblings {
    n: u64,
    pos: Pos,
}

impl Siblings {
    /// The parent of the node whose sibling was returned last.
    pub(crate) fn pos(&self) -> Pos {
        self.pos
    }
}

impl Iterator for Siblings {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        while self.pos.index > 0 || size(self.pos.level) < self.n {
            let sibling = Node::at(self.n, self.pos.sibling());
            self.pos = self.pos.parent();
            if sibling.is_some() {
                return sibling;
            }
        }
        None
    }
}

/// Siblings of the node at `pos` in the tree of `n` leaves; none if it is not in that tree.
pub fn siblings(n: u64, pos: Pos) -> Siblings {
    // A start outside of any tree would make the loop long; inside it takes at most 36 rounds.
    let inside = n <= MAX_ENTRIES && pos.start() < n;
    Siblings {
        n: if inside { n } else { 0 },
        pos: if inside { pos } else { Pos::leaf(0) },
    }
}

/// The hashes of a PATH, in order.
pub fn path_nodes(n: u64, window: u64) -> Siblings {
    siblings(n, window_pos(window))
}

/// The siblings of an ENTRY, in order.
pub fn inclusion_nodes(n: u64, seq: u64) -> Siblings {
    siblings(n, Pos::leaf(seq))
}

/// The node that a consistency proof starts from: the last peak of the tree of `m` leaves.
pub fn last_peak(m: u64) -> Option<Pos> {
    let level = m.trailing_zeros();
    let index = m.checked_shr(level)?.checked_sub(1)?;
    Some(Pos {
        level: u8::try_from(level).ok()?,
        index,
    })
}

/// The hashes of a CONS, in order: the last peak of the old tree, then its siblings in the new one.
///
/// RFC 9162 leaves the first hash out where `m` is a power of two, since there it is the old root. A
/// root of ours is a hash *of* the top, so the proof always begins with it.
pub fn consistency_nodes(m: u64, n: u64) -> impl Iterator<Item = Node> + Clone {
    let peak = if m < n && n <= MAX_ENTRIES {
        last_peak(m)
    } else {
        None
    };
    let rest = peak.map_or(siblings(0, Pos::leaf(0)), |peak| siblings(n, peak));
    peak.map(Node::Full).into_iter().chain(rest)
}

/// How two nodes become their parent.
pub trait TreeHasher {
    /// Whether the topmost hash is made like the others, and so is a node of longer trees.
    const TOP_IS_NODE: bool;

    /// The parent's hash.
    fn node(&self, left: &Hash, right: &Hash) -> Hash;

    /// The topmost hash.
    fn top(&self, left: &Hash, right: &Hash) -> Hash {
        self.node(left, right)
    }

    /// The parents of as many pairs. Who can hash side by side has its own.
    fn nodes(&self, pairs: Hashes<'_>, parents: &mut [[u8; 32]]) {
        let mut hashes = pairs.iter();
        for parent in parents {
            let (Some(left), Some(right)) = (hashes.next(), hashes.next()) else {
                return;
            };
            *parent = self.node(&left, &right).0;
        }
    }
}

/// The tree of a feed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedTree;

impl TreeHasher for FeedTree {
    const TOP_IS_NODE: bool = true;

    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        let mut message = [0; 64];
        Writer::new(&mut message).put(&left.0).put(&right.0);
        Hash(*blake3::keyed_hash(&KEY_NODE, &message).as_bytes())
    }
}

/// The root of a feed of `n` entries. It commits to `n`, so each proof has one valid length.
pub fn root(n: u64, top: &Hash) -> Hash {
    if n == 0 {
        return Hash::ZERO;
    }
    let mut message = [0; 40];
    Writer::new(&mut message).u64(n).put(&top.0);
    Hash(*blake3::keyed_hash(&KEY_ROOT, &message).as_bytes())
}

/// The root node of a page of at most 32 hashes, [`Hash::ZERO`] of none. `sink` gets each node that is
/// made on the way, with its place inside the page.
///
/// `is_top` says that the page is the whole tree.
pub fn fold_page(
    tree: &impl TreeHasher,
    page: Hashes<'_>,
    is_top: bool,
    mut sink: impl FnMut(Pos, &Hash),
) -> Hash {
    let top = ceil_log2(page.len() as u64);
    let mut join = |pos: Pos, left: &Hash, right: &Hash| {
        let hash = if is_top && pos.level == top {
            tree.top(left, right)
        } else {
            tree.node(left, right)
        };
        sink(pos, &hash);
        hash
    };
    let mut peaks: HashBuf<{ WINDOW_HEIGHT as usize + 1 }> = HashBuf::default();
    for (leaf, index) in page.iter().zip(0..u64::from(WINDOW)) {
        let mut pos = Pos::leaf(index);
        let mut hash = leaf;
        while pos.is_right() {
            let Some(left) = peaks.pop() else { break };
            pos = pos.parent();
            hash = join(pos, &left, &hash);
        }
        peaks.push(&hash);
    }
    // What is left are the peaks of a tree of so many leaves.
    let mut right: Option<Hash> = None;
    for pos in self::peaks(page.len() as u64).rev() {
        let Some(left) = peaks.pop() else { break };
        right = Some(right.map_or(left, |right| join(pos.parent(), &left, &right)));
    }
    right.unwrap_or(Hash::ZERO)
}

/// Verified nodes of one tree.
pub trait Nodes {
    /// The node's hash, if it is held.
    fn get(&mut self, node: Node) -> Option<Hash>;
}

impl<F: FnMut(Node) -> Option<Hash>> Nodes for F {
    fn get(&mut self, node: Node) -> Option<Hash> {
        self(node)
    }
}

/// How many levels [`resolve`] looks below a full node that is not held.
pub const RESOLVE_DEPTH: u8 = 5;

/// The hash of `node`: held, or computed from held nodes below it.
///
/// Looks at most five levels below a full node (63 reads) and takes an edge node apart into at most
/// 36 full ones.
pub fn resolve(tree: &impl TreeHasher, nodes: &mut impl Nodes, node: Node) -> Option<Hash> {
    let mut lefts: HashBuf<MAX_SIBLINGS> = HashBuf::default();
    let mut node = node;
    let right = loop {
        if let Node::Full(pos) = node {
            break resolve_full(tree, nodes, pos)?;
        }
        if let Some(held) = nodes.get(node) {
            break held;
        }
        let (left, right) = node.children()?;
        if !lefts.push(&resolve_full(tree, nodes, left.pos())?) {
            return None;
        }
        node = right;
    };
    let hashes = lefts.hashes();
    Some(
        hashes
            .iter()
            .rev()
            .fold(right, |right, left| tree.node(&left, &right)),
    )
}

fn resolve_full(tree: &impl TreeHasher, nodes: &mut impl Nodes, wanted: Pos) -> Option<Hash> {
    let lowest = wanted.level.saturating_sub(RESOLVE_DEPTH);
    // The left siblings that wait for their right one, one for each level below `wanted`.
    let mut waiting: HashBuf<{ RESOLVE_DEPTH as usize }> = HashBuf::default();
    let mut pos = wanted;
    loop {
        let Some(mut hash) = nodes.get(Node::Full(pos)) else {
            if pos.level <= lowest {
                return None;
            }
            pos = pos.left();
            continue;
        };
        while pos != wanted && pos.is_right() {
            hash = tree.node(&waiting.pop()?, &hash);
            pos = pos.parent();
        }
        if pos == wanted {
            return Some(hash);
        }
        if !waiting.push(&hash) {
            return None;
        }
        pos = pos.sibling();
    }
}

/// The full nodes that a tree consists of, highest first: all that an author needs to go on.
#[derive(Clone, Debug, Default)]
pub struct Peaks {
    n: u64,
    hashes: HashBuf<MAX_CONS>,
}

/// Leaves that [`Peaks::extend`] takes at once.
pub const EXTEND_MAX: usize = 64;

/// Peaks that so many leaves make at most: one for each level, and one above.
const FRESH_MAX: usize = EXTEND_MAX.ilog2() as usize + 1;

/// Parents that are made at once.
const SIDE_BY_SIDE: usize = 16;

/// Peaks before leaves were added.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    n: u64,
    len: usize,
    /// Where hashes were put, and what they have replaced.
    at: usize,
    replaced: [[u8; 32]; FRESH_MAX],
}

impl Peaks {
    /// Of the empty tree.
    pub const fn new() -> Self {
        Peaks {
            n: 0,
            hashes: HashBuf::new(),
        }
    }

    /// Becomes those of the tree of `n` leaves, from its held nodes. False if some are missing:
    /// then it is of the empty tree. (In place: they are 2 KiB.)
    pub fn load(&mut self, n: u64, nodes: &mut impl Nodes) -> bool {
        self.clear();
        for pos in peaks(n) {
            let hash = resolve_full(&FeedTree, nodes, pos);
            if !hash.is_some_and(|hash| self.hashes.push(&hash)) {
                self.clear();
                return false;
            }
        }
        self.n = n;
        true
    }

    /// Becomes those of the empty tree.
    pub fn clear(&mut self) {
        self.n = 0;
        self.hashes.clear();
    }

    /// Number of leaves.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Adds a leaf. `sink` gets each node that is complete now, the leaf first.
    pub fn push(&mut self, leaf: &Hash, mut sink: impl FnMut(Pos, &Hash)) -> Result<(), Drop> {
        let mut level = [[0; 32], leaf.0];
        self.extend(&FeedTree, &mut level, |pos, hashes| {
            if let Some(hash) = hashes.get(0) {
                sink(pos, &hash);
            }
        })
        .map(|_| ())
    }

    /// Adds up to [`EXTEND_MAX`] leaves, whose hashes `level` has behind one free place; it is used
    /// up. `sink` gets the nodes that are complete now, level by level, the leaves first: those of a level
    /// follow each other from the given place on.
    ///
    /// Gives what takes all of them back.
    pub fn extend(
        &mut self,
        tree: &impl TreeHasher,
        level: &mut [[u8; 32]],
        mut sink: impl FnMut(Pos, Hashes<'_>),
    ) -> Result<Mark, Drop> {
        let mut count = level.len().saturating_sub(1);
        let n = self.n.saturating_add(count as u64);
        if count > EXTEND_MAX || n > MAX_ENTRIES {
            return Err(Drop::OutOfRange);
        }
        let mut mark = Mark {
            n: self.n,
            len: self.hashes.len(),
            at: 0,
            replaced: [[0; 32]; FRESH_MAX],
        };
        let mut pos = Pos::leaf(self.n);
        // Lowest first.
        let mut fresh: HashBuf<FRESH_MAX> = HashBuf::default();
        while count > 0 {
            let end = count.saturating_add(1);
            sink(pos, Hashes::of(level.get(1..end).unwrap_or_default()));
            // The sibling of the first one is a peak so far.
            let first = usize::from(!pos.is_right());
            if first == 0 {
                let left = self.hashes.pop().ok_or(Drop::OutOfRange)?;
                if let Some(place) = level.first_mut() {
                    *place = left.0;
                }
            }
            let pairs = end.saturating_sub(first) >> 1;
            if end.saturating_sub(first) & 1 == 1 {
                let last = level.get(count).copied().map(Hash);
                if !last.is_some_and(|last| fresh.push(&last)) {
                    return Err(Drop::OutOfRange);
                }
            }
            join(tree, level, first, pairs);
            pos = pos.parent();
            count = pairs;
        }
        mark.at = self.hashes.len();
        self.hashes.peek(mark.at, &mut mark.replaced);
        while let Some(peak) = fresh.pop() {
            if !self.hashes.push(&peak) {
                return Err(Drop::OutOfRange);
            }
        }
        self.n = n;
        Ok(mark)
    }

    /// Takes the leaves back that were added last, by the call that gave `mark`. (A copy would be
    /// 2 KiB.)
    pub fn undo(&mut self, mark: &Mark) {
        self.n = mark.n;
        self.hashes.rewind(mark.len, mark.at, &mark.replaced);
    }

    /// The top node's hash, `None` of an empty tree.
    pub fn top(&self) -> Option<Hash> {
        self.hashes
            .hashes()
            .iter()
            .rev()
            .reduce(|right, left| FeedTree.node(&left, &right))
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.top().map_or(Hash::ZERO, |top| root(self.n, &top))
    }

    /// The edge nodes of this tree: with the full ones, all that proofs in it need.
    pub fn edges(&self, mut sink: impl FnMut(Node, &Hash)) {
        let hashes = self.hashes.hashes();
        let mut right: Option<(Pos, Hash)> = None;
        for (pos, hash) in peaks(self.n).rev().zip(hashes.iter().rev()) {
            right = Some(match right {
                None => (pos, hash),
                Some((_, below)) => {
                    let whole = FeedTree.node(&hash, &below);
                    let parent = pos.parent();
                    sink(
                        Node::Edge {
                            n: self.n,
                            level: parent.level,
                        },
                        &whole,
                    );
                    (parent, whole)
                }
            });
        }
    }
}

/// Puts the parents of `pairs` pairs, from `first` on, to where the second node is.
fn join(tree: &impl TreeHasher, level: &mut [[u8; 32]], first: usize, pairs: usize) {
    let mut parents = [[0; 32]; SIDE_BY_SIDE];
    let mut done = 0usize;
    while done < pairs {
        let now = pairs.saturating_sub(done).min(SIDE_BY_SIDE);
        let from = first.saturating_add(done.saturating_mul(2));
        let to = done.saturating_add(1);
        let children = level.get(from..from.saturating_add(now.saturating_mul(2)));
        let (Some(children), Some(made)) = (children, parents.get_mut(..now)) else {
            return;
        };
        tree.nodes(Hashes::of(children), made);
        // Behind it are only nodes whose parents are still to come.
        if let Some(places) = level.get_mut(to..to.saturating_add(now)) {
            for (place, parent) in places.iter_mut().zip(made.iter()) {
                *place = *parent;
            }
        }
        done = done.saturating_add(now);
    }
}

/// The peaks of the tree of `n` leaves, highest first.
pub fn peaks(n: u64) -> impl DoubleEndedIterator<Item = Pos> {
    (0..=MAX_LEVEL).rev().filter_map(move |level| {
        let nodes = n.checked_shr(u32::from(level))?;
        (nodes & 1 == 1).then(|| Pos {
            level,
            index: nodes.wrapping_sub(1),
        })
    })
}
