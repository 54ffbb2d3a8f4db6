// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Lookups in: answered from the store, or made to wait, or refused.

use super::answer::{self, Out, Plan, RangeAsk, RangeScript, Script, Sent};
use super::answer_blob::BlobScript;
use super::answer_head::HeadScript;
use super::env::{Counter, Dest, Env, Event, Mac, Memory, PortId};
use super::feeds::{HEADED, OWN};
use super::limits::{LIFE_MAX_US, UNCUT_MAX};
use super::nodes;
use super::pending::{Down, CHUNK_MODE, HAVE_PAGE, HAVE_PATH, LEAF_ONLY, LIMITED};
use super::recv::{now_ms, Rx};
use super::u48::U48;
use super::want::Want;
use super::{scratch, Engine, Role};
use crate::blob;
use crate::cookie::{cookie, COOKIE_PERIOD_MS};
use crate::error::Drop;
use crate::id::{BlobName, DiscoveryId};
use crate::object::TreeOf;
use crate::token::Token;
use crate::tree;
use crate::wire::{
    FrameBuilder, FrameHeader, LookupBlob, LookupCons, LookupHead, LookupRange, Preamble, Reason,
    Refusal, HOPS_FROM_STORE,
};

/// Whom a lookup of an engine's neighbour may be passed on for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Standing {
    /// This node answers only others, or nothing at all, for this feed.
    Closed,
    /// From the store, but nothing is fetched.
    StoreOnly,
    /// From the store, and what is missing is fetched.
    Open,
}

impl<M: Memory, E: Env> Engine<M, E> {
    pub(super) fn standing(&self, id: &DiscoveryId) -> Standing {
        let feed = self.feeds.get(id);
        let is_own = feed.is_some_and(|feed| feed.has(OWN));
        match self.config.role {
            Role::Cache if is_own => Standing::StoreOnly,
            Role::Cache => Standing::Open,
            Role::Host if feed.is_some_and(|feed| feed.is_public()) => Standing::StoreOnly,
            Role::Host => Standing::Closed,
        }
    }

    /// Refuses a lookup.
    pub(super) fn refuse(
        &mut self,
        port: PortId,
        mac: Mac,
        token: Token,
        reason: Reason,
        env: &mut E,
    ) {
        let Some(mtu) = self.ports.mtu(port) else {
            return;
        };
        let header = FrameHeader {
            cookie_give: self.cookie_for(port, mac),
            ..FrameHeader::default()
        };
        let Some(mut frame) = FrameBuilder::new(&mut self.scratch, mtu) else {
            return;
        };
        let fits = Refusal { reason, token }.emit(&mut frame);
        let built = frame.finish(&header);
        let linear = self.scratch.get(..built.linear).unwrap_or(&[]);
        if fits
            && env.send(
                Dest {
                    port,
                    mac: Some(mac),
                },
                linear,
                None,
            )
        {
            env.event(Event::Count(Counter::RefusalsOut));
        }
    }

    /// The cookie of a neighbour. Frames come in bursts: the last one's is remembered.
    pub(super) fn cookie_for(&mut self, port: PortId, mac: Mac) -> u64 {
        let now = now_ms(self.now);
        let key = (port, mac, now.wrapping_div(COOKIE_PERIOD_MS));
        let (of, known) = self.last_cookie;
        if known != 0 && of == key {
            return known;
        }
        let cookie = cookie(&self.config.secret, port.0, &mac.0, now);
        self.last_cookie = (key, cookie);
        cookie
    }

    /// Sends what a script says to one neighbour.
    pub(super) fn reply(
        &mut self,
        port: PortId,
        mac: Mac,
        limited: bool,
        script: &mut impl Script,
        env: &mut E,
    ) -> Sent {
        self.reply_within(port, mac, limited, u32::MAX, script, env)
    }

    /// Sends what a script says, as far as so many bytes of frames go.
    pub(super) fn reply_within(
        &mut self,
        port: PortId,
        mac: Mac,
        limited: bool,
        budget: u32,
        script: &mut impl Script,
        env: &mut E,
    ) -> Sent {
        let Some(mtu) = self.ports.mtu(port) else {
            return Sent::default();
        };
        self.reply_in_frames(port, mac, mtu, limited, budget, script, env)
    }

    /// The same in frames of at most `mtu` bytes.
    #[allow(clippy::too_many_arguments)]
    fn reply_in_frames(
        &mut self,
        port: PortId,
        mac: Mac,
        mtu: usize,
        limited: bool,
        budget: u32,
        script: &mut impl Script,
        env: &mut E,
    ) -> Sent {
        let header = FrameHeader {
            cookie_give: self.cookie_for(port, mac),
            ..FrameHeader::default()
        };
        let out = Out {
            dest: Dest {
                port,
                mac: Some(mac),
            },
            mtu,
            header,
            limited,
            budget,
        };
        let Some(mut scratch) = scratch(&mut self.scratch, &mut self.hasher) else {
            return Sent::default();
        };
        let sent = answer::send(env, &mut scratch, &out, script);
        for _ in 0..sent.frames {
            env.event(Event::Count(Counter::FramesOut));
        }
        sent
    }

    pub(super) fn refuse_lookup(
        &mut self,
        rx: &Rx,
        pre: &Preamble,
        reason: Reason,
        env: &mut E,
    ) -> Result<(), Drop> {
        // Of all hosts on a link that were asked at once, those that have nothing say nothing.
        if !rx.group || self.config.role != Role::Host {
            self.refuse(rx.port, rx.mac, pre.token, reason, env);
        }
        Ok(())
    }

    fn begin(&self, env: &mut E) {
        env.event(Event::Count(Counter::LookupsIn));
    }

    #[inline(never)]
    pub(super) fn serve_head(
        &mut self,
        now: u64,
        rx: &Rx,
        trusted: bool,
        m: &LookupHead,
        env: &mut E,
    ) -> Result<(), Drop> {
        self.begin(env);
        let standing = self.standing(&m.pre.id);
        if standing == Standing::Closed {
            return self.refuse_lookup(rx, &m.pre, Reason::NotServed, env);
        }
        let down = Down {
            flags: if trusted { 0 } else { LIMITED },
            held_epoch: m.held_epoch,
            held_n: U48::new(m.held_n),
            epoch: m.at_least_epoch,
            n: U48::new(m.at_least_n),
            age_or_push: U48::new(m.max_age_ms),
            ..waiter(rx, &m.pre, now)
        };
        if self.reply_head(&down, HOPS_FROM_STORE, &m.pre.id, env) {
            env.event(Event::Count(Counter::Hits));
            return Ok(());
        }
        if standing == Standing::StoreOnly {
            return self.refuse_lookup(rx, &m.pre, self.closed_reason(), env);
        }
        self.wait_for(now, rx, &m.pre, Want::Head { id: m.pre.id }, down, env)
    }

    /// A host gives one refusal, whatever it has; a cache says that it knows no way.
    fn closed_reason(&self) -> Reason {
        match self.config.role {
            Role::Host => Reason::NotServed,
            Role::Cache => Reason::NoRoute,
        }
    }

    /// Answers a head lookup if the held head satisfies it.
    #[inline(never)]
    pub(super) fn reply_head(
        &mut self,
        down: &Down,
        hops: u8,
        id: &DiscoveryId,
        env: &mut E,
    ) -> bool {
        let grant = self.feeds.grant(id);
        let Some(feed) = self.feeds.get_mut(id).filter(|feed| feed.has(HEADED)) else {
            return false;
        };
        let Some(head) = feed.head() else {
            return false;
        };
        if !down.demand().is_met(&head.head, env.wall_ms()) {
            return false;
        }
        let grant =
            grant.filter(|grant| grant.grant.epoch == feed.epoch && down.held_epoch < feed.epoch);
        let (name, epoch, n) = (feed.name, feed.epoch, feed.n);
        let held_n = down.held_n.get();
        let extends = down.held_epoch == epoch && 0 < held_n && held_n < n;
        let of = TreeOf::Feed { name, epoch };
        let cons =
            (extends && nodes::can_cons(env, &of, held_n, n)).then_some((name, epoch, held_n, n));
        let mut script = HeadScript {
            token: Token::from_u64(down.token),
            hops,
            head: Some(&head.bytes),
            grant: grant.as_ref().map(|grant| &grant.bytes),
            entry: None,
            cons,
        };
        self.reply(down.port, down.mac, down.has(LIMITED), &mut script, env)
            .frames
            > 0
    }

    #[inline(never)]
    pub(super) fn serve_cons(
        &mut self,
        now: u64,
        rx: &Rx,
        trusted: bool,
        m: &LookupCons,
        env: &mut E,
    ) -> Result<(), Drop> {
        self.begin(env);
        let standing = self.standing(&m.pre.id);
        if standing == Standing::Closed {
            return self.refuse_lookup(rx, &m.pre, Reason::NotServed, env);
        }
        let down = Down {
            flags: if trusted { 0 } else { LIMITED },
            ..waiter(rx, &m.pre, now)
        };
        if self.reply_cons(&down, HOPS_FROM_STORE, &m.pre.id, (m.epoch, m.m, m.n), env) {
            env.event(Event::Count(Counter::Hits));
            return Ok(());
        }
        if standing == Standing::StoreOnly {
            return self.refuse_lookup(rx, &m.pre, self.closed_reason(), env);
        }
        let want = Want::Cons {
            id: m.pre.id,
            epoch: m.epoch,
            m: m.m,
            n: m.n,
        };
        self.wait_for(now, rx, &m.pre, want, down, env)
    }

    #[inline(never)]
    pub(super) fn reply_cons(
        &mut self,
        down: &Down,
        hops: u8,
        id: &DiscoveryId,
        what: (u32, u64, u64),
        env: &mut E,
    ) -> bool {
        let (epoch, m, n) = what;
        let Some(feed) = self
            .feeds
            .get(id)
            .filter(|feed| feed.has(HEADED) && feed.epoch == epoch && n <= feed.n)
        else {
            return false;
        };
        let name = feed.name;
        if !nodes::can_cons(env, &TreeOf::Feed { name, epoch }, m, n) {
            return false;
        }
        let token = Token::from_u64(down.token);
        let mut script = HeadScript {
            token,
            hops,
            head: None,
            grant: None,
            entry: None,
            cons: Some((name, epoch, m, n)),
        };
        self.reply(down.port, down.mac, down.has(LIMITED), &mut script, env)
            .frames
            > 0
    }

    #[inline(never)]
    pub(super) fn serve_range(
        &mut self,
        now: u64,
        rx: &Rx,
        trusted: bool,
        m: &LookupRange,
        env: &mut E,
    ) -> Result<(), Drop> {
        self.begin(env);
        let standing = self.standing(&m.pre.id);
        if standing == Standing::Closed {
            return self.refuse_lookup(rx, &m.pre, Reason::NotServed, env);
        }
        // One frame is what a lookup without a cookie is granted, too.
        if self.hit(rx, m, env) {
            return Ok(());
        }
        let mut flags = 0;
        for (set, flag) in [
            (!trusted, LIMITED),
            (m.leaf_only, LEAF_ONLY),
            (m.have_path, HAVE_PATH),
            (m.have_page, HAVE_PAGE),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let mut down = Down {
            flags,
            bits: m.want,
            n: U48::new(m.n),
            ..waiter(rx, &m.pre, now)
        };
        let (served, cut) = self.reply_range(
            &mut down,
            HOPS_FROM_STORE,
            &m.pre.id,
            m.epoch,
            m.window,
            m.want,
            env,
        );
        if served != 0 {
            env.event(Event::Count(Counter::Hits));
        }
        down.bits &= !served;
        // One frame was granted and is used up: the asker comes again with its cookie.
        if down.bits == 0 || cut || (served != 0 && !trusted) {
            return Ok(());
        }
        if standing == Standing::StoreOnly {
            if served != 0 {
                return Ok(());
            }
            return self.refuse_lookup(rx, &m.pre, self.closed_reason(), env);
        }
        let epoch = match self.feeds.get(&m.pre.id) {
            Some(feed) if m.n == 0 => feed.epoch,
            _ => m.epoch,
        };
        let want = Want::Range {
            id: m.pre.id,
            epoch,
            window: m.window,
        };
        self.wait_for(now, rx, &m.pre, want, down, env)
    }

    /// Sends the entries of `bits` that are here. Returns them, and whether more was cut off.
    #[allow(clippy::too_many_arguments)]
    #[inline(never)]
    pub(super) fn reply_range(
        &mut self,
        down: &mut Down,
        hops: u8,
        id: &DiscoveryId,
        epoch: u32,
        window: u64,
        bits: u32,
        env: &mut E,
    ) -> (u32, bool) {
        let Some(mtu) = self.ports.mtu(down.port) else {
            return (0, false);
        };
        let Some(feed) = self.feeds.get_mut(id).filter(|feed| feed.has(HEADED)) else {
            return (0, false);
        };
        let wanted_n = down.n.get();
        if feed.epoch != epoch && wanted_n != 0 {
            return (0, false);
        }
        let own = RangeAsk {
            name: feed.name,
            epoch: feed.epoch,
            n: feed.n,
            window,
            bits,
            leaf_only: down.has(LEAF_ONLY),
            have_page: false,
            mtu,
            is_newest: true,
        };
        let asked = RangeAsk {
            n: wanted_n,
            have_page: down.has(HAVE_PAGE),
            is_newest: wanted_n == own.n,
            ..own
        };
        let Some(room) = scratch(&mut self.scratch, &mut self.hasher) else {
            return (0, false);
        };
        let in_asked = if 0 < wanted_n && wanted_n <= own.n {
            asked.plan(env, room.bytes)
        } else {
            Plan::default()
        };
        let in_own = if in_asked.bits != bits && wanted_n != own.n {
            own.plan(env, room.bytes)
        } else {
            Plan::default()
        };
        let (ask, plan) = if in_own.bits.count_ones() > in_asked.bits.count_ones() {
            (own, in_own)
        } else {
            (asked, in_asked)
        };
        if plan.bits == 0 {
            return (0, false);
        }
        let same_tree = ask.n == wanted_n;
        let has_path =
            (same_tree && down.has(HAVE_PATH)) || tree::path_nodes(ask.n, window).next().is_none();
        let has_page = same_tree && down.has(HAVE_PAGE);
        let mut script = RangeScript {
            ask,
            token: Token::from_u64(down.token),
            hops,
            bits: plan.bits,
            path: plan.bare && !has_path && !has_page,
            page: plan.bare && !has_page,
            bare: plan.bare,
            proof: plan.proof,
        };
        let sent = self.reply(down.port, down.mac, down.has(LIMITED), &mut script, env);
        if plan.bare && same_tree && !script.page {
            down.flags |= HAVE_PATH | HAVE_PAGE;
        }
        (plan.bits, sent.cut)
    }

    #[inline(never)]
    pub(super) fn serve_blob(
        &mut self,
        now: u64,
        rx: &Rx,
        trusted: bool,
        m: &LookupBlob,
        env: &mut E,
    ) -> Result<(), Drop> {
        self.begin(env);
        let standing = self.standing(&m.pre.id);
        let info = env.blob_open(&m.blob, m.window);
        let is_private = self.config.role == Role::Host && !info.is_some_and(|info| info.public);
        if standing == Standing::Closed || is_private {
            return self.refuse_lookup(rx, &m.pre, Reason::NotServed, env);
        }
        let mut flags = 0;
        for (set, flag) in [
            (!trusted, LIMITED),
            (m.chunk_mode, CHUNK_MODE),
            (m.have_path, HAVE_PATH),
            (m.have_page, HAVE_PAGE),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let down = Down {
            flags,
            bits: m.want,
            ..waiter(rx, &m.pre, now)
        };
        if info.is_some() && self.reply_blob(&down, HOPS_FROM_STORE, &m.blob, m.window, env) {
            env.event(Event::Count(Counter::Hits));
            return Ok(());
        }
        if standing == Standing::StoreOnly {
            return self.refuse_lookup(rx, &m.pre, self.closed_reason(), env);
        }
        let want = Want::Blob {
            id: m.pre.id,
            blob: m.blob,
            window: m.window,
        };
        self.wait_for(now, rx, &m.pre, want, down, env)
    }

    /// Sends the chunks that the waiter wants of a published window.
    #[inline(never)]
    pub(super) fn reply_blob(
        &mut self,
        down: &Down,
        hops: u8,
        blob: &BlobName,
        window: u16,
        env: &mut E,
    ) -> bool {
        let has_siblings = blob::window_count(blob.len) > 1;
        let path = has_siblings && !down.has(HAVE_PATH);
        let chunks = u64::from(blob::chunk_count(blob.len));
        if path && !nodes::has_path(env, &TreeOf::Blob(*blob), chunks, u64::from(window)) {
            return false;
        }
        let chunk_mode = down.has(CHUNK_MODE);
        let mut script = BlobScript {
            blob: *blob,
            window,
            token: Token::from_u64(down.token),
            hops,
            bits: down.bits & blob::window_bits(blob.len, window),
            done_bytes: 0,
            path,
            page: chunk_mode && !down.has(HAVE_PAGE) && chunks > 1,
            whole_chunks: chunk_mode,
        };
        let Some(mtu) = self.ports.mtu(down.port) else {
            return false;
        };
        let (port, mac, limited) = (down.port, down.mac, down.has(LIMITED));
        // One frame that is granted is one of the link's.
        let is_long = !limited
            && !chunk_mode
            && self.ports.is_uncut(port)
            && blob::window_len(blob.len, window) as usize > mtu
            && self
                .long
                .admits(&self.config.secret, down, blob, window, self.now);
        let mtu = if is_long { UNCUT_MAX } else { mtu };
        self.reply_in_frames(port, mac, mtu, limited, u32::MAX, &mut script, env)
            .frames
            > 0
    }
}

fn waiter(rx: &Rx, pre: &Preamble, now: u64) -> Down {
    let life = u64::from(pre.life_ms)
        .saturating_mul(1000)
        .clamp(1000, LIFE_MAX_US);
    Down {
        port: rx.port,
        mac: rx.mac,
        token: pre.token.to_u64(),
        nonce: pre.nonce,
        hop_limit: pre.hop_limit.saturating_sub(1),
        expires: U48::new(now.saturating_add(life)),
        age_or_push: U48::MAX,
        ..Down::default()
    }
}
