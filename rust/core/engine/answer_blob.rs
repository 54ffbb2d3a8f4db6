// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Answers with chunks of a blob: its path, its page, and payloads that lie in the store.

use super::answer::{added, Script, Step};
use super::env::{Env, Payload};
use super::nodes::{self, Proof};
use crate::blob::{self, WindowHasher, CHUNK};
use crate::id::BlobName;
use crate::object::TreeOf;
use crate::token::Token;
use crate::wire::{self, Answer, FrameBuilder, BLOB_HEADER_LEN, RANGE_UNIT};

/// Chunks of a blob window.
pub(super) struct BlobScript {
    pub blob: BlobName,
    pub window: u16,
    pub token: Token,
    pub hops: u8,
    /// Chunks still to be sent.
    pub bits: u32,
    /// Bytes of the lowest of them that are sent already.
    pub done_bytes: u32,
    pub path: bool,
    pub page: bool,
    pub whole_chunks: bool,
}

impl BlobScript {
    fn answer(&self) -> Answer {
        Answer {
            hops: self.hops,
            token: self.token,
        }
    }

    #[inline(never)]
    fn emit_path<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
    ) -> Step {
        let mut proof = Proof::new(bytes);
        let wanted = blob::path_nodes(self.blob.len, self.window);
        if !nodes::collect(env, &TreeOf::Blob(self.blob), wanted, None, &mut proof) {
            return Step::Done;
        }
        let path = wire::BlobPath {
            answer: self.answer(),
            window: self.window,
            siblings: proof.hashes(),
        };
        added(path.emit(frame))
    }

    #[inline(never)]
    fn emit_page<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        hasher: &mut WindowHasher,
    ) -> Step {
        let Some((bytes, page)) = bytes.split_at_mut_checked(CHUNK as usize) else {
            return Step::Done;
        };
        let mut page = Proof::new(page);
        if !nodes::blob_page(env, &self.blob, self.window, hasher, bytes, &mut page) {
            return Step::Done;
        }
        let page = wire::BlobPage {
            answer: self.answer(),
            window: self.window,
            chunks: page.hashes(),
        };
        added(page.emit(frame))
    }

    fn emit_data(&mut self, frame: &mut FrameBuilder<'_>) -> Step {
        let window_len = blob::window_len(self.blob.len, self.window);
        let first = self.bits.trailing_zeros();
        let run = self.bits.checked_shr(first).unwrap_or(0).trailing_ones();
        let offset = first.saturating_mul(CHUNK).saturating_add(self.done_bytes);
        let end = first
            .saturating_add(run)
            .saturating_mul(CHUNK)
            .min(window_len);
        let left = end.saturating_sub(offset);
        let room = u32::try_from(frame.remaining().saturating_sub(BLOB_HEADER_LEN)).unwrap_or(0);
        let unit = if self.whole_chunks { CHUNK } else { RANGE_UNIT };
        let len = if left <= room {
            left
        } else {
            room & !unit.wrapping_sub(1)
        };
        if len == 0 {
            if left == 0 {
                self.bits = 0;
                return Step::Done;
            }
            return Step::Full;
        }
        let payload = wire::Payload::Trailing(len);
        let data = wire::BlobData {
            answer: self.answer(),
            window: self.window,
            offset,
            payload,
        };
        if !data.emit(frame) {
            return Step::Full;
        }
        let stop = offset.saturating_add(len);
        let whole = if stop >= end {
            first.saturating_add(run)
        } else {
            stop / CHUNK
        };
        self.bits &= u32::MAX.checked_shl(whole).unwrap_or(0);
        self.done_bytes = if stop >= end { 0 } else { stop % CHUNK };
        Step::Payload(Payload {
            blob: self.blob,
            window: self.window,
            offset,
            len,
        })
    }
}

impl Script for BlobScript {
    fn next<E: Env>(
        &mut self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        hasher: &mut WindowHasher,
    ) -> Step {
        if self.path {
            let step = self.emit_path(env, frame, bytes);
            self.path = matches!(step, Step::Full);
            return step;
        }
        if self.page {
            let step = self.emit_page(env, frame, bytes, hasher);
            self.page = matches!(step, Step::Full);
            return step;
        }
        if self.bits == 0 {
            return Step::Done;
        }
        self.emit_data(frame)
    }

    fn is_done(&self) -> bool {
        self.bits == 0 && !self.path && !self.page
    }
}
