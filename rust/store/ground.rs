// SPDX-License-Identifier: GPL-2.0

//! What the stores of all namespaces share, and what keeps them from each other's throats: the
//! cap on all segments of the machine, and each user's quota of pinned bytes.
//!
//! Lock order: `users` is innermost.

use super::SEGMENT_BYTES;
use crate::{
    mm::{
        self,
        PseudoFs, //
    },
    net::errno::EDQUOT,
    sync::OwnedQueue, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        Mutex, //
    }, //
};

/// Who pays for pinned bytes: a user, as the initial user namespace numbers them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Owner(u32);

impl Owner {
    /// The effective user of the current task. Context: process.
    pub(crate) fn of_current() -> Self {
        Self(mm::current_uid())
    }
}

/// See the head of this file. The module has one; it goes when the last store has gone.
#[pin_data]
pub(crate) struct Ground {
    /// Segments that all stores have together.
    count: Atomic<usize>,
    /// Segments that they may have.
    cap: Atomic<usize>,
    /// Stores that are in use.
    stores: Atomic<usize>,
    /// A store with less than its share found the cap reached.
    hungry: Atomic<bool>,
    /// Bytes that one user may pin.
    user_limit: Atomic<u64>,
    #[pin]
    users: Mutex<KVec<(Owner, u64)>>,
    pub(super) queue: OwnedQueue,
    pub(super) fs: PseudoFs,
}

impl Ground {
    /// Mounts the file system and starts the queue. The cap is an eighth of the memory.
    /// Context: process, may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let fs = PseudoFs::mount()?;
        // While a pool is empty nothing can be fetched.
        let queue = OwnedQueue::urgent(c"feed_store")?;
        let cap = (mm::total_pages() * mm::PAGE_SIZE / 8 / SEGMENT_BYTES).max(1);

        let user_limit = user_share(cap);
        Arc::pin_init(
            pin_init!(Self {
                count: Atomic::new(0),
                cap: Atomic::new(cap),
                stores: Atomic::new(0),
                hungry: Atomic::new(false),
                user_limit: Atomic::new(user_limit),
                users <- new_mutex!(KVec::new(), "feed_users"),
                queue,
                fs,
            }),
            GFP_KERNEL,
        )
    }

    /// Segments that all stores together have. Context: any.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Segments that all stores together may have. Context: any.
    pub(crate) fn cap(&self) -> usize {
        self.cap.load(Relaxed)
    }

    /// Changes the cap, for who may (the initial namespace's administrator), and with it what
    /// one user may pin: three quarters. Stores above a lower cap shrink at their next tick.
    /// Context: any.
    pub(crate) fn set_cap(&self, bytes: usize) -> Result {
        if bytes < super::LIMIT_MIN || bytes > mm::total_pages() * mm::PAGE_SIZE {
            return Err(EINVAL);
        }
        let cap = bytes / SEGMENT_BYTES;
        self.cap.store(cap, Relaxed);
        self.user_limit.store(user_share(cap), Relaxed);
        Ok(())
    }

    pub(super) fn enter(&self) {
        self.stores.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.stores.fetch_sub(1, Relaxed);
    }

    /// What is left for each store if all want as much as they can have.
    pub(super) fn share(&self) -> usize {
        self.cap() / self.stores.load(Relaxed).max(1)
    }

    /// Segments above the cap.
    pub(super) fn excess(&self) -> usize {
        self.count.load(Relaxed).saturating_sub(self.cap())
    }

    /// A store with less than its share has hit the cap: others are to make room.
    pub(super) fn complain(&self) {
        self.hungry.store(true, Relaxed);
    }

    /// Whether somebody complained since the last call.
    pub(super) fn take_complaint(&self) -> bool {
        self.hungry.load(Relaxed) && self.hungry.xchg(false, Relaxed)
    }

    pub(super) fn charge(&self) -> Result {
        let mut count = self.count.load(Relaxed);
        loop {
            if count >= self.cap() {
                return Err(ENOSPC);
            }
            match self.count.cmpxchg(count, count + 1, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => count = now,
            }
        }
    }

    pub(super) fn uncharge(&self) {
        self.count.fetch_sub(1, Relaxed);
    }

    /// Lets a user pin `bytes` more, or says EDQUOT. Context: process, may sleep.
    pub(super) fn pay(&self, owner: Owner, bytes: u64) -> Result {
        let limit = self.user_limit.load(Relaxed);
        let mut users = self.users.lock();
        if let Some((_, used)) = users.iter_mut().find(|(user, _)| *user == owner) {
            if used.saturating_add(bytes) > limit {
                return Err(EDQUOT);
            }
            *used += bytes;
            return Ok(());
        }
        if bytes > limit {
            return Err(EDQUOT);
        }
        Ok(users.push((owner, bytes), GFP_KERNEL)?)
    }

    /// Gives back what [`Ground::pay`] took. Context: process, may sleep.
    pub(super) fn refund(&self, owner: Owner, bytes: u64) {
        let mut users = self.users.lock();
        if let Some(at) = users.iter().position(|(user, _)| *user == owner) {
            if let Some((_, used)) = users.get_mut(at) {
                *used = used.saturating_sub(bytes);
                if *used == 0 {
                    let _ = users.remove(at);
                }
            }
        }
    }
}

fn user_share(cap: usize) -> u64 {
    (cap / 4 * 3 * SEGMENT_BYTES) as u64
}
