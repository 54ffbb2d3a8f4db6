// SPDX-License-Identifier: GPL-2.0
//! What is measured: lines of the table, their cases, and what came out.

use std::path::PathBuf;

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

/// What the figure of the native run is for, which measures rivals and floors on the same processor
/// without a bed: system calls of User-Mode Linux cost fifty times as much.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Native {
    /// There is none: the case needs the bed.
    None,
    /// It is shown beside that of the bed.
    Shown,
    /// The better one of it and that of the bed counts.
    Counts,
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
    pub(crate) native: Native,
    /// It is a program of others, from the rivals' root.
    pub(crate) foreign: bool,
}

impl Case {
    /// A rate.
    pub(crate) fn rate(role: Role, name: &str, unit: &str) -> Case {
        Case {
            name: name.into(),
            role,
            unit: unit.into(),
            more_is_better: true,
            native: Native::None,
            foreign: false,
        }
    }

    /// A cost.
    pub(crate) fn cost(role: Role, name: &str, unit: &str) -> Case {
        Case {
            more_is_better: false,
            ..Case::rate(role, name, unit)
        }
    }

    /// What a program of others does.
    pub(crate) fn of_rival(name: &str, unit: &str) -> Case {
        Case {
            foreign: true,
            ..Case::rate(Role::Rival, name, unit)
        }
    }

    /// The same, measured natively, too.
    pub(crate) fn natively(self, native: Native) -> Case {
        Case { native, ..self }
    }
}

/// What one round saw of one case.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// CPU time for one unit of work, ns; all of the machine's.
    pub(crate) cpu_ns: Option<f64>,
}

/// What a line has to reach: one case over another, round by round.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Reach {
    /// Index into the line's cases.
    pub(crate) of: usize,
    /// Another. Several are rates of what is done one after the other with the same bytes.
    pub(crate) over: Vec<usize>,
    /// The quotient is to be at least this for what is better when it is more, else at most.
    /// `None`: it is only told.
    pub(crate) bound: Option<f64>,
}

impl Reach {
    /// One case over another.
    pub(crate) fn new(of: usize, over: usize, bound: f64) -> Reach {
        Reach {
            of,
            over: vec![over],
            bound: Some(bound),
        }
    }

    /// One case over two others done one after the other.
    pub(crate) fn over_both(of: usize, over: [usize; 2], bound: f64) -> Reach {
        Reach {
            of,
            over: over.into(),
            bound: Some(bound),
        }
    }

    /// A quotient that is told and has no bound.
    pub(crate) fn told(of: usize, over: usize) -> Reach {
        Reach {
            of,
            over: vec![over],
            bound: None,
        }
    }
}

/// How a line is measured.
#[derive(Clone, Debug)]
pub(crate) struct How {
    /// With less work.
    pub(crate) quick: bool,
    /// With as little as shows that it works, on kernels whose checkers take their time.
    pub(crate) check: bool,
    /// Without a bed: only cases that are measured natively, and without AF_FEED.
    pub(crate) native: bool,
    /// The Debian root with rivals, if there is one.
    pub(crate) rivals: Option<PathBuf>,
}

impl How {
    /// The amount of work for this run.
    pub(crate) fn work<T>(&self, full: T, quick: T, check: T) -> T {
        match (self.check, self.quick) {
            (true, _) => check,
            (false, true) => quick,
            (false, false) => full,
        }
    }
}

/// One line of the table, as code.
pub(crate) trait Line {
    /// Its number in the table.
    fn number(&self) -> u32;
    /// What is measured.
    fn title(&self) -> &'static str;
    /// The bed that it is judged on; figures of others are told.
    fn bed(&self) -> &'static str {
        "uml"
    }
    /// Its cases, in the order in which a round goes through them.
    fn cases(&self) -> Vec<Case>;
    /// What is to be reached.
    fn reaches(&self) -> Vec<Reach>;
    /// Makes what is measured.
    fn set_up(&mut self, how: &How) -> Result<()>;
    /// Brings the machine into the state that a case is measured in; nobody's time.
    fn arrange(&mut self, _case: usize) -> Result<()> {
        Ok(())
    }
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
    /// Whether this run was in the bed that the line is judged on.
    pub(crate) judged: bool,
    pub(crate) cases: Vec<Case>,
    pub(crate) reaches: Vec<Reach>,
    /// For each case its samples, one a round.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Why it could not be measured.
    pub(crate) failure: Option<String>,
}

/// What the run without a bed is called.
pub(crate) const NATIVE: &str = "native";

/// One run in one machine. A file of results is a list of these.
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
