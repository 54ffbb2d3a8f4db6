// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Blob bytes in: copied to the reserved extent, hashed there, published there.

use super::env::{Charge, Counter, Env, Event, Memory, Proved, Rest};
use super::feeds::Feed;
use super::held::Kept;
use super::nodes;
use super::pending::{self, Pending};
use super::recv::Rx;
use super::transfers::Transfer;
use super::Engine;
use crate::blob::{self, CHUNK};
use crate::error::Drop;
use crate::id::{BlobName, DiscoveryId, Hash, HashBuf, Hashes};
use crate::object::TreeOf;
use crate::proof::{verify_blob_page, verify_blob_path};
use crate::tree::Node;
use crate::wire::{BlobData, BlobPage, BlobPath, Payload, MAX_BLOB_PATH, WINDOW};

type Siblings = HashBuf<MAX_BLOB_PATH>;

fn siblings<X>(transfer: &Transfer<X>) -> Siblings {
    let mut out = Siblings::default();
    for hash in transfer.path.iter().take(usize::from(transfer.path_len)) {
        out.push(hash);
    }
    out
}

/// Compares a window with the blob's name and keeps the nodes that its path proves.
#[inline(never)]
fn prove_window<E: Env>(
    hash: &Hash,
    blob: &BlobName,
    window: u16,
    path: &Siblings,
    charge: Charge,
    env: &mut E,
) -> bool {
    if blob::window_count(blob.len) == 1 {
        return *hash == blob.hash;
    }
    let tree = TreeOf::Blob(*blob);
    let keep = |node: Node, hash: &Hash| nodes::put_node(env, &tree, node, hash, charge);
    verify_blob_path(hash, window, path.hashes(), blob, keep).is_ok()
}

#[inline(never)]
fn prove_page<E: Env>(
    page: Hashes<'_>,
    blob: &BlobName,
    window: u16,
    path: &Siblings,
    charge: Charge,
    env: &mut E,
) -> bool {
    let tree = TreeOf::Blob(*blob);
    let keep = |node: Node, hash: &Hash| nodes::put_node(env, &tree, node, hash, charge);
    verify_blob_page(page, window, path.hashes(), blob, keep).is_ok()
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// The transfer that an answer is for.
    fn transfer_of(&self, slot: u32, window: u16) -> Result<(u32, DiscoveryId), Drop> {
        let entry = self.pending.get(slot).ok_or(Drop::Unsolicited)?;
        let index = pending::slot(entry.part);
        let transfer = self.transfers.table.get(index).filter(|_| entry.is_blob());
        match transfer {
            Some(transfer) if transfer.window == window => Ok((index, entry.id)),
            _ => Err(Drop::NotAsked),
        }
    }

    fn charge_for(&self, slot: u32, index: u32) -> Charge {
        let public = self
            .transfers
            .table
            .get(index)
            .is_some_and(|transfer| transfer.public);
        Charge {
            port: self.payer(slot),
            public,
        }
    }

    #[inline(never)]
    pub(super) fn take_blob_path(
        &mut self,
        now: u64,
        _: &Rx,
        slot: u32,
        m: &BlobPath<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let (index, _) = self.transfer_of(slot, m.window)?;
        let transfer = self
            .transfers
            .table
            .get_mut(index)
            .ok_or(Drop::Unsolicited)?;
        if m.siblings.len() != nodes::length(blob::path_nodes(transfer.blob.len, m.window)) {
            return Err(Drop::ProofLength);
        }
        if transfer.path_verified {
            return Ok(());
        }
        for (index, to) in (0..m.siblings.len()).zip(&mut transfer.path) {
            *to = m.siblings.get(index).unwrap_or_default();
        }
        transfer.path_len = m.siblings.len() as u8;
        self.check_window(now, slot, index, env)
    }

    #[inline(never)]
    pub(super) fn take_blob_data(
        &mut self,
        now: u64,
        slot: u32,
        m: &BlobData<'_>,
        behind: &dyn Rest,
        env: &mut E,
    ) -> Result<(), Drop> {
        let (index, _) = self.transfer_of(slot, m.window)?;
        let len = u32::try_from(m.payload.len()).map_err(|_| Drop::OutOfRange)?;
        let transfer = self
            .transfers
            .table
            .get_mut(index)
            .ok_or(Drop::Unsolicited)?;
        if !m.fits(&transfer.blob) {
            return Err(Drop::OutOfRange);
        }
        if transfer.has(m.offset, len) {
            return Err(Drop::Repeated);
        }
        transfer.hops = transfer.hops.max(m.answer.hops);
        if transfer.page != pending::NONE {
            return self.take_chunks(now, slot, index, m, behind, env);
        }
        let Some(extent) = transfer.extent.as_mut() else {
            return Err(Drop::StoreFull);
        };
        match m.payload {
            Payload::Bytes(bytes) => env.extent_write(extent, m.offset, bytes),
            Payload::Trailing(len) => {
                if !env.extent_take(extent, m.offset, len, behind) {
                    // Anything may be there now.
                    transfer.uncover(m.offset, len);
                    return Err(Drop::Truncated);
                }
            }
        }
        transfer.cover(m.offset, len);
        self.check_window(now, slot, index, env)
    }

    /// Chunk mode: whole chunks, each compared with the page before it is kept.
    #[inline(never)]
    fn take_chunks(
        &mut self,
        now: u64,
        slot: u32,
        index: u32,
        m: &BlobData<'_>,
        behind: &dyn Rest,
        env: &mut E,
    ) -> Result<(), Drop> {
        let kept = self.keep_chunks(index, m, behind, env);
        // A wrong chunk may have been one that is here already: the others complete the window.
        let checked = self.check_window(now, slot, index, env);
        kept.and(checked)
    }

    /// Keeps the chunks that are right, and says whether all were.
    fn keep_chunks(
        &mut self,
        index: u32,
        m: &BlobData<'_>,
        behind: &dyn Rest,
        env: &mut E,
    ) -> Result<(), Drop> {
        let mut wrong = false;
        let mut done = 0;
        let len = m.payload.len();
        for chunk in m.offset / CHUNK..WINDOW {
            if done >= len {
                break;
            }
            let size = len.saturating_sub(done).min(CHUNK as usize);
            let cv = self.page_hash_of(index, chunk);
            let (Some(hasher), Some(scratch)) = (
                self.hasher.first_mut(),
                self.scratch.get_mut(..CHUNK as usize),
            ) else {
                return Err(Drop::StoreFull);
            };
            let Some(transfer) = self.transfers.table.get_mut(index) else {
                return Err(Drop::Unsolicited);
            };
            let start = chunk.saturating_mul(CHUNK);
            let whole = transfer.len.saturating_sub(start).min(CHUNK) as usize == size;
            if m.offset % CHUNK != 0 || !whole {
                return Err(Drop::PartialChunk);
            }
            let part = match m.payload {
                Payload::Bytes(bytes) => bytes.get(done..done.saturating_add(size)),
                Payload::Trailing(_) => {
                    let room = scratch.get_mut(..size);
                    room.and_then(|room| behind.copy(done, room).then_some(&*room))
                }
            };
            let part = part.ok_or(Drop::Truncated)?;
            done = done.saturating_add(size);
            let number = u32::from(transfer.window)
                .saturating_mul(WINDOW)
                .saturating_add(chunk);
            let ok = hasher
                .chunk_cv(transfer.blob.len, number, part)
                .is_ok_and(|hash| Some(hash) == cv);
            if !ok {
                wrong = true;
                continue;
            }
            if let Some(extent) = transfer.extent.as_mut() {
                env.extent_write(extent, start, part);
                transfer.cover(start, part.len() as u32);
            }
        }
        if wrong {
            return Err(Drop::BlobMismatch);
        }
        Ok(())
    }

    fn page_hash_of(&self, index: u32, chunk: u32) -> Option<Hash> {
        let transfer = self.transfers.table.get(index)?;
        self.held
            .get(pending::slot(transfer.page))?
            .page()
            .get(chunk as usize)
    }

    /// Checks the window once nothing is missing.
    fn check_window(&mut self, now: u64, slot: u32, index: u32, env: &mut E) -> Result<(), Drop> {
        // Most frames are not a window's last.
        let whole = |transfer: &&mut Transfer<_>| transfer.is_complete();
        let Some(transfer) = self.transfers.table.get_mut(index).filter(whole) else {
            return Ok(());
        };
        let (blob, window) = (transfer.blob, transfer.window);
        let one_window = blob::window_count(blob.len) == 1;
        let awaits_page = transfer.chunk_mode
            && transfer.page == pending::NONE
            && blob::chunk_count(blob.len) > 1;
        if awaits_page {
            return Ok(());
        }
        if !one_window && transfer.path_len == 0 {
            // The bytes are here, the path was lost: asked for with the next resend.
            return Ok(());
        }
        let charge = self.charge_for(slot, index);
        let Some(transfer) = self.transfers.table.get_mut(index) else {
            return Ok(());
        };
        let Some(extent) = transfer.extent.as_ref() else {
            return Err(Drop::StoreFull);
        };
        let chunks = blob::window_chunks(blob.len, window) as u8;
        let first = u64::from(window).saturating_mul(u64::from(WINDOW));
        let hash = env.extent_cv(extent, 0..chunks, first, one_window);
        let path = siblings(transfer);
        let ok = prove_window(&hash, &blob, window, &path, charge, env);
        let id = self
            .pending
            .get(slot)
            .map(|entry| entry.id)
            .unwrap_or_default();
        env.event(Event::Verify {
            what: Proved::Window,
            ok,
            feed: &id,
            n: u64::from(window),
        });
        if !ok {
            self.window_failed(index, env);
            return Err(Drop::BlobMismatch);
        }
        let Some(transfer) = self.transfers.table.get_mut(index) else {
            return Ok(());
        };
        let hops = transfer.hops;
        if let Some(extent) = transfer.extent.take() {
            env.blob_publish(extent, hops);
        }
        if charge.public || self.waits_publicly(&blob, window) {
            env.blob_share(&blob, window);
        }
        env.event(Event::Count(Counter::Windows));
        self.deliver_window(now, &blob, window, hops, env);
        Ok(())
    }

    /// Whether a feed that a host may serve waits for the window. It may have been shared while the
    /// window was under way.
    fn waits_publicly(&self, blob: &BlobName, window: u16) -> bool {
        let Some((first, transfer)) = self.find_window(blob, window) else {
            return false;
        };
        let is_public = |entry: &Pending| {
            entry.is_of_transfer(transfer) && self.feeds.get(&entry.id).is_some_and(Feed::is_public)
        };
        self.pending.get(first).is_some_and(is_public)
            || self.pending.entries.find_next(first, is_public).is_some()
    }

    /// Bytes or path lie: from now on chunk by chunk, against a page that must lead to the name.
    fn window_failed(&mut self, index: u32, env: &mut E) {
        let Some(transfer) = self.transfers.table.get_mut(index) else {
            return;
        };
        let was_checked = transfer.page != pending::NONE;
        transfer.path_len = 0;
        transfer.path_verified = false;
        if was_checked || blob::chunk_count(transfer.blob.len) == 1 {
            // A single chunk has no page; and chunks that all passed their page cannot fail together.
            transfer.uncover_all();
        }
        if !transfer.chunk_mode {
            transfer.chunk_mode = true;
            env.event(Event::Count(Counter::ChunkMode));
        }
    }

    #[inline(never)]
    pub(super) fn take_blob_page(
        &mut self,
        now: u64,
        rx: &Rx,
        slot: u32,
        m: &BlobPage<'_>,
        env: &mut E,
    ) -> Result<(), Drop> {
        let (index, id) = self.transfer_of(slot, m.window)?;
        let charge = self.charge_for(slot, index);
        let transfer = self
            .transfers
            .table
            .get_mut(index)
            .ok_or(Drop::Unsolicited)?;
        if !transfer.chunk_mode || transfer.page != pending::NONE {
            return Err(Drop::NotAsked);
        }
        let blob = transfer.blob;
        if m.chunks.len() != blob::window_chunks(blob.len, m.window) as usize {
            return Err(Drop::ProofLength);
        }
        if blob::window_count(blob.len) > 1 && transfer.path_len == 0 {
            // The path travels before the page; without it the page is asked for again.
            return Err(Drop::NoPage);
        }
        let path = siblings(transfer);
        let ok = prove_page(m.chunks, &blob, m.window, &path, charge, env);
        env.event(Event::Verify {
            what: Proved::Page,
            ok,
            feed: &id,
            n: u64::from(m.window),
        });
        let transfer = self
            .transfers
            .table
            .get_mut(index)
            .ok_or(Drop::Unsolicited)?;
        if !ok {
            transfer.path_len = 0;
            return Err(Drop::BlobMismatch);
        }
        transfer.path_verified = true;
        let opened = self.held.open(rx.port, rx.mac, Kept::Hashes);
        let (page, held) = opened.ok_or(Drop::HeldFull)?;
        held.id = id;
        held.set_page(m.chunks);
        if let Some(transfer) = self.transfers.table.get_mut(index) {
            transfer.page = pending::link(page);
        }
        self.sift(index, &id, env);
        self.check_window(now, slot, index, env)
    }

    /// Checks what came before the page, and forgets the chunks that are wrong.
    fn sift(&mut self, index: u32, id: &DiscoveryId, env: &mut E) {
        let Some(transfer) = self.transfers.table.get(index) else {
            return;
        };
        let missing = transfer.missing();
        let first = u64::from(transfer.window).saturating_mul(u64::from(WINDOW));
        for chunk in 0..blob::window_chunks(transfer.blob.len, transfer.window) {
            let cv = self.page_hash_of(index, chunk);
            let Some(transfer) = self.transfers.table.get_mut(index) else {
                return;
            };
            if missing.wrapping_shr(chunk) & 1 == 1 {
                // Parts of a chunk cannot be checked.
                transfer.uncover(chunk.saturating_mul(CHUNK), CHUNK);
                continue;
            }
            let Some(extent) = transfer.extent.as_ref() else {
                return;
            };
            let at = chunk as u8;
            let is_root = blob::chunk_count(transfer.blob.len) == 1;
            let ok = Some(env.extent_cv(extent, at..at.saturating_add(1), first, is_root)) == cv;
            env.event(Event::Verify {
                what: Proved::Chunk,
                ok,
                feed: id,
                n: first.saturating_add(u64::from(chunk)),
            });
            if !ok {
                transfer.uncover(chunk.saturating_mul(CHUNK), CHUNK);
            }
        }
    }
}
