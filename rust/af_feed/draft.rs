// SPDX-License-Identifier: GPL-2.0

//! The entry that a socket is making: its payload on the way from a program into the store.
//!
//! Bytes are copied, a window at a time, to room that no index points to; hashed from the copy;
//! and made findable under the blob's name when the last one is there. A sendfile comes in several
//! calls (MSG_SPLICE_PAGES with MSG_MORE); everything else is one entry a call, and if that is one
//! window it goes straight to its place.
//!
//! Locks: the caller holds the socket's `io`.

use super::{
    author::{
        Appended,
        OwnFeed, //
    },
    batch::Payload,
    uapi::*, //
};
use crate::net::errno::EOPNOTSUPP;
use crate::{
    net::sock::{
        Message,
        Sock, //
    },
    node::Node,
    store::{
        Extent,
        Owner, //
    }, //
};
use feed_core::{
    blob::BlobHasher,
    id::Hash,
    tree::Node as TreeNode,
    wire::WINDOW_BYTES, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The entry that a socket is making; most of the time none.
pub(crate) struct Draft {
    piece: Option<KBox<Piece>>,
}

/// A payload on its way into the store.
struct Piece {
    append: Append,
    hasher: BlobHasher,
    /// Bytes of the window that is being filled.
    window: KVVec<u8>,
    /// Windows that are full, hashed, and that no index points to.
    windows: KVVec<Extent>,
    /// Nodes of the blob's tree from windows upwards: the blob's name, under which they will be
    /// found, is known last.
    nodes: KVVec<(TreeNode, Hash)>,
    uid: Owner,
}

impl Draft {
    /// No entry is being made.
    pub(crate) fn none() -> Self {
        Self { piece: None }
    }

    /// One send call. Context: process, may sleep; the caller holds the socket's `io`.
    pub(crate) fn send(
        &mut self,
        node: &Arc<Node>,
        feed: &Arc<OwnFeed>,
        sk: Sock<'_>,
        msg: &mut Message<'_>,
        len: usize,
    ) -> Result<usize> {
        let flags = msg.flags();
        if flags & MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        let append = parse_controls(msg)?;
        let splice = flags & MSG_SPLICE_PAGES != 0;
        let more = flags & MSG_MORE != 0;
        // A plain send in the middle of a sendfile ends that entry first.
        if !splice && self.piece.is_some() {
            self.end(node, feed, sk)?;
        }
        let before = self.piece.as_ref().map_or(0, |piece| piece.len());
        if before.saturating_add(len) > FEED_ENTRY_MAX {
            return Err(self.give_up(sk, EMSGSIZE));
        }
        if len == 0 && !splice && !append.empty {
            return Err(EINVAL);
        }
        if len > 0 && append.empty {
            return Err(EINVAL);
        }
        if !splice && (1..=WINDOW_BYTES as usize).contains(&len) {
            let batch = more || flags & MSG_BATCH != 0;
            let extent = node.pin_bytes(len, feed.payer(), |_, room| msg.read(room))?;
            let entry = append.entry(node, Payload::Unhashed(extent), len as u32);
            feed.append(node, entry, batch, u64::from(sk.send_buffer()))?;
            return Ok(len);
        }
        let mut piece = match self.piece.take() {
            Some(piece) => piece,
            None => Piece::new(append, feed.payer())?,
        };
        let filled = piece.fill(node, msg, len);
        if filled.is_ok() && splice && more {
            self.piece = Some(piece);
            return Ok(len);
        }
        if let Err(e) = filled {
            if before > 0 {
                self.piece = Some(piece);
            }
            return Err(self.give_up(sk, e));
        }
        let batch = !splice && (more || flags & MSG_BATCH != 0);
        let entry = piece.publish(node)?;
        feed.append(node, entry, batch, u64::from(sk.send_buffer()))?;
        Ok(len)
    }

    /// Drops the entry that is being made. If bytes of it were taken by earlier calls, the program
    /// has been told that they were sent: SO_ERROR, or the next call, says that they were not.
    fn give_up(&mut self, sk: Sock<'_>, error: Error) -> Error {
        if self.piece.take().is_some() {
            sk.set_error(error);
        }
        error
    }

    /// Ends an entry that came in pieces, if there is one.
    pub(crate) fn end(&mut self, node: &Arc<Node>, feed: &Arc<OwnFeed>, sk: Sock<'_>) -> Result {
        match self.piece.take() {
            Some(mut piece) if !piece.is_empty() => {
                let entry = piece.publish(node)?;
                feed.append(node, entry, false, u64::from(sk.send_buffer()))
            }
            _ => Ok(()),
        }
    }
}

fn parse_controls(msg: &Message<'_>) -> Result<Append> {
    let mut append = None;
    for control in msg.controls() {
        let control = control?;
        if control.level != SOL_FEED {
            continue;
        }
        if control.kind != FEED_CMSG_APPEND || append.is_some() {
            return Err(EINVAL);
        }
        append = Some(Append::parse(control.data)?);
    }
    Ok(append.unwrap_or_default())
}

impl Piece {
    fn new(append: Append, uid: Owner) -> Result<KBox<Self>> {
        // In place: the hasher is too large for the stack.
        KBox::init(
            init!(Self {
                append,
                hasher: BlobHasher::new(),
                window: KVVec::new(),
                windows: KVVec::new(),
                nodes: KVVec::new(),
                uid,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Bytes so far.
    fn len(&self) -> usize {
        (self.hasher.len() as usize).saturating_add(self.window.len())
    }

    fn is_empty(&self) -> bool {
        self.hasher.is_empty() && self.window.is_empty()
    }

    /// Copies `len` bytes from the program. They are hashed from the copy: what the program does
    /// to its memory meanwhile does not matter.
    fn fill(&mut self, node: &Arc<Node>, msg: &mut Message<'_>, len: usize) -> Result {
        let mut left = len;
        while left > 0 {
            let room = (WINDOW_BYTES as usize).saturating_sub(self.window.len());
            if room == 0 {
                self.flush(node)?;
                continue;
            }
            let now = left.min(room);
            msg.read_onto(&mut self.window, now)?;
            left -= now;
        }
        Ok(())
    }

    /// Hashes the window and moves it into the store, where nothing finds it yet.
    fn flush(&mut self, node: &Arc<Node>) -> Result {
        if self.window.is_empty() {
            return Ok(());
        }
        let nodes = &mut self.nodes;
        let mut full = Ok(());
        self.hasher
            .update(&self.window, |tree_node, hash| {
                if full.is_ok() {
                    full = nodes.push((tree_node, *hash), GFP_KERNEL_ACCOUNT);
                }
            })
            .map_err(|_| EMSGSIZE)?;
        full?;
        let extent = node.pin_bytes(self.window.len(), self.uid, |at, room| {
            let bytes = self.window.get(at..).and_then(|rest| rest.get(..room.len()));
            bytes.is_some_and(|bytes| {
                room.copy_from_slice(bytes);
                true
            })
        })?;
        self.windows.push(extent, GFP_KERNEL_ACCOUNT)?;
        self.window.clear();
        Ok(())
    }

    /// Makes the payload findable under its name.
    fn publish(&mut self, node: &Arc<Node>) -> Result<Appended> {
        self.flush(node)?;
        let nodes = &mut self.nodes;
        let mut full = Ok(());
        let blob = self.hasher.finish(|tree_node, hash| {
            if full.is_ok() {
                full = nodes.push((tree_node, *hash), GFP_KERNEL_ACCOUNT);
            }
        });
        full?;
        for (tree_node, hash) in self.nodes.iter() {
            node.pin_blob_node(&blob, *tree_node, hash, self.uid)?;
        }
        for (window, mut extent) in self.windows.drain_all().enumerate() {
            if !extent.publish_as(&blob, window as u16, 0) {
                return Err(ENOSPC);
            }
        }
        Ok(self.append.entry(node, Payload::Stored(blob.hash), blob.len))
    }
}

impl Append {
    /// An entry as its author wants it.
    fn entry(&self, node: &Node, payload: Payload, len: u32) -> Appended {
        Appended {
            payload,
            len,
            time: self.time.unwrap_or_else(|| node.wall_ms().unwrap_or(0)),
            flags: u32::from(self.app_flags),
        }
    }
}
