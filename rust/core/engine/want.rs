// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What somebody looks for; of a head, also how new it must be.

use super::env::{Env, Memory};
use super::pending;
use super::u48::U48;
use super::Engine;
use crate::id::{BlobName, DiscoveryId};
use crate::siphash::{siphash13, SipKey};
use crate::verify::Demand;

/// What somebody looks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    /// A head.
    Head { id: DiscoveryId },
    /// Proof that tree `m` is a prefix of tree `n`.
    Cons {
        id: DiscoveryId,
        epoch: u32,
        m: u64,
        n: u64,
    },
    /// Entries of a window.
    Range {
        id: DiscoveryId,
        epoch: u32,
        window: u64,
    },
    /// A window of a blob; the id is the route hint.
    Blob {
        id: DiscoveryId,
        blob: BlobName,
        window: u16,
    },
    /// What is appended from now on.
    Follow { id: DiscoveryId },
}

impl Want {
    pub(super) fn is_blob(&self) -> bool {
        matches!(self, Want::Blob { .. })
    }

    pub(super) fn id(&self) -> &DiscoveryId {
        match self {
            Want::Head { id }
            | Want::Cons { id, .. }
            | Want::Range { id, .. }
            | Want::Blob { id, .. }
            | Want::Follow { id } => id,
        }
    }

    /// Keyed hash. All entries of one blob window share theirs, whatever the hint, so that an
    /// answer finds them all.
    pub(super) fn hash(&self, key: &SipKey) -> u32 {
        let hash = match self {
            Want::Head { id } => siphash13(key, &[b"h", &id.0]),
            Want::Follow { id } => siphash13(key, &[b"f", &id.0]),
            Want::Cons { id, epoch, m, n } => siphash13(
                key,
                &[
                    b"c",
                    &id.0,
                    &epoch.to_le_bytes(),
                    &m.to_le_bytes(),
                    &n.to_le_bytes(),
                ],
            ),
            Want::Range { id, epoch, window } => siphash13(
                key,
                &[b"r", &id.0, &epoch.to_le_bytes(), &window.to_le_bytes()],
            ),
            Want::Blob { blob, window, .. } => siphash13(
                key,
                &[
                    b"b",
                    &blob.hash.0,
                    &blob.len.to_le_bytes(),
                    &window.to_le_bytes(),
                ],
            ),
        };
        hash as u32
    }

    pub(super) fn what(&self) -> What {
        match *self {
            Want::Head { .. } => What::Head,
            Want::Cons { epoch, m, n, .. } => What::Cons {
                epoch,
                m: U48::new(m),
                n: U48::new(n),
            },
            Want::Range { epoch, window, .. } => What::Range {
                epoch,
                window: U48::new(window),
            },
            Want::Blob { .. } => What::Blob,
            Want::Follow { .. } => What::Follow,
        }
    }
}

/// A [`Want`] as its entry keeps it, beside the id. A blob and its window are those of the transfer
/// that the entry has a part in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum What {
    #[default]
    Head,
    Cons {
        epoch: u32,
        m: U48,
        n: U48,
    },
    Range {
        epoch: u32,
        window: U48,
    },
    Blob,
    Follow,
}

/// What the waiters of a head demand. Anybody may demand what nobody has, so the strictest
/// alone must not decide what is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands {
    /// Answers to this answer all of them.
    pub strict: Demand,
    /// No waiter takes less than this.
    pub lax: Demand,
}

impl Default for Demands {
    fn default() -> Self {
        Demands::of(Demand::ANY)
    }
}

impl Demands {
    pub(super) fn of(demand: Demand) -> Self {
        Demands {
            strict: demand,
            lax: demand,
        }
    }

    pub(super) fn with(self, demand: Demand) -> Self {
        let (strict, lax) = (self.strict, self.lax);
        let at_least = (demand.epoch, demand.n);
        let most = (strict.epoch, strict.n).max(at_least);
        let least = (lax.epoch, lax.n).min(at_least);
        Demands {
            strict: Demand {
                epoch: most.0,
                n: most.1,
                max_age_ms: strict.max_age_ms.min(demand.max_age_ms),
            },
            lax: Demand {
                epoch: least.0,
                n: least.1,
                max_age_ms: lax.max_age_ms.max(demand.max_age_ms),
            },
        }
    }

    /// How one more demand would change them.
    pub(super) fn pressed_by(&self, demand: &Demand) -> Press {
        if !demand.is_covered_by(&self.strict) {
            Press::Stricter
        } else if !self.lax.is_covered_by(demand) {
            Press::Laxer
        } else {
            Press::Same
        }
    }
}

/// What a new waiter's demand means for the lookup in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Press {
    /// It joins.
    Same,
    /// What is in flight may bring too little.
    Stricter,
    /// What is in flight may be more than there is.
    Laxer,
}

impl<M: Memory, E: Env> Engine<M, E> {
    /// The entry that waits for just this.
    pub(super) fn find_entry(&self, want: &Want) -> Option<u32> {
        self.find_hashed(want, want.hash(&self.config.secret))
    }

    /// The same, of what is known to have this hash.
    pub(super) fn find_hashed(&self, want: &Want, hash: u32) -> Option<u32> {
        let transfer = match want {
            Want::Blob { blob, window, .. } => Some(self.transfers.find(blob, *window)?),
            _ => None,
        };
        self.pending.find(want, hash, transfer)
    }

    /// Some entry that waits for this blob window, under whatever hint, and its transfer.
    pub(super) fn find_window(&self, blob: &BlobName, window: u16) -> Option<(u32, u32)> {
        let transfer = self.transfers.find(blob, window)?;
        let want = Want::Blob {
            id: DiscoveryId::default(),
            blob: *blob,
            window,
        };
        let hash = want.hash(&self.config.secret);
        Some((self.pending.find_part(hash, transfer)?, transfer))
    }

    /// What the entry waits for.
    pub(super) fn want_of(&self, slot: u32) -> Option<Want> {
        let entry = self.pending.get(slot)?;
        let id = entry.id;
        Some(match entry.what {
            What::Head => Want::Head { id },
            What::Cons { epoch, m, n } => Want::Cons {
                id,
                epoch,
                m: m.get(),
                n: n.get(),
            },
            What::Range { epoch, window } => Want::Range {
                id,
                epoch,
                window: window.get(),
            },
            What::Blob => {
                let transfer = self.transfers.table.get(pending::slot(entry.part))?;
                Want::Blob {
                    id,
                    blob: transfer.blob,
                    window: transfer.window,
                }
            }
            What::Follow => Want::Follow { id },
        })
    }
}
