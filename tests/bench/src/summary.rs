// SPDX-License-Identifier: GPL-2.0
//! Samples in few figures.

use std::time::Duration;

use statrs::statistics::{Data, OrderStatistics};

use crate::line::Sample;

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
