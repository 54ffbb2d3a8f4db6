// SPDX-License-Identifier: GPL-2.0

//! splice() from a socket.

use super::{
    look::{
        Look,
        Waited, //
    },
    receive::window_part,
    At, //
};
use crate::{
    af_feed::FeedSocket,
    net::sock::{
        PipeCall,
        Sock, //
    },
    store::Piece, //
};
use kernel::prelude::*;

/// One splice call: pages of the store go to the pipe, never across an entry.
pub(in super::super) fn splice(
    socket: &FeedSocket,
    sk: Sock<'_>,
    pipe: &PipeCall,
    len: usize,
    nonblock: bool,
) -> Result<usize> {
    let mut waited = Waited::default();
    let at = At::Cursor { tells: false };
    if nonblock {
        socket.look_anew();
    }
    let mut done = 0;
    let mut gone = 0;
    let mut io = socket.io.lock();
    while done < len {
        let found = match socket.look(sk, at) {
            Ok(Look::Data(found)) => found,
            Ok(Look::End) => break,
            Ok(Look::Forked) if done > 0 => break,
            Ok(Look::Forked) => return Err(socket.tell_fork()),
            Ok(Look::Wait(_)) if done > 0 => break,
            Ok(Look::Wait(_)) if nonblock => return Err(EAGAIN),
            Ok(Look::Wait(wait)) => {
                drop(io);
                let slept = socket.sleep(sk, wait, &mut waited);
                io = socket.io.lock();
                slept?;
                continue;
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        };
        if found.leaf.len == 0 {
            // A pipe cannot carry an entry of no bytes: 0 would mean the end.
            if !socket.advance(&found, 0) {
                break;
            }
            continue;
        }
        let (window, inside, bytes) = window_part(&found, len - done);
        let blob = found.leaf.blob_name();
        let Some(pieces) = socket.node.world.store.blob_pages(&blob, window, inside, bytes) else {
            gone += 1;
            if gone > super::TRIES {
                return if done > 0 { Ok(done) } else { Err(ETIMEDOUT) };
            }
            continue;
        };
        let mut added = 0;
        let mut full = Ok(());
        for Piece { folio, offset, len } in pieces {
            match pipe.add(&folio, offset, len) {
                Ok(bytes) => {
                    added += bytes;
                    if bytes < len {
                        full = Err(EAGAIN);
                        break;
                    }
                }
                Err(e) => {
                    full = Err(e);
                    break;
                }
            }
        }
        if added == 0 {
            return if done > 0 { Ok(done) } else { full.map(|()| 0) };
        }
        done += added;
        let last = found.offset + added as u32 == found.leaf.len;
        if !socket.advance(&found, added as u32) || last || full.is_err() {
            break;
        }
    }
    drop(io);
    Ok(done)
}
