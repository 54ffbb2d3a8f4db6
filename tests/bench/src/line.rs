// SPDX-License-Identifier: GPL-2.0
//! What is measured: lines of the table, their cases, and what came out.

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What a case is to the line that it stands in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Role {
    /// AF_FEED.
    Ours,
    /// What the machine can do at best for the same frames or bytes.
    Floor,
    /// What a user could pick instead.
    Rival,
    /// A figure that others measured on another machine.
    Quoted,
}

/// One thing that is measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Of the value, per second or per piece.
    pub(crate) unit: String,
    /// Larger values are better.
    pub(crate) more_is_better: bool,
}

impl Case {
    /// A rate.
    pub(crate) fn rate(role: Role, name: &str, unit: &str) -> Case {
        Case {
            name: name.into(),
            role,
            unit: unit.into(),
            more_is_better: true,
        }
    }

    /// A cost.
    pub(crate) fn cost(role: Role, name: &str, unit: &str) -> Case {
        Case {
            more_is_better: false,
            ..Case::rate(role, name, unit)
        }
    }
}

/// What one round saw of one case.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// CPU time for one unit of work, ns; all of the machine's.
    pub(crate) cpu_ns: Option<f64>,
}

/// What a line has to reach: the median of one case over the median of another.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Reach {
    /// Indices into the line's cases.
    pub(crate) of: usize,
    pub(crate) over: usize,
    /// The quotient is to be at least this for what is better when it is more, else at most.
    pub(crate) bound: f64,
}

/// One line of the table, as code.
pub(crate) trait Line {
    /// Its number in the table.
    fn number(&self) -> u32;
    /// What is measured.
    fn title(&self) -> &'static str;
    /// Its cases, in the order in which a round goes through them.
    fn cases(&self) -> Vec<Case>;
    /// What is to be reached.
    fn reaches(&self) -> Vec<Reach>;
    /// Makes what is measured.
    fn set_up(&mut self, quick: bool) -> Result<()>;
    /// Measures a case once.
    fn measure(&mut self, case: usize) -> Result<Sample>;
    /// Takes away what was made; also called after a failure.
    fn tear_down(&mut self) -> Result<()>;
}

/// What a line gave.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) number: u32,
    pub(crate) title: String,
    pub(crate) cases: Vec<Case>,
    pub(crate) reaches: Vec<Reach>,
    /// For each case its samples, one a round.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Why it could not be measured.
    pub(crate) failure: Option<String>,
}

/// One run in one machine.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) bed: String,
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    /// ms since 1970.
    pub(crate) when: u64,
    pub(crate) quick: bool,
    pub(crate) lines: Vec<Outcome>,
}
