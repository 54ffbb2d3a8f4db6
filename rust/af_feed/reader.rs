// SPDX-License-Identifier: GPL-2.0

//! Readers: a cursor on the store.
//!
//! Nothing queues on a socket. A receive call looks whether the bytes at the cursor are in the
//! store; if not, the engine asks for them, and for some more ahead, and the call sleeps until the
//! feed is woken. Bytes are copied from the page cache to the program; [`Reader`] knows which of
//! them came over a link. [`map`] and [`splice`] hand out pages instead. What all of them do is
//! [`look`]: at the cursor, until there is something to hand out.

mod look;
pub(super) mod map;
pub(super) mod receive;
pub(super) mod splice;

use super::uapi::*;
use crate::net::errno::{
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS, //
};
use crate::{
    mm::UserPages,
    net::sock::{
        Sock,
        POLLERR,
        POLLIN,
        POLLOUT, //
    },
    node::Node,
    sync::clock::monotonic_us, //
};
use feed_core::{
    engine::{
        fetch::{
            Credit,
            Reader,
            Status, //
        },
        Wanted, //
    },
    id::{
        DiscoveryId,
        Name, //
    },
    verify::Freshness,
    wire::WINDOW_BYTES, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A sleeping reader renews its wishes this often, ms: half of their life in the engine.
const RENEW_MS: u64 = 2_000;
/// Tries to copy what was there a moment ago, before the call says so.
const TRIES: u32 = 8;
/// Windows in flight for one reader at most, whatever its buffer.
const WINDOWS_MAX: u64 = 64;

/// A socket's hold on a feed that it reads.
pub(crate) struct Reading {
    id: DiscoveryId,
    name: Name,
    cursor: Reader,
    connected: bool,
    /// Why the connect under way has failed, for a program that polls.
    failed: bool,
    /// When the connect under way gives up, µs.
    deadline: u64,
    /// Where to start; [`FEED_SEQ_NEW`] is not known before a head is.
    start: u64,
    following: bool,
    entries: u64,
    bytes: u64,
    fetched: u64,
    timeouts: u64,
    /// How often the feed was woken before the last look at the cursor.
    looked: Option<u32>,
    /// A second cursor, in the entry at the first: what is before it was here when FEED_OPT_MAP
    /// looked for the whole entry.
    gathering: Option<Reader>,
    /// An entry that is held for mmap().
    taken: Option<(u64, Arc<UserPages>)>,
}

/// Which cursor of a [`Reading`] is meant.
#[derive(Clone, Copy)]
enum At {
    /// Where the next byte is read.
    Cursor {
        /// How old the head is is looked at, too.
        tells: bool,
    },
    /// Where the first byte is missing for the whole entry.
    Gathering,
}

/// The errno of a wish that cannot be fulfilled.
fn refusal(wanted: Wanted) -> Result {
    match wanted {
        Wanted::Present | Wanted::Waiting => Ok(()),
        Wanted::NoPort => Err(ENETDOWN),
        Wanted::NoRoute => Err(ENETUNREACH),
        Wanted::Busy => Err(ENOBUFS),
    }
}

impl Reading {
    /// Begins to connect. A feed with a verified head in the store is connected at once.
    ///
    /// # Errors
    /// `ENETDOWN` without a port, `ENETUNREACH` without a route, `ENOBUFS` when too much is asked
    /// for at once already.
    pub(super) fn open(node: &Arc<Node>, name: Name, seq: u64, timeout_ms: u64) -> Result<Self> {
        let id = name.id();
        node.feed_open(&id, name)?;
        let mut this = Self {
            id,
            name,
            cursor: Reader::new(id, 0),
            connected: false,
            failed: false,
            deadline: monotonic_us().saturating_add(timeout_ms.saturating_mul(1_000)),
            start: seq,
            following: false,
            entries: 0,
            bytes: 0,
            fetched: 0,
            timeouts: 0,
            looked: None,
            gathering: None,
            taken: None,
        };
        if let Err(e) = this.advance_connect(node) {
            node.feed_close(&id);
            return Err(e);
        }
        Ok(this)
    }

    /// Lets go of the feed.
    pub(super) fn close(&self, node: &Arc<Node>) {
        if self.following {
            node.follow(&self.id, false);
        }
        node.feed_close(&self.id);
    }

    fn advance_connect(&mut self, node: &Arc<Node>) -> Result {
        if let Some(head) = node.head(&self.id) {
            let seq = if self.start == FEED_SEQ_NEW { head.head.n } else { self.start };
            self.cursor.seek(seq, 0);
            self.connected = true;
            return Ok(());
        }
        // Its end wakes whoever waits or polls, so it must not come after the deadline's.
        let left_ms = self.deadline.saturating_sub(monotonic_us()).div_ceil(1_000);
        refusal(node.want_head(&self.id, (0, 0), left_ms.min(RENEW_MS * 2) as u32))
    }

    /// How far the connect is: `None` while it goes on.
    pub(super) fn progress(&mut self, node: &Arc<Node>) -> Option<Result> {
        if self.connected {
            return Some(Ok(()));
        }
        if monotonic_us() >= self.deadline {
            self.failed = true;
            return Some(Err(ETIMEDOUT));
        }
        if let Err(e) = self.advance_connect(node) {
            // The last way to it has gone meanwhile. Nobody would wake who waits.
            self.failed = true;
            return Some(Err(e));
        }
        self.connected.then_some(Ok(()))
    }

    /// Whether a head was verified.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether the connect has ended without one.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The feed's name.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// The name that it is looked up by.
    pub(super) fn id(&self) -> DiscoveryId {
        self.id
    }

    /// The entry at the cursor.
    pub(super) fn next_seq(&self) -> u64 {
        self.cursor.position().0
    }

    /// Moves the cursor.
    ///
    /// # Errors
    /// `EINVAL` for an offset beyond the entry's length, as far as that is known here; else the
    /// next receive call says so.
    pub(super) fn seek(&mut self, node: &Arc<Node>, seq: u64, offset: u64) -> Result {
        let offset = u32::try_from(offset).map_err(|_| EINVAL)?;
        self.gathering = None;
        let known = node.head(&self.id).map_or(0, |head| head.head.n);
        if seq == FEED_SEQ_NEW {
            if offset != 0 {
                return Err(EINVAL);
            }
            self.cursor.seek(known, 0);
            return Ok(());
        }
        let too_far = node
            .leaf(&self.id, seq)
            .is_some_and(|leaf| offset > leaf.len);
        if too_far || offset as usize > FEED_ENTRY_MAX {
            return Err(EINVAL);
        }
        self.cursor.seek(seq, offset);
        Ok(())
    }

    /// The cursor for [`At::Gathering`], at the beginning of the entry if that is new.
    fn gathering(&mut self) -> &mut Reader {
        let (seq, offset) = self.cursor.position();
        if self.gathering.as_ref().is_some_and(|at| at.position().0 != seq) {
            self.gathering = None;
        }
        self.gathering.get_or_insert_with(|| {
            let mut cursor = self.cursor.clone();
            if offset != 0 {
                cursor.seek(seq, 0);
            }
            cursor
        })
    }

    /// Looks at a cursor and asks for what is missing.
    fn pump(&mut self, node: &Arc<Node>, at: At, buffer: u32) -> (Status, Option<Freshness>) {
        let bytes = u64::from(buffer);
        let credit = Credit {
            windows: (bytes / u64::from(WINDOW_BYTES)).clamp(1, WINDOWS_MAX) as u32,
            bytes,
        };
        let (cursor, tells) = match at {
            At::Cursor { tells } => (&mut self.cursor, tells),
            At::Gathering => (self.gathering(), true),
        };
        let (status, freshness) = node.pump(cursor, &credit, tells);
        if matches!(status, Status::NotYet) && !self.following {
            self.following = true;
            node.follow(&self.id, true);
        }
        (status, freshness)
    }

    /// [`Reading::pump`] of the cursor, unless that has been done since the feed was last woken,
    /// `wakes` times so far, and the cursor has come to the end of what was seen.
    fn pump_cursor(
        &mut self,
        node: &Arc<Node>,
        at: At,
        buffer: u32,
        wakes: u32,
    ) -> (Status, Option<Freshness>) {
        if self.looked == Some(wakes) && self.following && self.cursor.is_at_end() {
            return (Status::NotYet, None);
        }
        self.looked = Some(wakes);
        self.pump(node, at, buffer)
    }

    /// `POLL*` bits.
    pub(super) fn poll(&mut self, node: &Arc<Node>, sk: Sock<'_>) -> u32 {
        if !self.connected {
            if self.failed {
                return POLLOUT;
            }
            return match self.progress(node) {
                None => 0,
                Some(Ok(())) => POLLOUT,
                Some(Err(e)) => {
                    sk.set_error(e);
                    POLLERR | POLLOUT
                }
            };
        }
        // Who has asked for a whole entry waits for that.
        let at = match self.gathering {
            Some(_) => At::Gathering,
            None => At::Cursor { tells: false },
        };
        match self.pump(node, at, sk.receive_buffer()).0 {
            // What a receive call would wait for, see `look`.
            Status::Waiting
            | Status::NotYet
            | Status::NoHead
            | Status::Stuck(Wanted::Busy | Wanted::Present | Wanted::Waiting) => POLLOUT,
            _ => POLLIN | POLLOUT,
        }
    }

    /// For FIONREAD: bytes of the present entry, 0 if none is here.
    pub(super) fn readable(&mut self, node: &Arc<Node>) -> i32 {
        if !self.connected {
            return 0;
        }
        let offset = self.cursor.position().1;
        match self.pump(node, At::Cursor { tells: false }, WINDOW_BYTES).0 {
            Status::Ready { leaf, .. } => i32::try_from(leaf.len.saturating_sub(offset)).unwrap_or(0),
            _ => 0,
        }
    }

    /// For FEED_OPT_INFO.
    pub(super) fn info(&self, node: &Arc<Node>) -> Info {
        let (next, offset) = self.cursor.position();
        let head = node.head(&self.id);
        Info {
            known: head.as_ref().map_or(0, |head| head.head.n),
            next,
            offset: u64::from(offset),
            entries: self.entries,
            bytes: self.bytes,
            fetched: self.fetched,
            timeouts: self.timeouts,
            epoch: head.as_ref().map_or(0, |head| head.head.epoch),
            in_flight: self.cursor.in_flight(),
        }
    }
}
