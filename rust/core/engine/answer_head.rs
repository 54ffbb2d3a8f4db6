// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The answer that carries a head, and a push to a follower.

use super::answer::{added, RangeAsk, RangeScript, Script, Step};
use super::env::Env;
use super::nodes::{self, Proof};
use crate::blob::WindowHasher;
use crate::id::Name;
use crate::object::TreeOf;
use crate::token::Token;
use crate::tree;
use crate::wire::{self, Answer, FrameBuilder};

/// A head with what its receiver lacks: grant, and consistency proof or last entry.
pub(super) struct HeadScript<'a> {
    pub token: Token,
    pub hops: u8,
    pub head: Option<&'a [u8; crate::head::HEAD_LEN]>,
    pub grant: Option<&'a [u8; crate::grant::GRANT_LEN]>,
    /// The last entry, for a push to a follower that holds the tree before it.
    pub entry: Option<RangeAsk>,
    /// Old and new length, and the tree.
    pub cons: Option<(Name, u32, u64, u64)>,
}

impl HeadScript<'_> {
    #[inline(never)]
    fn emit_cons<E: Env>(
        &self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        cons: (Name, u32, u64, u64),
    ) -> Step {
        let (name, epoch, m, n) = cons;
        let mut proof = Proof::new(bytes);
        let of = TreeOf::Feed { name, epoch };
        if !nodes::collect(env, &of, tree::consistency_nodes(m, n), None, &mut proof) {
            return Step::Done;
        }
        let answer = Answer {
            hops: self.hops,
            token: self.token,
        };
        added(
            wire::Cons {
                answer,
                epoch,
                m,
                n,
                hashes: proof.hashes(),
            }
            .emit(frame),
        )
    }
}

impl Script for HeadScript<'_> {
    fn next<E: Env>(
        &mut self,
        env: &mut E,
        frame: &mut FrameBuilder<'_>,
        bytes: &mut [u8],
        _: &mut WindowHasher,
    ) -> Step {
        let answer = Answer {
            hops: self.hops,
            token: self.token,
        };
        if let Some(head) = self.head {
            let step = added(
                wire::Head {
                    answer,
                    unchecked: false,
                    bytes: head,
                }
                .emit(frame),
            );
            if matches!(step, Step::Added) {
                self.head = None;
            }
            return step;
        }
        if let Some(grant) = self.grant {
            let step = added(
                wire::Grant {
                    answer,
                    bytes: grant,
                }
                .emit(frame),
            );
            if matches!(step, Step::Added) {
                self.grant = None;
            }
            return step;
        }
        if let Some(ask) = self.entry {
            self.entry = None;
            let bit = ask.bits.trailing_zeros();
            let range = RangeScript {
                ask,
                token: self.token,
                hops: self.hops,
                bits: 0,
                path: false,
                page: false,
                bare: false,
                proof: 0,
            };
            let before = frame.remaining();
            let step = range.emit_entry(env, frame, bytes, bit);
            // Without room or data for the entry the receiver gets the consistency proof instead.
            if matches!(step, Step::Added) && frame.remaining() < before {
                self.cons = None;
            }
            return Step::Added;
        }
        if let Some(cons) = self.cons {
            let step = self.emit_cons(env, frame, bytes, cons);
            if !matches!(step, Step::Full) {
                self.cons = None;
            }
            return step;
        }
        Step::Done
    }

    fn is_done(&self) -> bool {
        self.head.is_none() && self.grant.is_none() && self.entry.is_none() && self.cons.is_none()
    }
}
