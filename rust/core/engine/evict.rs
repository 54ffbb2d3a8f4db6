// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Which segment of the store makes room.
//!
//! After S3-FIFO (Yang et al., 2023), with segments for entries. What is new lies in *probation*
//! segments, which go first in, first out, and soon. What is asked for again from elsewhere while on
//! probation, or comes back shortly after its eviction, belongs to *main* segments, which get
//! further rounds while they are asked for. So a scan passes through probation and leaves the
//! hot set alone. Keys of evicted objects are remembered as fingerprints (ghosts).

use super::env::{Memory, PortId};
use super::Lend;

/// What a segment holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Class {
    /// Objects that nobody has asked for twice.
    #[default]
    Probation,
    /// Objects that proved their worth.
    Main,
}

/// What becomes of the segment at the head of its queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Victim {
    /// Nothing in it was asked for again: evict it, and [`Policy::remember`] its objects.
    Evict(u32),
    /// Copy the objects that were asked for to a segment of class main, then evict it.
    Rescue(u32),
}

/// Rounds that a main segment can earn.
const ROUNDS_MAX: u8 = 3;

/// Percent of the store that probation may keep at the limit.
const PROBATION_PERCENT: usize = 10;

const NONE: u32 = 0;

/// What the policy keeps per segment.
#[derive(Clone, Copy, Default)]
pub struct Record {
    class: Class,
    used: bool,
    /// Who asked first: a second ask by the same port promotes nothing.
    port: PortId,
    rounds: u8,
    next: u32,
    prev: u32,
}

#[derive(Clone, Copy, Default)]
struct Queue {
    first: u32,
    last: u32,
    len: usize,
}

/// Queues and ghosts. Segments are named by numbers below the length of the table.
pub struct Policy<M: Memory> {
    records: M::Of<Record>,
    ghosts: M::Of<u32>,
    probation: Queue,
    main: Queue,
}

impl<M: Memory> Policy<M> {
    /// A policy for so many segments, which remembers about so many evicted objects.
    pub fn lend<L: Lend<M>>(
        segments: usize,
        ghosts: usize,
        lend: &mut L,
    ) -> Result<Self, L::Error> {
        Ok(Policy {
            records: lend.lend(segments)?,
            ghosts: lend.lend(ghosts)?,
            probation: Queue::default(),
            main: Queue::default(),
        })
    }

    /// Where an object goes whose key has this (keyed) hash.
    pub fn admit(&mut self, key: u64) -> Class {
        match self.ghost(key) {
            Some(ghost) if *ghost == fingerprint(key) => {
                *ghost = 0;
                Class::Main
            }
            _ => Class::Probation,
        }
    }

    /// An object was evicted.
    pub fn remember(&mut self, key: u64) {
        if let Some(ghost) = self.ghost(key) {
            *ghost = fingerprint(key);
        }
    }

    fn ghost(&mut self, key: u64) -> Option<&mut u32> {
        let at = (key as usize).checked_rem(self.ghosts.len())?;
        self.ghosts.get_mut(at)
    }

    /// A segment is in use from now on, with objects of this class, asked for by `port`.
    pub fn insert(&mut self, segment: u32, class: Class, port: PortId) {
        self.remove(segment);
        let Some(record) = self.records.get_mut(segment as usize) else {
            return;
        };
        *record = Record {
            class,
            used: true,
            port,
            ..Record::default()
        };
        self.push(segment);
    }

    /// An object of the segment was asked for by `port`.
    pub fn touch(&mut self, segment: u32, port: PortId) {
        let Some(record) = self
            .records
            .get_mut(segment as usize)
            .filter(|record| record.used)
        else {
            return;
        };
        let counts = record.class == Class::Main || port == PortId::LOCAL || port != record.port;
        if counts {
            record.rounds = record.rounds.saturating_add(1).min(ROUNDS_MAX);
        }
    }

    /// The segment is not in use any more, for whatever reason.
    pub fn remove(&mut self, segment: u32) {
        let Some(record) = self
            .records
            .get_mut(segment as usize)
            .filter(|record| record.used)
        else {
            return;
        };
        let Record {
            class, next, prev, ..
        } = *record;
        *record = Record::default();
        match self.records.get_mut(slot(prev)) {
            Some(before) if prev != NONE => before.next = next,
            _ => self.queue(class).first = next,
        }
        match self.records.get_mut(slot(next)) {
            Some(behind) if next != NONE => behind.prev = prev,
            _ => self.queue(class).last = prev,
        }
        let queue = self.queue(class);
        queue.len = queue.len.saturating_sub(1);
    }

    fn queue(&mut self, class: Class) -> &mut Queue {
        match class {
            Class::Probation => &mut self.probation,
            Class::Main => &mut self.main,
        }
    }

    fn push(&mut self, segment: u32) {
        let Some(class) = self
            .records
            .get(segment as usize)
            .map(|record| record.class)
        else {
            return;
        };
        let link = segment.wrapping_add(1);
        let queue = self.queue(class);
        let last = core::mem::replace(&mut queue.last, link);
        if last == NONE {
            queue.first = link;
        }
        queue.len = queue.len.saturating_add(1);
        if let Some(record) = self.records.get_mut(segment as usize) {
            record.prev = last;
            record.next = NONE;
        }
        if let Some(before) = self.records.get_mut(slot(last)).filter(|_| last != NONE) {
            before.next = link;
        }
    }

    /// Segments in use.
    pub fn len(&self) -> usize {
        self.probation.len.saturating_add(self.main.len)
    }

    /// Whether none is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which segment goes, now that the limit is reached. It stays known until
    /// [`Policy::remove`].
    pub fn victim(&mut self) -> Option<Victim> {
        let share = self.len().saturating_mul(PROBATION_PERCENT) / 100;
        if self.probation.len > share || self.main.len == 0 {
            let first = self.probation.first.checked_sub(1)?;
            let asked = self
                .records
                .get(first as usize)
                .is_some_and(|record| record.rounds > 0);
            return Some(if asked {
                Victim::Rescue(first)
            } else {
                Victim::Evict(first)
            });
        }
        // Each round spent makes the next look shorter, so this ends.
        for _ in 0..self
            .main
            .len
            .saturating_mul(usize::from(ROUNDS_MAX))
            .saturating_add(1)
        {
            let first = self.main.first.checked_sub(1)?;
            let record = self.records.get_mut(first as usize)?;
            if record.rounds == 0 {
                return Some(Victim::Evict(first));
            }
            let again = Record {
                rounds: record.rounds.saturating_sub(1),
                ..*record
            };
            self.remove(first);
            *self.records.get_mut(first as usize)? = again;
            self.push(first);
        }
        self.main.first.checked_sub(1).map(Victim::Evict)
    }
}

fn slot(link: u32) -> usize {
    link.wrapping_sub(1) as usize
}

fn fingerprint(key: u64) -> u32 {
    (key >> 32) as u32 | 1
}
