// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Answers from the store: what can be proved here, and the frames that carry it.
//!
//! Hits and data that is handed on take the same way: what came in was verified and stored first.
//! A *script* gives one message after the other; [`send`] cuts them into frames.

use super::env::{Charge, Dest, Env, Payload, PortId};
use super::nodes::{self, Proof};
use crate::blob::WindowHasher;
use crate::id::Name;
use crate::object::TreeOf;
use crate::token::Token;
use crate::tree;
use crate::wire::{
    self, Answer, FrameBuilder, FrameHeader, ENTRY_HEADER_LEN, FRAME_HEADER_LEN, MAX_INLINE_LEN,
    WINDOW,
};

/// How one step of a script went.
pub(super) enum Step {
    /// A message was added.
    Added,
    /// A message was added that ends in store bytes: the frame is full.
    Payload(Payload),
    /// The next message does not fit.
    Full,
    /// Nothing is left to send.
    Done,
}

/// Where frames go and how many.
pub(super) struct Out {
    pub dest: Dest,
    /// Frame length without the Ethernet header, bytes. More than the port's for bytes of a blob that
    /// leave uncut.
    pub mtu: usize,
    pub header: FrameHeader,
    /// The lookup carried no valid cookie: one frame.
    pub limited: bool,
    /// Bytes of all frames together.
    pub budget: u32,
}

/// Scratch memory that is too large for the stack.
pub(super) struct Scratch<'a> {
    pub frame: &'a mut [u8],
    pub bytes: &'a mut [u8],
    pub hasher: &'a mut WindowHasher,
}

/// What was sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Sent {
    pub frames: u32,
    pub bytes: u32,
    /// More was to be sent but the lookup granted no more.
    pub cut: bool,
}

/// Most frames of one answer: a window at the smallest MTU with room to spare.
const FRAMES_MAX: u32 = 128;

/// Runs a script into frames.
pub(super) fn send<E: Env>(
    env: &mut E,
    scratch: &mut Scratch<'_>,
    out: &Out,
    script: &mut impl Script,
) -> Sent {
    let mut sent = Sent::default();
    for _ in 0..FRAMES_MAX {
        let left = out.budget.saturating_sub(sent.bytes) as usize;
        let Some(mut frame) = FrameBuilder::new(scratch.frame, out.mtu.min(left)) else {
            break;
        };
        let mut payload = None;
        let mut done = false;
        // A frame holds fewer messages than this; the bound is for the loop.
        for _ in 0..MESSAGES_MAX {
            match script.next(env, &mut frame, scratch.bytes, scratch.hasher) {
                Step::Added => continue,
                Step::Payload(bytes) => payload = Some(bytes),
                Step::Full => done = frame.is_empty(),
                Step::Done => done = true,
            }
            break;
        }
        if frame.is_empty() {
            break;
        }
        let cut = out.limited && !done && !script.is_done();
        let built = frame.finish(&FrameHeader {
            limited: cut,
            ..out.header
        });
        let linear = scratch.frame.get(..built.linear).unwrap_or(&[]);
        if env.send(out.dest, linear, payload) {
            sent.frames = sent.frames.saturating_add(1);
            sent.bytes = sent
                .bytes
                .saturating_add(built.linear.saturating_add(built.trailing) as u32);
        }
        if done || cut || out.limited {
            sent.cut = cut;
            break;
        }
    }
    sent
}

const MESSAGES_MAX: usize = 128;

/// Messages in order.
pub(super) trait Script {
    /// Adds the next message to `frame`.
    fn next<E: Env>(
        &mut self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        hasher: &mut WindowHasher,
    ) -> Step;

    /// Whether nothing is left.
    fn is_done(&self) -> bool;
}

pub(super) fn added(fits: bool) -> Step {
    if fits {
        Step::Added
    } else {
        Step::Full
    }
}

/// What of a window can be proved here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    pub bits: u32,
    /// Path and page once, entries without siblings.
    pub bare: bool,
    /// Bytes of the proof of the one entry that it has, which lies where [`RangeScript`] makes proofs.
    pub proof: usize,
}

/// Entries from which on a page costs less than siblings.
const PAGE_PAYS: u32 = 4;

/// A range lookup as the store sees it.
#[derive(Clone, Copy)]
pub(super) struct RangeAsk {
    pub name: Name,
    pub epoch: u32,
    pub n: u64,
    pub window: u64,
    pub bits: u32,
    pub leaf_only: bool,
    pub have_page: bool,
    pub mtu: usize,
    /// `n` is the length of the head held here. Edge nodes of that tree are kept: one object for a
    /// head, whatever others ask for.
    pub is_newest: bool,
}

impl RangeAsk {
    /// Who pays for the edge nodes of this answer's tree, if they are kept.
    pub(super) fn keep(&self) -> Option<Charge> {
        self.is_newest.then_some(Charge {
            port: PortId::LOCAL,
            public: false,
        })
    }

    pub(super) fn tree(&self) -> TreeOf {
        TreeOf::Feed {
            name: self.name,
            epoch: self.epoch,
        }
    }

    fn seq(&self, bit: u32) -> u64 {
        self.window
            .saturating_mul(u64::from(WINDOW))
            .saturating_add(u64::from(bit))
    }

    fn bit_is_here<E: Env>(&self, env: &mut E, bit: u32) -> Option<u32> {
        let (leaf, _) = nodes::leaf(env, &self.name, self.epoch, self.seq(bit))?;
        let payload = !self.leaf_only && nodes::is_inline(&leaf);
        if payload && leaf.len > 0 && env.blob_open(&leaf.blob_name(), 0).is_none() {
            return None;
        }
        Some(if payload { leaf.len } else { 0 })
    }

    /// Asks for where the payloads are of all entries at once: with many stored, each is a wait of its own.
    #[inline(never)]
    fn payloads_soon<E: Env>(&self, env: &mut E) {
        if self.leaf_only || !env.may_look_ahead() {
            return;
        }
        self.filter(|bit| {
            let leaf = nodes::leaf(env, &self.name, self.epoch, self.seq(bit));
            if let Some((leaf, _)) = leaf.filter(|(leaf, _)| nodes::is_inline(leaf)) {
                env.blob_soon(&leaf.blob_name(), 0, false);
            }
            false
        });
    }

    fn is_alone<E: Env>(&self, env: &mut E, bit: u32) -> bool {
        self.fits_alone(env, bit) && nodes::can_include(env, &self.tree(), self.n, self.seq(bit))
    }

    fn fits_alone<E: Env>(&self, env: &mut E, bit: u32) -> bool {
        let Some(payload) = self.bit_is_here(env, bit) else {
            return false;
        };
        let siblings = nodes::length(tree::inclusion_nodes(self.n, self.seq(bit)));
        let len = ENTRY_HEADER_LEN
            .saturating_add(siblings.saturating_mul(32))
            .saturating_add(payload as usize);
        FRAME_HEADER_LEN.saturating_add(len) <= self.mtu
    }

    /// The plan for one entry. What shows that it can be proved is the proof itself: it stays in
    /// `bytes` for [`RangeScript`].
    #[inline(never)]
    fn plan_one<E: Env>(&self, env: &mut E, bit: u32, bytes: &mut [u8]) -> Option<Plan> {
        let seq = self.seq(bit);
        if seq >= self.n || !self.fits_alone(env, bit) {
            return None;
        }
        let mut proof = Proof::new(proof_room(bytes)?);
        let wanted = tree::inclusion_nodes(self.n, seq);
        let all = nodes::collect(env, &self.tree(), wanted, self.keep(), &mut proof);
        all.then_some(Plan {
            bits: bit_of(bit),
            bare: false,
            proof: proof.len(),
        })
    }

    fn filter(&self, mut keep: impl FnMut(u32) -> bool) -> u32 {
        let present =
            (0..WINDOW).filter(|bit| self.bits & bit_of(*bit) != 0 && self.seq(*bit) < self.n);
        present
            .filter(|bit| keep(*bit))
            .fold(0, |bits, bit| bits | bit_of(bit))
    }

    /// What can be answered in tree `n`.
    #[inline(never)]
    pub(super) fn plan<E: Env>(&self, env: &mut E, bytes: &mut [u8]) -> Plan {
        if self.bits.count_ones() >= PAGE_PAYS {
            self.payloads_soon(env);
        }
        if self.have_page {
            // Its leaf hashes prove the entries, whether they are still here or not.
            let bits = self.filter(|bit| self.bit_is_here(env, bit).is_some());
            return Plan {
                bits,
                bare: true,
                proof: 0,
            };
        }
        if self.bits.count_ones() == 1 {
            if let Some(plan) = self.plan_one(env, self.bits.trailing_zeros(), bytes) {
                return plan;
            }
        }
        let few = self.bits.count_ones() < PAGE_PAYS;
        let mut alone = 0;
        if few {
            alone = self.filter(|bit| self.is_alone(env, bit));
            if alone == self.bits {
                return Plan {
                    bits: alone,
                    bare: false,
                    proof: 0,
                };
            }
        }
        let of = self.tree();
        if nodes::has_page(env, &of, self.n, self.window)
            && nodes::has_path(env, &of, self.n, self.window)
        {
            let bits = self.filter(|bit| self.bit_is_here(env, bit).is_some());
            return Plan {
                bits,
                bare: true,
                proof: 0,
            };
        }
        if !few {
            alone = self.filter(|bit| self.is_alone(env, bit));
        }
        Plan {
            bits: alone,
            bare: false,
            proof: 0,
        }
    }
}

/// Where in the scratch memory proofs are made: behind a payload.
fn proof_room(bytes: &mut [u8]) -> Option<&mut [u8]> {
    bytes.get_mut(MAX_INLINE_LEN as usize..)
}

/// From this length on the payload of a frame's last entry is not copied into it.
pub(super) const TRAILING_MIN: u32 = 256;

fn bit_of(bit: u32) -> u32 {
    1u32.wrapping_shl(bit)
}

/// Entries of a window.
pub(super) struct RangeScript {
    pub ask: RangeAsk,
    pub token: Token,
    pub hops: u8,
    /// Still to be sent.
    pub bits: u32,
    pub path: bool,
    pub page: bool,
    pub bare: bool,
    /// Bytes of the proof of the one entry that is to be sent, if it was made already.
    pub proof: usize,
}

impl Script for RangeScript {
    fn next<E: Env>(
        &mut self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        _: &mut WindowHasher,
    ) -> Step {
        if self.path {
            let step = self.emit_path(env, frame, bytes);
            self.path = matches!(step, Step::Full);
            return step;
        }
        if self.page {
            let step = self.emit_page(env, frame, bytes);
            self.page = matches!(step, Step::Full);
            return step;
        }
        if self.bits == 0 {
            return Step::Done;
        }
        let bit = self.bits.trailing_zeros();
        let step = self.emit_entry(env, frame, bytes, bit);
        if !matches!(step, Step::Full) || frame.is_empty() {
            self.bits &= self.bits.wrapping_sub(1);
        }
        step
    }

    fn is_done(&self) -> bool {
        self.bits == 0 && !self.path && !self.page
    }
}

impl RangeScript {
    fn answer(&self, hops: u8) -> Answer {
        Answer {
            hops,
            token: self.token,
        }
    }

    #[inline(never)]
    fn emit_path<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
    ) -> Step {
        let RangeAsk {
            epoch, n, window, ..
        } = self.ask;
        let mut proof = Proof::new(bytes);
        if !nodes::collect(
            env,
            &self.ask.tree(),
            tree::path_nodes(n, window),
            self.ask.keep(),
            &mut proof,
        ) {
            return Step::Done;
        }
        let path = wire::Path {
            answer: self.answer(self.hops),
            epoch,
            n,
            window,
            siblings: proof.hashes(),
        };
        added(path.emit(frame))
    }

    #[inline(never)]
    fn emit_page<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
    ) -> Step {
        let RangeAsk {
            epoch, n, window, ..
        } = self.ask;
        let of = self.ask.tree();
        let mut page = Proof::new(bytes);
        for bit in 0..tree::page_len(n, window) as u32 {
            match nodes::leaf_hash(env, &of, self.ask.seq(bit)) {
                Some(hash) if page.push(&hash) => {}
                _ => return Step::Done,
            }
        }
        let page = wire::Page {
            answer: self.answer(self.hops),
            epoch,
            n,
            window,
            leaves: page.hashes(),
        };
        added(page.emit(frame))
    }

    #[inline(never)]
    pub(super) fn emit_entry<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        bit: u32,
    ) -> Step {
        let RangeAsk { name, epoch, n, .. } = self.ask;
        let seq = self.ask.seq(bit);
        // What vanished since the plan was made is left out: the asker will ask again.
        let Some((leaf, _)) = nodes::leaf(env, &name, epoch, seq) else {
            return Step::Added;
        };
        let mut payload = None;
        let Some((bytes, proof)) = bytes.split_at_mut_checked(MAX_INLINE_LEN as usize) else {
            return Step::Added;
        };
        let is_last = self.bits == bit_of(bit);
        let blob = leaf.blob_name();
        let mut behind = None;
        let inline = !self.ask.leaf_only && nodes::is_inline(&leaf);
        if inline && is_last && leaf.len >= TRAILING_MIN {
            payload = Some(wire::Payload::Trailing(leaf.len));
            behind = Some(Payload {
                blob,
                window: 0,
                offset: 0,
                len: leaf.len,
            });
        } else if inline {
            let Some(room) = bytes.get_mut(..leaf.len as usize) else {
                return Step::Added;
            };
            if leaf.len > 0 && !env.blob_read(&blob, 0, 0, room) {
                return Step::Added;
            }
            payload = Some(wire::Payload::Bytes(room));
        }
        let mut proof = Proof::made(proof, self.proof);
        let mut siblings = None;
        if !self.bare {
            if self.proof == 0
                && !nodes::collect(
                    env,
                    &self.ask.tree(),
                    tree::inclusion_nodes(n, seq),
                    self.ask.keep(),
                    &mut proof,
                )
            {
                return Step::Added;
            }
            siblings = Some(proof.hashes());
        }
        let entry = wire::Entry {
            answer: self.answer(self.hops),
            epoch,
            n,
            leaf,
            siblings,
            payload,
        };
        match behind {
            Some(payload) if entry.emit(frame) => Step::Payload(payload),
            Some(_) => Step::Full,
            None => added(entry.emit(frame)),
        }
    }
}
