// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Signatures to check: what the shell gets to verify a held head, grant first.

use super::env::{Env, Memory, SignedKind, VerifyJob};
use super::feeds::Feed;
use super::held::{Held, Waits};
use super::Engine;
use crate::error::Drop;
use crate::grant::{Grant, SignedGrant};
use crate::head::SignedHead;
use crate::id::DiscoveryId;
use crate::sign::PublicKey;
use crate::verify::{self, check_grant, signer, Signer};
use crate::wire::{FrameView, Message};

impl VerifyJob {
    /// Checks the signature.
    ///
    /// Context: needs about 6 KiB of stack; never the packet handler.
    pub fn check(&self) -> bool {
        let result = match self.kind {
            SignedKind::Grant => {
                SignedGrant::parse(&self.bytes).and_then(|grant| grant.verify(&grant.grant.name))
            }
            SignedKind::Head => match self.bytes.first_chunk() {
                Some(bytes) => SignedHead::parse(bytes).and_then(|head| head.verify(&self.key)),
                None => Err(Drop::BadHead),
            },
        };
        result.is_ok()
    }
}

#[inline(never)]
pub(super) fn companion_grant(frame: &[u8], epoch: u32) -> Option<SignedGrant> {
    let view = FrameView::parse(frame).ok()?;
    view.messages().flatten().find_map(|message| match message {
        Message::Grant(m) => m.grant().ok().filter(|grant| grant.grant.epoch == epoch),
        _ => None,
    })
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// Hands the next signature of a held head to the shell.
    #[inline(never)]
    pub(super) fn queue_job(&mut self, index: u32, env: &mut E) -> Result<(), Drop> {
        let job = self.next_job(index);
        let queued = match &job {
            Ok(job) => {
                if let Some(held) = self.held.get_mut(index) {
                    held.waits = if job.kind == SignedKind::Grant {
                        Waits::Grant
                    } else {
                        Waits::Head
                    };
                }
                env.verify(job)
            }
            Err(_) => false,
        };
        if !queued {
            self.held.release(index);
        }
        match job {
            Ok(_) if queued => Ok(()),
            Ok(_) => Err(Drop::VerifyFull),
            Err(reason) => Err(reason),
        }
    }

    #[inline(never)]
    fn next_job(&self, index: u32) -> Result<VerifyJob, Drop> {
        let held = self.held.get(index).ok_or(Drop::HeldFull)?;
        let mut job = VerifyJob {
            id: held.job_id(index),
            instead_of: held.instead_of,
            port: held.port,
            mac: held.mac,
            feed: held.id,
            known: self.feeds.find(&held.id).is_some(),
            suspect: self.neighbours.is_penalised(held.port, held.mac, self.now),
            alone: held.alone,
            patient: held.patient,
            kind: SignedKind::Head,
            key: PublicKey([0; 32]),
            bytes: [0; 192],
        };
        match self.signer_of(held)? {
            Signer::Key(key) => {
                job.key = key;
                super::copy(&mut job.bytes, &held.head);
            }
            Signer::NeedsGrant => self.fill_grant(held, &mut job)?,
        }
        Ok(job)
    }

    #[inline(never)]
    fn signer_of(&self, held: &Held) -> Result<Signer, Drop> {
        let new = SignedHead::parse(&held.head)?;
        let feed = self.feeds.get(&held.id);
        let (head, grant) = (feed.and_then(Feed::statement), self.feeds.grant(&held.id));
        signer(
            &verify::Held {
                head: head.as_ref(),
                grant: grant.as_ref().map(|g| &g.grant),
            },
            &new.head,
        )
    }

    /// The grant that came behind a held head, to be verified before it.
    #[inline(never)]
    fn fill_grant(&self, held: &Held, job: &mut VerifyJob) -> Result<(), Drop> {
        let new = SignedHead::parse(&held.head)?;
        let grant = companion_grant(held.frame(), new.head.epoch).ok_or(Drop::NoGrant)?;
        if grant.grant.name != new.head.name {
            return Err(Drop::WrongName);
        }
        self.may_grant(&held.id, &grant.grant)?;
        job.kind = SignedKind::Grant;
        job.key = PublicKey(new.head.name.0);
        job.bytes = grant.bytes;
        Ok(())
    }

    #[inline(never)]
    pub(super) fn may_grant(&self, id: &DiscoveryId, new: &Grant) -> Result<(), Drop> {
        let feed = self.feeds.get(id);
        let (head, grant) = (feed.and_then(Feed::statement), self.feeds.grant(id));
        check_grant(
            &verify::Held {
                head: head.as_ref(),
                grant: grant.as_ref().map(|g| &g.grant),
            },
            new,
        )
    }
}
