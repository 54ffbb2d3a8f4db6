// SPDX-License-Identifier: GPL-2.0

//! The feeds that are authored in a namespace, and how many each user has: counted, for there may
//! be a hundred thousand, and each new one asks.

use crate::{
    af_feed::author::OwnFeed,
    store::Owner, //
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::Arc, //
};

/// See the head of this file.
pub(super) struct Own {
    feeds: RBTree<[u8; 32], Arc<OwnFeed>>,
    /// Users who have any.
    users: RBTree<Owner, usize>,
    count: usize,
}

impl Own {
    pub(super) fn new() -> Self {
        Self {
            feeds: RBTree::new(),
            users: RBTree::new(),
            count: 0,
        }
    }

    pub(super) fn get(&self, name: &[u8; 32]) -> Option<&Arc<OwnFeed>> {
        self.feeds.get(name)
    }

    /// Of all users.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn count_of(&self, user: Owner) -> usize {
        self.users.get(&user).copied().unwrap_or(0)
    }

    /// Adds one that is not there. Context: process, may sleep.
    pub(super) fn insert(&mut self, name: [u8; 32], feed: Arc<OwnFeed>) -> Result {
        let user = feed.user();
        if self.users.get(&user).is_none() {
            self.users.try_create_and_insert(user, 0, GFP_KERNEL_ACCOUNT)?;
        }
        if let Err(error) = self.feeds.try_create_and_insert(name, feed, GFP_KERNEL_ACCOUNT) {
            self.forget_idle(user);
            return Err(error);
        }
        if let Some(count) = self.users.get_mut(&user) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &[u8; 32]) -> Option<Arc<OwnFeed>> {
        let feed = self.feeds.remove(name)?;
        let user = feed.user();
        if let Some(count) = self.users.get_mut(&user) {
            *count = count.saturating_sub(1);
        }
        self.forget_idle(user);
        self.count = self.count.saturating_sub(1);
        Some(feed)
    }

    fn forget_idle(&mut self, user: Owner) {
        if self.count_of(user) == 0 {
            self.users.remove(&user);
        }
    }
}
