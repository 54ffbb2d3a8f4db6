// SPDX-License-Identifier: GPL-2.0
//! Samples in few figures.

use std::time::Duration;

use statrs::statistics::{Data, OrderStatistics};

use crate::line::{Outcome, Reach, Sample};

/// A time in µs.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Of some values; `None` of none.
pub(crate) fn summary(values: impl Iterator<Item = f64>) -> Option<Summary> {
    let values: Vec<f64> = values.collect();
    if values.is_empty() {
        return None;
    }
    let mut data = Data::new(values);
    Some(Summary {
        median: data.median(),
        low: data.lower_quartile(),
        high: data.upper_quartile(),
    })
}

/// The value that this part of all, 0 to 1, does not exceed; `None` of none.
pub(crate) fn quantile(values: Vec<f64>, part: f64) -> Option<f64> {
    (!values.is_empty()).then(|| Data::new(values).quantile(part))
}

/// Of a case's values.
pub(crate) fn values(samples: &[Sample]) -> Option<Summary> {
    summary(samples.iter().map(|sample| sample.value))
}

/// The quotient that a line has to reach: of each round, for both were measured one after the other.
pub(crate) fn quotient(line: &Outcome, reach: &Reach) -> Option<Summary> {
    let (of, over) = (line.samples.get(reach.of)?, line.samples.get(reach.over)?);
    summary(of.iter().zip(over).map(|(of, over)| of.value / over.value))
}

/// Whether it is reached.
pub(crate) fn is_met(line: &Outcome, reach: &Reach) -> Option<bool> {
    let quotient = quotient(line, reach)?.median;
    Some(if line.cases.get(reach.of)?.more_is_better {
        quotient >= reach.bound
    } else {
        quotient <= reach.bound
    })
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
            ..Case::rate(role, "case", "1/s")
        };
        Outcome {
            number: 1,
            title: "test".into(),
            cases: vec![case(Role::Ours), case(Role::Floor)],
            reaches: Vec::new(),
            samples: vec![samples(ours), samples(floor)],
            failure: None,
        }
    }

    #[test]
    fn quotients_are_of_rounds() {
        // A machine that is twice as fast in one round says nothing about the quotient.
        let line = line(&[1.0, 2.0, 1.0], &[2.0, 4.0, 2.0], true);
        let reach = Reach {
            of: 0,
            over: 1,
            bound: 0.5,
        };
        let quotient = quotient(&line, &reach).unwrap();
        assert_eq!(
            (quotient.low, quotient.median, quotient.high),
            (0.5, 0.5, 0.5)
        );
        assert_eq!(is_met(&line, &reach), Some(true));
    }

    #[test]
    fn costs_are_to_be_low() {
        let costly = line(&[3.0], &[2.0], false);
        let reach = Reach {
            of: 0,
            over: 1,
            bound: 1.25,
        };
        assert_eq!(is_met(&costly, &reach), Some(false));
        assert_eq!(is_met(&line(&[2.0], &[2.0], false), &reach), Some(true));
    }

    #[test]
    fn nothing_measured_is_not_met() {
        let reach = Reach {
            of: 0,
            over: 1,
            bound: 1.0,
        };
        assert_eq!(is_met(&line(&[], &[], true), &reach), None);
    }
}
