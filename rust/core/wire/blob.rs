// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Answers about blobs. The blob is the one of the lookup whose token they carry.

use super::answer::{check, end, hashes, Answer, Payload};
use super::{
    FrameBuilder, MAX_BLOB_PATH, MAX_BLOB_WINDOWS, MAX_PAGE, RANGE_UNIT, TYPE_BLOB_DATA,
    TYPE_BLOB_PAGE, TYPE_BLOB_PATH, WINDOW_BYTES,
};
use crate::blob;
use crate::bytes::Reader;
use crate::error::Drop;
use crate::id::{BlobName, Hashes};

/// The layout that BLOB_PATH and BLOB_PAGE share.
fn parse_blob<'a>(flags: u8, body: &'a [u8]) -> Result<(Answer, u16, Hashes<'a>), Drop> {
    let mut r = Reader::new(body);
    let mut read = || {
        let (answer, pre_reserved, count) = Answer::read(&mut r)?;
        let (window, low, high) = (r.u16()?, r.u16()?, r.u32()?);
        let hashes = hashes(&mut r, count)?;
        end(r)?;
        Some((
            answer,
            window,
            hashes,
            u32::from(pre_reserved) | u32::from(low) | high,
        ))
    };
    let (answer, window, hashes, reserved) = read().ok_or(Drop::Malformed)?;
    check(u32::from(flags) | reserved, window < MAX_BLOB_WINDOWS)?;
    Ok((answer, window, hashes))
}

fn emit_blob(
    kind: u8,
    answer: &Answer,
    window: u16,
    hashes: Hashes<'_>,
    frame: &mut FrameBuilder<'_>,
) -> bool {
    frame.message(kind, 0, None, |w| {
        answer.write(w, hashes.len());
        w.u16(window).u16(0).u32(0).put(hashes.as_bytes());
    })
}

/// A blob window's siblings, from height 5 to the top.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlobPath<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Which window.
    pub window: u16,
    /// In the order of [`blob::path_nodes`].
    pub siblings: Hashes<'a>,
}

impl<'a> BlobPath<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let (answer, window, siblings) = parse_blob(flags, body)?;
        if siblings.is_empty() || siblings.len() > MAX_BLOB_PATH {
            return Err(Drop::ProofLength);
        }
        Ok(BlobPath {
            answer,
            window,
            siblings,
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        emit_blob(
            TYPE_BLOB_PATH,
            &self.answer,
            self.window,
            self.siblings,
            frame,
        )
    }
}

/// The chaining values of a blob window's chunks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlobPage<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Which window.
    pub window: u16,
    /// One for each chunk.
    pub chunks: Hashes<'a>,
}

impl<'a> BlobPage<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, Drop> {
        let (answer, window, chunks) = parse_blob(flags, body)?;
        if chunks.is_empty() || chunks.len() > MAX_PAGE {
            return Err(Drop::ProofLength);
        }
        Ok(BlobPage {
            answer,
            window,
            chunks,
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        emit_blob(
            TYPE_BLOB_PAGE,
            &self.answer,
            self.window,
            self.chunks,
            frame,
        )
    }
}

/// A byte range of one window of a blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlobData<'a> {
    /// What every answer begins with.
    pub answer: Answer,
    /// Which window.
    pub window: u16,
    /// Where in the window the bytes begin.
    pub offset: u32,
    /// The bytes.
    pub payload: Payload<'a>,
}

impl<'a> BlobData<'a> {
    pub(super) fn parse(flags: u8, body: &'a [u8], behind: usize) -> Result<Self, Drop> {
        let mut r = Reader::new(body);
        let mut read = || {
            let (answer, pre_reserved, count) = Answer::read(&mut r)?;
            let (window, reserved, offset) = (r.u16()?, r.u16()?, r.u32()?);
            Some((
                answer,
                window,
                offset,
                count,
                u32::from(pre_reserved) | u32::from(reserved),
            ))
        };
        let (answer, window, offset, count, reserved) = read().ok_or(Drop::Malformed)?;
        let payload = if behind == 0 {
            Payload::Bytes(r.rest())
        } else {
            Payload::Trailing(u32::try_from(behind).map_err(|_| Drop::OutOfRange)?)
        };
        let end = u32::try_from(payload.len())
            .ok()
            .and_then(|len| offset.checked_add(len));
        let in_window = !payload.is_empty() && end.is_some_and(|end| end <= WINDOW_BYTES);
        let aligned = offset & RANGE_UNIT.wrapping_sub(1) == 0;
        check(
            u32::from(flags) | reserved,
            count == 0 && window < MAX_BLOB_WINDOWS && in_window && aligned,
        )?;
        Ok(BlobData {
            answer,
            window,
            offset,
            payload,
        })
    }

    /// Whether the range is one that `of` can have: inside it, and ending at a multiple of 64 or at
    /// the blob's end.
    pub fn fits(&self, of: &BlobName) -> bool {
        let window_len = blob::window_len(of.len, self.window);
        let end = u32::try_from(self.payload.len())
            .ok()
            .and_then(|len| self.offset.checked_add(len));
        end.is_some_and(|end| {
            end <= window_len && (end == window_len || end & RANGE_UNIT.wrapping_sub(1) == 0)
        })
    }

    /// Writes the message; `false` and no change if it does not fit.
    #[must_use]
    pub fn emit(&self, frame: &mut FrameBuilder<'_>) -> bool {
        frame.message(TYPE_BLOB_DATA, 0, self.payload.trailing(), |w| {
            self.answer.write(w, 0);
            w.u16(self.window)
                .u16(0)
                .u32(self.offset)
                .put(self.payload.bytes());
        })
    }
}
