// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Long frames: one that carries more of a blob's window than an MTU allows, and the frames that it is
//! cut into where a device must not carry it as it is.
//!
//! Only BLOB_DATA is cut, and what it is cut into says the same as the long frame does: each piece is a
//! frame of its own with a part of the payload, and the first one has the path if there is one.

use core::ops::Range;

use super::frame::blob_data_head;
use super::{BLOB_HEADER_LEN, FRAME_HEADER_LEN, MTU_MAX, RANGE_UNIT};

/// Bytes before the payload of all pieces but the first, which may have a path, too.
pub const PIECE_HEAD_LEN: usize = FRAME_HEADER_LEN + BLOB_HEADER_LEN;

/// Where a frame's length stands in it.
const FRAME_LEN_AT: usize = 2;
/// Where a message's length stands in it.
const LEN_AT: usize = 2;
/// Where the offset stands in a BLOB_DATA.
const OFFSET_AT: usize = 20;

/// Where the payload of a frame is that a BLOB_DATA ends; `None` if it is another, or `head` does not
/// reach as far as it begins.
pub fn payload_range(head: &[u8]) -> Option<Range<usize>> {
    let start = blob_data_head(head).filter(|at| *at <= head.len())?;
    let len = u16::from_le_bytes(*head.get(FRAME_LEN_AT..)?.first_chunk()?);
    Some(start..FRAME_HEADER_LEN.checked_add(usize::from(len))?)
}

/// How a frame can leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leaves {
    /// As it is.
    Whole,
    /// Where it must, in pieces with so many bytes of payload, the last with fewer.
    Pieces(u16),
}

/// How a frame can leave by a device with this MTU which has `behind` bytes behind those in `linear`.
/// Pieces are at least `spare` bytes shorter than the MTU. `None` if it cannot, be it cut or not.
pub fn leaves(linear: &[u8], behind: usize, mtu: usize, spare: usize) -> Option<Leaves> {
    if linear.len().checked_add(behind)? <= mtu {
        return Some(Leaves::Whole);
    }
    let head = payload_range(linear)?.start;
    if head != linear.len() {
        return None;
    }
    let unit = RANGE_UNIT as usize;
    let room = mtu.min(MTU_MAX).checked_sub(head)?.checked_sub(spare)?;
    let room = room & !unit.wrapping_sub(1);
    let piece = u16::try_from(room).ok().filter(|room| *room > 0)?;
    Some(Leaves::Pieces(piece))
}

/// Makes of a long frame's head, up to its payload, that of the piece with `len` bytes of the payload from
/// `at` on. Gives its length, which is less than before for all pieces but the first.
pub fn cut_head(head: &mut [u8], at: u32, len: u32) -> Option<usize> {
    let start = payload_range(head)?.start;
    let message = start.checked_sub(BLOB_HEADER_LEN)?;
    let to = if at == 0 {
        message
    } else {
        let of_message = *chunk_mut::<BLOB_HEADER_LEN>(head, message)?;
        *chunk_mut(head, FRAME_HEADER_LEN)? = of_message;
        FRAME_HEADER_LEN
    };
    let end = to.checked_add(BLOB_HEADER_LEN)?;
    let offset = chunk_mut(head, to.checked_add(OFFSET_AT)?)?;
    *offset = u32::from_le_bytes(*offset).checked_add(at)?.to_le_bytes();
    let whole = u32::try_from(BLOB_HEADER_LEN).ok()?.checked_add(len)?;
    put_u16(head, to.checked_add(LEN_AT)?, whole)?;
    let before = u32::try_from(end.checked_sub(FRAME_HEADER_LEN)?).ok()?;
    put_u16(head, FRAME_LEN_AT, before.checked_add(len)?)?;
    Some(end)
}

fn put_u16(head: &mut [u8], at: usize, value: u32) -> Option<()> {
    *chunk_mut(head, at)? = u16::try_from(value).ok()?.to_le_bytes();
    Some(())
}

fn chunk_mut<const LEN: usize>(head: &mut [u8], at: usize) -> Option<&mut [u8; LEN]> {
    head.get_mut(at..)?.first_chunk_mut()
}
