// SPDX-License-Identifier: GPL-2.0

//! Whole entries in the memory of a program.
//!
//! mmap() shows an entry that is in the store; its offset says which. It must not wait, because the
//! program's address space is locked meanwhile. So FEED_OPT_MAP does what can take time, as a
//! receive call would: it waits until all of the entry is here, holding what is, and moves on.
//! mmap() then shows what was taken, whatever has become of the store.

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
        uapi::{
            FEED_ENTRY_MAX,
            FEED_MAP_SHIFT, //
        },
        FeedSocket,
        Role, //
    },
    mm::{
        NewMapping,
        UserPages,
        PAGE_SIZE, //
    },
    net::{
        errno::{
            ENODATA,
            ENOTCONN,
            EOPNOTSUPP, //
        },
        sock::{
            OptionRoom,
            Sock, //
        }, //
    },
    store::{
        Piece,
        Store, //
    }, //
};
use feed_core::{
    blob::window_len,
    id::BlobName,
    wire::WINDOW_BYTES, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Pages of the room that an entry has for mmap(): the longest fills it.
const ROOM: usize = (1 << FEED_MAP_SHIFT) / PAGE_SIZE;

const _: () = assert!(ROOM * PAGE_SIZE == FEED_ENTRY_MAX);

/// An entry of which some windows are held.
struct Gathered {
    /// As it was last found: hops and origin of all of it.
    found: Found,
    pages: UserPages,
    /// Bytes of it.
    len: u32,
}

/// Takes hold of the windows of a blob that are here, from byte `len` on up to the first that is not;
/// moves `len`.
fn gather(store: &Store, blob: &BlobName, pages: &mut UserPages, len: &mut u32) -> Result {
    while *len < blob.len {
        let window = (*len / WINDOW_BYTES) as u16;
        let bytes = window_len(blob.len, window);
        let Some(pieces) = store.blob_pages(blob, window, 0, bytes) else {
            return Ok(());
        };
        for Piece { folio, offset, len } in pieces {
            pages.add(folio, offset, len)?;
        }
        *len += bytes;
    }
    Ok(())
}

impl Gathered {
    fn nothing_of(found: Found) -> Result<Self> {
        Ok(Self {
            found,
            pages: UserPages::for_bytes(found.leaf.len as usize)?,
            len: 0,
        })
    }

    /// Another look has found `found`, the same entry.
    fn note(&mut self, found: &Found) {
        self.found.hops = self.found.hops.max(found.hops);
        self.found.fetched |= found.fetched;
    }

    fn is_of(&self, found: &Found) -> bool {
        self.found.id == found.id && self.found.leaf == found.leaf
    }

    fn is_whole(&self) -> bool {
        self.len == self.found.leaf.len
    }

    /// Takes hold of the windows that are here, up to the first that is not.
    fn gather(&mut self, store: &Store) -> Result {
        let blob = self.found.leaf.blob_name();
        gather(store, &blob, &mut self.pages, &mut self.len)
    }
}

impl FeedSocket {
    /// The next look is for what `gathered` lacks.
    fn look_behind(&self, gathered: &Gathered) {
        let Found { id, leaf, .. } = &gathered.found;
        if let Role::Reader(reading) = &mut self.state.lock().role {
            if reading.id == *id && reading.cursor.position().0 == leaf.seq {
                reading.gathering().seek(leaf.seq, gathered.len);
            }
        }
    }

    /// Moves the cursor behind an entry and keeps its pages for mmap(), if the cursor is still there.
    fn take(&self, found: &Found, pages: Arc<UserPages>) -> bool {
        let mut state = self.state.lock();
        let Role::Reader(reading) = &mut state.role else {
            return false;
        };
        let (seq, len) = (found.leaf.seq, found.leaf.len);
        if reading.id != found.id || reading.cursor.position().0 != seq {
            return false;
        }
        // What was asked for ahead is known to the cursor that asked.
        reading.gathering();
        if let Some(cursor) = reading.gathering.take() {
            reading.cursor = cursor;
        }
        let offset = reading.cursor.position().1;
        reading.cursor.advance(len.saturating_sub(offset), len);
        reading.bytes += u64::from(len);
        reading.entries += 1;
        reading.fetched += u64::from(found.fetched);
        let before = reading.taken.replace((seq, pages));
        drop(state);
        drop(before);
        true
    }
}

/// One FEED_OPT_MAP. See [`FeedSocket`] for the locks.
// Not inlined: stack.
#[inline(never)]
pub(in super::super) fn take(socket: &FeedSocket, sk: Sock<'_>, room: &OptionRoom) -> Result {
    let mut waited = Waited::default();
    let mut gathered: Option<Gathered> = None;
    let mut gone = 0;
    let mut io = socket.io.lock();
    loop {
        let found = match socket.look(sk, At::Gathering)? {
            Look::Data(found) => found,
            Look::End => return Err(ENODATA),
            Look::Forked => return Err(socket.tell_fork()),
            Look::Wait(_) if room.nonblock() => return Err(EAGAIN),
            Look::Wait(wait) => {
                drop(io);
                let slept = socket.sleep(sk, wait, &mut waited);
                io = socket.io.lock();
                slept?;
                continue;
            }
        };
        // Another thread may have read on while this one slept.
        let mut entry = match gathered.take().filter(|entry| entry.is_of(&found)) {
            Some(entry) => entry,
            None => Gathered::nothing_of(found)?,
        };
        entry.note(&found);
        let before = entry.len;
        entry.gather(&socket.node.world.store)?;
        if !entry.is_whole() {
            gone = if entry.len > before { 0 } else { gone + 1 };
            if gone > TRIES {
                // The kernel takes each time what was fetched.
                return Err(ETIMEDOUT);
            }
            waited.has_progressed();
            socket.look_behind(&entry);
            gathered = Some(entry);
            continue;
        }
        let Gathered { found, pages, .. } = entry;
        let pages = Arc::new(pages, GFP_KERNEL_ACCOUNT)?;
        room.write(&FeedSocket::entry_info(&found).to_bytes())?;
        if socket.take(&found, pages) {
            return Ok(());
        }
    }
}

/// One mmap(). Context: process, with the program's address space locked.
// Not inlined: stack.
#[inline(never)]
pub(in super::super) fn show(socket: &FeedSocket, mapping: &NewMapping<'_>) -> Result {
    mapping.read_only()?;
    let (seq, first) = (mapping.first_page() / ROOM, mapping.first_page() % ROOM);
    let seq = seq as u64;
    let mut state = socket.state.lock();
    let reading = match &mut state.role {
        Role::Author(_) => return Err(EOPNOTSUPP),
        Role::Reader(reading) if reading.is_connected() => reading,
        _ => return Err(ENOTCONN),
    };
    if let Some((_, pages)) = reading.taken.as_ref().filter(|taken| taken.0 == seq) {
        pages.show(mapping, first)?;
        // From now on the mapping alone holds them.
        reading.taken = None;
        return Ok(());
    }
    let (id, tells_fork) = (reading.id, !reading.cursor.stays_on_branch());
    drop(state);
    let (is_forked, head) = socket.node.branch(&id);
    if is_forked && tells_fork {
        return Err(socket.tell_fork());
    }
    let leaf = socket.node.leaf_under(&head.ok_or(ENODATA)?, seq).ok_or(ENODATA)?;
    let mut pages = UserPages::for_bytes(leaf.len as usize)?;
    let mut len = 0;
    gather(&socket.node.world.store, &leaf.blob_name(), &mut pages, &mut len)?;
    if len < leaf.len {
        return Err(ENODATA);
    }
    Arc::new(pages, GFP_KERNEL_ACCOUNT)?.show(mapping, first)
}
