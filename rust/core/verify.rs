// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What a verified head means to a node that holds others: pure decisions.

use crate::error::Drop;
use crate::grant::Grant;
use crate::head::Head;
use crate::id::{Hash, Hashes};
use crate::proof::{prefix_root, verify_cons};
use crate::sign::PublicKey;
use crate::wire::{ANY_AGE, MAX_AHEAD_MS};

/// What a node holds of a feed, all of it verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held<'a> {
    /// The newest head.
    pub head: Option<&'a Head>,
    /// The newest grant.
    pub grant: Option<&'a Grant>,
}

/// The key that must have signed a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signer {
    /// This one.
    Key(PublicKey),
    /// That of a grant of the head's epoch, which is not held: ask for it.
    NeedsGrant,
}

/// Which key checks `new`.
pub fn signer(held: &Held<'_>, new: &Head) -> Result<Signer, Drop> {
    let newest = held
        .grant
        .map_or(0, |grant| grant.epoch)
        .max(held.head.map_or(0, |head| head.epoch));
    if new.epoch < newest {
        return Err(Drop::OldEpoch);
    }
    match held.grant {
        _ if new.epoch == 0 => Ok(Signer::Key(new.name.into())),
        Some(grant) if grant.epoch == new.epoch => Ok(Signer::Key(grant.key)),
        _ => Ok(Signer::NeedsGrant),
    }
}

/// What to do with a head whose name is the one asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadAction {
    /// Take it once its signature holds: nothing is held that it must agree with.
    New,
    /// Take it once its signature holds: the tree that is held, at a later time or now final.
    Refresh,
    /// Take it once its signature and the proof that it continues this tree hold.
    NeedsCons {
        /// Length of the tree to be continued.
        m: u64,
        /// Its root.
        root: Hash,
    },
    /// Its signer is unknown: ask for the grant of its epoch.
    NeedsGrant,
    /// If its signature holds, it and the held head are evidence of a fork.
    Fork,
    /// If its signature holds, it and the held final head are evidence of a fork.
    BeyondFinal,
}

/// Judges `new` by what it says; the signature is the caller's next check, so that what is old or
/// known costs none.
pub fn check_head(held: &Held<'_>, new: &Head) -> Result<HeadAction, Drop> {
    if held.head.is_some_and(|head| head.name != new.name)
        || held.grant.is_some_and(|grant| grant.name != new.name)
    {
        return Err(Drop::WrongName);
    }
    if signer(held, new)? == Signer::NeedsGrant {
        return Ok(HeadAction::NeedsGrant);
    }
    if let Some(head) = held.head.filter(|head| head.epoch == new.epoch) {
        return check_same_epoch(head, new);
    }
    match held.grant.filter(|grant| grant.epoch == new.epoch) {
        Some(grant) => check_base(grant, new),
        None => Ok(HeadAction::New),
    }
}

/// Whether two heads exclude each other. `proof` is the consistency proof from the shorter tree to
/// the longer one; without it only equal lengths and what goes on after the end show. The heads'
/// signatures are the caller's to check.
pub fn proves_fork(one: &Head, other: &Head, proof: Hashes<'_>) -> bool {
    if one.forks(other) {
        return true;
    }
    let (short, long) = if one.n < other.n {
        (one, other)
    } else {
        (other, one)
    };
    let comparable = short.name == long.name && short.epoch == long.epoch && short.n > 0;
    // It must be about the longer tree; then what it says of the shorter one is its author's word.
    comparable
        && prefix_root(short.n, long.n, proof).is_some_and(|root| {
            root != short.root
                && verify_cons(short.n, &root, long.n, &long.root, proof, |_, _| ()).is_ok()
        })
}

fn check_same_epoch(held: &Head, new: &Head) -> Result<HeadAction, Drop> {
    if new.n > held.n {
        return Ok(match held {
            _ if held.is_final() => HeadAction::BeyondFinal,
            Head { n: 0, .. } => HeadAction::New,
            Head { n, root, .. } => HeadAction::NeedsCons { m: *n, root: *root },
        });
    }
    if held.forks(new) {
        return Ok(HeadAction::Fork);
    }
    if new.refreshes(held) {
        Ok(HeadAction::Refresh)
    } else if new == held {
        Err(Drop::SameHead)
    } else {
        Err(Drop::OldHead)
    }
}

/// The first head of an epoch: it must continue the tree that the grant names.
fn check_base(grant: &Grant, new: &Head) -> Result<HeadAction, Drop> {
    if new.n < grant.base_n {
        return Err(Drop::BelowBase);
    }
    match grant {
        Grant { base_n: 0, .. } => Ok(HeadAction::New),
        Grant {
            base_n, base_root, ..
        } if *base_n == new.n => {
            if new.root == *base_root {
                Ok(HeadAction::New)
            } else {
                Err(Drop::BelowBase)
            }
        }
        Grant {
            base_n, base_root, ..
        } => Ok(HeadAction::NeedsCons {
            m: *base_n,
            root: *base_root,
        }),
    }
}

/// Judges a grant by what it says: only a newer epoch than all that is held is of use.
pub fn check_grant(held: &Held<'_>, new: &Grant) -> Result<(), Drop> {
    let newest_grant = held.grant.map_or(0, |grant| grant.epoch);
    let newest_head = held.head.map_or(0, |head| head.epoch);
    if new.epoch > newest_grant && new.epoch >= newest_head {
        Ok(())
    } else {
        Err(Drop::OldEpoch)
    }
}

/// How old a head is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Freshness {
    /// ms since the author's time; `None` if the head, or this node, does not know the time.
    pub age_ms: Option<u64>,
    /// The author promised a newer head by now, or the epoch's grant has run out.
    pub stale: bool,
    /// The head's time is so far ahead that it says nothing.
    pub ahead: bool,
}

/// How old `head` is at `now_ms` (since 1970, `None` if the clock was not set).
pub fn freshness(head: &Head, grant: Option<&Grant>, now_ms: Option<u64>) -> Freshness {
    let not_after = grant
        .filter(|grant| grant.epoch == head.epoch)
        .map_or(0, |grant| grant.not_after);
    let passed = |limit: u64| limit != 0 && now_ms.is_some_and(|now| now > limit);
    let ahead = now_ms.is_some_and(|now| head.time > now.saturating_add(MAX_AHEAD_MS));
    let known = now_ms.filter(|_| head.time != 0 && !ahead);
    Freshness {
        age_ms: known.map(|now| now.saturating_sub(head.time)),
        stale: passed(head.next_by) || passed(not_after),
        ahead,
    }
}

/// What a head lookup asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Demand {
    /// A head of an earlier epoch is no answer.
    pub epoch: u32,
    /// In that epoch, a shorter head is no answer.
    pub n: u64,
    /// An older head is no answer, ms; [`ANY_AGE`] takes any.
    pub max_age_ms: u64,
}

impl Demand {
    /// Any head.
    pub const ANY: Demand = Demand {
        epoch: 0,
        n: 0,
        max_age_ms: ANY_AGE,
    };

    /// Whether `head` answers. A head of unknown age answers only a lookup that takes any.
    pub fn is_met(&self, head: &Head, now_ms: Option<u64>) -> bool {
        let new_enough = (head.epoch, head.n) >= (self.epoch, self.n);
        let age_ms = freshness(head, None, now_ms).age_ms;
        new_enough
            && (self.max_age_ms == ANY_AGE || age_ms.is_some_and(|age| age <= self.max_age_ms))
    }

    /// Whether whatever answers `other` answers this too, so that the two lookups merge.
    pub fn is_covered_by(&self, other: &Demand) -> bool {
        (self.epoch, self.n) <= (other.epoch, other.n) && self.max_age_ms >= other.max_age_ms
    }
}
