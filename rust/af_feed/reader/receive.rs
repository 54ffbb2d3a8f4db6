// SPDX-License-Identifier: GPL-2.0

//! Receive calls that copy.

use super::{
    look::{
        Found,
        Look,
        Waited, //
    },
    At,
    TRIES, //
};
use crate::{
    af_feed::{
        uapi::*,
        FeedSocket, //
    },
    net::sock::{
        Message,
        Sock, //
    },
    store::Piece, //
};
use feed_core::{
    blob::window_len,
    id::DiscoveryId,
    wire::WINDOW_BYTES, //
};
use kernel::prelude::*;

/// One receive call. See [`FeedSocket`] for the locks.
pub(in super::super) fn receive(
    socket: &FeedSocket,
    sk: Sock<'_>,
    msg: &mut Message<'_>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    let peek = flags & MSG_PEEK != 0;
    let nonblock = flags & MSG_DONTWAIT != 0;
    let mut waited = Waited::default();
    if nonblock {
        // It sleeps elsewhere, if at all, and nobody knows for how long.
        socket.look_anew();
    }
    // Of the entry that this call is about: feed, seq, offset, and what was left of it.
    let mut entry: Option<(DiscoveryId, u64, u32, usize)> = None;
    let mut done = 0;
    let mut gone = 0;
    let mut io = socket.io.lock();
    loop {
        let at = At::Cursor { tells: entry.is_none() && msg.wants_control() };
        let found = match socket.look(sk, at) {
            Ok(Look::Data(found)) => found,
            Ok(Look::End) => break,
            Ok(Look::Forked) if done > 0 => break,
            Ok(Look::Forked) => return Err(socket.tell_fork()),
            Ok(Look::Wait(_)) if done > 0 && (nonblock || peek) => break,
            Ok(Look::Wait(_)) if nonblock => return Err(EAGAIN),
            Ok(Look::Wait(wait)) => {
                drop(io);
                let slept = socket.sleep(sk, wait, &mut waited);
                io = socket.io.lock();
                match slept {
                    Ok(()) => continue,
                    Err(_) if done > 0 => break,
                    Err(e) => return Err(e),
                }
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        };
        match entry {
            None => {
                let left = (found.leaf.len - found.offset) as usize;
                entry = Some((found.id, found.leaf.seq, found.offset, left));
                if msg.wants_control() {
                    let info = FeedSocket::entry_info(&found);
                    msg.put_control(SOL_FEED, FEED_CMSG_ENTRY, &info.to_bytes());
                }
            }
            // Another thread has read on while this one slept.
            Some((id, seq, start, _))
                if (id, seq) != (found.id, found.leaf.seq)
                    || start as usize + done != found.offset as usize =>
            {
                break
            }
            Some(_) => {}
        }
        let copied = match copy_window(socket, msg, &found, len - done) {
            Copied::All(bytes) => bytes,
            Copied::Gone => {
                // Taken by the kernel between the look and the copy: it will be fetched again.
                gone += 1;
                if gone > TRIES {
                    return if done > 0 { Ok(done) } else { Err(ETIMEDOUT) };
                }
                continue;
            }
            Copied::Fault if done > 0 => break,
            Copied::Fault => return Err(EFAULT),
        };
        done += copied as usize;
        waited.has_progressed();
        let last = found.offset + copied == found.leaf.len;
        // With no room at all an entry is only looked at; an empty one is read by that.
        let moved = copied > 0 || last;
        if moved && !peek && !socket.advance(&found, copied) {
            break;
        }
        if last {
            msg.add_flags(MSG_EOR);
        }
        if last || done == len || peek {
            break;
        }
    }
    drop(io);
    let whole = entry.map_or(0, |(.., left)| left);
    Ok(if flags & MSG_TRUNC != 0 { whole } else { done })
}

/// What became of a copy.
enum Copied {
    All(u32),
    /// The bytes are not in the store any more.
    Gone,
    /// The program's memory cannot be written.
    Fault,
}

/// The part of the window at the cursor that a call of `room` bytes gets.
pub(super) fn window_part(found: &Found, room: usize) -> (u16, u32, u32) {
    let window = (found.offset / WINDOW_BYTES) as u16;
    let inside = found.offset % WINDOW_BYTES;
    let rest = window_len(found.leaf.len, window).saturating_sub(inside);
    let bytes = u32::try_from(room).unwrap_or(u32::MAX).min(rest);
    (window, inside, bytes)
}

// Not inlined, as its stack is not needed by a call that sleeps.
#[inline(never)]
fn copy_window(socket: &FeedSocket, msg: &mut Message<'_>, found: &Found, room: usize) -> Copied {
    let (window, inside, bytes) = window_part(found, room);
    if bytes == 0 {
        return Copied::All(0);
    }
    let blob = found.leaf.blob_name();
    let Some(pieces) = socket.node.world.store.blob_pages(&blob, window, inside, bytes) else {
        return Copied::Gone;
    };
    let to = msg.destination();
    for Piece { folio, offset, len } in pieces {
        let copied = folio.lend(offset, len, |bytes| to.copy_to_iter(bytes));
        if copied != Some(len) {
            return Copied::Fault;
        }
    }
    Copied::All(bytes)
}
