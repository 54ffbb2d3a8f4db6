// SPDX-License-Identifier: GPL-2.0

//! Readers: a cursor on the store.
//!
//! Nothing queues on a socket. A receive call looks whether the bytes at the cursor are in the
//! store; if not, the engine asks for them, and for some more ahead, and the call sleeps until the
//! feed is woken. Bytes are copied from the page cache to the program; [`Reader`] knows which of
//! them came over a link. [`map`] and [`splice`] hand out pages instead.

pub(super) mod map;
pub(super) mod splice;

use super::{
    uapi::*,
    FeedSocket,
    Role, //
};
use crate::net::errno::{
    EBADMSG,
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS,
    ENOTCONN,
    EOPNOTSUPP, //
};
use crate::{
    mm::UserPages,
    net::sock::{
        Message,
        Sock,
        POLLERR,
        POLLIN,
        POLLOUT,
        SHUT_RECEIVE, //
    },
    node::Node,
    store::Piece,
    sync::{
        clock::monotonic_us,
        Unfinished, //
    }, //
};
use feed_core::{
    blob::window_len,
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
    leaf::Leaf,
    wire::WINDOW_BYTES, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A sleeping reader renews its wishes this often, ms: half of their life in the engine.
const RENEW_MS: u64 = 2_000;
/// A reader that found no room looks again after this, ms.
const FULL_MS: u64 = 20;
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
    Cursor,
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
    fn pump(&mut self, node: &Arc<Node>, at: At, buffer: u32) -> Status {
        let bytes = u64::from(buffer);
        let credit = Credit {
            windows: (bytes / u64::from(WINDOW_BYTES)).clamp(1, WINDOWS_MAX) as u32,
            bytes,
        };
        let cursor = match at {
            At::Cursor => &mut self.cursor,
            At::Gathering => self.gathering(),
        };
        let status = node.pump(cursor, &credit);
        if matches!(status, Status::NotYet) && !self.following {
            self.following = true;
            node.follow(&self.id, true);
        }
        status
    }

    /// [`Reading::pump`] of the cursor, unless that has been done since the feed was last woken,
    /// `wakes` times so far, and the cursor has come to the end of what was seen.
    fn pump_cursor(&mut self, node: &Arc<Node>, buffer: u32, wakes: u32) -> Status {
        if self.looked == Some(wakes) && self.following && self.cursor.is_at_end() {
            return Status::NotYet;
        }
        self.looked = Some(wakes);
        self.pump(node, At::Cursor, buffer)
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
        let at = if self.gathering.is_some() { At::Gathering } else { At::Cursor };
        match self.pump(node, at, sk.receive_buffer()) {
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
        match self.pump(node, At::Cursor, WINDOW_BYTES) {
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

/// What a look at the cursor found.
enum Look {
    Data(Found),
    /// Until something changes.
    Wait(Wait),
    End,
    /// The feed has a fork, and nobody was told yet.
    Forked,
}

/// What a call that found nothing waits for.
#[derive(Clone, Copy)]
struct Wait {
    /// The entry is known to exist.
    known: bool,
    /// There was no room to ask for it.
    full: bool,
    /// Which feed, and how often it was woken before the look.
    id: DiscoveryId,
    wakes: u32,
}

/// Bytes that can be copied.
#[derive(Clone, Copy)]
struct Found {
    id: DiscoveryId,
    leaf: Leaf,
    hops: u8,
    fetched: bool,
    offset: u32,
}

impl FeedSocket {
    /// One look at a cursor.
    fn look(&self, sk: Sock<'_>, at: At) -> Result<Look> {
        let mut state = self.state.lock();
        if state.shut & SHUT_RECEIVE != 0 {
            return Ok(Look::End);
        }
        let reading = match &mut state.role {
            Role::Idle => return Err(ENOTCONN),
            Role::Author(_) => return Err(EOPNOTSUPP),
            Role::Reader(reading) if !reading.connected => return Err(ENOTCONN),
            Role::Reader(reading) => reading,
        };
        let id = reading.id;
        // Before the look, which may be behind what is woken for meanwhile.
        let wakes = self.node.wakes(&id);
        let wait = |known, full| Look::Wait(Wait { known, full, id, wakes });
        let status = match at {
            At::Cursor => {
                reading.gathering = None;
                reading.pump_cursor(&self.node, sk.receive_buffer(), wakes)
            }
            At::Gathering => reading.pump(&self.node, at, sk.receive_buffer()),
        };
        match status {
            Status::Forked => Ok(Look::Forked),
            Status::Ready { leaf, hops, fetched } => {
                let cursor = reading.gathering.as_ref().unwrap_or(&reading.cursor);
                let offset = cursor.position().1;
                if offset > leaf.len {
                    return Err(EINVAL);
                }
                Ok(Look::Data(Found { id: reading.id, leaf, hops, fetched, offset }))
            }
            Status::Waiting | Status::NoHead => Ok(wait(true, false)),
            Status::NotYet => Ok(wait(false, false)),
            Status::End => Ok(Look::End),
            Status::Stuck(Wanted::Busy) => Ok(wait(true, true)),
            Status::Stuck(wanted) => refusal(wanted).map(|()| wait(true, false)),
        }
    }

    /// The fork is told once; what was verified before it stays readable.
    fn tell_fork(&self) -> Error {
        if let Role::Reader(reading) = &mut self.state.lock().role {
            reading.cursor.stay_on_branch();
            reading.looked = None;
            reading.gathering = None;
        }
        EBADMSG
    }

    /// The next look is one, whether the feed was woken or not.
    fn look_anew(&self) {
        if let Role::Reader(reading) = &mut self.state.lock().role {
            reading.looked = None;
        }
    }

    /// Moves the cursor on, if it is still where `found` was.
    fn advance(&self, found: &Found, bytes: u32) -> bool {
        let mut state = self.state.lock();
        let Role::Reader(reading) = &mut state.role else {
            return false;
        };
        if reading.id != found.id || reading.cursor.position() != (found.leaf.seq, found.offset) {
            return false;
        }
        reading.cursor.advance(bytes, found.leaf.len);
        reading.bytes += u64::from(bytes);
        if reading.cursor.position().0 != found.leaf.seq {
            reading.entries += 1;
            reading.fetched += u64::from(found.fetched);
        }
        true
    }

    fn entry_info(&self, found: &Found) -> EntryInfo {
        let mut flags = if found.fetched { FEED_ENTRY_NETWORK } else { 0 };
        let mut head_age = 0;
        if let Some(freshness) = self.node.freshness(&found.id) {
            if freshness.stale {
                flags |= FEED_ENTRY_STALE;
            }
            match freshness.age_ms {
                Some(age) => head_age = age,
                None => flags |= FEED_ENTRY_AGE_UNKNOWN,
            }
        }
        EntryInfo {
            seq: found.leaf.seq,
            time: found.leaf.time,
            head_age,
            len: found.leaf.len,
            hops: u16::from(found.hops),
            flags,
            app_flags: found.leaf.flags as u16,
            blob: found.leaf.blob,
        }
    }

    /// Whether the cursor is where `found` was.
    fn is_at(&self, found: &Found) -> bool {
        match &self.state.lock().role {
            Role::Reader(reading) => {
                let place = (found.leaf.seq, found.offset);
                reading.id == found.id && reading.cursor.position() == place
            }
            _ => false,
        }
    }

    /// Sleeps until the cursor may have moved or data may be there; gives what the last look found,
    /// if that was data. `begun` is when the call last made progress, µs.
    fn sleep(
        &self,
        sk: Sock<'_>,
        at: At,
        wait: Wait,
        called: u64,
        begun: u64,
    ) -> Result<Option<Found>> {
        let Wait { known, full, id, wakes } = wait;
        let now = monotonic_us();
        let until = |start: u64, ms: u64| start.saturating_add(ms.saturating_mul(1_000));
        let patience = sk.receive_timeout_ms().map(|ms| until(called, ms));
        if patience.is_some_and(|until| now >= until) {
            return Err(EAGAIN);
        }
        let search = known.then(|| until(begun, self.deadline_ms()));
        if search.is_some_and(|until| now >= until) {
            if let Role::Reader(reading) = &mut self.state.lock().role {
                reading.timeouts += 1;
            }
            return Err(ETIMEDOUT);
        }
        // A reader has the time that softirq has not: it makes room for what it will ask for.
        self.node.world.store.refill();
        // Where others have all the room, nobody tells when they give it back.
        let renew = until(now, if full { FULL_MS } else { RENEW_MS });
        let wake_at = [Some(renew), patience, search].into_iter().flatten().min().unwrap_or(renew);
        let slice_ms = wake_at.saturating_sub(now).div_ceil(1_000);
        let look = || match self.look(sk, at) {
            Ok(Look::Wait(still)) if still.known == known && still.id == id => None,
            Ok(Look::Data(found)) => Some(Some(found)),
            _ => Some(None),
        };
        match self.node.wait(&id, Some(slice_ms), Some(wakes), look) {
            Ok(found) => Ok(found),
            Err(Unfinished::TimedOut) => {
                self.look_anew();
                Ok(None)
            }
            Err(Unfinished::Signal(_)) if sk.receive_timeout_ms().is_some() => Err(EINTR),
            Err(Unfinished::Signal(_)) => Err(ERESTARTSYS),
        }
    }
}

/// One receive call. See [`FeedSocket`] for the locks.
pub(super) fn receive(
    socket: &FeedSocket,
    sk: Sock<'_>,
    msg: &mut Message<'_>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    let peek = flags & MSG_PEEK != 0;
    let nonblock = flags & MSG_DONTWAIT != 0;
    let called = monotonic_us();
    let mut begun = called;
    if nonblock {
        // It sleeps elsewhere, if at all, and nobody knows for how long.
        socket.look_anew();
    }
    // Of the entry that this call is about: feed, seq, offset, and what was left of it.
    let mut entry: Option<(DiscoveryId, u64, u32, usize)> = None;
    let mut done = 0;
    let mut gone = 0;
    // What the look has found that ended a sleep.
    let mut seen = None;
    let mut io = socket.io.lock();
    loop {
        let looked = match seen.take().filter(|found| socket.is_at(found)) {
            Some(found) => Ok(Look::Data(found)),
            None => socket.look(sk, At::Cursor),
        };
        let found = match looked {
            Ok(Look::Data(found)) => found,
            Ok(Look::End) => break,
            Ok(Look::Forked) if done > 0 => break,
            Ok(Look::Forked) => return Err(socket.tell_fork()),
            Ok(Look::Wait(_)) if done > 0 && (nonblock || peek) => break,
            Ok(Look::Wait(_)) if nonblock => return Err(EAGAIN),
            Ok(Look::Wait(wait)) => {
                drop(io);
                let slept = socket.sleep(sk, At::Cursor, wait, called, begun);
                io = socket.io.lock();
                match slept {
                    Ok(found) => {
                        seen = found;
                        continue;
                    }
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
                    let info = socket.entry_info(&found);
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
        begun = monotonic_us();
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
fn window_part(found: &Found, room: usize) -> (u16, u32, u32) {
    let window = (found.offset / WINDOW_BYTES) as u16;
    let inside = found.offset % WINDOW_BYTES;
    let rest = window_len(found.leaf.len, window).saturating_sub(inside);
    let bytes = u32::try_from(room).unwrap_or(u32::MAX).min(rest);
    (window, inside, bytes)
}

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
