// SPDX-License-Identifier: GPL-2.0
//! What a line has to reach, and whether it does: of the run in its bed, beside the native run.

use crate::line::{NATIVE, Native, Outcome, Reach, Run, Sample};
use crate::summary::{Summary, summary, values};

/// A line as one run saw it, and as the native run did.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) line: &'a Outcome,
    pub(crate) native: Option<&'a Outcome>,
}

impl<'a> Seen<'a> {
    /// The line of a run, among all runs.
    pub(crate) fn new(line: &'a Outcome, runs: &'a [Run]) -> Seen<'a> {
        let native = runs
            .iter()
            .filter(|run| run.bed == NATIVE)
            .flat_map(|run| &run.lines)
            .find(|native| native.number == line.number);
        Seen { line, native }
    }

    /// The samples of a case that count, and whether they are native ones: the better of both, for
    /// the bed's system calls would make straw men of rivals.
    pub(crate) fn counting(&self, index: usize) -> Option<(&'a [Sample], bool)> {
        let case = self.line.cases.get(index)?;
        let own = self.line.samples.get(index)?;
        let native = self
            .native
            .filter(|_| case.native == Native::Counts)
            .and_then(|native| native.samples.get(index));
        let is_better = |native: &Vec<Sample>| match (values(native), values(own)) {
            (Some(native), Some(own)) => (native.median > own.median) == case.more_is_better,
            (native, _) => native.is_some(),
        };
        Some(match native.filter(|native| is_better(native)) {
            Some(native) => (native, true),
            None => (own, false),
        })
    }

    /// The quotient that the line has to reach: of each round, for both were measured one after the
    /// other.
    pub(crate) fn quotient(&self, reach: &Reach) -> Option<Summary> {
        let of = self.line.samples.get(reach.of)?;
        let mut over = Vec::new();
        for index in &reach.over {
            over.push(self.counting(*index)?.0);
        }
        // Of several rates the times add up.
        let together = |round: usize| match over[..] {
            [one] => Some(one.get(round)?.value),
            _ => {
                let times = over.iter().map(|one| Some(1.0 / one.get(round)?.value));
                Some(1.0 / times.sum::<Option<f64>>()?)
            }
        };
        let rounds = of.iter().enumerate();
        summary(rounds.filter_map(|(round, of)| Some(of.value / together(round)?)))
    }

    /// Whether it is reached; `None` where nothing was measured, and where there is no bound.
    pub(crate) fn is_met(&self, reach: &Reach) -> Option<bool> {
        let bound = reach.bound?;
        let quotient = self.quotient(reach)?.median;
        Some(if self.line.cases.get(reach.of)?.more_is_better {
            quotient >= bound
        } else {
            quotient <= bound
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Case, Role};

    fn line(ours: &[f64], floor: &[f64], more_is_better: bool) -> Outcome {
        let samples = |values: &[f64]| {
            let sample = |value: &f64| Sample {
                value: *value,
                cpu_ns: None,
            };
            values.iter().map(sample).collect()
        };
        let case = |role| Case {
            more_is_better,
            ..Case::rate(role, "case", "1/s").natively(Native::Counts)
        };
        Outcome {
            number: 1,
            title: "test".into(),
            judged: true,
            cases: vec![case(Role::Ours), case(Role::Floor)],
            reaches: Vec::new(),
            samples: vec![samples(ours), samples(floor)],
            failure: None,
        }
    }

    fn alone(line: &Outcome) -> Seen<'_> {
        Seen { line, native: None }
    }

    #[test]
    fn quotients_are_of_rounds() {
        // A machine that is twice as fast in one round says nothing about the quotient.
        let line = line(&[1.0, 2.0, 1.0], &[2.0, 4.0, 2.0], true);
        let reach = Reach::new(0, 1, 0.5);
        let quotient = alone(&line).quotient(&reach).unwrap();
        assert_eq!(
            (quotient.low, quotient.median, quotient.high),
            (0.5, 0.5, 0.5)
        );
        assert_eq!(alone(&line).is_met(&reach), Some(true));
    }

    #[test]
    fn costs_are_to_be_low() {
        let costly = line(&[3.0], &[2.0], false);
        let reach = Reach::new(0, 1, 1.25);
        assert_eq!(alone(&costly).is_met(&reach), Some(false));
        let cheap = line(&[2.0], &[2.0], false);
        assert_eq!(alone(&cheap).is_met(&reach), Some(true));
    }

    #[test]
    fn nothing_measured_is_not_met() {
        let reach = Reach::new(0, 1, 1.0);
        assert_eq!(alone(&line(&[], &[], true)).is_met(&reach), None);
        // Nor is what has no bound.
        let measured = line(&[1.0], &[1.0], true);
        assert_eq!(alone(&measured).is_met(&Reach::told(0, 1)), None);
    }

    #[test]
    fn the_better_figure_counts() {
        let bed = line(&[4.0], &[2.0], true);
        for (native, quotient) in [(8.0, 0.5), (1.0, 2.0)] {
            let native = line(&[], &[native], true);
            let seen = Seen {
                line: &bed,
                native: Some(&native),
            };
            let found = seen.quotient(&Reach::new(0, 1, 1.0)).unwrap();
            assert_eq!(found.median, quotient);
        }
    }

    #[test]
    fn the_better_cost_is_the_lower_one() {
        let bed = line(&[4.0], &[2.0], false);
        let native = line(&[], &[8.0], false);
        let seen = Seen {
            line: &bed,
            native: Some(&native),
        };
        assert_eq!(seen.counting(1).map(|(_, native)| native), Some(false));
    }

    #[test]
    fn times_of_what_is_done_in_turn_add_up() {
        let mut line = line(&[1.0], &[1.0], true);
        line.cases.push(line.cases[1].clone());
        line.samples.push(vec![Sample {
            value: 3.0,
            cpu_ns: None,
        }]);
        let quotient = alone(&line).quotient(&Reach::over_both(0, [1, 2], 1.0));
        assert!((quotient.unwrap().median - 4.0 / 3.0).abs() < 1e-9);
    }
}
