// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! How many windows a reader keeps in flight: as many as the way to the data carries, and hardly any
//! that stand in a queue before its narrowest link.
//!
//! By delay, after FAST TCP (Wei, Jin, Low, Hegde: "FAST TCP: motivation, architecture, algorithms,
//! performance", 2006): the shortest time that a window took says how long the way is, what a
//! window takes longer it has waited. Each reader aims at one window in the queue, so readers share
//! a link, whatever their feeds. A queue of [`QUEUE_US`] is not fought: nobody notices it, and on
//! a fast way windows wait for processors rather than for links. Loss is no sign: radio links lose.

/// A queue that nobody notices, µs (the target of CoDel, RFC 8289).
const QUEUE_US: u64 = 5_000;

/// Of a window: limits move in small steps.
const PART: u32 = 16;

/// At the start.
const FIRST: u32 = 4 * PART;
/// At least: one on its way, and one that is asked for.
const LEAST: u32 = 2 * PART;
/// What a reader may have in the queue.
const QUEUED: u32 = PART;

/// The length of the way is measured anew so often, µs, with little of our own before it: ways
/// change, and a queue of others is taken for a part of the way.
const RENEW_US: u64 = 10_000_000;

/// After so long a window will not come any more, µs.
const LOST_US: u64 = 5_000_000;

/// The time that a window takes is known to this part of it.
const EXACT: u64 = 8;

/// A window whose time is taken.
#[derive(Clone, Copy, Debug)]
struct Probe<T> {
    what: T,
    asked_at: u64,
    /// The reader has worked for some time: if it is here, nobody knows since when.
    unsure: bool,
}

/// What is known of the way to a feed's data. `T` names a window.
#[derive(Clone, Debug)]
pub(super) struct Pace<T> {
    /// Windows in flight at most, in [`PART`]s.
    limit: u32,
    /// What was the limit before the way was to be measured anew.
    before: Option<u32>,
    /// The shortest time that a window took, µs, from this many hops away.
    base: Option<(u64, u8)>,
    renew_at: u64,
    /// What the last window took, µs.
    last_us: u64,
    /// The link's rate is not known yet.
    starts: bool,
    /// As much was in flight as may be since the last window that was timed.
    filled: bool,
    probe: Option<Probe<T>>,
    /// When the reader was here last.
    here_at: u64,
}

impl<T: Copy> Pace<T> {
    pub(super) fn new() -> Self {
        Pace {
            limit: FIRST,
            before: None,
            base: None,
            renew_at: 0,
            last_us: 0,
            starts: true,
            filled: false,
            probe: None,
            here_at: 0,
        }
    }

    /// Windows that may be in flight.
    pub(super) fn limit(&self) -> u32 {
        self.limit.div_ceil(PART)
    }

    /// A window was asked for that nobody had asked for before.
    pub(super) fn asked(&mut self, now: u64, what: T) {
        self.probe.get_or_insert(Probe {
            what,
            asked_at: now,
            unsure: false,
        });
    }

    /// So many windows are in flight.
    pub(super) fn in_flight(&mut self, windows: u32) {
        self.filled |= windows >= self.limit();
    }

    /// The window to look for, if it is worth a look. `waited`: the reader has waited since it was here
    /// last, and was woken; otherwise it has worked, and what came meanwhile came at a time that is not
    /// known.
    pub(super) fn looks_for(&mut self, now: u64, waited: bool) -> Option<T> {
        let worked = now.saturating_sub(core::mem::replace(&mut self.here_at, now));
        let probe = self.probe.as_mut()?;
        let asked = now.saturating_sub(probe.asked_at);
        probe.unsure |= !waited && worked > asked / EXACT;
        (waited || probe.unsure).then_some(probe.what)
    }

    /// What [`Pace::looks_for`] named is not here.
    pub(super) fn is_missing(&mut self, now: u64) {
        let Some(probe) = &mut self.probe else { return };
        probe.unsure = false;
        if now.saturating_sub(probe.asked_at) > LOST_US {
            self.probe = None;
            self.limit = (self.limit / 2).max(LEAST);
        }
    }

    /// What [`Pace::looks_for`] named has come so many hops. More than `most` windows the reader does not
    /// want in flight.
    pub(super) fn came(&mut self, now: u64, hops: u8, most: u32) {
        let Some(probe) = self.probe.take() else {
            return;
        };
        if probe.unsure {
            return;
        }
        let took = now.saturating_sub(probe.asked_at).max(1);
        let base = match self.base {
            Some((base, from)) if from == hops => base.min(took),
            known => {
                // The first one of this way.
                self.renew_at = now.saturating_add(RENEW_US);
                self.limit = self.before.take().unwrap_or(self.limit);
                self.last_us = took;
                if known.is_none() {
                    self.base = Some((took, hops));
                    return;
                }
                took
            }
        };
        self.base = Some((base, hops));
        let shorter = took.min(core::mem::replace(&mut self.last_us, took));
        if shorter.saturating_sub(base) <= QUEUE_US {
            // What was not used says nothing.
            if core::mem::take(&mut self.filled) {
                let more = if self.starts {
                    self.limit
                } else {
                    (self.limit / 8).max(PART)
                };
                let most = most.max(1).saturating_mul(PART).max(LEAST);
                self.limit = self.limit.saturating_add(more).min(most);
            }
        } else {
            self.starts = false;
            let on_the_way = u64::from(self.limit).saturating_mul(base) / shorter.max(1);
            let fair = u32::try_from(on_the_way)
                .unwrap_or(self.limit)
                .saturating_add(QUEUED);
            self.limit = (self.limit.saturating_add(fair) / 2).max(LEAST);
        }
        if now >= self.renew_at {
            self.base = None;
            self.before = Some(self.limit);
            self.limit = LEAST;
        }
    }

    /// The reader went elsewhere.
    pub(super) fn forget_probe(&mut self) {
        self.probe = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;
    const MOST: u32 = 64;

    /// A reader that always wants more, on a link that carries a window in `each` µs and is `way` µs long:
    /// what its limit has become after `rounds` windows that were timed.
    fn on_link(pace: &mut Pace<u32>, now: &mut u64, (each, way): (u64, u64), rounds: u32) -> u32 {
        for round in 0..rounds {
            let limit = u64::from(pace.limit());
            pace.in_flight(pace.limit());
            pace.looks_for(*now, false);
            pace.asked(*now, round);
            *now += way.max(each * (limit - 1)) + each;
            assert_eq!(pace.looks_for(*now, true), Some(round));
            pace.came(*now, 1, MOST);
        }
        pace.limit()
    }

    #[test]
    fn limit__fills_the_way_and_hardly_any_queue() {
        let (each, way) = (2_600, 40 * MS);
        let mut pace = Pace::new();
        let limit = on_link(&mut pace, &mut 0, (each, way), 100);
        let on_the_way = (way / each) as u32;
        let queued = (QUEUE_US / each) as u32 + on_the_way / 8 + 2;
        assert!(
            (on_the_way..=on_the_way + queued).contains(&limit),
            "{limit}"
        );
    }

    /// One that is on its way, the next one, and one or two that wait.
    #[test]
    fn limit__of_a_thin_link_is_next_to_the_least() {
        let mut pace = Pace::new();
        let limit = on_link(&mut pace, &mut 0, (262 * MS, 40 * MS), 40);
        assert!((2..=4).contains(&limit), "{limit}");
    }

    /// What waits for processors and not for links is not held back.
    #[test]
    fn limit__of_a_fast_way_is_the_most() {
        let mut pace = Pace::new();
        assert_eq!(on_link(&mut pace, &mut 0, (20, 100), 40), MOST);
    }

    /// A way that has become longer is noticed: it is measured anew with next to nothing before it.
    #[test]
    fn limit__follows_a_way_that_has_become_longer() {
        let mut pace = Pace::new();
        let mut now = 0;
        let short = on_link(&mut pace, &mut now, (2 * MS, 20 * MS), 60);
        let long = on_link(&mut pace, &mut now, (2 * MS, 100 * MS), 600);
        assert!(short <= 16 && long >= 50, "{short} {long}");
    }

    /// Data of another node comes another way.
    #[test]
    fn limit__is_not_cut_by_what_comes_from_farther_away() {
        let mut pace = Pace::new();
        let mut now = 0;
        let near = on_link(&mut pace, &mut now, (20, 100), 40);
        pace.asked(now, 0);
        assert_eq!(pace.looks_for(now + 200 * MS, true), Some(0));
        pace.came(now + 200 * MS, 3, MOST);
        assert_eq!(pace.limit(), near);
    }

    /// A reader that works does not see when a window comes.
    #[test]
    fn sample__of_a_reader_that_worked_meanwhile_does_not_count() {
        let mut pace = Pace::new();
        let mut now = 0;
        let limit = on_link(&mut pace, &mut now, (20, 100), 40);
        for round in 0..9 {
            pace.asked(now, round);
            now += 900 * MS;
            assert_eq!(pace.looks_for(now, false), Some(round));
            pace.came(now, 1, MOST);
        }
        assert_eq!(pace.limit(), limit);
    }

    /// What is not here after it has worked will come when somebody looks.
    #[test]
    fn sample__of_a_reader_that_works_as_long_as_the_link_counts() {
        let mut pace = Pace::new();
        let mut now = 0;
        for round in 0..30 {
            pace.in_flight(pace.limit());
            pace.asked(now, round);
            now += 300;
            assert_eq!(pace.looks_for(now, false), Some(round));
            pace.is_missing(now);
            now += 40 * MS;
            assert_eq!(pace.looks_for(now, true), Some(round));
            pace.came(now, 1, MOST);
        }
        assert_eq!(pace.limit(), MOST);
    }

    /// From ever other nodes: nothing is known of their ways, so nothing is held back.
    #[test]
    fn limit__grows_where_hops_change_all_the_time() {
        let mut pace = Pace::new();
        let mut now = 0;
        for round in 0..30 {
            pace.in_flight(pace.limit());
            pace.asked(now, round);
            now += 40 * MS;
            assert_eq!(pace.looks_for(now, true), Some(round));
            pace.came(now, (round % 2) as u8, MOST);
        }
        assert_eq!(pace.limit(), MOST);
    }

    /// One late window is a lost frame, not a queue.
    #[test]
    fn sample__that_is_late_alone_does_not_count() {
        let mut pace = Pace::new();
        let mut now = 0;
        let limit = on_link(&mut pace, &mut now, (200, 10 * MS), 40);
        pace.asked(now, 0);
        now += 60 * MS;
        assert_eq!(pace.looks_for(now, true), Some(0));
        pace.came(now, 1, MOST);
        assert!(pace.limit() >= limit);
    }

    #[test]
    fn window__that_never_comes_halves_the_limit() {
        let mut pace = Pace::new();
        pace.asked(0, 7);
        pace.is_missing(LOST_US + 1);
        assert_eq!(pace.limit(), FIRST / PART / 2);
        assert_eq!(pace.looks_for(LOST_US + 2, true), None);
    }
}
