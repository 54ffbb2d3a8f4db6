// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Whether a longer tree continues a shorter one: by a consistency proof, or by the last leaf's
//! siblings, which are the old peaks.
//!
//! A proof that fits the new root but leads to another old root than the one held proves a fork.

use super::accept::Trusted;
use super::env::{Env, Event, Proved};
use super::nodes;
use crate::error::Drop;
use crate::head::Head;
use crate::id::{Hash, Hashes};
use crate::proof::{prefix_root, verify_cons, verify_inclusion};
use crate::tree::{self, FeedTree, Node, TreeHasher};
use crate::verify::proves_fork;
use crate::wire::{self, FrameView, Message};

/// How a longer head relates to the tree that is held.
pub(super) enum Link {
    /// It continues it.
    Proved,
    /// It provably does not.
    Forked,
    /// No proof is at hand.
    Missing,
}

/// Checks a consistency proof against the longer tree alone and gives the old root that it proves.
#[inline(never)]
pub(super) fn prove_prefix<E: Env>(
    of: &Trusted,
    m: u64,
    proof: Hashes<'_>,
    env: &mut E,
) -> Result<Hash, Drop> {
    let old = prefix_root(m, of.n, proof).ok_or(Drop::ProofLength)?;
    let (tree, charge) = (of.tree(), of.charge);
    let keep = |node: Node, hash: &Hash| nodes::put_node(env, &tree, node, hash, charge);
    let result = verify_cons(m, &old, of.n, &of.root, proof, keep);
    env.event(Event::Verify {
        what: Proved::Cons,
        ok: result.is_ok(),
        feed: &of.id,
        n: of.n,
    });
    result.map(|()| old)
}

/// The root of the tree before the last leaf: that leaf's siblings are the old peaks.
#[inline(never)]
fn prove_append<E: Env>(of: &Trusted, entry: &wire::Entry<'_>, env: &mut E) -> Option<Hash> {
    let siblings = entry.siblings?;
    let m = entry.leaf.seq;
    verify_inclusion(&entry.leaf.hash(), m, of.n, siblings, &of.root, |_, _| ()).ok()?;
    let top = siblings
        .iter()
        .reduce(|right, left| FeedTree.node(&left, &right))?;
    env.event(Event::Verify {
        what: Proved::Cons,
        ok: true,
        feed: &of.id,
        n: of.n,
    });
    Some(tree::root(m, &top))
}

/// Whether a tree is the held one of length `m` and one entry more, this one. Stores nothing: the
/// tree may be anybody's invention.
pub(super) fn is_extended_by<E: Env>(
    of: &Trusted,
    entry: &wire::Entry<'_>,
    m: u64,
    root_m: &Hash,
    env: &mut E,
) -> bool {
    let is_last = entry.epoch == of.epoch
        && entry.n == of.n
        && entry.leaf.seq == m
        && of.n == m.saturating_add(1);
    is_last && prove_append(of, entry, env).is_some_and(|old| old == *root_m)
}

/// The proof that two heads exclude each other: none is needed, or it is `given`, or one of those in
/// a frame that was kept. (There may be several, of which some are wrong.)
#[inline(never)]
pub(super) fn find_evidence<'a>(
    mine: &Head,
    other: &Head,
    given: Option<Hashes<'a>>,
    frame: &'a [u8],
) -> Option<Hashes<'a>> {
    let given = given.unwrap_or(Hashes::NONE);
    if proves_fork(mine, other, given) {
        return Some(given);
    }
    let view = FrameView::parse(frame).ok()?;
    view.messages().flatten().find_map(|message| match message {
        Message::Cons(cons) if proves_fork(mine, other, cons.hashes) => Some(cons.hashes),
        _ => None,
    })
}

pub(super) fn find_link<E: Env>(
    frame: &[u8],
    of: &Trusted,
    m: u64,
    root_m: &Hash,
    env: &mut E,
) -> Link {
    let Ok(view) = FrameView::parse(frame) else {
        return Link::Missing;
    };
    for message in view.messages().flatten() {
        let old = match &message {
            Message::Cons(cons) if cons.epoch == of.epoch && cons.m == m && cons.n == of.n => {
                prove_prefix(of, m, cons.hashes, env).ok()
            }
            Message::Entry(entry)
                if entry.epoch == of.epoch && entry.n == of.n && entry.leaf.seq == m =>
            {
                if of.n == m.saturating_add(1) {
                    prove_append(of, entry, env)
                } else {
                    None
                }
            }
            _ => None,
        };
        match (old, message) {
            (Some(old), _) if old == *root_m => return Link::Proved,
            (Some(_), Message::Cons(_)) => return Link::Forked,
            // An entry shows the fork, too, but evidence is the proof: it is asked for.
            _ => {}
        }
    }
    Link::Missing
}
