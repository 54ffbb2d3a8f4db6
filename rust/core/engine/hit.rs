// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The shortest way: a lookup for one entry, which is here with its proof, answered by one frame.
//!
//! Nearly all lookups of many small entries are such. What `answer` does for any lookup with a plan, a
//! script and a second look is done here in one go, and hashes are read to where they are sent from.
//! Whatever is not so simple is left to `answer`, which begins anew.

use super::answer::{RangeAsk, TRAILING_MIN};
use super::env::{Counter, Dest, Env, Event, Memory, Payload};
use super::feeds::HEADED;
use super::nodes::{self, Proof};
use super::recv::Rx;
use super::serve::Standing;
use super::{scratch, Engine};
use crate::id::BlobName;
use crate::leaf::LEAF_LEN;
use crate::object::{locate_leaf, Group, TreeOf};
use crate::tree;
use crate::wire::{
    self, Answer, FrameBuilder, FrameHeader, LookupRange, HOPS_FROM_STORE, WINDOW, WINDOW_HEIGHT,
};

impl<M: Memory, E: Env> Engine<M, E> {
    /// Answers a lookup if that is simple; false if it is not, and nothing was sent then.
    #[inline(never)]
    pub(super) fn hit(&mut self, rx: &Rx, m: &LookupRange, env: &mut E) -> bool {
        if !m.want.is_power_of_two() {
            return false;
        }
        let Some(mtu) = self.ports.mtu(rx.port) else {
            return false;
        };
        let Some(feed) = self
            .feeds
            .get_mut(&m.pre.id)
            .filter(|feed| feed.has(HEADED))
        else {
            return false;
        };
        // In the asker's tree if it is one that this node can prove, else in the newest.
        let in_asked = 0 < m.n && m.n <= feed.n;
        if feed.epoch != m.epoch && m.n != 0 {
            return false;
        }
        let ask = RangeAsk {
            name: feed.name,
            epoch: feed.epoch,
            n: if in_asked { m.n } else { feed.n },
            window: m.window,
            bits: m.want,
            leaf_only: m.leaf_only,
            have_page: in_asked && m.have_page,
            mtu,
            is_newest: !in_asked || m.n == feed.n,
        };
        let header = FrameHeader {
            cookie_give: self.cookie_for(rx.port, rx.mac),
            ..FrameHeader::default()
        };
        let Some(room) = scratch(&mut self.scratch, &mut self.hasher) else {
            return false;
        };
        let Some(mut frame) = FrameBuilder::new(room.frame, mtu) else {
            return false;
        };
        let answer = Answer {
            hops: HOPS_FROM_STORE,
            token: m.pre.token,
        };
        let Some(payload) = build(&ask, seq_of(m), answer, &mut frame, room.bytes, env) else {
            return false;
        };
        let built = frame.finish(&header);
        let linear = room.frame.get(..built.linear).unwrap_or(&[]);
        let to = Dest {
            port: rx.port,
            mac: Some(rx.mac),
        };
        if !env.send(to, linear, payload) {
            return false;
        }
        env.event(Event::Count(Counter::FramesOut));
        env.event(Event::Count(Counter::Hits));
        true
    }
}

/// Frames that are looked ahead at together.
pub const AHEAD: usize = 16;

/// An entry that a frame will ask for.
#[derive(Clone, Copy)]
struct Ahead {
    /// The feed's place.
    feed: u32,
    n: u64,
    seq: u64,
    proof: bool,
    payload: bool,
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Looks at frames, at most [`AHEAD`], that [`Engine::on_frame`] gets next: what they ask for lies far
    /// apart in memory, which can find it for all of them at the same time. Nothing is decided here.
    ///
    /// In stages, each for all frames: where leaf and nodes are, those themselves, where the payload is,
    /// and its page. What a stage finds the environment remembers.
    ///
    /// Context: as for [`Engine::on_frame`].
    #[inline(never)]
    pub fn look_ahead<'f>(&self, frames: impl Iterator<Item = &'f [u8]>, env: &mut E) {
        let mut all = [const { None }; AHEAD];
        let entries = frames.filter_map(|frame| self.ahead(frame));
        for (place, entry) in all.iter_mut().zip(entries) {
            self.objects_soon(&entry, false, env);
            *place = Some(entry);
        }
        for entry in all.iter().flatten() {
            self.objects_soon(entry, true, env);
        }
        let mut blobs = [const { None }; AHEAD];
        let with_payload = all.iter().flatten().filter(|entry| entry.payload);
        for (place, entry) in blobs.iter_mut().zip(with_payload) {
            *place = self.blob_soon(entry, env);
        }
        for blob in blobs.iter().flatten() {
            // A longer one goes as a page: nobody reads it here.
            if blob.len < TRAILING_MIN {
                env.blob_soon(blob, 0, true);
            }
        }
    }

    #[inline]
    fn ahead(&self, frame: &[u8]) -> Option<Ahead> {
        let m = LookupRange::first_of(frame)?;
        // What a host keeps to itself is not touched for others.
        if !m.want.is_power_of_two() || self.standing(&m.pre.id) == Standing::Closed {
            return None;
        }
        let place = self.feeds.find(&m.pre.id)?;
        let feed = self
            .feeds
            .table
            .get(place)
            .filter(|feed| feed.has(HEADED))?;
        let seq = seq_of(&m);
        let in_asked = 0 < m.n && m.n <= feed.n;
        let n = if in_asked { m.n } else { feed.n };
        (seq < n && (feed.epoch == m.epoch || m.n == 0)).then_some(Ahead {
            feed: place,
            n,
            seq,
            proof: !(in_asked && m.have_page),
            payload: !m.leaf_only,
        })
    }

    /// The leaf, and the lowest nodes of its proof: those above are the same for many.
    #[inline(never)]
    fn objects_soon(&self, entry: &Ahead, near: bool, env: &mut E) {
        let Some(feed) = self.feeds.table.get(entry.feed) else {
            return;
        };
        let (key, slot) = locate_leaf(&feed.name, feed.epoch, entry.seq);
        env.slots_soon(&key, &[slot as u8], LEAF_LEN, near);
        if !entry.proof {
            return;
        }
        let of = TreeOf::Feed {
            name: feed.name,
            epoch: feed.epoch,
        };
        let mut slots = [0; WINDOW_HEIGHT as usize];
        let mut group = None;
        let low = tree::inclusion_nodes(entry.n, entry.seq).take(slots.len());
        let mut places = slots.iter_mut();
        let mut count = 0usize;
        for node in low {
            let (next, slot) = Group::of(node);
            if group.is_some_and(|group| group != next) {
                break;
            }
            group = Some(next);
            if let Some(place) = places.next() {
                *place = slot as u8;
                count = count.saturating_add(1);
            }
        }
        if let (Some(group), Some(slots)) = (group, slots.get(..count)) {
            env.slots_soon(&group.key(&of), slots, 32, near);
        }
    }

    /// The payload of an entry whose leaf is at hand.
    #[inline(never)]
    fn blob_soon(&self, entry: &Ahead, env: &mut E) -> Option<BlobName> {
        let feed = self.feeds.table.get(entry.feed)?;
        let (leaf, _) = nodes::leaf(env, &feed.name, feed.epoch, entry.seq)?;
        let blob = (0 < leaf.len && nodes::is_inline(&leaf)).then(|| leaf.blob_name())?;
        env.blob_soon(&blob, 0, false);
        Some(blob)
    }
}

/// The entry of a lookup for one.
fn seq_of(m: &LookupRange) -> u64 {
    m.window
        .saturating_mul(u64::from(WINDOW))
        .saturating_add(u64::from(m.want.trailing_zeros()))
}

/// Puts the entry into the frame. What of its payload is to be sent behind it, or `None` if the frame
/// cannot be made.
#[inline(never)]
fn build<E: Env>(
    ask: &RangeAsk,
    seq: u64,
    answer: Answer,
    frame: &mut FrameBuilder<'_>,
    bytes: &mut [u8],
    env: &mut E,
) -> Option<Option<Payload>> {
    if seq >= ask.n {
        return None;
    }
    let (leaf, _) = nodes::leaf(env, &ask.name, ask.epoch, seq)?;
    let mut payload = None;
    let mut behind = None;
    if !ask.leaf_only && nodes::is_inline(&leaf) {
        let blob = leaf.blob_name();
        if leaf.len >= TRAILING_MIN {
            payload = Some(wire::Payload::Trailing(leaf.len));
            behind = Some(Payload {
                blob,
                window: 0,
                offset: 0,
                len: leaf.len,
            });
        } else {
            let room = bytes.get_mut(..leaf.len as usize)?;
            if leaf.len > 0 && !env.blob_read(&blob, 0, 0, room) {
                return None;
            }
            payload = Some(wire::Payload::Bytes(room));
        }
    }
    let entry = wire::Entry {
        answer,
        epoch: ask.epoch,
        n: ask.n,
        leaf,
        siblings: None,
        payload,
    };
    let of = ask.tree();
    let proof = |room: &mut [u8]| {
        let mut proof = Proof::new(room);
        let wanted = tree::inclusion_nodes(ask.n, seq);
        nodes::collect(env, &of, wanted, ask.keep(), &mut proof).then(|| proof.len())
    };
    entry
        .emit_with(frame, (!ask.have_page).then_some(proof))
        .then_some(behind)
}
