// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What local programs want: heads, entries, blobs, news; and what local authors append.
//!
//! Context: process, with the engine's lock. Interest lives for the time given and is renewed by
//! asking again; [`Env::wake`] says when to look.

use super::env::{BlobInfo, Env, Memory, PortId};
use super::feeds::{FeedState, HEADED, KEPT, NAMED, OWN, SHARED};
use super::limits::{HOP_LIMIT, LIFE_MAX_US};
use super::lookup::NoWay;
use super::nodes;
use super::pending::{self, Down, FOLLOWER, SENT};
use super::ports::Refused;
use super::u48::U48;
use super::want::{Press, Want};
use super::Engine;
use crate::error::Drop;
use crate::head::{Head, SignedHead, HEAD_LEN};
use crate::id::{BlobName, DiscoveryId, Name};
use crate::verify::{Demand, Freshness};
use crate::wire::{WINDOW, WINDOW_BYTES};

/// What [`Engine::share_stored`] looks up, about, before others get the lock.
const SHARE_STEP: u32 = 512;

/// Entries that an author may have in the store without a head over them: a batch, and one that
/// failed.
const UNSIGNED_MAX: u64 = 65;

/// What became of a wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// It is here.
    Present,
    /// It was asked for.
    Waiting,
    /// No port is up.
    NoPort,
    /// No route leads to it.
    NoRoute,
    /// No room for another lookup, or in the store.
    Busy,
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// A socket works with the feed: it stays known until [`Engine::feed_close`].
    pub fn feed_open(&mut self, id: &DiscoveryId, name: Option<Name>) -> Result<(), Refused> {
        if name.is_some_and(|name| name.id() != *id) {
            return Err(Refused::Invalid);
        }
        let feed = self.feeds.open(id).ok_or(Refused::Full)?;
        feed.opens = feed.opens.saturating_add(1);
        if let Some(name) = name {
            feed.name = name;
            feed.flags |= NAMED;
        }
        Ok(())
    }

    /// Undoes one [`Engine::feed_open`].
    pub fn feed_close(&mut self, id: &DiscoveryId) {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.opens = feed.opens.saturating_sub(1);
        }
    }

    /// This node may sign the feed: it stays known until told otherwise, whether a socket has it
    /// open or not.
    pub fn feed_keep(&mut self, id: &DiscoveryId, name: Name) -> Result<(), Refused> {
        self.feed_open(id, Some(name))?;
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.flags |= KEPT;
        }
        self.feed_close(id);
        Ok(())
    }

    /// Undoes [`Engine::feed_keep`].
    pub fn feed_let_go(&mut self, id: &DiscoveryId, env: &mut E) {
        let known = self.feeds.get(id).map_or(0, |feed| feed.n);
        self.forget_unsigned(id, known, env);
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.flags &= !(KEPT | OWN);
        }
    }

    /// Empties the places of entries from `from` on that an author here may have filled and never
    /// signed: [`UNSIGNED_MAX`] of them. If they are verified ones after all they are fetched again.
    ///
    /// An author's leaves are in the store before their head; nobody reads them there unless somebody
    /// else's head of the same feed covers their places.
    pub fn forget_unsigned(&mut self, id: &DiscoveryId, from: u64, env: &mut E) {
        if let Some(feed) = self.feeds.get(id).filter(|feed| feed.has(KEPT)) {
            let end = from.saturating_add(UNSIGNED_MAX);
            nodes::forget(env, &feed.name, feed.epoch, from..end);
        }
    }

    /// Lets a host serve the feed, or no longer. What is stored from now on is public with it;
    /// for what is stored already see [`Engine::share_stored`].
    pub fn feed_share(&mut self, id: &DiscoveryId, shared: bool) -> Result<(), Refused> {
        let feed = self.feeds.get_mut(id).ok_or(Refused::Missing)?;
        feed.flags = if shared {
            feed.flags | SHARED
        } else {
            feed.flags & !SHARED
        };
        Ok(())
    }

    /// Makes the payloads public that are stored for a shared feed already, of entries from `seq`
    /// on. It looks up some [`SHARE_STEP`] windows; gives where to go on, `None` at the end.
    ///
    /// A blob that was public once stays so: it has been told to others.
    pub fn share_stored(&mut self, id: &DiscoveryId, seq: u64, env: &mut E) -> Option<u64> {
        let feed = self.feeds.get(id).filter(|feed| feed.has(SHARED))?;
        let (name, epoch, n) = (feed.name, feed.epoch, feed.n);
        let mut looks = 0;
        for seq in seq..n {
            if looks >= SHARE_STEP {
                return Some(seq);
            }
            looks = looks.saturating_add(1);
            let Some((leaf, _)) = nodes::leaf(env, &name, epoch, seq) else {
                continue;
            };
            let blob = leaf.blob_name();
            let windows = blob.len.div_ceil(WINDOW_BYTES);
            for window in 0..windows {
                window_here(&blob, window as u16, true, env);
            }
            looks = looks.saturating_add(windows);
        }
        None
    }

    /// Whether a verified grant has handed the feed over to a working key: the name key signs none of
    /// its heads any more.
    pub fn is_handed_over(&self, id: &DiscoveryId) -> bool {
        self.feeds
            .get(id)
            .is_some_and(|feed| feed.granted_epoch() > 0)
    }

    /// What is known of a feed.
    pub fn feed_state(&self, id: &DiscoveryId) -> Option<FeedState> {
        self.feeds.state(self.feeds.find(id)?)
    }

    /// What the verified head says.
    pub fn feed_statement(&self, id: &DiscoveryId) -> Option<Head> {
        self.feeds.statement(self.feeds.find(id)?)
    }

    /// How old the verified head is at `now_ms` (since 1970, `None` if the clock was not set), and
    /// whether its author has broken a promise.
    #[inline(never)]
    pub fn feed_freshness(&self, id: &DiscoveryId, now_ms: Option<u64>) -> Option<Freshness> {
        self.feeds.freshness(self.feeds.find(id)?, now_ms)
    }

    /// Takes a head that was signed here. Its leaves, nodes and blobs must be in the store.
    pub fn own_head(
        &mut self,
        now: u64,
        id: &DiscoveryId,
        head: &[u8; HEAD_LEN],
        env: &mut E,
    ) -> Result<(), Drop> {
        self.now = now;
        let new = SignedHead::parse(head)?;
        if new.head.name.id() != *id {
            return Err(Drop::WrongName);
        }
        let feed = self.feeds.get(id);
        if feed.is_some_and(|feed| feed.granted_epoch() > new.head.epoch) {
            return Err(Drop::OldEpoch);
        }
        let held = feed.and_then(|feed| feed.head());
        // A fork, too: it may have come in after the author looked, and it was here first.
        if held
            .is_some_and(|held| held.head.order() > new.head.order() || held.head.forks(&new.head))
        {
            return Err(Drop::OldHead);
        }
        if !self.set_head(now, id, &new, 0, env) {
            return Err(Drop::FeedsFull);
        }
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.flags |= OWN;
        }
        self.head_changed(now, id, env);
        Ok(())
    }

    /// The feed is no longer authored here: it becomes an ordinary feed, and whoever follows it here
    /// hears of it from elsewhere.
    pub fn disown(&mut self, id: &DiscoveryId) {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.flags &= !OWN;
        }
        let Some(slot) = self.find_entry(&Want::Follow { id: *id }) else {
            return;
        };
        if self.pending.find_down(slot, Down::is_local).is_some() {
            self.resend_later(self.now, slot);
        }
    }

    /// A head of at least (epoch, n) and at most this old.
    pub fn want_head(
        &mut self,
        now: u64,
        id: &DiscoveryId,
        at_least: (u32, u64),
        max_age_ms: u64,
        life_ms: u32,
        env: &mut E,
    ) -> Wanted {
        self.now = now;
        let (epoch, n) = at_least;
        let head = self.feeds.get_mut(id).and_then(|feed| feed.head());
        if head.is_some_and(|head| {
            Demand {
                epoch,
                n,
                max_age_ms,
            }
            .is_met(&head.head, env.wall_ms())
        }) {
            return Wanted::Present;
        }
        let down = Down {
            epoch,
            n: U48::new(n),
            age_or_push: U48::new(max_age_ms),
            ..interest(now, life_ms)
        };
        self.want_local(now, Want::Head { id: *id }, down, env)
    }

    /// Entries of a window, with payloads up to 1 KiB. Needs a head that has them.
    pub fn want_range(
        &mut self,
        now: u64,
        id: &DiscoveryId,
        window: u64,
        bits: u32,
        life_ms: u32,
        env: &mut E,
    ) -> Wanted {
        self.now = now;
        let Some(feed) = self.feeds.get_mut(id).filter(|feed| feed.has(HEADED)) else {
            return Wanted::NoRoute;
        };
        let (name, epoch, public) = (feed.name, feed.epoch, feed.is_public());
        let mut missing = 0;
        for bit in (0..WINDOW).filter(|bit| bits.wrapping_shr(*bit) & 1 == 1) {
            let seq = window
                .saturating_mul(u64::from(WINDOW))
                .saturating_add(u64::from(bit));
            if !is_entry_here(&name, epoch, seq, public, env) {
                missing |= 1u32.wrapping_shl(bit);
            }
        }
        if missing == 0 {
            return Wanted::Present;
        }
        let want = Want::Range {
            id: *id,
            epoch,
            window,
        };
        self.ask_for(now, want, missing, life_ms, env)
    }

    /// Lookups that somebody waits for.
    pub(super) fn lookups_known(&self) -> usize {
        self.pending.entries.len()
    }

    /// A window of a blob that an entry of the feed names.
    pub fn want_blob(
        &mut self,
        now: u64,
        hint: &DiscoveryId,
        blob: &BlobName,
        window: u16,
        life_ms: u32,
        env: &mut E,
    ) -> Wanted {
        self.now = now;
        let public = self
            .feeds
            .get_mut(hint)
            .is_some_and(|feed| feed.is_public());
        if blob.len == 0 || window_here(blob, window, public, env).is_some() {
            return Wanted::Present;
        }
        let want = Want::Blob {
            id: *hint,
            blob: *blob,
            window,
        };
        let bits = crate::blob::window_bits(blob.len, window);
        self.ask_for(now, want, bits, life_ms, env)
    }

    /// Asks for entries or chunks, for who knows that those of `bits` are not here.
    pub(super) fn ask_for(
        &mut self,
        now: u64,
        want: Want,
        bits: u32,
        life_ms: u32,
        env: &mut E,
    ) -> Wanted {
        self.now = now;
        let down = Down {
            bits,
            ..interest(now, life_ms)
        };
        self.want_local(now, want, down, env)
    }

    /// One more (or one less) local program follows the feed: news come without asking.
    pub fn follow_local(&mut self, now: u64, id: &DiscoveryId, add: bool, env: &mut E) -> Wanted {
        self.now = now;
        let want = Want::Follow { id: *id };
        let slot = self.find_entry(&want);
        let at = slot.and_then(|slot| self.pending.find_down(slot, Down::is_local));
        if let Some(down) = at.and_then(|at| self.pending.downs.get_mut(pending::slot(at))) {
            // The record counts its followers in a field that only neighbours use.
            down.budget = if add {
                down.budget.saturating_add(1)
            } else {
                down.budget.saturating_sub(1)
            };
            if down.budget == 0 {
                down.expires = U48::default();
            }
            if let Some(slot) = slot {
                self.settle(now, slot, env);
            }
            return Wanted::Waiting;
        }
        if !add {
            return Wanted::Waiting;
        }
        let down = Down {
            flags: FOLLOWER,
            budget: 1,
            expires: U48::MAX,
            ..interest(now, 0)
        };
        self.want_local(now, want, down, env)
    }

    /// Lets this node itself wait for something, and asks for it if nobody has yet.
    pub(super) fn want_local(
        &mut self,
        now: u64,
        want: Want,
        mut down: Down,
        env: &mut E,
    ) -> Wanted {
        let is_own = self.feeds.get(want.id()).is_some_and(|feed| feed.has(OWN));
        let follows = matches!(want, Want::Follow { .. });
        if !follows && !self.ports.any_up() {
            return Wanted::NoPort;
        }
        let no_route = self
            .routes
            .pick(want.id(), None, 0, now, &self.ports)
            .is_none();
        if !follows && no_route {
            return Wanted::NoRoute;
        }
        (down.port, down.mac) = super::heads::NOWHERE;
        down.hop_limit = if down.hop_limit == 0 {
            HOP_LIMIT
        } else {
            down.hop_limit
        };
        let hash = want.hash(&self.config.secret);
        let known = self.find_hashed(&want, hash);
        let Some(slot) = known.or_else(|| self.open_entry(want, hash, PortId::LOCAL, env)) else {
            return Wanted::Busy;
        };
        let old_bits = self.pending.get(slot).map_or(0, |entry| entry.bits);
        let mut press = self.press(slot, &down);
        if self.join_local(slot, &want, &mut down).is_err() {
            self.settle(now, slot, env);
            return Wanted::Busy;
        }
        self.prune(now, slot, env);
        if known.is_none() || (press == Press::Laxer && !self.is_rested(now, slot)) {
            press = Press::Same;
        }
        let is_new_range = matches!(want, Want::Range { .. }) && down.bits & !old_bits != 0;
        let unsent = follows && !self.pending.get(slot).is_some_and(|entry| entry.has(SENT));
        if known.is_some() && press == Press::Same && !is_new_range && !unsent {
            self.pending.arm(slot);
            return Wanted::Waiting;
        }
        if follows && is_own {
            self.pending.arm(slot);
            return Wanted::Waiting;
        }
        match self.send_pressed(now, slot, press, None, env) {
            Ok(()) => Wanted::Waiting,
            Err(NoWay::NoHead) => {
                self.await_head(now, slot, true, env);
                Wanted::Waiting
            }
            Err(NoWay::NoRoute) => {
                self.resend_later(now, slot);
                Wanted::Waiting
            }
        }
    }
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Adds this node to those who wait. Its programs share one record; for a head two, so that one
    /// program's demand for what nobody has does not hide the other's.
    #[inline(never)]
    fn join_local(&mut self, slot: u32, want: &Want, down: &mut Down) -> Result<(), ()> {
        let at = match want {
            Want::Head { .. } => {
                let demand = down.demand();
                let same = |other: &Down| other.is_local() && other.demand() == demand;
                self.pending.find_down(slot, same)
            }
            _ => self.pending.find_down(slot, Down::is_local),
        };
        if let Some(at) = at {
            if let Some(known) = self.pending.downs.get(pending::slot(at)) {
                down.bits |= known.bits;
                down.expires = U48::new(down.expires.get().max(known.expires.get()));
            }
            self.pending.remove_down(at, &mut self.ports);
        } else if self.join_demand(slot, down) {
            return Ok(());
        }
        self.pending
            .add_down(slot, *down, &mut self.ports, 0)
            .map(|_| ())
    }

    /// Makes of two local demands for a head and a third the laxest one, and one that answers both
    /// others. False: there are no two yet.
    fn join_demand(&mut self, slot: u32, new: &Down) -> bool {
        let Some(first) = self.pending.find_down(slot, Down::is_local) else {
            return false;
        };
        let Some(a) = self.pending.downs.get(pending::slot(first)).copied() else {
            return false;
        };
        let other = |down: &Down| down.is_local() && down.demand() != a.demand();
        let Some(second) = self.pending.find_down(slot, other) else {
            return false;
        };
        let Some(b) = self.pending.downs.get(pending::slot(second)).copied() else {
            return false;
        };
        let order = |down: &Down| {
            let youth = u64::MAX.wrapping_sub(down.age_or_push.get());
            (down.epoch, down.n.get(), youth)
        };
        let (lax, others) = if order(new) < order(&a).min(order(&b)) {
            (*new, [a, b])
        } else if order(&a) < order(&b) {
            (a, [b, *new])
        } else {
            (b, [a, *new])
        };
        let [x, y] = others;
        let (epoch, n) = (x.epoch, x.n.get()).max((y.epoch, y.n.get()));
        let strict = Down {
            epoch,
            n: U48::new(n),
            age_or_push: U48::new(x.age_or_push.get().min(y.age_or_push.get())),
            expires: U48::new(x.expires.get().max(y.expires.get())),
            ..x
        };
        for (at, from) in [(first, lax), (second, strict)] {
            if let Some(down) = self.pending.downs.get_mut(pending::slot(at)) {
                (down.epoch, down.n) = (from.epoch, from.n);
                down.age_or_push = from.age_or_push;
                down.expires = from.expires;
                down.hop_limit = down.hop_limit.max(new.hop_limit);
            }
        }
        true
    }
}

fn interest(now: u64, life_ms: u32) -> Down {
    let life = u64::from(life_ms).saturating_mul(1000).min(LIFE_MAX_US);
    Down {
        expires: U48::new(now.saturating_add(life)),
        age_or_push: U48::MAX,
        ..Down::default()
    }
}

/// What is known of a window that is here; marks it public if the feed it is wanted for is.
pub(super) fn window_here<E: Env>(
    blob: &BlobName,
    window: u16,
    public: bool,
    env: &mut E,
) -> Option<BlobInfo> {
    let info = env.blob_find(blob, window)?;
    if public && !info.public {
        env.blob_share(blob, window);
    }
    Some(info)
}

fn is_entry_here<E: Env>(name: &Name, epoch: u32, seq: u64, public: bool, env: &mut E) -> bool {
    let Some((leaf, _)) = nodes::leaf(env, name, epoch, seq) else {
        return false;
    };
    !nodes::is_inline(&leaf)
        || leaf.len == 0
        || window_here(&leaf.blob_name(), 0, public, env).is_some()
}
