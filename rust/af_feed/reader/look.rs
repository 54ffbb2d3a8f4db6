// SPDX-License-Identifier: GPL-2.0

//! What all receive calls do: look at the cursor, sleep until there may be something, move on.

use super::{
    refusal,
    At,
    RENEW_MS, //
};
use crate::{
    af_feed::{
        uapi::*,
        FeedSocket,
        Role, //
    },
    net::{
        errno::{
            EBADMSG,
            ENOTCONN,
            EOPNOTSUPP, //
        },
        sock::{
            Sock,
            SHUT_RECEIVE, //
        }, //
    },
    sync::{
        clock::monotonic_us,
        Unfinished, //
    }, //
};
use feed_core::{
    engine::{
        fetch::Status,
        Wanted, //
    },
    id::DiscoveryId,
    leaf::Leaf,
    verify::Freshness, //
};
use kernel::prelude::*;

/// A reader that found no room looks again after this, ms.
const FULL_MS: u64 = 20;

/// What a look at the cursor found.
pub(super) enum Look {
    Data(Found),
    /// Until something changes.
    Wait(Wait),
    End,
    /// The feed has a fork, and nobody was told yet.
    Forked,
}

/// What a call that found nothing waits for.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// The entry is known to exist.
    pub(super) known: bool,
    /// There was no room to ask for it.
    pub(super) full: bool,
    /// Which feed, and how often it was woken before the look.
    pub(super) id: DiscoveryId,
    pub(super) wakes: u32,
}

/// Bytes that can be copied.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) id: DiscoveryId,
    pub(super) leaf: Leaf,
    pub(super) hops: u8,
    pub(super) fetched: bool,
    pub(super) offset: u32,
    /// Of the head, if it was asked for.
    freshness: Option<Freshness>,
}

/// Since when a call waits, µs.
#[derive(Default)]
pub(super) struct Waited {
    call: Option<u64>,
    /// For what is known to exist, without any progress.
    search: Option<u64>,
}

impl Waited {
    /// What the call looks for next is something else than before.
    pub(super) fn has_progressed(&mut self) {
        self.search = None;
    }
}

impl FeedSocket {
    /// One look at a cursor.
    pub(super) fn look(&self, sk: Sock<'_>, at: At) -> Result<Look> {
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
        let (status, freshness) = match at {
            At::Cursor { .. } => {
                reading.gathering = None;
                reading.pump_cursor(&self.node, at, sk.receive_buffer(), wakes)
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
                Ok(Look::Data(Found { id, leaf, hops, fetched, offset, freshness }))
            }
            Status::Waiting | Status::NoHead => Ok(wait(true, false)),
            Status::NotYet => Ok(wait(false, false)),
            Status::End => Ok(Look::End),
            Status::Stuck(Wanted::Busy) => Ok(wait(true, true)),
            Status::Stuck(wanted) => refusal(wanted).map(|()| wait(true, false)),
        }
    }

    /// The fork is told once; what was verified before it stays readable.
    pub(super) fn tell_fork(&self) -> Error {
        if let Role::Reader(reading) = &mut self.state.lock().role {
            reading.cursor.stay_on_branch();
            reading.looked = None;
            reading.gathering = None;
        }
        EBADMSG
    }

    /// The next look is one, whether the feed was woken or not.
    pub(super) fn look_anew(&self) {
        if let Role::Reader(reading) = &mut self.state.lock().role {
            reading.looked = None;
        }
    }

    /// Moves the cursor on, if it is still where `found` was.
    pub(super) fn advance(&self, found: &Found, bytes: u32) -> bool {
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

    pub(super) fn entry_info(found: &Found) -> EntryInfo {
        let mut flags = if found.fetched { FEED_ENTRY_NETWORK } else { 0 };
        let mut head_age = 0;
        if let Some(freshness) = found.freshness {
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

    /// Sleeps until the cursor may have moved or data may be there.
    pub(super) fn sleep(
        &self,
        sk: Sock<'_>,
        wait: Wait,
        waited: &mut Waited,
    ) -> Result {
        let Wait { known, full, id, wakes } = wait;
        let now = monotonic_us();
        let until = |start: u64, ms: u64| start.saturating_add(ms.saturating_mul(1_000));
        let called = *waited.call.get_or_insert(now);
        let patience = sk.receive_timeout_ms().map(|ms| until(called, ms));
        if patience.is_some_and(|until| now >= until) {
            return Err(EAGAIN);
        }
        if !known {
            waited.search = None;
        }
        let search = known.then(|| until(*waited.search.get_or_insert(now), self.deadline_ms()));
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
        match self.node.sleep(&id, slice_ms, wakes) {
            Ok(()) => Ok(()),
            Err(Unfinished::TimedOut) => {
                self.look_anew();
                Ok(())
            }
            Err(Unfinished::Signal(_)) if sk.receive_timeout_ms().is_some() => Err(EINTR),
            Err(Unfinished::Signal(_)) => Err(ERESTARTSYS),
        }
    }
}
