// SPDX-License-Identifier: GPL-2.0

//! Room for authors: pinned segments, who pays for them, and how wasted room comes back.
//!
//! What an author reserves is paid for by the room that it takes. Most of it is published and stays until the store
//! goes. The rest, of a sendfile that was cut off or an append that failed, lies behind bytes that
//! stay, so it cannot be used again: it is *wasted*. Its user goes on paying for it, or a program
//! could use up the store for nothing, until the segment holds nothing else and ends.
//!
//! Lock order: `wasted`, then the mutex of slots, of pinned folios or of owners.

use super::{
    arena::{
        Kind,
        Taken, //
    },
    policy::Class,
    segments::SegmentId,
    Owner,
    Store, //
};
use crate::net::errno::EDQUOT;
use kernel::prelude::*;

/// How often room is made, when others take it first.
const TRIES: usize = 4;

/// Room that is paid for and lost until its segment ends.
#[derive(Clone, Copy)]
pub(super) struct Wasted {
    segment: SegmentId,
    owner: Owner,
    bytes: u64,
}

impl Store {
    /// Room for `len` bytes of an author's, paid for. EDQUOT and ENOSPC say that the user's or the
    /// store's limit is reached. Context: process, may sleep.
    pub(super) fn take_pinned(&self, kind: Kind, len: u32, owner: Owner) -> Result<Taken> {
        match self.take_paid(kind, len, owner) {
            Err(error) if (error == EDQUOT || error == ENOSPC) && self.reap() > 0 => {
                self.take_paid(kind, len, owner)
            }
            taken => taken,
        }
    }

    fn take_paid(&self, kind: Kind, len: u32, owner: Owner) -> Result<Taken> {
        let cost = kind.cost(len).into();
        self.pay(owner, cost)?;
        let taken = self.take_room(kind, len);
        if taken.is_err() {
            self.refund(owner, cost);
        }
        taken
    }

    fn take_room(&self, kind: Kind, len: u32) -> Result<Taken> {
        for _ in 0..TRIES {
            // Whether the pool is low is of no interest: authors fill it themselves.
            if let Ok((taken, _)) =
                self.pinned
                    .take(kind, Class::Main, len, true, &self.segments, |id, class| {
                        self.seal(id, class);
                    })
            {
                return Ok(taken);
            }
            let (id, folios) = self.make_room()?;
            let held = (id, folios.clone());
            let held = self.pinned_folios.lock().push(held, GFP_KERNEL);
            if let Err(error) = held {
                drop(folios);
                self.end_segment(id);
                return Err(error.into());
            }
            if let Err(id) = self.pinned.add(id, folios) {
                self.end_pinned(id);
            }
        }
        Err(ENOSPC)
    }

    /// Ends a reservation of an author's. Context: process, may sleep.
    pub(super) fn give_back_pinned(&self, taken: &Taken, owner: Owner) {
        let rewound = self.pinned.give_back(taken, &self.segments);
        let bytes = taken.cost();
        if taken.is_kept() {
            return;
        }
        if rewound {
            self.refund(owner, bytes);
            return;
        }
        let segment = taken.place.segment;
        let mut wasted = self.wasted.lock();
        // One record for a user and segment, or the list would outgrow what is paid for it. Those
        // of one sendfile come one after the other, so the search is short.
        let mut list = wasted.iter_mut().rev();
        if let Some(known) = list.find(|one| one.segment == segment && one.owner == owner) {
            known.bytes += bytes;
            return;
        }
        // Without memory to remember it the user pays until the store goes.
        let _ = wasted.push(
            Wasted {
                segment,
                owner,
                bytes,
            },
            GFP_KERNEL,
        );
    }

    /// Ends pinned segments that hold nothing but wasted room. Gives how many bytes came back to
    /// users. Context: process, may sleep.
    pub(super) fn reap(&self) -> u64 {
        let mut bytes = 0;
        self.wasted.lock().retain(|wasted| {
            let id = wasted.segment;
            let ended = match self.segments.find(id) {
                // By another user's waste.
                None => true,
                // It is full, so what it keeps now is all that it will ever keep.
                Some((segment, _)) => self.segments.condemn_idle(id, || !segment.keeps()),
            };
            if ended {
                self.end_pinned(id);
                self.refund(wasted.owner, wasted.bytes);
                bytes += wasted.bytes;
            }
            !ended
        });
        bytes
    }

    /// Lets go of a pinned segment that nothing points to, and ends it, if that was not done.
    fn end_pinned(&self, id: SegmentId) {
        let mut list = self.pinned_folios.lock();
        let at = list.iter().position(|(held, _)| *held == id);
        let folios = at.and_then(|at| list.remove(at).ok());
        drop(list);
        drop(folios);
        self.end_segment(id);
    }

    /// Takes a user's money for pinned bytes.
    fn pay(&self, owner: Owner, bytes: u64) -> Result {
        let mut owners = self.owners.lock();
        if !owners.iter().any(|(user, _)| *user == owner) {
            owners.push((owner, 0), GFP_KERNEL)?;
        }
        self.ground.pay(owner, bytes)?;
        if let Some((_, paid)) = owners.iter_mut().find(|(user, _)| *user == owner) {
            *paid += bytes;
        }
        Ok(())
    }

    /// Gives it back.
    fn refund(&self, owner: Owner, bytes: u64) {
        let mut owners = self.owners.lock();
        if let Some((_, paid)) = owners.iter_mut().find(|(user, _)| *user == owner) {
            *paid = paid.saturating_sub(bytes);
        }
        self.ground.refund(owner, bytes);
    }
}
