// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Entries, paths and pages in: checked against a verified head, then stored.

use super::env::{Charge, Counter, Env, Event, Memory, PortId, Proved};
use super::feeds::HEADED;
use super::held::Kept;
use super::nodes;
use super::pending::{self, NO_PAYLOADS};
use super::recv::Rx;
use super::u48::U48;
use super::want::What;
use super::Engine;
use crate::error::Drop;
use crate::id::{DiscoveryId, Hash, Hashes, Name};
use crate::leaf::Leaf;
use crate::object::TreeOf;
use crate::proof::{verify_inclusion, verify_page};
use crate::tree::{self, Node};
use crate::wire::{Entry, Page, Path, Payload, WINDOW, WINDOW_HEIGHT};

/// A tree that a verified head (or one that was held before it) commits to.
#[derive(Clone, Copy)]
pub(super) struct Trusted {
    pub id: DiscoveryId,
    pub name: Name,
    pub epoch: u32,
    pub n: u64,
    pub root: Hash,
    pub charge: Charge,
}

impl Trusted {
    pub(super) fn tree(&self) -> TreeOf {
        TreeOf::Feed {
            name: self.name,
            epoch: self.epoch,
        }
    }
}

#[inline(never)]
fn check_inclusion<E: Env>(
    of: &Trusted,
    leaf: &Hash,
    seq: u64,
    siblings: Hashes<'_>,
    env: &mut E,
) -> Result<(), Drop> {
    let (tree, charge) = (of.tree(), of.charge);
    let mut keep = |node: Node, hash: &Hash| nodes::put_node(env, &tree, node, hash, charge);
    verify_inclusion(leaf, seq, of.n, siblings, &of.root, &mut keep)
}

#[inline(never)]
fn check_page<E: Env>(
    of: &Trusted,
    page: Hashes<'_>,
    window: u64,
    siblings: Hashes<'_>,
    env: &mut E,
) -> Result<(), Drop> {
    let (tree, charge) = (of.tree(), of.charge);
    let mut keep = |node: Node, hash: &Hash| nodes::put_node(env, &tree, node, hash, charge);
    verify_page(page, window, of.n, siblings, &of.root, &mut keep)
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// The tree `n` of a feed, if its root is known.
    pub(super) fn trusted(
        &self,
        id: &DiscoveryId,
        epoch: u32,
        n: u64,
        port: PortId,
    ) -> Result<Trusted, Drop> {
        let feed = self
            .feeds
            .get(id)
            .filter(|feed| feed.has(HEADED))
            .ok_or(Drop::NoHead)?;
        if feed.epoch != epoch {
            return Err(Drop::OtherHead);
        }
        let root = if feed.n == n {
            Some(feed.root)
        } else {
            self.roots.get(id, epoch, n)
        };
        let root = root.ok_or(Drop::OtherHead)?;
        let charge = Charge {
            port,
            public: feed.is_public(),
        };
        Ok(Trusted {
            id: *id,
            name: feed.name,
            epoch,
            n,
            root,
            charge,
        })
    }

    /// Who pays for what this entry brings: the first that asked.
    pub(super) fn payer(&self, slot: u32) -> PortId {
        let first = self
            .pending
            .downs
            .get(pending::slot(self.pending.first(slot)));
        first.map_or(PortId::LOCAL, |down| down.port)
    }

    /// The entry's tree; if the answer is about a newer head than ours, that head is asked for.
    fn range_tree(
        &mut self,
        now: u64,
        slot: u32,
        epoch: u32,
        n: u64,
        window: u64,
        env: &mut E,
    ) -> Result<Trusted, Drop> {
        let entry = self.pending.get(slot).ok_or(Drop::Unsolicited)?;
        let asked = What::Range {
            epoch,
            window: U48::new(window),
        };
        if entry.what != asked {
            return Err(Drop::NotAsked);
        }
        let id = entry.id;
        let (expires, hop_limit) = (entry.expires.get(), entry.hop_limit);
        let tree = self.trusted(&id, epoch, n, self.payer(slot));
        if tree.is_err()
            && self
                .feeds
                .get(&id)
                .is_some_and(|feed| (epoch, n) > (feed.epoch, feed.n))
        {
            self.seek_head(now, &id, expires, hop_limit, env);
        }
        tree
    }

    #[inline(never)]
    pub(super) fn take_entry(
        &mut self,
        now: u64,
        slot: u32,
        m: &Entry<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let window = m.leaf.seq >> WINDOW_HEIGHT;
        let tree = self.range_tree(now, slot, m.epoch, m.n, window, env)?;
        let bit = 1u32.wrapping_shl((m.leaf.seq & u64::from(WINDOW.wrapping_sub(1))) as u32);
        let entry = self.pending.get(slot).ok_or(Drop::Unsolicited)?;
        if entry.bits & bit == 0 {
            return Err(Drop::NotAsked);
        }
        if entry.got & bit != 0 {
            return Err(Drop::Repeated);
        }
        let leaf_only = entry.has(NO_PAYLOADS);
        store_entry(&tree, m, leaf_only, env)?;
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.got |= bit;
            entry.hops = entry.hops.max(m.answer.hops);
        }
        Ok(())
    }

    /// The record that keeps an entry's path or page until the other half comes.
    fn stash(&mut self, slot: u32, rx: &Rx, n: u64) -> Option<u32> {
        let entry = self.pending.get(slot)?;
        let index = match entry.part {
            pending::NONE => {
                let (index, held) = self.held.open(rx.port, rx.mac, Kept::Hashes)?;
                held.n = n;
                held.entry = pending::link(slot);
                index
            }
            link => pending::slot(link),
        };
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.part = pending::link(index);
        }
        let held = self.held.get_mut(index)?;
        if held.n != n {
            held.n = n;
            held.has_path = false;
            held.page_len = 0;
        }
        Some(index)
    }

    #[inline(never)]
    pub(super) fn take_path(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        m: &Path<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let tree = self.range_tree(now, slot, m.epoch, m.n, m.window, env)?;
        let index = self.stash(slot, rx, m.n).ok_or(Drop::HeldFull)?;
        if let Some(held) = self.held.get_mut(index) {
            held.set_path(m.siblings);
        }
        self.try_page(slot, index, &tree, m.window, env)
    }

    #[inline(never)]
    pub(super) fn take_page(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        m: &Page<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let tree = self.range_tree(now, slot, m.epoch, m.n, m.window, env)?;
        let stashed = self
            .pending
            .get(slot)
            .and_then(|entry| self.held.get(pending::slot(entry.part)));
        if !stashed.is_some_and(|held| held.n == m.n && held.has_path) {
            // The path may be held from an earlier answer.
            let mut path = nodes::Proof::new(&mut self.scratch);
            if nodes::collect(
                env,
                &tree.tree(),
                tree::path_nodes(m.n, m.window),
                None,
                &mut path,
            ) {
                let result = check_page(&tree, m.leaves, m.window, path.hashes(), env);
                env.event(Event::Verify {
                    what: Proved::Page,
                    ok: result.is_ok(),
                    feed: &tree.id,
                    n: m.window,
                });
                return result;
            }
        }
        let index = self.stash(slot, rx, m.n).ok_or(Drop::HeldFull)?;
        if let Some(held) = self.held.get_mut(index) {
            held.set_page(m.leaves);
        }
        self.try_page(slot, index, &tree, m.window, env)
    }

    /// Checks path and page once both are there.
    fn try_page(
        &mut self,
        slot: u32,
        index: u32,
        tree: &Trusted,
        window: u64,
        env: &mut E,
    ) -> Result<(), Drop> {
        let Some(held) = self.held.get(index) else {
            return Ok(());
        };
        if !held.has_path || held.page_len == 0 {
            return Ok(());
        }
        let result = check_page(tree, held.page(), window, held.path(), env);
        env.event(Event::Verify {
            what: Proved::Page,
            ok: result.is_ok(),
            feed: &tree.id,
            n: window,
        });
        self.held.release(index);
        if let Some(entry) = self.pending.get_mut(slot) {
            entry.part = pending::NONE;
        }
        result
    }
}

/// Checks an entry against a trusted tree and stores it.
pub(super) fn store_entry<E: Env>(
    tree: &Trusted,
    m: &Entry<'_>,
    leaf_only: bool,
    env: &mut E,
) -> Result<(), Drop> {
    let payload = match m.payload {
        Some(Payload::Bytes(bytes)) => Some(bytes),
        _ => None,
    };
    let is_inline = nodes::is_inline(&m.leaf) && !leaf_only;
    if is_inline && payload.is_some_and(|payload| !payload.is_empty()) {
        // Found while leaf and payload are hashed.
        env.blob_soon(&m.leaf.blob_name(), 0, false);
    }
    let result = prove_entry(tree, m, env);
    env.event(Event::Verify {
        what: Proved::Entry,
        ok: result.is_ok(),
        feed: &tree.id,
        n: m.leaf.seq,
    });
    result?;
    if is_inline {
        store_inline(&m.leaf, payload, m.answer.hops, tree.charge, env)?;
    }
    if !nodes::put_leaf(
        env,
        &tree.name,
        tree.epoch,
        &m.leaf,
        m.answer.hops,
        tree.charge,
    ) {
        return Err(Drop::StoreFull);
    }
    env.event(Event::Count(Counter::Entries));
    Ok(())
}

fn prove_entry<E: Env>(tree: &Trusted, m: &Entry<'_>, env: &mut E) -> Result<(), Drop> {
    check_neighbours(tree, &m.leaf, env)?;
    let hash = m.leaf.hash();
    match m.siblings {
        Some(siblings) => check_inclusion(tree, &hash, m.leaf.seq, siblings, env),
        None => match nodes::leaf_hash(env, &tree.tree(), m.leaf.seq) {
            Some(held) if held == hash => Ok(()),
            Some(_) => Err(Drop::ProofMismatch),
            None => Err(Drop::NoPage),
        },
    }
}

/// Neighbouring leaves must agree about where payloads begin.
fn check_neighbours<E: Env>(tree: &Trusted, leaf: &Leaf, env: &mut E) -> Result<(), Drop> {
    let before = leaf
        .seq
        .checked_sub(1)
        .and_then(|seq| nodes::leaf(env, &tree.name, tree.epoch, seq));
    if let Some((before, _)) = before {
        before.check_next(leaf)?;
    }
    if let Some((next, _)) = nodes::leaf(env, &tree.name, tree.epoch, leaf.seq.saturating_add(1)) {
        leaf.check_next(&next)?;
    }
    Ok(())
}

/// Stores an inline payload after comparing it with its leaf.
#[inline(never)]
fn store_inline<E: Env>(
    leaf: &Leaf,
    payload: Option<&[u8]>,
    hops: u8,
    charge: Charge,
    env: &mut E,
) -> Result<(), Drop> {
    let name = leaf.blob_name();
    let Some(payload) = payload else {
        // Without its payload a small entry is no answer, unless the payload is here.
        return if nodes::inline_info(env, leaf).is_some() {
            Ok(())
        } else {
            Err(Drop::NoPayload)
        };
    };
    // One chunk: a single compression, no tree.
    if blake3::hash(payload).as_bytes() != &leaf.blob.0 {
        return Err(Drop::BlobMismatch);
    }
    if leaf.len == 0 {
        return Ok(());
    }
    if env.blob_find(&name, 0).is_some() {
        if charge.public {
            env.blob_share(&name, 0);
        }
        return Ok(());
    }
    let mut extent = env
        .blob_reserve(&name, 0, leaf.len, charge)
        .map_err(|_| Drop::StoreFull)?;
    env.extent_write(&mut extent, 0, payload);
    env.blob_publish(extent, hops);
    Ok(())
}
